/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/family.h"

void disposal_pack(struct packer *packer, const struct disposal *from, Magik__Disposal *to)
{
	to->object = pack_one(packer, Magik__ObjectRef, magik__object_ref__init);
	object_ref_pack(packer, &from->object, to->object);
	to->pod_uid = pack_uid(&from->pod_uid);
	to->grace_s = from->grace_s;
	to->evict = from->evict;
}

void disposal_unpack(struct unpacker *unpacker, const Magik__Disposal *from, struct disposal *to)
{
	object_ref_unpack(unpacker, from->object, &to->object);
	to->pod_uid = unpack_uid_or_none(unpacker, from->pod_uid);
	to->grace_s = from->grace_s;
	to->evict = from->evict;
}

void disposal_deinit(struct disposal *disposal)
{
	object_ref_deinit(&disposal->object);
	*disposal = (struct disposal){0};
}

void disposal_copy(const struct disposal *from, struct disposal *to)
{
	*to = *from;
	object_ref_copy(&from->object, &to->object);
}
