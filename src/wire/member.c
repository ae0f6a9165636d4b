/* SPDX-License-Identifier: Apache-2.0 */
/* What machines say about machines: the greeting, news of members, probes. */
#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"
#include "wire/family.h"

void member_pack(struct packer *packer, const struct member *from, Magik__Member *to)
{
	to->id = pack_id(&from->id);
	to->addr = addr_pack(packer, &from->addr);
	to->name = pack_name(from->name, MESSAGE_NAME_MAX);
	to->incarnation = from->incarnation;
	to->steward = from->steward;
}

void member_unpack(struct unpacker *unpacker, const Magik__Member *from, struct member *to)
{
	if (!unpack_has(unpacker, from))
		return;
	unpack_id(unpacker, from->id, &to->id);
	addr_unpack(unpacker, from->addr, &to->addr);
	to->name = unpack_name(unpacker, from->name, MESSAGE_NAME_MAX);
	to->incarnation = from->incarnation;
	to->steward = from->steward;
}

void member_deinit(struct member *member)
{
	free(member->name);
	*member = (struct member){0};
}

void member_copy(const struct member *from, struct member *to)
{
	*to = *from;
	to->name = string_copy(from->name);
}

void hello_pack(struct packer *packer, const struct hello *from, Magik__Hello *to)
{
	assert(from->version_min <= from->version_max);
	to->self = pack_one(packer, Magik__Member, magik__member__init);
	member_pack(packer, &from->self, to->self);
	to->fabric_ms = pack_natural(from->fabric_ms);
	to->fabric_settled = from->fabric_settled;
	to->version_min = from->version_min;
	to->version_max = from->version_max;
	to->leaf = pack_id(&from->leaf);
}

void hello_unpack(struct unpacker *unpacker, const Magik__Hello *from, struct hello *to)
{
	member_unpack(unpacker, from->self, &to->self);
	to->fabric_ms = unpack_natural(unpacker, from->fabric_ms);
	to->fabric_settled = from->fabric_settled;
	to->version_max = from->version_max;
	to->version_min = unpack_u32(unpacker, from->version_min, from->version_max);
	unpack_id(unpacker, from->leaf, &to->leaf);
}

void hello_deinit(struct hello *hello)
{
	member_deinit(&hello->self);
	*hello = (struct hello){0};
}

void hello_copy(const struct hello *from, struct hello *to)
{
	*to = *from;
	member_copy(&from->self, &to->self);
}

void members_pack(struct packer *packer, const struct members *from, Magik__Members *to)
{
	assert(from->report_count <= MESSAGE_NODES_MAX);
	to->n_reports = from->report_count;
	pack_array(packer, Magik__MemberReport, magik__member_report__init, from->report_count,
		   &to->reports);
	for (size_t i = 0; i < from->report_count; i++) {
		to->reports[i]->member = pack_one(packer, Magik__Member, magik__member__init);
		member_pack(packer, &from->reports[i].member, to->reports[i]->member);
		to->reports[i]->state = (uint32_t)from->reports[i].state;
	}
}

void members_unpack(struct unpacker *unpacker, const Magik__Members *from, struct members *to)
{
	size_t count = unpack_count(unpacker, from->n_reports, MESSAGE_NODES_MAX);

	to->report_count = count;
	to->reports = count > 0 ? mem_alloc(count, sizeof(*to->reports)) : NULL;
	for (size_t i = 0; i < count; i++) {
		member_unpack(unpacker, from->reports[i]->member, &to->reports[i].member);
		to->reports[i].state = (enum member_state)unpack_u32(
			unpacker, from->reports[i]->state, MEMBER_LEFT);
	}
}

void members_deinit(struct members *members)
{
	for (size_t i = 0; i < members->report_count; i++)
		member_deinit(&members->reports[i].member);
	free(members->reports);
	*members = (struct members){0};
}

void members_copy(const struct members *from, struct members *to)
{
	to->report_count = from->report_count;
	to->reports = array_copy(from->reports, from->report_count, sizeof(*from->reports));
	for (size_t i = 0; i < from->report_count; i++)
		member_copy(&from->reports[i].member, &to->reports[i].member);
}

void ping_pack(struct packer *packer, const struct ping *from, Magik__Ping *to)
{
	to->sequence = from->sequence;
	to->fabric_ms = pack_natural(from->fabric_ms);
	to->fabric_settled = from->fabric_settled;
	if (from->gossip.report_count > 0) {
		to->gossip = pack_one(packer, Magik__Members, magik__members__init);
		members_pack(packer, &from->gossip, to->gossip);
	}
}

void ping_unpack(struct unpacker *unpacker, const Magik__Ping *from, struct ping *to)
{
	to->sequence = from->sequence;
	to->fabric_ms = unpack_natural(unpacker, from->fabric_ms);
	to->fabric_settled = from->fabric_settled;
	if (from->gossip)
		members_unpack(unpacker, from->gossip, &to->gossip);
}

void ping_deinit(struct ping *ping)
{
	members_deinit(&ping->gossip);
	*ping = (struct ping){0};
}

void ping_copy(const struct ping *from, struct ping *to)
{
	*to = *from;
	members_copy(&from->gossip, &to->gossip);
}
