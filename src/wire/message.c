/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One table of all messages, from which every switch over their types is made. None of the switches
 * has a default, so a type that is missing from the table is a warning of the compiler.
 */
#include "wire/message.h"

#include <assert.h>

#include "wire/family.h"

/* type, field of the schema's oneof, family = member of the union, generated type, is it signed */
#define MESSAGES(X)                                                                        \
	X(TENDER, tender, tender, Magik__Tender, true)                                     \
	X(BID, bid, bid, Magik__Bid, true)                                                 \
	X(AWARD, award, award, Magik__Award, true)                                         \
	X(AWARD_REPLY, award_reply, award_reply, Magik__AwardReply, true)                  \
	X(AWARD_CONFIRM, award_confirm, award_confirm, Magik__AwardConfirm, true)          \
	X(RELEASE, release, release, Magik__Release, true)                                 \
	X(CANCEL, cancel, cancel, Magik__Cancel, true)                                     \
	X(EVENT, event, event, Magik__Event, true)                                         \
	X(DISPOSAL, disposal, disposal, Magik__Disposal, true)                             \
	X(REVOCATION, revocation, revocation, Magik__Revocation, true)                     \
	X(POD_REQUEST, pod_request, pod_request, Magik__PodRequest, true)                  \
	X(RECORD, record, record, Magik__Record, true)                                     \
	X(RECORD_ACK, record_ack, record_ack, Magik__RecordAck, false)                     \
	X(SYNC_SUMMARY, sync_summary, sync_summary, Magik__SyncSummary, false)             \
	X(SYNC_KEYS, sync_keys, sync_keys, Magik__SyncKeys, false)                         \
	X(SYNC_WANT, sync_want, sync_want, Magik__SyncWant, false)                         \
	X(RECORD_PUT, record_put, record_put, Magik__RecordPut, false)                     \
	X(SYNC_OFFER, sync_offer, sync_offer, Magik__SyncOffer, false)                     \
	X(SYNC_HAVE, sync_have, sync_offer, Magik__SyncOffer, false)                       \
	X(FETCH, fetch, fetch, Magik__Fetch, false)                                        \
	X(FETCHED, fetched, fetched, Magik__Fetched, false)                                \
	X(REVOKED, revoked, revoked, Magik__Revoked, false)                                \
	X(INDEX_ROWS, index_rows, index_rows, Magik__IndexRows, false)                     \
	X(INDEX_ASK, index_ask, index_ask, Magik__IndexAsk, false)                         \
	X(INDEX_ANSWER, index_answer, index_answer, Magik__IndexAnswer, false)             \
	X(JOURNAL_ASK, journal_ask, journal_ask, Magik__JournalAsk, false)                 \
	X(JOURNAL, journal, journal_page, Magik__JournalPage, false)                       \
	X(VOUCH_WANT, vouch_want, vouch_want, Magik__VouchWant, false)                     \
	X(VOUCH, vouch, vouch, Magik__Vouch, true)                                         \
	X(TENURE, tenure, tenure, Magik__Tenure, true)                                     \
	X(WARRANT, warrant, warrant, Magik__Warrant, true)                                 \
	X(COLLEGE, college, college, Magik__College, true)                                 \
	X(POD_LEAF_WANT, pod_leaf_want, pod_leaf_want, Magik__PodLeafWant, false)          \
	X(POD_LEAF, pod_leaf, pod_leaf, Magik__PodLeaf, false)                             \
	X(AGENTS_HEARD, agents_heard, agents_heard, Magik__AgentsHeard, false)             \
	X(SIBLING_MISSING, sibling_missing, sibling_missing, Magik__SiblingMissing, false) \
	X(HELLO, hello, hello, Magik__Hello, false)                                        \
	X(MEMBERS, members, members, Magik__Members, false)                                \
	X(PING, ping, ping, Magik__Ping, false)                                            \
	X(PONG, pong, ping, Magik__Ping, false)                                            \
	X(LEAF_WANT, leaf_want, leaf_want, Magik__LeafWant, false)                         \
	X(LEAF, leaf, leaf, Magik__Leaf, false)                                            \
	X(REFERRAL, referral, referral, Magik__Referral, false)                            \
	X(JOIN, join, join_view, Magik__JoinView, false)                                   \
	X(FORWARD_JOIN, forward_join, forward_join, Magik__ForwardJoin, false)             \
	X(NEIGHBOR, neighbor, neighbor, Magik__Neighbor, false)                            \
	X(NEIGHBOR_REPLY, neighbor_reply, neighbor_reply, Magik__NeighborReply, false)     \
	X(DISCONNECT, disconnect, disconnect, Magik__Disconnect, false)                    \
	X(SHUFFLE, shuffle, shuffle, Magik__Shuffle, false)                                \
	X(SHUFFLE_REPLY, shuffle_reply, shuffle_reply, Magik__ShuffleReply, false)         \
	X(GOSSIP, gossip, gossip, Magik__Gossip, false)                                    \
	X(IHAVE, ihave, ihave, Magik__Ihave, false)                                        \
	X(GRAFT, graft, graft, Magik__Graft, false)                                        \
	X(PRUNE, prune, prune, Magik__Prune, false)                                        \
	X(FIND, find, find, Magik__Find, false)                                            \
	X(FOUND, found, found, Magik__Found, false)                                        \
	X(PROVIDE, provide, provide, Magik__Provide, false)                                \
	X(WITHDRAW, withdraw, provide, Magik__Provide, false)

bool message_is_signed(enum message_type type)
{
	switch (type) {
#define CASE(TYPE, field, family, Packed, is_signed) \
	case MESSAGE_##TYPE:                         \
		return is_signed;
		MESSAGES(CASE)
#undef CASE
	case MESSAGE_NONE:
	case MESSAGE_TYPE_COUNT:
		break;
	}
	return false;
}

const char *message_type_name(enum message_type type)
{
	switch (type) {
#define CASE(TYPE, field, family, Packed, is_signed) \
	case MESSAGE_##TYPE:                         \
		return #field;
		MESSAGES(CASE)
#undef CASE
	case MESSAGE_NONE:
	case MESSAGE_TYPE_COUNT:
		break;
	}
	return "none";
}

void message_encode(const struct message *message, struct buf *out)
{
	Magik__Message packed = MAGIK__MESSAGE__INIT;
	struct packer packer = {0};

	packed.version = MESSAGE_VERSION;
	switch (message->type) {
#define CASE(TYPE, field, family, Packed, is_signed)                               \
	case MESSAGE_##TYPE:                                                       \
		packed.body_case = MAGIK__MESSAGE__BODY_##TYPE;                    \
		packed.field = pack_one(&packer, Packed, magik__##family##__init); \
		family##_pack(&packer, &message->family, packed.field);            \
		break;
		MESSAGES(CASE)
#undef CASE
	case MESSAGE_NONE:
	case MESSAGE_TYPE_COUNT:
		assert(false && "a message has a type");
	}
	pack_protobuf(&packed.base, out);
	packer_deinit(&packer);
}

/* Fill @message from its generated form; the outcome is in @unpacker. */
static void body_unpack(struct unpacker *unpacker, const Magik__Message *packed,
			struct message *message)
{
	switch (packed->body_case) {
#define CASE(TYPE, field, family, Packed, is_signed)                        \
	case MAGIK__MESSAGE__BODY_##TYPE:                                   \
		message->type = MESSAGE_##TYPE;                             \
		family##_unpack(unpacker, packed->field, &message->family); \
		return;
		MESSAGES(CASE)
#undef CASE
	case MAGIK__MESSAGE__BODY__NOT_SET:
	case _MAGIK__MESSAGE__BODY__CASE_IS_INT_SIZE:
		break;
	}
	/* A field that we do not know is a message of a later version; no field is none at all. */
	unpack_fail(unpacker,
		    packed->base.n_unknown_fields > 0 ? MESSAGE_E_UNKNOWN : MESSAGE_E_MALFORMED);
}

int message_decode(struct bytes bytes, struct message *ret_message)
{
	struct unpack_budget budget;
	struct message message = {0};
	struct unpacker unpacker = {0};
	ProtobufCMessage *base;
	const Magik__Message *packed;

	base = unpack_protobuf(&budget, &magik__message__descriptor, bytes, &unpacker.error);
	if (!base)
		return unpacker.error;
	packed = (const Magik__Message *)base;
	unpack_version(&unpacker, packed->version);
	if (!unpacker.error)
		body_unpack(&unpacker, packed, &message);
	unpack_protobuf_free(&budget, base);
	if (unpacker.error)
		message_deinit(&message);
	else
		*ret_message = message;
	return unpacker.error;
}

void message_deinit(struct message *message)
{
	switch (message->type) {
#define CASE(TYPE, field, family, Packed, is_signed) \
	case MESSAGE_##TYPE:                         \
		family##_deinit(&message->family);   \
		break;
		MESSAGES(CASE)
#undef CASE
	case MESSAGE_NONE:
	case MESSAGE_TYPE_COUNT:
		break;
	}
	*message = (struct message){0};
}

void message_copy(const struct message *from, struct message *to)
{
	*to = (struct message){.type = from->type};
	switch (from->type) {
#define CASE(TYPE, field, family, Packed, is_signed)       \
	case MESSAGE_##TYPE:                               \
		family##_copy(&from->family, &to->family); \
		break;
		MESSAGES(CASE)
#undef CASE
	case MESSAGE_NONE:
	case MESSAGE_TYPE_COUNT:
		break;
	}
}
