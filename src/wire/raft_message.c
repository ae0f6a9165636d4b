/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "consensus.pb-c.h"
#include "wire/codec.h"
#include "wire/consensus.h"

static const char *const names[] = {
	[RAFT_PREVOTE] = "prevote",   [RAFT_PREVOTE_REPLY] = "prevote-reply",
	[RAFT_VOTE] = "vote",         [RAFT_VOTE_REPLY] = "vote-reply",
	[RAFT_APPEND] = "append",     [RAFT_APPEND_REPLY] = "append-reply",
	[RAFT_INSTALL] = "install",   [RAFT_INSTALL_REPLY] = "install-reply",
	[RAFT_CAMPAIGN] = "campaign", [RAFT_REFUSE] = "refuse",
};

const char *raft_message_name(enum raft_message_type type)
{
	return type < RAFT_MESSAGE_COUNT ? names[type] : "none";
}

static void members_pack(struct packer *packer, const struct raft_members *from,
			 Consensus__Members *to)
{
	assert(from->count <= RAFT_MEMBERS_MAX);
	to->version = MESSAGE_VERSION;
	to->n_members = from->count;
	pack_array(packer, Consensus__Member, consensus__member__init, from->count, &to->members);
	for (size_t i = 0; i < from->count; i++) {
		const struct raft_member *member = &from->list[i];

		to->members[i]->id = member->id;
		to->members[i]->ordinal = member->ordinal;
		to->members[i]->epoch = member->epoch;
		to->members[i]->pod_uid = pack_uid(&member->pod);
		to->members[i]->voter = member->voter;
	}
}

/* Neither an id nor an ordinal is there twice. */
static void check_unique(struct unpacker *unpacker, const struct raft_members *members)
{
	for (size_t i = 0; i < members->count; i++)
		for (size_t j = 0; j < i; j++)
			if (members->list[i].id == members->list[j].id ||
			    members->list[i].ordinal == members->list[j].ordinal)
				unpack_fail(unpacker, MESSAGE_E_MALFORMED);
}

static void members_unpack(struct unpacker *unpacker, const Consensus__Members *from,
			   struct raft_members *to)
{
	unpack_version(unpacker, from->version);
	to->count = unpack_count(unpacker, from->n_members, RAFT_MEMBERS_MAX);
	for (size_t i = 0; i < to->count; i++) {
		const Consensus__Member *member = from->members[i];

		to->list[i].id = member->id;
		to->list[i].ordinal = member->ordinal;
		to->list[i].epoch = member->epoch;
		to->list[i].pod = unpack_uid_or_none(unpacker, member->pod_uid);
		to->list[i].voter = member->voter;
		if (member->id == 0)
			unpack_fail(unpacker, MESSAGE_E_MALFORMED);
	}
	check_unique(unpacker, to);
}

void raft_members_encode(const struct raft_members *members, struct buf *out)
{
	Consensus__Members packed = CONSENSUS__MEMBERS__INIT;
	struct packer packer = {0};

	members_pack(&packer, members, &packed);
	pack_protobuf(&packed.base, out);
	packer_deinit(&packer);
}

int raft_members_decode(struct bytes bytes, struct raft_members *ret_members)
{
	struct unpack_budget budget;
	struct unpacker unpacker = {0};
	struct raft_members members = {0};
	ProtobufCMessage *base;

	base = unpack_protobuf(&budget, &consensus__members__descriptor, bytes, &unpacker.error);
	if (!base)
		return unpacker.error;
	members_unpack(&unpacker, (const Consensus__Members *)base, &members);
	unpack_protobuf_free(&budget, base);
	if (!unpacker.error)
		*ret_members = members;
	return unpacker.error;
}

static void entries_pack(struct packer *packer, const struct raft_message *from,
			 Consensus__Message *to)
{
	size_t bytes = 0;

	assert(from->entry_count <= RAFT_BATCH_ENTRIES_MAX);
	to->n_entries = from->entry_count;
	pack_array(packer, Consensus__Entry, consensus__entry__init, from->entry_count,
		   &to->entries);
	for (size_t i = 0; i < from->entry_count; i++) {
		const struct raft_entry *entry = &from->entries[i];

		assert(entry->len <= RAFT_DATA_MAX);
		bytes += entry->len;
		to->entries[i]->term = entry->term;
		to->entries[i]->kind = (uint32_t)entry->kind;
		to->entries[i]->data = pack_bytes(entry->data, entry->len);
	}
	assert(bytes <= RAFT_BATCH_BYTES_MAX);
}

void raft_message_encode(const struct raft_message *from, struct buf *out)
{
	Consensus__Message to = CONSENSUS__MESSAGE__INIT;
	struct packer packer = {0};

	assert(from->data.len <= RAFT_CHUNK_MAX);
	to.version = MESSAGE_VERSION;
	to.type = (uint32_t)from->type;
	to.cluster = pack_uid(&from->cluster);
	to.epoch = from->epoch;
	to.from = from->from;
	to.to = from->to;
	to.term = from->term;
	to.round = from->round;
	to.timeout_ms = from->timeout_ms;
	to.index = from->index;
	to.index_term = from->index_term;
	to.commit = from->commit;
	to.granted = from->granted;
	to.transfer = from->transfer;
	entries_pack(&packer, from, &to);
	to.offset = from->offset;
	to.total = from->total;
	to.data = pack_bytes(from->data.ptr, from->data.len);
	if (from->members) {
		to.members = pack_one(&packer, Consensus__Members, consensus__members__init);
		members_pack(&packer, from->members, to.members);
	}
	to.reason = (uint32_t)from->reason;
	pack_protobuf(&to.base, out);
	packer_deinit(&packer);
}

/* All bytes of entries and of a chunk in one piece of memory. */
static void payload_unpack(struct unpacker *unpacker, const Consensus__Message *from,
			   struct raft_message *to)
{
	size_t count = unpack_count(unpacker, from->n_entries, RAFT_BATCH_ENTRIES_MAX);
	size_t len = 0;
	uint8_t *at;

	for (size_t i = 0; i < count; i++) {
		(void)unpack_count(unpacker, from->entries[i]->data.len, RAFT_DATA_MAX);
		(void)unpack_u32(unpacker, from->entries[i]->kind, RAFT_ENTRY_KIND_COUNT - 1);
		len += from->entries[i]->data.len;
	}
	(void)unpack_count(unpacker, len, RAFT_BATCH_BYTES_MAX);
	(void)unpack_count(unpacker, from->data.len, RAFT_CHUNK_MAX);
	if (unpacker->error || (count == 0 && from->data.len == 0))
		return;
	at = to->owned = mem_alloc(len + from->data.len + 1, 1);
	to->entries = count > 0 ? mem_alloc(count, sizeof(*to->entries)) : NULL;
	to->entry_count = count;
	for (size_t i = 0; i < count; i++) {
		const Consensus__Entry *entry = from->entries[i];

		to->entries[i].term = entry->term;
		to->entries[i].kind = (enum raft_entry_kind)entry->kind;
		to->entries[i].len = entry->data.len;
		to->entries[i].data = entry->data.len > 0 ? at : NULL;
		if (entry->data.len > 0)
			memcpy(at, entry->data.data, entry->data.len);
		at += entry->data.len;
	}
	if (from->data.len > 0)
		memcpy(at, from->data.data, from->data.len);
	to->data = bytes_of(at, from->data.len);
}

static void message_unpack(struct unpacker *unpacker, const Consensus__Message *from,
			   struct raft_message *to)
{
	unpack_version(unpacker, from->version);
	to->type = (enum raft_message_type)from->type;
	if (from->type >= RAFT_MESSAGE_COUNT)
		unpack_fail(unpacker, MESSAGE_E_UNKNOWN);
	to->cluster = unpack_uid_or_none(unpacker, from->cluster);
	to->epoch = from->epoch;
	to->from = from->from;
	to->to = from->to;
	to->term = from->term;
	to->round = from->round;
	to->timeout_ms = unpack_u32(unpacker, from->timeout_ms, RAFT_TIMEOUT_MAX_MS);
	to->index = from->index;
	to->index_term = from->index_term;
	to->commit = from->commit;
	to->granted = from->granted;
	to->transfer = from->transfer;
	to->offset = from->offset;
	to->total = from->total;
	to->reason = (enum raft_refusal)unpack_u32(unpacker, from->reason, RAFT_REFUSAL_COUNT - 1);
	/* An index near the end of its type would run over as entries are counted on from it. */
	if (from->index > INT64_MAX || from->commit > INT64_MAX || from->term > INT64_MAX ||
	    from->index_term > INT64_MAX || from->round > INT64_MAX ||
	    from->total > RAFT_SNAPSHOT_MAX || from->offset > from->total)
		unpack_fail(unpacker, MESSAGE_E_MALFORMED);
	if (from->members) {
		to->members = mem_new(struct raft_members);
		members_unpack(unpacker, from->members, to->members);
	}
	payload_unpack(unpacker, from, to);
}

int raft_message_decode(struct bytes bytes, struct raft_message *ret_message)
{
	struct unpack_budget budget;
	struct unpacker unpacker = {0};
	struct raft_message message = {0};
	ProtobufCMessage *base;

	base = unpack_protobuf(&budget, &consensus__message__descriptor, bytes, &unpacker.error);
	if (!base)
		return unpacker.error;
	message_unpack(&unpacker, (const Consensus__Message *)base, &message);
	unpack_protobuf_free(&budget, base);
	if (unpacker.error)
		raft_message_deinit(&message);
	else
		*ret_message = message;
	return unpacker.error;
}

void raft_message_deinit(struct raft_message *message)
{
	free(message->members);
	free(message->entries);
	free(message->owned);
	*message = (struct raft_message){0};
}
