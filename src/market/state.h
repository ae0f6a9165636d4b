/* SPDX-License-Identifier: Apache-2.0 */
/*
 * State: what the files of this directory share; nobody else includes this. market.c dispatches,
 * owner.c and reply.c are the owner's side, winner.c, award.c and resident.c the winner's.
 */
#pragma once

#include "base/map.h"
#include "base/prng.h"
#include "market/effects.h"
#include "market/ledger.h"
#include "market/lifecycle.h"
#include "market/market.h"
#include "market/terms.h"
#include "market/trace.h"

enum {
	/* After a tender is decided or a bid is over, both are remembered this long after the bid,
	 * so that late and repeated messages get the same answer as before. */
	MARKET_MEMORY_MS = MARKET_HOLD_MS + MARKET_REASSIGN_MS + 1000,
	MARKET_OFFERS_MAX = 2048, /* bids kept per tender: all stages at 64 slots, rounded up */
	MARKET_POD_NAME_BASE_MAX = 57, /* base, dash, 5 characters: a DNS label of 63 */
};

/* A machine's own description, owned. */
struct machine {
	struct market_machine about; /* points into the arrays below */
	struct label *labels;
	struct taint *taints;
	struct mono *tainted; /* since when it has each of them */
	char **engines;
	char *architecture;
	char **images;
	size_t image_count;
};

/* ---- the owner's side ---- */

/*
 *   STANDING --award--> AWARDED --accepted--> ACCEPTED
 *       |                  |                     |
 *       '---released-------+--refused, silent----+--stopped itself--> OVER
 */
enum offer_state {
	OFFER_STANDING,
	OFFER_AWARDED,
	OFFER_ACCEPTED,
	OFFER_OVER,
};

/* One machine's bid, and what became of it. A machine gets at most one award of a tender. */
struct offer {
	struct node_id node;
	struct addr addr;
	struct bid bid;
	struct mono at; /* arrival: never before the bidder's own time of bidding */
	int64_t rtt_us;
	int32_t score;
	enum offer_state state;
	struct mono resend_at; /* AWARDED */
	struct uid *pods;      /* that were awarded to it */
	size_t pod_count;
};

/*
 *   OPEN --award--> AWARDED --accepted--> ACCEPTED --event--> DEPLOYED
 *    ^  |             | |                    |                   |
 *    |  '--no bid-----|-|----> LOST <--------+-------failed------'
 *    '---next bid-----' '--silent---^
 */
enum place_state {
	PLACE_OPEN,
	PLACE_AWARDED,
	PLACE_ACCEPTED,
	PLACE_DEPLOYED,
	PLACE_LOST,
};

/* One slot of a tender. */
struct place {
	uint32_t slot;
	enum place_state state;
	struct node_id node; /* AWARDED and later */
	struct uid pod_uid;
	char *pod_name;
};

enum round_state {
	ROUND_COLLECTING,
	ROUND_AWARDING,
	ROUND_DEPLOYING,
	ROUND_CLOSED,
};

/* A tender of ours. States: market.h. */
struct round {
	struct tender tender;
	struct buf envelope, manifest;
	char *pod_name_base, *pod_name;
	uint64_t epoch;
	struct market_domain *domains;
	size_t domain_count;
	bool together;
	enum round_state state;
	/* COLLECTING */
	enum market_stage stage;
	struct mono stage_at;      /* since when its window runs */
	bool asked;                /* the caller has said how far it reached */
	struct market_reach reach; /* then */
	size_t answers;            /* to this stage */
	size_t distinct;           /* bids that give a slot a machine of its own, standing */
	struct mono enough_at;     /* when these were enough; else MONO_NEVER */
	struct mono opened_at, deploy_by, forget_at;
	struct offer *offers;
	size_t offer_count;
	struct place *places;
	struct trace_entry *trace;
};

/* ---- the winner's side ---- */

/*
 *   HELD --award--> AWARDED --confirm--> RUNNING
 *     |                |                    |
 *     |                '--unconfirmed,      '--cancelled, nothing left--.
 *     |                   cancelled---.                                 |
 *     '--released, hold over, refused-+--> OVER <-----------------------'
 */
enum hold_state {
	HOLD_HELD,
	HOLD_AWARDED,
	HOLD_RUNNING,
	HOLD_OVER,
};

/* A bid of ours. */
struct hold {
	struct digest tender_id;
	struct node_id owner;
	struct addr owner_addr;
	struct uid object_uid;
	enum hold_state state;
	struct bid bid;
	struct mono bid_at;
	uint32_t *slots;
	size_t slot_count;
	struct requirements needs;
	char *namespace;
	struct amount need; /* of one copy */
	int32_t priority;
	bool preemptible, modest;
	struct digest manifest_digest, envelope_digest;
	enum award_answer answer; /* OVER: what a (further) award is told */
	struct mono resend_at;    /* AWARDED: of the reply */
	struct mono forget_at;    /* OVER */
	size_t pods;              /* residents of this award */
	size_t victims;           /* pods that are making room for this award */
	struct message *award;    /* kept until the pods can start */
	struct buf award_envelope;
};

/* What became of a pod here, in the order of its life. */
enum resident_state {
	RESIDENT_WAITING, /* accepted; preempted pods are making room */
	RESIDENT_STARTING,
	RESIDENT_DEPLOYED,
	RESIDENT_STOPPING, /* told to stop; @end_event is sent when nothing is left */
};

/* A pod that is bound to this machine. */
struct resident {
	struct uid pod_uid;
	struct uid object_uid;
	struct requirements needs;
	char *namespace;
	struct amount amount;
	struct mono since; /* it is bound, or was found again */
	enum resident_state state;
	struct hold *hold; /* NULL: found again after a restart of this process */
	uint32_t slot;
	enum event_kind end_event;
	char *end_text;
	struct hold *beneficiary; /* preempted for this award: no longer counted as used */
};

/* How many holds an owner pins here. */
struct quota {
	struct node_id owner;
	size_t holds;
};

struct market {
	struct market_config config;
	struct prng prng; /* pod uids and names: its seed is random */
	struct mono now;
	struct mono deadline; /* never later than the next thing due; may be earlier */
	struct effects effects;
	struct ledger ledger;
	struct machine machine;
	struct map rounds;    /* tender id -> struct round */
	struct map holds;     /* tender id || owner -> struct hold */
	struct map bound;     /* tender id -> struct hold that has its award */
	struct map residents; /* pod uid -> struct resident */
	struct map quotas;    /* owner -> struct quota */
	struct traces traces;
	struct list misses; /* tenders for which there was no room: miss.c */
	size_t miss_count;
	struct list notices; /* events that their owners have not seen: notice.c */
	size_t notice_count;
	size_t holds_held;
	size_t rounds_open;
};

/* market.c */
void market_due(struct market *market, struct mono at); /* something is due at @at */
void market_freed(struct market *market);

/* owner.c */
int owner_bid(struct market *market, const struct node_id *from, const struct bid *bid,
	      const struct market_facts *facts);
void owner_tick(struct market *market);
void owner_peer_lost(struct market *market, const struct node_id *node);
void owner_deinit(struct market *market);
struct round *round_find(const struct market *market, const struct digest *tender_id);
struct offer *round_offer(const struct round *round, const struct node_id *node);
void round_move(struct round *round, enum round_state to);
void round_trace(struct market *market, struct round *round, const struct trace_step *step);
void offer_move(struct offer *offer, enum offer_state to);
void place_move(struct place *place, enum place_state to);
void round_release(struct market *market, struct round *round, struct offer *offer);
void round_settle(struct market *market, struct round *round);
/* Give up what has not been accepted yet. */
void round_abandon(struct market *market, struct round *round);

/* stage.c: who is asked, and when to decide */
void stage_begin(struct market *market, struct round *round, enum market_stage stage);
void stage_consider(struct market *market, struct round *round);
void stage_count(struct market *market, struct round *round, const struct offer *offer);

/* placing.c: from bids to awards */
enum placing_rule {
	PLACING_DISTINCT, /* one slot per machine; what is left stays open */
	PLACING_COPIES,   /* what is left stays open */
	PLACING_FINAL,    /* what is left is lost */
};
void placing_award(struct market *market, struct round *round, enum placing_rule rule);
void placing_send_award(struct market *market, struct round *round, struct offer *offer);
void placing_keep_spares(struct market *market, struct round *round);

/* reply.c: what comes back */
int reply_receive(struct market *market, const struct node_id *from,
		  const struct award_reply *reply);
int reply_event(struct market *market, const struct node_id *from, const struct event *event);
void reply_silent(struct market *market, struct round *round, struct offer *offer);
void reply_cancel(struct market *market, struct round *round, struct offer *offer);
void reply_lost(struct market *market, struct round *round, struct place *place, const char *text);

/* winner.c */
int winner_tender(struct market *market, const struct node_id *from, const struct tender *tender,
		  const struct market_facts *facts);
int winner_confirm(struct market *market, const struct node_id *from,
		   const struct digest *tender_id);
int winner_release(struct market *market, const struct node_id *from,
		   const struct digest *tender_id);
int winner_cancel(struct market *market, const struct node_id *from, const struct cancel *cancel);
void winner_tick(struct market *market);
void winner_deinit(struct market *market);
struct hold *hold_find(const struct market *market, const struct digest *tender_id,
		       const struct node_id *owner);
void hold_move(struct market *market, struct hold *hold, enum hold_state to);
void hold_drop_award(struct hold *hold);
void hold_over(struct market *market, struct hold *hold, enum award_answer answer);
/* Tell an owner that another one places the slots of this tender, or that there was no bid. */
void winner_refuse(struct market *market, const struct node_id *owner, const struct addr *addr,
		   const struct digest *tender_id);
void hold_reply(struct market *market, struct hold *hold, enum award_answer answer);

/* award.c */
int award_receive(struct market *market, const struct node_id *from, const struct award *award,
		  const struct market_facts *facts);

/* notice.c: events until they are seen */
void notice_event(struct market *market, const struct hold *hold, struct message *event);
int notice_seen(struct market *market, const struct node_id *from, const struct event *seen);
void notice_tick(struct market *market);
void notices_deinit(struct market *market);

/* miss.c: tenders for which there was no room */
void miss_freed(struct market *market);
int miss_room(struct market *market, const struct node_id *from, const struct event *event,
	      const struct market_facts *facts);
void misses_deinit(struct market *market);

/* eligible.c */
bool eligible(const struct market *market, const struct tender *tender);
uint32_t eligible_images(const struct market *market, const struct tender *tender);
/* 0..1000: how much of what @tender prefers does not hold here. */
uint32_t eligible_penalty(const struct market *market, const struct tender *tender);

/* cohabit.c */
/* No pod here is in the way: that can change, as with any room. */
bool cohabit_has_room(const struct market *market, const char *namespace,
		      const struct requirements *needs);
/* The pods are here that the newcomer requires. */
bool cohabit_has_company(const struct market *market, const char *namespace,
			 const struct requirements *needs);
/* At most @copies, and one where copies cannot share a machine. */
uint32_t cohabit_copies(const struct requirements *needs, uint32_t copies);
void cohabit_wish(const struct market *market, const char *namespace,
		  const struct requirements *needs, struct terms_wish *wish);

/* resident.c */
struct resident *resident_find(const struct market *market, const struct uid *pod_uid);
struct resident *resident_new(struct market *market, const struct uid *pod_uid,
			      const char *namespace, const struct requirements *needs);
/* Stop the pods that do not tolerate a taint NoExecute of this machine. */
void resident_evict(struct market *market);
void resident_stop(struct market *market, struct resident *resident, enum event_kind end_event,
		   const char *text);
void resident_start(struct market *market, struct hold *hold);
void resident_deinit(struct market *market);
struct amount resident_preemptible(const struct market *market, int32_t priority);
void resident_preempt(struct market *market, struct hold *hold, struct amount need);
