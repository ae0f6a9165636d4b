/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Family: the functions of the message families, for message.c. Private to src/wire.
 *
 * What they do and who owns what is said in codec.h. A deinit leaves a zeroed struct behind only
 * where message.h offers it to cores.
 */
#pragma once

#include "wire/codec.h"

#define CODEC(part, Packed)                                                           \
	void part##_pack(struct packer *packer, const struct part *from, Packed *to); \
	void part##_unpack(struct unpacker *unpacker, const Packed *from, struct part *to)

#define FAMILY(part, Packed)                   \
	CODEC(part, Packed);                   \
	void part##_deinit(struct part *part); \
	void part##_copy(const struct part *from, struct part *to)

CODEC(tender, Magik__Tender);
FAMILY(bid, Magik__Bid);
FAMILY(award, Magik__Award);
FAMILY(award_reply, Magik__AwardReply);
FAMILY(award_confirm, Magik__AwardConfirm);
FAMILY(release, Magik__Release);
FAMILY(cancel, Magik__Cancel);
FAMILY(event, Magik__Event);
FAMILY(disposal, Magik__Disposal);
CODEC(record, Magik__Record);
FAMILY(record_ack, Magik__RecordAck);
FAMILY(sync_summary, Magik__SyncSummary);
FAMILY(sync_keys, Magik__SyncKeys);
FAMILY(sync_want, Magik__SyncWant);
CODEC(member, Magik__Member);
FAMILY(members, Magik__Members);
FAMILY(hello, Magik__Hello);
FAMILY(ping, Magik__Ping);
FAMILY(leaf_want, Magik__LeafWant);
FAMILY(leaf, Magik__Leaf);

#undef FAMILY
#undef CODEC

void record_key_pack(const struct record_key *from, Magik__RecordKey *to);
void record_key_unpack(struct unpacker *unpacker, const Magik__RecordKey *from,
		       struct record_key *to);
void record_version_pack(const struct record_version *from, Magik__RecordVersion *to);
void record_version_unpack(struct unpacker *unpacker, const Magik__RecordVersion *from,
			   struct record_version *to);
