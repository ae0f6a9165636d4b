/* SPDX-License-Identifier: Apache-2.0 */
/* Scenarios of controllers; scenario.c has the table. */
#pragma once

#include "world.h"

void control_rollout(struct world *world);
void control_families(struct world *world);
void control_ordinals(struct world *world);
void control_controllers(struct world *world);
void control_registrars(struct world *world);
void control_registrars_all(struct world *world);
void control_registrars_replace(struct world *world);
void control_recall(struct world *world);

/* What all of them begin with: each machine bears its name, as a pod of a DaemonSet requires. */
void control_begin(struct world *world);
