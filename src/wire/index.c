/* SPDX-License-Identifier: Apache-2.0 */
/* The messages of the index (records/shard.h). */
#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"
#include "wire/family.h"

/* Bits below the depth are 0, so that one shard has one name. */
static bool shard_is_valid(uint32_t depth, uint32_t prefix)
{
	if (depth > MESSAGE_SHARD_DEPTH_MAX)
		return false;
	return depth == MESSAGE_SHARD_DEPTH_MAX || (prefix & (UINT32_MAX >> depth)) == 0;
}

static Magik__Shard *shard_pack(struct packer *packer, const struct shard_id *from)
{
	Magik__Shard *to = pack_one(packer, Magik__Shard, magik__shard__init);

	assert(shard_is_valid(from->depth, from->prefix));
	to->kind = pack_name(from->kind, CODEC_WORD_MAX);
	to->namespace_ = pack_name(from->namespace, MESSAGE_NAMESPACE_MAX);
	to->depth = from->depth;
	to->prefix = from->prefix;
	return to;
}

static void shard_unpack(struct unpacker *unpacker, const Magik__Shard *from, struct shard_id *to)
{
	if (!unpack_has(unpacker, from))
		return;
	to->kind = unpack_name(unpacker, from->kind, CODEC_WORD_MAX);
	to->namespace = unpack_name(unpacker, from->namespace_, MESSAGE_NAMESPACE_MAX);
	to->depth = from->depth;
	to->prefix = from->prefix;
	if (!shard_is_valid(to->depth, to->prefix))
		unpack_fail(unpacker, MESSAGE_E_MALFORMED);
}

void shard_id_copy(const struct shard_id *from, struct shard_id *to)
{
	*to = *from;
	to->kind = string_copy(from->kind);
	to->namespace = string_copy(from->namespace);
}

void shard_id_deinit(struct shard_id *shard)
{
	free(shard->kind);
	free(shard->namespace);
	*shard = (struct shard_id){0};
}

void index_row_copy(const struct index_row *from, struct index_row *to)
{
	*to = *from;
	to->name = string_copy(from->name);
}

void index_row_deinit(struct index_row *row)
{
	free(row->name);
	*row = (struct index_row){0};
}

void index_rows_free(struct index_row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++)
		index_row_deinit(&rows[i]);
	free(rows);
}

static struct index_row *rows_copy(const struct index_row *from, size_t count)
{
	struct index_row *rows = count ? mem_alloc(count, sizeof(*rows)) : NULL;

	for (size_t i = 0; i < count; i++)
		index_row_copy(&from[i], &rows[i]);
	return rows;
}

static void rows_pack(struct packer *packer, const struct index_row *rows, size_t count,
		      Magik__IndexRow ***ret_rows, size_t *ret_count)
{
	assert(count <= MESSAGE_ROWS_MAX);
	*ret_count = count;
	pack_array(packer, Magik__IndexRow, magik__index_row__init, count, ret_rows);
	for (size_t i = 0; i < count; i++) {
		Magik__IndexRow *to = (*ret_rows)[i];

		to->name = pack_name(rows[i].name, MESSAGE_NAME_MAX);
		to->uid = pack_bytes(rows[i].uid.byte, UID_LEN);
		to->sub = pack_uid(&rows[i].sub);
		to->hlc = rows[i].hlc;
		to->gone = rows[i].gone;
		to->age_s = rows[i].age_s;
	}
}

static void row_unpack(struct unpacker *unpacker, const Magik__IndexRow *from, struct index_row *to)
{
	to->name = unpack_name(unpacker, from->name, MESSAGE_NAME_MAX);
	to->uid = unpack_uid(unpacker, from->uid);
	to->sub = unpack_uid_or_none(unpacker, from->sub);
	to->hlc = from->hlc;
	to->gone = from->gone;
	to->age_s = from->age_s;
}

static void rows_unpack(struct unpacker *unpacker, Magik__IndexRow *const *from, size_t count,
			struct index_row **ret_rows, size_t *ret_count)
{
	*ret_count = unpack_count(unpacker, count, MESSAGE_ROWS_MAX);
	*ret_rows = *ret_count ? mem_alloc(*ret_count, sizeof(**ret_rows)) : NULL;
	for (size_t i = 0; i < *ret_count; i++)
		row_unpack(unpacker, from[i], &(*ret_rows)[i]);
}

void index_rows_pack(struct packer *packer, const struct index_rows *from, Magik__IndexRows *to)
{
	to->request = from->request;
	to->shard = shard_pack(packer, &from->shard);
	to->purpose = (uint32_t)from->purpose;
	rows_pack(packer, from->rows, from->row_count, &to->rows, &to->n_rows);
	to->made = from->made;
	to->split = from->split;
	to->count = from->count;
	to->fold = from->fold;
}

void index_rows_unpack(struct unpacker *unpacker, const Magik__IndexRows *from,
		       struct index_rows *to)
{
	to->request = from->request;
	shard_unpack(unpacker, from->shard, &to->shard);
	to->purpose = (enum index_purpose)unpack_u32(unpacker, from->purpose, INDEX_REPORT);
	rows_unpack(unpacker, from->rows, from->n_rows, &to->rows, &to->row_count);
	to->made = from->made;
	to->split = from->split;
	to->count = from->count;
	to->fold = from->fold;
}

void index_rows_deinit(struct index_rows *index_rows)
{
	shard_id_deinit(&index_rows->shard);
	index_rows_free(index_rows->rows, index_rows->row_count);
	*index_rows = (struct index_rows){0};
}

void index_rows_copy(const struct index_rows *from, struct index_rows *to)
{
	*to = *from;
	shard_id_copy(&from->shard, &to->shard);
	to->rows = rows_copy(from->rows, from->row_count);
}

void index_ask_pack(struct packer *packer, const struct index_ask *from, Magik__IndexAsk *to)
{
	to->request = from->request;
	to->shard = shard_pack(packer, &from->shard);
	to->name = pack_name(from->name, MESSAGE_NAME_MAX);
}

void index_ask_unpack(struct unpacker *unpacker, const Magik__IndexAsk *from, struct index_ask *to)
{
	to->request = from->request;
	shard_unpack(unpacker, from->shard, &to->shard);
	to->name = unpack_name(unpacker, from->name, MESSAGE_NAME_MAX);
}

void index_ask_deinit(struct index_ask *index_ask)
{
	shard_id_deinit(&index_ask->shard);
	free(index_ask->name);
	*index_ask = (struct index_ask){0};
}

void index_ask_copy(const struct index_ask *from, struct index_ask *to)
{
	*to = *from;
	shard_id_copy(&from->shard, &to->shard);
	to->name = string_copy(from->name);
}

void index_answer_pack(struct packer *packer, const struct index_answer *from,
		       Magik__IndexAnswer *to)
{
	to->request = from->request;
	to->outcome = (uint32_t)from->outcome;
	rows_pack(packer, from->rows, from->row_count, &to->rows, &to->n_rows);
}

void index_answer_unpack(struct unpacker *unpacker, const Magik__IndexAnswer *from,
			 struct index_answer *to)
{
	to->request = from->request;
	to->outcome = (enum index_outcome)unpack_u32(unpacker, from->outcome, INDEX_MERGED);
	rows_unpack(unpacker, from->rows, from->n_rows, &to->rows, &to->row_count);
}

void index_answer_deinit(struct index_answer *index_answer)
{
	index_rows_free(index_answer->rows, index_answer->row_count);
	*index_answer = (struct index_answer){0};
}

void index_answer_copy(const struct index_answer *from, struct index_answer *to)
{
	*to = *from;
	to->rows = rows_copy(from->rows, from->row_count);
}
