/* SPDX-License-Identifier: Apache-2.0 */
/* Contacts, and the messages of membership (overlay/view.h). */
#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"
#include "wire/family.h"

void contact_pack(struct packer *packer, const struct contact *from, Magik__Contact *to)
{
	assert(addr_can_be_dialled(&from->addr));
	to->id = pack_id(&from->id);
	to->addr = addr_pack(packer, &from->addr);
	to->incarnation = from->incarnation;
	to->steward = from->steward;
}

/* A contact without an address, or with one that nobody can dial, is of no use. */
void contact_unpack(struct unpacker *unpacker, const Magik__Contact *from, struct contact *to)
{
	if (!unpack_has(unpacker, from) || !unpack_has(unpacker, from->addr))
		return;
	unpack_id(unpacker, from->id, &to->id);
	addr_unpack(unpacker, from->addr, &to->addr);
	if (!addr_can_be_dialled(&to->addr))
		unpack_fail(unpacker, MESSAGE_E_MALFORMED);
	to->incarnation = from->incarnation;
	to->steward = from->steward;
}

void contacts_pack(struct packer *packer, const struct contacts *from, Magik__Contact ***ret_list,
		   size_t *ret_count)
{
	assert(from->count <= MESSAGE_NEAREST_MAX);
	*ret_count = from->count;
	pack_array(packer, Magik__Contact, magik__contact__init, from->count, ret_list);
	for (size_t i = 0; i < from->count; i++)
		contact_pack(packer, &from->list[i], (*ret_list)[i]);
}

void contacts_unpack(struct unpacker *unpacker, Magik__Contact *const *from, size_t count,
		     size_t max, struct contacts *to)
{
	to->count = unpack_count(unpacker, count, max);
	to->list = to->count > 0 ? mem_alloc(to->count, sizeof(*to->list)) : NULL;
	for (size_t i = 0; i < to->count; i++)
		contact_unpack(unpacker, from[i], &to->list[i]);
}

void contacts_deinit(struct contacts *contacts)
{
	free(contacts->list);
	*contacts = (struct contacts){0};
}

void contacts_copy(const struct contacts *from, struct contacts *to)
{
	to->count = from->count;
	to->list = array_copy(from->list, from->count, sizeof(*from->list));
}

void join_view_pack(struct packer *packer, const struct join_view *from, Magik__JoinView *to)
{
	(void)packer;
	(void)from;
	(void)to;
}

void join_view_unpack(struct unpacker *unpacker, const Magik__JoinView *from, struct join_view *to)
{
	(void)unpacker;
	(void)from;
	(void)to;
}

void join_view_deinit(struct join_view *join_view)
{
	*join_view = (struct join_view){0};
}

void join_view_copy(const struct join_view *from, struct join_view *to)
{
	*to = *from;
}

void forward_join_pack(struct packer *packer, const struct forward_join *from,
		       Magik__ForwardJoin *to)
{
	assert(from->ttl <= MESSAGE_TTL_MAX);
	to->contact = pack_one(packer, Magik__Contact, magik__contact__init);
	contact_pack(packer, &from->contact, to->contact);
	to->ttl = from->ttl;
}

void forward_join_unpack(struct unpacker *unpacker, const Magik__ForwardJoin *from,
			 struct forward_join *to)
{
	contact_unpack(unpacker, from->contact, &to->contact);
	to->ttl = unpack_u32(unpacker, from->ttl, MESSAGE_TTL_MAX);
}

void forward_join_deinit(struct forward_join *forward_join)
{
	*forward_join = (struct forward_join){0};
}

void forward_join_copy(const struct forward_join *from, struct forward_join *to)
{
	*to = *from;
}

void neighbor_pack(struct packer *packer, const struct neighbor *from, Magik__Neighbor *to)
{
	(void)packer;
	to->urgent = from->urgent;
}

void neighbor_unpack(struct unpacker *unpacker, const Magik__Neighbor *from, struct neighbor *to)
{
	(void)unpacker;
	to->urgent = from->urgent;
}

void neighbor_deinit(struct neighbor *neighbor)
{
	*neighbor = (struct neighbor){0};
}

void neighbor_copy(const struct neighbor *from, struct neighbor *to)
{
	*to = *from;
}

void neighbor_reply_pack(struct packer *packer, const struct neighbor_reply *from,
			 Magik__NeighborReply *to)
{
	(void)packer;
	to->accepted = from->accepted;
}

void neighbor_reply_unpack(struct unpacker *unpacker, const Magik__NeighborReply *from,
			   struct neighbor_reply *to)
{
	(void)unpacker;
	to->accepted = from->accepted;
}

void neighbor_reply_deinit(struct neighbor_reply *neighbor_reply)
{
	*neighbor_reply = (struct neighbor_reply){0};
}

void neighbor_reply_copy(const struct neighbor_reply *from, struct neighbor_reply *to)
{
	*to = *from;
}

void disconnect_pack(struct packer *packer, const struct disconnect *from, Magik__Disconnect *to)
{
	(void)packer;
	to->leaving = from->leaving;
	to->released = from->released;
}

void disconnect_unpack(struct unpacker *unpacker, const Magik__Disconnect *from,
		       struct disconnect *to)
{
	(void)unpacker;
	to->leaving = from->leaving;
	to->released = from->released;
}

void disconnect_deinit(struct disconnect *disconnect)
{
	*disconnect = (struct disconnect){0};
}

void disconnect_copy(const struct disconnect *from, struct disconnect *to)
{
	*to = *from;
}

void shuffle_pack(struct packer *packer, const struct shuffle *from, Magik__Shuffle *to)
{
	assert(from->ttl <= MESSAGE_TTL_MAX);
	to->origin = pack_one(packer, Magik__Contact, magik__contact__init);
	contact_pack(packer, &from->origin, to->origin);
	to->ttl = from->ttl;
	contacts_pack(packer, &from->contacts, &to->contacts, &to->n_contacts);
}

void shuffle_unpack(struct unpacker *unpacker, const Magik__Shuffle *from, struct shuffle *to)
{
	contact_unpack(unpacker, from->origin, &to->origin);
	to->ttl = unpack_u32(unpacker, from->ttl, MESSAGE_TTL_MAX);
	contacts_unpack(unpacker, from->contacts, from->n_contacts, MESSAGE_CONTACTS_MAX,
			&to->contacts);
}

void shuffle_deinit(struct shuffle *shuffle)
{
	contacts_deinit(&shuffle->contacts);
	*shuffle = (struct shuffle){0};
}

void shuffle_copy(const struct shuffle *from, struct shuffle *to)
{
	*to = *from;
	contacts_copy(&from->contacts, &to->contacts);
}

void shuffle_reply_pack(struct packer *packer, const struct shuffle_reply *from,
			Magik__ShuffleReply *to)
{
	contacts_pack(packer, &from->contacts, &to->contacts, &to->n_contacts);
}

void shuffle_reply_unpack(struct unpacker *unpacker, const Magik__ShuffleReply *from,
			  struct shuffle_reply *to)
{
	contacts_unpack(unpacker, from->contacts, from->n_contacts, MESSAGE_CONTACTS_MAX,
			&to->contacts);
}

void shuffle_reply_deinit(struct shuffle_reply *shuffle_reply)
{
	contacts_deinit(&shuffle_reply->contacts);
}

void shuffle_reply_copy(const struct shuffle_reply *from, struct shuffle_reply *to)
{
	contacts_copy(&from->contacts, &to->contacts);
}
