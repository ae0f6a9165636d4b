/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/image_config.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static int read_list(const json_t *list, struct strings *ret)
{
	size_t count = json_array_size(list);

	if (!list || json_is_null(list))
		return 0;
	if (!json_is_array(list) || count > POD_ARGS_MAX)
		return -EINVAL;
	ret->items = mem_alloc(count + 1, sizeof(char *));
	for (size_t i = 0; i < count; i++) {
		const char *item = json_string_value(json_array_get(list, i));

		if (!item)
			return -EINVAL;
		ret->items[ret->count++] = item;
	}
	return 0;
}

int image_config_parse(struct bytes json, struct image_config *ret_config, struct err *err)
{
	struct image_config config = {0};
	const json_t *inner;
	json_error_t where;
	int r = 0;

	if (json.len > IMAGE_CONFIG_MAX)
		return err_set(err, -EFBIG, "image configuration is larger than %d bytes",
			       IMAGE_CONFIG_MAX);
	config.root = json_loadb((const char *)json.ptr, json.len, 0, &where);
	inner = json_object_get(config.root, "config");
	if (!json_is_object(config.root))
		r = -EINVAL;
	if (r == 0)
		r = read_list(json_object_get(inner, "Entrypoint"), &config.entrypoint);
	if (r == 0)
		r = read_list(json_object_get(inner, "Cmd"), &config.command);
	if (r == 0)
		r = read_list(json_object_get(inner, "Env"), &config.env);
	if (r < 0) {
		image_config_deinit(&config);
		return err_set(err, r, "image configuration is malformed");
	}
	config.working_dir = json_string_value(json_object_get(inner, "WorkingDir"));
	if (config.working_dir && config.working_dir[0] != '/')
		config.working_dir = NULL;
	config.user = json_string_value(json_object_get(inner, "User"));
	if (!config.user)
		config.user = "";
	config.stop_signal = json_string_value(json_object_get(inner, "StopSignal"));
	config.architecture = json_string_value(json_object_get(config.root, "architecture"));
	*ret_config = config;
	return 0;
}

void image_config_deinit(struct image_config *config)
{
	free(config->entrypoint.items);
	free(config->command.items);
	free(config->env.items);
	json_decref(config->root);
	*config = (struct image_config){0};
}

int image_config_signal(const char *text)
{
	char *end;
	long number = strtol(text, &end, 10);

	if (end != text && *end == '\0')
		return number > 0 && number < NSIG ? (int)number : 0;
	if (strncmp(text, "SIG", 3) == 0)
		text += 3;
	for (int signal = 1; signal < NSIG; signal++) {
		const char *name = sigabbrev_np(signal);

		if (name && strcmp(name, text) == 0)
			return signal;
	}
	return 0;
}
