/* SPDX-License-Identifier: Apache-2.0 */
/* The ServiceRecord and its renewal. */
#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"
#include "wire/codec.h"
#include "wire/work.h"
#include "work.pb-c.h"

/* ---- packing ---- */

static void addresses_pack(struct packer *packer, const struct service_record *from,
			   Work__ServiceRecord *to)
{
	assert(from->address_count <= WORK_ADDRESSES_MAX);
	to->n_addresses = from->address_count;
	pack_array(packer, Work__Endpoint, work__endpoint__init, from->address_count,
		   &to->addresses);
	for (size_t i = 0; i < from->address_count; i++) {
		struct bytes ip = addr_ip(&from->addresses[i]);

		to->addresses[i]->ip = pack_bytes(ip.ptr, ip.len);
		to->addresses[i]->port = from->addresses[i].port;
	}
}

static void ports_pack(struct packer *packer, const struct service_record *from,
		       Work__ServiceRecord *to)
{
	assert(from->port_count <= WORK_PORTS_MAX);
	to->n_ports = from->port_count;
	pack_array(packer, Work__Port, work__port__init, from->port_count, &to->ports);
	for (size_t i = 0; i < from->port_count; i++) {
		to->ports[i]->name = pack_name(from->ports[i].name, WORK_PORT_NAME_MAX);
		to->ports[i]->number = from->ports[i].number;
		to->ports[i]->protocol = (uint32_t)from->ports[i].protocol;
	}
}

static void record_labels_pack(struct packer *packer, const struct service_record *from,
			       Work__ServiceRecord *to)
{
	assert(from->label_count <= WORK_LABELS_MAX);
	to->n_labels = from->label_count;
	pack_array(packer, Work__Label, work__label__init, from->label_count, &to->labels);
	for (size_t i = 0; i < from->label_count; i++) {
		to->labels[i]->key = pack_name(from->labels[i].key, MESSAGE_LABEL_KEY_MAX);
		to->labels[i]->value = pack_name(from->labels[i].value, MESSAGE_LABEL_VALUE_MAX);
	}
}

static void patterns_pack(struct packer *packer, char *const *from, size_t count,
			  ProtobufCBinaryData **ret_list, size_t *ret_count)
{
	assert(count <= WORK_PATTERNS_MAX);
	*ret_count = count;
	*ret_list = packer_alloc(packer, count, sizeof(**ret_list));
	for (size_t i = 0; i < count; i++)
		(*ret_list)[i] = pack_name(from[i], WORK_PATTERN_MAX);
}

static void policy_pack(struct packer *packer, const struct service_policy *from, Work__Policy *to)
{
	patterns_pack(packer, from->allow, from->allow_count, &to->allow, &to->n_allow);
	patterns_pack(packer, from->deny, from->deny_count, &to->deny, &to->n_deny);
	to->cross_namespace = from->cross_namespace;
}

void service_record_encode(const struct service_record *record, struct buf *out)
{
	Work__ServiceRecord packed = WORK__SERVICE_RECORD__INIT;
	struct packer packer = {0};

	packed.version_spoken = WORK_VERSION;
	packed.workload_uid = pack_uid(&record->workload_uid);
	packed.namespace_ = pack_name(record->namespace, MESSAGE_NAMESPACE_MAX);
	packed.kind = pack_name(record->kind, WORK_KIND_MAX);
	packed.name = pack_name(record->name, MESSAGE_NAME_MAX);
	packed.pod = pack_name(record->pod, MESSAGE_NAME_MAX);
	packed.peer = pack_id(&record->peer);
	packed.ordinal = record->ordinal == SERVICE_NO_ORDINAL ? 0 : record->ordinal + 1;
	packed.epoch = record->epoch;
	addresses_pack(&packer, record, &packed);
	ports_pack(&packer, record, &packed);
	record_labels_pack(&packer, record, &packed);
	packed.version = record->version;
	packed.ts_ms = pack_natural(record->ts.ms);
	packed.ready = record->ready;
	packed.healthy = record->healthy;
	packed.leaving = record->leaving;
	packed.role = (uint32_t)record->role;
	packed.term = record->term;
	packed.load = record->load;
	packed.policy = pack_one(&packer, Work__Policy, work__policy__init);
	policy_pack(&packer, &record->policy, packed.policy);
	packed.machine = record->machine;
	packed.region = pack_name(record->region, WORK_REGION_MAX);
	pack_protobuf(&packed.base, out);
	packer_deinit(&packer);
}

/* ---- unpacking ---- */

static void addresses_unpack(struct unpacker *unpacker, const Work__ServiceRecord *from,
			     struct service_record *to)
{
	size_t count = unpack_count(unpacker, from->n_addresses, WORK_ADDRESSES_MAX);

	to->address_count = count;
	for (size_t i = 0; i < count; i++) {
		const Work__Endpoint *endpoint = from->addresses[i];
		struct bytes ip = bytes_of(endpoint->ip.data, endpoint->ip.len);
		uint16_t port = (uint16_t)unpack_u32(unpacker, endpoint->port, UINT16_MAX);

		if (!addr_from_ip(ip, port, &to->addresses[i]) ||
		    !addr_can_be_dialled(&to->addresses[i]))
			unpack_fail(unpacker, MESSAGE_E_MALFORMED);
	}
}

static void ports_unpack(struct unpacker *unpacker, const Work__ServiceRecord *from,
			 struct service_record *to)
{
	size_t count = unpack_count(unpacker, from->n_ports, WORK_PORTS_MAX);

	to->port_count = count;
	to->ports = count > 0 ? mem_alloc(count, sizeof(*to->ports)) : NULL;
	for (size_t i = 0; i < count; i++) {
		struct service_port *port = &to->ports[i];

		port->name = unpack_name(unpacker, from->ports[i]->name, WORK_PORT_NAME_MAX);
		port->number = (uint16_t)unpack_u32(unpacker, from->ports[i]->number, UINT16_MAX);
		port->protocol = (enum service_protocol)unpack_u32(
			unpacker, from->ports[i]->protocol, SERVICE_UDP);
		if (port->number == 0)
			unpack_fail(unpacker, MESSAGE_E_MALFORMED);
	}
}

static void record_labels_unpack(struct unpacker *unpacker, const Work__ServiceRecord *from,
				 struct service_record *to)
{
	size_t count = unpack_count(unpacker, from->n_labels, WORK_LABELS_MAX);

	to->label_count = count;
	to->labels = count > 0 ? mem_alloc(count, sizeof(*to->labels)) : NULL;
	for (size_t i = 0; i < count; i++) {
		to->labels[i].key =
			unpack_name(unpacker, from->labels[i]->key, MESSAGE_LABEL_KEY_MAX);
		to->labels[i].value =
			unpack_name(unpacker, from->labels[i]->value, MESSAGE_LABEL_VALUE_MAX);
	}
}

static void patterns_unpack(struct unpacker *unpacker, const ProtobufCBinaryData *from,
			    size_t count, char ***ret_list, size_t *ret_count)
{
	*ret_count = unpack_count(unpacker, count, WORK_PATTERNS_MAX);
	*ret_list = *ret_count > 0 ? mem_alloc(*ret_count, sizeof(**ret_list)) : NULL;
	for (size_t i = 0; i < *ret_count; i++)
		(*ret_list)[i] = unpack_name(unpacker, from[i], WORK_PATTERN_MAX);
}

static void policy_unpack(struct unpacker *unpacker, const Work__Policy *from,
			  struct service_policy *to)
{
	if (!unpack_has(unpacker, from))
		return;
	patterns_unpack(unpacker, from->allow, from->n_allow, &to->allow, &to->allow_count);
	patterns_unpack(unpacker, from->deny, from->n_deny, &to->deny, &to->deny_count);
	to->cross_namespace = from->cross_namespace;
}

static void record_unpack_state(struct unpacker *unpacker, const Work__ServiceRecord *from,
				struct service_record *to)
{
	to->version = from->version;
	to->ts.ms = unpack_natural(unpacker, from->ts_ms);
	to->ready = from->ready;
	to->healthy = from->healthy;
	to->leaving = from->leaving;
	to->role = (enum service_role)unpack_u32(unpacker, from->role, SERVICE_LEADER);
	to->term = from->term;
	to->load = unpack_u32(unpacker, from->load, WORK_LOAD_MAX);
	policy_unpack(unpacker, from->policy, &to->policy);
	to->machine = from->machine;
	to->region = unpack_name(unpacker, from->region, WORK_REGION_MAX);
}

static void service_record_unpack(struct unpacker *unpacker, const Work__ServiceRecord *from,
				  struct service_record *to)
{
	to->workload_uid = unpack_uid(unpacker, from->workload_uid);
	to->namespace = unpack_name(unpacker, from->namespace_, MESSAGE_NAMESPACE_MAX);
	to->kind = unpack_name(unpacker, from->kind, WORK_KIND_MAX);
	to->name = unpack_name(unpacker, from->name, MESSAGE_NAME_MAX);
	to->pod = unpack_name(unpacker, from->pod, MESSAGE_NAME_MAX);
	unpack_id(unpacker, from->peer, &to->peer);
	to->ordinal = from->ordinal - 1; /* 0 becomes SERVICE_NO_ORDINAL */
	to->epoch = from->epoch;
	addresses_unpack(unpacker, from, to);
	ports_unpack(unpacker, from, to);
	record_labels_unpack(unpacker, from, to);
	record_unpack_state(unpacker, from, to);
}

int service_record_decode(struct bytes bytes, struct service_record *ret_record)
{
	struct unpack_budget budget;
	struct service_record record = {0};
	struct unpacker unpacker = {0};
	ProtobufCMessage *base;

	if (bytes.len > WORK_RECORD_MAX)
		return MESSAGE_E_TOO_BIG;
	base = unpack_protobuf(&budget, &work__service_record__descriptor, bytes, &unpacker.error);
	if (!base)
		return unpacker.error;
	unpack_version(&unpacker, ((const Work__ServiceRecord *)base)->version_spoken);
	if (!unpacker.error)
		service_record_unpack(&unpacker, (const Work__ServiceRecord *)base, &record);
	unpack_protobuf_free(&budget, base);
	if (unpacker.error)
		service_record_deinit(&record);
	else
		*ret_record = record;
	return unpacker.error;
}

/* ---- copies ---- */

static char **patterns_copy(char *const *from, size_t count)
{
	char **copy = count > 0 ? mem_alloc(count, sizeof(*copy)) : NULL;

	for (size_t i = 0; i < count; i++)
		copy[i] = string_copy(from[i]);
	return copy;
}

void service_policy_copy(const struct service_policy *from, struct service_policy *to)
{
	*to = *from;
	to->allow = patterns_copy(from->allow, from->allow_count);
	to->deny = patterns_copy(from->deny, from->deny_count);
}

void service_policy_deinit(struct service_policy *policy)
{
	for (size_t i = 0; i < policy->allow_count; i++)
		free(policy->allow[i]);
	for (size_t i = 0; i < policy->deny_count; i++)
		free(policy->deny[i]);
	free(policy->allow);
	free(policy->deny);
	*policy = (struct service_policy){0};
}

void service_record_copy(const struct service_record *from, struct service_record *to)
{
	*to = *from;
	to->namespace = string_copy(from->namespace);
	to->kind = string_copy(from->kind);
	to->name = string_copy(from->name);
	to->pod = string_copy(from->pod);
	to->region = string_copy(from->region);
	to->ports = array_copy(from->ports, from->port_count, sizeof(*from->ports));
	for (size_t i = 0; i < from->port_count; i++)
		to->ports[i].name = string_copy(from->ports[i].name);
	to->labels = labels_copy(from->labels, from->label_count);
	service_policy_copy(&from->policy, &to->policy);
}

void service_record_deinit(struct service_record *record)
{
	free(record->namespace);
	free(record->kind);
	free(record->name);
	free(record->pod);
	free(record->region);
	for (size_t i = 0; i < record->port_count; i++)
		free(record->ports[i].name);
	free(record->ports);
	labels_deinit(record->labels, record->label_count);
	service_policy_deinit(&record->policy);
	*record = (struct service_record){0};
}

/* ---- renewals ---- */

void service_renewal_encode(const struct service_renewal *renewal, struct buf *out)
{
	Work__Renewal packed = WORK__RENEWAL__INIT;

	packed.version = renewal->version;
	packed.ts_ms = pack_natural(renewal->ts.ms);
	pack_protobuf(&packed.base, out);
}

int service_renewal_decode(struct bytes bytes, struct service_renewal *ret_renewal)
{
	struct unpack_budget budget;
	struct unpacker unpacker = {0};
	ProtobufCMessage *base;

	base = unpack_protobuf(&budget, &work__renewal__descriptor, bytes, &unpacker.error);
	if (!base)
		return unpacker.error;
	ret_renewal->version = ((const Work__Renewal *)base)->version;
	ret_renewal->ts.ms = unpack_natural(&unpacker, ((const Work__Renewal *)base)->ts_ms);
	unpack_protobuf_free(&budget, base);
	return unpacker.error;
}
