/* SPDX-License-Identifier: Apache-2.0 */
/* Scenarios of long absence; scenario.c has the table. */
#pragma once

#include "world.h"

void away_scenario(struct world *world);
void replaced_scenario(struct world *world);
void apart_scenario(struct world *world);
