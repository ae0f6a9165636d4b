/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/family.h"

void tenure_pack(struct packer *packer, const struct tenure *from, Magik__Tenure *to)
{
	to->word = (uint32_t)from->word;
	to->set = pack_uid(&from->set);
	to->ordinal = from->ordinal;
	to->epoch = from->epoch;
	to->serial = from->serial;
	to->machine = pack_id(&from->machine);
	to->addr = addr_pack(packer, &from->addr);
	to->pod_uid = pack_uid(&from->pod_uid);
	to->holder_uid = pack_uid(&from->holder_uid);
	to->replace = from->replace;
	to->registrars_epoch = from->registrars.epoch;
	to->registrars_number = from->registrars.number;
	to->runs = from->runs;
}

void tenure_unpack(struct unpacker *unpacker, const Magik__Tenure *from, struct tenure *to)
{
	to->word = (enum tenure_word)unpack_u32(unpacker, from->word, TENURE_WORD_COUNT - 1);
	to->set = unpack_uid(unpacker, from->set);
	to->ordinal = from->ordinal;
	to->epoch = from->epoch;
	to->serial = from->serial;
	unpack_id(unpacker, from->machine, &to->machine);
	addr_unpack(unpacker, from->addr, &to->addr);
	to->pod_uid = unpack_uid(unpacker, from->pod_uid);
	to->holder_uid = unpack_uid_or_none(unpacker, from->holder_uid);
	to->replace = from->replace;
	to->registrars = (struct registrars_id){from->registrars_epoch, from->registrars_number};
	to->runs = from->runs;
}

void tenure_deinit(struct tenure *tenure)
{
	*tenure = (struct tenure){0};
}

void tenure_copy(const struct tenure *from, struct tenure *to)
{
	*to = *from;
}
