/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of node/ share; nobody else includes this. */
#pragma once

#include "base/list.h"
#include "base/map.h"
#include "base/prng.h"
#include "identity/fabric_time.h"
#include "kube/needs.h"
#include "kube/statefulset.h"
#include "market/controller.h"
#include "market/tenure.h"
#include "node/journal.h"
#include "node/node.h"

/* An effect with the memory it points to. */
struct queued_effect {
	struct list link;
	struct node_effect effect;
	struct buf packet;
	struct contact *contacts; /* FOUND */
	struct message award;     /* START; LEAF_WANTED: its warrant; LEAF_CAME */
	struct record record;     /* CHANGED */
	char *text;
};

/* An object that asks for pods, as the cores need it; parsed once per version. */
struct workload {
	struct object_ref object;
	uint64_t generation;
	uint64_t hlc;
	int64_t written_ms;
	uint32_t replicas;
	bool single;    /* kind Pod */
	bool exclusive; /* an ordinal of a StatefulSet */
	bool dying;     /* it is being deleted: nothing of it is started any more */
	uint64_t epoch; /* of it */
	struct requirements needs;
	struct kube_priority priority;
	struct digest manifest_digest;
	char **images;
	size_t image_count;
	char **claims; /* names of PersistentVolumeClaims */
	size_t claim_count;
	char *pod_name_base;
	char *origin_kind, *origin_name; /* what a user would name: the Deployment */
	struct node_id controller;       /* when it was shown last */
	bool dirty;                      /* to be shown to the controller, at @show_at */
	struct mono show_at, shown_at;
	size_t pods;           /* then */
	struct mono gap_since; /* another machine controls it, and replicas are missing; 0: none */
	struct contact *hints; /* who said that there is room now: asked first */
	size_t hint_count;
};

/* Whom to send to; @addr is needed when no connection stands. */
struct node_destination {
	struct node_id id;
	struct addr addr;
};

/* A pod of this machine, from its award until nothing of it is left. */
struct local_pod {
	struct presence presence;
	struct buf written; /* the presence as last published */
	bool deployed;      /* the market has been told */
	bool stopping;
	bool for_good;                 /* its object has been deleted */
	bool of_this_life;             /* started by this process: by its fabric time */
	bool kept;                     /* over a power cut; it has not been decided yet */
	int64_t confirmed_ms;          /* fabric time: its object was known to live; 0: never */
	int64_t noted_ms;              /* what of that is on disk */
	struct buf object;             /* the signed object, from the disk; only of a kept pod */
	uint32_t stop_grace_s;         /* while it is stopping */
	struct node_destination owner; /* who awarded it; none after a restart */
	struct kube_tenure *seat;      /* of an ordinal that has registrars; else NULL */
	struct mono claim_until;       /* registrars that an operator made are told of it */
	struct recall *recall; /* of a kept pod that needs leave to start again; else NULL */
};

/* What the registrars have said of a kept ordinal in the present round: recall.c. */
struct recall {
	struct candidacy candidacy;
	struct mono ask_at, until;
};

/* An envelope whose issuer's certificate has been asked for. */
struct parked {
	struct list link;
	struct node_id from;
	struct digest leaf;
	struct buf envelope;
	struct uid broadcast; /* by which it came; none: by no broadcast */
	struct contact owner; /* a tender that @from handed on: who is to be dialled; else none */
	uint32_t share;
	struct mono deadline;
};

/* So many things in a minute, and so many at once. */
struct node_rate {
	int64_t per_minute, burst;
};

struct node_bucket {
	bool used;
	struct mono at;
	int64_t parts;
};

enum {
	NODE_LOOKUPS_MAX = 16, /* tenders that wait for a provider set; more go without */
};

/* Who has the rarest thing that a tender needs? */
struct node_lookup {
	uint64_t token;
	struct digest tender_id, key;
	size_t wanted;
	struct buf envelope;
};

/* A broadcast that is to be judged. */
struct node_gossip {
	struct uid id;
	struct bytes envelope;
	struct contact owner; /* who asks everybody; none: a disposal */
	uint32_t share;
};

/* A packet to ourselves. */
struct loopback {
	struct list link;
	struct buf packet;
};

struct node {
	struct node_config config;
	struct prng prng; /* whom to ask */
	char *name;
	struct fabric_time time;
	struct overlay *overlay;
	struct records *records;
	struct market *market;
	struct controller *controller;
	struct map workloads; /* object uid -> struct workload */
	struct map pods;      /* pod uid -> struct local_pod */
	struct map rooms;     /* node id -> struct room (capacity.c) */
	struct map hand_ons;  /* node id -> its bucket (rate.c): machines it had us refer to */
	struct map referred;  /* the same: tenders it handed to us */
	struct map owner_broadcasts; /* the same: tenders it broadcast */
	struct map disposals;        /* the same: disposals it broadcast */
	struct map speakers;         /* the same: tenders and bids of its own */
	struct node_bucket own_broadcasts, all_broadcasts, relayed;
	struct node_lookup *lookups; /* NODE_LOOKUPS_MAX, once there is one */
	size_t lookup_count;
	struct revocations revocations;
	struct map provided;  /* texts of what this machine provides (provide.c) */
	struct map stewards;  /* node id -> itself, of connected peers that proved to be stewards */
	struct list effects;  /* struct queued_effect */
	struct list loopback; /* struct loopback */
	struct list parked;   /* struct parked */
	struct list letters;  /* presences on their way, where records stay: stay.c */
	size_t letter_count;
	struct shards *shards;    /* index.c */
	struct map index_lookups; /* token of the records -> token of the shards */
	struct mono index_due;
	struct list refreshes; /* struct node_refresh: refresh.c */
	size_t refresh_count;
	uint64_t refresh_token;
	struct journal *journal; /* NULL: none is kept */
	bool told;               /* it has news that nobody was told of yet */
	struct list readings;    /* of others' journals: journal_read.c */
	uint64_t reading_token;
	struct map journal_askers; /* node id -> its bucket (rate.c) */
	struct list locatings;     /* lookups for the records: keepers.c */
	size_t locating_count;
	struct map partners; /* node id -> itself: who keeps something together with us */
	bool near;           /* the records go by our neighbourhood, not by all stewards, */
	uint64_t near_seen, far_seen; /* which were in this state when they were told last */
	struct mono near_due;
	struct map
		watches; /* pod uid -> the machine that runs it, where not all are seen: stay.c */
	size_t parked_count;
	struct digest missing_leaf;    /* of the envelope just opened */
	struct queued_effect *current; /* handed out by node_next_effect() */
	struct bytes award_envelope;   /* of the award being received */
	struct node_facts facts;
	bool facts_known;
	struct buf facts_written;
	struct mono facts_due;
	struct mono started, disown_due, stay_due;
	struct mono kept_due, vouch_due, complete_due; /* vouch.c, complete.c */
	struct mono hold_due;
	struct mono hold_until;        /* nothing is placed before: the power has just come back */
	bool sized;                    /* the records know how large the fabric is: keepers.c */
	bool knows_peers;              /* other machines, whether they live or not */
	bool complete, heard_complete; /* we; another one of whom we know */
	int64_t complete_since_ms, heard_since_ms;
	/* doubt.c: fabric time at which this steward ran last, until that does not matter any more:
	 * 0 */
	int64_t absent_since_ms;
	struct mono doubt_due, doubt_end;
	struct map doubt_fetches; /* token of the records -> uid of a doubted object */
	bool workloads_dirty;
	struct mono shows_due; /* dirty workloads that wait */
	struct map dying;      /* uid -> struct dying: what is being deleted (collect.c) */
	struct map dependents; /* uid -> struct uid_list: who names it as its owner */
	struct map ended;      /* name of a deleted Namespace -> clock of its tombstone */
	struct map clashes;    /* uid -> struct mono: lost its name to an older one; judged then */
	bool ended_dirty;      /* something may lie in one of them */
	struct mono collect_due, collect_sweep;
	struct map families; /* home of a uid -> struct family (control.c) */
	struct list families_dirty;
	struct mono families_due;  /* when one of them wants to be looked at, or sooner */
	struct registry *registry; /* tenure.c */
	struct list candidates;    /* struct candidate: awards of ordinals that wait there */
	struct list agents;        /* struct known_agent: agents.c */
	size_t agent_count;
	struct map agent_words;   /* node id -> its bucket: what it says of agents */
	struct map sibling_words; /* the same of siblings that are missed */
	struct mono agents_due;   /* something is to be said of ours */
	bool agents_news;         /* to several at once */
	struct map leaf_wants;    /* node id -> its bucket: certificates of pods asked for */
	struct map tenure_words;  /* node id -> its bucket: words about tenures */
	struct mono tenure_due;
	struct colleges *colleges; /* college.c */
	struct mono college_look_at;
	bool pods_known; /* the host has said what it runs */
	struct mono last;
	uint64_t counters[NODE_COUNTER_COUNT];
	struct node_traffic traffic[MESSAGE_TYPE_COUNT];
};

static inline struct bytes uid_bytes(const struct uid *uid)
{
	return bytes_of(uid->byte, UID_LEN);
}

/* node.c */
struct queued_effect *node_queue(struct node *node, enum node_effect_type type);
struct queued_effect *node_queue_contacts(struct node *node, enum node_effect_type type,
					  const struct contact *contacts, size_t count);
void node_pump(struct node *node, struct mono now);
void node_send_packet(struct node *node, const struct node_destination *to, enum message_type type,
		      struct bytes body);
void node_send_signed(struct node *node, struct mono now, const struct node_destination *to,
		      const struct message *message);
void node_seal(struct node *node, struct mono now, const struct message *message,
	       struct buf *ret_envelope);
size_t node_broadcast(struct node *node, enum message_type type, struct bytes envelope);
void node_count(struct node *node, enum node_counter counter);
void node_refuse(struct node *node, const struct node_id *from, const char *text);

/* sibling.c */
void node_sibling_reported(struct node *node, struct mono now, const struct node_id *from,
			   const struct sibling_missing *missing);

/* deliver.c */
bool node_signer_is_steward(const struct node *node, const struct node_signed *opened,
			    const char *namespace);
void node_deliver(struct node *node, struct mono now, const struct node_id *from,
		  struct bytes packet);
void node_parked_expire(struct node *node, struct mono now);
struct mono node_parked_deadline(const struct node *node);

void node_deliver_referred(struct node *node, struct mono now, const struct node_signed *opened,
			   struct bytes envelope, const struct addr *owner_addr);
void node_park_referred(struct node *node, struct mono now, const struct node_id *from,
			struct bytes envelope, const struct contact *owner);
void node_park_gossip(struct node *node, struct mono now, const struct node_id *from,
		      const struct node_gossip *gossip);
bool node_deliver_disposal(struct node *node, struct mono now, const struct node_signed *opened,
			   const struct disposal *disposal);
void node_parked_connected(struct node *node, struct mono now, const struct node_id *id);

/* ask.c */
void node_ask(struct node *node, struct mono now, const struct market_effect *effect);
void node_referral(struct node *node, struct mono now, const struct node_id *from,
		   const struct referral *referral);
bool node_may_speak(struct node *node, struct mono now, const struct node_id *from,
		    enum message_type type);
void node_hint(struct node *node, const struct market_effect *room);
bool node_found(struct node *node, struct mono now, const struct overlay_effect *found);
void node_lookups_deinit(struct node *node);
int node_referred(struct node *node, struct mono now, const struct contact *owner,
		  struct bytes envelope);

/* revoke.c */
/* Open @envelope as trust does, and refuse what its issuer signed after it was revoked. */
int node_open(struct node *node, struct mono now, struct bytes envelope, struct node_signed *ret);
void node_revocations_greet(struct node *node, const struct node_id *id);
void node_revocation_arrived(struct node *node, struct mono now, const struct node_id *from,
			     const struct node_signed *opened, const struct revocation *what,
			     struct bytes envelope);
void node_revoked_arrived(struct node *node, const struct node_id *from,
			  const struct revoked *revoked);

/* provide.c */
void node_provide(struct node *node, struct mono now, const struct market_machine *machine);
bool node_provides(const struct node *node, const struct digest *key);
void node_provided_deinit(struct node *node);

/* gossip.c */
void node_gossip_envelope(struct node *node, struct mono now, struct bytes envelope);
bool node_gossip_may_ask(struct node *node, struct mono now);
void node_gossip_ask(struct node *node, struct mono now, const struct referral *referral);
int node_gossip_judge(struct node *node, struct mono now, const struct node_gossip *gossip);
void node_gossip_arrived(struct node *node, struct mono now, const struct node_id *from,
			 const struct uid *id, struct bytes payload);

/* rate.c */
_must_use_ bool node_bucket_take(struct node_bucket *bucket, struct mono now,
				 const struct node_rate *rate, int64_t cost);
_must_use_ bool node_rate_take(struct map *spenders, struct mono now, const struct node_id *id,
			       const struct node_rate *rate, int64_t cost);
/* Take @cost, whether there is as much or not; but never owe more than that. */
void node_bucket_owe(struct node_bucket *bucket, struct mono now, const struct node_rate *rate,
		     int64_t cost);
void node_rates_deinit(struct map *spenders);

/* place.c */
bool node_drain_controller(struct node *node, struct mono now);
bool node_drain_market(struct node *node, struct mono now);
bool node_show_dirty(struct node *node, struct mono now);
void node_workloads_due(struct node *node, struct mono now);
void node_workloads_touch_all(struct node *node);
void node_workloads_recheck(struct node *node); /* those that have another controller now */
void node_workload_forget(struct node *node, struct mono now, const struct uid *uid);
void node_workload_changed(struct node *node, const struct record *record, bool removed);
void node_workloads_deinit(struct node *node);

bool node_machine_alive(const struct node *node, const struct node_id *id);

/* control.c */
/* When fabric time will be @at. */
struct mono node_mono_of(const struct node *node, struct mono now, struct wall at);
void node_families_changed(struct node *node, const struct record *record);
void node_families_touch_all(struct node *node);
bool node_families_run(struct node *node, struct mono now);
void node_families_tick(struct node *node, struct mono now);
void node_families_deinit(struct node *node);
struct control_pod;
struct control_step;
/* @presences as reconcilers see them; they are borrowed, the array is the caller's. */
_must_use_ struct control_pod *node_control_pods(const struct node *node,
						 const struct presence *presences, size_t count);
void node_control_step(struct node *node, struct mono now, const struct control_step *step);

/* collect.c */
void node_collect_init(struct node *node, struct mono now);
void node_collect_deinit(struct node *node);
void node_collect_changed(struct node *node, const struct record *record,
			  enum records_change change);
/* The object @uid lost its name to an older one. */
void node_collect_clash(struct node *node, const struct uid *uid);
/* Whether the refresh @token was one of its own. */
bool node_collect_refreshed(struct node *node, uint64_t token, bool complete);
void node_collect_tick(struct node *node, struct mono now);
struct mono node_collect_deadline(const struct node *node);

/* vouch.c */
/* Is the object deleted that lived at @confirmed_ms, if the steward of @vouch does not know it? */
bool absence_means_deleted(int64_t confirmed_ms, const struct vouch *vouch, int64_t now_ms);
void node_vouch_wanted(struct node *node, struct mono now, const struct node_id *from,
		       const struct vouch_want *want);
void node_vouched(struct node *node, struct mono now, const struct node_signed *opened,
		  const struct vouch *vouch);
void node_vouch_want(struct node *node, const struct node_id *to, struct vouch_pod *pods,
		     size_t count);
void node_vouch_joined(struct node *node, struct mono now, const struct node_id *id);
bool node_is_holding(const struct node *node, struct mono now);
/* A kept pod starts again; or it ends, and never does. */
void node_kept_resume(struct node *node, struct local_pod *pod, const char *text);
void node_kept_end(struct node *node, struct local_pod *pod, const char *text);
void node_vouch_tick(struct node *node, struct mono now);
struct mono node_vouch_deadline(const struct node *node);

/* complete.c */
void node_complete_init(struct node *node, struct mono now);
bool node_is_complete(const struct node *node);
void node_complete_heard(struct node *node, const struct node_id *from, const struct vouch *vouch);
void node_complete_tick(struct node *node, struct mono now);

/* doubt.c */
void node_doubt_init(struct node *node, struct mono now);
void node_doubt_deinit(struct node *node);
void node_doubt_check(struct node *node, struct mono now);
/* A steward may be there; @to is asked about what is in doubt. */
void node_doubt_met(struct node *node, struct mono now);
void node_doubt_ask(struct node *node, struct mono now, const struct node_id *to);
bool node_is_among_stewards(const struct node *node);
/* False: it is not in doubt. */
bool node_doubt_judge(struct node *node, struct mono now, const struct vouch *vouch,
		      const struct verdict *verdict);
bool node_doubt_fetched(struct node *node, struct mono now, const struct records_effect *fetched);
void node_doubt_tick(struct node *node, struct mono now);
struct mono node_doubt_deadline(const struct node *node);

/* tenure.c */
void node_tenures_init(struct node *node);
void node_tenures_deinit(struct node *node);
/* False: its manifest is no ordinal's, or of one that has no registrars. */
_must_use_ bool node_tenure_read(struct bytes manifest, struct kube_tenure *ret_seat);
/* What this machine says of a pod of an ordinal that is here, with a serial of its own. */
struct tenure node_tenure_of(struct node *node, struct mono now, const struct local_pod *pod);
/* True: the pod of @start is one of an ordinal; node_pods_begin() follows, or it has failed. */
_must_use_ bool node_tenure_ask(struct node *node, struct mono now,
				const struct market_effect *start, const char *namespace);
/* A pod that has not begun yet is not to. False: it has, or is none. */
bool node_tenure_drop(struct node *node, struct mono now, const struct uid *pod_uid);
void node_tenures_drop_matching(struct node *node, struct mono now, const struct uid *uid,
				const char *namespace);
void node_tenures_drop_all(struct node *node, struct mono now);
_must_use_ bool node_tenure_is_asked(const struct node *node, const struct uid *object_uid,
				     uint32_t slot);
/* Nothing is left of the pod. */
void node_tenure_release(struct node *node, struct mono now, const struct kube_tenure *seat,
			 const struct uid *pod_uid);
void node_tenure_arrived(struct node *node, struct mono now, const struct node_id *from,
			 const struct tenure *tenure);
void node_tenure_written(struct node *node, struct mono now, const struct record_key *key,
			 const struct record_version *version, bool stored);
void node_tenure_restore(struct node *node, const struct tenure *entry);
bool node_tenure_may_speak(struct node *node, struct mono now, const struct node_id *from);
void node_tenure_write(struct node *node, struct mono now, const struct uid *set, uint32_t ordinal);
/* @seat's registrars may be others by now; @pod, which has it, tells them if an operator made them.
 */
void node_tenure_seated(struct node *node, struct mono now, struct local_pod *pod);
/* Its StatefulSet says so; or some registrar. */
void node_tenures_follow(struct node *node, struct mono now, const struct uid *set,
			 const struct registrars *registrars);
void node_tenures_told(struct node *node, struct mono now, const struct node_id *from,
		       const struct college *later);
void node_tenures_forget(struct node *node, const struct uid *set);
void node_tenures_drop_book(struct node *node, const struct uid *set);
void node_tenure_tick(struct node *node, struct mono now);
/* Ask those of @registrars who have not given it yet. */
void node_tenure_ask_again(struct node *node, struct mono now, const struct registrars *registrars,
			   const struct candidacy *candidacy);

/* ---- recall.c ---- */

/* May its ordinal have been placed elsewhere while this machine was off? */
bool node_recall_is_needed(const struct local_pod *pod);
/* @pod, which is kept, starts when most of its registrars give it its ordinal anew. */
void node_recall_begin(struct node *node, struct mono now, struct local_pod *pod);
void node_recall_end(struct local_pod *pod);
void node_recalls_tick(struct node *node, struct mono now);
/* GIVEN or HELD: false if it is about no pod that waits for it. */
bool node_recall_answered(struct node *node, struct mono now, const struct node_id *from,
			  const struct tenure *word);
void node_recall_told(struct node *node, struct mono now, const struct node_id *from,
		      const struct college *later);

/* college.c */
void node_registrars_newest(const struct node *node, const struct uid *set,
			    struct registrars *registrars);
void node_college_record(struct node *node, const struct record *record);
void node_college_look(struct node *node, struct mono now, const struct uid *set);
struct record_key node_college_disk_key(const struct uid *set);
bool node_college_is_disk_key(const struct record_key *key);
bool node_drain_colleges(struct node *node, struct mono now);
void node_college_later(struct node *node, struct mono now, const struct node_destination *to,
			const struct uid *set);
void node_college_arrived(struct node *node, struct mono now, const struct node_id *from,
			  const struct college *college);
void node_college_restore(struct node *node, struct mono now, const struct college *written);
void node_college_tick(struct node *node, struct mono now);
/* @put's object with its registrars, the caller's; NULL: it is to be written as it is. @known: its
 * present version, or NULL. */
_must_use_ json_t *node_with_registrars(const struct node *node, const struct node_put *put,
					const struct record_item *known);

/* warrant.c */
/* The owner's warrants of an award of @workload, into it. */
void node_warrants_write(struct node *node, struct mono now, const struct workload *workload,
			 struct award *award);
/* 0 and a warrant that a steward of its namespace has signed, or NODE_TRUST_E_*; of E_LEAF
 * node->missing_leaf is the missing one. */
_must_use_ int node_warrant_open(struct node *node, struct mono now, struct bytes envelope,
				 struct node_id *ret_issuer, struct warrant *ret_warrant);
/* Does each assignment of @award, of @issuer, have its warrant? */
_must_use_ bool node_award_is_warranted(struct node *node, struct mono now,
					const struct node_id *issuer, const struct award *award,
					const struct object_ref *object);
/* Was the pod of a presence awarded to @writer? 0, or as node_warrant_open(). */
_must_use_ int node_presence_judge(struct node *node, struct mono now, const struct record *record,
				   const struct node_id *writer);

/* pod_leaf.c */
void node_pod_leaf_wanted(struct node *node, struct mono now, const struct node_id *from,
			  const struct pod_leaf_want *want);
void node_pod_leaf_came(struct node *node, const struct node_id *from, const struct pod_leaf *leaf);

/* agents.c */
void node_agents_init(struct node *node, uint64_t seed);
void node_agents_tick(struct node *node, struct mono now);
void node_agents_heard(struct node *node, struct mono now, const struct node_id *from,
		       const struct agents_heard *agents);
void node_agents_deinit(struct node *node);

/* deliver.c */
/* Ask @to for a certificate. */
void node_leaf_want(struct node *node, const struct node_id *to, const struct digest *leaf);

/* capacity.c */
void node_capacity_changed(struct node *node, struct mono now, const struct record *record);
void node_capacity_forget(struct node *node, const struct node_id *machine);
void node_capacity_deinit(struct node *node);

/* disown.c */
void node_disown(struct node *node, struct mono now);
void node_disown_check(struct node *node, const struct record *record);

/* job.c */
struct control_job_plan;
/* Which slots of a Job are to be filled; false: @job is none. */
_must_use_ bool node_job_plan(const struct node *node, struct mono now,
			      const struct object_ref *job, const struct controller_view *seen,
			      struct control_job_plan *ret_plan);

/* workload.c */
struct workload *workload_read(const struct record *record);
void workload_free(struct workload *workload);

/* stay.c: records that stay where they were written */
void node_presence_tell(struct node *node, struct mono now, const struct node_destination *owner,
			const struct record *presence, struct bytes envelope);
void node_presence_seen(struct node *node, const struct node_id *from,
			const struct record_ack *ack);
void node_stay_tick(struct node *node, struct mono now);
void node_watch(struct node *node, struct mono now, const struct uid *object_uid,
		const struct uid *pod_uid, const struct contact *machine);
void node_unwatch(struct node *node, const struct uid *pod_uid);
void node_watched_lost(struct node *node, const struct node_id *machine);
void node_watched_joined(struct node *node, struct mono now, const struct node_id *machine);
void node_watched_seen(struct node *node, const struct uid *pod_uid);
void node_stay_deinit(struct node *node);

bool node_watches(const struct node *node, const struct node_id *machine);

/* keepers.c: what the overlay knows of stewards, for the records */
void node_stewards_update(struct node *node, struct mono now);
void node_near_check(struct node *node, struct mono now);
void node_locate_home(struct node *node, struct mono now, const struct uid *home,
		      const struct digest *target);
bool node_home_located(struct node *node, struct mono now, const struct overlay_effect *found);
void node_partner(struct node *node, struct mono now, const struct contact *partner, bool near);
bool node_is_partner(const struct node *node, const struct node_id *id);
void node_keepers_deinit(struct node *node);

/* index.c */
void node_index_init(struct node *node, struct mono now);
void node_index_deinit(struct node *node);
bool node_index_is_used(const struct node *node);
void node_index_begin(struct node *node, struct mono now);
void node_index_changed(struct node *node, struct mono now, const struct record_item *item,
			enum records_change change);
void node_index_receive(struct node *node, struct mono now, const struct node_id *from,
			const struct message *message);
bool node_index_located(struct node *node, struct mono now, const struct records_effect *effect);
bool node_drain_index(struct node *node, struct mono now);
void node_index_tick(struct node *node, struct mono now);
struct mono node_index_deadline(const struct node *node);

/* claim.c: PersistentVolumeClaims of workloads */
struct node_claims {
	char *machine; /* the only one that will do, owned; NULL: any */
	bool unbound;  /* the pods must go to one machine: it gets a claim that is on none yet */
};
void node_claims_note(struct workload *workload, const json_t *object);
void node_claims_deinit(struct workload *workload);
/* Where a pod of the workload can run; false: nowhere now, for a claim is missing or ends. */
_must_use_ bool node_claims_place(struct node *node, struct mono now,
				  const struct workload *workload, struct node_claims *ret_claims);
/* Bind what is unbound to the machine of its first pod. */
void node_claims_bind(struct node *node, struct mono now, const struct workload *workload,
		      const struct presence *pods, size_t count);
void node_claim_changed(struct node *node, struct mono now, const struct object_ref *claim);
/* Whether a pod that has not ended may have it mounted, as far as this machine knows. */
bool node_claim_is_used(const struct node *node, const struct object_ref *claim);

/* refresh.c */
/* As node_refresh(), but what follows is left to the pump that is running. */
void node_refresh_begin(struct node *node, struct mono now, const struct node_scope *scope,
			uint64_t *ret_token);
void node_refresh_found(struct node *node, struct mono now, const struct shards_effect *effect);
bool node_refresh_fetched(struct node *node, struct mono now, const struct records_effect *effect);
void node_refresh_tick(struct node *node, struct mono now);
struct mono node_refresh_deadline(const struct node *node);
void node_refreshes_deinit(struct node *node);

/* Of the refresh @token somebody has read the journals. */
void node_refresh_read(struct node *node, struct mono now, uint64_t token, bool complete);

/* witness.c: what the change of a record means to people */
void node_witness(struct node *node, const struct record_item *item, enum records_change change,
		  const struct record_item *end);
void node_witness_lost(struct node *node, const struct record_item *loser, const char *text);
void node_witness_stored(struct node *node); /* what follows from what is stored */

/* journal_read.c: what keepers have noted */
void node_journal_init(struct node *node);
void node_journal_deinit(struct node *node);
/* Ask keepers of the home of @uid for what they have noted: node_refresh_read() follows. */
uint64_t node_reading_begin(struct node *node, struct mono now, const struct uid *uid);
bool node_reading_located(struct node *node, struct mono now, const struct records_effect *effect);
void node_journal_asked(struct node *node, struct mono now, const struct node_id *from,
			const struct journal_ask *ask);
void node_journal_answered(struct node *node, struct mono now, const struct node_id *from,
			   const struct journal_page *page);
void node_journal_tick(struct node *node, struct mono now);
struct mono node_journal_deadline(const struct node *node);
void node_journal_tell(struct node *node); /* that it has news */

/* object.c */
bool node_drain_records(struct node *node, struct mono now);
struct node_id node_controller(const struct node *node, const struct uid *uid);
int node_put_record(struct node *node, struct mono now, struct record *record,
		    uint64_t expected_hlc, uint64_t *ret_token);
/* As node_put() and node_dispose(), but what follows is left to the pump that is running. */
_must_use_ int node_object_put(struct node *node, struct mono now, const struct node_put *put,
			       uint64_t *ret_token, uint64_t *ret_hlc);
_must_use_ int node_object_dispose(struct node *node, struct mono now,
				   const struct object_ref *object, const struct uid *pod_uid,
				   uint32_t grace_s, uint64_t *ret_token);
int node_put_presence(struct node *node, struct mono now, struct record *record,
		      const struct node_destination *owner);

/* pod.c */
void node_pods_start(struct node *node, struct mono now, const struct market_effect *start);
/* @epoch: of its ordinal, 0: what the award says. */
void node_pods_begin(struct node *node, struct mono now, const struct market_effect *start,
		     uint64_t epoch);
void node_pod_stop(struct node *node, const struct uid *pod_uid, uint32_t grace_s,
		   const char *text);
void node_pods_stop_matching(struct node *node, const struct uid *uid, const char *namespace,
			     uint32_t grace_s);
/* It is to stop when another one is ready in its slot; a bare pod has no other: it stops now. */
void node_pod_leave(struct node *node, struct mono now, const struct uid *pod_uid,
		    const char *namespace);
bool node_is_deleted(const struct node *node, const struct uid *uid, const char *namespace);
bool node_facts_addr(const struct node *node, const struct node_id *machine, struct addr *ret_addr);
void node_facts_publish(struct node *node, struct mono now);
void node_publish_again(struct node *node, struct mono now);
/* Fabric time was set: what this life has said of its pods' times was meant by the old one. */
void node_pods_shift(struct node *node, struct mono now, int64_t step_ms);
void node_pods_deinit(struct node *node);
/* Publish that a pod is gone which this process knows only from an older one's presence. */
void node_presence_gone(struct node *node, struct mono now, const struct presence *presence);
