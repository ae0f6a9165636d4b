/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"
#include "wire/family.h"

void revocation_pack(struct packer *packer, const struct revocation *from, Magik__Revocation *to)
{
	to->kind = from->kind;
	if (from->kind == REVOCATION_MACHINE)
		to->machine = pack_id(&from->machine);
	to->user = pack_name(from->user, MESSAGE_NAME_MAX);
	to->serial = pack_uid(&from->serial);
	to->reason = pack_prose(packer, from->reason);
}

/* What its kind calls for is there, and nothing else: one thing has one name. */
static bool subject_fits(const struct revocation *revocation)
{
	bool is_machine = revocation->kind == REVOCATION_MACHINE;
	bool is_user = revocation->kind == REVOCATION_USER;
	bool is_serial = revocation->kind == REVOCATION_SERIAL;

	return (is_machine || is_user || is_serial) &&
	       is_machine != node_id_is_none(&revocation->machine) &&
	       is_user == (*revocation->user != 0) && is_serial != uid_is_none(&revocation->serial);
}

void revocation_unpack(struct unpacker *unpacker, const Magik__Revocation *from,
		       struct revocation *to)
{
	to->kind = (enum revocation_kind)unpack_u32(unpacker, from->kind, _REVOCATION_LAST);
	if (from->machine.len)
		unpack_id(unpacker, from->machine, &to->machine);
	to->user = unpack_name(unpacker, from->user, MESSAGE_NAME_MAX);
	to->serial = unpack_uid_or_none(unpacker, from->serial);
	to->reason = unpack_prose(unpacker, from->reason);
	if (!unpacker->error && !subject_fits(to))
		unpack_fail(unpacker, MESSAGE_E_MALFORMED);
}

void revocation_deinit(struct revocation *revocation)
{
	free(revocation->user);
	free(revocation->reason);
	*revocation = (struct revocation){0};
}

void revocation_copy(const struct revocation *from, struct revocation *to)
{
	*to = *from;
	to->user = string_copy(from->user);
	to->reason = string_copy(from->reason);
}

void revoked_pack(struct packer *packer, const struct revoked *from, Magik__Revoked *to)
{
	assert(from->id_count <= MESSAGE_REVOKED_MAX);
	to->stage = from->stage;
	to->fold = pack_id(&from->fold);
	to->n_ids = from->id_count;
	to->ids = packer_alloc(packer, from->id_count, sizeof(*to->ids));
	for (size_t i = 0; i < from->id_count; i++)
		to->ids[i] = pack_id(&from->ids[i]);
}

void revoked_unpack(struct unpacker *unpacker, const Magik__Revoked *from, struct revoked *to)
{
	to->stage = (enum revoked_stage)unpack_u32(unpacker, from->stage, _REVOKED_LAST);
	unpack_id(unpacker, from->fold, &to->fold);
	to->id_count = unpack_count(unpacker, from->n_ids, MESSAGE_REVOKED_MAX);
	to->ids = to->id_count ? mem_alloc(to->id_count, sizeof(*to->ids)) : NULL;
	for (size_t i = 0; i < to->id_count; i++)
		unpack_id(unpacker, from->ids[i], &to->ids[i]);
}

void revoked_deinit(struct revoked *revoked)
{
	free(revoked->ids);
	*revoked = (struct revoked){0};
}

void revoked_copy(const struct revoked *from, struct revoked *to)
{
	*to = *from;
	to->ids = array_copy(from->ids, from->id_count, sizeof(*from->ids));
}
