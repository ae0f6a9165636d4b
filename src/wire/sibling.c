/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "wire/family.h"

void sibling_missing_pack(struct packer *packer, const struct sibling_missing *from,
			  Magik__SiblingMissing *to)
{
	(void)packer;
	to->object = pack_uid(&from->object);
	to->pod = pack_name(from->pod, MESSAGE_NAME_MAX);
}

void sibling_missing_unpack(struct unpacker *unpacker, const Magik__SiblingMissing *from,
			    struct sibling_missing *to)
{
	to->object = unpack_uid(unpacker, from->object);
	to->pod = unpack_name(unpacker, from->pod, MESSAGE_NAME_MAX);
}

void sibling_missing_deinit(struct sibling_missing *missing)
{
	free(missing->pod);
	*missing = (struct sibling_missing){0};
}

void sibling_missing_copy(const struct sibling_missing *from, struct sibling_missing *to)
{
	*to = *from;
	to->pod = string_copy(from->pod);
}
