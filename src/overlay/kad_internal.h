/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of kad share. kad.c: events, effects; kad_bucket.c: the routing table;
 * kad_lookup.c: lookups; kad_upkeep.c: joining, the neighbourhood, far buckets; kad_provider.c:
 * provider sets kept here, and what we provide.
 */
#pragma once

#include "base/map.h"
#include "base/prng.h"
#include "overlay/kad.h"

enum {
	KAD_BUCKETS = 64, /* positions are ordered by 64 bits */
	KAD_HEARD_US = 100 * US_PER_MS,
	KAD_GRAVE_SETS = 32, /* machines that were silent lately, not tried again for a while though
			      * others name them: in sets by position, so that few are looked at */
	KAD_GRAVE_WAYS = 4,
	KAD_GRAVE_MS = 5 * 60 * 1000,
	KAD_GRAVE_ONCE_MS = 30 * 1000, /* silent once: it may have been slow */
	KAD_RATES = 64,                /* counters of served requests; peers may share one */
	KAD_STALL_MS = 300,            /* a tick so late: it was us who did not listen */
	KAD_INNER_MAX = 16,            /* lookups of our own, beside those of the caller */
	KAD_UNION_MAX = KAD_KEEPERS * MESSAGE_CONTACTS_MAX, /* providers gathered by a lookup */
};

/* A contact, compact: a table at 100,000 machines holds about 280. */
struct kad_entry {
	uint64_t position;
	uint64_t incarnation;
	struct node_id id;
	uint8_t ip[ADDR_IP_MAX];
	uint16_t port;
	uint8_t failures; /* requests unanswered in a row */
	uint8_t is_v4 : 1, steward : 1;
	uint32_t heard; /* unit KAD_HEARD_US */
};

struct kad_bucket {
	struct mono due;      /* far buckets: next survey */
	uint32_t interval_ms; /* 0: not set yet */
	uint8_t count, cap;
	bool refused;  /* there are more machines here than entries, since it was last half empty */
	bool surveyed; /* under way */
	bool has_spare;
	struct kad_entry spare; /* takes the place of the next one that fails */
	struct kad_entry entries[];
};

struct kad_grave {
	uint64_t position;
	uint32_t at;    /* unit KAD_HEARD_US */
	uint32_t place; /* where it was silent, when only others say that it is there; else 0 */
	uint8_t failures;
};

struct kad_table {
	uint64_t self;
	struct kad_bucket *buckets[KAD_BUCKETS]; /* by the first bit that differs from ours */
	size_t contact_count;
	uint64_t changes;         /* of who is in it and answers, and of where that is */
	uint64_t near_changes;    /* of these, in the neighbourhood */
	struct kad_grave *graves; /* sets side by side; none while nobody was silent */
};

enum kad_candidate_state {
	KAD_NEW,
	KAD_ASKED,
	KAD_ANSWERED,
	KAD_SILENT, /* asked; its answer still counts */
	KAD_GONE,   /* not to be asked */
};

struct kad_candidate {
	struct contact contact;
	uint64_t position;
	struct mono asked;
	uint8_t state;
	uint8_t hops;
	bool repeated, readdressed;
};

enum kad_lookup_kind {
	KAD_LOOKUP_NEAREST,
	KAD_LOOKUP_STEWARDS, /* the nearest of them: others are asked, and do not count */
	KAD_LOOKUP_PROVIDERS,
	KAD_LOOKUP_PROVIDE, /* the rest are our own */
	KAD_LOOKUP_WITHDRAW,
	KAD_LOOKUP_JOIN,
	KAD_LOOKUP_CHECK, /* of the neighbourhood */
	KAD_LOOKUP_GREET,
	KAD_LOOKUP_SURVEY, /* of a far bucket */
};

struct kad_lookup {
	uint64_t token; /* also the request number of its FINDs */
	enum kad_lookup_kind kind;
	struct digest target;
	uint64_t position;
	unsigned bucket; /* SURVEY */
	size_t want;     /* ends when so many nearest have answered */
	size_t asked, asked_max;
	size_t news, near_news;     /* upkeep: contacts won, and how many of the neighbourhood */
	struct kad_candidate *list; /* nearest first */
	size_t count, cap;
	struct contact *providers;
	size_t provider_count, provider_seen;
	struct mono deadline, ends;
	int64_t slowest_us;
	bool cut;
	bool done;
	bool told; /* the outcome; what is left is to see who answers after all */
};

struct kad_waiting {
	uint64_t token;
	struct digest target;
	enum kad_lookup_kind kind;
};

/* A machine listed in provider sets here. */
struct kad_provider {
	struct contact contact;
	uint32_t sets;
};

struct kad_listing {
	struct kad_provider *provider;
	uint32_t expires; /* unit KAD_HEARD_US */
};

struct kad_set {
	struct digest key;
	uint8_t count, cap;
	struct kad_listing *list;
};

/* Something that we provide. */
struct kad_provided {
	struct digest key;
	struct mono at; /* next renewal */
	uint32_t interval_ms;
	bool running, withdrawn;
	uint8_t keeper_count;
	uint64_t keepers[KAD_KEEPERS]; /* positions */
};

struct kad_out {
	struct kad_effect effect;
	struct contact *contacts; /* FOUND: owned */
};

struct kad {
	struct contact self;
	struct prng prng;
	struct mono now;
	struct mono deadline;
	struct kad_table table;

	struct kad_lookup **lookups; /* under way, in order of their start */
	size_t lookup_count, lookup_cap;
	size_t user_count, inner_count; /* not told yet */
	struct kad_waiting *waiting;
	size_t waiting_count, waiting_cap;
	uint64_t next_token;

	struct mono check_at, refresh_at, greet_at;
	uint32_t check_ms;
	unsigned far; /* buckets below it are not of the neighbourhood, as of the last look */
	bool joined, checking;
	bool rejoin; /* upkeep met neighbours of ours that we should have known */
	struct mono trouble_at;
	unsigned trouble_count;

	struct kad_provided *provided;
	size_t provided_count, provided_cap;
	struct mono provide_at;

	struct map sets;      /* key: struct kad_set */
	struct map providers; /* id: struct kad_provider */
	size_t entry_count;
	struct mono sweep_at;

	uint8_t rates[KAD_RATES];
	int64_t rate_second;
	uint64_t rate_seed;

	struct kad_out *outs;
	size_t out_next, out_count, out_cap;
};

/* kad.c: every event begins with advance and ends with settle. */
void kad_advance(struct kad *kad, struct mono now);
void kad_settle(struct kad *kad);
struct kad_out *kad_out_add(struct kad *kad, enum kad_effect_type type, const struct contact *to);

/* kad_bucket.c */
uint64_t kad_prefix(const struct digest *position);
uint64_t kad_id_prefix(const struct node_id *id);
unsigned kad_table_index(const struct kad_table *table, uint64_t position);
struct contact kad_entry_contact(const struct kad_entry *entry);
struct kad_entry *kad_table_find(const struct kad_table *table, uint64_t position,
				 const struct node_id *id);
struct kad_bucket *kad_table_bucket(struct kad_table *table, unsigned index);
/* Lives: refreshed if known, else admitted or made a spare: then the entry is returned. */
const struct kad_entry *kad_table_admit(struct kad *kad, uint64_t position,
					const struct contact *contact);
/* Did not answer; @at: where it was asked, NULL: not known. */
void kad_table_silent(struct kad *kad, uint64_t position, const struct node_id *id,
		      const struct addr *at);
void kad_table_lost(struct kad *kad, uint64_t position, const struct node_id *id);
/* Is it worth a question? Far buckets fill by themselves once they are half full. */
bool kad_table_wants(const struct kad *kad, uint64_t position, const struct node_id *id);
/* Is it among the KAD_NEAR nearest to us, or would it be? */
bool kad_table_is_near(const struct kad_table *table, uint64_t position);
/* Was it silent lately? */
bool kad_table_mourns(const struct kad *kad, uint64_t position);
/* Is it in vain to ask it at @at? Whoever only others name may have been silent elsewhere. */
bool kad_table_gave_up(const struct kad *kad, uint64_t position, const struct addr *at);
void kad_table_forgive(struct kad_table *table); /* mourn nobody */
/* The @max nearest to @target; @lively: without those that were silent last. */
size_t kad_table_nearest(const struct kad_table *table, uint64_t target, bool lively,
			 const struct kad_entry **ret_entries, size_t max);
/* The KAD_NEAR nearest to us lie in this bucket and deeper ones. */
unsigned kad_table_far(const struct kad_table *table);
const struct kad_entry *kad_bucket_oldest(const struct kad_bucket *bucket);
uint32_t kad_heard_at(struct mono at);

/* kad_lookup.c */
/* NULL when too many of our own are under way. @first: only it is asked to begin with. */
struct kad_lookup *kad_lookup_start(struct kad *kad, enum kad_lookup_kind kind,
				    const struct digest *target, const struct kad_entry *first);
bool kad_lookup_found(struct kad *kad, const struct contact *from, const struct found *found);
/* It does not answer what it was asked; @for_good: it is not to be found either. */
void kad_lookup_gone(struct kad *kad, const struct node_id *id, bool for_good);
void kad_lookup_forgive(struct kad *kad, int64_t late_us);
void kad_lookup_tick(struct kad *kad);
/* Steps done lookups out of the way; those that waited begin. */
void kad_lookup_settle(struct kad *kad);
struct mono kad_lookup_deadline(const struct kad *kad);
void kad_lookup_free(struct kad_lookup *lookup);

/* kad_upkeep.c */
void kad_upkeep_first(struct kad *kad);
void kad_upkeep_formed(struct kad *kad);
/* A machine that we did not know has connected. */
void kad_upkeep_greeted(struct kad *kad, const struct kad_entry *newcomer);
void kad_upkeep_trouble(struct kad *kad, unsigned index);
void kad_upkeep_ended(struct kad *kad, const struct kad_lookup *lookup);
void kad_upkeep_tick(struct kad *kad);

/* kad_provider.c */
void kad_provider_store(struct kad *kad, const struct contact *from, const struct digest *key,
			uint32_t ttl_s);
void kad_provider_drop(struct kad *kad, const struct node_id *id, const struct digest *key);
/* Up to @max random providers under @key, never @except. */
size_t kad_provider_sample(struct kad *kad, const struct digest *key, const struct node_id *except,
			   struct contact *ret_contacts, size_t max);
void kad_provider_ended(struct kad *kad, const struct kad_lookup *lookup);
void kad_provider_soon(struct kad *kad, int64_t ms);
void kad_provider_tick(struct kad *kad);
void kad_provider_free(struct kad *kad);
