/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/oci_env.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/mem.h"
#include "kube/name.h"
#include "runtime/config.h"
#include "runtime/pod_front.h"
#include "runtime/svid.h"

#define API_TCP "tcp://" POD_FRONT_API_HOST ":" POD_FRONT_API_TLS_PORT
#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

enum {
	/* Values that name each other grow quickly; no kernel takes more for one string. */
	EXPANDED_MAX = 128 * 1024,
};

json_t *oci_env_expand(const char *text, const json_t *env)
{
	struct buf out = {0};
	json_t *value;

	while (*text && out.len < EXPANDED_MAX) {
		const char *end = text[0] == '$' && text[1] == '(' ? strchr(text, ')') : NULL;
		const char *found = NULL;
		char *name;

		if (text[0] == '$' && text[1] == '$') {
			buf_append(&out, "$", 1);
			text += 2;
			continue;
		}
		if (!end) {
			buf_append(&out, text++, 1);
			continue;
		}
		name = mem_copy(text + 2, (size_t)(end - text) - 2);
		found = json_string_value(json_object_get(env, name));
		free(name);
		if (found)
			buf_append_str(&out, found);
		else
			buf_append(&out, text, (size_t)(end - text) + 1);
		text = end + 1;
	}
	value = json_string(buf_cstr(&out));
	buf_deinit(&out);
	return value ? value : json_string("");
}

static void add_image_env(const struct image_config *image, json_t *env)
{
	for (size_t i = 0; i < image->env.count; i++) {
		const char *text = image->env.items[i], *equals = strchr(text, '=');
		char *name;

		if (!equals || equals == text)
			continue;
		name = mem_copy(text, (size_t)(equals - text));
		(void)json_object_set_new(env, name, json_string(equals + 1));
		free(name);
	}
}

/* Set in both; a value that is no text cannot be written down for the engine. */
static int env_set(json_t *env, json_t *own, const char *name, const struct buf *value)
{
	json_t *text = memchr(value->ptr ? value->ptr : (const uint8_t *)"", 0, value->len)
			       ? NULL
			       : json_stringn((const char *)value->ptr, value->len);

	if (!text)
		return err_origin(-EINVAL);
	(void)json_object_set(own, name, text);
	(void)json_object_set_new(env, name, text);
	return 0;
}

/* As programs for SPIFFE are told; the manifest may say otherwise. */
static void add_svid(json_t *env)
{
	(void)json_object_set_new(env, "SPIFFE_SVID_FILE", json_string(SVID_DIR "/" SVID_FILE));
	(void)json_object_set_new(env, "SPIFFE_SVID_KEY_FILE",
				  json_string(SVID_DIR "/" SVID_KEY_FILE));
	(void)json_object_set_new(env, "SPIFFE_BUNDLE_FILE",
				  json_string(SVID_DIR "/" SVID_BUNDLE_FILE));
}

/* Where clients of Kubernetes look for its API, as it tells containers. */
static void add_account(json_t *env, json_t *own)
{
	static const char *const vars[][2] = {
		{"KUBERNETES_SERVICE_HOST", POD_FRONT_API_HOST},
		{"KUBERNETES_SERVICE_PORT", POD_FRONT_API_TLS_PORT},
		{"KUBERNETES_SERVICE_PORT_HTTPS", POD_FRONT_API_TLS_PORT},
		{"KUBERNETES_PORT", API_TCP},
		{"KUBERNETES_PORT_443_TCP", API_TCP},
		{"KUBERNETES_PORT_443_TCP_PROTO", "tcp"},
		{"KUBERNETES_PORT_443_TCP_PORT", POD_FRONT_API_TLS_PORT},
		{"KUBERNETES_PORT_443_TCP_ADDR", POD_FRONT_API_HOST},
	};

	for (size_t i = 0; i < ARRAY_LEN(vars); i++) {
		(void)json_object_set_new(env, vars[i][0], json_string(vars[i][1]));
		(void)json_object_set_new(own, vars[i][0], json_string(vars[i][1]));
	}
}

/* The keys of one envFrom. */
struct all_keys {
	const json_t *object;
	const char *prefix;
	json_t *env, *own;
	const char *bad; /* a key whose value is no text */
};

static void add_key(void *ctx, const char *key)
{
	struct all_keys *all = ctx;
	struct buf name = {0}, value = {0};

	buf_append_format(&name, "%s%s", all->prefix, key);
	/* Kubernetes passes over what cannot be a variable's name. */
	if (kube_name_is_env(buf_cstr(&name)) &&
	    (config_value(all->object, key, &value) != 0 ||
	     env_set(all->env, all->own, buf_cstr(&name), &value) != 0))
		all->bad = key;
	secret_wipe(value.ptr, value.len);
	buf_deinit(&name);
	buf_deinit(&value);
}

static int add_from(const struct oci_inputs *inputs, json_t *env, json_t *own, struct err *err)
{
	const struct container_spec *container = inputs->container;

	for (size_t i = 0; i < container->env_from_count; i++) {
		const struct env_from *from = &container->env_from[i];
		struct all_keys all = {
			.object = config_find(inputs->config, &from->object),
			.prefix = from->prefix,
			.env = env,
			.own = own,
		};

		config_each_key(all.object, add_key, &all);
		if (all.bad)
			return err_set(err, -EINVAL, "key %.80s of %s %.80s is not text", all.bad,
				       from->object.kind, from->object.name);
	}
	return 0;
}

/* 1: optional, and not there. */
static int var_value(const struct oci_inputs *inputs, const struct env_var *var, struct buf *ret,
		     struct err *err)
{
	int r;

	switch (var->source) {
	case VALUE_FIELD:
		if (pod_facts_field(&inputs->facts, var->field_path, ret))
			return 0;
		return err_set(err, -EINVAL, "field %.80s is not known", var->field_path);
	case VALUE_RESOURCE:
		if (pod_facts_resource(&inputs->facts, inputs->container, &var->resource, ret))
			return 0;
		return err_set(err, -EINVAL, "container %.63s is not known",
			       var->resource.container);
	case VALUE_OBJECT:
		r = config_value(config_find(inputs->config, &var->object), var->object.key, ret);
		if (r == -ENOENT && var->object.optional)
			return 1;
		return r == 0 ? 0 : err_set(err, r, "its key cannot be read");
	case VALUE_TEXT:
	default:
		return 0;
	}
}

static int add_var(const struct oci_inputs *inputs, const struct env_var *var, json_t *env,
		   json_t *own, struct err *err)
{
	struct buf text = {0};
	json_t *value;
	int r;

	if (var->source == VALUE_TEXT) {
		value = oci_env_expand(var->value, own);
		(void)json_object_set(own, var->name, value);
		(void)json_object_set_new(env, var->name, value);
		return 0;
	}
	r = var_value(inputs, var, &text, err);
	if (r == 0 && env_set(env, own, var->name, &text) != 0)
		r = err_set(err, -EINVAL, "its value is not text");
	secret_wipe(text.ptr, text.len);
	buf_deinit(&text);
	return r < 0 ? err_prefix(err, "env %.60s", var->name) : 0;
}

int oci_env_build(const struct oci_inputs *inputs, json_t **ret_env, json_t **ret_own,
		  struct err *err)
{
	json_t *env = json_object(), *own = json_object();
	int r;

	(void)json_object_set_new(env, "PATH", json_string(DEFAULT_PATH));
	(void)json_object_set_new(env, "HOSTNAME", json_string(inputs->facts.hostname));
	add_image_env(inputs->image, env);
	if (inputs->pod->svid)
		add_svid(env);
	if (inputs->facts.has_account)
		add_account(env, own);
	r = add_from(inputs, env, own, err);
	if (inputs->facts.group_api)
		(void)json_object_set_new(env, "MAGIK_API", json_string(inputs->facts.group_api));
	if (inputs->facts.index) {
		(void)json_object_set_new(env, "JOB_COMPLETION_INDEX",
					  json_string(inputs->facts.index));
		(void)json_object_set_new(own, "JOB_COMPLETION_INDEX",
					  json_string(inputs->facts.index));
	}
	for (size_t i = 0; r == 0 && i < inputs->container->env_count; i++)
		r = add_var(inputs, &inputs->container->env[i], env, own, err);
	if (r < 0) {
		json_decref(env);
		json_decref(own);
		return r;
	}
	*ret_env = env;
	*ret_own = own;
	return 0;
}

int oci_env_check(const struct container_spec *container, const char *namespace,
		  const json_t *config, struct err *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < container->env_from_count; i++)
		r = config_check(config, &container->env_from[i].object, namespace, err);
	for (size_t i = 0; r == 0 && i < container->env_count; i++)
		if (container->env[i].source == VALUE_OBJECT)
			r = config_check(config, &container->env[i].object, namespace, err);
	return r;
}
