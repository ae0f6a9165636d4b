/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ledger: what this machine has, what is taken, what is promised.
 *
 *   capacity   allocatable, as the host says
 *   used       bound by awards, until nothing of the pod is left
 *   reserved   set aside by hand, for a while
 *   held       weak holds of open bids: one copy per bid, up to MARKET_OVERBOOK times what is free
 *
 * Invariants: no part is ever negative; ledger_take() never lets used + reserved pass capacity
 * (only a machine that shrinks, or pods found again after a restart, can exceed it; then nothing is
 * free).
 */
#pragma once

#include "base/list.h"
#include "market/market.h"

enum {
	LEDGER_RESERVATIONS_MAX = 1024, /* made through the local API; a bound on its memory */
};

/* An amount of what a machine can give. Pods are the slots of the machine's pod table; extended
 * resources stand where the ledger has their names. */
struct amount {
	int64_t cpu_milli, memory_bytes, pods;
	int64_t extended[MESSAGE_RESOURCES_MAX];
};

struct ledger {
	struct amount capacity, used, reserved, held;
	char *names[MESSAGE_RESOURCES_MAX]; /* of extended resources; a place is never reused */
	size_t name_count;
	struct list reservations;
	size_t reservation_count;
	uint64_t reservation_last;
};

void ledger_init(struct ledger *ledger);
void ledger_deinit(struct ledger *ledger);

/* What the machine has of extended resources, from now on. More than MESSAGE_RESOURCES_MAX names in
 * the life of a ledger are left out. */
void ledger_set_resources(struct ledger *ledger, const struct resource *resources, size_t count);

/* Does the machine know every extended resource that is needed? */
bool ledger_knows(const struct ledger *ledger, const struct requirements *needs);

/* The amount of one pod; what the machine does not know is left out. */
struct amount ledger_amount(const struct ledger *ledger, const struct requirements *needs);
struct amount amount_times(struct amount amount, uint32_t copies);
struct amount amount_add(struct amount a, struct amount b);
struct amount amount_less(struct amount a, struct amount b);

/* What is neither used nor reserved, never below zero. */
struct amount ledger_free(const struct ledger *ledger);

/* How many copies of @need lie inside @room, at most @copies_max. */
uint32_t ledger_copies(struct amount room, struct amount need, uint32_t copies_max);

/* Bind @need if it is free. */
_must_use_ bool ledger_take(struct ledger *ledger, struct amount need);
/* Bind @need whatever is free: the pod runs already. */
void ledger_take_anyway(struct ledger *ledger, struct amount need);
void ledger_give_back(struct ledger *ledger, struct amount need);

/* A weak hold on @need out of @room, if no more than MARKET_OVERBOOK times @room is promised. */
_must_use_ bool ledger_hold(struct ledger *ledger, struct amount room, struct amount need);
void ledger_unhold(struct ledger *ledger, struct amount need);

/* Set @need aside until @until: an id, or 0 when it is not free. */
uint64_t ledger_reserve(struct ledger *ledger, struct amount need, struct mono until);
_must_use_ bool ledger_unreserve(struct ledger *ledger, uint64_t id);

/* Drop reservations that have run out; true if there were any. */
bool ledger_expire(struct ledger *ledger, struct mono now);
struct mono ledger_deadline(const struct ledger *ledger);

/* 0..1000: the scarcer share of the machine left free after one copy of @need and all holds. */
uint32_t ledger_fit(const struct ledger *ledger, struct amount need);
