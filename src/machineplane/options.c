/* SPDX-License-Identifier: Apache-2.0 */
#include "machineplane/options.h"

#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "base/mem.h"
#include "io/file.h"
#include "kube/manifest.h"
#include "kube/name.h"
#include "kube/quantity.h"
#include "base/version.h"

typedef int (*option_set_fn)(struct options *options, const char *value, struct err *err);

struct option_row {
	const char *name;
	bool flag; /* takes no value on the command line */
	option_set_fn set;
	const char *argument, *help;
};

static int bad(struct err *err, const char *what)
{
	return err_set(err, -EINVAL, "%s", what);
}

static int set_text(char **field, const char *value)
{
	free(*field);
	*field = mem_strdup(value);
	return 0;
}

static int set_flag(bool *field, const char *value, struct err *err)
{
	if (strcmp(value, "true") != 0 && strcmp(value, "false") != 0)
		return bad(err, "is either true or false");
	*field = strcmp(value, "true") == 0;
	return 0;
}

static int set_port(uint16_t *field, const char *value, struct err *err)
{
	char *end;
	unsigned long port;

	errno = 0;
	port = strtoul(value, &end, 10);
	if (!isdigit((unsigned char)*value) || *end || errno || port > UINT16_MAX)
		return bad(err, "is not a port number");
	*field = (uint16_t)port;
	return 0;
}

static int set_host(char **field, const char *value, struct err *err)
{
	struct addr addr;

	if (!addr_parse_ip(value, 0, &addr))
		return bad(err, "is not an IP address");
	return set_text(field, value);
}

static int set_node_name(struct options *options, const char *value, struct err *err)
{
	if (!kube_name_is_label(value))
		return bad(err, "must be a DNS label: lower-case letters, digits and hyphens, at "
				"most 63");
	return set_text(&options->node_name, value);
}

static int set_state_dir(struct options *options, const char *value, struct err *err)
{
	return set_text(&options->state_dir, value);
}

static int set_run_dir(struct options *options, const char *value, struct err *err)
{
	return set_text(&options->run_dir, value);
}

static int set_rest_host(struct options *options, const char *value, struct err *err)
{
	return set_host(&options->rest_host, value, err);
}

static int set_rest_port(struct options *options, const char *value, struct err *err)
{
	return set_port(&options->rest_port, value, err);
}

static int set_rest_insecure(struct options *options, const char *value, struct err *err)
{
	return set_flag(&options->rest_insecure, value, err);
}

static int set_mesh_host(struct options *options, const char *value, struct err *err)
{
	return set_host(&options->mesh_host, value, err);
}

static int set_mesh_port(struct options *options, const char *value, struct err *err)
{
	return set_port(&options->mesh_port, value, err);
}

static int set_bootstrap(struct options *options, const char *value, struct err *err)
{
	if (options->bootstrap_count == OPTIONS_BOOTSTRAP_MAX)
		return bad(err, "is given too often");
	if (!addr_peer_parse(value, &options->bootstrap[options->bootstrap_count]))
		return bad(err, "must be <64 hex digits>@<ip>:<port>");
	options->bootstrap_count++;
	return 0;
}

static int set_join(struct options *options, const char *value, struct err *err)
{
	return set_text(&options->join, value);
}

static int set_runtime(struct options *options, const char *value, struct err *err)
{
	static const char *const engines[] = {"crun", "krun", "wasm", "null"};

	for (size_t i = 0; i < ARRAY_LEN(engines); i++)
		if (strcmp(value, engines[i]) == 0)
			return set_text(&options->runtime, value);
	return bad(err, "must be crun, krun, wasm or null");
}

static int set_number(int64_t *field, const char *value, int64_t min, int64_t max, struct err *err)
{
	char *end;
	long long number;

	errno = 0;
	number = strtoll(value, &end, 10);
	if (!isdigit((unsigned char)*value) || *end || errno || number < min || number > max)
		return err_set(err, -EINVAL, "must be a number from %lld to %lld", (long long)min,
			       (long long)max);
	*field = number;
	return 0;
}

static int set_null_delay(struct options *options, const char *value, struct err *err)
{
	return set_number(&options->null_delay_ms, value, 0, OPTIONS_NULL_DELAY_MAX_MS, err);
}

static int set_pod_certificate(struct options *options, const char *value, struct err *err)
{
	int64_t seconds = 0;
	int result = set_number(&seconds, value, OPTIONS_POD_CERTIFICATE_MIN_S,
				OPTIONS_POD_CERTIFICATE_MAX_S, err);

	if (result == 0)
		options->pod_certificate_ms = seconds * MS_PER_S;
	return result;
}

static int set_pods_max(struct options *options, const char *value, struct err *err)
{
	int64_t pods = 0;
	int result = set_number(&pods, value, 1, OPTIONS_PODS_MAX, err);

	if (result == 0)
		options->pods_max = (uint32_t)pods;
	return result;
}

static int set_pool(struct options *options, const char *value, struct err *err)
{
	int64_t pool = 0;
	int result = set_number(&pool, value, OVERLAY_POOL_MIN, OPTIONS_POOL_MAX, err);

	if (result == 0)
		options->pool = (size_t)pool;
	return result;
}

static int set_label(struct options *options, const char *value, struct err *err)
{
	const char *equals = strchr(value, '=');
	struct label label;

	if (!equals || options->label_count == MESSAGE_LABELS_MAX)
		return bad(err, equals ? "is given too often" : "must be key=value");
	label.key = mem_copy(value, (size_t)(equals - value));
	label.value = mem_strdup(equals + 1);
	if (!kube_name_is_label_key(label.key) || !kube_name_is_label_value(label.value)) {
		free(label.key);
		free(label.value);
		return bad(err, "is not a Kubernetes label");
	}
	options->labels[options->label_count++] = label;
	return 0;
}

static bool read_effect(const char *name, enum taint_effect *ret_effect)
{
	static const char *const names[] = {
		[TAINT_NO_SCHEDULE] = "NoSchedule",
		[TAINT_PREFER_NO_SCHEDULE] = "PreferNoSchedule",
		[TAINT_NO_EXECUTE] = "NoExecute",
	};

	for (size_t i = TAINT_NO_SCHEDULE; i < ARRAY_LEN(names); i++) {
		if (strcmp(names[i], name) != 0)
			continue;
		*ret_effect = (enum taint_effect)i;
		return true;
	}
	return false;
}

/* key=value:Effect or key:Effect, as `kubectl taint` takes it. */
static int set_taint(struct options *options, const char *value, struct err *err)
{
	const char *colon = strrchr(value, ':'), *equals = strchr(value, '=');
	struct taint taint = {.effect = TAINT_ANY};

	if (!colon || !read_effect(colon + 1, &taint.effect))
		return bad(err, "must be key=value:NoSchedule, PreferNoSchedule or NoExecute");
	if (options->taint_count == MESSAGE_TAINTS_MAX)
		return bad(err, "is given too often");
	if (!equals || equals > colon)
		equals = colon;
	taint.key = mem_copy(value, (size_t)(equals - value));
	taint.value = equals < colon ? mem_copy(equals + 1, (size_t)(colon - equals - 1))
				     : mem_strdup("");
	if (!kube_name_is_label_key(taint.key) || !kube_name_is_label_value(taint.value)) {
		free(taint.key);
		free(taint.value);
		return bad(err, "is not a Kubernetes taint");
	}
	options->taints[options->taint_count++] = taint;
	return 0;
}

/* vendor/thing=N. */
static int set_resource(struct options *options, const char *value, struct err *err)
{
	const char *equals = strchr(value, '=');
	struct resource resource = {0};

	if (!equals || options->resource_count == MESSAGE_RESOURCES_MAX)
		return bad(err, equals ? "is given too often" : "must be vendor/thing=number");
	if (set_number(&resource.count, equals + 1, 0, OPTIONS_RESOURCE_MAX, err) != 0)
		return -EINVAL;
	resource.name = mem_copy(value, (size_t)(equals - value));
	if (!strchr(resource.name, '/') || !kube_name_is_label_key(resource.name)) {
		free(resource.name);
		return bad(err, "is not an extended resource, vendor/thing");
	}
	options->resources[options->resource_count++] = resource;
	return 0;
}

/* 1.5 promises half as much again. */
static int set_overcommit(struct options *options, const char *value, struct err *err)
{
	int64_t milli;

	if (kube_quantity_milli(value, &milli) != 0 || milli < 1000 ||
	    milli > OPTIONS_OVERCOMMIT_MAX * 1000)
		return bad(err, "must be a ratio from 1 to 16, such as 1.5");
	options->overcommit = (uint32_t)milli;
	return 0;
}

/* cpu=500m,memory=1Gi in any order. */
static int set_reserve(struct options *options, const char *value, struct err *err)
{
	char *copy = mem_strdup(value), *rest = copy, *part;
	int result = 0;

	while (result == 0 && (part = strsep(&rest, ",")) != NULL) {
		if (strncmp(part, "cpu=", 4) == 0)
			result = kube_quantity_milli(part + 4, &options->reserve_cpu_milli);
		else if (strncmp(part, "memory=", 7) == 0)
			result = kube_quantity_units(part + 7, &options->reserve_memory_bytes);
		else
			result = -EINVAL;
	}
	free(copy);
	if (options->reserve_cpu_milli < 0 || options->reserve_memory_bytes < 0)
		result = -EINVAL;
	return result ? bad(err, "must be cpu=<quantity>,memory=<quantity>") : 0;
}

static int set_no_schedule(struct options *options, const char *value, struct err *err)
{
	return set_flag(&options->no_schedule, value, err);
}

static int set_ephemeral(struct options *options, const char *value, struct err *err)
{
	return set_flag(&options->ephemeral_keys, value, err);
}

static int set_records_stay(struct options *options, const char *value, struct err *err)
{
	return set_flag(&options->records_stay, value, err);
}

static int set_drain(struct options *options, const char *value, struct err *err)
{
	return set_flag(&options->drain, value, err);
}

static int set_log_format(struct options *options, const char *value, struct err *err)
{
	if (strcmp(value, "text") != 0 && strcmp(value, "json") != 0)
		return bad(err, "must be text or json");
	options->log_json = strcmp(value, "json") == 0;
	return 0;
}

static int set_workplane(struct options *options, const char *value, struct err *err)
{
	return set_text(&options->workplane, value);
}

static int set_policy(struct options *options, const char *value, struct err *err)
{
	return set_text(&options->policy_file, value);
}

/* Accepted for command lines written for the documents' prototype; there is nothing to set. */
static int set_nothing(struct options *options, const char *value, struct err *err)
{
	return set_text(&options->notice,
			"--kem-ephemeral and --dht-refresh-interval-secs have no effect");
}

static const struct option_row rows[] = {
	{"node-name", false, set_node_name, "NAME", "this machine's name (default: its host name)"},
	{"state-dir", false, set_state_dir, "DIR",
	 "keys, records, images; survives a reboot (default /var/lib/magik)"},
	{"run-dir", false, set_run_dir, "DIR", "sockets and pods (default /run/magik)"},
	{"join", false, set_join, "TOKEN",
	 "join a fabric: what `magik fabric token` printed there, or the file that `magik fabric "
	 "admit` made"},
	{"bootstrap-peer", false, set_bootstrap, "ID@IP:PORT", "a member to dial; repeatable"},
	{"rest-api-host", false, set_rest_host, "IP", "where the API listens (default 0.0.0.0)"},
	{"rest-api-port", false, set_rest_port, "PORT", "(default 3000)"},
	{"rest-api-insecure", true, set_rest_insecure, NULL,
	 "also answer plain HTTP, on loopback only, as administrator"},
	{"mesh-host", false, set_mesh_host, "IP", "where peers connect, UDP (default 0.0.0.0)"},
	{"mesh-port", false, set_mesh_port, "PORT", "(default 0: any free one)"},
	{"label", false, set_label, "KEY=VALUE", "a label of this machine; repeatable"},
	{"taint", false, set_taint, "KEY=VALUE:EFFECT",
	 "keep pods away that do not tolerate it: NoSchedule, PreferNoSchedule, NoExecute; "
	 "repeatable"},
	{"resource", false, set_resource, "VENDOR/THING=N",
	 "something countable that pods may ask for; repeatable"},
	{"overcommit", false, set_overcommit, "RATIO",
	 "promise this many times the CPU that is there (default 1)"},
	{"max-pods", false, set_pods_max, "N", "run at most so many pods (default 110)"},
	{"pod-certificate-secs", false, set_pod_certificate, "N",
	 "how long certificates of pods hold that this machine signs (default 2592000, 30 days; at "
	 "least 10)"},
	{"reserve", false, set_reserve, "cpu=Q,memory=Q", "keep this much away from pods"},
	{"no-schedule", true, set_no_schedule, NULL, "run no pods here"},
	{"pool", false, set_pool, "N",
	 "connections kept to other machines (default 128); in a fabric that is no larger everyone "
	 "is connected to everyone"},
	{"records-stay", true, set_records_stay, NULL,
	 "objects stay with the machine they are given to and are seen there alone, for "
	 "measurements "
	 "of fabrics larger than the pool"},
	{"runtime", false, set_runtime, "ENGINE",
	 "default engine of pods: crun, krun or wasm; null starts nothing and says that pods run, "
	 "for measurements"},
	{"null-delay-ms", false, set_null_delay, "MS",
	 "with --runtime null: after how long (default 5)"},
	{"drain", true, set_drain, NULL, "stop every pod of this machine, then exit"},
	{"ephemeral-keys", true, set_ephemeral, NULL, "begin with a new identity at each start"},
	{"policy-file", false, set_policy, "FILE", "what this machine lets pods do (JSON)"},
	{"workplane", false, set_workplane, "FILE", "the agent (default: beside this program)"},
	{"log-format", false, set_log_format, "text|json", "(default text)"},
	/* Spellings of the reference documents. */
	{"korium-host", false, set_mesh_host, NULL, NULL},
	{"korium-port", false, set_mesh_port, NULL, NULL},
	{"signing-ephemeral", true, set_ephemeral, NULL, NULL},
	{"kem-ephemeral", true, set_nothing, NULL, NULL},
	{"dht-refresh-interval-secs", false, set_nothing, NULL, NULL},
};

static const struct option_row *find_row(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (strcmp(rows[i].name, name) == 0)
			return &rows[i];
	return NULL;
}

static void print_help(void)
{
	printf("usage: machineplane [OPTION...]\n\n"
	       "The daemon of one machine of a Magik fabric; runs in the foreground, logs to "
	       "standard "
	       "error.\nWithout --join it makes a fabric of one, or goes on with the one in "
	       "--state-dir.\n\n");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (rows[i].help) {
			char left[48];

			(void)snprintf(left, sizeof(left), "--%s %s", rows[i].name,
				       rows[i].argument ? rows[i].argument : "");
			printf("  %-28s %s\n", left, rows[i].help);
		}
	printf("  %-28s %s\n", "--config FILE", "options from a YAML or JSON mapping");
	printf("\nEach option may also come from the environment (MAGIK_NODE_NAME=...) or the "
	       "file.\n");
}

static int apply(struct options *options, const struct option_row *row, const char *value,
		 const char *spelled, struct err *err)
{
	int result = row->set(options, value, err);

	if (result)
		(void)err_prefix(err, "%s \"%.60s\"", spelled, value);
	return result;
}

static int apply_value(struct options *options, const char *name, const json_t *value,
		       struct err *err)
{
	const struct option_row *row = find_row(name);
	char number[32];
	const char *text = json_string_value(value);

	if (!row)
		return err_set(err, -EINVAL, "there is no option \"%.60s\"", name);
	if (json_is_integer(value)) {
		(void)snprintf(number, sizeof(number), "%lld",
			       (long long)json_integer_value(value));
		text = number;
	} else if (json_is_boolean(value)) {
		text = json_is_true(value) ? "true" : "false";
	}
	if (!text)
		return err_set(err, -EINVAL, "%s: not a text, number or boolean", name);
	return apply(options, row, text, name, err);
}

static int read_file(struct options *options, const char *path, struct err *err)
{
	struct buf content = {0};
	json_t *document = NULL, *value, *item;
	const char *name;
	size_t i;
	int result = file_read(path, OPTIONS_FILE_MAX, &content);
	struct kube_body body = {.bytes = bytes_buf(&content),
				 .content_type = "application/yaml",
				 .validation = KUBE_VALIDATION_STRICT};

	if (result)
		return err_set(err, result, "--config %s: %s", path, strerror(-result));
	body.bytes = bytes_buf(&content);
	result = kube_manifest_parse(&body, NULL, &document, err);
	if (result == 0)
		json_object_foreach (document, name, value) {
			if (json_is_array(value))
				json_array_foreach (value, i, item)
					result = result ? result
							: apply_value(options, name, item, err);
			else
				result = apply_value(options, name, value, err);
			if (result)
				break;
		}
	if (result)
		(void)err_prefix(err, "--config %s", path);
	json_decref(document);
	buf_deinit(&content);
	return result;
}

/* MAGIK_REST_API_PORT -> rest-api-port. Variables of other names are not ours to judge. */
static int read_environment(struct options *options, struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char variable[64];
		const char *value;
		int result;

		(void)snprintf(variable, sizeof(variable), "MAGIK_%s", rows[i].name);
		for (char *c = variable; *c; c++)
			*c = *c == '-' ? '_' : (char)toupper((unsigned char)*c);
		value = getenv(variable);
		if (!value || !*value)
			continue;
		result = apply(options, &rows[i], value, variable, err);
		if (result)
			return result;
	}
	return 0;
}

/* One argument of the command line; *@at moves past its value. "--name=value" works too. */
static int read_argument(struct options *options, int argc, char **argv, int *at, struct err *err)
{
	const char *argument = argv[*at], *equals, *value;
	const struct option_row *row;
	char name[64];

	if (strncmp(argument, "--", 2) != 0)
		return err_set(err, -EINVAL, "\"%.60s\" is no option (see --help)", argument);
	equals = strchr(argument, '=');
	(void)snprintf(name, sizeof(name), "%.*s",
		       equals ? (int)(equals - argument - 2) : (int)sizeof(name) - 1, argument + 2);
	row = find_row(name);
	if (!row && strcmp(name, "config") != 0)
		return err_set(err, -EINVAL, "there is no option --%s (see --help)", name);
	if (row && row->flag && !equals)
		value = "true";
	else if (equals)
		value = equals + 1;
	else if (*at + 1 < argc)
		value = argv[++*at];
	else
		return err_set(err, -EINVAL, "--%s needs a value", name);
	return row ? apply(options, row, value, argument, err) : 0; /* --config was read first */
}

static const char *config_path(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (strncmp(argv[i], "--config=", 9) == 0)
			return argv[i] + 9;
		if (strcmp(argv[i], "--config") == 0 && i + 1 < argc)
			return argv[i + 1];
	}
	return getenv("MAGIK_CONFIG");
}

/* A host name as a node name: its first label, in lower case. */
static char *default_node_name(void)
{
	char host[HOST_NAME_MAX + 1] = "";

	(void)gethostname(host, sizeof(host) - 1);
	host[strcspn(host, ".")] = 0;
	for (char *c = host; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	return mem_strdup(kube_name_is_label(host) ? host : "machine");
}

static void make_absolute(char **path)
{
	char cwd[PATH_MAX];
	struct buf absolute = {0};

	if (**path == '/' || !getcwd(cwd, sizeof(cwd)))
		return;
	buf_append_format(&absolute, "%s/%s", cwd, *path);
	free(*path);
	*path = buf_steal(&absolute);
}

static void set_defaults(struct options *options)
{
	*options = (struct options){.rest_port = OPTIONS_REST_PORT,
				    .null_delay_ms = OPTIONS_NULL_DELAY_MS,
				    .overcommit = 1000,
				    .pool = OVERLAY_POOL_DEFAULT};
	options->state_dir = mem_strdup("/var/lib/magik");
	options->run_dir = mem_strdup("/run/magik");
	options->rest_host = mem_strdup("0.0.0.0");
	options->mesh_host = mem_strdup("0.0.0.0");
	options->node_name = default_node_name();
}

int options_read(int argc, char **argv, struct options *options, struct err *err)
{
	const char *config = config_path(argc, argv);
	int result = 0;

	set_defaults(options);
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--help") == 0) {
			print_help();
			return OPTIONS_E_HELP;
		}
		if (strcmp(argv[i], "--version") == 0) {
			printf("machineplane %s\n", MAGIK_VERSION);
			return OPTIONS_E_VERSION;
		}
	}
	if (config && *config)
		result = read_file(options, config, err);
	if (result == 0)
		result = read_environment(options, err);
	for (int i = 1; result == 0 && i < argc; i++)
		result = read_argument(options, argc, argv, &i, err);
	make_absolute(&options->state_dir);
	make_absolute(&options->run_dir);
	return result;
}

void options_deinit(struct options *options)
{
	for (size_t i = 0; i < options->label_count; i++) {
		free(options->labels[i].key);
		free(options->labels[i].value);
	}
	for (size_t i = 0; i < options->taint_count; i++) {
		free(options->taints[i].key);
		free(options->taints[i].value);
	}
	for (size_t i = 0; i < options->resource_count; i++)
		free(options->resources[i].name);
	free(options->node_name);
	free(options->state_dir);
	free(options->run_dir);
	free(options->rest_host);
	free(options->mesh_host);
	free(options->join);
	free(options->runtime);
	free(options->workplane);
	free(options->policy_file);
	free(options->notice);
	*options = (struct options){0};
}
