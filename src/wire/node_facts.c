/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "wire/codec.h"

/* What operating systems say about themselves is prose: it is made to fit, never trusted. */
static void system_pack(struct packer *packer, const struct node_facts *from, Magik__NodeFacts *to)
{
	to->architecture = pack_prose(packer, from->architecture);
	to->os_image = pack_prose(packer, from->os_image);
	to->kernel = pack_prose(packer, from->kernel);
	to->runtime = pack_prose(packer, from->runtime);
	to->version_text = pack_prose(packer, from->version);
	to->boot_id = pack_prose(packer, from->boot_id);
	to->machine_id = pack_prose(packer, from->machine_id);
}

static void node_facts_pack(struct packer *packer, const struct node_facts *from,
			    Magik__NodeFacts *to)
{
	to->version = MESSAGE_VERSION;
	to->id = pack_id(&from->id);
	to->name = pack_name(from->name, MESSAGE_NAME_MAX);
	to->addr = addr_pack(packer, &from->addr);
	to->api_url = pack_name(from->api_url, MESSAGE_REF_MAX);
	labels_pack(packer, from->labels, from->label_count, &to->labels, &to->n_labels);
	to->cpu_milli = pack_natural(from->cpu_milli);
	to->memory_bytes = pack_natural(from->memory_bytes);
	to->cpu_milli_free_max = pack_natural(from->cpu_milli_free_max);
	to->memory_bytes_free_max = pack_natural(from->memory_bytes_free_max);
	to->cpu_milli_used = pack_natural(from->cpu_milli_used);
	to->memory_bytes_used = pack_natural(from->memory_bytes_used);
	to->pods_max = from->pods_max;
	to->pods_used = from->pods_used;
	resources_pack(packer, from->resources, from->resource_count, &to->resources,
		       &to->n_resources);
	taints_pack(packer, from->taints, from->taint_count, &to->taints, &to->n_taints);
	to->schedulable = from->schedulable;
	to->steward = from->steward;
	to->admit = from->admit;
	to->worker = from->worker;
	system_pack(packer, from, to);
	to->created_ms = pack_natural(from->created_ms);
}

void node_facts_encode(const struct node_facts *facts, struct buf *out)
{
	Magik__NodeFacts packed = MAGIK__NODE_FACTS__INIT;
	struct packer packer = {0};

	node_facts_pack(&packer, facts, &packed);
	pack_protobuf(&packed.base, out);
	packer_deinit(&packer);
}

static void system_unpack(struct unpacker *unpacker, const Magik__NodeFacts *from,
			  struct node_facts *to)
{
	to->architecture = unpack_prose(unpacker, from->architecture);
	to->os_image = unpack_prose(unpacker, from->os_image);
	to->kernel = unpack_prose(unpacker, from->kernel);
	to->runtime = unpack_prose(unpacker, from->runtime);
	to->version = unpack_prose(unpacker, from->version_text);
	to->boot_id = unpack_prose(unpacker, from->boot_id);
	to->machine_id = unpack_prose(unpacker, from->machine_id);
}

static void node_facts_unpack(struct unpacker *unpacker, const Magik__NodeFacts *from,
			      struct node_facts *to)
{
	unpack_id(unpacker, from->id, &to->id);
	to->name = unpack_name(unpacker, from->name, MESSAGE_NAME_MAX);
	addr_unpack(unpacker, from->addr, &to->addr);
	to->api_url = unpack_name(unpacker, from->api_url, MESSAGE_REF_MAX);
	labels_unpack(unpacker, from->labels, from->n_labels, &to->labels, &to->label_count);
	to->cpu_milli = unpack_natural(unpacker, from->cpu_milli);
	to->memory_bytes = unpack_natural(unpacker, from->memory_bytes);
	to->cpu_milli_free_max = unpack_natural(unpacker, from->cpu_milli_free_max);
	to->memory_bytes_free_max = unpack_natural(unpacker, from->memory_bytes_free_max);
	to->cpu_milli_used = unpack_natural(unpacker, from->cpu_milli_used);
	to->memory_bytes_used = unpack_natural(unpacker, from->memory_bytes_used);
	to->pods_max = from->pods_max;
	to->pods_used = from->pods_used;
	resources_unpack(unpacker, from->resources, from->n_resources, &to->resources,
			 &to->resource_count);
	taints_unpack(unpacker, from->taints, from->n_taints, &to->taints, &to->taint_count);
	to->schedulable = from->schedulable;
	to->steward = from->steward;
	to->admit = from->admit;
	to->worker = from->worker;
	system_unpack(unpacker, from, to);
	to->created_ms = unpack_natural(unpacker, from->created_ms);
}

int node_facts_decode(struct bytes bytes, struct node_facts *ret_facts)
{
	struct unpack_budget budget;
	struct node_facts facts = {0};
	struct unpacker unpacker = {0};
	ProtobufCMessage *base;

	base = unpack_protobuf(&budget, &magik__node_facts__descriptor, bytes, &unpacker.error);
	if (!base)
		return unpacker.error;
	unpack_version(&unpacker, ((const Magik__NodeFacts *)base)->version);
	if (!unpacker.error)
		node_facts_unpack(&unpacker, (const Magik__NodeFacts *)base, &facts);
	unpack_protobuf_free(&budget, base);
	if (unpacker.error)
		node_facts_deinit(&facts);
	else
		*ret_facts = facts;
	return unpacker.error;
}

void node_facts_copy(const struct node_facts *from, struct node_facts *to)
{
	*to = *from;
	to->name = string_copy(from->name);
	to->api_url = string_copy(from->api_url);
	to->labels = labels_copy(from->labels, from->label_count);
	to->resources = resources_copy(from->resources, from->resource_count);
	to->taints = taints_copy(from->taints, from->taint_count);
	to->architecture = string_copy(from->architecture);
	to->os_image = string_copy(from->os_image);
	to->kernel = string_copy(from->kernel);
	to->runtime = string_copy(from->runtime);
	to->version = string_copy(from->version);
	to->boot_id = string_copy(from->boot_id);
	to->machine_id = string_copy(from->machine_id);
}

void node_facts_deinit(struct node_facts *facts)
{
	free(facts->name);
	free(facts->api_url);
	labels_deinit(facts->labels, facts->label_count);
	resources_deinit(facts->resources, facts->resource_count);
	taints_deinit(facts->taints, facts->taint_count);
	free(facts->architecture);
	free(facts->os_image);
	free(facts->kernel);
	free(facts->runtime);
	free(facts->version);
	free(facts->boot_id);
	free(facts->machine_id);
	*facts = (struct node_facts){0};
}
