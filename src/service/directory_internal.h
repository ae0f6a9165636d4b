/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the directory share. directory.c: events, effects; held.c: records and their
 * opening; place.c: who keeps a service; announce.c: our own record; lookup.c: services in use;
 * sibling.c: the ring of replicas; keep.c: what is kept here for others.
 */
#pragma once

#include "base/list.h"
#include "base/map.h"
#include "base/prng.h"
#include "overlay/throttle.h"
#include "service/directory.h"

enum {
	PLACE_CANDIDATES = 8,  /* the keepers, and who takes their places */
	DIRECTORY_RATES = 64,  /* throttles; peers may share one */
	DIRECTORY_FAILED = 32, /* peers given up lately: one that is back means that others are */
	DIRECTORY_LOCAL_MAX = 64, /* messages to ourselves under way: three per service asked */
};

/* A record as its pod has signed it. */
struct held {
	struct service_record record;
	struct buf envelope, renewal;
	struct mono expires;
	struct mono proven; /* last: by its signature, or its own connection */
	/* Siblings only. */
	struct mono heard;
	bool watched, probed, missing;
};

/* A request under way; request 0: none. */
struct asked {
	uint64_t request;
	struct mono due;  /* ask again, or give up */
	struct mono sent; /* first */
	uint8_t tries;
};

struct keeper {
	struct contact contact;
	uint64_t stored; /* version of ours that it has acknowledged */
	struct asked store, lookup;
	bool refused; /* our record, for this heartbeat */
	bool asked;   /* of this service, ever */
};

/* The agents nearest to a key: the first DIRECTORY_KEEPERS are its keepers, ourselves maybe. */
struct place {
	struct digest key;
	struct keeper list[PLACE_CANDIDATES];
	size_t count;
	uint64_t token; /* of the lookup under way; 0: none */
	struct mono find_at, check_at;
	bool found; /* ever */
};

/* A service in use, or our own workload. */
struct service {
	struct digest key;
	char *namespace, *name;
	struct place place;
	struct held **list;
	size_t count, cap;
	struct mono used_until, refresh_at;
	struct mono answer_by; /* of the first question; MONO_NEVER: none is under way */
	uint64_t tokens[DIRECTORY_WAITING_MAX];
	size_t token_count;
	uint64_t turn; /* whom to ask next */
	bool answered; /* once at least */
	bool complete; /* the last time */
	bool own;
};

struct subscriber {
	struct contact contact;
	char *namespace, *name;
	struct mono until;
};

/* What is kept here under one key. */
struct kept {
	struct digest key;
	struct held **list;
	size_t count, cap;
	struct subscriber *subscribers;
	size_t subscriber_count, subscriber_cap;
};

struct failed {
	struct contact contact;
	struct mono at;
};

struct directory {
	struct directory_config config;
	struct kad *kad;
	struct prng prng;
	struct mono now;
	struct wall wall;
	struct mono deadline;
	int64_t rtt_us; /* smoothed */
	uint64_t next_request, next_token;

	struct map services; /* key -> struct service */
	struct service *own; /* of them */

	/* announce.c */
	struct service_record record; /* ours; no name: nothing was announced */
	struct buf envelope, renewal;
	bool announced, withdrawn;
	struct mono heartbeat_at;

	/* keep.c */
	struct map kept; /* key -> struct kept */
	size_t kept_count, kept_bytes, subscriber_count;
	struct mono sweep_at;

	struct throttle rates[DIRECTORY_RATES];
	struct failed failed[DIRECTORY_FAILED];
	size_t failed_next;
	struct directory_stats stats;

	struct directory_effect **outs;
	size_t out_count, out_cap, out_next;
	struct work_message *locals; /* to ourselves, DIRECTORY_LOCAL_MAX at most */
	size_t local_count;
};

#define KEY_BYTES(key) bytes_of((key)->byte, ID_LEN)

/* ---- directory.c ---- */

/* Send @message, which is taken over; to ourselves it is delivered before the call ends. */
void directory_send(struct directory *directory, const struct contact *to,
		    struct work_message *message);
struct directory_effect *directory_out(struct directory *directory,
				       enum directory_effect_type type);
uint64_t directory_request(struct directory *directory);
bool directory_is_self(const struct directory *directory, const struct node_id *id);
void directory_gave_up(struct directory *directory, const struct contact *contact);
/* While there are too few keepers: one that was given up is asked whether it is back. */
void directory_try_failed(struct directory *directory);

/* ---- held.c ---- */

/* Open what @signed_record carries. NULL, and counted, unless it counts now. New; held_free() it.
 */
struct held *held_open(struct directory *directory, const struct work_signed *from);

/* Put @held into @list, in place of an older one of its pod. False, and @held is freed: there is a
 * newer one, or the same. */
bool held_put(struct held ***list, size_t *count, size_t *cap, struct held *held,
	      struct held **ret_old);
struct held *held_of_peer(struct held *const *list, size_t count, const struct node_id *peer);

/* @renewal of the record in @held, verified: true if it prolongs it. */
bool held_renew(struct directory *directory, struct held *held, struct bytes renewal);

/* A keeper says that its agent has renewed it @age_ms ago. */
void held_vouched(struct directory *directory, struct held *held, uint32_t age_ms);
/* Is it time to see a signature? */
bool held_wants_proof(const struct directory *directory, const struct held *held);

/* Its agent itself has told us just now that @held holds; @renewal is its word for others. */
void held_prolong(struct directory *directory, struct held *held, const struct buf *renewal);
bool held_is_live(const struct directory *directory, const struct held *held);
size_t held_size(const struct held *held);
void held_free(struct held *held);

/* Remove what has expired from a list. Returns how many were live until now. */
size_t held_sweep(struct directory *directory, struct held **list, size_t *count);

/* ---- place.c ---- */

void place_init(struct directory *directory, struct place *place, const struct digest *key);
void place_find(struct directory *directory, struct place *place);
/* Begin with those that the table knows. */
void place_guess(struct directory *directory, struct place *place);
void place_found(struct directory *directory, struct place *place, const struct contact *contacts,
		 size_t count);
/* The next nearest takes the place of keeper @at. */
void place_drop(struct directory *directory, struct place *place, size_t at);
size_t place_keeper_count(const struct place *place); /* how many there are: the first ones */
/* A keeper names others that are nearer. True: some of them are new. */
bool place_nearer(struct directory *directory, struct place *place, const struct work_near *nearer);
/* Those who are nearer to @key than we are, as far as we know, if they are enough. */
struct work_near place_near(const struct directory *directory, const struct digest *key);
/* Look again if it is due, or if the table knows somebody nearer. */
void place_tick(struct directory *directory, struct place *place);
/* What becomes of a request that was not answered in time: true: it is to be sent again. */
bool asked_is_due(const struct directory *directory, const struct asked *asked);
void asked_begin(struct directory *directory, struct asked *asked);
/* It was answered. */
void asked_end(struct directory *directory, struct asked *asked);

/* ---- announce.c ---- */

void announce_spread(struct directory *directory); /* to keepers who do not have our record */
void announce_tick(struct directory *directory);
void announce_heartbeat(struct directory *directory);
void announce_stored(struct directory *directory, const struct node_id *from,
		     const struct work_stored *stored);
struct mono announce_deadline(const struct directory *directory);
void announce_sign(struct directory *directory, struct work_signed *ret_signed);

/* ---- lookup.c ---- */

struct service *service_get(struct directory *directory, const char *namespace, const char *name);
void service_free(struct service *service);
void lookup_ask(struct directory *directory, struct service *service);
void lookup_place(struct directory *directory, struct service *service);
void lookup_records(struct directory *directory, const struct directory_peer *from,
		    const struct work_records *records);
void lookup_tick(struct directory *directory);
void lookup_unreachable(struct directory *directory, const struct node_id *id);
struct mono lookup_deadline(const struct directory *directory);
uint64_t service_digest(const struct directory *directory, const struct service *service);
void lookup_changed(struct directory *directory, const struct service *service);

/* ---- sibling.c ---- */

void sibling_heartbeat(struct directory *directory);
/* Any answer will do; an agent answers whoever looks a service up. */
void sibling_probe(struct directory *directory, const struct contact *to);
void sibling_tell(struct directory *directory); /* our record has changed */
void sibling_receive(struct directory *directory, const struct directory_peer *from,
		     const struct work_message *message);
void sibling_heard(struct directory *directory, const struct node_id *id);
void sibling_tick(struct directory *directory);
struct mono sibling_deadline(const struct directory *directory);

/* ---- keep.c ---- */

void keep_store(struct directory *directory, const struct directory_peer *from,
		const struct work_store *store);
void keep_renew(struct directory *directory, const struct directory_peer *from,
		const struct work_renew *renew);
void keep_lookup(struct directory *directory, const struct directory_peer *from,
		 const struct work_lookup *lookup);
void keep_tick(struct directory *directory);
void keep_free(struct directory *directory);
