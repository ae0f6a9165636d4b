/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What arrives: packets are opened, judged, counted, and given to the core they are for. Nothing
 * unsigned reaches the market or the records; nothing stale or seen before reaches the market.
 */
#include "node/internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "base/mem.h"
#include "identity/derive.h"
#include "market/tender.h"

static void parked_free(struct node *node, struct parked *parked)
{
	list_remove(&parked->link);
	node->parked_count--;
	buf_deinit(&parked->envelope);
	free(parked);
}

static size_t parked_of(const struct node *node, const struct node_id *from)
{
	size_t count = 0;

	list_for_each (it, &node->parked)
		count += node_id_equal(&list_entry(it, struct parked, link)->from, from);
	return count;
}

void node_leaf_want(struct node *node, const struct node_id *to, const struct digest *leaf)
{
	struct message want = {.type = MESSAGE_LEAF_WANT, .leaf_want = {.leaf = *leaf}};
	struct buf encoded = {0};

	message_encode(&want, &encoded);
	node_send_packet(node, &(struct node_destination){*to}, MESSAGE_LEAF_WANT,
			 bytes_buf(&encoded));
	buf_deinit(&encoded);
}

/* Keep an envelope until its issuer's certificate comes; NULL when there is no room. */
static struct parked *parked_add(struct node *node, struct mono now, const struct node_id *from,
				 struct bytes envelope)
{
	struct parked *parked;

	if (node->parked_count >= NODE_PARKED_MAX ||
	    parked_of(node, from) >= NODE_PARKED_PER_PEER_MAX) {
		node_count(node, NODE_COUNT_LEAF_MISSING);
		return NULL;
	}
	parked = mem_new(struct parked);
	parked->from = *from;
	parked->leaf = node->missing_leaf;
	parked->deadline = mono_add_ms(now, NODE_PARKED_MS);
	buf_append_bytes(&parked->envelope, envelope);
	list_append(&node->parked, &parked->link);
	node->parked_count++;
	return parked;
}

/* The peer that sent it is asked for the certificate. */
static void park(struct node *node, struct mono now, const struct node_id *from,
		 struct bytes envelope)
{
	if (parked_add(node, now, from, envelope))
		node_leaf_want(node, from, &node->missing_leaf);
}

static bool is_dialling(const struct node *node, const struct node_id *owner)
{
	list_for_each (it, &node->parked) {
		const struct parked *parked = list_entry(it, struct parked, link);

		if (uid_is_none(&parked->broadcast) && node_id_equal(&parked->owner.id, owner))
			return true;
	}
	return false;
}

/* The neighbour that handed it on has judged it, so it has the certificate. */
void node_park_gossip(struct node *node, struct mono now, const struct node_id *from,
		      const struct node_gossip *gossip)
{
	struct parked *parked = parked_add(node, now, from, gossip->envelope);

	if (!parked)
		return;
	parked->broadcast = gossip->id;
	parked->owner = gossip->owner;
	parked->share = gossip->share;
	node_leaf_want(node, from, &node->missing_leaf);
}

/* The owner is dialled: its certificate comes with the connection over which we bid. */
void node_park_referred(struct node *node, struct mono now, const struct node_id *from,
			struct bytes envelope, const struct contact *owner)
{
	bool dialling = is_dialling(node, &owner->id);
	struct parked *parked = parked_add(node, now, from, envelope);
	struct overlay_peer peer;
	struct queued_effect *queued;

	if (!parked)
		return;
	parked->owner = *owner;
	if (overlay_find_peer(node->overlay, &owner->id, &peer) && peer.connected) {
		node_leaf_want(node, &owner->id, &node->missing_leaf);
	} else if (!dialling) {
		queued = node_queue(node, NODE_DIAL);
		queued->effect.to = owner->id;
		queued->effect.addr = owner->addr;
	}
}

void node_parked_expire(struct node *node, struct mono now)
{
	list_for_each_safe (it, &node->parked) {
		struct parked *parked = list_entry(it, struct parked, link);

		if (!mono_reached(now, parked->deadline))
			break;
		node_count(node, NODE_COUNT_LEAF_MISSING);
		node_refuse(node, &parked->from, "its issuer's certificate was not to be had");
		parked_free(node, parked);
	}
}

struct mono node_parked_deadline(const struct node *node)
{
	const struct parked *first = list_first(&node->parked, struct parked, link);

	return first ? first->deadline : MONO_NEVER;
}

static void leaf_wanted(struct node *node, const struct node_id *from, const struct digest *leaf)
{
	struct message answer = {.type = MESSAGE_LEAF};
	struct buf encoded = {0};

	if (!node->config.trust.ops->leaf_get(node->config.trust.self, leaf, &answer.leaf))
		return;
	message_encode(&answer, &encoded);
	node_send_packet(node, &(struct node_destination){*from}, MESSAGE_LEAF,
			 bytes_buf(&encoded));
	buf_deinit(&encoded);
	message_deinit(&answer);
}

static int deliver_envelope(struct node *node, struct mono now, const struct node_id *from,
			    struct bytes envelope);

static int deliver_parked(struct node *node, struct mono now, const struct parked *parked)
{
	struct bytes envelope = bytes_buf(&parked->envelope);

	if (!uid_is_none(&parked->broadcast))
		return node_gossip_judge(node, now,
					 &(struct node_gossip){.id = parked->broadcast,
							       .envelope = envelope,
							       .owner = parked->owner,
							       .share = parked->share});
	if (node_id_is_none(&parked->owner.id))
		return deliver_envelope(node, now, &parked->from, envelope);
	return node_referred(node, now, &parked->owner, envelope);
}

/* A connection stands: what its other end has issued can be judged now, as a rule. */
void node_parked_connected(struct node *node, struct mono now, const struct node_id *id)
{
	list_for_each_safe (it, &node->parked) {
		struct parked *parked = list_entry(it, struct parked, link);

		if (!node_id_equal(&parked->owner.id, id) || !uid_is_none(&parked->broadcast))
			continue;
		if (deliver_parked(node, now, parked) == NODE_TRUST_E_LEAF)
			node_leaf_want(node, id, &parked->leaf);
		else
			parked_free(node, parked);
	}
}

/* Its issuer is known now, but not who signed what is in it. */
static void want_another(struct node *node, struct parked *parked)
{
	if (digest_equal(&parked->leaf, &node->missing_leaf))
		return;
	parked->leaf = node->missing_leaf;
	node_leaf_want(node, &parked->from, &parked->leaf);
}

static void leaf_arrived(struct node *node, struct mono now, const struct node_id *from,
			 const struct leaf *leaf)
{
	struct list again;

	if (!node->config.trust.ops->leaf_add(node->config.trust.self, node_fabric_time(node, now),
					      leaf)) {
		node_count(node, NODE_COUNT_CERTIFICATE);
		node_refuse(node, from, "a certificate it sent does not verify");
		return;
	}
	list_init(&again);
	list_for_each_safe (it, &node->parked) {
		list_remove(it);
		list_append(&again, it);
	}
	list_for_each_safe (it, &again) {
		struct parked *parked = list_entry(it, struct parked, link);

		list_remove(it);
		list_append(&node->parked, it);
		if (deliver_parked(node, now, parked) != NODE_TRUST_E_LEAF)
			parked_free(node, parked);
		else
			want_another(node, parked);
	}
}

/* An outcome of opening an envelope: count it, say it, drop the message. */
static void refuse_envelope(struct node *node, const struct node_id *from, int outcome)
{
	static const struct {
		enum node_counter counter;
		const char *text;
	} refusals[] = {
		[NODE_TRUST_E_MALFORMED] = {NODE_COUNT_PACKETS_MALFORMED, "malformed envelope"},
		[NODE_TRUST_E_SIGNATURE] = {NODE_COUNT_SIGNATURE, "wrong signature"},
		[NODE_TRUST_E_LEAF] = {NODE_COUNT_LEAF_MISSING, "unknown issuer"},
		[NODE_TRUST_E_REFUSED] = {NODE_COUNT_CERTIFICATE, "its issuer's certificate does "
								  "not verify or has expired"},
		[NODE_TRUST_E_STALE] = {NODE_COUNT_STALE, "timestamp more than 30 s off"},
		[NODE_TRUST_E_REPLAY] = {NODE_COUNT_REPLAY, "seen before"},
	};

	node_count(node, refusals[outcome].counter);
	node_refuse(node, from, refusals[outcome].text);
}

static void count_market(struct node *node, const struct node_id *from, int outcome)
{
	static const struct {
		enum node_counter counter;
		const char *text;
	} refusals[] = {
		[MARKET_E_NOT_OWNER] = {NODE_COUNT_NOT_OWNER, "it is not the owner or the winner"},
		[MARKET_E_NO_BID] = {NODE_COUNT_AWARD_NO_BID, "award without a bid"},
		[MARKET_E_LATE] = {NODE_COUNT_AWARD_LATE, "award past its hold"},
		[MARKET_E_FULL] = {NODE_COUNT_AWARD_FULL, "no room"},
		[MARKET_E_DIGEST] = {NODE_COUNT_AWARD_DIGEST,
				     "manifest or tender is not what its digest says"},
		[MARKET_E_ROLE] = {NODE_COUNT_ROLE, "no steward of that namespace"},
		/* No reproach: news of a deletion and of its effects travel side by side. */
		[MARKET_E_DELETED] = {NODE_COUNT_DELETED, ""},
	};

	if (outcome <= 0 || outcome >= (int)ARRAY_LEN(refusals) || !refusals[outcome].text)
		return;
	node_count(node, refusals[outcome].counter);
	if (*refusals[outcome].text)
		node_refuse(node, from, refusals[outcome].text);
}

/* The object a market message is about, as far as the message itself says. */
static const struct object_ref *subject(const struct message *message)
{
	return message->type == MESSAGE_TENDER     ? &message->tender.object
	       : message->type == MESSAGE_DISPOSAL ? &message->disposal.object
						   : NULL;
}

/* An award names its workload in the tender inside it, which must be of the same issuer. */
static bool award_subject(struct node *node, struct mono now, const struct node_id *issuer,
			  const struct message *award, struct message *ret_tender)
{
	struct node_signed opened;

	if (node_open(node, now, bytes_buf(&award->award.tender_envelope), &opened) != 0)
		return false;
	if (!node_id_equal(&opened.issuer, issuer) ||
	    message_decode(opened.payload, ret_tender) != 0)
		return false;
	if (ret_tender->type == MESSAGE_TENDER)
		return true;
	message_deinit(ret_tender);
	return false;
}

bool node_signer_is_steward(const struct node *node, const struct node_signed *opened,
			    const char *namespace)
{
	return node->config.trust.ops->is_steward(node->config.trust.self, opened->signed_at,
						  &opened->leaf, namespace);
}

/* Its id names the gap that it is for, or one owner could speak for another's tender. */
static bool tender_is_named(const struct tender *tender)
{
	struct digest id = tender_id(&tender->object.uid, tender->generation, tender->attempt,
				     tender->slots, tender->slot_count);

	return digest_equal(&id, &tender->id);
}

static bool is_awarded(const struct award *award, uint32_t slot)
{
	for (size_t i = 0; i < award->assignment_count; i++)
		if (award->assignments[i].slot == slot)
			return true;
	return false;
}

/* Does a pod that is to stay, or may be started again, fill a slot that is awarded to us? */
static bool runs_slot(const struct node *node, const struct uid *object_uid,
		      const struct award *award)
{
	for (size_t i = 0; i < award->assignment_count; i++)
		if (node_tenure_is_asked(node, object_uid, award->assignments[i].slot))
			return true;
	map_for_each (entry, &node->pods) {
		const struct local_pod *pod = entry->value;
		const struct presence *presence = &pod->presence;

		if (!pod->stopping && !presence->leaving && presence->phase <= POD_RUNNING &&
		    uid_equal(&presence->object.uid, object_uid) &&
		    is_awarded(award, presence->slot))
			return true;
	}
	return false;
}

/* @referred: where its owner is, when it came by way of others; else NULL. */
static void deliver_market(struct node *node, struct mono now, const struct node_signed *opened,
			   const struct message *message, struct bytes envelope,
			   const struct addr *referred)
{
	const struct object_ref *object = subject(message);
	struct message inner = {0};
	struct market_facts facts = {.envelope = envelope, .referred = referred != NULL};
	struct overlay_peer peer;
	int outcome;

	if (message->type == MESSAGE_TENDER && !tender_is_named(&message->tender)) {
		count_market(node, &opened->issuer, MARKET_E_DIGEST);
		return;
	}
	if (message->type == MESSAGE_AWARD) {
		if (!award_subject(node, now, &opened->issuer, message, &inner) ||
		    !node_award_is_warranted(node, now, &opened->issuer, &message->award,
					     &inner.tender.object)) {
			count_market(node, &opened->issuer, MARKET_E_DIGEST);
			message_deinit(&inner);
			return;
		}
		object = &inner.tender.object;
		node->award_envelope = envelope;
	}
	if (object) {
		facts.steward = node_signer_is_steward(node, opened, object->namespace);
		facts.deleted = node_is_deleted(node, &object->uid, object->namespace);
		facts.runs = message->type == MESSAGE_AWARD && !fault_is_planted(FAULT_SLOT_RUNS) &&
			     runs_slot(node, &object->uid, &message->award);
	}
	if (overlay_find_peer(node->overlay, &opened->issuer, &peer))
		facts.rtt_us = peer.rtt_us;
	(void)!overlay_find_addr(node->overlay, &opened->issuer, &facts.addr);
	if (referred)
		facts.addr = *referred;
	if (message->type == MESSAGE_TENDER)
		node_count(node, NODE_COUNT_TENDERS_SEEN);
	outcome = market_receive(node->market, now, &opened->issuer, message, &facts);
	/* Only an award can be late in a way worth a word: a bid after the decision is daily life.
	 */
	if (outcome != MARKET_E_LATE || message->type == MESSAGE_AWARD)
		count_market(node, &opened->issuer, outcome);
	(void)node_drain_market(node, now);
	node->award_envelope = (struct bytes){0};
	message_deinit(&inner);
}

void node_deliver_referred(struct node *node, struct mono now, const struct node_signed *opened,
			   struct bytes envelope, const struct addr *owner_addr)
{
	struct message message;

	if (message_decode(opened->payload, &message) != 0)
		return;
	if (message.type == MESSAGE_TENDER)
		deliver_market(node, now, opened, &message, envelope, owner_addr);
	message_deinit(&message);
}

/* A steward of one namespace stops the placing of nothing in another. */
static void forget_disposed(struct node *node, struct mono now, const struct object_ref *object)
{
	const struct workload *workload = map_get(&node->workloads, uid_bytes(&object->uid));

	if (workload && strcmp(workload->object.namespace, object->namespace) == 0)
		node_workload_forget(node, now, &object->uid);
}

/*
 * It may come before the tombstone that says the same for good; nothing is placed in between.
 */
bool node_deliver_disposal(struct node *node, struct mono now, const struct node_signed *opened,
			   const struct disposal *disposal)
{
	bool steward = node_signer_is_steward(node, opened, disposal->object.namespace);
	bool whole = uid_is_none(&disposal->pod_uid);

	if (!steward) {
		count_market(node, &opened->issuer, MARKET_E_ROLE);
		return false;
	}
	if (disposal->evict) {
		node_pod_leave(node, now, &disposal->pod_uid, disposal->object.namespace);
		return true;
	}
	if (whole)
		forget_disposed(node, now, &disposal->object);
	node_pods_stop_matching(node, whole ? &disposal->object.uid : &disposal->pod_uid,
				disposal->object.namespace, disposal->grace_s);
	return true;
}

/* A record's clock is that of its envelope, or a certificate that has run out could sign what looks
 * new. It may be ahead by what clocks are allowed to differ. */
static bool clocks_agree(const struct node_signed *opened, const struct record *record)
{
	int64_t written_ms = (int64_t)(record->version.hlc >> RECORDS_HLC_SHIFT), ahead_ms;

	return !__builtin_sub_overflow(written_ms, opened->signed_at.ms, &ahead_ms) &&
	       ahead_ms >= -NODE_RECORD_CLOCK_MS && ahead_ms <= NODE_RECORD_CLOCK_MS;
}

/* Of a pod only the machine speaks that its uid was made for. What is known of it need not be known
 * here: a keeper that is new, or has forgotten a machine that was lost, believes no other either.
 */
static bool speaks_of_its_own(const struct record *record, const struct node_id *writer)
{
	return record->key.kind != RECORD_PRESENCE || fault_is_planted(FAULT_CLAIM) ||
	       uid_is_of_pod(&record->key.sub, &record->key.uid, writer);
}

/* @expected_hlc: of a write on a condition; UINT64_MAX: of any other. NODE_TRUST_E_LEAF: it cannot
 * be judged yet. */
static int deliver_record(struct node *node, struct mono now, const struct node_id *from,
			  const struct node_signed *opened, const struct record *record,
			  struct bytes envelope, uint64_t expected_hlc)
{
	struct record_writer writer = {
		.id = opened->issuer,
		.steward = node_signer_is_steward(node, opened, record->object.namespace),
	};
	int outcome = RECORDS_E_CLOCK, judged = _NODE_TRUST_E_OK;

	if (!speaks_of_its_own(record, &opened->issuer))
		outcome = RECORDS_E_WRITER;
	else if ((judged = node_presence_judge(node, now, record, &opened->issuer)) != 0)
		outcome = RECORDS_E_WRITER;
	else if (clocks_agree(opened, record) && expected_hlc == UINT64_MAX)
		outcome = records_receive(node->records, now, node_fabric_time(node, now), from,
					  &writer, record, envelope);
	else if (clocks_agree(opened, record))
		outcome = records_receive_put(node->records, now, node_fabric_time(node, now), from,
					      &writer, record, envelope, expected_hlc);
	if (judged == NODE_TRUST_E_LEAF)
		return judged;
	if (outcome == RECORDS_E_WRITER) {
		node_count(node, NODE_COUNT_ROLE);
		node_refuse(node, &opened->issuer, "it may not write that record");
	} else if (outcome == RECORDS_E_CLOCK || outcome == RECORDS_E_FULL) {
		node_count(node, NODE_COUNT_RECORD_REFUSED);
		node_refuse(node, &opened->issuer,
			    outcome == RECORDS_E_CLOCK ? "record with a wrong clock"
						       : "no room for its records");
	}
	return 0;
}

/* What may come by way of others; the rest is said by one machine to another, and does not name
 * whom it was meant for. */
static bool may_be_relayed(enum message_type type)
{
	return type == MESSAGE_TENDER || type == MESSAGE_DISPOSAL || type == MESSAGE_RECORD ||
	       type == MESSAGE_REVOCATION;
}

/* 0, or why it is not believed, where that is known here. */
static int deliver_signed(struct node *node, struct mono now, const struct node_id *from,
			  const struct node_signed *opened, struct bytes envelope)
{
	struct message message;
	int outcome = message_decode(opened->payload, &message);

	if (outcome == MESSAGE_E_UNKNOWN) {
		node_count(node, NODE_COUNT_PACKETS_UNKNOWN);
		return NODE_TRUST_E_MALFORMED;
	}
	if (outcome) {
		refuse_envelope(node, from, NODE_TRUST_E_MALFORMED);
		return NODE_TRUST_E_MALFORMED;
	}
	if (message.type != MESSAGE_RECORD && message.type != MESSAGE_REVOCATION)
		outcome = node->config.trust.ops->fresh(node->config.trust.self,
							node_fabric_time(node, now), opened);
	/* Requests of pods come on streams of their own, warrants inside of other messages. */
	if (!message_is_signed(message.type) || message.type == MESSAGE_POD_REQUEST ||
	    message.type == MESSAGE_WARRANT)
		outcome = NODE_TRUST_E_MALFORMED;
	if (outcome)
		refuse_envelope(node, from, outcome);
	else if (!may_be_relayed(message.type) && !node_id_equal(&opened->issuer, from))
		count_market(node, from, MARKET_E_NOT_OWNER);
	else if (message.type == MESSAGE_RECORD)
		outcome = deliver_record(node, now, from, opened, &message.record, envelope,
					 UINT64_MAX);
	else if (message.type == MESSAGE_REVOCATION)
		node_revocation_arrived(node, now, from, opened, &message.revocation, envelope);
	else if (message.type == MESSAGE_TENURE)
		node_tenure_arrived(node, now, from, &message.tenure);
	else if (message.type == MESSAGE_COLLEGE)
		node_college_arrived(node, now, from, &message.college);
	else if (message.type == MESSAGE_VOUCH)
		node_vouched(node, now, opened, &message.vouch);
	else if (message.type == MESSAGE_DISPOSAL)
		outcome = node_deliver_disposal(node, now, opened, &message.disposal)
				  ? 0
				  : NODE_TRUST_E_REFUSED;
	else if (node_may_speak(node, now, from, message.type))
		deliver_market(node, now, opened, &message, envelope, NULL);
	message_deinit(&message);
	return outcome;
}

/* Returns how opening it went; NODE_TRUST_E_LEAF: the caller keeps it for later. */
static int deliver_envelope(struct node *node, struct mono now, const struct node_id *from,
			    struct bytes envelope)
{
	struct node_signed opened = {0};
	int outcome = node_open(node, now, envelope, &opened);

	if (outcome == NODE_TRUST_E_LEAF)
		node->missing_leaf = opened.leaf;
	else if (outcome)
		refuse_envelope(node, from, outcome);
	else
		outcome = deliver_signed(node, now, from, &opened, envelope);
	return outcome;
}

/* Without the certificate of its issuer it is not parked: it is sent again. */
static void deliver_record_put(struct node *node, struct mono now, const struct node_id *from,
			       const struct record_put *put)
{
	struct bytes envelope = bytes_buf(&put->envelope);
	struct node_signed opened = {0};
	struct message message;
	int outcome = node_open(node, now, envelope, &opened);

	if (outcome == NODE_TRUST_E_LEAF) {
		node_leaf_want(node, from, &opened.leaf);
		return;
	}
	if (outcome == 0 && message_decode(opened.payload, &message) != 0)
		outcome = NODE_TRUST_E_MALFORMED;
	if (outcome) {
		refuse_envelope(node, from, outcome);
		return;
	}
	if (message.type == MESSAGE_RECORD)
		(void)deliver_record(node, now, from, &opened, &message.record, envelope,
				     put->expected_hlc); /* an object: it has no warrant */
	else
		refuse_envelope(node, from, NODE_TRUST_E_MALFORMED);
	message_deinit(&message);
}

/*
 * What a peer says the time is. The way it took is not added: both sides would then push each
 * other ahead.
 */
static void hear_time(struct node *node, struct mono now, const struct node_id *from,
		      const struct message *message)
{
	int64_t said = 0, step;
	bool settled = false;

	if (message->type == MESSAGE_HELLO) {
		said = message->hello.fabric_ms;
		settled = message->hello.fabric_settled;
	} else if (message->type == MESSAGE_PING || message->type == MESSAGE_PONG) {
		said = message->ping.fabric_ms;
		settled = message->ping.fabric_settled;
	}
	if (said <= 0)
		return;
	step = fabric_time_hear(&node->time, now, from, (struct wall){said}, settled);
	node_doubt_met(node, now);
	if (!step)
		return;
	node_queue(node, NODE_STEPPED)->effect.step_ms = step;
	node_pods_shift(node, now, step);
	node_doubt_check(node, now);
}

static void deliver_plain(struct node *node, struct mono now, const struct node_id *from,
			  struct bytes body)
{
	struct message message;
	int outcome = message_decode(body, &message);

	if (outcome == MESSAGE_E_UNKNOWN) {
		node_count(node, NODE_COUNT_PACKETS_UNKNOWN);
		return;
	}
	if (outcome || message_is_signed(message.type)) {
		node_count(node, NODE_COUNT_PACKETS_MALFORMED);
		node_refuse(node, from, outcome ? "malformed message" : "unsigned message");
		if (!outcome)
			message_deinit(&message);
		return;
	}
	if (message.type == MESSAGE_LEAF_WANT) {
		leaf_wanted(node, from, &message.leaf_want.leaf);
	} else if (message.type == MESSAGE_LEAF) {
		leaf_arrived(node, now, from, &message.leaf);
	} else if (message.type == MESSAGE_POD_LEAF_WANT) {
		node_pod_leaf_wanted(node, now, from, &message.pod_leaf_want);
	} else if (message.type == MESSAGE_POD_LEAF) {
		node_pod_leaf_came(node, from, &message.pod_leaf);
	} else if (message.type == MESSAGE_AGENTS_HEARD) {
		node_agents_heard(node, now, from, &message.agents_heard);
	} else if (message.type == MESSAGE_SIBLING_MISSING) {
		node_sibling_reported(node, now, from, &message.sibling_missing);
	} else if (message.type == MESSAGE_VOUCH_WANT) {
		node_vouch_wanted(node, now, from, &message.vouch_want);
	} else if (message.type == MESSAGE_REVOKED) {
		node_revoked_arrived(node, from, &message.revoked);
	} else if (message.type == MESSAGE_REFERRAL) {
		node_referral(node, now, from, &message.referral);
	} else if (message.type == MESSAGE_RECORD_PUT) {
		deliver_record_put(node, now, from, &message.record_put);
	} else if (message.type >= MESSAGE_INDEX_ROWS && message.type <= MESSAGE_INDEX_ANSWER) {
		node_index_receive(node, now, from, &message);
	} else if (message.type == MESSAGE_JOURNAL_ASK) {
		node_journal_asked(node, now, from, &message.journal_ask);
	} else if (message.type == MESSAGE_JOURNAL) {
		node_journal_answered(node, now, from, &message.journal_page);
	} else if (message.type >= MESSAGE_HELLO) {
		hear_time(node, now, from, &message);
		overlay_receive(node->overlay, now, from, &message, node_fabric_time(node, now));
	} else {
		if (message.type == MESSAGE_RECORD_ACK && node->config.records_stay)
			node_presence_seen(node, from, &message.record_ack);
		records_receive_message(node->records, now, from, &message);
	}
	message_deinit(&message);
}

void node_deliver(struct node *node, struct mono now, const struct node_id *from,
		  struct bytes bytes)
{
	struct packet packet;
	int outcome = packet_decode(bytes, &packet);

	if (outcome == MESSAGE_E_UNKNOWN) {
		node_count(node, NODE_COUNT_PACKETS_UNKNOWN);
	} else if (outcome) {
		node_count(node, NODE_COUNT_PACKETS_MALFORMED);
		node_refuse(node, from, "malformed packet");
	} else if (packet.is_envelope) {
		if (deliver_envelope(node, now, from, packet.body) == NODE_TRUST_E_LEAF)
			park(node, now, from, packet.body);
	} else {
		deliver_plain(node, now, from, packet.body);
	}
}
