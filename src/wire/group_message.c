/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/group_message.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "consensus.pb-c.h"
#include "wire/codec.h"
#include "wire/consensus.h"

enum {
	STATUS_MIN = 100, /* of HTTP */
	STATUS_MAX = 599,
	/* A full batch of entries, and what is around each of them. */
	RAFT_LEN_MAX = RAFT_BATCH_BYTES_MAX + RAFT_CHUNK_MAX + 32 * 1024,
};

static ProtobufCBinaryData pack_string(const char *string, size_t max)
{
	size_t len = string ? strlen(string) : 0;

	assert(len <= max);
	return pack_bytes(string, len);
}

/* No zero byte hides what is behind it. */
static char *unpack_string(struct unpacker *unpacker, ProtobufCBinaryData from, size_t max)
{
	if (from.len > max || (from.len > 0 && memchr(from.data, 0, from.len))) {
		unpack_fail(unpacker, MESSAGE_E_MALFORMED);
		return mem_strdup("");
	}
	return mem_copy(from.data, from.len);
}

static void ask_pack(const struct group_ask *from, Consensus__Ask *to)
{
	to->number = from->number;
	to->method = pack_string(from->method, GROUP_METHOD_MAX);
	to->path = pack_string(from->path, GROUP_PATH_MAX);
	to->query = pack_string(from->query, GROUP_PATH_MAX);
	to->if_match = pack_string(from->if_match, GROUP_CONDITION_MAX);
	to->if_none_match = pack_string(from->if_none_match, GROUP_CONDITION_MAX);
	to->body = pack_buf(&from->body, GROUP_BODY_MAX);
}

static void ask_unpack(struct unpacker *unpacker, const Consensus__Ask *from, struct group_ask *to)
{
	to->number = from->number;
	to->method = unpack_string(unpacker, from->method, GROUP_METHOD_MAX);
	to->path = unpack_string(unpacker, from->path, GROUP_PATH_MAX);
	to->query = unpack_string(unpacker, from->query, GROUP_PATH_MAX);
	to->if_match = unpack_string(unpacker, from->if_match, GROUP_CONDITION_MAX);
	to->if_none_match = unpack_string(unpacker, from->if_none_match, GROUP_CONDITION_MAX);
	unpack_buf(unpacker, from->body, GROUP_BODY_MAX, &to->body);
	if (from->path.len == 0 || from->path.data[0] != '/')
		unpack_fail(unpacker, MESSAGE_E_MALFORMED);
}

static void told_pack(const struct group_told *from, Consensus__Told *to)
{
	to->number = from->number;
	to->status = from->status;
	to->content_type = pack_string(from->content_type, GROUP_TYPE_MAX);
	to->item_version = from->version;
	to->body = pack_buf(&from->body, GROUP_TOLD_MAX);
}

static void told_unpack(struct unpacker *unpacker, const Consensus__Told *from,
			struct group_told *to)
{
	to->number = from->number;
	to->status = (uint16_t)unpack_u32(unpacker, from->status, STATUS_MAX);
	to->content_type = unpack_string(unpacker, from->content_type, GROUP_TYPE_MAX);
	to->version = from->item_version;
	unpack_buf(unpacker, from->body, GROUP_TOLD_MAX, &to->body);
	if (from->status < STATUS_MIN)
		unpack_fail(unpacker, MESSAGE_E_MALFORMED);
}

void group_message_encode(const struct group_message *message, struct buf *out)
{
	Consensus__Group to = CONSENSUS__GROUP__INIT;
	Consensus__Join join = CONSENSUS__JOIN__INIT;
	Consensus__Ask ask = CONSENSUS__ASK__INIT;
	Consensus__Told told = CONSENSUS__TOLD__INIT;
	Consensus__Leave leave = CONSENSUS__LEAVE__INIT;

	to.version = MESSAGE_VERSION;
	switch (message->type) {
	case GROUP_RAFT:
		to.body_case = CONSENSUS__GROUP__BODY_RAFT;
		to.raft = pack_buf(&message->raft, RAFT_LEN_MAX);
		break;
	case GROUP_JOIN:
		to.body_case = CONSENSUS__GROUP__BODY_JOIN;
		to.join = &join;
		join.id = message->join.id;
		join.epoch = message->join.epoch;
		join.pod_uid = pack_uid(&message->join.pod);
		break;
	case GROUP_ASK:
		to.body_case = CONSENSUS__GROUP__BODY_ASK;
		to.ask = &ask;
		ask_pack(&message->ask, &ask);
		break;
	case GROUP_TOLD:
		to.body_case = CONSENSUS__GROUP__BODY_TOLD;
		to.told = &told;
		told_pack(&message->told, &told);
		break;
	case GROUP_LEAVE:
		to.body_case = CONSENSUS__GROUP__BODY_LEAVE;
		to.leave = &leave;
		leave.id = message->leave.id;
		break;
	}
	pack_protobuf(&to.base, out);
}

static void body_unpack(struct unpacker *unpacker, const Consensus__Group *from,
			struct group_message *to)
{
	switch (from->body_case) {
	case CONSENSUS__GROUP__BODY_RAFT:
		to->type = GROUP_RAFT;
		unpack_buf(unpacker, from->raft, RAFT_LEN_MAX, &to->raft);
		return;
	case CONSENSUS__GROUP__BODY_JOIN:
		to->type = GROUP_JOIN;
		to->join.id = from->join->id;
		to->join.epoch = from->join->epoch;
		to->join.pod = unpack_uid(unpacker, from->join->pod_uid);
		if (from->join->id == 0)
			unpack_fail(unpacker, MESSAGE_E_MALFORMED);
		return;
	case CONSENSUS__GROUP__BODY_ASK:
		to->type = GROUP_ASK;
		ask_unpack(unpacker, from->ask, &to->ask);
		return;
	case CONSENSUS__GROUP__BODY_TOLD:
		to->type = GROUP_TOLD;
		told_unpack(unpacker, from->told, &to->told);
		return;
	case CONSENSUS__GROUP__BODY_LEAVE:
		to->type = GROUP_LEAVE;
		to->leave.id = from->leave->id;
		if (from->leave->id == 0)
			unpack_fail(unpacker, MESSAGE_E_MALFORMED);
		return;
	case CONSENSUS__GROUP__BODY__NOT_SET:
	case _CONSENSUS__GROUP__BODY__CASE_IS_INT_SIZE:
		break;
	}
	unpack_fail(unpacker, MESSAGE_E_UNKNOWN);
}

int group_message_decode(struct bytes bytes, struct group_message *ret_message)
{
	struct unpack_budget budget;
	struct unpacker unpacker = {0};
	struct group_message message = {0};
	ProtobufCMessage *base =
		unpack_protobuf(&budget, &consensus__group__descriptor, bytes, &unpacker.error);

	if (!base)
		return unpacker.error;
	unpack_version(&unpacker, ((const Consensus__Group *)base)->version);
	body_unpack(&unpacker, (const Consensus__Group *)base, &message);
	unpack_protobuf_free(&budget, base);
	if (unpacker.error)
		group_message_deinit(&message);
	else
		*ret_message = message;
	return unpacker.error;
}

void group_message_deinit(struct group_message *message)
{
	switch (message->type) {
	case GROUP_RAFT:
		buf_deinit(&message->raft);
		break;
	case GROUP_JOIN:
	case GROUP_LEAVE:
		break;
	case GROUP_ASK:
		free(message->ask.method);
		free(message->ask.path);
		free(message->ask.query);
		free(message->ask.if_match);
		free(message->ask.if_none_match);
		buf_deinit(&message->ask.body);
		break;
	case GROUP_TOLD:
		free(message->told.content_type);
		buf_deinit(&message->told.body);
		break;
	}
	*message = (struct group_message){0};
}
