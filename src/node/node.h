/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Node: one machine's protocol cores wired together.
 *
 * overlay says who is there, records remember, the controller counts replicas, the market places
 * them. The daemon feeds a node from QUIC, HTTP and its host process, the simulator from a virtual
 * clock and network; both run this same code.
 *
 * Sans-IO: call a function for each thing that happens, in time order; take effects with
 * node_next_effect() until NULL; call node_tick() at node_deadline(). Effects belong to the node
 * and stay valid until the next node_next_effect(), whatever else is called meanwhile.
 */
#pragma once

#include "base/time.h"
#include "identity/fabric_time.h"
#include "identity/revocation.h"
#include "market/market.h"
#include "node/journal.h"
#include "node/trust.h"
#include "overlay/overlay.h"
#include "records/records.h"
#include "records/shard.h"
#include "wire/message.h"
#include "wire/presence.h"

enum {
	NODE_PARKED_MAX = 256,            /* envelopes that wait for their issuer's certificate */
	NODE_PARKED_PER_PEER_MAX = 32,    /* of them from one peer: nobody takes all places */
	NODE_PARKED_MS = 3000,            /* then they are dropped and counted */
	NODE_RECORD_CLOCK_MS = 60 * 1000, /* a record's clock and its envelope's: twice 30 s */
	NODE_DISOWN_MS = 5000,     /* from the start: until then its host names what survived */
	NODE_RATE_PEERS_MAX = 512, /* peers that may spend tokens of one kind at a time */
	/* Kept pods go on unasked: when no other machine is known, when none has answered. */
	NODE_ALONE_MS = 200,
	NODE_KEPT_MS = 5000,
	NODE_REBOOT_MS = 60 * 1000, /* after a power cut machines come back at different speeds: so
				     * long nobody replaces what others will start again, unless
				     * a steward says that the fabric went on meanwhile */
	NODE_VOUCH_MS = 60 * 1000,  /* all pods are asked after so often */
	NODE_VOUCH_SOON_MS = 2000,  /* of a new pod: by then its object is everywhere */
	NODE_NOTE_MS = 10 * 60 * 1000, /* and it is written down so often: absences that
					* matter last for days */
	NODE_COMPLETE_MS = 60 * 1000,  /* among others, a steward has what they have: twelve
					* rounds of anti-entropy */
	NODE_ABSENCE_MARGIN_MS =
		24 * 3600 * 1000,       /* a day before tombstones go nobody relies on
					 * them any more: clocks differ, deletions travel */
	NODE_DOUBT_MS = 10 * 60 * 1000, /* among stewards that were all away, as after a power cut
					 * of days: those who were not may come later */
	NODE_FACTS_MS = 1000, /* changed usage figures of our facts are published this often */
};

/* A grace in seconds that means what the pod's manifest says. */
#define NODE_GRACE_OF_MANIFEST UINT32_MAX

enum node_result {
	_NODE_E_OK,
	NODE_E_EXISTS,   /* create: an object of that name exists */
	NODE_E_CONFLICT, /* the expected version is not the current one */
	NODE_E_NOT_FOUND,
	NODE_E_FULL, /* a limit of the records is reached */
	NODE_E_ROLE, /* this machine is no steward of that namespace: ask one */
};

enum node_effect_type {
	NODE_CUT,     /* close every connection to @to, whatever is under way on it */
	NODE_REVOKED, /* node_revocations() has changed: write it down, judge who is connected */
	NODE_SEND,    /* @packet to @to: on its connection, else @addr (if any) is dialled and the
		       * packet waits for that; dropped if neither is possible */
	NODE_DIAL,    /* connect to @addr; @to is its id, or none */
	NODE_CLOSE,   /* close the connection to @to; node_disconnected() follows */
	NODE_PERSIST, /* write @packet (an envelope) under @key; then node_persisted() */
	NODE_FORGET,  /* remove @key from the disk */
	NODE_START,   /* start the pods of @award; @packet is its envelope */
	NODE_RESUME,  /* start the kept pod @pod_uid again; @text says why */
	NODE_NOTE,    /* write down for @pod_uid: @confirmed_ms, and @packet, unless it is empty, as
		       * its object; 0 ms: forget both */
	NODE_STOP,    /* stop @pod_uid within @grace_s; @text says why */
	NODE_PUT_DONE, /* the write @token is stored on @stored of @keepers */
	NODE_LOCATED,  /* @contacts keep the home of node_locate() @token, nearest first */
	NODE_FETCHED, /* the fetch @token of node_fetch() has ended: @stored of @keepers answered */
	NODE_CHANGED, /* @record changed: the watch stream */
	NODE_TOLD,    /* node_journal_each() has more to tell */
	NODE_LOST,    /* a change of the object of @record was lost to one made at the same time:
		       * @text says how to bring it back */
	NODE_PEER,    /* the member @to is now @peer_state */
	NODE_REFUSED, /* a message of @to was refused: @text, for the log */
	NODE_STEPPED, /* fabric time was set by @step_ms */
	NODE_REFRESHED, /* the refresh @token of node_refresh() has ended; @complete: nothing of it
			 * can be missing */
	NODE_FOUND,     /* the lookup @token of node_find() has ended with @contacts */
	NODE_LEAF_WANTED, /* @to is to have a certificate for the pod of @warrant, and its key
			   * @key_of_pod: node_pod_leaf_answer() with the request @token */
	NODE_LEAF_CAME,   /* @to has answered the request @token of node_pod_leaf_ask(): @leaf */
	NODE_AGENTS,      /* more agents of pods are known: node_agents() */
};

struct node_effect {
	enum node_effect_type type;
	struct node_id to;
	struct addr addr;
	struct bytes packet;
	const struct award *award;
	const struct warrant *warrant;
	struct node_id key_of_pod;
	bool of_application; /* that key: it is not the agent's */
	const struct pod_leaf *leaf;
	struct record_key key;
	struct record_version version;
	const struct record
		*record; /* CHANGED: the version that came, or that went; LOST: that lost */
	enum records_change change;
	struct uid pod_uid;
	uint32_t grace_s;
	bool for_good; /* STOP: its object has been deleted */
	int64_t confirmed_ms;
	enum member_state peer_state;
	uint64_t token, hlc;
	uint32_t stored, keepers;
	bool quorum;
	bool conflict;          /* PUT_DONE: refused, for its first keeper has another version */
	int64_t complete_since; /* FETCHED: as records_fetch() says */
	int64_t step_ms;
	const struct contact *contacts;
	size_t contact_count;
	unsigned hops;    /* FOUND: answers on the way to the nearest one */
	bool complete;    /* FOUND: the nearest ones known have all answered */
	const char *text; /* CHANGED: the last words of a pod that is gone; or "" */
};

enum node_counter {
	NODE_COUNT_PACKETS_MALFORMED,
	NODE_COUNT_PACKETS_UNKNOWN, /* of a later version: no fault of the sender */
	NODE_COUNT_SIGNATURE,
	NODE_COUNT_STALE,
	NODE_COUNT_REPLAY,
	NODE_COUNT_CERTIFICATE,
	NODE_COUNT_LEAF_MISSING,
	NODE_COUNT_ROLE,
	NODE_COUNT_AWARD_NO_BID,
	NODE_COUNT_AWARD_LATE,
	NODE_COUNT_AWARD_DIGEST,
	NODE_COUNT_AWARD_FULL,
	NODE_COUNT_NOT_OWNER,
	NODE_COUNT_DELETED,
	NODE_COUNT_RECORD_REFUSED,
	NODE_COUNT_RATE,    /* more than its sender may send */
	NODE_COUNT_ACCUSED, /* machines that replicas elsewhere have missed, and that were asked */
	NODE_COUNT_TENDERS_SEEN,
	NODE_COUNT_TENDERS_OPENED,
	NODE_COUNT_BIDS_SENT,
	NODE_COUNT_AWARDS_SENT,
	NODE_COUNT_AWARDS_ACCEPTED,
	NODE_COUNT_PODS_STARTED,
	NODE_COUNT_PODS_FAILED,
	NODE_COUNT_PODS_STOPPED,
	NODE_COUNT_PODS_RESUMED,        /* after a power cut */
	NODE_COUNT_PROVIDERS_ASKED_FOR, /* requests; each is answered */
	NODE_COUNTER_COUNT,
};

/* What a steward has written down of how complete its records are. Zeroed: nothing. */
struct node_complete {
	int64_t since_ms; /* fabric time */
	int64_t seen_ms;  /* it was so then */
};

/* What was noted of a pod: when its object was last known to live, 0 = never; the signed object. */
struct node_note {
	int64_t confirmed_ms;
	struct bytes object;
};

struct node_config {
	struct member self;
	struct digest leaf; /* hash of our leaf certificate */
	bool steward;       /* of all namespaces, or of some: asked per namespace through trust */
	uint64_t seed;
	struct wall system;           /* the system's clock at start */
	struct fabric_time_kept kept; /* what was written down last time; zeroed at first */
	struct node_complete complete;
	const struct records_standing
		*standing; /* as written down; NULL: nothing. For node_new() */
	bool rebooted;     /* the machine lost power, or was restarted, since its daemon ran last */
	struct wall fabric; /* from a join or the making of a fabric; 0 = neither */
	struct node_trust trust;
	size_t pool; /* kept connections; 0: OVERLAY_POOL_DEFAULT */
	/*
	 * Objects stay with the machine they were given to, which controls them; presences go to
	 * the machine that awarded the pod; facts go nowhere. For the study of overlay and market
	 * in fabrics where not every steward can keep everything.
	 */
	bool records_stay;
	bool journal; /* what happens is noted for people: journal.h */
};

/* What this node has sent of one type of message, to others. */
struct node_traffic {
	uint64_t messages, bytes;
};

/* What a connection proved about its other end. */
struct node_peer {
	struct node_id id;
	struct addr addr;
	bool steward;
};

struct node;

struct node *node_new(const struct node_config *config, struct mono now);
void node_free(struct node *node);

/* Transport. */
void node_bootstrap(struct node *node, struct mono now, const struct addr *addr);
void node_connected(struct node *node, struct mono now, const struct node_peer *peer);
void node_disconnected(struct node *node, struct mono now, const struct node_id *id,
		       const struct addr *addr);
void node_receive(struct node *node, struct mono now, const struct node_id *from,
		  struct bytes packet);

/* What an earlier life, or a simulation, knows of others: overlay_remember(), overlay_know(),
 * overlay_formed(). */
void node_remember(struct node *node, struct mono now, const struct contact *contact);
void node_know(struct node *node, struct mono now, const struct contact *contact);
void node_formed(struct node *node, struct mono now);

/* What it has held and said of the index for long, of a machine that has just been started in a
 * simulation: shards_hold(), shards_said(). Where a shard is kept: with whom would keep a record of
 * this uid. The row that a machine says of itself, of kind "Node" without a namespace; borrows. */
void node_index_hold(struct node *node, struct mono now, const struct shards_part *part);
void node_index_said(struct node *node, struct mono now, const struct shard_id *leaf,
		     const struct index_row *row, const struct contact *holders, size_t count);
struct uid node_index_home(const struct shard_id *shard);
struct index_row node_index_self(const struct node *node);

/* Look up by distance, as overlay_find(); NODE_FOUND follows. */
_must_use_ int node_find(struct node *node, struct mono now, const struct digest *target,
			 bool providers, uint64_t *ret_token);

/* Disk. */
_must_use_ int node_restore(struct node *node, struct mono now, struct bytes envelope);
void node_persisted(struct node *node, struct mono now, const struct record_key *key,
		    const struct record_version *version, bool stored);

/* API. @json is the object complete with uid and generation. @expected_hlc as in records_put(). */
struct node_put {
	const struct object_ref *object;
	uint64_t generation;
	struct bytes json;
	uint64_t expected_hlc;
};
_must_use_ int node_put(struct node *node, struct mono now, const struct node_put *put,
			uint64_t *ret_token, uint64_t *ret_hlc);

/* Bring what the keepers of @uid's home have, as records_fetch(); NODE_FETCHED follows, and then
 * the reads of node_records() find it. */
_must_use_ int node_fetch(struct node *node, struct mono now, const struct uid *uid,
			  uint64_t *ret_token);

/* What is read: objects of a kind. @namespace "" for kinds that have none; NULL: all. @name NULL:
 * all.
 */
struct node_scope {
	const char *kind, *namespace, *name;
	const char *about; /* of kind "Event", whose @name is that of the object that the events are
			    * about: its kind; NULL: any */
};

/* Bring what the fabric has of @scope, pods of workloads included; NODE_REFRESHED follows, at once
 * in a fabric where every machine has everything. Then the reads of node_records() show it as it
 * was no longer than a moment ago, for RECORDS_COPY_MS. DaemonSets and other kinds that every
 * machine follows are refreshed from time to time in all namespaces. */
_must_use_ int node_refresh(struct node *node, struct mono now, const struct node_scope *scope,
			    uint64_t *ret_token);

/* Who keeps the home of @uid (its first UID_HOME_LEN bytes, which may be made for the purpose)?
 * NODE_LOCATED follows; ourselves are among its contacts if we are one of them. */
_must_use_ int node_locate(struct node *node, struct mono now, const struct uid *uid,
			   uint64_t *ret_token);

/* Delete a workload (@pod_uid none), or one pod of it. */
_must_use_ int node_dispose(struct node *node, struct mono now, const struct object_ref *object,
			    const struct uid *pod_uid, uint32_t grace_s, uint64_t *ret_token);

/* Move a pod elsewhere: it stops as soon as another one is ready in its slot. A pod that has no
 * other (bare, an ordinal, not ready itself) stops at once. NODE_E_NOT_FOUND: no such pod. */
_must_use_ int node_evict(struct node *node, struct mono now, const struct uid *pod_uid);

/* The same for all pods of this machine, before it goes. */
void node_leave_pods(struct node *node, struct mono now);

/* Ask a steward to sign for the agent of a pod of this machine, or the application in it: with
 * another @attempt, another one. NODE_LEAF_CAME follows if it answers. NODE_E_NOT_FOUND: no such
 * pod here; NODE_E_ROLE: at this attempt there is nobody. */
struct node_pod_leaf_ask {
	struct uid pod_uid;
	uint64_t request;
	struct node_id key;
	uint8_t proof[MESSAGE_PROOF_LEN]; /* identity/pod_key.h */
	bool application;
	unsigned attempt;
};
_must_use_ int node_pod_leaf_ask(struct node *node, struct mono now,
				 const struct node_pod_leaf_ask *ask);
/* @answer is borrowed. */
void node_pod_leaf_answer(struct node *node, struct mono now, const struct node_id *to,
			  const struct pod_leaf *answer);

/*
 * Where agents of pods are, so that each finds the others: machines tell each other of those of
 * their own pods, and of some that they have heard of. Nothing is believed of it: agents judge each
 * other by their certificates.
 */
/* The agent of a pod here is at @addr under @key from now on, until the pod is gone. */
void node_agent_here(struct node *node, struct mono now, const struct uid *pod,
		     const struct node_id *key, const struct addr *addr);
/* The agent of @reporter, a pod here, hears nothing any more of that of its workload's @pod. */
void node_sibling_missing(struct node *node, struct mono now, const struct uid *reporter,
			  const char *pod);
/* Some of those that are known, but not that of @pod; at most MESSAGE_AGENTS_MAX. */
size_t node_agents(struct node *node, struct mono now, const struct uid *pod,
		   struct agent_heard ret_agents[MESSAGE_AGENTS_MAX]);
/* Iterate the pods here whose agents are known. */
bool node_next_agent_here(const struct node *node, size_t *position, struct uid *ret_pod);

/* Host. */
void node_set_machine(struct node *node, struct mono now, const struct node_facts *facts,
		      const struct market_machine *machine);
void node_set_images(struct node *node, const char *const *images, size_t count);
void node_pod_status(struct node *node, struct mono now, const struct presence *presence);

/* A pod that was running when this process started. @manifest as it was awarded. */
void node_pod_recovered(struct node *node, struct mono now, const struct presence *presence,
			struct bytes manifest);

/* A pod that the host has kept over a power cut and has not started: NODE_RESUME or NODE_STOP
 * follows. */
void node_pod_kept(struct node *node, struct mono now, const struct presence *presence,
		   struct bytes manifest, const struct node_note *note);

/* All pods that the host has have been told: of others nothing is left. */
void node_pods_known(struct node *node);

/* Set resources of this machine aside for @ttl_ms: an id, or 0 when they are not free. */
uint64_t node_reserve(struct node *node, struct mono now, int64_t cpu_milli, int64_t memory_bytes,
		      int64_t ttl_ms);
void node_unreserve(struct node *node, struct mono now, uint64_t reservation);

/* An award could not be handed to the host, or the host refused it. */
void node_pod_refused(struct node *node, struct mono now, const struct uid *pod_uid,
		      const char *text);

/* Say goodbye to the peers; pods stay. */
void node_leave(struct node *node, struct mono now);

/* This machine's leaf has been renewed. What it says of itself is signed again, for the old one may
 * have expired before. */
void node_set_leaf(struct node *node, struct mono now, const struct digest *leaf);

/*
 * Revoke @what from now on, everywhere (revoke.c). 0; NODE_E_ROLE: this machine does not admit;
 * NODE_E_FULL: the set takes no more. What is connected meanwhile is told; NODE_REVOKED follows.
 */
_must_use_ int node_revoke(struct node *node, struct mono now, const struct revocation *what);

/* One that was written down, with the chain of who signed it. Before the first connection. 0, or
 * why it does not count. */
_must_use_ int node_restore_revocation(struct node *node, struct mono now, const struct leaf *chain,
				       struct bytes envelope);

/* A peer's certificate is good for nothing here any more: it is cut off, and has left for us. */
void node_expel(struct node *node, struct mono now, const struct node_id *id);
bool node_is_revoked(const struct node *node, const struct node_id *id);
const struct revocations *node_revocations(const struct node *node);

/* What to write down about time, every FABRIC_TIME_PERSIST_MS and after a step. */
struct fabric_time_kept node_keep_time(struct node *node, struct mono now, struct wall system);

/* What to write down of this steward's completeness, as often as of time. */
struct node_complete node_keep_complete(const struct node *node, struct mono now);
void node_keep_standing(const struct node *node, struct records_standing *ret);

void node_tick(struct node *node, struct mono now);

/* For a caller with very many nodes: something will happen to @node soon, or (@parts) next, so that
 * its memory may be fetched meanwhile: base/cache.h. */
void node_expect(const struct node *node, bool parts);
struct mono node_deadline(const struct node *node);
const struct node_effect *node_next_effect(struct node *node);

/* What has happened, as far as it was noted or heard here: journal_each(). Of what others keep, a
 * refresh of kind "Event" brings it here. */
void node_journal_each(struct node *node, struct mono now, const char *namespace, journal_fn *each,
		       void *arg);

/* Reads. */
struct wall node_fabric_time(const struct node *node, struct mono now);
bool node_fabric_time_is_settled(const struct node *node);
const struct records *node_records(const struct node *node);
struct shards_counts node_index_counts(const struct node *node);
const struct overlay *node_overlay(const struct node *node);
const struct market *node_market(const struct node *node);
const struct node_id *node_self(const struct node *node);
struct node_traffic node_traffic(const struct node *node, enum message_type type);
uint64_t node_counter(const struct node *node, enum node_counter counter);
const char *node_counter_name(enum node_counter counter);
