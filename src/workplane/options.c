/* SPDX-License-Identifier: Apache-2.0 */
#include "workplane/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum option_type {
	OPTION_TEXT,
	OPTION_NUMBER,
	OPTION_TRUTH,
	OPTION_LIST,
};

enum {
	NUMBER_MAX = 1000000, /* of replicas, of seconds */
};

/* One option. @env NULL: command line only. */
struct option_rule {
	const char *name, *env;
	enum option_type type;
	size_t offset;
	const char *initial; /* NULL: none; for a text then NULL */
	int64_t min;
	bool required;
};

#define AT(member) offsetof(struct options, member)

static const struct option_rule rules[] = {
	{"namespace", "BEE_NAMESPACE", OPTION_TEXT, AT(namespace), "default", 0, false},
	{"workload", "BEE_WORKLOAD_NAME", OPTION_TEXT, AT(workload), NULL, 0, true},
	{"pod", "BEE_POD_NAME", OPTION_TEXT, AT(pod), NULL, 0, true},
	{"workload-kind", "BEE_WORKLOAD_KIND", OPTION_TEXT, AT(workload_kind), "Deployment", 0,
	 false},
	{"replicas", "BEE_REPLICAS", OPTION_NUMBER, AT(replicas), "1", 0, false},
	{"liveness-url", "BEE_LIVENESS_URL", OPTION_TEXT, AT(liveness_url), NULL, 0, false},
	{"readiness-url", "BEE_READINESS_URL", OPTION_TEXT, AT(readiness_url), NULL, 0, false},
	{"machine-api", "BEE_MACHINE_API", OPTION_TEXT, AT(machine_api), NULL, 0, false},
	{"privkey", "BEE_PRIVATE_KEY_B64", OPTION_TEXT, AT(privkey), NULL, 0, false},
	{"cert", "BEE_CERT", OPTION_TEXT, AT(cert), NULL, 0, false},
	{"root", "BEE_ROOT", OPTION_TEXT, AT(root), NULL, 0, false},
	{"bootstrap-peers", "BEE_BOOTSTRAP_PEERS", OPTION_LIST, AT(bootstrap_peers), NULL, 0,
	 false},
	{"listen-addrs", "BEE_LISTEN_ADDRS", OPTION_LIST, AT(listen_addrs), NULL, 0, false},
	{"publish", "BEE_PUBLISH", OPTION_LIST, AT(publish), NULL, 0, false},
	{"forward", "BEE_FORWARD", OPTION_LIST, AT(forward), NULL, 0, false},
	{"prefer", "BEE_PREFER", OPTION_TEXT, AT(prefer), "anywhere", 0, false},
	{"drain-secs", "BEE_DRAIN_SECS", OPTION_NUMBER, AT(drain_s), "30", 0, false},
	{"allow-workloads", "BEE_ALLOW_WORKLOADS", OPTION_LIST, AT(allow_workloads), NULL, 0,
	 false},
	{"deny-workloads", "BEE_DENY_WORKLOADS", OPTION_LIST, AT(deny_workloads), NULL, 0, false},
	{"allow-cross-namespace", "BEE_ALLOW_CROSS_NAMESPACE", OPTION_TRUTH,
	 AT(allow_cross_namespace), "false", 0, false},
	{"dht-ttl-secs", "BEE_DHT_TTL_SECS", OPTION_NUMBER, AT(dht_ttl_s), "15", 1, false},
	{"dht-heartbeat-secs", "BEE_DHT_HEARTBEAT_SECS", OPTION_NUMBER, AT(dht_heartbeat_s), "5", 1,
	 false},
	{"health-interval-secs", "BEE_HEALTH_INTERVAL_SECS", OPTION_NUMBER, AT(health_interval_s),
	 "10", 1, false},
	{"health-timeout-secs", "BEE_HEALTH_TIMEOUT_SECS", OPTION_NUMBER, AT(health_timeout_s), "5",
	 1, false},
	{"replica-check-interval-secs", "BEE_REPLICA_CHECK_INTERVAL_SECS", OPTION_NUMBER,
	 AT(replica_check_interval_s), "30", 1, false},
	{"group-dir", "BEE_GROUP_DIR", OPTION_TEXT, AT(group_dir), NULL, 0, false},
	{"group-listen", "BEE_GROUP_LISTEN", OPTION_TEXT, AT(group_listen), NULL, 0, false},
	{"group-birth", "BEE_GROUP_BIRTH", OPTION_TRUTH, AT(group_birth), "false", 0, false},
	{"group-recover", "BEE_GROUP_RECOVER", OPTION_NUMBER, AT(group_recover), "0", 0, false},
	{"epoch", "BEE_EPOCH", OPTION_NUMBER, AT(epoch), "1", 1, false},
	{"pod-uid", NULL, OPTION_TEXT, AT(pod_uid), NULL, 0, false},
	{"hostname", NULL, OPTION_TEXT, AT(hostname), NULL, 0, false},
	{"control-dir", NULL, OPTION_TEXT, AT(control_dir), NULL, 0, false},
	{"empty-dir", NULL, OPTION_TEXT, AT(empty_dir), NULL, 0, false},
	{"report-fd", NULL, OPTION_NUMBER, AT(report_fd), "-1", -1, false},
	{"net-fd", NULL, OPTION_NUMBER, AT(net_fd), "-1", -1, false},
	{"ipc-fd", NULL, OPTION_NUMBER, AT(ipc_fd), "-1", -1, false},
	{"uts-fd", NULL, OPTION_NUMBER, AT(uts_fd), "-1", -1, false},
	{"front-tcp-fd", NULL, OPTION_NUMBER, AT(front_tcp_fd), "-1", -1, false},
	{"front-udp-fd", NULL, OPTION_NUMBER, AT(front_udp_fd), "-1", -1, false},
	{"front-raw4-fd", NULL, OPTION_NUMBER, AT(front_raw4_fd), "-1", -1, false},
	{"front-raw6-fd", NULL, OPTION_NUMBER, AT(front_raw6_fd), "-1", -1, false},
	{"resolve-fd", NULL, OPTION_NUMBER, AT(resolve_fd), "-1", -1, false},
	{"resolvers", NULL, OPTION_TEXT, AT(resolvers), NULL, 0, false},
	{"account-fd", NULL, OPTION_NUMBER, AT(account_fd), "-1", -1, false},
	{"mesh-fd", NULL, OPTION_NUMBER, AT(mesh_fd), "-1", -1, false},
	{"mesh-address", NULL, OPTION_TEXT, AT(mesh_address), NULL, 0, false},
	{"workload-uid", NULL, OPTION_TEXT, AT(workload_uid), NULL, 0, false},
	{"ordinal", NULL, OPTION_NUMBER, AT(ordinal), "-1", -1, false},
	{"machine", NULL, OPTION_TEXT, AT(machine), NULL, 0, false},
	{"region", NULL, OPTION_TEXT, AT(region), NULL, 0, false},
};

static int parse_number(const struct option_rule *rule, const char *text, void *slot,
			struct err *err)
{
	char *end;
	long long value;

	errno = 0;
	value = strtoll(text, &end, 10);
	if (errno || end == text || *end || value < rule->min || value > NUMBER_MAX)
		return err_set(err, -EINVAL, "--%s: \"%.40s\" is not a number from %lld to %d",
			       rule->name, text, (long long)rule->min, NUMBER_MAX);
	memcpy(slot, &(int64_t){value}, sizeof(int64_t));
	return 0;
}

static int parse_truth(const struct option_rule *rule, const char *text, void *slot,
		       struct err *err)
{
	bool is_true = strcmp(text, "true") == 0 || strcmp(text, "1") == 0;

	if (!is_true && strcmp(text, "false") != 0 && strcmp(text, "0") != 0)
		return err_set(err, -EINVAL, "--%s: \"%.40s\" is neither true nor false",
			       rule->name, text);
	memcpy(slot, &is_true, sizeof(is_true));
	return 0;
}

static int add_to_list(const struct option_rule *rule, const char *text, struct option_list *list,
		       struct err *err)
{
	if (list->count == OPTIONS_LIST_MAX)
		return err_set(err, -EINVAL, "--%s: given more than %d times", rule->name,
			       OPTIONS_LIST_MAX);
	list->text[list->count++] = text;
	return 0;
}

bool options_next(const struct option_list *list, struct option_place *at,
		  char text[OPTIONS_ITEM_MAX + 1])
{
	static const char blanks[] = " \t";
	size_t len, trimmed = 0;

	while (!at->rest || *at->rest == '\0') {
		if (at->index == list->count)
			return false;
		at->rest = list->text[at->index++];
	}
	at->rest += strspn(at->rest, blanks);
	len = strcspn(at->rest, ",");
	while (len - trimmed > 0 && strchr(blanks, at->rest[len - trimmed - 1]))
		trimmed++;
	(void)snprintf(text, OPTIONS_ITEM_MAX + 1, "%.*s", (int)(len - trimmed), at->rest);
	at->rest += len + (at->rest[len] == ',');
	return true;
}

static int option_set(const struct option_rule *rule, const char *text, struct options *options,
		      struct err *err)
{
	void *slot = (char *)options + rule->offset;

	switch (rule->type) {
	case OPTION_NUMBER:
		return parse_number(rule, text, slot, err);
	case OPTION_TRUTH:
		return parse_truth(rule, text, slot, err);
	case OPTION_LIST:
		return add_to_list(rule, text, slot, err);
	case OPTION_TEXT:
	default:
		memcpy(slot, &text, sizeof(text));
		return 0;
	}
}

/* "--name=value" or "--name value"; a truth may stand without a value. */
static int parse_argument(int argc, char **argv, int *at, struct options *options,
			  bool given[ARRAY_LEN(rules)], struct err *err)
{
	const char *argument = argv[*at];
	size_t len = strcspn(argument, "=");

	for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
		const struct option_rule *rule = &rules[i];

		if (strncmp(argument, "--", 2) != 0 || strlen(rule->name) != len - 2 ||
		    strncmp(argument + 2, rule->name, len - 2) != 0)
			continue;
		/* The first one takes the place of the environment's. */
		if (rule->type == OPTION_LIST && !given[i])
			memset((char *)options + rule->offset, 0, sizeof(struct option_list));
		given[i] = true;
		if (argument[len] == '=')
			return option_set(rule, argument + len + 1, options, err);
		if (rule->type == OPTION_TRUTH)
			return option_set(rule, "true", options, err);
		if (*at + 1 >= argc)
			return err_set(err, -EINVAL, "--%s needs a value", rule->name);
		return option_set(rule, argv[++*at], options, err);
	}
	return err_set(err, -EINVAL, "unknown option \"%.60s\"", argument);
}

static int check_required(const struct options *options, struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
		const char *value;

		if (!rules[i].required)
			continue;
		memcpy(&value, (const char *)options + rules[i].offset, sizeof(value));
		if (!value || value[0] == '\0')
			return err_set(err, -EINVAL, "--%s or %s is required", rules[i].name,
				       rules[i].env);
	}
	return 0;
}

int options_parse(int argc, char **argv, const char *(*lookup)(const char *name),
		  struct options *ret_options, struct err *err)
{
	struct options options = {0};
	bool given[ARRAY_LEN(rules)] = {0};

	for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
		const char *text = rules[i].env ? lookup(rules[i].env) : NULL;
		int r;

		if (!text)
			text = rules[i].initial;
		r = text ? option_set(&rules[i], text, &options, err) : 0;
		if (r < 0)
			return r;
	}
	for (int at = 1; at < argc; at++) {
		int r;

		if (strcmp(argv[at], "--help") == 0) {
			options.help = true;
			*ret_options = options;
			return 0;
		}
		if (strcmp(argv[at], "--") == 0) {
			options.command = argv + at + 1;
			break;
		}
		r = parse_argument(argc, argv, &at, &options, given, err);
		if (r < 0)
			return r;
	}
	if (options.command && !*options.command)
		return err_set(err, -EINVAL, "there is no command behind --");
	if (!options.command && check_required(&options, err) < 0)
		return err->code;
	*ret_options = options;
	return 0;
}

void options_explain(void (*print)(const char *line))
{
	for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
		char line[160];

		if (!rules[i].env)
			continue;
		(void)snprintf(line, sizeof(line), "  --%-30s %-34s %s", rules[i].name,
			       rules[i].env,
			       rules[i].required  ? "(required)"
			       : rules[i].initial ? rules[i].initial
						  : "");
		print(line);
	}
}
