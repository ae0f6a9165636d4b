/* SPDX-License-Identifier: Apache-2.0 */
/* Support: the table of support.def, looked up by message and field. All strings are static. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum kube_support_level {
	KUBE_SUPPORT_HONOURED,
	KUBE_SUPPORT_WARNED,
	KUBE_SUPPORT_REFUSED,
};

struct kube_support {
	const char *message;
	const char *field; /* "*": every field of the message without a row of its own */
	enum kube_support_level level;
	const char *harmless; /* a value that asks for nothing; "": none */
	const char *reason;
};

/* The row of a field, or NULL when the table has none. */
const struct kube_support *kube_support_find(const char *message, const char *field);

/* The @index-th row, or NULL past the end: for documentation. */
const struct kube_support *kube_support_at(size_t index);

/* Whether @value asks for anything: false for empty, zero and false, and for the harmless value. */
bool kube_support_is_asked(const struct kube_support *support, const json_t *value);
