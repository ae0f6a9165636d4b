/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>

#include "wire/family.h"

void leaf_want_pack(struct packer *packer, const struct leaf_want *from, Magik__LeafWant *to)
{
	(void)packer;
	to->leaf = pack_id(&from->leaf);
}

void leaf_want_unpack(struct unpacker *unpacker, const Magik__LeafWant *from, struct leaf_want *to)
{
	unpack_id(unpacker, from->leaf, &to->leaf);
}

void leaf_want_deinit(struct leaf_want *leaf_want)
{
	*leaf_want = (struct leaf_want){0};
}

void leaf_want_copy(const struct leaf_want *from, struct leaf_want *to)
{
	*to = *from;
}

void leaf_pack(struct packer *packer, const struct leaf *from, Magik__Leaf *to)
{
	assert(from->cert_count <= MESSAGE_CHAIN_MAX);
	to->n_certs = from->cert_count;
	to->certs = packer_alloc(packer, from->cert_count, sizeof(*to->certs));
	for (size_t i = 0; i < from->cert_count; i++)
		to->certs[i] = pack_buf(&from->certs[i], MESSAGE_CERT_MAX);
}

void leaf_unpack(struct unpacker *unpacker, const Magik__Leaf *from, struct leaf *to)
{
	to->cert_count = unpack_count(unpacker, from->n_certs, MESSAGE_CHAIN_MAX);
	for (size_t i = 0; i < to->cert_count; i++) {
		unpack_buf(unpacker, from->certs[i], MESSAGE_CERT_MAX, &to->certs[i]);
		if (from->certs[i].len == 0)
			unpack_fail(unpacker, MESSAGE_E_MALFORMED);
	}
}

void leaf_deinit(struct leaf *leaf)
{
	for (size_t i = 0; i < leaf->cert_count; i++)
		buf_deinit(&leaf->certs[i]);
	*leaf = (struct leaf){0};
}

void leaf_copy(const struct leaf *from, struct leaf *to)
{
	*to = (struct leaf){.cert_count = from->cert_count};
	for (size_t i = 0; i < from->cert_count; i++)
		buf_copy(&from->certs[i], &to->certs[i]);
}
