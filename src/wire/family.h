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
FAMILY(record_put, Magik__RecordPut);
FAMILY(sync_offer, Magik__SyncOffer);
FAMILY(fetch, Magik__Fetch);
FAMILY(fetched, Magik__Fetched);
CODEC(revocation, Magik__Revocation);
FAMILY(revoked, Magik__Revoked);
FAMILY(pod_request, Magik__PodRequest);
FAMILY(index_rows, Magik__IndexRows);
FAMILY(index_ask, Magik__IndexAsk);
FAMILY(index_answer, Magik__IndexAnswer);
FAMILY(journal_ask, Magik__JournalAsk);
FAMILY(journal_page, Magik__JournalPage);
FAMILY(vouch_want, Magik__VouchWant);
FAMILY(vouch, Magik__Vouch);
FAMILY(tenure, Magik__Tenure);
CODEC(warrant, Magik__Warrant);
FAMILY(college, Magik__College);
FAMILY(pod_leaf_want, Magik__PodLeafWant);
FAMILY(pod_leaf, Magik__PodLeaf);
FAMILY(agents_heard, Magik__AgentsHeard);
FAMILY(sibling_missing, Magik__SiblingMissing);
CODEC(member, Magik__Member);
FAMILY(members, Magik__Members);
FAMILY(hello, Magik__Hello);
FAMILY(ping, Magik__Ping);
FAMILY(leaf_want, Magik__LeafWant);
FAMILY(leaf, Magik__Leaf);
FAMILY(referral, Magik__Referral);
FAMILY(join_view, Magik__JoinView);
FAMILY(forward_join, Magik__ForwardJoin);
FAMILY(neighbor, Magik__Neighbor);
FAMILY(neighbor_reply, Magik__NeighborReply);
FAMILY(disconnect, Magik__Disconnect);
FAMILY(shuffle, Magik__Shuffle);
FAMILY(shuffle_reply, Magik__ShuffleReply);
FAMILY(gossip, Magik__Gossip);
FAMILY(ihave, Magik__Ihave);
FAMILY(graft, Magik__Graft);
FAMILY(prune, Magik__Prune);
FAMILY(find, Magik__Find);
FAMILY(found, Magik__Found);
FAMILY(provide, Magik__Provide);

#undef FAMILY
#undef CODEC

void contact_pack(struct packer *packer, const struct contact *from, Magik__Contact *to);
void contact_unpack(struct unpacker *unpacker, const Magik__Contact *from, struct contact *to);
void contacts_pack(struct packer *packer, const struct contacts *from, Magik__Contact ***ret_list,
		   size_t *ret_count);
void contacts_unpack(struct unpacker *unpacker, Magik__Contact *const *from, size_t count,
		     size_t max, struct contacts *to);
void contacts_deinit(struct contacts *contacts);
void contacts_copy(const struct contacts *from, struct contacts *to);

void record_key_pack(const struct record_key *from, Magik__RecordKey *to);
void record_key_unpack(struct unpacker *unpacker, const Magik__RecordKey *from,
		       struct record_key *to);
void record_version_pack(const struct record_version *from, Magik__RecordVersion *to);
void record_version_unpack(struct unpacker *unpacker, const Magik__RecordVersion *from,
			   struct record_version *to);
