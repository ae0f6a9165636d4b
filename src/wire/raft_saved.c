/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>

#include "base/mem.h"
#include "consensus.pb-c.h"
#include "wire/codec.h"
#include "wire/consensus.h"

void raft_meta_encode(const struct raft_meta *meta, struct buf *out)
{
	Consensus__SavedMeta to = CONSENSUS__SAVED_META__INIT;

	to.version = MESSAGE_VERSION;
	to.cluster = pack_uid(&meta->cluster);
	to.epoch = meta->epoch;
	to.term = meta->term;
	to.vote = meta->vote;
	to.timeout_ms = meta->timeout_ms;
	to.superseded = meta->superseded;
	pack_protobuf(&to.base, out);
}

int raft_meta_decode(struct bytes bytes, struct raft_meta *ret_meta)
{
	struct unpack_budget budget;
	struct unpacker unpacker = {0};
	ProtobufCMessage *base = unpack_protobuf(&budget, &consensus__saved_meta__descriptor, bytes,
						 &unpacker.error);
	const Consensus__SavedMeta *from = (const Consensus__SavedMeta *)base;
	struct raft_meta meta;

	if (!base)
		return unpacker.error;
	unpack_version(&unpacker, from->version);
	meta = (struct raft_meta){
		.cluster = unpack_uid_or_none(&unpacker, from->cluster),
		.epoch = from->epoch,
		.term = from->term,
		.vote = from->vote,
		.timeout_ms = unpack_u32(&unpacker, from->timeout_ms, RAFT_TIMEOUT_MAX_MS),
		.superseded = from->superseded,
	};
	if (from->term > INT64_MAX)
		unpack_fail(&unpacker, MESSAGE_E_MALFORMED);
	unpack_protobuf_free(&budget, base);
	if (!unpacker.error)
		*ret_meta = meta;
	return unpacker.error;
}

void raft_entry_encode(const struct raft_entry *entry, struct buf *out)
{
	Consensus__Entry to = CONSENSUS__ENTRY__INIT;

	assert(entry->len <= RAFT_DATA_MAX);
	to.term = entry->term;
	to.kind = (uint32_t)entry->kind;
	to.data = pack_bytes(entry->data, entry->len);
	pack_protobuf(&to.base, out);
}

int raft_entry_decode(struct bytes bytes, struct raft_entry *ret_entry)
{
	struct unpack_budget budget;
	struct unpacker unpacker = {0};
	ProtobufCMessage *base =
		unpack_protobuf(&budget, &consensus__entry__descriptor, bytes, &unpacker.error);
	const Consensus__Entry *from = (const Consensus__Entry *)base;
	struct raft_entry entry = {0};

	if (!base)
		return unpacker.error;
	entry.term = from->term;
	entry.kind =
		(enum raft_entry_kind)unpack_u32(&unpacker, from->kind, RAFT_ENTRY_KIND_COUNT - 1);
	entry.len = unpack_count(&unpacker, from->data.len, RAFT_DATA_MAX);
	if (from->term == 0 || from->term > INT64_MAX)
		unpack_fail(&unpacker, MESSAGE_E_MALFORMED);
	if (!unpacker.error && entry.len > 0)
		entry.data = (uint8_t *)mem_copy(from->data.data, entry.len);
	unpack_protobuf_free(&budget, base);
	if (!unpacker.error)
		*ret_entry = entry;
	return unpacker.error;
}

void raft_snapshot_encode(const struct raft_snapshot *snapshot, struct buf *out)
{
	Consensus__SavedSnapshot to = CONSENSUS__SAVED_SNAPSHOT__INIT;
	struct buf members = {0};

	assert(snapshot->data.len <= RAFT_SNAPSHOT_MAX);
	raft_members_encode(&snapshot->members, &members);
	to.version = MESSAGE_VERSION;
	to.index = snapshot->index;
	to.term = snapshot->term;
	to.members = pack_buf(&members, SIZE_MAX);
	to.data = pack_bytes(snapshot->data.ptr, snapshot->data.len);
	pack_protobuf(&to.base, out);
	buf_deinit(&members);
}

int raft_snapshot_decode(struct bytes bytes, struct buf *ret_data,
			 struct raft_snapshot *ret_snapshot)
{
	struct unpack_budget budget;
	struct unpacker unpacker = {0};
	ProtobufCMessage *base = unpack_protobuf(&budget, &consensus__saved_snapshot__descriptor,
						 bytes, &unpacker.error);
	const Consensus__SavedSnapshot *from = (const Consensus__SavedSnapshot *)base;
	struct raft_snapshot snapshot = {0};

	if (!base)
		return unpacker.error;
	unpack_version(&unpacker, from->version);
	snapshot.index = from->index;
	snapshot.term = from->term;
	if (from->index == 0 || from->index > INT64_MAX || from->term == 0 ||
	    from->term > INT64_MAX || from->data.len > RAFT_SNAPSHOT_MAX ||
	    raft_members_decode(bytes_of(from->members.data, from->members.len),
				&snapshot.members) != 0)
		unpack_fail(&unpacker, MESSAGE_E_MALFORMED);
	if (!unpacker.error) {
		buf_clear(ret_data);
		buf_append(ret_data, from->data.data, from->data.len);
		snapshot.data = bytes_buf(ret_data);
		*ret_snapshot = snapshot;
	}
	unpack_protobuf_free(&budget, base);
	return unpacker.error;
}
