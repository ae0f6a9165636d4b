/* SPDX-License-Identifier: Apache-2.0 */
/* Labels: the forms that names of Kubernetes have (RFC 1123), without its library. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum {
	LABEL_MAX = 63,
	SUBDOMAIN_MAX = 253,
};

/* Are the @len bytes at @text one label: lower-case letters, digits and '-', none at an end? */
bool label_is_valid(const char *text, size_t len);

/* Labels joined by dots. */
bool label_is_subdomain(const char *text);

/* Letters and digits, the first one a letter: "StatefulSet". */
bool label_is_kind(const char *text);
