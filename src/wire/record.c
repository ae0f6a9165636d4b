/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdlib.h>

#include "wire/family.h"

void record_key_pack(const struct record_key *from, Magik__RecordKey *to)
{
	to->kind = (uint32_t)from->kind;
	to->uid = pack_bytes(from->uid.byte, UID_LEN);
	to->sub = pack_uid(&from->sub);
}

void record_key_unpack(struct unpacker *unpacker, const Magik__RecordKey *from,
		       struct record_key *to)
{
	if (!unpack_has(unpacker, from))
		return;
	to->kind = (enum record_kind)unpack_u32(unpacker, from->kind, RECORD_NODE);
	to->uid = unpack_uid(unpacker, from->uid);
	to->sub = unpack_uid_or_none(unpacker, from->sub);
	if (to->kind == RECORD_NONE)
		unpack_fail(unpacker, MESSAGE_E_MALFORMED);
}

int record_key_compare(const struct record_key *a, const struct record_key *b)
{
	int order;

	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	order = uid_compare(&a->uid, &b->uid);
	return order ? order : uid_compare(&a->sub, &b->sub);
}

void record_version_pack(const struct record_version *from, Magik__RecordVersion *to)
{
	to->generation = from->generation;
	to->hlc = from->hlc;
	to->digest = pack_id(&from->digest);
}

void record_version_unpack(struct unpacker *unpacker, const Magik__RecordVersion *from,
			   struct record_version *to)
{
	if (!unpack_has(unpacker, from))
		return;
	to->generation = from->generation;
	to->hlc = from->hlc;
	unpack_id(unpacker, from->digest, &to->digest);
}

int record_version_compare(const struct record_version *a, const struct record_version *b)
{
	if (a->generation != b->generation)
		return a->generation < b->generation ? -1 : 1;
	if (a->hlc != b->hlc)
		return a->hlc < b->hlc ? -1 : 1;
	return digest_compare(&a->digest, &b->digest);
}

/* Facts about a machine belong to no object, and say so by leaving it out. */
static bool object_ref_is_empty(const struct object_ref *ref)
{
	return uid_is_none(&ref->uid) && bytes_str(ref->namespace).len == 0 &&
	       bytes_str(ref->kind).len == 0 && bytes_str(ref->name).len == 0;
}

void record_pack(struct packer *packer, const struct record *from, Magik__Record *to)
{
	assert(from->key.kind > RECORD_NONE && from->key.kind <= RECORD_NODE);
	to->key = pack_one(packer, Magik__RecordKey, magik__record_key__init);
	record_key_pack(&from->key, to->key);
	to->version = pack_one(packer, Magik__RecordVersion, magik__record_version__init);
	record_version_pack(&from->version, to->version);
	if (!object_ref_is_empty(&from->object)) {
		to->object = pack_one(packer, Magik__ObjectRef, magik__object_ref__init);
		object_ref_pack(packer, &from->object, to->object);
	}
	to->gone = from->gone;
	to->written_ms = pack_natural(from->written_ms);
	to->value = pack_buf(&from->value, MESSAGE_MANIFEST_MAX);
	to->created_hlc = from->created_hlc;
}

void record_unpack(struct unpacker *unpacker, const Magik__Record *from, struct record *to)
{
	static const struct object_ref nothing;

	record_key_unpack(unpacker, from->key, &to->key);
	record_version_unpack(unpacker, from->version, &to->version);
	if (from->object)
		object_ref_unpack(unpacker, from->object, &to->object);
	else
		object_ref_copy(&nothing, &to->object);
	to->gone = from->gone;
	to->written_ms = unpack_natural(unpacker, from->written_ms);
	unpack_buf(unpacker, from->value, MESSAGE_MANIFEST_MAX, &to->value);
	to->created_hlc = from->created_hlc;
}

void record_deinit(struct record *record)
{
	object_ref_deinit(&record->object);
	buf_deinit(&record->value);
	*record = (struct record){0};
}

void record_copy(const struct record *from, struct record *to)
{
	*to = *from;
	object_ref_copy(&from->object, &to->object);
	buf_copy(&from->value, &to->value);
}

void record_ack_pack(struct packer *packer, const struct record_ack *from, Magik__RecordAck *to)
{
	to->key = pack_one(packer, Magik__RecordKey, magik__record_key__init);
	record_key_pack(&from->key, to->key);
	to->version = pack_one(packer, Magik__RecordVersion, magik__record_version__init);
	record_version_pack(&from->version, to->version);
	to->stored = from->stored;
	to->conflict = from->conflict;
	to->text = pack_prose(packer, from->text);
}

void record_ack_unpack(struct unpacker *unpacker, const Magik__RecordAck *from,
		       struct record_ack *to)
{
	record_key_unpack(unpacker, from->key, &to->key);
	record_version_unpack(unpacker, from->version, &to->version);
	to->stored = from->stored;
	to->conflict = from->conflict;
	to->text = unpack_prose(unpacker, from->text);
}

void record_ack_deinit(struct record_ack *record_ack)
{
	free(record_ack->text);
	*record_ack = (struct record_ack){0};
}

void record_ack_copy(const struct record_ack *from, struct record_ack *to)
{
	*to = *from;
	to->text = string_copy(from->text);
}

void record_put_pack(struct packer *packer, const struct record_put *from, Magik__RecordPut *to)
{
	(void)packer;
	to->expected_hlc = from->expected_hlc;
	to->envelope = pack_buf(&from->envelope, MESSAGE_RECORD_MAX);
}

void record_put_unpack(struct unpacker *unpacker, const Magik__RecordPut *from,
		       struct record_put *to)
{
	to->expected_hlc = from->expected_hlc;
	unpack_buf(unpacker, from->envelope, MESSAGE_RECORD_MAX, &to->envelope);
}

void record_put_deinit(struct record_put *record_put)
{
	buf_deinit(&record_put->envelope);
	*record_put = (struct record_put){0};
}

void record_put_copy(const struct record_put *from, struct record_put *to)
{
	*to = *from;
	buf_copy(&from->envelope, &to->envelope);
}
