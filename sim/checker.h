/* SPDX-License-Identifier: Apache-2.0 */
/* Checkers: what must be true, watched from outside. The invariants are listed in checker.c. */
#pragma once

#include "world.h"

/* A host has been told to start @pod; its containers run. */
void checker_pod_begins(struct world *world, struct sim_pod *pod);
/* It was kept over a power cut, and is started again. */
void checker_pod_resumes(struct world *world, const struct sim_pod *pod);
void checker_pod_runs(struct world *world, const struct sim_pod *pod);

/* After every event of a machine. */
void checker_machine(struct world *world, struct sim_machine *machine);

/* Machines meet that did not hear each other before. */
void checker_joined(struct world *world);

/* @machine takes an envelope for new. */
void checker_fresh(struct world *world, const struct sim_machine *machine,
		   const struct node_signed *opened);

/* Has @observer reason to take @other, which runs, for dead? */
bool checker_may_seem_dead(const struct world *world, const struct sim_machine *observer,
			   const struct sim_machine *other);

void checker_pods(struct world *world);
void checker_periodic(struct world *world); /* every second */
void checker_end(struct world *world);

/* From the first call to the second nobody forgets a contact that lives. */
void checker_contacts_begin(struct world *world);
void checker_contacts_end(struct world *world);

/* At moments that a scenario chooses: all that run are one overlay; all that fits is accepted. */
void checker_overlay(struct world *world);
void checker_all_accepted(struct world *world);
