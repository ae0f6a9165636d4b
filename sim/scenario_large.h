/* SPDX-License-Identifier: Apache-2.0 */
/* The large scenarios; scenario.c has the table. */
#pragma once

#include "world.h"

/* scenario_market.c */
void large_placement(struct world *world);
void large_placement_end(struct world *world);
void large_one_owner(struct world *world);
void large_one_owner_end(struct world *world);
void large_burst(struct world *world);
void large_full(struct world *world);
void large_full_end(struct world *world);
void large_rare(struct world *world);
void large_rare_end(struct world *world);
void large_unsatisfiable(struct world *world);
void large_unsatisfiable_end(struct world *world);

/* scenario_overlay.c */
void large_churn(struct world *world);
void large_partition(struct world *world);
void large_mass_failure(struct world *world);
void large_join_storm(struct world *world);
void large_slow_observers(struct world *world);
void large_probes_end(struct world *world); /* every broadcast arrived everywhere */
void large_detect_end(struct world *world); /* and nobody was declared dead who lived */

/* scenario_records.c */
void large_records(struct world *world);
void large_records_end(struct world *world);
int64_t large_records_ms(const struct world *world); /* how long all but the busy part takes */

/* scenario_hostile.c */
void large_byzantine(struct world *world);
void claims_scenario(struct world *world); /* a small one */
void large_soak(struct world *world);
