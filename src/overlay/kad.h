/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kad: finding machines by distance, and the providers of rare things; after Kademlia (Maymounkov,
 * Mazieres 2002).
 *
 * Every machine has a position, SHA-256 of its id; the distance of two positions is their XOR. A
 * machine knows up to KAD_BUCKET contacts of every power of two of distance, so that it knows its
 * own neighbourhood completely and the rest thinly, and reaches any position in O(log n) steps. A
 * *provider set* under a key names the machines that have something; it lives on the KAD_KEEPERS
 * machines nearest to the key, in memory, and each provider renews its own entry.
 *
 * Sans-IO, as view.h. Only machines that have proved who they are (greeted us over TLS, or answered
 * over it) become contacts; contacts that others name are tried during a lookup and enter a bucket
 * when they answer. OUR deviations: a full bucket never gives up a contact that answers a ping
 * (ping before eviction, KAD_PING_MS); answers name at most MESSAGE_CONTACTS_MAX contacts; lookups
 * end when the KAD_BUCKET nearest that live have answered, and go on without contacts that do not.
 */
#pragma once

#include "base/time.h"
#include "wire/message.h"

enum {
	KAD_BUCKET = 20, /* k of the paper */
	KAD_ALPHA = 3,   /* requests of a lookup under way */
	KAD_KEEPERS = 8, /* machines that keep a provider set: one of them lives after any churn
			  * between two renewals */
	KAD_REQUEST_MS = 1000, /* then a contact of a lookup counts as silent: it is passed by,
				* and forgotten after KAD_FAILURES in a row */
	KAD_FAILURES = 2,
	KAD_PING_MS = 2000, /* the oldest of a full bucket has so long to answer */
	KAD_REFRESH_MS =
		10 * 60 * 1000,  /* a bucket nobody talked about is looked up; ours more often: */
	KAD_SELF_MS = 60 * 1000, /* the neighbourhood of our own position */
	KAD_LOOKUPS_MAX = 64,    /* at a time; more wait in line, KAD_WAITING_MAX of them */
	KAD_WAITING_MAX = 256,
	KAD_PROVIDE_MS = 5 * 60 * 1000,       /* an entry is renewed so often by its provider */
	KAD_PROVIDER_TTL_MS = 12 * 60 * 1000, /* and forgotten after this */
	KAD_KEYS_MAX = 256, /* provider sets kept here; beyond: the emptiest, oldest go */
	KAD_PROVIDERS_MAX =
		64, /* entries of one set; beyond: random replacement, so that a set is a sample */
	KAD_PER_PROVIDER_MAX = 32, /* sets in which one machine may be listed here: its quota */
	KAD_PROVIDED_MAX = 64,     /* things one machine provides */
	KAD_ANSWER_RATE = 50,      /* FINDs answered per second and peer; more are dropped */
};

enum kad_effect_type {
	KAD_SEND,  /* @message to @to, connected or not */
	KAD_FOUND, /* lookup @token has ended with @contacts, nearest first; of providers: in random
		      order */
};

struct kad_effect {
	enum kad_effect_type type;
	struct contact to;
	struct message message; /* SEND: owned by the kad until its next call */
	uint64_t token;
	const struct contact *contacts; /* FOUND: valid until the next call */
	size_t contact_count;
	unsigned hops; /* FOUND: longest chain of answers that led to the nearest one */
	bool complete; /* FOUND: the nearest ones known have all answered */
};

struct kad;

struct kad *kad_new(const struct contact *self, uint64_t seed, struct mono now);
void kad_free(struct kad *kad);
void kad_set_self(struct kad *kad, const struct contact *self);

/* The position of a machine, and of a thing named by text ("label example.org/gpu=a100"). */
struct digest kad_position(const struct node_id *id);
struct digest kad_key(const char *text);

/* -1, 0, 1 as @a is nearer to @target than @b, equal, farther. */
int kad_nearer(const struct digest *target, const struct digest *a, const struct digest *b);

/* @contact lives and is who it says: it has greeted us, or answered. */
void kad_seen(struct kad *kad, struct mono now, const struct contact *contact);

/* It is dead or has left: out of its bucket. */
void kad_lost(struct kad *kad, struct mono now, const struct node_id *id);

/* It could not be dialled: a lookup goes on without it at once; a bucket counts a failure. */
void kad_unreachable(struct kad *kad, struct mono now, const struct node_id *id);

/* FIND, FOUND, PROVIDE or WITHDRAW over the connection of @from; PONG too (a ping of ours). */
void kad_receive(struct kad *kad, struct mono now, const struct contact *from,
		 const struct message *message);

/* Look up the live machines nearest to @target, or the providers under @target. KAD_FOUND follows
 * with the token, maybe at once. 0, or KAD_E_BUSY when too many wait. */
enum kad_result {
	_KAD_E_OK,
	KAD_E_BUSY,
	KAD_E_FULL, /* provide: KAD_PROVIDED_MAX */
};
_must_use_ int kad_find(struct kad *kad, struct mono now, const struct digest *target,
			bool providers, uint64_t *ret_token);

/* We have the thing under @key from now on, until withdrawn; renewed by kad itself. */
_must_use_ int kad_provide(struct kad *kad, struct mono now, const struct digest *key);
void kad_withdraw(struct kad *kad, struct mono now, const struct digest *key);

void kad_tick(struct kad *kad, struct mono now);
struct mono kad_deadline(const struct kad *kad);
const struct kad_effect *kad_next_effect(struct kad *kad);

/* Reads: the @max known contacts nearest to @target, without ourselves. Returns how many. */
size_t kad_nearest(const struct kad *kad, const struct digest *target, struct contact *ret_contacts,
		   size_t max);
const struct contact *kad_next_contact(const struct kad *kad, size_t *position);
size_t kad_contact_count(const struct kad *kad);

/* How many machines there are, from the density around our own position; exact while the
 * neighbourhood is the whole fabric. Ourselves included. */
uint64_t kad_estimate(const struct kad *kad);
