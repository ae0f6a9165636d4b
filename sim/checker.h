/* SPDX-License-Identifier: Apache-2.0 */
/* Checkers: what must be true, watched from outside. The invariants are listed in checker.c. */
#pragma once

#include "world.h"

/* @pod has begun, or its state has changed. */
void checker_pod(struct world *world, struct sim_pod *pod);

/* Has @observer reason to take @other, which runs, for dead? */
bool checker_may_seem_dead(const struct world *world, const struct sim_machine *observer,
			   const struct sim_machine *other);

/* A trust table has accepted an envelope as fresh, or as signed by @issuer. */
void checker_fresh(struct world *world, const struct sim_machine *machine,
		   const struct node_signed *opened);
void checker_opened(struct world *world, const struct sim_machine *machine, struct bytes envelope,
		    bool genuine);
