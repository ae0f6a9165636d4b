/* SPDX-License-Identifier: Apache-2.0 */
/* Scenarios of loss, power cuts and long absence; scenario.c has the table. */
#pragma once

#include "world.h"

void repair_scenario(struct world *world); /* of both kinds */
void power_scenario(struct world *world);
void power_long_scenario(struct world *world);
void reuse_scenario(struct world *world);
