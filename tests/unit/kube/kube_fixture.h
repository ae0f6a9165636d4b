/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of this directory share: cmocka, parsing of literals, looking into results. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "kube/member.h"

/* Single quotes stand for double ones, so that JSON can be read in C. */
static inline json_t *json_of(const char *text)
{
	json_error_t error;
	char *copy = strdup(text);
	assert_non_null(copy);
	for (char *at = copy; *at; at++)
		*at = *at == '\'' ? '"' : *at;
	json_t *value = json_loads(copy, JSON_DECODE_ANY, &error);
	if (!value)
		fail_msg("bad literal: %s near %d: %s", error.text, error.position, copy);
	free(copy);
	return value;
}

static inline void assert_json_equal(const json_t *actual, const char *expected)
{
	json_t *wanted = json_of(expected);
	char *text = json_dumps(actual, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);
	char *wanted_text = json_dumps(wanted, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);
	assert_string_equal(text, wanted_text);
	free(text);
	free(wanted_text);
	json_decref(wanted);
}

static inline void assert_member(const json_t *object, const char *path, const char *expected)
{
	assert_string_equal(kube_member_string(object, path), expected);
}

/* One element of a list by index, as an object. */
static inline const json_t *element(const json_t *object, const char *path, size_t index)
{
	const json_t *value = json_array_get(kube_member(object, path), index);
	assert_non_null(value);
	return value;
}
