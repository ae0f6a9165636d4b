/* SPDX-License-Identifier: Apache-2.0 */
/* What happened to objects, on its way to who asks for it (node/journal.h). */
#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"
#include "wire/family.h"

void journal_ask_pack(struct packer *packer, const struct journal_ask *from, Magik__JournalAsk *to)
{
	(void)packer;
	to->request = from->request;
	to->home = pack_bytes(from->home.byte, UID_LEN);
	to->after = from->after;
}

void journal_ask_unpack(struct unpacker *unpacker, const Magik__JournalAsk *from,
			struct journal_ask *to)
{
	to->request = from->request;
	to->home = unpack_uid(unpacker, from->home);
	to->after = from->after;
}

void journal_ask_deinit(struct journal_ask *journal_ask)
{
	*journal_ask = (struct journal_ask){0};
}

void journal_ask_copy(const struct journal_ask *from, struct journal_ask *to)
{
	*to = *from;
}

void happening_deinit(struct happening *happening)
{
	free(happening->kind);
	free(happening->namespace);
	free(happening->name);
	free(happening->reason);
	free(happening->message);
	free(happening->host);
	*happening = (struct happening){0};
}

void happening_copy(const struct happening *from, struct happening *to)
{
	*to = *from;
	to->kind = string_copy(from->kind);
	to->namespace = string_copy(from->namespace);
	to->name = string_copy(from->name);
	to->reason = string_copy(from->reason);
	to->message = string_copy(from->message);
	to->host = string_copy(from->host);
}

static void happening_pack(struct packer *packer, const struct happening *from,
			   Magik__Happening *to)
{
	to->about = pack_bytes(from->about.byte, UID_LEN);
	to->kind = pack_name(from->kind, CODEC_WORD_MAX);
	to->namespace_ = pack_name(from->namespace, MESSAGE_NAMESPACE_MAX);
	to->name = pack_name(from->name, MESSAGE_NAME_MAX);
	to->warning = from->warning;
	to->reason = pack_name(from->reason, CODEC_WORD_MAX);
	to->message = pack_prose(packer, from->message);
	to->host = pack_name(from->host, MESSAGE_NAME_MAX);
	to->first_ms = pack_natural(from->first_ms);
	to->last_ms = pack_natural(from->last_ms);
	to->count = from->count;
}

static void happening_unpack(struct unpacker *unpacker, const Magik__Happening *from,
			     struct happening *to)
{
	to->about = unpack_uid(unpacker, from->about);
	to->kind = unpack_name(unpacker, from->kind, CODEC_WORD_MAX);
	to->namespace = unpack_name(unpacker, from->namespace_, MESSAGE_NAMESPACE_MAX);
	to->name = unpack_name(unpacker, from->name, MESSAGE_NAME_MAX);
	to->warning = from->warning;
	to->reason = unpack_name(unpacker, from->reason, CODEC_WORD_MAX);
	to->message = unpack_prose(unpacker, from->message);
	to->host = unpack_name(unpacker, from->host, MESSAGE_NAME_MAX);
	to->first_ms = unpack_natural(unpacker, from->first_ms);
	to->last_ms = unpack_natural(unpacker, from->last_ms);
	to->count = from->count;
	if (to->last_ms < to->first_ms || to->count == 0)
		unpack_fail(unpacker, MESSAGE_E_MALFORMED);
}

void journal_page_pack(struct packer *packer, const struct journal_page *from,
		       Magik__JournalPage *to)
{
	assert(from->count <= MESSAGE_HAPPENINGS_MAX);
	to->request = from->request;
	to->next = from->next;
	to->n_happenings = from->count;
	pack_array(packer, Magik__Happening, magik__happening__init, from->count, &to->happenings);
	for (size_t i = 0; i < from->count; i++)
		happening_pack(packer, &from->happenings[i], to->happenings[i]);
}

void journal_page_unpack(struct unpacker *unpacker, const Magik__JournalPage *from,
			 struct journal_page *to)
{
	to->request = from->request;
	to->next = from->next;
	to->count = unpack_count(unpacker, from->n_happenings, MESSAGE_HAPPENINGS_MAX);
	to->happenings = to->count ? mem_alloc(to->count, sizeof(*to->happenings)) : NULL;
	for (size_t i = 0; i < to->count; i++)
		happening_unpack(unpacker, from->happenings[i], &to->happenings[i]);
}

void journal_page_deinit(struct journal_page *journal_page)
{
	for (size_t i = 0; i < journal_page->count; i++)
		happening_deinit(&journal_page->happenings[i]);
	free(journal_page->happenings);
	*journal_page = (struct journal_page){0};
}

void journal_page_copy(const struct journal_page *from, struct journal_page *to)
{
	*to = *from;
	to->happenings = from->count ? mem_alloc(from->count, sizeof(*to->happenings)) : NULL;
	for (size_t i = 0; i < from->count; i++)
		happening_copy(&from->happenings[i], &to->happenings[i]);
}
