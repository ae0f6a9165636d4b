/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kad: finding machines by distance, and the providers of rare things; after Kademlia (Maymounkov,
 * Mazieres 2002).
 *
 * Every machine has a position, SHA-256 of its id; the distance of two positions is their XOR. A
 * machine knows up to KAD_BUCKET contacts of every power of two of distance, and all of its own
 * neighbourhood, so it reaches any position in O(log n) steps. A *provider set* under a key names
 * machines that have something; it lives on the KAD_KEEPERS machines nearest to the key, in memory,
 * and each provider renews its own entry.
 *
 * Sans-IO: the caller feeds events in time order, takes effects with kad_next_effect() until it
 * returns NULL, and calls kad_tick() when kad_deadline() is reached. About 25 KiB at 100,000
 * machines.
 *
 * Only machines that have proved who they are (greeted us over TLS, asked us, or answered) become
 * contacts; contacts that others name are tried during a lookup and enter a bucket when they
 * answer. OUR deviations:
 *   - A full bucket never gives up a contact that has not failed to answer: a newcomer waits as the
 *     bucket's spare until it has. The ping of the paper is a FIND, for its answer is of use.
 *   - A machine that is among the KAD_BUCKET nearest of all is admitted beyond the bucket's size
 * (up to twice), in place of the paper's splitting of buckets, so that the neighbourhood is
 * complete.
 *   - Upkeep asks one contact, the one not heard for longest, instead of looking up: FIND costs a
 *     handshake where no connection stands. It becomes rarer while all is as it was, and frequent
 *     as soon as somebody does not answer.
 *   - A silent contact is passed by, and the end does not wait for it much longer than the others
 *     took; its answer still counts until then, and for the table.
 *   - Positions are ordered by their first 8 bytes, ties by id: contacts are half as big for it.
 */
#pragma once

#include "base/time.h"
#include "wire/message.h"

enum {
	KAD_BUCKET = 20, /* k of the paper */
	/* The neighbourhood, of which all are known: those who keep something together must agree
	 * on the eight nearest to it. Where next to us there are fewer than eight, and in the other
	 * half many, any of those may be the eighth: of 41 machines so few are on our side once in
	 * 100,000, of 21 once in twelve. */
	KAD_NEAR = 2 * KAD_BUCKET,
	KAD_ALPHA = 3, /* requests of a lookup under way, silent ones not counted */
	KAD_FLIGHT_MAX = 10,
	KAD_KEEPERS = 8, /* machines that keep a provider set: one of them lives after any churn
			  * between two renewals */
	KAD_STEWARDS =
		8, /* that a lookup of stewards hears: among them are the keepers of a record */
	KAD_REQUEST_MS = 1000, /* then a contact of a lookup counts as silent */
	KAD_TARGET_MS = 3000,  /* but one whose own position is looked up is waited for */
	KAD_PATIENCE = 4,      /* ... and is no longer waited for after so many times the slowest
				* answer to this lookup, if that is shorter, */
	KAD_PATIENCE_MIN_MS = 200,
	KAD_SLOW_MS = 400, /* in half of that time, and after this at most, another one is asked
			    * as well: a WAN handshake and answer */
	KAD_FAILURES = 2,  /* in a row: forgotten */
	KAD_LOOKUP_MS = 20 * 1000, /* a lookup ends with what it has */
	KAD_ASKED_MAX = 80,        /* machines asked by one lookup, whatever liars name */
	KAD_CANDIDATES_MAX = 128,  /* nearest ones known to one lookup */
	KAD_LOOKUPS_MAX = 64,      /* at a time; more wait in line, KAD_WAITING_MAX of them */
	KAD_WAITING_MAX = 256,
	KAD_FOUND_MAX = 64, /* contacts that KAD_FOUND names */

	/* Upkeep. Intervals grow while nothing is wrong, and begin anew when something is. */
	KAD_JOIN_MS = 300,                /* after the first contact: look up ourselves */
	KAD_SELF_MIN_MS = 10 * 1000,      /* the neighbourhood: one neighbour is asked */
	KAD_SELF_MS = 60 * 1000,          /* begin here where nothing seems wrong */
	KAD_SELF_MAX_MS = 10 * 60 * 1000, /* 5 KiB a time with the handshake: 10 bytes/s */
	KAD_SELF_GROWTH = 4,              /* 10 s, 40 s, 160 s, 10 min */
	KAD_REFRESH_GROWTH = 2,
	KAD_FILL_MS = 2 * 1000,         /* a far bucket less than half full */
	KAD_REFRESH_MIN_MS = 15 * 1000, /* a far bucket, one contact of which was silent */
	KAD_REFRESH_MS =
		10 * 60 * 1000, /* any other one, if its oldest was not heard for so long */
	KAD_REFRESH_MAX_MS = 2 * 3600 * 1000, /* 10 buckets at 100,000 machines: 7 bytes/s */
	KAD_GREET_MS = 3 * 60 * 1000, /* one of those that greet us is asked who is near us */
	KAD_SURVEY_MAX = 6,           /* machines that one question of upkeep may lead to asking */

	KAD_PROVIDE_MS = 5 * 60 * 1000, /* an entry is renewed so often while keepers change, */
	KAD_PROVIDE_MAX_MS = 40 * 60 * 1000, /* and so rarely while they stay */
	KAD_PROVIDE_RETRY_MS = 10 * 1000,    /* nobody could be told */
	KAD_PROVIDER_TTL_MAX_MS =
		100 * 60 * 1000, /* an entry asks for 2.5 renewals and gets at most this */
	KAD_KEYS_MAX = 256,      /* provider sets kept here; beyond, who is listed most gives way */
	KAD_PROVIDERS_MAX =
		64, /* entries of one set; beyond: random replacement, so that a set is a sample */
	KAD_ENTRIES_MAX = 4096,    /* of all sets: 64 KiB, and 128 B for each machine listed */
	KAD_PER_PROVIDER_MAX = 64, /* sets in which one machine may be listed here: all that it may
				    * provide, for in a small fabric everybody keeps everything */
	KAD_PROVIDED_MAX = 64,     /* things one machine provides */
	KAD_ANSWER_RATE = 50,      /* requests served per second and peer; more are dropped */
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
	const struct contact *contacts; /* FOUND: valid until the next call; never ourselves */
	size_t contact_count;           /* FOUND: nearest: KAD_BUCKET, providers: KAD_FOUND_MAX */
	unsigned hops;                  /* FOUND: answers on the way to the nearest one */
	bool complete;                  /* FOUND: the nearest ones known have all answered */
};

struct kad;

struct kad *kad_new(const struct contact *self, uint64_t seed, struct mono now);
void kad_free(struct kad *kad);
void kad_set_self(struct kad *kad, const struct contact *self);

/* The position of a machine, and of a thing named by text ("label example.org/gpu=a100"). */
struct digest kad_position(const struct node_id *id);
struct digest kad_key(const char *text);
uint64_t kad_place(const struct node_id *id); /* the position's first 8 bytes as a number */

/* -1, 0, 1 as @a is nearer to @target than @b, equal, farther. */
int kad_nearer(const struct digest *target, const struct digest *a, const struct digest *b);

/* @contact lives and is who it says: it has greeted us, or answered. Costs one SHA-256. */
void kad_seen(struct kad *kad, struct mono now, const struct contact *contact);

/* The caller has filled the table with kad_seen() from its own knowledge: nothing to join. */
void kad_formed(struct kad *kad, struct mono now);

/* It is dead or has left: out of its bucket. */
void kad_lost(struct kad *kad, struct mono now, const struct node_id *id);

/* One of many that were lost at once is back, so the others may be: nobody is mourned any more, and
 * the next one that kad_seen() brings is asked who is near us. */
void kad_merge(struct kad *kad, struct mono now);

/* It could not be dialled: a lookup goes on without it at once; a bucket counts a failure. */
void kad_unreachable(struct kad *kad, struct mono now, const struct node_id *id);

/* FIND, FOUND, PROVIDE or WITHDRAW over the connection of @from, whose address is one to dial. */
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

/* The same of the KAD_STEWARDS live stewards that are nearest, however many others lie between: who
 * is none is asked, up to KAD_ASKED_MAX, and not named. */
_must_use_ int kad_find_stewards(struct kad *kad, struct mono now, const struct digest *target,
				 uint64_t *ret_token);

/* We have the thing under @key from now on, until withdrawn; renewed by kad itself. Each costs a
 * lookup and KAD_KEEPERS messages per renewal: for what few machines have. */
_must_use_ int kad_provide(struct kad *kad, struct mono now, const struct digest *key);
void kad_withdraw(struct kad *kad, struct mono now, const struct digest *key);

void kad_tick(struct kad *kad, struct mono now);
struct mono kad_deadline(const struct kad *kad); /* O(1) */
void kad_expect(const struct kad *kad);          /* base/cache.h */
const struct kad_effect *kad_next_effect(struct kad *kad);

/* Reads: the @max known contacts nearest to @target, without ourselves. Returns how many. */
size_t kad_nearest(const struct kad *kad, const struct digest *target, struct contact *ret_contacts,
		   size_t max);

/* All contacts, one by one, farthest buckets first: false at the end. */
bool kad_next_contact(const struct kad *kad, size_t *position, struct contact *ret_contact);
/* The same of stewards that have not been silent, with the first 8 bytes of their positions. */
bool kad_next_steward(const struct kad *kad, size_t *position, struct contact *ret_contact,
		      uint64_t *ret_place);

/* Grows with every change of what kad_next_steward() says. */
uint64_t kad_changes(const struct kad *kad);
/* The same for those of our neighbourhood. */
uint64_t kad_near_changes(const struct kad *kad);
size_t kad_contact_count(const struct kad *kad);

/* Provider entries kept here for others and ourselves. */
size_t kad_entry_count(const struct kad *kad);

/* Our own position has been looked up: whoever is near us, is in the table. */
bool kad_has_joined(const struct kad *kad);

/* How many machines there are, ourselves included: exact while no bucket ever had to refuse one,
 * else from the density around our own position, with a standard error of a quarter. */
uint64_t kad_estimate(const struct kad *kad);
