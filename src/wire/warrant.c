/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "wire/family.h"

void warrant_pack(struct packer *packer, const struct warrant *from, Magik__Warrant *to)
{
	to->pod_uid = pack_bytes(from->pod_uid.byte, UID_LEN);
	to->object = pack_one(packer, Magik__ObjectRef, magik__object_ref__init);
	object_ref_pack(packer, &from->object, to->object);
	to->pod_name = pack_name(from->pod_name, MESSAGE_NAME_MAX);
	to->slot = from->slot;
	to->epoch = from->epoch;
	to->machine = pack_id(&from->machine);
	to->kind = pack_name(from->kind, CODEC_WORD_MAX);
	to->name = pack_name(from->name, MESSAGE_NAME_MAX);
}

void warrant_unpack(struct unpacker *unpacker, const Magik__Warrant *from, struct warrant *to)
{
	to->pod_uid = unpack_uid(unpacker, from->pod_uid);
	object_ref_unpack(unpacker, from->object, &to->object);
	to->pod_name = unpack_name(unpacker, from->pod_name, MESSAGE_NAME_MAX);
	to->slot = from->slot;
	to->epoch = from->epoch;
	unpack_id(unpacker, from->machine, &to->machine);
	to->kind = unpack_name(unpacker, from->kind, CODEC_WORD_MAX);
	to->name = unpack_name(unpacker, from->name, MESSAGE_NAME_MAX);
}

void warrant_deinit(struct warrant *warrant)
{
	object_ref_deinit(&warrant->object);
	free(warrant->pod_name);
	free(warrant->kind);
	free(warrant->name);
	*warrant = (struct warrant){0};
}

void warrant_copy(const struct warrant *from, struct warrant *to)
{
	*to = *from;
	object_ref_copy(&from->object, &to->object);
	to->pod_name = string_copy(from->pod_name);
	to->kind = string_copy(from->kind);
	to->name = string_copy(from->name);
}
