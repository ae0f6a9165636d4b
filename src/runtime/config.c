/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/config.h"

#include <string.h>

#include "runtime/svid.h"

const json_t *config_find(const json_t *snapshot, const struct object_key *key)
{
	struct buf name = {0};
	const json_t *object;

	buf_append_format(&name, "%s/%s", key->kind, key->name);
	object = json_object_get(snapshot, buf_cstr(&name));
	buf_deinit(&name);
	return object;
}

static bool is_secret(const json_t *object)
{
	const char *kind = json_string_value(json_object_get(object, "kind"));

	return kind && strcmp(kind, "Secret") == 0;
}

int config_value(const json_t *object, const char *key, struct buf *ret)
{
	const json_t *plain = json_object_get(json_object_get(object, "data"), key);
	const json_t *encoded = json_object_get(json_object_get(object, "binaryData"), key);

	if (is_secret(object)) {
		encoded = plain;
		plain = NULL;
	}
	if (json_is_string(plain)) {
		buf_append(ret, json_string_value(plain), json_string_length(plain));
		return 0;
	}
	if (!plain && !encoded)
		return -ENOENT;
	if (!json_is_string(encoded) ||
	    !base64_decode(bytes_of(json_string_value(encoded), json_string_length(encoded)), ret))
		return err_origin(-EINVAL);
	return 0;
}

void config_each_key(const json_t *object, void (*each)(void *ctx, const char *key), void *ctx)
{
	static const char *const parts[] = {"data", "binaryData"};
	const char *key;
	json_t *value;

	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		json_object_foreach (json_object_get(object, parts[i]), key, value)
			each(ctx, key);
}

static bool has_key(const json_t *object, const char *key)
{
	return json_object_get(json_object_get(object, "data"), key) ||
	       json_object_get(json_object_get(object, "binaryData"), key);
}

int config_check(const json_t *snapshot, const struct object_key *key, const char *namespace,
		 struct err *err)
{
	const json_t *object = config_find(snapshot, key);

	if (key->optional || (object && (!key->key || has_key(object, key->key))))
		return 0;
	if (object)
		return err_set(err, -ENOENT, "couldn't find key %.80s in %s %s/%.80s", key->key,
			       key->kind, namespace, key->name);
	if (strcmp(key->kind, SVID_KIND) == 0)
		return err_set(err, -ENOENT, "no steward has certified the application yet");
	return err_set(err, -ENOENT, "%s \"%.200s\" not found",
		       strcmp(key->kind, "Secret") == 0 ? "secret" : "configmap", key->name);
}
