/* SPDX-License-Identifier: Apache-2.0 */
#include "service/names.h"

#include <stdlib.h>
#include <string.h>

enum {
	NAMES_LABELS_MAX = 34, /* of an IPv6 address below ip6.arpa; what has more is not ours */
	IP6_NIBBLES = 32,
	DECIMAL = 10,
	HEXADECIMAL = 16,
};

/* A name in lower case, cut at its dots, from left to right. */
struct labels {
	char text[NAMES_TEXT_MAX + 1];
	const char *at[NAMES_LABELS_MAX];
	size_t count;
};

static bool labels_cut(const char *name, struct labels *labels)
{
	size_t len = strlen(name);

	labels->count = 0;
	if (len > 0 && name[len - 1] == '.')
		len--;
	if (len == 0 || len > NAMES_TEXT_MAX)
		return false;
	for (size_t i = 0, start = 0; i <= len; i++) {
		char c = i < len ? name[i] : '.';

		if (c != '.') {
			labels->text[i] = (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
			continue;
		}
		if (i == start || labels->count == NAMES_LABELS_MAX)
			return false;
		labels->text[i] = '\0';
		labels->at[labels->count++] = labels->text + start;
		start = i + 1;
	}
	return true;
}

/* Take @suffix, a label, from the right end. */
static bool labels_drop(struct labels *labels, const char *suffix)
{
	if (labels->count == 0 || strcmp(labels->at[labels->count - 1], suffix) != 0)
		return false;
	labels->count--;
	return true;
}

/* ---- readings ---- */

static bool set_label(char to[LABEL_MAX + 1], const char *from)
{
	size_t len = strlen(from);

	if (!label_is_valid(from, len))
		return false;
	memcpy(to, from, len + 1);
	return true;
}

static void add(struct names_readings *readings, const struct names_reading *reading)
{
	if (readings->count < NAMES_READINGS_MAX)
		readings->list[readings->count++] = *reading;
}

static void add_service(struct names_readings *readings, const char *service, const char *namespace)
{
	struct names_reading reading = {.what = NAMES_SERVICE};

	if (set_label(reading.service, service) && set_label(reading.namespace, namespace))
		add(readings, &reading);
}

static void add_pod(struct names_readings *readings, const char *pod, const char *service,
		    const char *namespace)
{
	struct names_reading reading = {.what = NAMES_POD};

	if (set_label(reading.pod, pod) && set_label(reading.service, service) &&
	    set_label(reading.namespace, namespace))
		add(readings, &reading);
}

static void add_port(struct names_readings *readings, const char *const *labels,
		     const char *namespace)
{
	struct names_reading reading = {.what = NAMES_PORT};
	const char *port = labels[0], *protocol = labels[1];
	size_t len = strlen(port);

	if (port[0] != '_' || len > WORK_PORT_NAME_MAX + 1 || !label_is_valid(port + 1, len - 1))
		return;
	memcpy(reading.port, port + 1, len);
	if (strcmp(protocol, "_udp") == 0)
		reading.protocol = SERVICE_UDP;
	else if (strcmp(protocol, "_tcp") != 0)
		return;
	if (set_label(reading.service, labels[2]) && set_label(reading.namespace, namespace))
		add(readings, &reading);
}

static void add_branch(struct names_readings *readings)
{
	add(readings, &(struct names_reading){.what = NAMES_BRANCH});
}

/* Below "svc", the namespace is always named. */
static void read_full(const struct labels *labels, struct names_readings *readings)
{
	const char *const *at = labels->at;

	switch (labels->count) {
	case 0:
	case 1: /* a namespace, whether or not there is one: it has no records of its own */
		add_branch(readings);
		break;
	case 2:
		add_service(readings, at[0], at[1]);
		break;
	case 3:
		add_pod(readings, at[0], at[1], at[2]);
		break;
	case 4:
		add_port(readings, at, at[3]);
		break;
	default:
		break;
	}
}

/* As a resolver without a search list asks; the order is that of the list. */
static void read_short(const struct labels *labels, const char *namespace,
		       struct names_readings *readings)
{
	const char *const *at = labels->at;
	bool port = at[0][0] == '_';

	if (labels->count == 1)
		add_service(readings, at[0], namespace);
	if (labels->count == 2) {
		add_pod(readings, at[0], at[1], namespace);
		add_service(readings, at[0], at[1]);
	}
	if (labels->count == 3 && port)
		add_port(readings, at, namespace);
	if (labels->count == 3 && !port)
		add_pod(readings, at[0], at[1], at[2]);
	if (labels->count == 4 && port)
		add_port(readings, at, at[3]);
}

/* ---- addresses ---- */

static bool number_of(const char *text, int base, size_t digits_max, uint8_t *ret_number)
{
	static const char digits[] = "0123456789abcdef";
	size_t len = strlen(text);
	unsigned number = 0;

	if (len == 0 || len > digits_max)
		return false;
	for (size_t i = 0; i < len; i++) {
		const char *digit = strchr(digits, text[i]);

		if (digit - digits >= base)
			return false;
		number = number * (unsigned)base + (unsigned)(digit - digits);
	}
	*ret_number = (uint8_t)number;
	return number <= UINT8_MAX;
}

static bool read_v4(const struct labels *labels, struct addr *ret_addr)
{
	uint8_t ip[ADDR_V4_LEN];

	if (labels->count != ADDR_V4_LEN)
		return false;
	for (size_t i = 0; i < ADDR_V4_LEN; i++)
		if (!number_of(labels->at[i], DECIMAL, 3, &ip[ADDR_V4_LEN - 1 - i]))
			return false;
	return addr_from_ip(bytes_of(ip, sizeof(ip)), 0, ret_addr);
}

static bool read_v6(const struct labels *labels, struct addr *ret_addr)
{
	uint8_t ip[ADDR_IP_MAX] = {0}, nibble;

	if (labels->count != IP6_NIBBLES)
		return false;
	for (size_t i = 0; i < IP6_NIBBLES; i++) {
		if (!number_of(labels->at[i], HEXADECIMAL, 1, &nibble))
			return false;
		ip[ADDR_IP_MAX - 1 - i / 2] |= (uint8_t)(i % 2 ? nibble << 4 : nibble);
	}
	return addr_from_ip(bytes_of(ip, sizeof(ip)), 0, ret_addr);
}

static bool read_address(struct labels *labels, struct names_readings *readings)
{
	struct names_reading reading = {.what = NAMES_ADDRESS};

	if (!labels_drop(labels, "arpa"))
		return false;
	if (labels_drop(labels, "in-addr")
		    ? read_v4(labels, &reading.addr)
		    : labels_drop(labels, "ip6") && read_v6(labels, &reading.addr))
		add(readings, &reading);
	return true;
}

struct names_readings names_read(const char *name, const char *namespace)
{
	struct names_readings readings = {0};
	struct labels labels;

	if (!labels_cut(name, &labels) || read_address(&labels, &readings))
		return readings;
	if (labels.count >= 2 && strcmp(labels.at[labels.count - 2], "cluster") == 0 &&
	    labels_drop(&labels, "local")) {
		(void)labels_drop(&labels, "cluster");
		readings.ours = true;
		if (labels.count == 0)
			add_branch(&readings);
		else if (labels_drop(&labels, "svc"))
			read_full(&labels, &readings);
	} else if (labels.count > 2 && labels_drop(&labels, "svc")) {
		read_full(&labels, &readings);
	} else {
		read_short(&labels, namespace, &readings);
	}
	return readings;
}

uint16_t names_target(const struct names_port *port, const struct service_record *record)
{
	if (!port->target_name[0])
		return port->target_number;
	for (size_t i = 0; i < record->port_count; i++)
		if (record->ports[i].protocol == port->protocol &&
		    strcmp(record->ports[i].name, port->target_name) == 0)
			return record->ports[i].number;
	return 0;
}
