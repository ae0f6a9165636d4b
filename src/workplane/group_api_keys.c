/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /v1/keys: small values with versions.
 *
 *   GET /v1/keys                names and versions of all
 *   GET /v1/keys/NAME           the value; its version is the ETag
 *   PUT /v1/keys/NAME           If-Match: "VERSION" or If-None-Match: * make it conditional
 *   DELETE /v1/keys/NAME        likewise
 *   POST /v1/sessions           {session}; PUT and DELETE with ?session=ID&sequence=N happen once
 *
 * 409 tells the version there is.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "workplane/group_api_internal.h"

static bool is_method(const struct group_call *call, const char *method)
{
	return strcmp(call->request.method, method) == 0;
}

/* Digits only, and not above what a version can be. */
static bool parse_number(const char *text, size_t len, uint64_t *ret_number)
{
	char digits[24];

	if (len == 0 || len >= sizeof(digits) || strspn(text, "0123456789") < len)
		return false;
	memcpy(digits, text, len);
	digits[len] = 0;
	errno = 0;
	*ret_number = strtoull(digits, NULL, 10);
	return errno == 0 && *ret_number <= INT64_MAX;
}

/* "17" in quotes, or a star. */
static bool parse_condition(const char *text, bool *ret_star, uint64_t *ret_version)
{
	size_t len = strlen(text);

	*ret_star = strcmp(text, "*") == 0;
	return *ret_star || (len > 2 && text[0] == '"' && text[len - 1] == '"' &&
			     parse_number(text + 1, len - 2, ret_version));
}

static bool read_conditions(struct group_call *call)
{
	const char *match = call->request.if_match, *none = call->request.if_none_match;
	bool star = false;

	call->command.any = !match && !none;
	if (match && none)
		return false;
	if (none)
		return strcmp(none, "*") == 0; /* only if there is none: version 0 */
	if (match && (!parse_condition(match, &star, &call->command.expect) || star))
		return false;
	return true;
}

static bool read_session(struct group_call *call)
{
	const char *session = url_param(&call->url, "session");
	const char *sequence = url_param(&call->url, "sequence");

	if (!session && !sequence)
		return true;
	return session && sequence &&
	       parse_number(session, strlen(session), &call->command.session) &&
	       parse_number(sequence, strlen(sequence), &call->command.sequence) &&
	       call->command.session > 0 && call->command.sequence > 0;
}

static void finish_command(struct group_call *call, const struct keys_result *result)
{
	static const struct {
		uint16_t status;
		const char *error;
	} outcomes[KEYS_OUTCOME_COUNT] = {
		[KEYS_DONE] = {200, NULL},
		[KEYS_CONFLICT] = {409, "it has another version"},
		[KEYS_ABSENT] = {404, "there is none of that name"},
		[KEYS_FULL] = {507, "there is no room for it"},
		[KEYS_EXPIRED] = {410, "the session is not known any more"},
		[KEYS_STALE] = {409, "the session has sent a later command"},
		[KEYS_INVALID] = {422, "that is no command"},
	};
	uint16_t status = outcomes[result->outcome].status;

	if (result->outcome == KEYS_DONE)
		group_call_json(call, status,
				json_pack("{s:I}", "version", (json_int_t)result->version),
				result->version);
	else
		group_call_json(call, status,
				json_pack("{s:s, s:I}", "error", outcomes[result->outcome].error,
					  "version", (json_int_t)result->version),
				result->version);
}

static void finish_session(struct group_call *call, const struct keys_result *result)
{
	group_call_json(call, 201, json_pack("{s:I}", "session", (json_int_t)result->version), 0);
}

void group_sessions_handle(struct group_call *call)
{
	if (!is_method(call, "POST")) {
		group_call_fail(call, 405, "a session is made by POST");
		return;
	}
	call->command = (struct keys_command){.type = KEYS_COMMAND_SESSION};
	group_call_propose(call, finish_session);
}

static void finish_get(struct group_call *call, const struct keys_result *result)
{
	const struct keys_item *item =
		keys_find(quorum_keys(call->api->config.quorum), KEYS_VALUE, call->command.name);
	struct group_reply reply = {.status = 200, .content_type = "application/octet-stream"};

	(void)result;
	if (!item) {
		group_call_fail(call, 404, "there is none of that name");
		return;
	}
	reply.body = item->value;
	reply.version = item->version;
	group_call_reply(call, &reply);
}

static void finish_list(struct group_call *call, const struct keys_result *result)
{
	const struct keys *keys = quorum_keys(call->api->config.quorum);
	const struct keys_item *item;
	json_t *items = json_array();
	size_t position = 0;

	(void)result;
	while ((item = keys_next(keys, KEYS_VALUE, &position)))
		(void)json_array_append_new(items, json_pack("{s:s%, s:I, s:I}", "name",
							     item->name.ptr, item->name.len,
							     "version", (json_int_t)item->version,
							     "size", (json_int_t)item->value.len));
	group_call_json(
		call, 200,
		json_pack("{s:o, s:I}", "keys", items, "version", (json_int_t)keys_index(keys)),
		keys_index(keys));
}

static void handle_command(struct group_call *call, enum keys_command_type type)
{
	call->command.type = type;
	call->command.value = call->request.body;
	if (!read_conditions(call) || !read_session(call))
		group_call_fail(call, 400,
				"If-Match takes a version in quotes, If-None-Match a star; "
				"session and sequence go together");
	else if (call->request.body.len > KEYS_VALUE_MAX)
		group_call_fail(call, 413, "the value is too large");
	else
		group_call_propose(call, finish_command);
}

void group_keys_handle(struct group_call *call, size_t at)
{
	const char *name = at < call->url.segment_count ? call->url.segments[at] : NULL;

	if (call->url.segment_count > at + 1 || (name && strlen(name) > KEYS_NAME_MAX)) {
		group_call_fail(call, 404, "no key has such a name");
		return;
	}
	if (!name) {
		if (is_method(call, "GET"))
			group_call_read(call, finish_list);
		else
			group_call_fail(call, 405, "keys are listed by GET");
		return;
	}
	call->command.name = bytes_str(name);
	if (is_method(call, "GET"))
		group_call_read(call, finish_get);
	else if (is_method(call, "PUT"))
		handle_command(call, KEYS_COMMAND_PUT);
	else if (is_method(call, "DELETE"))
		handle_command(call, KEYS_COMMAND_DELETE);
	else
		group_call_fail(call, 405, "GET, PUT and DELETE are known");
}
