/* SPDX-License-Identifier: Apache-2.0 */
/* The small scenarios; scenario.c has the table. */
#pragma once

#include "world.h"

void small_placement(struct world *world);
void small_one_machine(struct world *world);
void small_uneven(struct world *world);
void small_full(struct world *world);
void small_loss(struct world *world);
void small_one_way(struct world *world);
void small_crash(struct world *world);
void small_partition(struct world *world);
void small_churn(struct world *world);
void small_soak(struct world *world);

/* scenario_revoke.c */
void small_revocation(struct world *world);

/* scenario_fabric.c: of both kinds */
void small_fabric(struct world *world);
void small_fabric_end(struct world *world);
