/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside of the overlay: the table of peers and the functions its files share.
 *
 * A peer is first a *candidate*: somebody named it, and all that follows from that is a dial. Once
 * it has connected (the caller verified its certificate) and greeted us it is a *member* and has a
 * state; only members are shown outside, vouched for, and named to others.
 *
 *	ALIVE --silence--> SUSPECT --silence--> DEAD
 *	  ^                   |                   |
 *	  +--heard, vouched---+   LEFT <--goodbye-+--any state
 *	  +-------------------hello, heard--------+
 *
 * A connected member is *kept*: it belongs to the pool. A connection without greeting is
 * *transient*. A member that is *released* is no longer either's pool member: its connection is a
 * transient one from then on, and nothing is said of its life.
 *
 * OUR clock: `now` stands still while we are stalled, so that all silence is measured in time in
 * which we could have heard something (liveness.c). The parts (view, tree, kad) get real time.
 */
#pragma once

#include "base/prng.h"
#include "overlay/kad.h"
#include "overlay/overlay.h"
#include "overlay/tree.h"
#include "overlay/view.h"

enum {
	OVERLAY_WITNESSES = 3,                         /* asked about a suspect at a time */
	OVERLAY_WITNESSES_MAX = 3 * OVERLAY_WITNESSES, /* whose answer counts: it may be stalled */
	OVERLAY_WITNESS_FRESH_MS = 1500, /* what a witness has seen itself, and how recently */
	OVERLAY_WITNESS_MS = 4500,  /* in a large fabric others are asked after this much silence:
				     * later than a stall of 3 s can last */
	OVERLAY_ASKERS_MAX = 8,     /* who waits for our word about one peer; others go without */
	OVERLAY_LOOKS_MAX = 8,      /* machines we do not know, looked at for others, at a time */
	OVERLAY_LOOK_MS = 3000,     /* then a look has seen nothing */
	OVERLAY_LAST_WORD_MS = 100, /* before suspicion and verdict: what came while we were stalled
				     * is heard, and witnesses who are asked once more */
	OVERLAY_SUSPECT_PING_MS = 1000,                     /* a suspect is probed this often */
	OVERLAY_COLD_SUSPECT_MS = 3 * OVERLAY_KEEPALIVE_MS, /* for members that are only kept */
	OVERLAY_COLD_DEAD_MS = OVERLAY_COLD_SUSPECT_MS + OVERLAY_DEAD_MS - OVERLAY_SUSPECT_MS,
	OVERLAY_BROKEN_SUSPECT_MS =
		5000, /* for one whose connection broke: it may have given us up */
	OVERLAY_BROKEN_DEAD_MS = 20000,
	OVERLAY_GOSSIP_MAX = 3,          /* reports on a ping: it stays within one datagram */
	OVERLAY_NEWS_MAX = 64,           /* members that are news; the oldest is pushed out */
	OVERLAY_NEWS_REPEATS = 8,        /* pings that carry a piece of news */
	OVERLAY_INTRODUCED_MAX = 16,     /* members a newcomer is told of in a large fabric */
	OVERLAY_CANDIDATES_MAX = 256,    /* a liar's inventions cannot fill the table */
	OVERLAY_CANDIDATE_TRIES = 6,     /* then a candidate is dropped; it may be named again */
	OVERLAY_DIALS_MAX = 16,          /* at a time: dialling costs us handshakes */
	OVERLAY_DIAL_WAIT_MS = 200,      /* to look again whether one of them has ended */
	OVERLAY_DIAL_TIMEOUT_MS = 20000, /* a dial of which the caller says nothing has failed */
	OVERLAY_TIE_MS = 300,      /* of two that hear of each other the lower id dials first */
	OVERLAY_SETTLED_MS = 5000, /* a connection that lasted so long resets the back-off */
	OVERLAY_GRID_MS = 250, /* turns of peers in good health are gathered: a tick serves many */
	OVERLAY_STALL_MS = OVERLAY_ANSWER_MS, /* a tick so late: what we asked before is void */
	OVERLAY_RTT_AGE_MS = 10000,           /* a member that talks is still measured this often */
	OVERLAY_GREETING_MS = 1000,   /* a greeting that does not come is asked for this often */
	OVERLAY_GREETING_TRIES = 10,  /* then nobody wants the connection for its pool */
	OVERLAY_GUESTS_MIN = 2,       /* more than the pool and an eighth, for the smallest pools */
	OVERLAY_REFUSALS_MIN = 4,     /* machines without room for us that are no few liars */
	OVERLAY_NEW_MS = 10 * 1000,   /* a member so new is not pushed out for a newer one */
	OVERLAY_FILL_MS = 1000,       /* between two dials to fill the pool of a large fabric */
	OVERLAY_JUDGE_MS = 5000,      /* between two looks at how large the fabric is */
	OVERLAY_SMALL_MS = 30 * 1000, /* a fabric counts as small again after so long */
	OVERLAY_REMEMBERED_MAX = 32,  /* lost members kept for a merge, in a large fabric */
	OVERLAY_MASS_MS = 30 * 1000,  /* an eighth of the pool lost within this: a partition */
	OVERLAY_MASS_MIN = 4,
	OVERLAY_MERGE_MS = 30 * 1000,   /* between two joins through members that came back */
	OVERLAY_FAR_REDIAL_MS = 120000, /* longest back-off in a large fabric: 32 lost members
					 * cost a dial every 4 s */
	OVERLAY_WATCH_REDIAL_MS = 2 * 3600 * 1000, /* so long a lost one that is watched is dialled
						    * as often as in a small fabric */
	OVERLAY_INCARNATION_AHEAD_MS = 24 * 3600 * 1000, /* nobody was started in the future */
};

/* The talk about a member whose life is in doubt; exists only then. */
struct suspicion {
	struct mono ask_at;
	struct mono asked_at;     /* the question that it owes us an answer to; when `asked` */
	struct mono condemned_at; /* its time is over; when `condemned` */
	bool asked, condemned;
	bool accused; /* another's verdict came */
	bool close;   /* it was observed closely when the suspicion arose */
	uint8_t witness_at, asker_count;
	struct node_id witnesses[OVERLAY_WITNESSES_MAX]; /* the last ones, in a ring */
	struct node_id askers[OVERLAY_ASKERS_MAX];
};

struct peer {
	struct member member;
	struct addr hint;   /* where others say it is; tried in turn with what it said itself */
	uint32_t due_place; /* in the heap of due.c */
	uint64_t hello_incarnation; /* of its last greeting */
	uint64_t told_incarnation;  /* the highest that anybody told us while it was away */
	struct mono heard, vouched; /* evidence of life: our own, and a witness's */
	struct mono since;          /* connected, or gone */
	struct mono ping_sent, pong_at;
	struct mono dial_at;     /* the next dial, or when the running one began */
	uint64_t ping_sequence;  /* 0: none on its way */
	struct suspicion *doubt; /* or NULL */
	uint32_t rtt_us, backoff_ms;
	uint8_t tries; /* dials that failed, or greetings that did not come */
	uint8_t jitter;
	enum member_state state : 3; /* of a greeted or watched peer */
	bool hint_next : 1;
	bool named : 1; /* others told us of it, so it is no news to them */
	bool connected : 1;
	bool introduced : 1; /* on this connection it was told of others */
	bool told : 1;       /* on this connection it told us of others */
	bool said_hello : 1; /* on this connection we have greeted it */
	bool greeted : 1;
	bool wanted : 1;  /* for our pool: greet it when it is connected */
	bool active : 1;  /* neighbour of the view */
	bool watched : 1; /* by the caller */
	bool dialling : 1;
	bool released : 1; /* on this connection one gave the other up */
	bool lasting : 1;  /* from an earlier life: not given up before it has greeted us */
	bool mass : 1;     /* lost together with many others */
};

struct bootstrap {
	struct addr addr;
	struct mono dial_at; /* as in struct peer */
	uint32_t backoff_ms;
	bool dialling, met;
};

struct news {
	struct node_id id;
	unsigned repeats;
};

/* Somebody asked about a machine that is no peer of ours: we probe it, and tell. */
struct look {
	struct node_id about, asker;
	struct mono until;
};

struct due {
	struct mono at;
	struct peer *peer;
};

/* How many peers there are of each sort. */
struct peer_counts {
	size_t connected, kept, members, candidates, transients, gone, watched;
};

struct overlay {
	struct overlay_config config; /* config.self is ours */
	struct prng prng;
	struct mono now;    /* OUR clock */
	struct mono real;   /* the caller's */
	int64_t stalled_us; /* real - now */
	struct wall fabric; /* at fabric_at, of the caller's clock */
	struct mono fabric_at;
	struct peer **peers; /* by id */
	size_t peer_count, peer_cap;
	int64_t grid_us;     /* where our grid of turns begins */
	struct peer **index; /* open addressing by id, a power of two, at most 3/4 full */
	size_t index_cap;
	struct due *dues; /* heap; dues[0] is the first */
	struct peer_counts counts;
	size_t dial_count, remembered_count; /* lasting ones */
	struct bootstrap *bootstraps;
	size_t bootstrap_count;
	struct mono bootstrap_due;
	struct news *news;            /* OVERLAY_NEWS_MAX, or NULL */
	size_t news_count, gossip_at; /* where the round over all members stands */
	struct look *looks;           /* OVERLAY_LOOKS_MAX, or NULL */
	size_t look_count;
	bool large;   /* the fabric is larger than the pool */
	bool sized;   /* that has been judged by those around our own position */
	bool crowded; /* somebody was named for whom there is no room */
	bool left;
	struct mono house_at, renew_at, judge_at, small_since, merged_at;
	struct mono mass_since; /* start of the window in which losses are counted */
	size_t mass_count;
	uint64_t sequence;
	struct view *view;
	struct tree *tree;
	struct kad *kad;
	struct overlay_effect *effects;
	size_t effect_count, effect_cap, effect_next;
	struct contact *found; /* of the effect last handed out */
};

/* overlay.c: an event has come at @now, of the caller's clock */
void overlay_advance(struct overlay *overlay, struct mono now);

/* peer.c: the table */
struct peer *peer_find(const struct overlay *overlay, const struct node_id *id);
/* A new candidate, or NULL when there is no room for it. @wanted: it is connected already, or our
 * caller's, and may take the place of a dead member or of a candidate. */
struct peer *peer_add(struct overlay *overlay, const struct node_id *id, bool wanted);
void peer_remove(struct overlay *overlay, struct peer *peer);
void peer_last(struct overlay *overlay, struct peer *peer); /* it is like any other now */
void peer_count(struct overlay *overlay, const struct peer *peer, int by);
void peer_set_connected(struct overlay *overlay, struct peer *peer, bool connected);
void peer_set_greeted(struct overlay *overlay, struct peer *peer, bool greeted);
void peer_set_state(struct overlay *overlay, struct peer *peer, enum member_state state);
void peer_set_watched(struct overlay *overlay, struct peer *peer, bool watched);
bool peer_is_member(const struct peer *peer); /* greeted, and neither dead nor gone */
bool peer_is_kept(const struct peer *peer);   /* a member, and connected */
bool peer_is_judged(const struct peer *peer); /* its life is ours to tell: member or watched */
struct mono peer_evidence(const struct peer *peer);
struct addr peer_addr(const struct peer *peer); /* where to dial now */
struct contact peer_contact(const struct peer *peer);
struct suspicion *peer_doubt(struct peer *peer); /* made when there is none */
void peer_trust(struct peer *peer);              /* no doubt any longer */

/* due.c: when each peer needs attention next */
void due_add(struct overlay *overlay, struct peer *peer);
void due_remove(struct overlay *overlay, struct peer *peer);
void due_touch(struct overlay *overlay, struct peer *peer); /* it may be due earlier now */
void due_touch_all(struct overlay *overlay);
void due_run(struct overlay *overlay);
struct mono due_first(const struct overlay *overlay);

/* dial.c */
void dial_peer_soon(struct overlay *overlay, struct peer *peer);
void dial_peer_failed(struct overlay *overlay, struct peer *peer);
void dial_peer_ended(struct overlay *overlay, struct peer *peer);
bool dial_is_wanted(const struct overlay *overlay, const struct peer *peer);
/* False when @peer is given up, and gone. */
bool dial_peer_tick(struct overlay *overlay, struct peer *peer);
struct mono dial_peer_due(const struct overlay *overlay, const struct peer *peer);
struct bootstrap *bootstrap_find(struct overlay *overlay, const struct addr *addr);
void bootstrap_ended(struct overlay *overlay, struct bootstrap *bootstrap);
void bootstrap_failed(struct overlay *overlay, struct bootstrap *bootstrap);
void bootstrap_tick(struct overlay *overlay);
void bootstrap_plan(struct overlay *overlay); /* set bootstrap_due */

/* effect.c */
struct overlay_effect *effect_add(struct overlay *overlay, enum overlay_effect_type type,
				  const struct node_id *to);
/* A message to be filled in; to a peer, or to where a contact is. */
struct message *effect_to_peer(struct overlay *overlay, const struct peer *peer,
			       enum message_type type);
struct message *effect_to_contact(struct overlay *overlay, const struct contact *contact);
void effect_send_hello(struct overlay *overlay, struct peer *peer);
void effect_send_ping(struct overlay *overlay, struct message *message, enum message_type type,
		      uint64_t sequence);
/* To all that are kept. Takes @message, and frees it. */
void effect_send_to_all(struct overlay *overlay, struct message *message);
struct wall effect_fabric(const struct overlay *overlay);
void effect_deinit_all(struct overlay *overlay);

/* gossip.c: what members say about members */
void gossip_news(struct overlay *overlay, const struct node_id *id);
void gossip_fill(struct overlay *overlay, const struct node_id *to, struct members *gossip);
void gossip_introduce(struct overlay *overlay, const struct peer *to);
void gossip_announce(struct overlay *overlay, const struct peer *peer);
void gossip_announce_self(struct overlay *overlay, enum member_state state);
void gossip_report(struct overlay *overlay, const struct peer *to, const struct member *member,
		   enum member_state state);
/* @direct: a message of its own, which may be the answer to a question. */
void gossip_receive(struct overlay *overlay, struct peer *from, const struct members *members,
		    bool direct);

/* doubt.c: suspicion, shared */
void doubt_ask(struct overlay *overlay, struct peer *suspect);
struct mono doubt_first_at(const struct overlay *overlay, const struct peer *suspect);
void doubt_answer(struct overlay *overlay, struct peer *peer);
void doubt_question(struct overlay *overlay, struct peer *from, const struct member_report *report);
void doubt_accuse(struct overlay *overlay, struct peer *peer);
void doubt_tell(struct overlay *overlay, const struct peer *dead);
void doubt_seen(struct overlay *overlay, const struct peer *peer); /* for those who asked us */
bool doubt_asked(const struct peer *suspect, const struct node_id *witness);

/* liveness.c */
void liveness_heard(struct overlay *overlay, struct peer *peer);
/* It owes us an answer from now on, or from our last unanswered PING on. */
void liveness_ask(struct overlay *overlay, struct peer *peer);
void liveness_vouched(struct overlay *overlay, struct peer *peer);
void liveness_watch(struct overlay *overlay, struct peer *peer);
void liveness_greeted(struct overlay *overlay, struct peer *peer, uint64_t incarnation);
void liveness_gone(struct overlay *overlay, struct peer *peer, enum member_state state);
void liveness_ping(struct overlay *overlay, struct peer *peer);
void liveness_pong(struct overlay *overlay, struct peer *peer, const struct ping *pong);
/* False when @peer is forgotten, and gone. */
bool liveness_tick(struct overlay *overlay, struct peer *peer);
struct mono liveness_due(const struct overlay *overlay, const struct peer *peer);

/* pool.c: how large the fabric is, whom we keep */
void pool_release(struct overlay *overlay, struct peer *peer, bool tell);
bool pool_make_room(struct overlay *overlay, const struct peer *newcomer);
void pool_greeted(struct overlay *overlay, struct peer *peer);
void pool_bound_transients(struct overlay *overlay);
void pool_bound_gone(struct overlay *overlay, struct peer *gone);
struct peer *pool_want(struct overlay *overlay, const struct contact *contact);
void pool_set_large(struct overlay *overlay, bool large);
/* More machines than keep us, and not just a few, have no room for us. */
bool pool_is_refused(const struct overlay *overlay);
void pool_house(struct overlay *overlay);
void pool_judge(struct overlay *overlay); /* how large the fabric is */
/* Somebody to dial was named: a candidate in a small fabric, remembered in a large one. */
void pool_named(struct overlay *overlay, const struct member *member);

/* parts.c: view, tree and kad */
void parts_new(struct overlay *overlay);
void parts_set_self(struct overlay *overlay);
void parts_free(struct overlay *overlay);
void parts_member(struct overlay *overlay, struct peer *peer, bool merge);
void parts_lost(struct overlay *overlay, const struct node_id *id);
void parts_unreachable(struct overlay *overlay, const struct node_id *id);
void parts_receive(struct overlay *overlay, struct peer *from, const struct message *message);
void parts_tick(struct overlay *overlay);
void parts_drain(struct overlay *overlay);
struct mono parts_deadline(const struct overlay *overlay);
