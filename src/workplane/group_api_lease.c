/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Leases of coordination.k8s.io/v1, as clients of leader election use them: get, list, create,
 * replace and delete, each write against the resourceVersion that was read. Nobody but the group
 * holds them: what the API of the machines shows under this name is another thing (a machine's sign
 * of life).
 *
 * A Lease keeps its spec. Labels and annotations are not kept, and PATCH is not known: clients of
 * leader election replace.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "identity/sha256.h"
#include "kube/resource.h"
#include "kube/status.h"
#include "kube/time.h"
#include "workplane/group_api_internal.h"

#define GROUP_LEASE_API "coordination.k8s.io/v1"

enum {
	US_DIGITS = 6,
};

static bool is_method(const struct group_call *call, const char *method)
{
	return strcmp(call->request.method, method) == 0;
}

static void fail(struct group_call *call, enum kube_reason reason, const char *sentence)
{
	group_call_status(call, kube_status(reason, "%s", sentence));
}

/* About this Lease, with the sentence that clients know. */
static void fail_object(struct group_call *call, enum kube_reason reason)
{
	struct buf name = {0};

	buf_append_bytes(&name, call->command.name);
	group_call_status(
		call, kube_status_of_object(reason, kube_resource(KUBE_LEASES), buf_cstr(&name)));
	buf_deinit(&name);
}

/* ---- to JSON */

/* RFC 3339 with microseconds, as MicroTime is written. */
static json_t *micro_time(int64_t us)
{
	struct kube_time text = kube_time_text((struct wall){.ms = us / US_PER_MS});
	char micro[sizeof(text.text) + 24];

	text.text[strcspn(text.text, "Z")] = 0;
	(void)snprintf(micro, sizeof(micro), "%s.%06" PRId64 "Z", text.text,
		       us % ((int64_t)MS_PER_S * US_PER_MS));
	return json_string(micro);
}

static json_t *spec_json(const struct keys_lease *lease)
{
	json_t *spec = json_object();

	if (lease->holder.len > 0)
		(void)json_object_set_new(
			spec, "holderIdentity",
			json_stringn((const char *)lease->holder.ptr, lease->holder.len));
	if (lease->duration_s > 0)
		(void)json_object_set_new(spec, "leaseDurationSeconds",
					  json_integer(lease->duration_s));
	(void)json_object_set_new(spec, "leaseTransitions", json_integer(lease->transitions));
	if (lease->acquired_us > 0)
		(void)json_object_set_new(spec, "acquireTime", micro_time(lease->acquired_us));
	if (lease->renewed_us > 0)
		(void)json_object_set_new(spec, "renewTime", micro_time(lease->renewed_us));
	return spec;
}

/* The same for as long as it is not deleted. */
static struct uid uid_of(const struct group_api *api, const struct keys_item *item)
{
	struct buf text = {0};
	struct digest digest;

	buf_append_format(&text, "%s/%s/%.*s/%" PRIu64, api->config.namespace, api->config.workload,
			  (int)item->name.len, (const char *)item->name.ptr, item->created);
	digest = sha256(bytes_buf(&text));
	buf_deinit(&text);
	return uid_from_random(digest.byte);
}

json_t *group_lease_json(const struct group_api *api, const struct keys_item *item)
{
	struct uid uid = uid_of(api, item);
	char version[24];

	(void)snprintf(version, sizeof(version), "%" PRIu64, item->version);
	return json_pack("{s:s, s:s, s:{s:s%, s:s, s:s, s:s}, s:o}", "apiVersion", GROUP_LEASE_API,
			 "kind", "Lease", "metadata", "name", item->name.ptr, item->name.len,
			 "namespace", api->config.namespace, "uid", uid_text(&uid).text,
			 "resourceVersion", version, "spec", spec_json(&item->lease));
}

static void finish_get(struct group_call *call, const struct keys_result *result)
{
	const struct keys_item *item =
		keys_find(quorum_keys(call->api->config.quorum), KEYS_LEASE, call->command.name);

	(void)result;
	if (item)
		group_call_json(call, 200, group_lease_json(call->api, item), item->version);
	else
		fail_object(call, KUBE_REASON_NOT_FOUND);
}

static void finish_list(struct group_call *call, const struct keys_result *result)
{
	const struct keys *keys = quorum_keys(call->api->config.quorum);
	const struct keys_item *item;
	json_t *items = json_array();
	size_t position = 0;
	char version[24];

	(void)result;
	while ((item = keys_next(keys, KEYS_LEASE, &position)))
		(void)json_array_append_new(items, group_lease_json(call->api, item));
	(void)snprintf(version, sizeof(version), "%" PRIu64, keys_index(keys));
	group_call_json(call, 200,
			json_pack("{s:s, s:s, s:{s:s}, s:o}", "apiVersion", GROUP_LEASE_API, "kind",
				  "LeaseList", "metadata", "resourceVersion", version, "items",
				  items),
			keys_index(keys));
}

/* ---- from JSON */

/* A time to the microsecond; absent is 0. */
static bool read_time(const json_t *spec, const char *field, int64_t *ret_us)
{
	const char *text = json_string_value(json_object_get(spec, field)), *point;
	struct wall at;
	int64_t micro = 0;

	*ret_us = 0;
	if (!json_object_get(spec, field) || json_is_null(json_object_get(spec, field)))
		return true;
	if (!text || !kube_time_parse(text, &at) || at.ms < 0)
		return false;
	point = strchr(text, '.');
	for (size_t i = 1; point && i <= US_DIGITS; i++) {
		bool digit = point[i] >= '0' && point[i] <= '9';

		micro = micro * 10 + (digit ? point[i] - '0' : 0);
		if (!digit)
			point = "0000000"; /* the rest are zeroes, which are digits */
	}
	*ret_us = at.ms / MS_PER_S * US_PER_S + micro;
	return true;
}

static bool read_u32(const json_t *spec, const char *field, uint32_t *ret_value)
{
	const json_t *value = json_object_get(spec, field);

	*ret_value = 0;
	if (!value || json_is_null(value))
		return true;
	if (!json_is_integer(value) || json_integer_value(value) < 0 ||
	    json_integer_value(value) > INT32_MAX)
		return false;
	*ret_value = (uint32_t)json_integer_value(value);
	return true;
}

/* NULL, or what is wrong with it. The holder is kept in call->value. */
static const char *read_spec(struct group_call *call, const json_t *lease)
{
	const json_t *spec = json_object_get(lease, "spec");
	const json_t *holder = json_object_get(spec, "holderIdentity");
	struct keys_lease *to = &call->command.lease;

	if (spec && !json_is_object(spec) && !json_is_null(spec))
		return "spec: must be an object";
	if (holder && !json_is_string(holder) && !json_is_null(holder))
		return "spec.holderIdentity: must be a string";
	if (json_string_length(holder) > KEYS_NAME_MAX)
		return "spec.holderIdentity: is too long";
	buf_clear(&call->value);
	buf_append(&call->value, json_string_value(holder), json_string_length(holder));
	to->holder = bytes_buf(&call->value);
	if (!read_u32(spec, "leaseDurationSeconds", &to->duration_s))
		return "spec.leaseDurationSeconds: must be a number that is not negative";
	if (!read_u32(spec, "leaseTransitions", &to->transitions))
		return "spec.leaseTransitions: must be a number that is not negative";
	if (!read_time(spec, "acquireTime", &to->acquired_us) ||
	    !read_time(spec, "renewTime", &to->renewed_us))
		return "spec.acquireTime, spec.renewTime: must be times of RFC 3339";
	return NULL;
}

/* The version that the object names; 0: none. */
static bool read_version(const json_t *lease, uint64_t *ret_version)
{
	const json_t *version =
		json_object_get(json_object_get(lease, "metadata"), "resourceVersion");
	const char *text = json_string_value(version);
	char *end;

	*ret_version = 0;
	if (!version || json_is_null(version) || (text && !*text))
		return true;
	if (!text || strspn(text, "0123456789") != strlen(text))
		return false;
	*ret_version = strtoull(text, &end, 10);
	return *ret_version > 0 && *ret_version <= INT64_MAX;
}

/* ---- writing */

static void finish_write(struct group_call *call, const struct keys_result *result)
{
	bool created = is_method(call, "POST");
	struct keys_item item = {.kind = KEYS_LEASE,
				 .name = call->command.name,
				 .version = result->version,
				 .lease = call->command.lease};
	const struct keys_item *now;

	switch (result->outcome) {
	case KEYS_DONE:
		now = keys_find(quorum_keys(call->api->config.quorum), KEYS_LEASE,
				call->command.name);
		item.created = now ? now->created : result->version;
		group_call_json(call, created ? 201 : 200, group_lease_json(call->api, &item),
				result->version);
		return;
	case KEYS_CONFLICT:
		fail_object(call, created ? KUBE_REASON_ALREADY_EXISTS : KUBE_REASON_CONFLICT);
		return;
	case KEYS_ABSENT:
		fail_object(call, KUBE_REASON_NOT_FOUND);
		return;
	case KEYS_FULL:
		fail(call, KUBE_REASON_TOO_MANY_REQUESTS, "there is no room for another Lease");
		return;
	case KEYS_EXPIRED:
	case KEYS_STALE:
	case KEYS_INVALID:
	case KEYS_OUTCOME_COUNT:
		break;
	}
	fail(call, KUBE_REASON_INVALID, "the Lease was refused");
}

static void finish_delete(struct group_call *call, const struct keys_result *result)
{
	if (result->outcome == KEYS_DONE)
		group_call_json(call, 200,
				json_pack("{s:s, s:s, s:{}, s:s}", "kind", "Status", "apiVersion",
					  "v1", "metadata", "status", "Success"),
				0);
	else
		fail_object(call, result->outcome == KEYS_CONFLICT ? KUBE_REASON_CONFLICT
								   : KUBE_REASON_NOT_FOUND);
}

/* @name: of the path, or NULL. */
static const char *read_lease(struct group_call *call, const json_t *lease, const char *name)
{
	const json_t *metadata = json_object_get(lease, "metadata");
	const char *given = json_string_value(json_object_get(metadata, "name"));
	const char *namespace = json_string_value(json_object_get(metadata, "namespace"));
	const char *trouble;

	if (!lease)
		return "the body is no JSON";
	if (given && name && strcmp(given, name) != 0)
		return "metadata.name: is not the name in the path";
	if (!given && !name)
		return "metadata.name: is required";
	if (namespace && strcmp(namespace, call->api->config.namespace) != 0)
		return "metadata.namespace: is not the namespace in the path";
	if (strlen(name ? name : given) > KEYS_NAME_MAX || (given && !*given))
		return "metadata.name: is no name";
	if (!read_version(lease, &call->command.expect))
		return "metadata.resourceVersion: is none";
	trouble = read_spec(call, lease);
	if (!trouble)
		call->command.name = bytes_str(name ? name : url_keep(&call->url, given));
	return trouble;
}

static void handle_write(struct group_call *call, const char *name)
{
	json_t *lease = json_loadb((const char *)call->body.ptr, call->body.len, 0, NULL);
	const char *trouble = read_lease(call, lease, name);

	json_decref(lease);
	if (trouble) {
		fail(call, KUBE_REASON_BAD_REQUEST, trouble);
		return;
	}
	if (!name && call->command.expect != 0) {
		fail(call, KUBE_REASON_BAD_REQUEST,
		     "resourceVersion should not be set on objects to be created");
		return;
	}
	/* As in Kubernetes: a replacement that names no version replaces whatever is there, but
	 * makes nothing. */
	call->command.type = KEYS_COMMAND_PUT_LEASE;
	call->command.any = name && call->command.expect == 0;
	group_call_propose(call, finish_write);
}

static void finish_look(struct group_call *call, const struct keys_result *result)
{
	(void)result;
	if (keys_find(quorum_keys(call->api->config.quorum), KEYS_LEASE, call->command.name))
		handle_write(call, call->url.segments[call->url.segment_count - 1]);
	else
		fail_object(call, KUBE_REASON_NOT_FOUND);
}

static void handle_one(struct group_call *call, const char *name)
{
	call->command.name = bytes_str(name);
	if (is_method(call, "GET")) {
		group_call_read(call, finish_get);
	} else if (is_method(call, "PUT")) {
		group_call_read(call, finish_look);
	} else if (is_method(call, "DELETE")) {
		call->command.type = KEYS_COMMAND_DELETE_LEASE;
		call->command.any = true;
		group_call_propose(call, finish_delete);
	} else {
		fail(call, KUBE_REASON_METHOD_NOT_ALLOWED,
		     "a Lease here is read, created, replaced and deleted");
	}
}

void group_lease_handle(struct group_call *call, size_t at)
{
	const struct url *url = &call->url;
	const char *name = url->segment_count > at + 3 ? url->segments[at + 3] : NULL;

	if (url->segment_count < at + 3 || url->segment_count > at + 4 ||
	    strcmp(url->segments[at], "namespaces") != 0 ||
	    strcmp(url->segments[at + 2], "leases") != 0)
		fail(call, KUBE_REASON_NOT_FOUND,
		     "the server could not find the requested resource");
	else if (strcmp(url->segments[at + 1], call->api->config.namespace) != 0)
		fail(call, KUBE_REASON_FORBIDDEN, "a group's Leases are in its own namespace");
	else if (name && strlen(name) > KEYS_NAME_MAX)
		fail(call, KUBE_REASON_BAD_REQUEST, "metadata.name: is no name");
	else if (name)
		handle_one(call, name);
	else if (is_method(call, "GET"))
		group_call_read(call, finish_list);
	else if (is_method(call, "POST"))
		handle_write(call, NULL);
	else
		fail(call, KUBE_REASON_METHOD_NOT_ALLOWED, "Leases are listed and created");
}
