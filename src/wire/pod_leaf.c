/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdlib.h>

#include "wire/family.h"

void pod_leaf_want_pack(struct packer *packer, const struct pod_leaf_want *from,
			Magik__PodLeafWant *to)
{
	(void)packer;
	to->request = from->request;
	to->warrant = pack_buf(&from->warrant, CODEC_WARRANT_MAX);
	to->key = pack_id(&from->key);
	to->proof = pack_bytes(from->proof, MESSAGE_PROOF_LEN);
	to->application = from->application;
}

void pod_leaf_want_unpack(struct unpacker *unpacker, const Magik__PodLeafWant *from,
			  struct pod_leaf_want *to)
{
	to->request = from->request;
	unpack_buf(unpacker, from->warrant, CODEC_WARRANT_MAX, &to->warrant);
	unpack_id(unpacker, from->key, &to->key);
	unpack_exact(unpacker, from->proof, to->proof, MESSAGE_PROOF_LEN);
	to->application = from->application;
}

void pod_leaf_want_deinit(struct pod_leaf_want *pod_leaf_want)
{
	buf_deinit(&pod_leaf_want->warrant);
	*pod_leaf_want = (struct pod_leaf_want){0};
}

void pod_leaf_want_copy(const struct pod_leaf_want *from, struct pod_leaf_want *to)
{
	*to = *from;
	buf_copy(&from->warrant, &to->warrant);
}

void pod_leaf_pack(struct packer *packer, const struct pod_leaf *from, Magik__PodLeaf *to)
{
	assert(from->chain.cert_count <= MESSAGE_CHAIN_MAX);
	to->request = from->request;
	to->n_certs = from->chain.cert_count;
	to->certs = packer_alloc(packer, from->chain.cert_count, sizeof(*to->certs));
	for (size_t i = 0; i < from->chain.cert_count; i++)
		to->certs[i] = pack_buf(&from->chain.certs[i], MESSAGE_CERT_MAX);
	to->text = pack_prose(packer, from->text);
}

void pod_leaf_unpack(struct unpacker *unpacker, const Magik__PodLeaf *from, struct pod_leaf *to)
{
	to->request = from->request;
	to->chain.cert_count = unpack_count(unpacker, from->n_certs, MESSAGE_CHAIN_MAX);
	for (size_t i = 0; i < to->chain.cert_count; i++) {
		unpack_buf(unpacker, from->certs[i], MESSAGE_CERT_MAX, &to->chain.certs[i]);
		if (from->certs[i].len == 0)
			unpack_fail(unpacker, MESSAGE_E_MALFORMED);
	}
	to->text = unpack_prose(unpacker, from->text);
}

void pod_leaf_deinit(struct pod_leaf *pod_leaf)
{
	leaf_deinit(&pod_leaf->chain);
	free(pod_leaf->text);
	*pod_leaf = (struct pod_leaf){0};
}

void pod_leaf_copy(const struct pod_leaf *from, struct pod_leaf *to)
{
	*to = *from;
	leaf_copy(&from->chain, &to->chain);
	to->text = string_copy(from->text);
}
