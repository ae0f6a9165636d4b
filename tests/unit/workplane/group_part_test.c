/* SPDX-License-Identifier: Apache-2.0 */
/* Group part: what applications of three replicas ask their agents by HTTP. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "io/clock.h"
#include "workplane/group_part.h"

enum {
	PODS = 3,
	WAIT_MS = 20 * 1000,
	PATH_LEN = 300,
};

/* The agent of one replica. */
struct agent {
	struct net *net;
	uint32_t ordinal;
	struct group_part *part; /* NULL: it is down */
	char dir[64];
	bool cut_off; /* no other agent reaches it */
	size_t asked; /* requests of others */
};

struct net {
	struct loop *loop;
	struct agent agents[PODS];
	size_t on_the_way;
	struct buf text; /* what a client has been sent */
};

/* ---- agents speak to each other */

struct letter {
	struct agent *from, *to;
	struct buf bytes;
};

static void arrive(void *user)
{
	struct letter *letter = user;

	letter->from->net->on_the_way--;
	if (letter->to->part)
		group_part_receive(letter->to->part, letter->from->ordinal,
				   bytes_buf(&letter->bytes));
	buf_deinit(&letter->bytes);
	free(letter);
}

static void count_asked(struct agent *agent, struct bytes bytes)
{
	struct group_message message;

	assert_int_equal(group_message_decode(bytes, &message), 0);
	agent->asked += message.type == GROUP_ASK;
	group_message_deinit(&message);
}

static bool on_send(void *user, uint32_t ordinal, struct bytes message)
{
	struct agent *agent = user;
	struct letter *letter;

	if (ordinal >= PODS || agent->net->agents[ordinal].cut_off || agent->cut_off)
		return false;
	letter = mem_new(struct letter);
	letter->from = agent;
	letter->to = &agent->net->agents[ordinal];
	count_asked(letter->to, message);
	buf_append_bytes(&letter->bytes, message);
	agent->net->on_the_way++;
	loop_defer(agent->net->loop, arrive, letter);
	return true;
}

static void on_changed(void *user)
{
	(void)user;
}

static void on_lost(void *user, const char *why)
{
	(void)user;
	fail_msg("%s", why);
}

static bool is_healthy(void *user)
{
	(void)user;
	return true;
}

static void start(struct agent *agent)
{
	static const char *const names[PODS] = {"db-0", "db-1", "db-2"};
	struct group_part_config config = {
		.loop = agent->net->loop,
		.dir = agent->dir,
		.ordinal = agent->ordinal,
		.epoch = 1,
		.birth = agent->ordinal == 0,
		.namespace = "shop",
		.workload = "db",
		.pod = names[agent->ordinal],
		.handler = {on_send, on_changed, on_lost, is_healthy, NULL, agent},
	};
	struct err err = {0};

	memset(config.workload_uid.byte, 7, UID_LEN);
	memset(config.pod_uid.byte, (int)(1 + agent->ordinal), UID_LEN);
	assert_int_equal(group_part_new(&config, &agent->part, &err), 0);
	assert_int_equal(group_part_start(agent->part, &err), 0);
}

static void turn(struct net *net)
{
	bool never = false;

	(void)loop_run_until(net->loop, &never, mono_add_ms(clock_mono(), 2));
}

static void stop(struct agent *agent)
{
	group_part_free(agent->part);
	agent->part = NULL;
	turn(agent->net);
}

static bool all_vote(const struct net *net)
{
	for (size_t i = 0; i < PODS; i++)
		if (!group_part_votes(net->agents[i].part) ||
		    group_part_view(net->agents[i].part).leader != 0)
			return false;
	return true;
}

static int setup(void **state)
{
	struct net *net = mem_new(struct net);
	struct mono deadline = mono_add_ms(clock_mono(), WAIT_MS);

	net->loop = loop_new();
	for (uint32_t i = 0; i < PODS; i++) {
		struct agent *agent = &net->agents[i];

		agent->net = net;
		agent->ordinal = i;
		(void)snprintf(agent->dir, sizeof(agent->dir), "/tmp/magik-group-XXXXXX");
		assert_non_null(mkdtemp(agent->dir));
		start(agent);
	}
	while (!all_vote(net)) {
		turn(net);
		assert_false(mono_reached(clock_mono(), deadline));
	}
	*state = net;
	return 0;
}

static int teardown(void **state)
{
	struct net *net = *state;

	for (size_t i = 0; i < PODS; i++) {
		char path[PATH_LEN];

		stop(&net->agents[i]);
		(void)snprintf(path, sizeof(path), "%s/data.mdb", net->agents[i].dir);
		(void)unlink(path);
		(void)rmdir(net->agents[i].dir);
	}
	while (net->on_the_way > 0)
		turn(net);
	buf_deinit(&net->text);
	loop_free(net->loop);
	free(net);
	return 0;
}

/* ---- a client */

/* Two ends of a TCP connection. */
static void connect_pair(int *ret_client, int *ret_served)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &len), 0);
	*ret_client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(*ret_client, (struct sockaddr *)&address, sizeof(address)), 0);
	*ret_served = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	assert_true(*ret_served >= 0);
	(void)close(listener);
	assert_int_equal(fcntl(*ret_client, F_SETFL, O_NONBLOCK), 0);
}

/* What has arrived is in net->text. False: the server has closed. */
static bool take(struct net *net, int fd)
{
	char part[4096];
	ssize_t got;

	while ((got = read(fd, part, sizeof(part))) > 0)
		buf_append(&net->text, part, (size_t)got);
	assert_true(got == 0 || errno == EAGAIN);
	return got < 0;
}

static int begin(struct net *net, size_t agent, const char *head, const char *body)
{
	struct buf request = {0};
	int client, served;

	connect_pair(&client, &served);
	group_part_adopt(net->agents[agent].part, served);
	buf_append_format(&request,
			  "%s\r\nHost: agent\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n%s",
			  head, strlen(body), body);
	assert_int_equal(write(client, request.ptr, request.len), request.len);
	buf_deinit(&request);
	buf_clear(&net->text);
	return client;
}

/* The status; the body is behind the head in net->text. */
static int ask(struct net *net, size_t agent, const char *head, const char *body)
{
	int client = begin(net, agent, head, body);
	struct mono deadline = mono_add_ms(clock_mono(), WAIT_MS);

	while (take(net, client)) {
		turn(net);
		assert_false(mono_reached(clock_mono(), deadline));
	}
	(void)close(client);
	assert_true(strncmp(buf_cstr(&net->text), "HTTP/1.1 ", 9) == 0);
	return (int)strtol(buf_cstr(&net->text) + 9, NULL, 10);
}

static const char *body_of(struct net *net)
{
	const char *body = strstr(buf_cstr(&net->text), "\r\n\r\n");

	assert_non_null(body);
	return body + 4;
}

static json_t *json_of(struct net *net)
{
	json_t *value = json_loads(body_of(net), 0, NULL);

	assert_non_null(value);
	return value;
}

static void assert_field(struct net *net, const char *field, const char *expected)
{
	json_t *value = json_of(net);

	assert_string_equal(json_string_value(json_object_get(value, field)), expected);
	json_decref(value);
}

/* ---- tests */

static void test_everyone_tells_who_leads(void **state)
{
	struct net *net = *state;
	json_t *status;

	for (size_t i = 0; i < PODS; i++) {
		assert_int_equal(ask(net, i, "GET /v1/status HTTP/1.1", ""), 200);
		assert_field(net, "leader", "db-0");
		assert_field(net, "role", i == 0 ? "leader" : "follower");
		status = json_of(net);
		assert_int_equal(json_array_size(json_object_get(status, "peers")), PODS);
		assert_int_equal(json_boolean_value(json_object_get(status, "leading")), i == 0);
		json_decref(status);
		assert_int_equal(ask(net, i, "GET /v1/leader HTTP/1.1", ""), i == 0 ? 200 : 503);
		assert_field(net, "leader", "db-0");
	}
}

static void test_keys_are_compared_and_set_at_any_replica(void **state)
{
	struct net *net = *state;
	char head[200];
	long version;

	assert_int_equal(ask(net, 1, "PUT /v1/keys/color HTTP/1.1\r\nIf-None-Match: *", "red"),
			 200);
	assert_int_equal(net->agents[0].asked, 1);
	assert_int_equal(ask(net, 2, "PUT /v1/keys/color HTTP/1.1\r\nIf-None-Match: *", "blue"),
			 409);
	assert_int_equal(ask(net, 2, "GET /v1/keys/color HTTP/1.1", ""), 200);
	assert_string_equal(body_of(net), "red");
	version = strtol(strstr(buf_cstr(&net->text), "ETag: \"") + 7, NULL, 10);
	assert_true(version > 0);

	(void)snprintf(head, sizeof(head), "PUT /v1/keys/color HTTP/1.1\r\nIf-Match: \"%ld\"",
		       version + 1);
	assert_int_equal(ask(net, 0, head, "green"), 409);
	(void)snprintf(head, sizeof(head), "PUT /v1/keys/color HTTP/1.1\r\nIf-Match: \"%ld\"",
		       version);
	assert_int_equal(ask(net, 0, head, "green"), 200);
	assert_int_equal(ask(net, 0, head, "late"), 409);
	assert_int_equal(ask(net, 1, "GET /v1/keys HTTP/1.1", ""), 200);
	assert_non_null(strstr(body_of(net), "\"name\":\"color\""));
	assert_int_equal(ask(net, 1, "DELETE /v1/keys/color HTTP/1.1", ""), 200);
	assert_int_equal(ask(net, 0, "GET /v1/keys/color HTTP/1.1", ""), 404);
	assert_int_equal(ask(net, 0, "DELETE /v1/keys/color HTTP/1.1", ""), 404);
}

static void test_a_command_of_a_session_happens_once(void **state)
{
	struct net *net = *state;
	char head[200];
	json_t *answer;
	long session;

	assert_int_equal(ask(net, 2, "POST /v1/sessions HTTP/1.1", ""), 201);
	answer = json_of(net);
	session = (long)json_integer_value(json_object_get(answer, "session"));
	json_decref(answer);
	(void)snprintf(head, sizeof(head),
		       "PUT /v1/keys/a?session=%ld&sequence=1 HTTP/1.1\r\nIf-None-Match: *",
		       session);
	assert_int_equal(ask(net, 2, head, "x"), 200);
	assert_int_equal(ask(net, 1, head, "x"), 200); /* again: what came of it the first time */
	assert_int_equal(ask(net, 1, "PUT /v1/keys/a HTTP/1.1\r\nIf-None-Match: *", "x"), 409);
	assert_int_equal(ask(net, 1, "PUT /v1/keys/a?session=3 HTTP/1.1", "x"), 400);
	assert_int_equal(ask(net, 0, "PUT /v1/keys/a?session=999999&sequence=1 HTTP/1.1", "x"),
			 410);
}

#define LEASES "/apis/coordination.k8s.io/v1/namespaces/shop/leases"
#define LEASE(version, holder)                                                     \
	"{\"apiVersion\":\"coordination.k8s.io/v1\",\"kind\":\"Lease\","           \
	"\"metadata\":{\"name\":\"lock\",\"namespace\":\"shop\"" version "},"      \
	"\"spec\":{\"holderIdentity\":\"" holder "\",\"leaseDurationSeconds\":15," \
	"\"acquireTime\":\"2026-11-22T10:00:00.000001Z\","                         \
	"\"renewTime\":\"2026-11-22T10:00:01.5Z\",\"leaseTransitions\":2}}"

static void test_leases_are_what_clients_of_leader_election_expect(void **state)
{
	struct net *net = *state;
	char version[32], body[1000];
	json_t *lease, *spec;

	assert_int_equal(ask(net, 1, "GET " LEASES "/lock HTTP/1.1", ""), 404);
	assert_non_null(strstr(body_of(net), "leases.coordination.k8s.io \\\"lock\\\" not found"));
	assert_int_equal(ask(net, 1, "PUT " LEASES "/lock HTTP/1.1", LEASE("", "a")), 404);
	assert_int_equal(ask(net, 1, "POST " LEASES " HTTP/1.1", LEASE("", "a")), 201);
	assert_int_equal(ask(net, 2, "POST " LEASES " HTTP/1.1", LEASE("", "b")), 409);
	assert_field(net, "reason", "AlreadyExists");

	assert_int_equal(ask(net, 2, "GET " LEASES "/lock HTTP/1.1", ""), 200);
	lease = json_of(net);
	spec = json_object_get(lease, "spec");
	assert_string_equal(json_string_value(json_object_get(spec, "holderIdentity")), "a");
	assert_string_equal(json_string_value(json_object_get(spec, "acquireTime")),
			    "2026-11-22T10:00:00.000001Z");
	assert_string_equal(json_string_value(json_object_get(spec, "renewTime")),
			    "2026-11-22T10:00:01.500000Z");
	assert_int_equal(json_integer_value(json_object_get(spec, "leaseTransitions")), 2);
	(void)snprintf(version, sizeof(version), "%s",
		       json_string_value(json_object_get(json_object_get(lease, "metadata"),
							 "resourceVersion")));
	json_decref(lease);

	(void)snprintf(body, sizeof(body), LEASE(",\"resourceVersion\":\"%s\"", "b"), version);
	assert_int_equal(ask(net, 0, "PUT " LEASES "/lock HTTP/1.1", body), 200);
	assert_int_equal(ask(net, 1, "PUT " LEASES "/lock HTTP/1.1", body), 409);
	assert_field(net, "reason", "Conflict");
	assert_int_equal(ask(net, 1, "GET " LEASES " HTTP/1.1", ""), 200);
	assert_field(net, "kind", "LeaseList");
	assert_int_equal(ask(net, 1, "DELETE " LEASES "/lock HTTP/1.1", ""), 200);
	assert_int_equal(ask(net, 1, "DELETE " LEASES "/lock HTTP/1.1", ""), 404);
}

static void test_what_makes_no_sense_is_told(void **state)
{
	struct net *net = *state;

	assert_int_equal(ask(net, 0, "GET /v1/nothing HTTP/1.1", ""), 404);
	assert_int_equal(ask(net, 0, "GET /v1/../v1/status HTTP/1.1", ""), 400);
	assert_int_equal(ask(net, 0, "POST /v1/keys HTTP/1.1", "x"), 405);
	assert_int_equal(ask(net, 0, "PUT /v1/keys/a HTTP/1.1\r\nIf-Match: 7", "x"), 400);
	assert_int_equal(ask(net, 0, "POST " LEASES " HTTP/1.1", "{"), 400);
	assert_int_equal(ask(net, 0, "POST " LEASES " HTTP/1.1", "{\"metadata\":{}}"), 400);
	assert_int_equal(ask(net, 0, "PATCH " LEASES "/lock HTTP/1.1", "{}"), 405);
	assert_int_equal(ask(net, 0,
			     "GET /apis/coordination.k8s.io/v1/namespaces/other/leases HTTP/1.1",
			     ""),
			 403);
	assert_int_equal(ask(net, 0, "POST /v1/rpc HTTP/1.1", "[]"), 400);
}

static void test_calls_reach_the_leader_only_when_they_ask_for_it(void **state)
{
	struct net *net = *state;

	assert_int_equal(ask(net, 1, "POST /v1/rpc HTTP/1.1", "{\"method\":\"leader\"}"), 200);
	assert_non_null(strstr(body_of(net), "\"pod\":\"db-1\""));
	assert_int_equal(net->agents[0].asked, 0);
	assert_int_equal(ask(net, 1, "POST /v1/rpc HTTP/1.1",
			     "{\"method\":\"leader\",\"leader_only\":true}"),
			 200);
	assert_non_null(strstr(body_of(net), "\"pod\":\"db-0\",\"ordinal\":0,\"role\":\"leader\""));
	assert_int_equal(ask(net, 2, "POST /v1/rpc HTTP/1.1", "{\"method\":\"healthz\"}"), 200);
	assert_non_null(strstr(body_of(net), "\"ok\":true"));
	assert_int_equal(ask(net, 2, "POST /v1/rpc HTTP/1.1", "{\"method\":\"dance\"}"), 200);
	assert_non_null(strstr(body_of(net), "\"ok\":false"));
}

static void test_nobody_answers_for_a_leader_that_is_not_reached(void **state)
{
	struct net *net = *state;

	net->agents[0].cut_off = true;
	assert_int_equal(ask(net, 1, "PUT /v1/keys/a HTTP/1.1", "x"), 503);
	assert_non_null(strstr(buf_cstr(&net->text), "Retry-After: 1"));
	assert_int_equal(ask(net, 1, "GET " LEASES "/lock HTTP/1.1", ""), 503);
	assert_field(net, "reason", "ServiceUnavailable");
	assert_int_equal(ask(net, 1, "GET /v1/status HTTP/1.1", ""), 200);
}

/* Until the client has been sent @text, or @other. */
static void wait_for(struct net *net, int client, const char *text, const char *other)
{
	struct mono deadline = mono_add_ms(clock_mono(), WAIT_MS);

	while (!strstr(buf_cstr(&net->text), text) && !strstr(buf_cstr(&net->text), other)) {
		assert_true(take(net, client));
		turn(net);
		assert_false(mono_reached(clock_mono(), deadline));
	}
}

static void test_watches_tell_what_changes(void **state)
{
	struct net *net = *state;
	int client = begin(net, 1, "GET " LEASES "?watch=true HTTP/1.1", "");

	wait_for(net, client, "200 OK", "200 OK");
	assert_int_equal(ask(net, 2, "POST " LEASES " HTTP/1.1", LEASE("", "a")), 201);
	buf_clear(&net->text);
	wait_for(net, client, "\"type\":\"ADDED\"", "\"type\":\"ADDED\"");
	assert_int_equal(ask(net, 2, "DELETE " LEASES "/lock HTTP/1.1", ""), 200);
	buf_clear(&net->text);
	wait_for(net, client, "\"type\":\"DELETED\"", "\"type\":\"DELETED\"");
	(void)close(client);

	client = begin(net, 2, "GET /v1/watch HTTP/1.1", "");
	wait_for(net, client, "\"leader\":\"db-0\"", "\"leader\":\"db-0\"");
	buf_clear(&net->text);
	stop(&net->agents[0]);
	wait_for(net, client, "\"leader\":\"db-1\"", "\"leader\":\"db-2\"");
	(void)close(client);
}

static void test_old_versions_cannot_be_watched_from(void **state)
{
	struct net *net = *state;

	for (int i = 0; i <= KEYS_CHANGES_MAX; i++)
		assert_int_equal(ask(net, 0, "PUT /v1/keys/a HTTP/1.1", "x"), 200);
	assert_int_equal(ask(net, 0, "GET /v1/keys?watch=1&after=1 HTTP/1.1", ""), 410);
	assert_int_equal(ask(net, 0, "GET " LEASES "?watch=1&resourceVersion=1 HTTP/1.1", ""), 410);
	assert_field(net, "reason", "Expired");
}

static size_t count_members(const struct agent *agent)
{
	return group_part_view(agent->part).members->count;
}

/* One after the other, down to the last, who keeps what there is. */
static void test_who_is_not_wanted_any_more_leaves(void **state)
{
	struct net *net = *state;
	struct mono deadline = mono_add_ms(clock_mono(), WAIT_MS);

	assert_int_equal(ask(net, 0, "PUT /v1/keys/a HTTP/1.1", "x"), 200);
	for (size_t i = 2; i > 0; i--) {
		group_part_leave(net->agents[i].part);
		while (!group_part_has_left(net->agents[i].part) ||
		       count_members(&net->agents[0]) != i) {
			turn(net);
			assert_false(mono_reached(clock_mono(), deadline));
		}
	}
	group_part_leave(net->agents[0].part);
	assert_int_equal(ask(net, 0, "GET /v1/keys/a HTTP/1.1", ""), 200);
	assert_false(group_part_has_left(net->agents[0].part));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_everyone_tells_who_leads, setup, teardown),
		cmocka_unit_test_setup_teardown(test_keys_are_compared_and_set_at_any_replica,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_command_of_a_session_happens_once, setup,
						teardown),
		cmocka_unit_test_setup_teardown(
			test_leases_are_what_clients_of_leader_election_expect, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_makes_no_sense_is_told, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_calls_reach_the_leader_only_when_they_ask_for_it, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_nobody_answers_for_a_leader_that_is_not_reached, setup, teardown),
		cmocka_unit_test_setup_teardown(test_watches_tell_what_changes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_who_is_not_wanted_any_more_leaves, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_old_versions_cannot_be_watched_from, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
