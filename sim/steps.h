/* SPDX-License-Identifier: Apache-2.0 */
/* Steps: what large scenarios are made of. All times are of the world, in ms. */
#pragma once

#include "world.h"

enum {
	STEPS_PROBE_MS = 10 * 1000, /* a broadcast that has not arrived after this is lost */
};

/* Which machines are given work; evenly spread. */
size_t steps_owner(const struct world *world, size_t number);
bool steps_is_owner(const struct world *world, size_t machine);

/* One machine in @machines_per_owner, if the parameters do not say. */
void steps_default_owners(struct world *world, size_t machines_per_owner);

/* How long that takes before params.settle_s. */
int64_t steps_boot_ms(const struct world *world);

/* Machines, formed or booting, as the parameters say; returns when the busy part may begin. */
int64_t steps_begin(struct world *world);

/* Measure the idle fabric. */
void steps_idle(struct world *world, int64_t at_ms, int64_t for_ms);

/* params.owners machines are given params.workloads each of params.replicas, at moments spread
 * over @for_ms. */
void steps_work(struct world *world, int64_t at_ms, int64_t for_ms);

/* The same, but an owner is given its next workload when the last one is placed. */
void steps_work_in_turn(struct world *world, int64_t at_ms);

/* params.broadcasts, @spacing_ms apart, the first @warm of them uncounted. */
void steps_broadcasts(struct world *world, int64_t at_ms, int64_t spacing_ms, int64_t warm);

/* params.lookups, spread over @for_ms. */
void steps_lookups(struct world *world, int64_t at_ms, int64_t for_ms);

/* params.lost machines vanish for good, at moments spread over @for_ms. No owner is among them. */
void steps_losses(struct world *world, int64_t at_ms, int64_t for_ms);

/* Machines restart at the rate of params.churn until @until_ms. No owner is among them. */
void steps_churn(struct world *world, int64_t at_ms, int64_t until_ms);

/* params.starved percent of the machines stall again and again until @until_ms. */
void steps_starve(struct world *world, int64_t at_ms, int64_t until_ms);

/* Again and again a machine does not hear one of its neighbours, which all others do. */
void steps_break_ways(struct world *world, int64_t at_ms, int64_t until_ms);

/* It violates if some replica that fits has not been accepted by then. */
void steps_expect_placed(struct world *world, int64_t at_ms);

/* It violates if a steward lacks the object of a workload, or has one that was deleted. */
void steps_expect_objects(struct world *world, uint64_t argument);

/* It violates if not all machines that hear each other are one overlay. */
void steps_expect_formed(struct world *world, int64_t at_ms);
