/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A network of kads in memory: latency, silence of machines that are down, virtual time. Every run
 * with the same seed is the same.
 */
#pragma once

#include "base/prng.h"
#include "overlay/kad.h"

struct net_machine {
	struct kad *kad; /* NULL: down */
	struct contact contact;
	struct digest position;
	struct mono tick_at; /* as queued */
	uint64_t sent, bytes, messages[MESSAGE_TYPE_COUNT];
};

/* What a lookup told. */
struct net_result {
	uint64_t token;
	size_t machine;
	struct contact contacts[KAD_FOUND_MAX];
	size_t count;
	unsigned hops;
	bool complete;
	struct mono at;
};

struct net_event {
	struct mono at;
	uint64_t order;
	size_t to;
	struct contact from;
	struct message *message; /* NULL: a tick */
};

struct net {
	struct net_machine *machines;
	size_t count;
	struct net_event *events; /* a heap */
	size_t event_count, event_cap;
	uint64_t order;
	struct prng prng;
	struct mono now;
	int64_t latency_us; /* one way, each message jittered */
	unsigned loss_permille;
	void (*watch)(struct net *net, size_t from, size_t to, size_t len); /* each message sent */
	struct net_result *results;
	size_t result_count, result_cap;
};

void net_init(struct net *net, size_t count, uint64_t seed);
void net_deinit(struct net *net);

/* Machine @at is up, knowing @knows (or nobody: itself). */
void net_start(struct net *net, size_t at, size_t knows);
/* Machines from @first to before @end, each with the table that upkeep would have brought it if
 * there were no others. */
void net_form(struct net *net, size_t first, size_t end);
void net_stop(struct net *net, size_t at);
void net_run_ms(struct net *net, int64_t ms);
/* Take the effects of a machine to which something was done directly. */
void net_flush(struct net *net, size_t at);

/* A lookup from @at; run until it has ended. The result is valid until the next one. */
const struct net_result *net_find(struct net *net, size_t at, const struct digest *target,
				  bool providers);
const struct net_result *net_find_stewards(struct net *net, size_t at, const struct digest *target);
const struct net_result *net_result(const struct net *net, uint64_t token);

/* The @max live machines nearest to @target but @except, nearest first. */
size_t net_nearest(const struct net *net, const struct digest *target, size_t except, size_t *ret,
		   size_t max);
/* How many of the @max truly nearest are in the result. */
size_t net_hits(const struct net *net, const struct net_result *result, const struct digest *target,
		size_t max);
struct digest net_random(struct net *net);
size_t net_random_up(struct net *net);
