/* SPDX-License-Identifier: Apache-2.0 */
/* Parts that several message families use: labels, references to objects, addresses. */
#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"
#include "wire/codec.h"

void labels_pack(struct packer *packer, const struct label *labels, size_t count,
		 Magik__Label ***ret_labels, size_t *ret_count)
{
	assert(count <= MESSAGE_LABELS_MAX);
	pack_array(packer, Magik__Label, magik__label__init, count, ret_labels);
	for (size_t i = 0; i < count; i++) {
		(*ret_labels)[i]->key = pack_name(labels[i].key, MESSAGE_LABEL_KEY_MAX);
		(*ret_labels)[i]->value = pack_name(labels[i].value, MESSAGE_LABEL_VALUE_MAX);
	}
	*ret_count = count;
}

void labels_unpack(struct unpacker *unpacker, Magik__Label *const *from, size_t count,
		   struct label **ret_labels, size_t *ret_count)
{
	count = unpack_count(unpacker, count, MESSAGE_LABELS_MAX);
	*ret_labels = count > 0 ? mem_alloc(count, sizeof(**ret_labels)) : NULL;
	for (size_t i = 0; i < count; i++) {
		struct label *label = &(*ret_labels)[i];

		label->key = unpack_name(unpacker, from[i]->key, MESSAGE_LABEL_KEY_MAX);
		label->value = unpack_name(unpacker, from[i]->value, MESSAGE_LABEL_VALUE_MAX);
		if (label->key[0] == '\0')
			unpack_fail(unpacker, MESSAGE_E_MALFORMED);
	}
	*ret_count = count;
}

void labels_deinit(struct label *labels, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(labels[i].key);
		free(labels[i].value);
	}
	free(labels);
}

struct label *labels_copy(const struct label *labels, size_t count)
{
	struct label *copy = array_copy(labels, count, sizeof(*labels));

	for (size_t i = 0; i < count; i++) {
		copy[i].key = string_copy(labels[i].key);
		copy[i].value = string_copy(labels[i].value);
	}
	return copy;
}

void object_ref_pack(struct packer *packer, const struct object_ref *from, Magik__ObjectRef *to)
{
	(void)packer;
	to->uid = pack_bytes(from->uid.byte, UID_LEN);
	to->namespace_ = pack_name(from->namespace, MESSAGE_NAMESPACE_MAX);
	to->kind = pack_name(from->kind, CODEC_WORD_MAX);
	to->name = pack_name(from->name, MESSAGE_NAME_MAX);
}

void object_ref_unpack(struct unpacker *unpacker, const Magik__ObjectRef *from,
		       struct object_ref *to)
{
	if (!unpack_has(unpacker, from))
		return;
	to->uid = unpack_uid(unpacker, from->uid);
	to->namespace = unpack_name(unpacker, from->namespace_, MESSAGE_NAMESPACE_MAX);
	to->kind = unpack_name(unpacker, from->kind, CODEC_WORD_MAX);
	to->name = unpack_name(unpacker, from->name, MESSAGE_NAME_MAX);
}

void object_ref_copy(const struct object_ref *from, struct object_ref *to)
{
	*to = (struct object_ref){
		.uid = from->uid,
		.namespace = string_copy(from->namespace),
		.kind = string_copy(from->kind),
		.name = string_copy(from->name),
	};
}

void object_ref_deinit(struct object_ref *ref)
{
	free(ref->namespace);
	free(ref->kind);
	free(ref->name);
	*ref = (struct object_ref){0};
}

Magik__Address *addr_pack(struct packer *packer, const struct addr *from)
{
	Magik__Address *to;
	struct bytes ip = addr_ip(from);

	if (addr_is_none(from))
		return NULL;
	to = pack_one(packer, Magik__Address, magik__address__init);
	to->ip = pack_bytes(ip.ptr, ip.len);
	to->port = from->port;
	return to;
}

void addr_unpack(struct unpacker *unpacker, const Magik__Address *from, struct addr *to)
{
	uint16_t port;

	if (!from)
		return;
	port = (uint16_t)unpack_u32(unpacker, from->port, UINT16_MAX);
	if (!addr_from_ip(bytes_of(from->ip.data, from->ip.len), port, to))
		unpack_fail(unpacker, MESSAGE_E_MALFORMED);
}
