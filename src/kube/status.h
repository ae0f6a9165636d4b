/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Status: the object that answers a failed request, and a successful delete.
 *
 * Clients act on `reason`, people read `message`; reason and HTTP code come from one table, and the
 * standard sentences are Kubernetes' own, because scripts match them. Results belong to the caller.
 */
#pragma once

#include <jansson.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "kube/resource.h"

enum kube_reason {
	KUBE_REASON_BAD_REQUEST,
	KUBE_REASON_UNAUTHORIZED,
	KUBE_REASON_FORBIDDEN,
	KUBE_REASON_NOT_FOUND,
	KUBE_REASON_METHOD_NOT_ALLOWED,
	KUBE_REASON_NOT_ACCEPTABLE,
	KUBE_REASON_ALREADY_EXISTS,
	KUBE_REASON_CONFLICT,
	KUBE_REASON_EXPIRED, /* 410: a watch's version is too old */
	KUBE_REASON_TOO_LARGE,
	KUBE_REASON_UNSUPPORTED_MEDIA_TYPE,
	KUBE_REASON_INVALID,
	KUBE_REASON_TOO_MANY_REQUESTS,
	KUBE_REASON_INTERNAL,
	KUBE_REASON_UNAVAILABLE,
	KUBE_REASON_TIMEOUT,
	KUBE_REASON_COUNT,
};

/* The HTTP code of a reason, and the word that clients look for ("NotFound"). */
uint16_t kube_reason_code(enum kube_reason reason);
const char *kube_reason_word(enum kube_reason reason);

/* The reason that fits an HTTP code; KUBE_REASON_INTERNAL when none does. */
enum kube_reason kube_reason_of_code(uint16_t code);

/* A Failure with a free sentence. */
_must_use_ json_t *kube_status(enum kube_reason reason, const char *format, ...) _printf_(2, 3);

/* A Failure from what an edge function reported: err->status gives the code (0: 500). */
_must_use_ json_t *kube_status_of_err(const struct err *err);

/*
 * A Failure about one object with Kubernetes' sentence and details: NOT_FOUND ("deployments.apps
 * "x" not found"), ALREADY_EXISTS, CONFLICT ("Operation cannot be fulfilled on ...").
 */
_must_use_ json_t *kube_status_of_object(enum kube_reason reason,
					 const struct kube_resource *resource, const char *name);

/*
 * 422 Invalid: `Deployment.apps "x" is invalid: ...`. @causes is a JSON array of {reason, message,
 * field}; borrowed and copied.
 */
_must_use_ json_t *kube_status_invalid(const struct kube_resource *resource, const char *name,
				       const json_t *causes);

/* 409: server-side apply met what others have set. @causes is borrowed and copied. */
_must_use_ json_t *kube_status_conflicts(const char *sentence, const json_t *causes);

/* 404 for a path or resource nobody serves; 405 for a verb; 401; 403 with a sentence. */
_must_use_ json_t *kube_status_no_resource(void);
_must_use_ json_t *kube_status_no_method(void);

/* 405 for a write to what clients only read, with the reason of resources.def. */
_must_use_ json_t *kube_status_read_only(const struct kube_resource *resource);

/* Success of a DELETE: the uid lets kubectl tell a re-created name from this one. */
_must_use_ json_t *kube_status_deleted(const struct kube_resource *resource, const char *name,
				       const char *uid);

/* The HTTP code a Status object asks for; 200 for a Success. */
uint16_t kube_status_code(const json_t *status);
