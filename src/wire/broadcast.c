/* SPDX-License-Identifier: Apache-2.0 */
/* The messages of broadcast (overlay/tree.h). */
#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"
#include "wire/family.h"

void gossip_pack(struct packer *packer, const struct gossip *from, Magik__Gossip *to)
{
	(void)packer;
	assert(from->hops <= MESSAGE_HOPS_MAX);
	to->id = pack_bytes(from->id.byte, UID_LEN);
	to->hops = from->hops;
	to->payload = pack_buf(&from->payload, MESSAGE_GOSSIP_MAX);
}

void gossip_unpack(struct unpacker *unpacker, const Magik__Gossip *from, struct gossip *to)
{
	to->id = unpack_uid(unpacker, from->id);
	to->hops = unpack_u32(unpacker, from->hops, MESSAGE_HOPS_MAX);
	unpack_buf(unpacker, from->payload, MESSAGE_GOSSIP_MAX, &to->payload);
}

void gossip_deinit(struct gossip *gossip)
{
	buf_deinit(&gossip->payload);
	*gossip = (struct gossip){0};
}

void gossip_copy(const struct gossip *from, struct gossip *to)
{
	*to = *from;
	buf_copy(&from->payload, &to->payload);
}

void ihave_pack(struct packer *packer, const struct ihave *from, Magik__Ihave *to)
{
	assert(from->id_count <= MESSAGE_IHAVE_MAX);
	to->n_ids = from->id_count;
	to->ids = packer_alloc(packer, from->id_count, sizeof(*to->ids));
	for (size_t i = 0; i < from->id_count; i++)
		to->ids[i] = pack_bytes(from->ids[i].byte, UID_LEN);
}

void ihave_unpack(struct unpacker *unpacker, const Magik__Ihave *from, struct ihave *to)
{
	to->id_count = unpack_count(unpacker, from->n_ids, MESSAGE_IHAVE_MAX);
	to->ids = to->id_count > 0 ? mem_alloc(to->id_count, sizeof(*to->ids)) : NULL;
	for (size_t i = 0; i < to->id_count; i++)
		to->ids[i] = unpack_uid(unpacker, from->ids[i]);
}

void ihave_deinit(struct ihave *ihave)
{
	free(ihave->ids);
	*ihave = (struct ihave){0};
}

void ihave_copy(const struct ihave *from, struct ihave *to)
{
	to->id_count = from->id_count;
	to->ids = array_copy(from->ids, from->id_count, sizeof(*from->ids));
}

void graft_pack(struct packer *packer, const struct graft *from, Magik__Graft *to)
{
	(void)packer;
	to->id = pack_uid(&from->id);
}

void graft_unpack(struct unpacker *unpacker, const Magik__Graft *from, struct graft *to)
{
	to->id = unpack_uid_or_none(unpacker, from->id);
}

void graft_deinit(struct graft *graft)
{
	*graft = (struct graft){0};
}

void graft_copy(const struct graft *from, struct graft *to)
{
	*to = *from;
}

void prune_pack(struct packer *packer, const struct prune *from, Magik__Prune *to)
{
	(void)packer;
	(void)from;
	(void)to;
}

void prune_unpack(struct unpacker *unpacker, const Magik__Prune *from, struct prune *to)
{
	(void)unpacker;
	(void)from;
	(void)to;
}

void prune_deinit(struct prune *prune)
{
	*prune = (struct prune){0};
}

void prune_copy(const struct prune *from, struct prune *to)
{
	*to = *from;
}
