/* SPDX-License-Identifier: Apache-2.0 */
/* Scenarios of loss and power cuts; scenario.c has the table. */
#pragma once

#include "world.h"

void repair_scenario(struct world *world); /* of both kinds */
void power_scenario(struct world *world);
void power_long_scenario(struct world *world);
void away_scenario(struct world *world);
void reuse_scenario(struct world *world);
