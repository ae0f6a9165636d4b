/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/status.h"

#include <assert.h>
#include <stdarg.h>
#include <string.h>

#include "base/bytes.h"
#include "kube/member.h"

static const struct reason {
	uint16_t code;
	const char *word;
} reasons[KUBE_REASON_COUNT] = {
	[KUBE_REASON_BAD_REQUEST] = {400, "BadRequest"},
	[KUBE_REASON_UNAUTHORIZED] = {401, "Unauthorized"},
	[KUBE_REASON_FORBIDDEN] = {403, "Forbidden"},
	[KUBE_REASON_NOT_FOUND] = {404, "NotFound"},
	[KUBE_REASON_METHOD_NOT_ALLOWED] = {405, "MethodNotAllowed"},
	[KUBE_REASON_NOT_ACCEPTABLE] = {406, "NotAcceptable"},
	[KUBE_REASON_ALREADY_EXISTS] = {409, "AlreadyExists"},
	[KUBE_REASON_CONFLICT] = {409, "Conflict"},
	[KUBE_REASON_EXPIRED] = {410, "Expired"},
	[KUBE_REASON_TOO_LARGE] = {413, "RequestEntityTooLarge"},
	[KUBE_REASON_UNSUPPORTED_MEDIA_TYPE] = {415, "UnsupportedMediaType"},
	[KUBE_REASON_INVALID] = {422, "Invalid"},
	[KUBE_REASON_TOO_MANY_REQUESTS] = {429, "TooManyRequests"},
	[KUBE_REASON_INTERNAL] = {500, "InternalError"},
	[KUBE_REASON_UNAVAILABLE] = {503, "ServiceUnavailable"},
	[KUBE_REASON_TIMEOUT] = {504, "Timeout"},
};

uint16_t kube_reason_code(enum kube_reason reason)
{
	assert(reason < KUBE_REASON_COUNT);
	return reasons[reason].code;
}

const char *kube_reason_word(enum kube_reason reason)
{
	assert(reason < KUBE_REASON_COUNT);
	return reasons[reason].word;
}

enum kube_reason kube_reason_of_code(uint16_t code)
{
	/* 409 has two reasons; a bare code says no more than that something is in the way. */
	if (code == 409)
		return KUBE_REASON_CONFLICT;
	for (size_t i = 0; i < KUBE_REASON_COUNT; i++) {
		if (reasons[i].code == code)
			return (enum kube_reason)i;
	}
	return KUBE_REASON_INTERNAL;
}

static json_t *status_new(enum kube_reason reason, json_t *message, json_t *details)
{
	assert(reason < KUBE_REASON_COUNT);
	json_t *status = json_object();
	kube_set_string(status, "kind", "Status");
	kube_set_string(status, "apiVersion", "v1");
	kube_set(status, "metadata", json_object());
	kube_set_string(status, "status", "Failure");
	kube_set(status, "message", message);
	kube_set_string(status, "reason", reasons[reason].word);
	if (details)
		kube_set(status, "details", details);
	kube_set_int(status, "code", reasons[reason].code);
	return status;
}

json_t *kube_status(enum kube_reason reason, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	json_t *message = json_vsprintf(format, args);
	va_end(args);
	return status_new(reason, message ? message : json_string(""), NULL);
}

json_t *kube_status_of_err(const struct err *err)
{
	enum kube_reason reason = kube_reason_of_code(err->status ? err->status : 500);
	return kube_status(reason, "%s", err->text);
}

/* Details name the kind as clients expect it: the plural, except for Invalid. */
static json_t *details_new(const struct kube_resource *resource, const char *name, const char *kind)
{
	json_t *details = json_object();
	if (name)
		kube_set_string(details, "name", name);
	if (resource->group[0])
		kube_set_string(details, "group", resource->group);
	kube_set_string(details, "kind", kind);
	return details;
}

json_t *kube_status_of_object(enum kube_reason reason, const struct kube_resource *resource,
			      const char *name)
{
	char what[KUBE_QUALIFIED_SIZE];
	json_t *message;
	kube_resource_qualified(resource, what, sizeof(what));
	if (reason == KUBE_REASON_ALREADY_EXISTS)
		message = kube_text("%s \"%s\" already exists", what, name);
	else if (reason == KUBE_REASON_CONFLICT)
		message = kube_text("Operation cannot be fulfilled on %s \"%s\": the object has "
				    "been modified; please apply your changes to the latest "
				    "version and try again",
				    what, name);
	else
		message = kube_text("%s \"%s\" not found", what, name);
	return status_new(reason, message, details_new(resource, name, resource->plural));
}

json_t *kube_status_invalid(const struct kube_resource *resource, const char *name,
			    const json_t *causes)
{
	struct buf text = {0};
	size_t index, count = json_array_size(causes);
	json_t *cause;
	buf_append_format(&text, "%s%s%s \"%s\" is invalid: %s", resource->kind,
			  resource->group[0] ? "." : "", resource->group, name,
			  count > 1 ? "[" : "");
	json_array_foreach (causes, index, cause) {
		buf_append_format(&text, "%s%s: %s", index ? ", " : "",
				  kube_member_string(cause, "field"),
				  kube_member_string(cause, "message"));
	}
	if (count > 1)
		buf_append_str(&text, "]");
	json_t *details = details_new(resource, name, resource->kind);
	kube_set(details, "causes", json_deep_copy(causes));
	json_t *status = status_new(KUBE_REASON_INVALID, kube_text("%s", buf_cstr(&text)), details);
	buf_deinit(&text);
	return status;
}

json_t *kube_status_no_resource(void)
{
	return status_new(KUBE_REASON_NOT_FOUND,
			  json_string("the server could not find the requested resource"),
			  json_object());
}

json_t *kube_status_conflicts(const char *sentence, const json_t *causes)
{
	json_t *details = json_object();
	kube_set(details, "causes", json_deep_copy(causes));
	return status_new(KUBE_REASON_CONFLICT, json_string(sentence), details);
}

json_t *kube_status_no_method(void)
{
	return status_new(
		KUBE_REASON_METHOD_NOT_ALLOWED,
		json_string("the server does not allow this method on the requested resource"),
		json_object());
}

json_t *kube_status_read_only(const struct kube_resource *resource)
{
	char qualified[KUBE_QUALIFIED_SIZE];
	if (!*resource->reason)
		return kube_status_no_method();
	kube_resource_qualified(resource, qualified, sizeof(qualified));
	return status_new(KUBE_REASON_METHOD_NOT_ALLOWED,
			  kube_text("%s cannot be written: %s", qualified, resource->reason),
			  details_new(resource, NULL, resource->plural));
}

json_t *kube_status_deleted(const struct kube_resource *resource, const char *name, const char *uid)
{
	json_t *status = json_object();
	json_t *details = details_new(resource, name, resource->plural);
	kube_set_string(details, "uid", uid);
	kube_set_string(status, "kind", "Status");
	kube_set_string(status, "apiVersion", "v1");
	kube_set(status, "metadata", json_object());
	kube_set_string(status, "status", "Success");
	kube_set(status, "details", details);
	return status;
}

uint16_t kube_status_code(const json_t *status)
{
	if (strcmp(kube_member_string(status, "status"), "Success") == 0)
		return 200;
	int64_t code = kube_member_int(status, "code", 500);
	return code >= 100 && code <= 599 ? (uint16_t)code : 500;
}
