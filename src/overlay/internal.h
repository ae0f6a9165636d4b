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
 */
#pragma once

#include "base/prng.h"
#include "overlay/overlay.h"

enum {
	OVERLAY_WITNESSES = 3,           /* asked about a suspect at a time */
	OVERLAY_WITNESS_FRESH_MS = 1500, /* what a witness has seen itself, and how recently */
	OVERLAY_ASKERS_MAX = 8,       /* who waits for our word about one peer; others go without */
	OVERLAY_GOSSIP_MAX = 3,       /* reports on a ping: it stays within one datagram */
	OVERLAY_NEWS_MAX = 64,        /* members that are news; the oldest is pushed out */
	OVERLAY_NEWS_REPEATS = 8,     /* pings that carry a piece of news */
	OVERLAY_CANDIDATES_MAX = 256, /* a liar's inventions cannot fill the table */
	OVERLAY_CANDIDATE_TRIES = 6,  /* then a candidate is dropped; it may be named again */
	OVERLAY_DIALS_MAX = 16,       /* at a time: dialling costs us handshakes */
	OVERLAY_DIAL_TIMEOUT_MS = 20000, /* a dial of which the caller says nothing has failed */
	OVERLAY_TIE_MS = 300,       /* of two that hear of each other the lower id dials first */
	OVERLAY_SETTLED_MS = 5000,  /* a connection that lasted so long resets the back-off */
	OVERLAY_STALL_MS = 1000,    /* a tick so late means that we were stalled ourselves */
	OVERLAY_RTT_AGE_MS = 10000, /* a member that talks is still measured this often */
	OVERLAY_INCARNATION_AHEAD_MS = 24 * 3600 * 1000, /* nobody was started in the future */
};

struct dial {
	struct mono at, started;
	int64_t backoff_ms;
	unsigned tries;
	bool running;
};

struct peer {
	struct member member;
	struct addr hint; /* where others say it is; tried in turn with what it said itself */
	bool hint_next;
	bool named; /* others told us of it, so it is no news to them */
	bool connected;
	bool introduced; /* on this connection it was told of everybody */
	bool greeted;
	enum member_state state;    /* of a greeted peer */
	uint64_t hello_incarnation; /* of its last greeting */
	uint64_t told_incarnation;  /* the highest that anybody told us while it was away */
	int64_t rtt_us;
	struct mono heard, vouched; /* evidence of life: our own, and a witness's */
	struct mono connected_at, gone_since;
	struct mono ping_at, ping_sent, pong_at, ask_at;
	uint64_t ping_sequence; /* 0: none on its way */
	struct node_id witnesses[OVERLAY_WITNESSES];
	size_t witness_count;
	struct node_id askers[OVERLAY_ASKERS_MAX];
	size_t asker_count;
	struct dial dial;
};

struct bootstrap {
	struct addr addr;
	struct dial dial;
	bool met;
};

struct news {
	struct node_id id;
	unsigned repeats;
};

struct overlay {
	struct overlay_config config; /* config.self is ours */
	struct prng prng;
	struct mono now;
	struct wall fabric; /* at fabric_at */
	struct mono fabric_at;
	struct peer **peers; /* by id */
	size_t peer_count, peer_cap, candidate_count, dial_count;
	struct bootstrap bootstraps[OVERLAY_BOOTSTRAP_MAX];
	size_t bootstrap_count;
	struct news news[OVERLAY_NEWS_MAX];
	size_t news_count, gossip_at; /* where the round over all members stands */
	uint64_t sequence;
	bool left;
	struct overlay_effect *effects;
	size_t effect_count, effect_cap, effect_next;
};

/* peer.c: the table */
struct peer *peer_find(const struct overlay *overlay, const struct node_id *id);
/* A new candidate, or NULL when there is no room for it. @wanted: it is connected already, and may
 * take the place of a dead member or of a candidate. */
struct peer *peer_add(struct overlay *overlay, const struct node_id *id, bool wanted);
void peer_remove(struct overlay *overlay, struct peer *peer);
bool peer_is_member(const struct peer *peer); /* greeted, and neither dead nor gone */
struct mono peer_evidence(const struct peer *peer);
struct addr peer_addr(const struct peer *peer); /* where to dial now */

/* dial.c */
void dial_soon(struct overlay *overlay, struct dial *dial, int64_t delay_ms);
void dial_peer_soon(struct overlay *overlay, struct peer *peer);
void dial_failed(struct overlay *overlay, struct dial *dial);
void dial_ended(struct overlay *overlay, struct dial *dial);
void dial_tick(struct overlay *overlay);
struct mono dial_deadline(const struct overlay *overlay);

/* effect.c */
struct overlay_effect *effect_add(struct overlay *overlay, enum overlay_effect_type type,
				  const struct node_id *to);
void effect_send_hello(struct overlay *overlay, const struct node_id *to);
/* Takes @message, and frees it. */
void effect_send_to_all(struct overlay *overlay, struct message *message);
struct wall effect_fabric(const struct overlay *overlay);

/* gossip.c */
void gossip_news(struct overlay *overlay, const struct node_id *id);
void gossip_fill(struct overlay *overlay, const struct node_id *to, struct members *gossip);
void gossip_introduce(struct overlay *overlay, const struct node_id *to);
void gossip_announce(struct overlay *overlay, const struct peer *peer);
void gossip_announce_self(struct overlay *overlay, enum member_state state);
struct message gossip_question(const struct member *member);
void gossip_ask(struct overlay *overlay, struct peer *suspect);
void gossip_answer(struct overlay *overlay, struct peer *peer);
/* @direct: a message of its own, which may be the answer to a question. */
void gossip_receive(struct overlay *overlay, struct peer *from, const struct members *members,
		    bool direct);

/* liveness.c */
void liveness_heard(struct overlay *overlay, struct peer *peer);
void liveness_vouched(struct overlay *overlay, struct peer *peer);
void liveness_greeted(struct overlay *overlay, struct peer *peer, uint64_t incarnation);
void liveness_gone(struct overlay *overlay, struct peer *peer, enum member_state state);
void liveness_ping(struct overlay *overlay, struct peer *peer);
void liveness_pong(struct overlay *overlay, struct peer *peer, const struct ping *pong);
void liveness_forgive(struct overlay *overlay);
void liveness_tick(struct overlay *overlay);
struct mono liveness_deadline(const struct overlay *overlay);
