/* SPDX-License-Identifier: Apache-2.0 */
#include "service/record.h"

#include <stdio.h>
#include <string.h>

#include "base/prng.h"
#include "identity/sha256.h"
#include "service/label.h"
#include "service/policy.h"

/* ---- names ---- */

/* The part of @path before the next '/', or all of it when it is the last one. */
static bool take_part(const char **path, bool last, char *ret_part, size_t len_max)
{
	size_t len = strcspn(*path, "/");

	if (len == 0 || len > len_max || ((*path)[len] == '\0') != last)
		return false;
	memcpy(ret_part, *path, len);
	ret_part[len] = '\0';
	*path += len + !last;
	return true;
}

static bool is_pod_name(const struct service_name *name)
{
	return label_is_valid(name->namespace, strlen(name->namespace)) &&
	       label_is_kind(name->kind) && label_is_subdomain(name->name) &&
	       label_is_subdomain(name->pod);
}

bool service_name_parse(const char *uri, const char *fabric, struct service_name *ret_name)
{
	static const char scheme[] = "spiffe://", ns[] = "/ns/";
	size_t fabric_len = strlen(fabric);

	if (strncmp(uri, scheme, sizeof(scheme) - 1) != 0)
		return false;
	uri += sizeof(scheme) - 1;
	if (strncmp(uri, fabric, fabric_len) != 0 ||
	    strncmp(uri + fabric_len, ns, sizeof(ns) - 1) != 0)
		return false;
	uri += fabric_len + sizeof(ns) - 1;
	return take_part(&uri, false, ret_name->namespace, MESSAGE_NAMESPACE_MAX) &&
	       take_part(&uri, false, ret_name->kind, WORK_KIND_MAX) &&
	       take_part(&uri, false, ret_name->name, MESSAGE_NAME_MAX) &&
	       take_part(&uri, true, ret_name->pod, MESSAGE_NAME_MAX) && is_pod_name(ret_name);
}

struct digest service_key(const char *namespace, const char *name)
{
	char text[sizeof("service /") + MESSAGE_NAMESPACE_MAX + MESSAGE_NAME_MAX];
	int len = snprintf(text, sizeof(text), "service %.*s/%.*s", MESSAGE_NAMESPACE_MAX,
			   namespace, MESSAGE_NAME_MAX, name);

	return sha256(bytes_of(text, (size_t)len));
}

/* ---- form ---- */

/* A named port is named once for each protocol. */
static bool ports_are_valid(const struct service_record *record)
{
	for (size_t i = 0; i < record->port_count; i++) {
		const struct service_port *port = &record->ports[i];

		if (port->number == 0 ||
		    (port->name[0] && (strlen(port->name) > WORK_PORT_NAME_MAX ||
				       !label_is_valid(port->name, strlen(port->name)))))
			return false;
		for (size_t j = 0; j < i && port->name[0]; j++)
			if (record->ports[j].protocol == port->protocol &&
			    strcmp(record->ports[j].name, port->name) == 0)
				return false;
	}
	return true;
}

static bool patterns_are_valid(char *const *patterns, size_t count)
{
	if (count > WORK_PATTERNS_MAX)
		return false;
	for (size_t i = 0; i < count; i++)
		if (!policy_pattern_is_valid(patterns[i]))
			return false;
	return true;
}

static bool addresses_are_valid(const struct service_record *record)
{
	if (record->address_count == 0 || record->address_count > WORK_ADDRESSES_MAX)
		return false;
	for (size_t i = 0; i < record->address_count; i++)
		if (!addr_can_be_dialled(&record->addresses[i]))
			return false;
	return true;
}

static bool names_are_valid(const struct service_record *record)
{
	return label_is_valid(record->namespace, strlen(record->namespace)) &&
	       label_is_kind(record->kind) && label_is_subdomain(record->name) &&
	       label_is_subdomain(record->pod) && strlen(record->region) <= WORK_REGION_MAX;
}

static bool fits(const struct service_record *record)
{
	struct buf encoded = {0};
	bool small;

	service_record_encode(record, &encoded);
	small = encoded.len <= WORK_RECORD_MAX;
	buf_deinit(&encoded);
	return small;
}

static bool is_well_formed(const struct service_record *record)
{
	return names_are_valid(record) && addresses_are_valid(record) &&
	       record->port_count <= WORK_PORTS_MAX && ports_are_valid(record) &&
	       record->label_count <= WORK_LABELS_MAX && record->load <= WORK_LOAD_MAX &&
	       record->ts.ms >= 0 && !(record->ready && record->leaving) &&
	       patterns_are_valid(record->policy.allow, record->policy.allow_count) &&
	       patterns_are_valid(record->policy.deny, record->policy.deny_count);
}

int service_record_check(const struct service_record *record)
{
	return is_well_formed(record) && fits(record) ? 0 : SERVICE_E_MALFORMED;
}

/* ---- who and when ---- */

bool service_is_of_now(struct wall ts, struct wall now)
{
	return ts.ms >= now.ms - SERVICE_SKEW_MS && ts.ms <= now.ms + SERVICE_SKEW_MS;
}

int service_record_admit(const struct service_record *record, const struct service_name *signer,
			 const struct node_id *key, struct wall said, struct wall now)
{
	if (!is_well_formed(record))
		return SERVICE_E_MALFORMED;
	if (strcmp(record->namespace, signer->namespace) != 0 ||
	    strcmp(record->kind, signer->kind) != 0 || strcmp(record->name, signer->name) != 0 ||
	    strcmp(record->pod, signer->pod) != 0 || !node_id_equal(&record->peer, key))
		return SERVICE_E_FOREIGN;
	if (!service_is_of_now(said, now) || record->ts.ms > now.ms + SERVICE_SKEW_MS)
		return SERVICE_E_STALE;
	return 0;
}

int service_record_compare(const struct service_record *a, const struct service_record *b)
{
	if (a->version != b->version)
		return a->version < b->version ? -1 : 1;
	if (a->ts.ms != b->ts.ms)
		return a->ts.ms < b->ts.ms ? -1 : 1;
	return node_id_compare(&a->peer, &b->peer);
}

uint64_t service_digest_of(const struct node_id *peer, uint64_t version)
{
	struct prng prng;

	memcpy(&prng.state, peer->byte, sizeof(prng.state));
	prng.state ^= version * 0x9e3779b97f4a7c15U;
	return prng_next(&prng);
}
