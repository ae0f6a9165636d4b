/* SPDX-License-Identifier: Apache-2.0 */
#include "machineplane/settings.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/mem.h"

void settings_encode(const struct settings *settings, struct buf *out)
{
	const struct options *options = &settings->options;
	json_t *bootstrap = json_array(), *labels = json_object(), *json;
	char *text;

	for (size_t i = 0; i < options->bootstrap_count; i++)
		(void)json_array_append_new(
			bootstrap, json_string(addr_peer_text(&options->bootstrap[i]).text));
	for (size_t i = 0; i < options->label_count; i++)
		(void)json_object_set_new(labels, options->labels[i].key,
					  json_string(options->labels[i].value));
	json = json_pack("{s:s,s:s,s:s,s:s,s:i,s:b,s:s,s:i,s:s*,s:b,s:b,s:b,s:b,s:i,s:o,s:o}",
			 "node", options->node_name, "state", options->state_dir, "run",
			 options->run_dir, "rest-host", options->rest_host, "rest-port",
			 (int)options->rest_port, "insecure", (int)options->rest_insecure,
			 "mesh-host", options->mesh_host, "mesh-port", (int)options->mesh_port,
			 "join", options->join, "no-schedule", (int)options->no_schedule,
			 "log-json", (int)options->log_json, "made", (int)settings->made, "roots",
			 (int)settings->roots, "pool", (int)options->pool, "bootstrap", bootstrap,
			 "labels", labels);
	text = json_dumps(json, JSON_COMPACT);
	if (!text)
		abort();
	buf_append_str(out, text);
	free(text);
	json_decref(json);
}

static void decode_lists(const json_t *bootstrap, json_t *labels, struct options *options)
{
	const char *key;
	json_t *value;
	size_t i;

	json_array_foreach (bootstrap, i, value)
		if (options->bootstrap_count < OPTIONS_BOOTSTRAP_MAX &&
		    addr_peer_parse(json_string_value(value),
				    &options->bootstrap[options->bootstrap_count]))
			options->bootstrap_count++;
	json_object_foreach (labels, key, value)
		if (options->label_count < MESSAGE_LABELS_MAX)
			options->labels[options->label_count++] =
				(struct label){.key = mem_strdup(key),
					       .value = mem_strdup(json_string_value(value))};
}

int settings_decode(struct bytes bytes, struct settings *ret_settings)
{
	json_t *json = json_loadb((const char *)bytes.ptr, bytes.len, 0, NULL), *bootstrap, *labels;
	const char *node, *state, *run, *rest_host, *mesh_host;
	int rest_port, mesh_port, insecure, no_schedule, log_json, made, roots, pool;
	struct options *options = &ret_settings->options;

	if (!json ||
	    json_unpack(json, "{s:s,s:s,s:s,s:s,s:i,s:b,s:s,s:i,s:b,s:b,s:b,s:b,s:i,s:o,s:o}",
			"node", &node, "state", &state, "run", &run, "rest-host", &rest_host,
			"rest-port", &rest_port, "insecure", &insecure, "mesh-host", &mesh_host,
			"mesh-port", &mesh_port, "no-schedule", &no_schedule, "log-json", &log_json,
			"made", &made, "roots", &roots, "pool", &pool, "bootstrap", &bootstrap,
			"labels", &labels) != 0) {
		json_decref(json);
		return err_origin(-EBADMSG);
	}
	*ret_settings = (struct settings){.made = made, .roots = roots};
	*options = (struct options){
		.node_name = mem_strdup(node),
		.state_dir = mem_strdup(state),
		.run_dir = mem_strdup(run),
		.rest_host = mem_strdup(rest_host),
		.rest_port = (uint16_t)rest_port,
		.rest_insecure = insecure,
		.mesh_host = mem_strdup(mesh_host),
		.mesh_port = (uint16_t)mesh_port,
		.join = mem_strdup(json_string_value(json_object_get(json, "join"))),
		.no_schedule = no_schedule,
		.log_json = log_json,
		.pool = (size_t)pool,
	};
	decode_lists(bootstrap, labels, options);
	json_decref(json);
	return 0;
}
