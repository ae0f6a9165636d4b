/* SPDX-License-Identifier: Apache-2.0 */
#include "workplane/agent_mesh.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum {
	HEX = 16,
	DECIMAL = 10,
};

bool agent_mesh_is_wanted(const struct options *options)
{
	return options->mesh_fd != OPTIONS_FD_NONE || options->cert;
}

int agent_mesh_preference(const struct options *options, enum pick_preference *ret_preference,
			  struct err *err)
{
	static const char *const names[] = {
		[PICK_ANYWHERE] = "anywhere", [PICK_REGION] = "region", [PICK_MACHINE] = "machine"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (strcmp(options->prefer, names[i]) == 0) {
			*ret_preference = (enum pick_preference)i;
			return 0;
		}
	return err_set(err, -EINVAL, "--prefer: \"%.20s\" is none of anywhere, region, machine",
		       options->prefer);
}

static int parse_address(const struct options *options, struct addr *ret_addr, struct err *err)
{
	struct option_place at = {0};
	char text[OPTIONS_ITEM_MAX + 1], more[OPTIONS_ITEM_MAX + 1];

	if (options->mesh_fd != OPTIONS_FD_NONE) {
		const char *address = options->mesh_address ? options->mesh_address : "";

		if (!addr_parse(address, ret_addr) && !addr_parse_ip(address, 0, ret_addr))
			return err_set(err, -EINVAL, "--mesh-address: \"%.60s\" is no address",
				       address);
		return 0;
	}
	if (!options_next(&options->listen_addrs, &at, text) || !addr_parse(text, ret_addr))
		return err_set(err, -EINVAL,
			       "--listen-addrs: an IP address and a UDP port are needed, at which "
			       "other agents reach this one");
	if (addr_is_wildcard(ret_addr))
		return err_set(err, -EINVAL,
			       "--listen-addrs: %s is not an address that others can reach", text);
	if (options_next(&options->listen_addrs, &at, more))
		return err_set(err, -EINVAL, "--listen-addrs: one address only, not also %.60s",
			       more);
	return 0;
}

/* The patterns of @list, their memory to be freed with the policy. */
static int parse_patterns(const struct option_list *list, char ***ret_list, size_t *ret_count,
			  const char *name, struct err *err)
{
	struct option_place at = {0};
	char text[OPTIONS_ITEM_MAX + 1];

	*ret_list = mem_alloc(WORK_PATTERNS_MAX, sizeof(**ret_list));
	while (options_next(list, &at, text)) {
		if (*ret_count == WORK_PATTERNS_MAX || strlen(text) > WORK_PATTERN_MAX)
			return err_set(err, -EINVAL, "--%s: more than %d patterns, or a long one",
				       name, WORK_PATTERNS_MAX);
		(*ret_list)[(*ret_count)++] = mem_strdup(text);
	}
	return 0;
}

static int parse_policy(const struct options *options, struct service_policy *policy,
			struct err *err)
{
	int r;

	policy->cross_namespace = options->allow_cross_namespace;
	r = parse_patterns(&options->allow_workloads, &policy->allow, &policy->allow_count,
			   "allow-workloads", err);
	return r < 0 ? r
		     : parse_patterns(&options->deny_workloads, &policy->deny, &policy->deny_count,
				      "deny-workloads", err);
}

/* "[NAME=]PORT[/udp]". */
static int parse_port(char *text, struct service_port *ret_port, struct err *err)
{
	char *slash = strchr(text, '/'), *equals = strchr(text, '='), *end;
	const char *number = equals ? equals + 1 : text;
	bool udp = slash && strcmp(slash, "/udp") == 0;
	unsigned long port = strtoul(number, &end, DECIMAL);

	if ((*end != '\0' && end != slash) || end == number || port < 1 || port > UINT16_MAX ||
	    (slash && !udp && strcmp(slash, "/tcp") != 0))
		return err_set(err, -EINVAL, "--publish: \"%.60s\" is not [NAME=]PORT[/tcp|/udp]",
			       text);
	ret_port->number = (uint16_t)port;
	ret_port->protocol = udp ? SERVICE_UDP : SERVICE_TCP;
	ret_port->name = mem_copy(text, equals ? (size_t)(equals - text) : 0);
	return 0;
}

static int parse_ports(const struct options *options, struct service_port *ports, size_t *ret_count,
		       struct err *err)
{
	struct option_place at = {0};
	char text[OPTIONS_ITEM_MAX + 1];

	while (options_next(&options->publish, &at, text)) {
		int r = *ret_count < WORK_PORTS_MAX
				? parse_port(text, &ports[*ret_count], err)
				: err_set(err, -EINVAL, "--publish: more than %d ports",
					  WORK_PORTS_MAX);

		if (r < 0)
			return r;
		++*ret_count;
	}
	return 0;
}

/* "db-2" of a StatefulSet is its third; the host process says it itself. */
uint32_t agent_mesh_ordinal(const struct options *options)
{
	const char *dash = strrchr(options->pod, '-');
	unsigned long number;
	char *end;

	if (options->ordinal >= 0)
		return (uint32_t)options->ordinal;
	if (strcmp(options->workload_kind, "StatefulSet") != 0 || !dash || !dash[1])
		return SERVICE_NO_ORDINAL;
	number = strtoul(dash + 1, &end, DECIMAL);
	return *end == '\0' && number < INT32_MAX ? (uint32_t)number : SERVICE_NO_ORDINAL;
}

static int parse_names(const struct options *options, struct mesh_config *config, struct err *err)
{
	char *end = NULL;

	config->namespace = options->namespace;
	config->kind = options->workload_kind;
	config->workload = options->workload;
	config->pod = options->pod;
	config->ordinal = agent_mesh_ordinal(options);
	config->region = options->region;
	if (options->machine)
		config->machine = strtoull(options->machine, &end, HEX);
	if (options->machine && (end == options->machine || *end))
		return err_set(err, -EINVAL, "--machine: \"%.40s\" is no number in hex",
			       options->machine);
	if (options->workload_uid && !uid_parse(options->workload_uid, &config->workload_uid))
		return err_set(err, -EINVAL, "--workload-uid: \"%.40s\" is none",
			       options->workload_uid);
	return 0;
}

int agent_mesh_new(struct loop *loop, const struct options *options, struct err *err,
		   struct mesh **ret_mesh)
{
	struct service_port ports[WORK_PORTS_MAX] = {0};
	struct mesh_config config = {.socket_fd = (int)options->mesh_fd, .ports = ports};
	int r = parse_names(options, &config, err);

	if (r == 0)
		r = parse_address(options, &config.address, err);
	if (r == 0)
		r = parse_policy(options, &config.policy, err);
	if (r == 0)
		r = parse_ports(options, ports, &config.port_count, err);
	if (r == 0)
		r = mesh_new(loop, &config, err, ret_mesh);
	service_policy_deinit(&config.policy);
	for (size_t i = 0; i < config.port_count; i++)
		free(ports[i].name);
	return r;
}
