/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/oci_env.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/mem.h"

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

/* "metadata.labels['app']" -> the label's value. */
static const char *map_field(const char *path, const char *prefix, const json_t *map)
{
	size_t len = strlen(prefix);
	const char *end, *value;
	char *key;

	if (strncmp(path, prefix, len) != 0 || strncmp(path + len, "['", 2) != 0)
		return NULL;
	end = strstr(path + len + 2, "']");
	if (!end || end[2] != '\0')
		return NULL;
	key = mem_copy(path + len + 2, (size_t)(end - path) - len - 2);
	value = json_string_value(json_object_get(map, key));
	free(key);
	return value ? value : "";
}

static const char *field_value(const struct oci_inputs *inputs, const char *path)
{
	const struct {
		const char *path, *value;
	} fields[] = {
		{"metadata.name", inputs->pod_name},
		{"metadata.namespace", inputs->pod->namespace},
		{"metadata.uid", inputs->pod_uid},
		{"spec.nodeName", inputs->node_name},
		{"spec.serviceAccountName",
		 inputs->pod->service_account ? inputs->pod->service_account : "default"},
		{"status.podIP", inputs->pod_ip},
		{"status.podIPs", inputs->pod_ip},
	};
	const char *value;

	for (size_t i = 0; i < ARRAY_LEN(fields); i++)
		if (strcmp(fields[i].path, path) == 0)
			return fields[i].value;
	value = map_field(path, "metadata.labels", inputs->pod->labels);
	return value ? value : map_field(path, "metadata.annotations", inputs->pod->annotations);
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

int oci_env_build(const struct oci_inputs *inputs, json_t **ret_env, json_t **ret_own,
		  struct err *err)
{
	json_t *env = json_object(), *own = json_object();
	const char *hostname = inputs->pod->hostname ? inputs->pod->hostname : inputs->pod_name;

	(void)json_object_set_new(env, "PATH", json_string(DEFAULT_PATH));
	(void)json_object_set_new(env, "HOSTNAME", json_string(hostname));
	add_image_env(inputs->image, env);
	for (size_t i = 0; i < inputs->container->env_count; i++) {
		const struct env_var *var = &inputs->container->env[i];
		const char *field = NULL;
		json_t *value;

		if (!var->value)
			field = field_value(inputs, var->field_path);
		if (!var->value && !field) {
			(void)err_set(err, -EINVAL, "env %.60s: field %.80s is not known",
				      var->name, var->field_path);
			json_decref(env);
			json_decref(own);
			return -EINVAL;
		}
		value = field ? json_string(field) : oci_env_expand(var->value, own);
		(void)json_object_set(own, var->name, value);
		(void)json_object_set_new(env, var->name, value);
	}
	*ret_env = env;
	*ret_own = own;
	return 0;
}
