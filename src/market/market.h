/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Market: both sides of tender, bid and award on one machine (docs/protocol.md, 9).
 *
 * Sans-IO: the caller feeds events in time order, takes effects with market_next_effect() until
 * NULL, and calls market_tick() at market_deadline(). Signatures, roles and freshness were checked
 * before a message comes here; the verified issuer is @from. Messages to ourselves take the same
 * path as any other.
 *
 * Owner side, per tender:
 *
 *   COLLECTING --decided--> AWARDING --every slot accepted--> DEPLOYING --all events--> CLOSED
 *    |  ^   |                  |  ^ next best bid                 |  deploy timeout
 *    '--'   '--- no bids ------+--'--- slots left over ----------> CLOSED (unplaced slots named)
 *  next stage
 *
 * Who is asked, in stages, until every slot has a bid (enum market_stage). A stage ends when all
 * asked have answered, or there are >= 2 bids per slot and it is not worth waiting for more, or
 * its window is over. What can be awarded is awarded at its end, so that no bid is held for the
 * sake of other slots; the rest is asked for in the next stage. In the early stages a machine gets
 * one slot; copies are given when everybody who might take a slot has been asked, or many were.
 *
 * Winners: score descending, machine id ascending; machines without a replica first, then copies,
 * evenly. Losers are released at once, but for as many as there are slots: they stand by until the
 * awards are answered.
 *
 * Winner side, per tender: HELD --award--> AWARDED --confirm--> RUNNING, HELD --release, or hold
 * over--> none; AWARDED --no confirmation by MARKET_HOLD_MS + MARKET_CONFIRM_MS after the bid-->
 * stopped.
 *
 * Two owners of one tender (two controllers saw the same gap): a machine binds itself to one of
 * them, the smaller id where both have its bid, and refuses the other with NO_BID. That tells the
 * other to leave the slots to its controller, which sees in the presence records what became of
 * them.
 *
 * Never more than R inside one connected component: a winner accepts within MARKET_HOLD_MS of its
 * bid by its own clock and stops if its acknowledgement is not confirmed by MARKET_CONFIRM_MS after
 * that; the owner gives a slot to someone else only after an explicit refusal, a failure event, or
 * MARKET_HOLD_MS + MARKET_REASSIGN_MS.
 */
#pragma once

#include "base/err.h"
#include "base/time.h"
#include "market/tender.h"
#include "wire/message.h"
#include "wire/presence.h"

enum {
	MARKET_WINDOW_MS = 250,     /* the bid window of one stage, an upper bound */
	MARKET_WINDOW_MIN_MS = 15,  /* a lower bound: handshakes, a machine that is busy */
	MARKET_BROADCAST_MS = 1500, /* the window after a broadcast: some ten hops more */
	MARKET_LOOKUP_MS = 3000,    /* a stage that nobody began is passed over after this */
	MARKET_SAMPLE_PER_SLOT = 4, /* machines asked; Sparrow: two suffice, half may not fit */
	MARKET_WIDE_PER_SLOT = 16,
	MARKET_BIDS_PER_SLOT = 4, /* what a broadcast to some is to bring */
	MARKET_HOLD_MS = 2000,    /* what a bid promises to hold */
	MARKET_CONFIRM_MS = 1000,
	MARKET_REASSIGN_MS = 2000,
	MARKET_DEPLOY_MS =
		300 * 1000, /* then the owner forgets the tender: presence records tell the rest */
	MARKET_RESEND_MS = 200,          /* an unanswered award, reply or confirm is sent again */
	MARKET_EVENT_RESEND_MS = 1000,   /* an event its owner has not seen; doubling */
	MARKET_EVENT_TRIES = 6,          /* half a minute: then its owner is not there */
	MARKET_MISSES_MAX = 16,          /* tenders remembered for which there was no room here */
	MARKET_MISS_MS = 10 * 60 * 1000, /* for so long: twice the longest back-off */
	MARKET_NOTICES_MAX = 256,        /* such events at a time; the oldest go first */
	MARKET_OVERCOMMIT_ONE = 1000,    /* neither more nor less than there is */
	MARKET_OVERBOOK = 2,             /* weak holds may promise this many times what is free */
	MARKET_TENDERS_MAX = 4096,       /* open tenders of one owner */
	MARKET_HOLDS_MAX = 16384,        /* holds of one machine */
	MARKET_HOLDS_PER_OWNER_MAX = 2048,
	MARKET_TRACES_MAX = 256,        /* finished tenders kept for /debug/tenders */
	MARKET_TRACE_STEPS_MAX = 64,    /* of one tender; the first and the last are kept */
	MARKET_TRACE_BIDS_MAX = 16,     /* of them bids: the first */
	MARKET_TRACES_STEPS_MAX = 1024, /* of all finished tenders: 56 KiB */
};

enum market_result {
	_MARKET_E_OK,
	MARKET_E_UNKNOWN,   /* about a tender we know nothing of (late, or foreign): dropped */
	MARKET_E_NOT_OWNER, /* sent by someone else than the tender's owner, or its winner */
	MARKET_E_NO_BID,    /* an award for which this machine made no bid */
	MARKET_E_LATE,      /* past its hold */
	MARKET_E_FULL,      /* a table or the machine is full */
	MARKET_E_DIGEST,    /* manifest or tender differ from what was announced */
	MARKET_E_ROLE,      /* the issuer is no steward of the namespace */
	MARKET_E_DELETED,   /* the workload has been disposed of */
	MARKET_E_DUPLICATE, /* the same again; harmless */
	MARKET_E_EXCLUDED,  /* not eligible: no bid, or a bid of zero copies, was sent */
};

/*
 * Whom a tender is shown to, one after the other while slots are open. A broadcast costs as many
 * messages as there are machines: it comes last, and the caller may refuse it.
 */
enum market_stage {
	MARKET_PROVIDERS,      /* who announced the rarest thing that the tender needs */
	MARKET_SAMPLE,         /* MARKET_SAMPLE_PER_SLOT random machines per open slot */
	MARKET_WIDE,           /* MARKET_WIDE_PER_SLOT */
	MARKET_BROADCAST_SOME, /* everybody, but only a share shall bid */
	MARKET_BROADCAST_ALL,
};

/* How far a stage reached. */
struct market_reach {
	size_t count;   /* machines asked, ourselves included; 0: the stage is passed over */
	bool everyone;  /* there is nobody else to ask */
	bool complete;  /* all who have what the tender needs were asked: copies may be given */
	int64_t rtt_us; /* the round-trip time that most of them keep within; 0 = unknown */
};

enum market_effect_type {
	MARKET_ASK,   /* show the tender's @envelope to @wanted machines by way of @stage; then call
		       * market_asked(), at once or within MARKET_LOOKUP_MS */
	MARKET_SEND,  /* sign and send @message to @to (maybe ourselves), who may be at @addr */
	MARKET_START, /* the award in @message (signed: @envelope) binds this machine: start its
		       * pods. With preemption it comes when the victims are gone */
	MARKET_STOP,  /* stop pod @pod_uid, @text says why */
	MARKET_PLACED, /* owner: @to has accepted @slot as @pod_uid */
	MARKET_FAILED, /* owner: @slot failed on @to, or @to was silent, and no bid is left */
	MARKET_CLOSED, /* owner: every slot is accepted or given up; @slots remain unplaced. Once
			* per tender; a pod may still be MARKET_FAILED after it */
	MARKET_FREED,  /* this machine has room again: a capacity notice */
	MARKET_ROOM,   /* owner: @to, maybe at @addr, has room now for what @object_uid lacked */
};

struct market_effect {
	enum market_effect_type type;
	struct node_id to;
	struct addr addr; /* SEND, START, PLACED: where @to said it is; or none */
	struct digest tender_id;
	struct uid object_uid;
	uint64_t generation;
	enum market_stage stage; /* ASK */
	size_t wanted;
	size_t open; /* slots */
	struct bytes envelope;
	const struct message *message; /* owned by the market */
	uint32_t slot;
	struct uid pod_uid;
	const uint32_t *slots;
	size_t slot_count;
	const char *text;
	bool at_once; /* STOP: without the grace of its manifest: it must not have run */
};

struct market_config {
	struct node_id self;
	uint64_t seed; /* pod uids and jitter */
};

/* What this machine can offer now. Copied by market_set_machine(). */
struct market_machine {
	int64_t cpu_milli, memory_bytes; /* allocatable */
	uint32_t overcommit; /* of CPU, per mille of it: 1000, or 0, promises what there is */
	uint32_t pods_max;
	bool schedulable; /* worker role, not --no-schedule, not draining */
	const struct label *labels;
	size_t label_count;
	const char *const *engines;
	size_t engine_count;
	const char *architecture;
	uint32_t reliability;
	const struct taint *taints;
	size_t taint_count;
	const struct resource *resources; /* extended ones */
	size_t resource_count;
	bool priority_limited; /* pods of a priority above @priority_max are not taken */
	int32_t priority_max;
};

/* The caller's knowledge about the issuer and the workload of a message. */
struct market_facts {
	bool steward;          /* the issuer is a steward of the message's namespace */
	bool deleted;          /* a tombstone for the workload is known */
	bool runs;             /* AWARD: one of its slots has a pod here */
	struct bytes envelope; /* TENDER, AWARD: the signed bytes the message came in */
	int64_t rtt_us;        /* to the sender; 0 = unknown */
	struct addr addr;      /* where the issuer said it is; none = unknown */
	bool referred;         /* TENDER: it came by way of others, so silence declines it */
};

/* So many replicas run in a zone of one of the tender's spreads. */
struct market_domain {
	size_t spread;
	uint64_t zone; /* zone_of() the label's value */
	uint32_t count;
};

struct market_request {
	const struct tender *tender;  /* copied */
	struct bytes tender_envelope; /* copied */
	struct bytes manifest;        /* copied */
	const char *pod_name_base;    /* pods are called <base>-<5 characters> */
	const char *pod_name;         /* not NULL: exactly this (kind Pod) */
	uint64_t epoch;
	const struct market_domain *domains; /* the workload's replicas, for its spreads; copied */
	size_t domain_count;
	bool together; /* all slots go to one machine, for the replicas want each other's company */
};

struct market;

struct market *market_new(const struct market_config *config);
void market_free(struct market *market);
void market_set_machine(struct market *market, struct mono now,
			const struct market_machine *machine);

/* Which image references are present here (for bids). Copied. */
void market_set_images(struct market *market, const char *const *images, size_t count);

/* Owner: open a tender. MARKET_E_DUPLICATE if it is open already, MARKET_E_FULL. */
_must_use_ int market_open(struct market *market, struct mono now,
			   const struct market_request *request);

/* Owner: the tender was shown so far in @stage. */
void market_asked(struct market *market, struct mono now, const struct digest *tender_id,
		  enum market_stage stage, const struct market_reach *reach);

/* Owner: an open tender of ours, or NULL. */
const struct tender *market_tender(const struct market *market, const struct digest *tender_id);

/* Owner: what a tender of ours is for, as long as it is remembered; or NULL. */
const struct object_ref *market_object(const struct market *market, const struct digest *tender_id);

/* Would this machine bid on @tender, as far as the tender says? It need not be verified. */
bool market_would_bid(const struct market *market, const struct tender *tender);

/* Owner: give up a tender or its remaining slots (object deleted or changed). */
void market_abandon(struct market *market, struct mono now, const struct uid *object_uid);

/* This machine fits @tender, which is verified, but for its room: its owner is told when that has
 * changed. */
void market_missed(struct market *market, struct mono now, const struct node_id *owner,
		   const struct addr *addr, const struct tender *tender);

/* Any market message but DISPOSAL. The outcome is for counting and logging; nothing is lost. */
_must_use_ int market_receive(struct market *market, struct mono now, const struct node_id *from,
			      const struct message *message, const struct market_facts *facts);

/* The machine @node was lost: its bids are void, its unanswered awards run out as usual. */
void market_peer_lost(struct market *market, struct mono now, const struct node_id *node);

/* Host: the pod's containers run / it could not be started / nothing of it is left. Sends the
 * events to the owner and keeps the ledger. A pod that has ended by itself is no resident any more,
 * although its logs are here. market_pod_ended() of an unknown pod is harmless. */
void market_pod_deployed(struct market *market, struct mono now, const struct uid *pod_uid);
void market_pod_failed(struct market *market, struct mono now, const struct uid *pod_uid,
		       const char *text);
void market_pod_ended(struct market *market, struct mono now, const struct uid *pod_uid);

/* Host, after a restart: this pod of @object runs here and takes @needs. */
void market_pod_recovered(struct market *market, const struct uid *pod_uid,
			  const struct object_ref *object, const struct requirements *needs);

/* Of this machine, for the spreads of @needs. */
void market_zones(const struct market *market, const struct requirements *needs,
		  uint64_t ret_zones[MESSAGE_SPREADS_MAX]);

/* Set resources aside for @ttl_ms. Returns an id, or 0 when they are not free. */
uint64_t market_reserve(struct market *market, struct mono now, int64_t cpu_milli,
			int64_t memory_bytes, int64_t ttl_ms);
void market_unreserve(struct market *market, struct mono now, uint64_t reservation);

void market_tick(struct market *market, struct mono now);
struct mono market_deadline(const struct market *market);
void market_expect(const struct market *market); /* base/cache.h */
const struct market_effect *market_next_effect(struct market *market);

/* The ledger, for the node's facts and for tests. */
struct market_usage {
	int64_t cpu_milli, memory_bytes; /* of awarded pods and reservations */
	uint32_t pods;
	size_t holds, tenders;
};
struct market_usage market_usage(const struct market *market);
uint32_t market_resident(const struct market *market, const struct uid *object_uid);

/* The story of recent tenders of this owner, newest first, for /debug/tenders and the demo's
 * timeline. */
enum trace_stage {
	TRACE_OPENED, /* tender sent; @count machines asked in stage @slot */
	TRACE_BID,    /* a bid of @count copies arrived from @node */
	TRACE_DECIDED,
	TRACE_AWARDED, /* award sent to @node for @slot */
	TRACE_ACCEPTED,
	TRACE_REFUSED,
	TRACE_DEPLOYED, /* containers of @slot have started */
	TRACE_FAILED,
	TRACE_CLOSED,
};

struct trace_step {
	enum trace_stage stage;
	struct mono at;
	struct node_id node;
	uint32_t slot;
	uint32_t count;
};

struct trace {
	struct digest tender_id;
	struct object_ref object;
	uint32_t attempt;
	bool open;
	struct trace_step *steps;
	size_t step_count;
};

const struct trace *market_next_trace(const struct market *market, size_t *position);
const char *trace_stage_name(enum trace_stage stage);
