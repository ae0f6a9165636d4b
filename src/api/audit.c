/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Audit: one line of JSON for each request that changes something, or enters a container, written
 * by the gateway that took it when its outcome is known: refused ones as well. What is in a body is
 * never told. A change that could not be audited is not made: when the log takes no more the
 * request is answered 503 before anything happens.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "api/gateway.h"
#include "base/mem.h"
#include "kube/member.h"
#include "kube/time.h"

enum {
	AUDIT_TEXT_MAX = 253,        /* of a name or path: longer ones name nothing */
	AUDIT_BODY_MAX = 512 * 1024, /* of an answer that is searched for uid and version */
};

struct audit {
	struct api *api;
	json_t *line; /* without what the answer tells */
};

static json_t *text_cut(const char *text)
{
	size_t len = strlen(text);

	return json_stringn(text, len < AUDIT_TEXT_MAX ? len : AUDIT_TEXT_MAX);
}

static void set_text(json_t *line, const char *key, const char *text)
{
	json_t *value = text && *text ? text_cut(text) : NULL;

	/* Foreign bytes that are no UTF-8 become none. */
	if (value)
		kube_set(line, key, value);
}

static json_t *line_new(const struct call *call)
{
	const struct exchange *exchange = call->exchange;
	json_t *line = json_object(), *groups = json_array();
	char source[API_SOURCE_MAX];

	exchange_source(exchange, source);
	set_text(line, "user", exchange->user.name);
	for (size_t i = 0; i < exchange->user.group_count; i++)
		kube_push(groups, json_string(exchange->user.groups[i]));
	kube_set(line, "groups", groups);
	set_text(line, "source", source);
	set_text(line, "verb", call->verb);
	if (call->resource) {
		set_text(line, "group", call->resource->group);
		set_text(line, "resource", call->resource->plural);
		set_text(line, "subresource", call->subresource);
		set_text(line, "namespace", call->namespace);
		set_text(line, "name", call->name);
	} else {
		set_text(line, "path", exchange->request.path);
	}
	if (url_param(&call->url, "dryRun"))
		kube_set(line, "dryRun", json_true());
	return line;
}

/* The name that was generated, uid and version, as far as the answer is an object. */
static void add_answer(json_t *line, struct bytes body)
{
	json_t *answer = body.len && body.len <= AUDIT_BODY_MAX
				 ? json_loadb((const char *)body.ptr, body.len, 0, NULL)
				 : NULL;
	const char *uid = kube_member_string(answer, "metadata.uid");

	if (!json_object_get(line, "name"))
		set_text(line, "name", kube_member_string(answer, "metadata.name"));
	set_text(line, "uid", *uid ? uid : kube_member_string(answer, "details.uid"));
	set_text(line, "version", kube_member_string(answer, "metadata.resourceVersion"));
	set_text(line, "reason", kube_member_string(answer, "reason"));
	json_decref(answer);
}

static void answered(void *arg, uint16_t status, struct bytes body)
{
	struct audit *audit = arg;
	const struct api_backend *backend = &audit->api->backend;
	struct wall now = backend->ops->now(backend->self);
	char *text;

	kube_set(audit->line, "code", json_integer(status));
	add_answer(audit->line, body);
	kube_set_string(audit->line, "time", kube_time_text(now).text);
	text = json_dumps(audit->line, JSON_COMPACT);
	if (text)
		backend->ops->audit(backend->self, bytes_str(text));
	free(text);
	json_decref(audit->line);
	free(audit);
}

static bool changes_something(const struct call *call)
{
	static const char *const verbs[] = {"create", "update", "patch", "delete",
					    "deletecollection"};

	if (call->resource && review_is(call->resource))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
		if (strcmp(call->verb, verbs[i]) == 0)
			return true;
	}
	return false;
}

bool audit_begin(struct call *call)
{
	const struct api_backend *backend = &call->api->backend;
	struct err err = {0};
	struct audit *audit;

	if (!backend->ops->audit || !changes_something(call))
		return true;
	if (!backend->ops->audit_ready(backend->self, &err)) {
		call_respond_status(call, kube_status(KUBE_REASON_UNAVAILABLE,
						      "nothing was changed, for it could not be "
						      "audited: %s",
						      err.text));
		return false;
	}
	audit = mem_new(struct audit);
	audit->api = call->api;
	audit->line = line_new(call);
	exchange_on_answer(call->exchange, answered, audit);
	return true;
}
