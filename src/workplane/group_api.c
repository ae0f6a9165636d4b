/* SPDX-License-Identifier: Apache-2.0 */
#include "workplane/group_api.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "io/clock.h"
#include "kube/status.h"
#include "workplane/group_api_internal.h"

#define JSON_TYPE "application/json"
static const char *const role_names[] = {
	[RAFT_FOLLOWER] = "follower",   [RAFT_PRECANDIDATE] = "candidate",
	[RAFT_CANDIDATE] = "candidate", [RAFT_LEADER] = "leader",
	[RAFT_REMOVED] = "removed",     [RAFT_SUPERSEDED] = "superseded",
};

/* ---- calls */

static void call_free(struct group_call *call)
{
	list_remove(&call->link);
	call->api->call_count--;
	if (call->quorum_request)
		quorum_forget(call->api->config.quorum, call->quorum_request);
	loop_timer_free(call->timer);
	url_deinit(&call->url);
	for (size_t i = 0; i < ARRAY_LEN(call->text); i++)
		free(call->text[i]);
	buf_deinit(&call->body);
	buf_deinit(&call->value);
	free(call);
}

void group_call_reply(struct group_call *call, const struct group_reply *reply)
{
	group_reply_fn *done = call->done;
	void *user = call->user;

	done(user, reply);
	call_free(call);
}

void group_call_json(struct group_call *call, uint16_t status, json_t *value, uint64_t version)
{
	char *text = json_dumps(value, JSON_COMPACT);
	struct group_reply reply = {.status = status,
				    .content_type = JSON_TYPE,
				    .body = bytes_str(text ? text : "{}"),
				    .version = version};

	json_decref(value);
	group_call_reply(call, &reply);
	free(text);
}

void group_call_fail(struct group_call *call, uint16_t status, const char *sentence)
{
	group_call_json(call, status, json_pack("{s:s}", "error", sentence), 0);
}

void group_call_status(struct group_call *call, json_t *status)
{
	group_call_json(call, kube_status_code(status), status, 0);
}

static bool is_kubernetes(const struct group_call *call)
{
	return call->url.segment_count > 0 && strcmp(call->url.segments[0], "apis") == 0;
}

/* In the words of whoever asks. */
static void fail_as_asked(struct group_call *call, enum kube_reason reason, const char *sentence)
{
	if (is_kubernetes(call))
		group_call_status(call, kube_status(reason, "%s", sentence));
	else
		group_call_fail(call, kube_reason_code(reason), sentence);
}

/* ---- asking the leader's agent instead */

static void on_silence(void *user)
{
	fail_as_asked(user, KUBE_REASON_TIMEOUT,
		      "the leader did not answer: it may have happened or not");
}

static void forward(struct group_call *call, int64_t leader)
{
	struct group_api *api = call->api;
	int64_t self = quorum_self(api->config.quorum).ordinal;

	if (call->forwarded || leader == QUORUM_NOBODY || leader == self || !api->config.forward ||
	    !api->config.forward(api->config.user, (uint32_t)leader, call->number,
				 &call->request)) {
		fail_as_asked(call, KUBE_REASON_UNAVAILABLE, "nobody leads the group at present");
		return;
	}
	call->asked = (uint32_t)leader;
	call->timer = loop_timer_new(api->config.loop, on_silence, call);
	loop_timer_set(call->timer, mono_add_ms(clock_mono(), GROUP_API_FORWARD_MS));
}

void group_api_forwarded(struct group_api *api, uint32_t ordinal, uint64_t number,
			 const struct group_reply *reply)
{
	list_for_each (it, &api->calls) {
		struct group_call *call = list_entry(it, struct group_call, link);

		if (call->number != number || !call->timer || call->asked != ordinal)
			continue;
		if (reply)
			group_call_reply(call, reply);
		else
			on_silence(call);
		return;
	}
}

/* ---- asking the group */

static void fail_refused(struct group_call *call, enum raft_refused refused)
{
	if (refused == RAFT_REFUSED_TOO_BIG)
		fail_as_asked(call, KUBE_REASON_TOO_LARGE, "it is too large");
	else
		fail_as_asked(call, KUBE_REASON_UNAVAILABLE, "the group is busy: try again");
}

static void on_answer(void *user, const struct quorum_answer *answer)
{
	struct group_call *call = user;

	call->quorum_request = 0;
	if (answer->answer == GROUP_DONE)
		call->finish(call, &answer->result);
	else if (answer->answer == GROUP_UNKNOWN)
		fail_as_asked(call, KUBE_REASON_TIMEOUT, "it may have happened or not");
	else if (answer->refused == RAFT_REFUSED_NOT_LEADER)
		forward(call, answer->leader);
	else
		fail_refused(call, answer->refused);
}

static void asked(struct group_call *call, uint64_t request)
{
	call->quorum_request = request;
	if (!request)
		fail_as_asked(call, KUBE_REASON_TOO_MANY_REQUESTS, "too many requests are open");
}

void group_call_propose(struct group_call *call, group_finish_fn *finish)
{
	struct buf bytes = {0};

	call->finish = finish;
	keys_command_encode(&call->command, &bytes);
	asked(call, quorum_propose(call->api->config.quorum, bytes_buf(&bytes), on_answer, call));
	buf_deinit(&bytes);
}

void group_call_read(struct group_call *call, group_finish_fn *finish)
{
	call->finish = finish;
	asked(call, quorum_read(call->api->config.quorum, on_answer, call));
}

/* ---- status, leader, rpc */

static json_t *name_json(const struct group_api *api, int64_t ordinal)
{
	return json_sprintf("%s-%lld", api->config.workload, (long long)ordinal);
}

static json_t *leader_json(const struct group_api *api, int64_t leader)
{
	return leader == QUORUM_NOBODY ? json_null() : name_json(api, leader);
}

static json_t *member_json(const struct group_api *api, const struct raft_member *member)
{
	return json_pack("{s:o, s:I, s:I, s:b}", "pod", name_json(api, member->ordinal), "ordinal",
			 (json_int_t)member->ordinal, "epoch", (json_int_t)member->epoch, "voter",
			 (int)member->voter);
}

static json_t *token_json(struct group_token token)
{
	return json_pack("{s:I, s:I}", "epoch", (json_int_t)token.epoch, "term",
			 (json_int_t)token.term);
}

static json_t *status_json(const struct group_api *api)
{
	struct quorum_view view = quorum_view(api->config.quorum);
	json_t *members = json_array();

	for (size_t i = 0; view.members && i < view.members->count; i++)
		(void)json_array_append_new(members, member_json(api, &view.members->list[i]));
	return json_pack("{s:s, s:s, s:s, s:I, s:s, s:I, s:I, s:o, s:b, s:b, s:o, s:o}",
			 "namespace", api->config.namespace, "workload", api->config.workload,
			 "pod", api->config.pod, "ordinal",
			 (json_int_t)quorum_self(api->config.quorum).ordinal, "role",
			 view.running ? role_names[view.role] : "stopped", "term",
			 (json_int_t)view.token.term, "epoch", (json_int_t)view.token.epoch,
			 "leader", leader_json(api, view.leader), "member", (int)view.member,
			 "leading", (int)quorum_serves(api->config.quorum), "token",
			 token_json(view.token), "peers", members);
}

void group_api_status(const struct group_api *api, struct buf *out)
{
	json_t *status = status_json(api);
	char *text = json_dumps(status, JSON_COMPACT);

	buf_append_str(out, text ? text : "{}");
	free(text);
	json_decref(status);
}

static void handle_leader(struct group_call *call)
{
	const struct group_api *api = call->api;
	bool serves = quorum_serves(api->config.quorum);
	struct quorum_view view = quorum_view(api->config.quorum);

	group_call_json(call, serves ? 200 : 503,
			json_pack("{s:o, s:b, s:o}", "leader", leader_json(api, view.leader),
				  "leading", (int)serves, "token", token_json(view.token)),
			0);
}

static void rpc_answer(struct group_call *call, json_t *body, const char *error)
{
	group_call_json(call, 200,
			json_pack("{s:b, s:s?, s:o}", "ok", error == NULL, "error", error, "body",
				  body ? body : json_null()),
			0);
}

static void finish_rpc(struct group_call *call, const struct keys_result *result)
{
	const struct group_api *api = call->api;
	json_t *request = json_loadb((const char *)call->body.ptr, call->body.len, 0, NULL);
	const char *method = json_string_value(json_object_get(request, "method"));

	(void)result;
	if (method && strcmp(method, "leader") == 0)
		rpc_answer(call, status_json(api), NULL);
	else if (method && strcmp(method, "healthz") == 0)
		rpc_answer(call,
			   json_pack("{s:b}", "healthy",
				     !api->config.healthy || api->config.healthy(api->config.user)),
			   NULL);
	else
		rpc_answer(call, NULL, "no such method");
	json_decref(request);
}

static void handle_rpc(struct group_call *call)
{
	json_t *request = json_loadb((const char *)call->body.ptr, call->body.len, 0, NULL);
	bool leader_only = json_is_true(json_object_get(request, "leader_only"));
	bool sound = json_is_string(json_object_get(request, "method"));

	json_decref(request);
	if (!sound)
		group_call_fail(call, 400, "the body must be an object with a method");
	else if (leader_only)
		group_call_read(call, finish_rpc);
	else
		finish_rpc(call, NULL);
}

/* ---- routes */

static bool is(const struct group_call *call, size_t at, const char *segment)
{
	return at < call->url.segment_count && strcmp(call->url.segments[at], segment) == 0;
}

static bool is_method(const struct group_call *call, const char *method)
{
	return strcmp(call->request.method, method) == 0;
}

static void route_own(struct group_call *call)
{
	size_t count = call->url.segment_count;

	if (is(call, 1, "keys"))
		group_keys_handle(call, 2);
	else if (is(call, 1, "sessions") && count == 2)
		group_sessions_handle(call);
	else if (is(call, 1, "status") && count == 2 && is_method(call, "GET"))
		group_call_json(call, 200, status_json(call->api), 0);
	else if (is(call, 1, "leader") && count == 2 && is_method(call, "GET"))
		handle_leader(call);
	else if (is(call, 1, "rpc") && count == 2 && is_method(call, "POST"))
		handle_rpc(call);
	else
		group_call_fail(call, 404, "there is no such path");
}

static void route(struct group_call *call)
{
	if (!call->api->config.quorum)
		fail_as_asked(call, KUBE_REASON_NOT_FOUND,
			      "this workload has no consensus group: only a StatefulSet has one");
	else if (is(call, 0, "v1"))
		route_own(call);
	else if (is(call, 0, "apis") && is(call, 1, "coordination.k8s.io") && is(call, 2, "v1"))
		group_lease_handle(call, 3);
	else
		fail_as_asked(call, KUBE_REASON_NOT_FOUND, "there is no such path");
}

static const char *keep(struct group_call *call, size_t at, const char *text)
{
	return call->text[at] = mem_strdup(text);
}

static struct group_call *call_new(struct group_api *api, const struct group_request *request)
{
	struct group_call *call = mem_new(struct group_call);

	call->api = api;
	call->number = ++api->next;
	list_append(&api->calls, &call->link);
	api->call_count++;
	buf_append_bytes(&call->body, request->body);
	call->request = (struct group_request){
		.method = keep(call, 0, request->method),
		.path = keep(call, 1, request->path),
		.query = keep(call, 2, request->query ? request->query : ""),
		.if_match = keep(call, 3, request->if_match),
		.if_none_match = keep(call, 4, request->if_none_match),
		.body = bytes_buf(&call->body),
	};
	return call;
}

static bool is_too_long(const struct group_request *request)
{
	return strlen(request->method) > GROUP_METHOD_MAX ||
	       strlen(request->path) > GROUP_PATH_MAX ||
	       (request->query && strlen(request->query) > GROUP_PATH_MAX) ||
	       (request->if_match && strlen(request->if_match) > GROUP_CONDITION_MAX) ||
	       (request->if_none_match && strlen(request->if_none_match) > GROUP_CONDITION_MAX) ||
	       request->body.len > GROUP_BODY_MAX;
}

void group_api_handle(struct group_api *api, const struct group_request *request, bool forwarded,
		      group_reply_fn *done, void *user)
{
	struct group_request nothing = {.method = "", .path = "/"};
	bool too_long = is_too_long(request);
	struct group_call *call = call_new(api, too_long ? &nothing : request);

	call->forwarded = forwarded;
	call->done = done;
	call->user = user;
	if (too_long)
		group_call_fail(call, 413, "the request is too large");
	else if (api->call_count > GROUP_API_OPEN_MAX)
		group_call_fail(call, 429, "too many requests are open");
	else if (url_parse(call->request.path, call->request.query, &call->url) != 0)
		group_call_fail(call, 400, "the path is malformed");
	else
		route(call);
}

void group_api_forget(struct group_api *api, const void *user)
{
	list_for_each_safe (it, &api->calls) {
		struct group_call *call = list_entry(it, struct group_call, link);

		if (call->user == user)
			call_free(call);
	}
}

struct group_api *group_api_new(const struct group_api_config *config)
{
	struct group_api *api = mem_new(struct group_api);

	api->config = *config;
	list_init(&api->calls);
	return api;
}

void group_api_free(struct group_api *api)
{
	if (!api)
		return;
	list_for_each_safe (it, &api->calls)
		call_free(list_entry(it, struct group_call, link));
	free(api);
}

const struct group_api_config *group_api_config(const struct group_api *api)
{
	return &api->config;
}
