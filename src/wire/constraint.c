/* SPDX-License-Identifier: Apache-2.0 */
/* The flat lists of requirements and of what machines say of themselves: taints, tolerations,
 * spreads, extended resources, ports, zones. */
#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"
#include "wire/constraint.h"

static char *key_unpack(struct unpacker *unpacker, ProtobufCBinaryData from)
{
	if (from.len == 0)
		unpack_fail(unpacker, MESSAGE_E_MALFORMED);
	return unpack_name(unpacker, from, MESSAGE_LABEL_KEY_MAX);
}

void taints_pack(struct packer *packer, const struct taint *taints, size_t count,
		 Magik__Taint ***ret_taints, size_t *ret_count)
{
	assert(count <= MESSAGE_TAINTS_MAX);
	pack_array(packer, Magik__Taint, magik__taint__init, count, ret_taints);
	for (size_t i = 0; i < count; i++) {
		assert(taints[i].effect != TAINT_ANY);
		(*ret_taints)[i]->key = pack_name(taints[i].key, MESSAGE_LABEL_KEY_MAX);
		(*ret_taints)[i]->value = pack_name(taints[i].value, MESSAGE_LABEL_VALUE_MAX);
		(*ret_taints)[i]->effect = (uint32_t)taints[i].effect;
	}
	*ret_count = count;
}

void taints_unpack(struct unpacker *unpacker, Magik__Taint *const *from, size_t count,
		   struct taint **ret_taints, size_t *ret_count)
{
	count = unpack_count(unpacker, count, MESSAGE_TAINTS_MAX);
	*ret_taints = count > 0 ? mem_alloc(count, sizeof(**ret_taints)) : NULL;
	for (size_t i = 0; i < count; i++) {
		struct taint *taint = &(*ret_taints)[i];

		taint->key = key_unpack(unpacker, from[i]->key);
		taint->value = unpack_name(unpacker, from[i]->value, MESSAGE_LABEL_VALUE_MAX);
		taint->effect =
			(enum taint_effect)unpack_u32(unpacker, from[i]->effect, TAINT_NO_EXECUTE);
		if (taint->effect == TAINT_ANY)
			unpack_fail(unpacker, MESSAGE_E_MALFORMED);
	}
	*ret_count = count;
}

void taints_deinit(struct taint *taints, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(taints[i].key);
		free(taints[i].value);
	}
	free(taints);
}

struct taint *taints_copy(const struct taint *taints, size_t count)
{
	struct taint *copy = array_copy(taints, count, sizeof(*taints));

	for (size_t i = 0; i < count; i++) {
		copy[i].key = string_copy(taints[i].key);
		copy[i].value = string_copy(taints[i].value);
	}
	return copy;
}

void tolerations_pack(struct packer *packer, const struct requirements *from,
		      Magik__Requirements *to)
{
	assert(from->toleration_count <= MESSAGE_TOLERATIONS_MAX);
	to->n_tolerations = from->toleration_count;
	pack_array(packer, Magik__Toleration, magik__toleration__init, from->toleration_count,
		   &to->tolerations);
	for (size_t i = 0; i < from->toleration_count; i++) {
		const struct toleration *toleration = &from->tolerations[i];

		to->tolerations[i]->key = pack_name(toleration->key, MESSAGE_LABEL_KEY_MAX);
		to->tolerations[i]->value = pack_name(toleration->value, MESSAGE_LABEL_VALUE_MAX);
		to->tolerations[i]->exists = toleration->exists;
		to->tolerations[i]->effect = (uint32_t)toleration->effect;
		to->tolerations[i]->limit_s = toleration->limit_s;
	}
}

void tolerations_unpack(struct unpacker *unpacker, const Magik__Requirements *from,
			struct requirements *to)
{
	size_t count = unpack_count(unpacker, from->n_tolerations, MESSAGE_TOLERATIONS_MAX);

	to->toleration_count = count;
	to->tolerations = count > 0 ? mem_alloc(count, sizeof(*to->tolerations)) : NULL;
	for (size_t i = 0; i < count; i++) {
		const Magik__Toleration *packed = from->tolerations[i];
		struct toleration *toleration = &to->tolerations[i];

		toleration->key = unpack_name(unpacker, packed->key, MESSAGE_LABEL_KEY_MAX);
		toleration->value = unpack_name(unpacker, packed->value, MESSAGE_LABEL_VALUE_MAX);
		toleration->exists = packed->exists;
		toleration->effect =
			(enum taint_effect)unpack_u32(unpacker, packed->effect, TAINT_NO_EXECUTE);
		toleration->limit_s = packed->limit_s;
	}
}

void tolerations_deinit(struct requirements *needs)
{
	for (size_t i = 0; i < needs->toleration_count; i++) {
		free(needs->tolerations[i].key);
		free(needs->tolerations[i].value);
	}
	free(needs->tolerations);
}

void tolerations_copy(const struct requirements *from, struct requirements *to)
{
	to->tolerations =
		array_copy(from->tolerations, from->toleration_count, sizeof(*from->tolerations));
	for (size_t i = 0; i < from->toleration_count; i++) {
		to->tolerations[i].key = string_copy(from->tolerations[i].key);
		to->tolerations[i].value = string_copy(from->tolerations[i].value);
	}
}

void spreads_pack(struct packer *packer, const struct requirements *from, Magik__Requirements *to)
{
	assert(from->spread_count <= MESSAGE_SPREADS_MAX);
	to->n_spreads = from->spread_count;
	pack_array(packer, Magik__Spread, magik__spread__init, from->spread_count, &to->spreads);
	for (size_t i = 0; i < from->spread_count; i++) {
		const struct spread *spread = &from->spreads[i];

		assert(spread->max_skew > 0);
		to->spreads[i]->key = pack_name(spread->key, MESSAGE_LABEL_KEY_MAX);
		to->spreads[i]->max_skew = spread->max_skew;
		to->spreads[i]->min_domains = spread->min_domains;
		to->spreads[i]->required = spread->required;
	}
}

void spreads_unpack(struct unpacker *unpacker, const Magik__Requirements *from,
		    struct requirements *to)
{
	size_t count = unpack_count(unpacker, from->n_spreads, MESSAGE_SPREADS_MAX);

	to->spread_count = count;
	to->spreads = count > 0 ? mem_alloc(count, sizeof(*to->spreads)) : NULL;
	for (size_t i = 0; i < count; i++) {
		const Magik__Spread *spread = from->spreads[i];

		to->spreads[i] = (struct spread){
			.key = key_unpack(unpacker, spread->key),
			.max_skew = spread->max_skew,
			.min_domains = spread->min_domains,
			.required = spread->required,
		};
		if (spread->max_skew == 0)
			unpack_fail(unpacker, MESSAGE_E_MALFORMED);
	}
}

void spreads_deinit(struct requirements *needs)
{
	for (size_t i = 0; i < needs->spread_count; i++)
		free(needs->spreads[i].key);
	free(needs->spreads);
}

void spreads_copy(const struct requirements *from, struct requirements *to)
{
	to->spreads = array_copy(from->spreads, from->spread_count, sizeof(*from->spreads));
	for (size_t i = 0; i < from->spread_count; i++)
		to->spreads[i].key = string_copy(from->spreads[i].key);
}

void resources_pack(struct packer *packer, const struct resource *resources, size_t count,
		    Magik__Resource ***ret_resources, size_t *ret_count)
{
	assert(count <= MESSAGE_RESOURCES_MAX);
	pack_array(packer, Magik__Resource, magik__resource__init, count, ret_resources);
	for (size_t i = 0; i < count; i++) {
		(*ret_resources)[i]->name = pack_name(resources[i].name, MESSAGE_LABEL_KEY_MAX);
		(*ret_resources)[i]->count = pack_natural(resources[i].count);
	}
	*ret_count = count;
}

void resources_unpack(struct unpacker *unpacker, Magik__Resource *const *from, size_t count,
		      struct resource **ret_resources, size_t *ret_count)
{
	count = unpack_count(unpacker, count, MESSAGE_RESOURCES_MAX);
	*ret_resources = count > 0 ? mem_alloc(count, sizeof(**ret_resources)) : NULL;
	for (size_t i = 0; i < count; i++) {
		(*ret_resources)[i].name = key_unpack(unpacker, from[i]->name);
		(*ret_resources)[i].count = unpack_natural(unpacker, from[i]->count);
	}
	*ret_count = count;
}

void resources_deinit(struct resource *resources, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(resources[i].name);
	free(resources);
}

struct resource *resources_copy(const struct resource *resources, size_t count)
{
	struct resource *copy = array_copy(resources, count, sizeof(*resources));

	for (size_t i = 0; i < count; i++)
		copy[i].name = string_copy(resources[i].name);
	return copy;
}

void ports_pack(struct packer *packer, const struct requirements *from, Magik__Requirements *to)
{
	assert(from->port_count <= MESSAGE_PORTS_MAX);
	to->n_ports = from->port_count;
	pack_array(packer, Magik__HostPort, magik__host_port__init, from->port_count, &to->ports);
	for (size_t i = 0; i < from->port_count; i++) {
		const struct addr *addr = &from->ports[i].addr;
		struct bytes ip = addr_ip(addr);

		assert(addr->port != 0);
		if (!addr_is_wildcard(addr))
			to->ports[i]->ip = pack_bytes(ip.ptr, ip.len);
		to->ports[i]->port = addr->port;
		to->ports[i]->protocol = (uint32_t)from->ports[i].protocol;
	}
}

/* Without an IP: all of the machine's. */
static void port_unpack(struct unpacker *unpacker, const Magik__HostPort *from,
			struct host_port *to)
{
	static const uint8_t any[ADDR_V4_LEN];
	struct bytes ip = from->ip.len > 0 ? bytes_of(from->ip.data, from->ip.len)
					   : bytes_of(any, sizeof(any));
	uint16_t port = (uint16_t)unpack_u32(unpacker, from->port, UINT16_MAX);

	if (port == 0 || !addr_from_ip(ip, port, &to->addr))
		unpack_fail(unpacker, MESSAGE_E_MALFORMED);
	to->protocol = (enum port_protocol)unpack_u32(unpacker, from->protocol, PORT_SCTP);
}

void ports_unpack(struct unpacker *unpacker, const Magik__Requirements *from,
		  struct requirements *to)
{
	size_t count = unpack_count(unpacker, from->n_ports, MESSAGE_PORTS_MAX);

	to->port_count = count;
	to->ports = count > 0 ? mem_alloc(count, sizeof(*to->ports)) : NULL;
	for (size_t i = 0; i < count; i++)
		port_unpack(unpacker, from->ports[i], &to->ports[i]);
}

/* FNV-1a, 64 bit. A forged collision gains nothing: a machine may claim any zone anyway. */
uint64_t zone_of(const char *value)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	if (!value)
		return 0;
	for (const char *c = value; *c; c++)
		hash = (hash ^ (uint8_t)*c) * UINT64_C(0x100000001b3);
	return hash ? hash : 1;
}

void zones_pack(struct packer *packer, const uint64_t zones[MESSAGE_SPREADS_MAX],
		uint64_t **ret_zones, size_t *ret_count)
{
	size_t count = MESSAGE_SPREADS_MAX;

	while (count > 0 && zones[count - 1] == 0)
		count--;
	*ret_zones = packer_alloc(packer, count, sizeof(**ret_zones));
	for (size_t i = 0; i < count; i++)
		(*ret_zones)[i] = zones[i];
	*ret_count = count;
}

void zones_unpack(struct unpacker *unpacker, const uint64_t *from, size_t count,
		  uint64_t ret_zones[MESSAGE_SPREADS_MAX])
{
	count = unpack_count(unpacker, count, MESSAGE_SPREADS_MAX);
	for (size_t i = 0; i < MESSAGE_SPREADS_MAX; i++)
		ret_zones[i] = i < count ? from[i] : 0;
}
