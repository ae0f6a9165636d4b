/* SPDX-License-Identifier: Apache-2.0 */
/* The messages of lookup (overlay/kad.h), and the referral of a tender. */
#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"
#include "wire/family.h"

void find_pack(struct packer *packer, const struct find *from, Magik__Find *to)
{
	(void)packer;
	to->request = from->request;
	to->target = pack_id(&from->target);
	to->providers = from->providers;
	to->wide = from->wide;
}

void find_unpack(struct unpacker *unpacker, const Magik__Find *from, struct find *to)
{
	to->request = from->request;
	unpack_id(unpacker, from->target, &to->target);
	to->providers = from->providers;
	to->wide = from->wide;
}

void find_deinit(struct find *find)
{
	*find = (struct find){0};
}

void find_copy(const struct find *from, struct find *to)
{
	*to = *from;
}

void found_pack(struct packer *packer, const struct found *from, Magik__Found *to)
{
	to->request = from->request;
	contacts_pack(packer, &from->nearest, &to->nearest, &to->n_nearest);
	contacts_pack(packer, &from->providers, &to->providers, &to->n_providers);
}

void found_unpack(struct unpacker *unpacker, const Magik__Found *from, struct found *to)
{
	to->request = from->request;
	contacts_unpack(unpacker, from->nearest, from->n_nearest, MESSAGE_NEAREST_MAX,
			&to->nearest);
	contacts_unpack(unpacker, from->providers, from->n_providers, MESSAGE_CONTACTS_MAX,
			&to->providers);
}

void found_deinit(struct found *found)
{
	contacts_deinit(&found->nearest);
	contacts_deinit(&found->providers);
	*found = (struct found){0};
}

void found_copy(const struct found *from, struct found *to)
{
	to->request = from->request;
	contacts_copy(&from->nearest, &to->nearest);
	contacts_copy(&from->providers, &to->providers);
}

void provide_pack(struct packer *packer, const struct provide *from, Magik__Provide *to)
{
	(void)packer;
	to->key = pack_id(&from->key);
	to->ttl_s = from->ttl_s;
}

void provide_unpack(struct unpacker *unpacker, const Magik__Provide *from, struct provide *to)
{
	unpack_id(unpacker, from->key, &to->key);
	to->ttl_s = from->ttl_s;
}

void provide_deinit(struct provide *provide)
{
	*provide = (struct provide){0};
}

void provide_copy(const struct provide *from, struct provide *to)
{
	*to = *from;
}

void referral_pack(struct packer *packer, const struct referral *from, Magik__Referral *to)
{
	assert(from->count <= MESSAGE_REFERRAL_MAX && from->share <= MESSAGE_SHARE_MAX);
	to->owner = pack_one(packer, Magik__Contact, magik__contact__init);
	contact_pack(packer, &from->owner, to->owner);
	to->count = from->count;
	to->share = from->share;
	to->tender = pack_buf(&from->tender, CODEC_ENVELOPE_MAX);
}

void referral_unpack(struct unpacker *unpacker, const Magik__Referral *from, struct referral *to)
{
	contact_unpack(unpacker, from->owner, &to->owner);
	to->count = unpack_u32(unpacker, from->count, MESSAGE_REFERRAL_MAX);
	to->share = unpack_u32(unpacker, from->share, MESSAGE_SHARE_MAX);
	unpack_buf(unpacker, from->tender, CODEC_ENVELOPE_MAX, &to->tender);
}

void referral_deinit(struct referral *referral)
{
	buf_deinit(&referral->tender);
	*referral = (struct referral){0};
}

void referral_copy(const struct referral *from, struct referral *to)
{
	*to = *from;
	buf_copy(&from->tender, &to->tender);
}
