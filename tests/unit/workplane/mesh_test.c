/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "identity/issue.h"
#include "io/clock.h"
#include "mesh_world.h"
#include "workplane/mesh_internal.h"

/* An application of a pod: accepts one connection and sends back what it gets, its end included. */
struct echo {
	int listener, fd;
	uint16_t port;
	struct loop_watch *watch, *accepting;
	struct loop *loop;
	size_t accepted;
};

static void on_echo(void *user, int events)
{
	struct echo *echo = user;
	char text[4096];
	ssize_t len = recv(echo->fd, text, sizeof(text), MSG_DONTWAIT);

	(void)events;
	if (len > 0) {
		assert_int_equal(send(echo->fd, text, (size_t)len, MSG_NOSIGNAL), len);
	} else if (len == 0) {
		(void)shutdown(echo->fd, SHUT_WR);
		loop_watch_set(echo->watch, 0);
	}
}

static void on_accept(void *user, int events)
{
	struct echo *echo = user;

	(void)events;
	echo->fd = accept4(echo->listener, NULL, NULL, SOCK_NONBLOCK);
	assert_true(echo->fd >= 0);
	echo->accepted++;
	loop_watch_free(echo->watch);
	assert_int_equal(
		loop_watch_new(echo->loop, echo->fd, LOOP_READABLE, on_echo, echo, &echo->watch),
		0);
}

static struct echo *echo_new(struct loop *loop)
{
	struct sockaddr_in name = {.sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct echo *echo = mem_new(struct echo);
	socklen_t len = sizeof(name);

	echo->loop = loop;
	echo->fd = -1;
	echo->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(echo->listener, (struct sockaddr *)&name, len), 0);
	assert_int_equal(listen(echo->listener, 8), 0);
	assert_int_equal(getsockname(echo->listener, (struct sockaddr *)&name, &len), 0);
	echo->port = ntohs(name.sin_port);
	assert_int_equal(loop_watch_new(loop, echo->listener, LOOP_READABLE, on_accept, echo,
					&echo->accepting),
			 0);
	return echo;
}

static void echo_free(struct echo *echo)
{
	loop_watch_free(echo->watch);
	loop_watch_free(echo->accepting);
	(void)close(echo->listener);
	if (echo->fd >= 0)
		(void)close(echo->fd);
	free(echo);
}

struct looking {
	struct mesh *mesh;
	const char *namespace, *name;
	struct mesh_question *question;
	size_t ready;
	bool wanted_ready;
};

static void on_resolved(void *user, const struct service_record *const *records, size_t count,
			bool complete)
{
	struct looking *looking = user;

	(void)complete;
	looking->question = NULL;
	looking->ready = 0;
	for (size_t i = 0; i < count; i++)
		looking->ready += records[i]->ready;
}

static bool sees(void *user)
{
	struct looking *looking = user;

	if ((looking->ready > 0) == looking->wanted_ready && !looking->question)
		return true;
	if (!looking->question)
		looking->question = mesh_resolve(looking->mesh, looking->namespace, looking->name,
						 on_resolved, looking);
	return false;
}

static void until_seen(struct pods *pods, const struct pod *pod, const char *namespace,
		       const char *name, bool ready)
{
	struct looking looking = {pod->mesh, namespace, name, NULL, ready ? 0 : 1, ready};

	pods_until(pods, sees, &looking);
}

/* What an application's end of a connection has heard. */
struct heard {
	int fd;
	char text[256];
	size_t len;
	bool end, reset;
};

static bool has_ended(void *user)
{
	struct heard *heard = user;
	ssize_t len = recv(heard->fd, heard->text + heard->len, sizeof(heard->text) - heard->len,
			   MSG_DONTWAIT);

	if (len > 0)
		heard->len += (size_t)len;
	heard->end = len == 0;
	heard->reset = len < 0 && errno == ECONNRESET;
	return heard->end || heard->reset;
}

static const struct mesh_name web = {"shop", "web"};

static struct heard call(struct pods *pods, const struct pod *from, const struct mesh_name *target,
			 uint16_t port, const char *port_name)
{
	struct mesh_order order = {
		.targets = target, .target_count = 1, .port = port, .port_name = port_name};
	struct heard heard = {0};
	int pair[2];

	pair_of_sockets(pair);
	heard.fd = pair[1];
	assert_int_equal(send(pair[1], "hello", 5, MSG_NOSIGNAL), 5);
	assert_int_equal(shutdown(pair[1], SHUT_WR), 0);
	mesh_open(from->mesh, &order, pair[0]);
	pods_until(pods, has_ended, &heard);
	(void)close(pair[1]);
	return heard;
}

static void bytes_and_ends_go_both_ways(void **state)
{
	struct pods *pods = pods_new(1);
	struct echo *echo = echo_new(pods->loop);
	struct service_port port = {(char *)(uintptr_t) "http", echo->port, SERVICE_TCP};
	struct pod_config web_config = {"shop",         "web",           "web-1",
					.ports = &port, .port_count = 1, .inherited = true};
	struct pod_config client_config = {"shop", "client", "client-1"};
	struct pod server = pod_new(pods, &web_config, NULL);
	struct pod client = pod_new(pods, &client_config, &server);
	struct mesh_stats stats;
	struct heard heard;

	(void)state;
	until_seen(pods, &client, "shop", "web", true);
	heard = call(pods, &client, &web, echo->port, NULL);
	assert_true(heard.end);
	assert_int_equal(heard.len, 5);
	assert_memory_equal(heard.text, "hello", 5);
	heard = call(pods, &client, &web, 0, "http");
	assert_int_equal(heard.len, 5);
	/* To its own workload, too: itself, here. */
	heard = call(pods, &server, &web, 0, "http");
	assert_int_equal(heard.len, 5);
	mesh_stats(server.mesh, &stats);
	assert_int_equal(stats.served, 3);
	assert_int_equal(stats.bytes_out, 20); /* as server, and as client of itself */
	mesh_free(client.mesh);
	mesh_free(server.mesh);
	echo_free(echo);
	pods_free(pods);
}

/* Nobody has been reached yet when it is made. */
static void the_first_call_of_an_agent_waits_until_it_knows_somebody(void **state)
{
	struct pods *pods = pods_new(13);
	struct echo *echo = echo_new(pods->loop);
	struct pod_config web_config = {"shop", "web", "web-1"};
	struct pod_config client_config = {"shop", "client", "client-1"};
	struct pod server = pod_new(pods, &web_config, NULL);
	struct pod client = pod_new(pods, &client_config, &server);
	struct heard heard = call(pods, &client, &web, echo->port, NULL);

	(void)state;
	assert_true(heard.end);
	assert_int_equal(heard.len, 5);
	mesh_free(client.mesh);
	mesh_free(server.mesh);
	echo_free(echo);
	pods_free(pods);
}

/* Whom it was told of is gone. */
static void who_reaches_nobody_is_answered_all_the_same(void **state)
{
	struct pods *pods = pods_new(14);
	struct pod_config web_config = {"shop", "web", "web-1"};
	struct pod_config client_config = {"shop", "client", "client-1"};
	struct pod gone = pod_new(pods, &web_config, NULL);
	struct pod client;

	(void)state;
	mesh_free(gone.mesh);
	client = pod_new(pods, &client_config, &gone);
	assert_true(call(pods, &client, &web, 80, NULL).reset);
	mesh_free(client.mesh);
	pods_free(pods);
}

static void what_cannot_be_had_is_reset(void **state)
{
	struct pods *pods = pods_new(2);
	struct echo *echo = echo_new(pods->loop);
	struct pod_config web_config = {"shop", "web", "web-1"};
	struct pod_config client_config = {"shop", "client", "client-1"};
	static const struct mesh_name nobody = {"shop", "nobody"};
	struct pod server = pod_new(pods, &web_config, NULL);
	struct pod client = pod_new(pods, &client_config, &server);
	struct mesh_stats stats;
	uint16_t port = echo->port;

	(void)state;
	until_seen(pods, &client, "shop", "web", true);
	assert_true(call(pods, &client, &nobody, 80, NULL).reset);
	assert_true(call(pods, &client, &web, 0, "metrics").reset);
	echo_free(echo);
	assert_true(call(pods, &client, &web, port, NULL).reset);
	mesh_stats(server.mesh, &stats);
	assert_int_equal(stats.unreachable, 1);
	assert_int_equal(stats.refused_other, 1);
	mesh_free(client.mesh);
	mesh_free(server.mesh);
	pods_free(pods);
}

static void the_receiver_refuses_whom_its_policy_does_not_admit(void **state)
{
	struct pods *pods = pods_new(3);
	struct echo *echo = echo_new(pods->loop);
	char *deny = (char *)(uintptr_t) "evil", *allow = (char *)(uintptr_t) "shop/*";
	struct pod_config web_config = {
		"shop", "web", "web-1",
		.policy = {.deny = &deny, .deny_count = 1, .allow = &allow, .allow_count = 1}};
	struct pod_config evil_config = {"shop", "evil", "evil-1"};
	struct pod_config other_config = {"bank", "client", "client-1"};
	struct pod server = pod_new(pods, &web_config, NULL);
	struct pod evil = pod_new(pods, &evil_config, &server);
	struct pod other = pod_new(pods, &other_config, &server);
	struct mesh_stats stats;

	(void)state;
	/* They are not even shown it. */
	assert_true(call(pods, &evil, &web, echo->port, NULL).reset);
	assert_true(call(pods, &other, &web, echo->port, NULL).reset);
	mesh_stats(server.mesh, &stats);
	assert_int_equal(stats.served, 0);
	assert_int_equal(echo->accepted, 0);
	mesh_free(other.mesh);
	mesh_free(evil.mesh);
	mesh_free(server.mesh);
	echo_free(echo);
	pods_free(pods);
}

/* A caller that knows of it all the same, as one does whose right was just taken away. */
static void the_receiver_judges_by_itself(void **state)
{
	struct pods *pods = pods_new(9);
	struct echo *echo = echo_new(pods->loop);
	struct pod_config web_config = {"shop", "web", "web-1"};
	struct pod_config client_config = {"shop", "client", "client-1"};
	struct pod server = pod_new(pods, &web_config, NULL);
	struct pod client = pod_new(pods, &client_config, &server);
	char **deny = mem_alloc(1, sizeof(*deny));
	struct mesh_stats stats;

	(void)state;
	until_seen(pods, &client, "shop", "web", true);
	assert_true(call(pods, &client, &web, echo->port, NULL).end);
	deny[0] = mem_strdup("cli*");
	server.mesh->record.policy.deny = deny; /* freed with it */
	server.mesh->record.policy.deny_count = 1;
	assert_true(call(pods, &client, &web, echo->port, NULL).reset);
	mesh_stats(server.mesh, &stats);
	assert_int_equal(stats.refused_policy, 1);
	assert_int_equal(stats.served, 1);
	assert_int_equal(echo->accepted, 1);
	mesh_free(client.mesh);
	mesh_free(server.mesh);
	echo_free(echo);
	pods_free(pods);
}

static bool is_served(void *user)
{
	struct mesh_stats stats;

	mesh_stats(user, &stats);
	return stats.serving > 0;
}

static bool is_alone(void *user)
{
	struct mesh_stats stats;

	mesh_stats(((struct pod *)user)->mesh, &stats);
	return stats.conns == 0 && stats.serving == 0;
}

/* The machine that the caller runs on is not trusted any more. */
static void connections_of_who_is_revoked_end_and_are_refused(void **state)
{
	static char nothing[] = "";
	struct pods *pods = pods_new(11);
	struct echo *echo = echo_new(pods->loop);
	struct pod_config web_config = {"shop", "web", "web-1"};
	struct pod_config client_config = {"shop", "client", "client-1"};
	struct pod server = pod_new(pods, &web_config, NULL);
	struct pod client = pod_new(pods, &client_config, &server);
	struct mesh_order order = {
		.targets = &web, .target_count = 1, .protocol = SERVICE_TCP, .port = echo->port};
	struct revocation what = {.kind = REVOCATION_MACHINE,
				  .machine = client.key.public_key,
				  .user = nothing,
				  .reason = nothing};
	struct heard heard = {0};
	struct mesh_stats stats;
	int pair[2];

	(void)state;
	until_seen(pods, &client, "shop", "web", true);
	assert_true(call(pods, &client, &web, echo->port, NULL).end);
	pair_of_sockets(pair);
	heard.fd = pair[1];
	mesh_open(client.mesh, &order, pair[0]);
	pods_until(pods, is_served, server.mesh);
	mesh_revoke(server.mesh, &(struct revocation_claim){.what = &what, .at = clock_wall()});
	mesh_judge_peers(server.mesh);
	pods_until(pods, has_ended, &heard); /* the one that stood */
	assert_true(heard.reset);
	pods_until(pods, is_alone, &server);
	assert_true(call(pods, &client, &web, echo->port, NULL).reset);
	mesh_stats(server.mesh, &stats);
	assert_true(stats.refused_peers > 0);
	(void)close(pair[1]);
	mesh_free(client.mesh);
	mesh_free(server.mesh);
	echo_free(echo);
	pods_free(pods);
}

/* Fabric time was wrong by a year: whoever was let in by it is looked at again. */
static void a_step_of_time_ends_what_has_run_out(void **state)
{
	struct pods *pods = pods_new(12);
	struct pod_config web_config = {"shop", "web", "web-1"};
	struct pod_config client_config = {"shop", "client", "client-1"};
	struct pod server = pod_new(pods, &web_config, NULL);
	struct pod client = pod_new(pods, &client_config, &server);
	int64_t offset_ms = clock_wall().ms - clock_mono().us / US_PER_MS;

	(void)state;
	until_seen(pods, &client, "shop", "web", true);
	mesh_set_time(server.mesh, offset_ms + 500); /* as clocks run apart */
	assert_false(is_alone(&server));
	mesh_set_time(server.mesh, offset_ms + 31 * CERT_DAY_MS);
	pods_until(pods, is_alone, &server);
	mesh_free(client.mesh);
	mesh_free(server.mesh);
	pods_free(pods);
}

static void readiness_is_followed(void **state)
{
	struct pods *pods = pods_new(4);
	struct pod_config web_config = {"shop", "web", "web-1"};
	struct pod_config client_config = {"shop", "client", "client-1"};
	struct pod server = pod_new(pods, &web_config, NULL);
	struct pod client = pod_new(pods, &client_config, &server);

	(void)state;
	until_seen(pods, &client, "shop", "web", true);
	mesh_set_ready(server.mesh, false, true);
	until_seen(pods, &client, "shop", "web", false); /* how soon: magik-sim, "agents" */
	mesh_free(client.mesh);
	mesh_free(server.mesh);
	pods_free(pods);
}

struct talk {
	int answers;
	size_t last_len;
	bool ended;
};

static void on_flow(void *user, const struct bytes *datagram)
{
	struct talk *talk = user;

	talk->ended = talk->ended || !datagram;
	talk->answers += datagram != NULL;
	talk->last_len = datagram ? datagram->len : 0;
}

static bool has_answer(void *user)
{
	const struct talk *talk = user;

	return talk->answers > 0 || talk->ended;
}

static void on_udp(void *user, int events)
{
	int fd = *(int *)user;
	struct sockaddr_in from;
	socklen_t from_len = sizeof(from);
	static char text[65536];
	ssize_t len =
		recvfrom(fd, text, sizeof(text), MSG_DONTWAIT, (struct sockaddr *)&from, &from_len);

	(void)events;
	if (len >= 0)
		(void)sendto(fd, text, (size_t)len, 0, (struct sockaddr *)&from, from_len);
}

static void datagrams_come_back(void **state)
{
	static const uint8_t data[9000];
	struct pods *pods = pods_new(5);
	struct sockaddr_in name = {.sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(name);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	struct pod_config web_config = {"shop", "web", "web-1"};
	struct pod_config client_config = {"shop", "client", "client-1"};
	struct pod server = pod_new(pods, &web_config, NULL);
	struct pod client = pod_new(pods, &client_config, &server);
	struct mesh_order order = {.targets = &web, .target_count = 1, .protocol = SERVICE_UDP};
	struct loop_watch *watch;
	struct talk talk = {0}, second = {0};
	struct mesh_flow *flow;

	(void)state;
	assert_int_equal(bind(fd, (struct sockaddr *)&name, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&name, &len), 0);
	assert_int_equal(loop_watch_new(pods->loop, fd, LOOP_READABLE, on_udp, &fd, &watch), 0);
	until_seen(pods, &client, "shop", "web", true);
	order.port = ntohs(name.sin_port);
	flow = mesh_flow_new(client.mesh, &order, on_flow, &talk);
	assert_non_null(flow);
	mesh_flow_send(flow, bytes_of(data, 300)); /* waits for the replica */
	pods_until(pods, has_answer, &talk);
	assert_int_equal(talk.last_len, 300);
	talk.answers = 0;
	mesh_flow_send(flow, bytes_of(data, sizeof(data))); /* too large for one packet */
	pods_until(pods, has_answer, &talk);
	assert_int_equal(talk.last_len, sizeof(data));
	mesh_flow_free(flow);
	loop_watch_free(watch);
	(void)close(fd);
	flow = mesh_flow_new(client.mesh, &order, on_flow, &second);
	assert_non_null(flow);
	mesh_flow_send(flow, bytes_of(data, 10));
	pods_until(pods, has_answer, &second);
	assert_true(second.ended); /* nobody listens, and it says so */
	mesh_free(client.mesh);
	mesh_free(server.mesh);
	pods_free(pods);
}

static void on_drained(void *user)
{
	*(bool *)user = true;
}

static bool is_set(void *user)
{
	return *(bool *)user;
}

static void who_leaves_is_gone_at_once(void **state)
{
	struct pods *pods = pods_new(6);
	struct pod_config web_config = {"shop", "web", "web-1"};
	struct pod_config client_config = {"shop", "client", "client-1"};
	struct pod server = pod_new(pods, &web_config, NULL);
	struct pod client = pod_new(pods, &client_config, &server);
	bool drained = false;

	(void)state;
	until_seen(pods, &client, "shop", "web", true);
	mesh_drain(server.mesh, 4000, on_drained, &drained);
	pods_until(pods, is_set, &drained);
	mesh_free(server.mesh);
	until_seen(pods, &client, "shop", "web", false);
	mesh_free(client.mesh);
	pods_free(pods);
}

struct group_heard {
	struct pod *sender;
	uint32_t to, from;
	size_t count;
};

static void on_group(void *user, uint32_t ordinal, struct bytes message)
{
	struct group_heard *heard = user;

	assert_true(bytes_equal(message, bytes_str("a vote")));
	heard->from = ordinal;
	heard->count++;
}

/* Says it until the other one is known, and is then heard. */
static bool is_heard(void *user)
{
	struct group_heard *heard = user;

	if (heard->count == 0)
		(void)!mesh_tell_group(heard->sender->mesh, heard->to, bytes_str("a vote"));
	return heard->count > 0;
}

static bool is_told(void *user)
{
	struct group_heard *heard = user;

	return mesh_tell_group(heard->sender->mesh, heard->to, bytes_str("a vote"));
}

static void replicas_of_a_statefulset_speak_by_ordinal(void **state)
{
	struct pods *pods = pods_new(9);
	struct pod_config zero = {
		.namespace = "shop", .workload = "db", .pod = "db-0", .stateful = true};
	struct pod_config two = {.namespace = "shop",
				 .workload = "db",
				 .pod = "db-2",
				 .stateful = true,
				 .ordinal = 2};
	struct pod_config wrong = {.namespace = "shop",
				   .workload = "db",
				   .pod = "db-02",
				   .stateful = true,
				   .ordinal = 3};
	struct pod first = pod_new(pods, &zero, NULL), third = pod_new(pods, &two, &first);
	struct pod liar = pod_new(pods, &wrong, &first);
	struct group_heard heard = {.sender = &third, .to = 0};

	(void)state;
	assert_false(mesh_tell_group(first.mesh, 0, bytes_str("a vote"))); /* itself */
	mesh_on_group(first.mesh, on_group, &heard);
	pods_until(pods, is_heard, &heard);
	assert_int_equal(heard.from, 2);

	/* It is of the workload, but its name is not spelt as an ordinal's. What it says before
	 * another speaks has arrived when the other is heard. */
	heard = (struct group_heard){.sender = &liar, .to = 0};
	pods_until(pods, is_told, &heard);
	heard.sender = &third;
	pods_until(pods, is_heard, &heard);
	assert_int_equal(heard.from, 2);
	mesh_free(liar.mesh);
	mesh_free(third.mesh);
	mesh_free(first.mesh);
	pods_free(pods);
}

static void an_identity_must_be_of_this_pod(void **state)
{
	struct pods *pods = pods_new(7), *others = pods_new(8);
	struct mesh_config config = {.socket_fd = MESH_FD_NONE,
				     .namespace = "shop",
				     .kind = "Deployment",
				     .workload = "web",
				     .pod = "web-1",
				     .ordinal = SERVICE_NO_ORDINAL};
	struct key key = pods->fabric.credentials.machine_key;
	const struct credentials *machine = &pods->fabric.credentials;
	struct bytes root = bytes_buf(&machine->root[CERT_FAMILY_WORKLOAD - 1]);
	struct buf other_pod = pods_issue(pods, &key.public_key, "ns/shop/deployment/web/web-2");
	struct buf foreign = pods_issue(others, &key.public_key, "ns/shop/deployment/web/web-1");
	const struct bytes chains[] = {bytes_buf(&other_pod), bytes_buf(&foreign),
				       bytes_buf(&machine->machine_chain)};
	struct err err = {0};
	struct mesh *mesh;

	(void)state;
	assert_true(addr_parse("127.0.0.1:1", &config.address));
	assert_int_equal(mesh_new(pods->loop, &config, &err, &mesh), 0);
	mesh_set_time(mesh, clock_wall().ms - clock_mono().us / US_PER_MS);
	for (size_t i = 0; i < 3; i++) {
		struct mesh_identity identity = {&key, chains[i], root};

		assert_int_equal(mesh_set_identity(mesh, &identity, &err), -EACCES);
	}
	mesh_free(mesh);
	buf_deinit(&other_pod);
	buf_deinit(&foreign);
	pods_free(pods);
	pods_free(others);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_and_ends_go_both_ways),
		cmocka_unit_test(the_first_call_of_an_agent_waits_until_it_knows_somebody),
		cmocka_unit_test(who_reaches_nobody_is_answered_all_the_same),
		cmocka_unit_test(what_cannot_be_had_is_reset),
		cmocka_unit_test(the_receiver_refuses_whom_its_policy_does_not_admit),
		cmocka_unit_test(the_receiver_judges_by_itself),
		cmocka_unit_test(connections_of_who_is_revoked_end_and_are_refused),
		cmocka_unit_test(a_step_of_time_ends_what_has_run_out),
		cmocka_unit_test(readiness_is_followed),
		cmocka_unit_test(datagrams_come_back),
		cmocka_unit_test(who_leaves_is_gone_at_once),
		cmocka_unit_test(replicas_of_a_statefulset_speak_by_ordinal),
		cmocka_unit_test(an_identity_must_be_of_this_pod),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
