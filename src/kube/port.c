/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/port.h"

#include "kube/member.h"

enum {
	PORT_NUMBER_MAX = 65535,
};

static void validate_name(struct check *check, const json_t *ports, size_t index,
			  const struct port_rules *rules)
{
	const json_t *port = json_array_get(ports, index);
	const char *name = kube_member_string(port, "name");

	if (!*name && rules->named_when_several && json_array_size(ports) > 1)
		check_required(check, "name", "");
	else if (*name && !rules->name_fits(name))
		check_invalid(check, "name", json_object_get(port, "name"), rules->name_detail);
	else if (*name && kube_is_repeated(ports, index, "name", name))
		check_duplicate(check, "name", name);
}

void kube_validate_port(struct check *check, const json_t *ports, size_t index,
			const struct port_rules *rules)
{
	static const char *const protocols[] = {"SCTP", "TCP", "UDP", NULL};
	const json_t *port = json_array_get(ports, index);
	const json_t *number = json_object_get(port, rules->number);
	size_t mark = check_enter(check, "ports[%zu]", index);

	if (!number)
		check_required(check, rules->number, "");
	check_range(check, rules->number, number, 1, PORT_NUMBER_MAX);
	check_range(check, rules->outside, json_object_get(port, rules->outside), 0,
		    PORT_NUMBER_MAX);
	(void)check_one_of(check, "protocol", kube_member_string(port, "protocol"), protocols);
	validate_name(check, ports, index, rules);
	check_leave(check, mark);
}
