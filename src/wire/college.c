/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"
#include "wire/family.h"

static void registrars_pack(struct packer *packer, const struct registrars *from,
			    Magik__Registrars **ret)
{
	Magik__Registrars *to = pack_one(packer, Magik__Registrars, magik__registrars__init);

	assert(from->count <= MESSAGE_REGISTRARS_MAX);
	to->epoch = from->id.epoch;
	to->number = from->id.number;
	to->n_list = from->count;
	pack_array(packer, Magik__Contact, magik__contact__init, from->count, &to->list);
	for (size_t i = 0; i < from->count; i++) {
		assert(addr_can_be_dialled(&from->list[i].addr));
		to->list[i]->id = pack_id(&from->list[i].id);
		to->list[i]->addr = addr_pack(packer, &from->list[i].addr);
	}
	*ret = to;
}

/* Absent: there are none. */
static void registrars_unpack(struct unpacker *unpacker, const Magik__Registrars *from,
			      struct registrars *to)
{
	if (!from)
		return;
	to->id = (struct registrars_id){from->epoch, from->number};
	to->count = unpack_count(unpacker, from->n_list, MESSAGE_REGISTRARS_MAX);
	for (size_t i = 0; i < to->count; i++) {
		struct contact contact = {0};

		contact_unpack(unpacker, from->list[i], &contact);
		to->list[i] = (struct addr_peer){contact.id, contact.addr};
	}
}

void college_pack(struct packer *packer, const struct college *from, Magik__College *to)
{
	assert(from->entry_count <= MESSAGE_TENURES_MAX);
	to->word = (uint32_t)from->word;
	to->set = pack_uid(&from->set);
	registrars_pack(packer, &from->present, &to->present);
	if (from->next.count > 0)
		registrars_pack(packer, &from->next, &to->next);
	to->ballot = from->ballot;
	to->accepted = from->accepted;
	to->complete = from->complete;
	to->from = from->from;
	to->n_entries = from->entry_count;
	pack_array(packer, Magik__Tenure, magik__tenure__init, from->entry_count, &to->entries);
	for (size_t i = 0; i < from->entry_count; i++)
		tenure_pack(packer, &from->entries[i], to->entries[i]);
}

void college_unpack(struct unpacker *unpacker, const Magik__College *from, struct college *to)
{
	to->word = (enum college_word)unpack_u32(unpacker, from->word, COLLEGE_WORD_COUNT - 1);
	to->set = unpack_uid(unpacker, from->set);
	registrars_unpack(unpacker, from->present, &to->present);
	registrars_unpack(unpacker, from->next, &to->next);
	to->ballot = from->ballot;
	to->accepted = from->accepted;
	to->complete = from->complete;
	to->from = from->from;
	to->entry_count = unpack_count(unpacker, from->n_entries, MESSAGE_TENURES_MAX);
	to->entries = to->entry_count ? mem_alloc(to->entry_count, sizeof(*to->entries)) : NULL;
	for (size_t i = 0; i < to->entry_count; i++)
		tenure_unpack(unpacker, from->entries[i], &to->entries[i]);
}

void college_deinit(struct college *college)
{
	free(college->entries);
	*college = (struct college){0};
}

void college_copy(const struct college *from, struct college *to)
{
	*to = *from;
	to->entries = array_copy(from->entries, from->entry_count, sizeof(*from->entries));
}
