/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"
#include "wire/family.h"

static bool slots_ascend(const uint32_t *slots, size_t count)
{
	for (size_t i = 1; i < count; i++) {
		if (slots[i - 1] >= slots[i])
			return false;
	}
	return true;
}

static void images_pack(struct packer *packer, const struct tender *from, Magik__Tender *to)
{
	assert(from->image_count <= MESSAGE_IMAGES_MAX);
	to->n_images = from->image_count;
	to->images = packer_alloc(packer, from->image_count, sizeof(*to->images));
	for (size_t i = 0; i < from->image_count; i++)
		to->images[i] = pack_name(from->images[i], MESSAGE_REF_MAX);
}

static void excluded_pack(struct packer *packer, const struct tender *from, Magik__Tender *to)
{
	assert(from->excluded_count <= MESSAGE_NODES_MAX);
	to->n_excluded = from->excluded_count;
	to->excluded = packer_alloc(packer, from->excluded_count, sizeof(*to->excluded));
	for (size_t i = 0; i < from->excluded_count; i++)
		to->excluded[i] = pack_id(&from->excluded[i]);
}

void tender_pack(struct packer *packer, const struct tender *from, Magik__Tender *to)
{
	assert(from->slot_count <= MESSAGE_SLOTS_MAX);
	assert(slots_ascend(from->slots, from->slot_count));
	to->id = pack_id(&from->id);
	to->object = pack_one(packer, Magik__ObjectRef, magik__object_ref__init);
	object_ref_pack(packer, &from->object, to->object);
	to->generation = from->generation;
	to->attempt = from->attempt;
	to->n_slots = from->slot_count;
	to->slots = from->slots;
	to->needs = pack_one(packer, Magik__Requirements, magik__requirements__init);
	requirements_pack(packer, &from->needs, to->needs);
	to->priority = from->priority;
	to->preemptible = from->preemptible;
	to->modest = from->modest;
	to->manifest_digest = pack_id(&from->manifest_digest);
	images_pack(packer, from, to);
	excluded_pack(packer, from, to);
}

static void lists_unpack(struct unpacker *unpacker, const Magik__Tender *from, struct tender *to)
{
	to->slot_count = unpack_count(unpacker, from->n_slots, MESSAGE_SLOTS_MAX);
	to->slots = array_copy(from->slots, to->slot_count, sizeof(*to->slots));
	if (!slots_ascend(to->slots, to->slot_count))
		unpack_fail(unpacker, MESSAGE_E_MALFORMED);

	to->image_count = unpack_count(unpacker, from->n_images, MESSAGE_IMAGES_MAX);
	to->images = to->image_count ? mem_alloc(to->image_count, sizeof(*to->images)) : NULL;
	for (size_t i = 0; i < to->image_count; i++)
		to->images[i] = unpack_name(unpacker, from->images[i], MESSAGE_REF_MAX);

	to->excluded_count = unpack_count(unpacker, from->n_excluded, MESSAGE_NODES_MAX);
	to->excluded =
		to->excluded_count ? mem_alloc(to->excluded_count, sizeof(*to->excluded)) : NULL;
	for (size_t i = 0; i < to->excluded_count; i++)
		unpack_id(unpacker, from->excluded[i], &to->excluded[i]);
}

void tender_unpack(struct unpacker *unpacker, const Magik__Tender *from, struct tender *to)
{
	unpack_id(unpacker, from->id, &to->id);
	object_ref_unpack(unpacker, from->object, &to->object);
	to->generation = from->generation;
	to->attempt = from->attempt;
	requirements_unpack(unpacker, from->needs, &to->needs);
	to->priority = from->priority;
	to->preemptible = from->preemptible;
	to->modest = from->modest;
	unpack_id(unpacker, from->manifest_digest, &to->manifest_digest);
	lists_unpack(unpacker, from, to);
}

void tender_deinit(struct tender *tender)
{
	object_ref_deinit(&tender->object);
	free(tender->slots);
	requirements_deinit(&tender->needs);
	for (size_t i = 0; i < tender->image_count; i++)
		free(tender->images[i]);
	free(tender->images);
	free(tender->excluded);
	*tender = (struct tender){0};
}

void tender_copy(const struct tender *from, struct tender *to)
{
	*to = *from;
	object_ref_copy(&from->object, &to->object);
	to->slots = array_copy(from->slots, from->slot_count, sizeof(*from->slots));
	requirements_copy(&from->needs, &to->needs);
	to->images = array_copy(from->images, from->image_count, sizeof(*from->images));
	for (size_t i = 0; i < from->image_count; i++)
		to->images[i] = string_copy(from->images[i]);
	to->excluded = array_copy(from->excluded, from->excluded_count, sizeof(*from->excluded));
}
