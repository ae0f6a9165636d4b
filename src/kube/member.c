/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/member.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* jansson reports exhausted memory as NULL or -1; this house stops then (base/mem.h). */
static void stored(int result)
{
	if (result != 0)
		abort();
}

json_t *kube_member(const json_t *object, const char *path)
{
	const json_t *at = object;
	while (at) {
		const char *dot = strchr(path, '.');
		size_t len = dot ? (size_t)(dot - path) : strlen(path);
		at = json_object_getn(at, path, len);
		if (!dot)
			break;
		path = dot + 1;
	}
	return (json_t *)(uintptr_t)
		at; /* as json_object_get(): borrowed, constness is the caller's */
}

const char *kube_member_string(const json_t *object, const char *path)
{
	const char *text = json_string_value(kube_member(object, path));
	return text ? text : "";
}

int64_t kube_member_int(const json_t *object, const char *path, int64_t otherwise)
{
	const json_t *value = kube_member(object, path);
	return json_is_integer(value) ? json_integer_value(value) : otherwise;
}

bool kube_member_true(const json_t *object, const char *path)
{
	return json_is_true(kube_member(object, path));
}

bool kube_is_repeated(const json_t *list, size_t count, const char *key, const char *text)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(kube_member_string(json_array_get(list, i), key), text) == 0)
			return true;
	}
	return false;
}

void kube_set(json_t *object, const char *key, json_t *value)
{
	assert(json_is_object(object) && value);
	stored(json_object_set_new_nocheck(object, key, value));
}

void kube_set_string(json_t *object, const char *key, const char *value)
{
	json_t *text = json_string(value);
	kube_set(object, key, text ? text : json_string("")); /* text that is no UTF-8 is dropped */
}

void kube_set_int(json_t *object, const char *key, int64_t value)
{
	kube_set(object, key, json_integer(value));
}

void kube_set_missing(json_t *object, const char *key, json_t *value)
{
	if (json_object_get(object, key))
		json_decref(value);
	else
		kube_set(object, key, value);
}

json_t *kube_object_at(json_t *object, const char *key)
{
	json_t *member = json_object_get(object, key);
	if (!member) {
		member = json_object();
		kube_set(object, key, member);
	}
	return json_is_object(member) ? member : NULL;
}

void kube_push(json_t *array, json_t *value)
{
	assert(json_is_array(array) && value);
	stored(json_array_append_new(array, value));
}

json_t *kube_text(const char *format, ...)
{
	char *bytes;
	va_list args;
	va_start(args, format);
	int len = vasprintf(&bytes, format, args);
	va_end(args);
	if (len < 0)
		abort(); /* memory is out */
	json_t *text = json_stringn(bytes, (size_t)len);
	if (!text) {
		/* Cutting can split a character; what is left must still be UTF-8. */
		for (int i = 0; i < len; i++)
			bytes[i] = (uint8_t)bytes[i] < 0x80 ? bytes[i] : '?';
		text = json_stringn(bytes, (size_t)len);
	}
	free(bytes);
	return text;
}

static void measure(const json_t *value, size_t depth, struct kube_size *size)
{
	const char *key;
	json_t *member;
	size_t index;
	size->nodes++;
	size->depth = depth > size->depth ? depth : size->depth;
	json_object_foreach ((json_t *)(uintptr_t)value, key, member) {
		measure(member, depth + 1, size);
	}
	json_array_foreach (value, index, member) {
		measure(member, depth + 1, size);
	}
}

void kube_measure(const json_t *value, struct kube_size *ret_size)
{
	*ret_size = (struct kube_size){0};
	measure(value, 0, ret_size);
}

void kube_drop_nulls(json_t *value)
{
	const char *key;
	json_t *member;
	void *next;
	size_t index;
	json_object_foreach_safe(value, next, key, member)
	{
		if (json_is_null(member))
			(void)json_object_del(value, key); /* it is there */
		else
			kube_drop_nulls(member);
	}
	json_array_foreach (value, index, member) {
		kube_drop_nulls(member);
	}
}
