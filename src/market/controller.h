/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Controller: keeps each object it controls at its number of replicas.
 *
 * The controller of an object is its first live keeper (records_controller()); the caller shows it
 * the object and all its known pods whenever something changed, and at controller_deadline(). It
 * answers with tenders for slots without a pod and with stops for pods that are too many. Two
 * controllers of one object (partition, churn) are harmless: slots and tender ids collapse.
 *
 * Slots: 0..replicas-1; a slot is filled by a pod that is not POD_GONE, not terminating, not failed
 * (kind Pod: any phase fills it), on a machine that is not lost. A slot is pending from its tender
 * until its presence appears or CONTROLLER_PENDING_MS passed. Surplus: two pods in one slot: kept
 * is the one of the higher epoch, then the ready one, then the one started first, then the smaller
 * pod uid; or more pods than replicas, in whichever slots: those that are not ready go, then the
 * youngest. None goes for the sake of one on a silent machine, which may turn out to be lost,
 * unless fewer were asked for. So a pod of a slot
 * >= replicas may stay, and missing ones get the first slots that are empty. A pod that is leaving
 * fills no slot, and is surplus once another one is ready in its slot, or enough are in others.
 *
 * What fits nowhere is tried again with exponential back-off from CONTROLLER_RETRY_MIN_MS to
 * CONTROLLER_RETRY_MAX_MS, or at once after controller_wake(). The replicas of a workload are
 * alike: when a tender placed none of its slots, those that wait behind it back off with it, and
 * only what is lost anew is tried at once. When it placed some, the others are tried again at once.
 * All objects together are tried again one by one, CONTROLLER_RETRY_INTERVAL_MIN_MS apart and more
 * in a large fabric, so that what hopeless cases cost depends neither on their number nor on the
 * fabric's size; those for which there may be room now do not stand in line behind them.
 *
 * A controller that takes over an
 * object older than CONTROLLER_SETTLE_MS first waits that long: its predecessor's awards may be on
 * their way.
 */
#pragma once

#include "base/time.h"
#include "wire/message.h"
#include "wire/presence.h"

enum {
	CONTROLLER_PENDING_MS = 15 * 1000,
	CONTROLLER_RETRY_MIN_MS = 1000,
	CONTROLLER_RETRY_MAX_MS = 300 * 1000,
	CONTROLLER_RETRY_INTERVAL_MIN_MS = 5 * 1000,
	CONTROLLER_RETRY_INTERVAL_MAX_MS = 60 * 1000,
	CONTROLLER_RETRY_MS_PER_MACHINE = 5, /* of the interval: 4 retries per second in all when
					      * one machine in 50 has something that fits nowhere */
	CONTROLLER_WOKEN_INTERVAL_MS = 500,  /* of what is tried for a notice of room */
	CONTROLLER_RETRIES_BURST = 16,       /* of either; what one notice may wake */
	CONTROLLER_SETTLE_MS = 3000,
	CONTROLLER_SURPLUS_MS = 5000, /* a surplus must be seen this long before anything is
				       * stopped, unless fewer replicas have been asked for */
	CONTROLLER_REPLICAS_MAX = 100000,
	CONTROLLER_EXCLUDE_MS =
		60 * 1000, /* a machine that failed a slot is passed over this long */
};

struct controller_pod {
	const struct presence *presence;
	bool machine_alive;
	bool machine_silent; /* for all that is said; but we do not hear it, yet or any more */
};

struct controller_view {
	struct object_ref object;
	uint64_t generation;
	uint32_t replicas;
	bool single;    /* kind Pod: one slot, any phase fills it */
	bool exclusive; /* a pod that is being stopped still fills its slot */
	/* Kind Job: a bit per slot that is to be filled now; NULL: all are. With it, a pod that has
	 * ended fills no slot and is left alone, as are pods in slots that are not to be filled. */
	const uint8_t *open;
	int64_t age_ms;    /* since the object was written, by fabric time */
	uint64_t machines; /* of the fabric, as far as it is known */
	const struct controller_pod *pods;
	size_t pod_count;
};

enum controller_effect_type {
	CONTROLLER_TENDER, /* open a tender for @slots of @object_uid */
	CONTROLLER_STOP,   /* dispose of the surplus pod @pod_uid */
};

struct controller_effect {
	enum controller_effect_type type;
	struct uid object_uid;
	const uint32_t *slots;
	size_t slot_count; /* <= MESSAGE_SLOTS_MAX */
	uint32_t attempt;
	const struct node_id *excluded;
	size_t excluded_count;
	struct uid pod_uid;
	const char *text;
};

struct controller;

/* Never NULL. @seed: random, for the jitter of back-offs and against chosen uids. */
struct controller *controller_new(uint64_t seed);
void controller_free(struct controller *controller);

/* Show an object that this machine controls. */
void controller_show(struct controller *controller, struct mono now,
		     const struct controller_view *view);

/* The object is deleted, or controlled by another machine now. */
void controller_forget(struct controller *controller, const struct uid *object_uid);

/* The market's word about a slot. */
void controller_placed(struct controller *controller, struct mono now, const struct uid *object_uid,
		       uint32_t slot, const struct uid *pod_uid);
void controller_failed(struct controller *controller, struct mono now, const struct uid *object_uid,
		       uint32_t slot, const struct node_id *machine);
void controller_closed(struct controller *controller, struct mono now, const struct uid *object_uid,
		       const uint32_t *unplaced, size_t count);

/* Room on @machine (NULL: on one that is new): what was backing off is due now, unless it has
 * failed there. */
void controller_wake(struct controller *controller, struct mono now, const struct node_id *machine);

/* The same for one object. */
void controller_wake_object(struct controller *controller, struct mono now,
			    const struct uid *object_uid);

/* Objects whose time has come: show them again. False at the end. *position starts at 0. */
bool controller_due(const struct controller *controller, struct mono now, size_t *position,
		    struct uid *ret_object_uid);
struct mono controller_deadline(const struct controller *controller);
void controller_expect(const struct controller *controller); /* base/cache.h */
const struct controller_effect *controller_next_effect(struct controller *controller);
