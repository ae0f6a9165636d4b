/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A swarm: many machines that keep shards, on one virtual clock, with a network that delays and
 * loses, where every machine knows who is nearest to what.
 */
#pragma once

#include "base/list.h"
#include "base/prng.h"
#include "records/shard.h"

enum {
	SWARM_MAX = 64,
	SWARM_DELAY_MS = 5,
};

struct swarm_machine {
	struct swarm *swarm;
	struct shards *shards;
	struct contact contact;
	struct digest position;
	bool up;
};

/* How the last read ended. */
struct swarm_found {
	bool ended, complete;
	size_t count;
	struct uid first; /* of the first row */
};

struct swarm {
	struct swarm_machine machines[SWARM_MAX];
	size_t count;
	struct list letters;
	struct prng prng;
	struct mono now;
	unsigned loss_percent;
	bool misled;      /* lookups name those who are farthest */
	uint64_t located; /* lookups so far */
	uint64_t sent, rows_sent;
	uint64_t reading; /* the token waited for, and at whom */
	size_t reader;
	struct swarm_found found;
};

void swarm_init(struct swarm *swarm, size_t count, uint64_t seed);
void swarm_deinit(struct swarm *swarm);
void swarm_run_ms(struct swarm *swarm, int64_t ms);
void swarm_stop(struct swarm *swarm, size_t n);
void swarm_start(struct swarm *swarm, size_t n);

struct uid swarm_uid(uint32_t number);

/* The row of object "name-NUMBER"; borrows @name, which it writes. */
struct index_row swarm_row(uint32_t number, uint64_t hlc, char name[32]);

/* The machines that are up, nearest to @key first. */
size_t swarm_nearest(const struct swarm *swarm, const struct digest *key,
		     struct contact *ret_contacts, size_t max);
struct shards *swarm_holder(const struct swarm *swarm, const struct contact *contact);

/* Machine @n says once, says, or says no longer, or says that it is gone: object "name-NUMBER". */
void swarm_say(struct swarm *swarm, size_t n, const char *namespace, uint32_t number, uint64_t hlc);
void swarm_own(struct swarm *swarm, size_t n, const char *namespace, uint32_t number, uint64_t hlc);
void swarm_end(struct swarm *swarm, size_t n, const char *namespace, uint32_t number, uint64_t hlc);
void swarm_disown(struct swarm *swarm, size_t n, const char *namespace, uint32_t number);

/* Ask machine @n, and run until it has answered. @namespace NULL: all. */
struct swarm_found swarm_find(struct swarm *swarm, size_t n, const char *namespace,
			      uint32_t number);
struct swarm_found swarm_walk(struct swarm *swarm, size_t n, const char *namespace);

/* Over all machines that are up. */
struct shards_counts swarm_counts(const struct swarm *swarm);
