/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Families: objects with a reconciler (control/control.h), what their controllers derive from them,
 * and the pods of all of it, asked for at gateways and watched from outside.
 *
 * A gateway changes an object as the API does: it takes the version that it has itself, changes
 * what it is asked to change, and says from which version it made the new one. So on two sides of a
 * partition there are two histories, of which one wins.
 *
 * What must be true, beyond what checker.c says of slots (family_check.c):
 *
 *  1. Deployment: a controller that stops available pods leaves replicas - maxUnavailable of them,
 *     as far as it can know: pods that were lost less than FAMILY_NEWS_MS ago may count.
 *  2. Deployment: in a component there are no more than replicas + maxSurge pods for longer than
 *     news of a stop may travel.
 *  3. An ordinal of a StatefulSet runs at most once, in all components together, however many
 *     controllers there are; what is being stopped still runs. Only a pod that a user has given up
 *     by hand may run beside its successor until its machine hears of it.
 *  4. A machine runs at most one pod of a DaemonSet, but for a moment after a heal.
 *  5. What a slot of a Job has done is not done again, once its component can know; a slot has one
 *     pod at a time in a component.
 *  6. A scheduled minute of a CronJob has one Job, under one uid, whoever makes it.
 *  7. Of pods that are there twice after a heal the oldest one that is available is kept.
 *  8. No more pods are made than changes and losses explain.
 *  9. When things are quiet, every keeper has the same version of the object, the newest that was
 *     written anywhere, and it is carried out to the letter. What a change lost to one that was
 *     made on the other side is told (NODE_LOST).
 */
#pragma once

#include "wire/registrars.h"
#include "world.h"

enum family_kind {
	FAMILY_DEPLOYMENT,
	FAMILY_STATEFULSET,
	FAMILY_DAEMONSET,
	FAMILY_JOB,
	FAMILY_CRONJOB,
	FAMILY_KIND_COUNT,
};

enum {
	FAMILY_BAD = 90,            /* templates from this number on: their pods are never ready */
	FAMILY_KEEP = -1,           /* of a change: as it is */
	FAMILY_RUN_MS = 8000,       /* so long the pod of a Job works */
	FAMILY_NEWS_MS = 15 * 1000, /* that a machine is lost is known then: as REPAIRED_MS */
	FAMILY_RIVALS_MAX = 16,
};

/* What is asked for at first; @replicas: completions of a Job. */
struct family_wish {
	enum family_kind kind;
	uint32_t replicas;
	uint32_t surge, unavailable; /* Deployment */
	bool on_lost_replace;        /* StatefulSet */
};

struct family_change {
	int64_t template, replicas; /* or FAMILY_KEEP */
};

/* A Job of a CronJob. */
struct family_run {
	struct uid uid;
	char name[64];
};

struct sim_family {
	struct family_wish wish;
	struct uid uid;
	char name[16];
	uint32_t replicas;         /* asked for last */
	struct sim_target old[16]; /* earlier ones, newest last */
	size_t old_count;
	struct sim_pod **pods; /* all that ever were, oldest first */
	size_t pod_count, pod_cap;
	uint64_t budget;            /* pods that are explained */
	size_t noted;               /* pods there were at some moment */
	int64_t over_us;            /* since when there are too many; 0: there are not */
	int64_t made_ms, parted_ms; /* fabric time */
	uint64_t lost_hlc;          /* a version that lost to one of the other side; 0: none */
	bool lost_told;
	struct family_run *runs;
	size_t run_count;
};

/* A conditional write among several of the same version. */
struct family_rival {
	uint32_t machine;
	uint64_t token;
	bool ended, won;
};

struct families {
	struct sim_family *family;
	size_t count;
	struct family_rival rivals[FAMILY_RIVALS_MAX];
	size_t rival_count, rival_wins;
	int64_t disturbed_us; /* a daemon ended, or sides changed; 0: never */
	int64_t parted_us;    /* the last partition began; 0: never */
};

/* ---- what is asked for: family.c ---- */

/* At @machine, or at any steward (SIM_ANY). Returns the family's number. */
size_t family_apply(struct world *world, size_t machine, const struct family_wish *wish);
void family_change(struct world *world, size_t machine, size_t family,
		   const struct family_change *change);

/* A user gives the ordinal up: kubectl delete pod --force. */
void family_release(struct world *world, size_t machine, size_t family, uint32_t ordinal);

/* Its registrars, as the newest version that some machine has says. */
struct registrars family_registrars(const struct world *world, size_t family);

/* An operator asks for new ones: magik.io/registrars-reset. */
void family_reset(struct world *world, size_t family, uint64_t epoch);

/* The machine that runs an ordinal; SIM_ANY: none does. */
size_t family_runs_at(const struct world *world, size_t family, uint32_t ordinal);

/* Every steward is asked at once to change the same version, and only that. */
void family_rival_changes(struct world *world, size_t family);
void family_put_done(struct world *world, const struct sim_machine *machine,
		     const struct node_effect *effect);
void family_expect_one_won(struct world *world);

/* The machine that controls it, as one of its stewards sees it; SIM_ANY: nobody knows. */
size_t family_controller(const struct world *world, size_t family);

/* The family of an object, by its home; NULL: none. */
struct sim_family *family_of(const struct world *world, const struct uid *uid);
void families_free(struct world *world);

/* ---- what is seen: family_check.c ---- */

/* False: the pod belongs to no family. */
bool family_pod_begins(struct world *world, struct sim_pod *pod);
void family_pod_stops(struct world *world, const struct sim_pod *pod, const char *text);
/* How its pods end by themselves: after so long; 0: they do not. */
int64_t family_pod_runs_ms(const struct world *world, const struct sim_pod *pod);
bool family_pod_is_ready(const struct sim_pod *pod);
void family_lost(struct world *world, const struct node_effect *effect);

void family_periodic(struct world *world);
void family_disturbed(struct world *world);
void family_machine_lost(struct world *world, size_t machine); /* before its pods end */
void family_parted(struct world *world); /* the world falls apart: both sides mend what they miss */
void family_heals(struct world *world);  /* both sides are about to meet */
void family_joined(struct world *world); /* machines meet that did not hear each other before */
void family_agreed(struct world *world); /* SIM_GRACE_MS later */

void family_note(struct world *world, size_t family);
/* So many pods were made since, exactly. */
void family_expect_made(struct world *world, size_t family, size_t count);
void family_expect_settled(struct world *world, size_t family);
/* Of each slot's pods the oldest one that was available is to be kept: noted, and seen to be so. */
void family_note_oldest(struct world *world, size_t family);
void family_expect_oldest(struct world *world, size_t family);
/* At least replicas - maxUnavailable are available, whatever the present template does. */
void family_expect_available(struct world *world, size_t family);
void family_expect_told(struct world *world, size_t family);
