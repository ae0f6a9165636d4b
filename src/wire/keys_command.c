/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "consensus.pb-c.h"
#include "wire/codec.h"
#include "wire/consensus.h"
#include "wire/text.h"

static ProtobufCBinaryData pack_view(struct bytes bytes, size_t len_max)
{
	assert(bytes.len <= len_max);
	return pack_bytes(bytes.ptr, bytes.len);
}

static void lease_pack(const struct keys_lease *from, Consensus__Lease *to)
{
	to->holder = pack_view(from->holder, KEYS_NAME_MAX);
	to->duration_s = from->duration_s;
	to->transitions = from->transitions;
	to->acquired_us = from->acquired_us;
	to->renewed_us = from->renewed_us;
}

/* Views of a decoded struct lead into one piece of memory, which is filled as it is read. */
static struct bytes unpack_view(struct unpacker *unpacker, ProtobufCBinaryData from, size_t len_max,
				uint8_t **at)
{
	struct bytes view;

	if (unpack_count(unpacker, from.len, len_max) == 0)
		return (struct bytes){0};
	view = bytes_of(*at, from.len);
	memcpy(*at, from.data, from.len);
	*at += from.len;
	return view;
}

static struct bytes unpack_view_name(struct unpacker *unpacker, ProtobufCBinaryData from,
				     uint8_t **at)
{
	if (!text_is_valid(bytes_of(from.data, from.len), TEXT_NAME))
		unpack_fail(unpacker, MESSAGE_E_MALFORMED);
	return unpack_view(unpacker, from, KEYS_NAME_MAX, at);
}

static void lease_unpack(struct unpacker *unpacker, const Consensus__Lease *from,
			 struct keys_lease *to, uint8_t **at)
{
	to->holder = unpack_view_name(unpacker, from->holder, at);
	to->duration_s = from->duration_s;
	to->transitions = from->transitions;
	to->acquired_us = from->acquired_us;
	to->renewed_us = from->renewed_us;
}

static size_t lease_len(const Consensus__Lease *lease)
{
	return lease ? lease->holder.len : 0;
}

void keys_command_encode(const struct keys_command *from, struct buf *out)
{
	Consensus__Command to = CONSENSUS__COMMAND__INIT;
	Consensus__Lease lease = CONSENSUS__LEASE__INIT;

	to.version = MESSAGE_VERSION;
	to.type = (uint32_t)from->type;
	to.session = from->session;
	to.sequence = from->sequence;
	to.name = pack_view(from->name, KEYS_NAME_MAX);
	to.any = from->any;
	to.expect = from->expect;
	to.value = pack_view(from->value, KEYS_VALUE_MAX);
	if (from->type == KEYS_COMMAND_PUT_LEASE) {
		lease_pack(&from->lease, &lease);
		to.lease = &lease;
	}
	pack_protobuf(&to.base, out);
}

static void command_unpack(struct unpacker *unpacker, const Consensus__Command *from,
			   struct keys_command *to)
{
	uint8_t *at;

	unpack_version(unpacker, from->version);
	if (from->type >= KEYS_COMMAND_COUNT)
		unpack_fail(unpacker, MESSAGE_E_UNKNOWN);
	to->type = (enum keys_command_type)from->type;
	to->session = from->session;
	to->sequence = from->sequence;
	to->any = from->any;
	to->expect = from->expect;
	at = to->owned =
		mem_alloc(from->name.len + from->value.len + lease_len(from->lease) + 1, 1);
	to->name = unpack_view_name(unpacker, from->name, &at);
	to->value = unpack_view(unpacker, from->value, KEYS_VALUE_MAX, &at);
	if (from->type == KEYS_COMMAND_PUT_LEASE && unpack_has(unpacker, from->lease))
		lease_unpack(unpacker, from->lease, &to->lease, &at);
	if (from->type != KEYS_COMMAND_SESSION && to->name.len == 0)
		unpack_fail(unpacker, MESSAGE_E_MALFORMED);
}

int keys_command_decode(struct bytes bytes, struct keys_command *ret_command)
{
	struct unpack_budget budget;
	struct unpacker unpacker = {0};
	struct keys_command command = {0};
	ProtobufCMessage *base;

	base = unpack_protobuf(&budget, &consensus__command__descriptor, bytes, &unpacker.error);
	if (!base)
		return unpacker.error;
	command_unpack(&unpacker, (const Consensus__Command *)base, &command);
	unpack_protobuf_free(&budget, base);
	if (unpacker.error)
		keys_command_deinit(&command);
	else
		*ret_command = command;
	return unpacker.error;
}

void keys_command_deinit(struct keys_command *command)
{
	free(command->owned);
	*command = (struct keys_command){0};
}

static void items_pack(struct packer *packer, const struct keys_space *from,
		       Consensus__KeySpace *to)
{
	assert(from->item_count <= KEYS_COUNT_MAX);
	to->n_items = from->item_count;
	pack_array(packer, Consensus__Item, consensus__item__init, from->item_count, &to->items);
	for (size_t i = 0; i < from->item_count; i++) {
		const struct keys_item *item = &from->items[i];
		Consensus__Item *packed = to->items[i];

		packed->kind = (uint32_t)item->kind;
		packed->name = pack_view(item->name, KEYS_NAME_MAX);
		packed->item_version = item->version;
		packed->created = item->created;
		packed->value = pack_view(item->value, KEYS_VALUE_MAX);
		if (item->kind != KEYS_LEASE)
			continue;
		packed->lease = pack_one(packer, Consensus__Lease, consensus__lease__init);
		lease_pack(&item->lease, packed->lease);
	}
}

void keys_space_encode(const struct keys_space *from, struct buf *out)
{
	Consensus__KeySpace to = CONSENSUS__KEY_SPACE__INIT;
	struct packer packer = {0};

	assert(from->session_count <= KEYS_SESSIONS_MAX);
	to.version = MESSAGE_VERSION;
	to.index = from->index;
	items_pack(&packer, from, &to);
	to.n_sessions = from->session_count;
	pack_array(&packer, Consensus__Session, consensus__session__init, from->session_count,
		   &to.sessions);
	for (size_t i = 0; i < from->session_count; i++) {
		to.sessions[i]->id = from->sessions[i].id;
		to.sessions[i]->sequence = from->sessions[i].sequence;
		to.sessions[i]->used = from->sessions[i].used;
		to.sessions[i]->outcome = from->sessions[i].outcome;
		to.sessions[i]->result_version = from->sessions[i].version;
	}
	pack_protobuf(&to.base, out);
	packer_deinit(&packer);
}

static int item_compare(const struct keys_item *a, const struct keys_item *b)
{
	size_t len = a->name.len < b->name.len ? a->name.len : b->name.len;
	int order = a->kind != b->kind ? (a->kind < b->kind ? -1 : 1)
				       : memcmp(a->name.ptr, b->name.ptr, len);

	if (order != 0 || a->name.len == b->name.len)
		return order;
	return a->name.len < b->name.len ? -1 : 1;
}

static void items_unpack(struct unpacker *unpacker, const Consensus__KeySpace *from,
			 struct keys_space *to)
{
	size_t count = unpack_count(unpacker, from->n_items, KEYS_COUNT_MAX);
	size_t len = 1;
	uint8_t *at;

	for (size_t i = 0; i < count; i++)
		len += from->items[i]->name.len + from->items[i]->value.len +
		       lease_len(from->items[i]->lease);
	at = to->owned = mem_alloc(len, 1);
	to->items = mem_alloc(count + 1, sizeof(*to->items));
	to->item_count = count;
	for (size_t i = 0; i < count; i++) {
		const Consensus__Item *packed = from->items[i];
		struct keys_item *item = &to->items[i];

		item->kind =
			(enum keys_kind)unpack_u32(unpacker, packed->kind, KEYS_KIND_COUNT - 1);
		item->name = unpack_view_name(unpacker, packed->name, &at);
		item->version = packed->item_version;
		item->created = packed->created;
		item->value = unpack_view(unpacker, packed->value, KEYS_VALUE_MAX, &at);
		if (item->kind == KEYS_LEASE && unpack_has(unpacker, packed->lease))
			lease_unpack(unpacker, packed->lease, &item->lease, &at);
		if (item->name.len == 0 || (i > 0 && item_compare(item - 1, item) >= 0))
			unpack_fail(unpacker, MESSAGE_E_MALFORMED);
		if (unpacker->error)
			return;
	}
}

static void sessions_unpack(struct unpacker *unpacker, const Consensus__KeySpace *from,
			    struct keys_space *to)
{
	size_t count = unpack_count(unpacker, from->n_sessions, KEYS_SESSIONS_MAX);

	to->sessions = mem_alloc(count + 1, sizeof(*to->sessions));
	to->session_count = count;
	for (size_t i = 0; i < count; i++) {
		to->sessions[i].id = from->sessions[i]->id;
		to->sessions[i].sequence = from->sessions[i]->sequence;
		to->sessions[i].used = from->sessions[i]->used;
		to->sessions[i].outcome = from->sessions[i]->outcome;
		to->sessions[i].version = from->sessions[i]->result_version;
		if (i > 0 && to->sessions[i - 1].id >= to->sessions[i].id)
			unpack_fail(unpacker, MESSAGE_E_MALFORMED);
	}
}

int keys_space_decode(struct bytes bytes, struct keys_space *ret_space)
{
	struct unpack_budget budget;
	struct unpacker unpacker = {0};
	struct keys_space space = {0};
	ProtobufCMessage *base;
	const Consensus__KeySpace *packed;

	base = unpack_protobuf(&budget, &consensus__key_space__descriptor, bytes, &unpacker.error);
	if (!base)
		return unpacker.error;
	packed = (const Consensus__KeySpace *)base;
	unpack_version(&unpacker, packed->version);
	space.index = packed->index;
	items_unpack(&unpacker, packed, &space);
	sessions_unpack(&unpacker, packed, &space);
	unpack_protobuf_free(&budget, base);
	if (unpacker.error)
		keys_space_deinit(&space);
	else
		*ret_space = space;
	return unpacker.error;
}

void keys_space_deinit(struct keys_space *space)
{
	free(space->items);
	free(space->sessions);
	free(space->owned);
	*space = (struct keys_space){0};
}
