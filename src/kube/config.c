/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/config.h"

#include <string.h>

#include "base/bytes.h"
#include "kube/member.h"

enum {
	KEY_MAX = 253,
};

static const char *const parts[] = {"data", "binaryData"};

void kube_default_secret(json_t *secret)
{
	json_t *plain = json_object_get(secret, "stringData"), *data, *value;
	const char *key;

	kube_set_missing(secret, "type", json_string("Opaque"));
	if (json_object_size(plain) > 0) {
		data = kube_object_at(secret, "data");
		json_object_foreach (plain, key, value) {
			struct buf encoded = {0};

			base64_encode(bytes_of(json_string_value(value), json_string_length(value)),
				      &encoded);
			kube_set_string(data, key, buf_cstr(&encoded));
			buf_deinit(&encoded);
		}
	}
	(void)json_object_del(secret, "stringData"); /* it may not be there */
}

static bool is_key(const char *key)
{
	size_t len = strlen(key);

	return len > 0 && len <= KEY_MAX && strcmp(key, ".") != 0 && strncmp(key, "..", 2) != 0 &&
	       strspn(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") ==
		       len;
}

static void validate_part(struct check *check, const json_t *object, const char *part)
{
	const json_t *map = json_object_get(object, part);
	const char *key;
	json_t *value;

	json_object_foreach ((json_t *)(uintptr_t)map, key, value) {
		if (!is_key(key))
			check_invalid(check, part, json_null(),
				      "a valid config key must consist of alphanumeric characters, "
				      "'-', '_' or '.'");
		if (strcmp(part, "binaryData") == 0 &&
		    json_object_get(json_object_get(object, "data"), key))
			check_duplicate(check, part, key);
	}
}

void kube_validate_config(struct check *check, const json_t *object)
{
	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		validate_part(check, object, parts[i]);
}

void kube_validate_config_update(struct check *check, const json_t *old, const json_t *new)
{
	if (strcmp(kube_member_string(old, "type"), kube_member_string(new, "type")) != 0)
		check_invalid(check, "type", json_object_get(new, "type"), "field is immutable");
	if (!kube_member_true(old, "immutable"))
		return;
	if (!kube_member_true(new, "immutable"))
		check_forbidden(check, "immutable", "field is immutable when `immutable` is set");
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		const json_t *before = json_object_get(old, parts[i]);
		const json_t *after = json_object_get(new, parts[i]);

		if (json_object_size(before) + json_object_size(after) > 0 &&
		    !json_equal(before, after))
			check_forbidden(check, parts[i],
					"field is immutable when `immutable` is set");
	}
}
