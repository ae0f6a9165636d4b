/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Errors: one idiom for the whole house.
 *
 * A function that can fail returns int:
 *    0   it worked;
 *   >0   a documented outcome of that module (FOO_E_BAR), which the caller handles at once;
 *   <0   an environment failure as -errno, raised by err_origin() and forwarded by err_trace().
 * A bug is an assert. An outcome that a caller cannot meaningfully handle is folded by err_fold().
 *
 * Human text exists only at the edges (engines, API, configuration): those functions also take a
 * struct err *, on the caller's stack, which the callee fills and each level prefixes. No heap.
 */
#pragma once

#include <errno.h>
#include <stdint.h>

#include "base/attr.h"

enum {
	ERR_TEXT_MAX = 240, /* one line of a log or of a Kubernetes Status */
};

/* What went wrong, for people. @status is the HTTP code the API would answer (0: 500). */
struct err {
	int code;
	uint16_t status;
	char text[ERR_TEXT_MAX];
};

/* Fill @err (may be NULL) with @code (negative errno) and text; returns @code. */
int err_set(struct err *err, int code, const char *format, ...) _printf_(3, 4);

/* As err_set(), and names the HTTP status the API should answer with. */
int err_set_status(struct err *err, int code, uint16_t status, const char *format, ...)
	_printf_(4, 5);

/* Put "<prefix>: " before the text; returns err->code. A text too long is cut at its end. */
int err_prefix(struct err *err, const char *format, ...) _printf_(2, 3);

/* Raise -errno at its origin, forward it, or turn an unhandled outcome into a failure: the three
 * verbs say which of these happens, and are the places for a breakpoint. */
static inline int err_origin(int negative_errno)
{
	return negative_errno < 0 ? negative_errno : -EIO;
}

static inline int err_trace(int result)
{
	return result;
}

static inline int err_fold(int result)
{
	return result > 0 ? -EBADMSG : result;
}
