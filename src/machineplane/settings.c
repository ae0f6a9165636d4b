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
	json_t *taints = json_array(), *resources = json_object();
	char *text;

	for (size_t i = 0; i < options->bootstrap_count; i++)
		(void)json_array_append_new(
			bootstrap, json_string(addr_peer_text(&options->bootstrap[i]).text));
	for (size_t i = 0; i < options->label_count; i++)
		(void)json_object_set_new(labels, options->labels[i].key,
					  json_string(options->labels[i].value));
	for (size_t i = 0; i < options->taint_count; i++)
		(void)json_array_append_new(taints, json_pack("[s,s,i]", options->taints[i].key,
							      options->taints[i].value,
							      (int)options->taints[i].effect));
	for (size_t i = 0; i < options->resource_count; i++)
		(void)json_object_set_new(resources, options->resources[i].name,
					  json_integer(options->resources[i].count));
	json = json_pack(
		"{s:s,s:s,s:s,s:s,s:i,s:b,s:s,s:i,s:s*,s:b,s:b,s:b,s:b,s:i,s:b,s:i,s:o,s:o,"
		"s:o,s:o,s:I,s:I}",
		"node", options->node_name, "state", options->state_dir, "run", options->run_dir,
		"rest-host", options->rest_host, "rest-port", (int)options->rest_port, "insecure",
		(int)options->rest_insecure, "mesh-host", options->mesh_host, "mesh-port",
		(int)options->mesh_port, "join", options->join, "no-schedule",
		(int)options->no_schedule, "log-json", (int)options->log_json, "made",
		(int)settings->made, "roots", (int)settings->roots, "pool", (int)options->pool,
		"records-stay", (int)options->records_stay, "overcommit", (int)options->overcommit,
		"bootstrap", bootstrap, "labels", labels, "taints", taints, "resources", resources,
		"joined", (json_int_t)settings->joined.ms, "pod-certificate",
		(json_int_t)options->pod_certificate_ms);
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

static void decode_offers(const json_t *taints, json_t *resources, struct options *options)
{
	const char *key;
	json_t *value;
	size_t i;

	json_array_foreach (taints, i, value) {
		const char *taint_key, *taint_value;
		int effect;

		if (options->taint_count == MESSAGE_TAINTS_MAX ||
		    json_unpack(value, "[s,s,i]", &taint_key, &taint_value, &effect) != 0)
			continue;
		options->taints[options->taint_count++] =
			(struct taint){.key = mem_strdup(taint_key),
				       .value = mem_strdup(taint_value),
				       .effect = (enum taint_effect)effect};
	}
	json_object_foreach (resources, key, value)
		if (options->resource_count < MESSAGE_RESOURCES_MAX)
			options->resources[options->resource_count++] = (struct resource){
				.name = mem_strdup(key), .count = json_integer_value(value)};
}

int settings_decode(struct bytes bytes, struct settings *ret_settings)
{
	json_t *json = json_loadb((const char *)bytes.ptr, bytes.len, 0, NULL), *bootstrap, *labels,
	       *taints, *resources;
	const char *node, *state, *run, *rest_host, *mesh_host;
	json_int_t joined, certificate;
	int rest_port, mesh_port, insecure, no_schedule, log_json, made, roots, pool, overcommit,
		stay;
	struct options *options = &ret_settings->options;

	if (!json ||
	    json_unpack(json,
			"{s:s,s:s,s:s,s:s,s:i,s:b,s:s,s:i,s:b,s:b,s:b,s:b,s:i,s:b,s:i,s:o,s:o,s:o,"
			"s:o,s:I,s:I}",
			"node", &node, "state", &state, "run", &run, "rest-host", &rest_host,
			"rest-port", &rest_port, "insecure", &insecure, "mesh-host", &mesh_host,
			"mesh-port", &mesh_port, "no-schedule", &no_schedule, "log-json", &log_json,
			"made", &made, "roots", &roots, "pool", &pool, "records-stay", &stay,
			"overcommit", &overcommit, "bootstrap", &bootstrap, "labels", &labels,
			"taints", &taints, "resources", &resources, "joined", &joined,
			"pod-certificate", &certificate) != 0) {
		json_decref(json);
		return err_origin(-EBADMSG);
	}
	*ret_settings = (struct settings){.made = made, .roots = roots, .joined.ms = joined};
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
		.records_stay = stay,
		.overcommit = (uint32_t)overcommit,
		.pod_certificate_ms = certificate,
	};
	decode_lists(bootstrap, labels, options);
	decode_offers(taints, resources, options);
	json_decref(json);
	return 0;
}
