/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The controller of replicas.
 *
 * An object is judged only in controller_show(), from one complete view; everything else that
 * happens leaves a note on a slot and makes the object due, so that the caller shows it again.
 * Notes exist only for slots that are not known to run:
 *
 *   (none) --tender--> PENDING --placed--> PENDING --pod runs--> (none)
 *                        |  ^
 *             not placed,|  | its time has come: next attempt
 *                 failed v  |
 *                      BACKOFF
 *
 * Missing slots without a note wait for the charge's block, if the last tender was in vain; those
 * that were filled since then do not: they were lost anew.
 *
 * One tender of an object is open at a time: the bids for the next 64 slots then already count the
 * replicas of the last 64, and so the spread stays even however many there are.
 *
 * Machines on which a slot failed are passed over for CONTROLLER_EXCLUDE_MS, except (OUR rule) in
 * the attempt after one that placed nothing: a fabric of one has no other machine to try.
 */
#include "market/controller.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/cache.h"
#include "base/fault.h"
#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/prng.h"
#include "market/precedence.h"
#include "market/turn.h"

enum note_state {
	NOTE_PENDING, /* in a tender, or placed and not seen yet; @until then it counts as missing
		       */
	NOTE_BACKOFF, /* tried in vain; again at @until */
	NOTE_RUNS,    /* about to be dropped */
};

struct note {
	uint32_t slot;
	enum note_state state;
	struct mono until;
	struct mono tried_at;
	uint32_t failures;
};

/* A machine that is passed over. */
struct exclusion {
	struct node_id node;
	struct mono until;
};

/* A pod that is one too many, and since when this has been seen. */
struct sighting {
	struct uid pod_uid;
	struct mono since;
	bool excess; /* too many for the replicas, not for its slot */
	bool seen;   /* in the view at hand */
};

struct charge {
	struct uid object_uid;
	uint64_t generation;
	uint64_t seed; /* of the jitter of its back-offs */
	uint32_t attempt;
	struct mono settle_until;
	struct mono tender_until; /* a tender is open, at most until then; 0 = none */
	size_t tender_slots;
	struct mono blocked_until; /* a tender placed nothing: what waited behind it waits */
	uint8_t *filled;           /* a bit per slot: it was, and has not been tendered since */
	uint32_t filled_slots;     /* bits of it */
	uint32_t failures;         /* tenders in a row that placed nothing */
	uint32_t replicas;         /* as shown last */
	bool shrinks;              /* fewer were asked for, and not all of the others are gone */
	bool deferred;             /* something too many stays for now: machine_silent */
	bool woken;                /* by a notice of room: its next retry is not one of time */
	bool retry_promised;       /* at @retry_until it is its turn among the retries */
	struct mono retry_until;
	bool excluding;   /* the open tender named exclusions */
	bool include_all; /* the next one must not */
	struct mono due;
	struct note *notes;
	size_t note_count;
	struct exclusion *excluded; /* MESSAGE_NODES_MAX, once there is one */
	size_t excluded_count;
	struct sighting *sightings;
	size_t sighting_count;
};

struct effect_node {
	struct list link;
	struct controller_effect effect;
	uint32_t *slots;
	struct node_id *excluded;
};

struct controller {
	/* The next turn that is not promised yet, may lie in the past: to be tried again because
	 * its time has come, and because there may be room. */
	struct mono retry_at, woken_at;
	size_t wake_at;     /* where the round over the charges stands */
	struct prng prng;   /* jitter */
	struct map charges; /* object uid -> struct charge */
	struct mono deadline;
	struct list effects;
	struct effect_node *last;
};

struct controller *controller_new(uint64_t seed)
{
	struct controller *controller = mem_new(struct controller);

	controller->prng = prng_seeded(seed);
	controller->retry_at.us = controller->woken_at.us = INT64_MIN;
	controller->deadline = MONO_NEVER;
	map_init(&controller->charges, seed);
	list_init(&controller->effects);
	return controller;
}

static void charge_free(struct charge *charge)
{
	free(charge->notes);
	free(charge->sightings);
	free(charge->filled);
	free(charge->excluded);
	free(charge);
}

void controller_free(struct controller *controller)
{
	if (!controller)
		return;
	map_for_each (entry, &controller->charges)
		charge_free(entry->value);
	map_deinit(&controller->charges);
	while (controller_next_effect(controller))
		continue;
	free(controller);
}

static struct bytes uid_bytes(const struct uid *uid)
{
	return bytes_of(uid->byte, sizeof(uid->byte));
}

static struct charge *charge_find(const struct controller *controller, const struct uid *uid)
{
	return map_get(&controller->charges, uid_bytes(uid));
}

/* ---- time ---- */

static void find_deadline(struct controller *controller)
{
	controller->deadline = MONO_NEVER;
	map_for_each (entry, &controller->charges) {
		const struct charge *charge = entry->value;

		controller->deadline = mono_min(controller->deadline, charge->due);
	}
}

static void charge_set_due(struct controller *controller, struct charge *charge, struct mono due)
{
	bool was_first = charge->due.us == controller->deadline.us;

	charge->due = due;
	if (due.us <= controller->deadline.us)
		controller->deadline = due;
	else if (was_first)
		find_deadline(controller);
}

bool controller_due(const struct controller *controller, struct mono now, size_t *position,
		    struct uid *ret_object_uid)
{
	struct map_entry *entry;

	while ((entry = map_next(&controller->charges, position)) != NULL) {
		const struct charge *charge = entry->value;

		if (!mono_reached(now, charge->due))
			continue;
		*ret_object_uid = charge->object_uid;
		return true;
	}
	return false;
}

void controller_expect(const struct controller *controller)
{
	CACHE_EXPECT(controller, retry_at, last);
}

struct mono controller_deadline(const struct controller *controller)
{
	return controller->deadline;
}

/* ---- notes ---- */

static struct note *note_find(const struct charge *charge, uint32_t slot)
{
	for (size_t i = 0; i < charge->note_count; i++)
		if (charge->notes[i].slot == slot)
			return &charge->notes[i];
	return NULL;
}

static struct note *note_get(struct charge *charge, uint32_t slot)
{
	struct note *note = note_find(charge, slot);

	if (note)
		return note;
	if ((charge->note_count & (charge->note_count - 1)) == 0)
		charge->notes =
			mem_resize(charge->notes, charge->note_count ? 2 * charge->note_count : 1,
				   sizeof(*charge->notes));
	note = &charge->notes[charge->note_count++];
	*note = (struct note){.slot = slot};
	return note;
}

static void note_pending(struct charge *charge, struct mono now, uint32_t slot)
{
	struct note *note = note_get(charge, slot);

	note->state = NOTE_PENDING;
	note->until = mono_add_ms(now, fault_is_planted(FAULT_PENDING) ? 0 : CONTROLLER_PENDING_MS);
}

/* Exponential, with a quarter of jitter either way, the same for slots that fail together: so they
 * are tried together. A slot that backs off already is left alone: one failure may be told twice.
 */
static struct note *note_backoff(struct charge *charge, struct mono now, uint32_t slot)
{
	struct note *note = note_get(charge, slot);
	int64_t wait_ms = CONTROLLER_RETRY_MIN_MS;
	struct prng jitter;

	if (note->state == NOTE_BACKOFF && !mono_reached(now, note->until))
		return note;
	for (uint32_t i = 0; i < note->failures && wait_ms < CONTROLLER_RETRY_MAX_MS; i++)
		wait_ms *= fault_is_planted(FAULT_BACKOFF) ? 1 : 2;
	if (wait_ms > CONTROLLER_RETRY_MAX_MS)
		wait_ms = CONTROLLER_RETRY_MAX_MS;
	jitter = prng_seeded(charge->seed + note->failures);
	wait_ms = prng_jitter(&jitter, wait_ms);
	note->state = NOTE_BACKOFF;
	note->failures++;
	note->tried_at = now;
	note->until = mono_add_ms(now, wait_ms);
	return note;
}

/* The slot may be tendered now. */
static void note_clear(struct charge *charge, struct mono now, uint32_t slot)
{
	struct note *note = note_get(charge, slot);

	note->until = now;
	note->failures = 0;
}

static void notes_drop_from(struct charge *charge, uint32_t replicas)
{
	size_t kept = 0;

	for (size_t i = 0; i < charge->note_count; i++)
		if (charge->notes[i].slot < replicas)
			charge->notes[kept++] = charge->notes[i];
	charge->note_count = kept;
}

/* ---- exclusions ---- */

static void exclusion_remove(struct charge *charge, size_t at)
{
	charge->excluded_count--;
	memmove(&charge->excluded[at], &charge->excluded[at + 1],
		(charge->excluded_count - at) * sizeof(charge->excluded[0]));
}

static void exclude(struct charge *charge, struct mono now, const struct node_id *node)
{
	if (!charge->excluded)
		charge->excluded = mem_alloc(MESSAGE_NODES_MAX, sizeof(*charge->excluded));
	for (size_t i = charge->excluded_count; i-- > 0;)
		if (node_id_equal(&charge->excluded[i].node, node) ||
		    mono_reached(now, charge->excluded[i].until))
			exclusion_remove(charge, i);
	if (charge->excluded_count == MESSAGE_NODES_MAX)
		exclusion_remove(charge, 0);
	charge->excluded[charge->excluded_count++] = (struct exclusion){
		.node = *node,
		.until = mono_add_ms(now, CONTROLLER_EXCLUDE_MS),
	};
}

/* ---- effects ---- */

static struct effect_node *effect_add(struct controller *controller, const struct charge *charge,
				      enum controller_effect_type type)
{
	struct effect_node *node = mem_new(struct effect_node);

	node->effect.type = type;
	node->effect.object_uid = charge->object_uid;
	node->effect.text = "";
	list_append(&controller->effects, &node->link);
	return node;
}

const struct controller_effect *controller_next_effect(struct controller *controller)
{
	if (controller->last) {
		free(controller->last->slots);
		free(controller->last->excluded);
		free(controller->last);
	}
	controller->last = list_first(&controller->effects, struct effect_node, link);
	if (!controller->last)
		return NULL;
	list_remove(&controller->last->link);
	return &controller->last->effect;
}

static void effect_exclude(struct effect_node *node, struct charge *charge, struct mono now)
{
	charge->excluding = false;
	if (charge->include_all) {
		charge->include_all = false;
		return;
	}
	node->excluded = mem_alloc(charge->excluded_count, sizeof(*node->excluded));
	for (size_t i = 0; i < charge->excluded_count; i++)
		if (!mono_reached(now, charge->excluded[i].until))
			node->excluded[node->effect.excluded_count++] = charge->excluded[i].node;
	node->effect.excluded = node->excluded;
	charge->excluding = node->effect.excluded_count > 0;
}

static void open_tender(struct controller *controller, struct charge *charge, struct mono now,
			const uint32_t *slots, size_t count)
{
	struct effect_node *node = effect_add(controller, charge, CONTROLLER_TENDER);

	assert(count > 0 && count <= MESSAGE_SLOTS_MAX);
	node->slots = mem_alloc(count, sizeof(*slots));
	memcpy(node->slots, slots, count * sizeof(*slots));
	node->effect.slots = node->slots;
	node->effect.slot_count = count;
	node->effect.attempt = charge->attempt++;
	effect_exclude(node, charge, now);
	charge->tender_until = mono_add_ms(now, CONTROLLER_PENDING_MS);
	charge->tender_slots = count;
	charge->retry_promised = false;
	charge->woken = false;
	for (size_t i = 0; i < count; i++) {
		note_pending(charge, now, slots[i]);
		charge->filled[slots[i] / 8] &= (uint8_t) ~(1U << slots[i] % 8);
	}
}

static void stop_pod(struct controller *controller, struct charge *charge,
		     const struct presence *presence, const char *reason)
{
	struct effect_node *node = effect_add(controller, charge, CONTROLLER_STOP);

	assert(presence);
	node->effect.pod_uid = presence->pod_uid;
	node->effect.text = reason;
}

/* ---- judging a view ---- */

struct judgement {
	struct controller *controller;
	struct charge *charge;
	struct mono now;
	const struct controller_view *view;
	uint32_t replicas;
	const struct presence **filled; /* the pod that fills each slot, or NULL */
	const struct presence **extra;  /* pods of slots beyond the replicas */
	size_t extra_count;
	uint32_t need; /* pods that are missing */
};

/* Where a slot is exclusive, it is taken until nothing is left of its pod. */
static bool counts(const struct controller_view *view, const struct controller_pod *pod)
{
	return pod->machine_alive && pod->presence->phase != POD_GONE &&
	       (!pod->presence->terminating || view->exclusive);
}

static bool is_failed(const struct controller_view *view, const struct presence *presence)
{
	return !view->single && presence->phase == POD_FAILED;
}

static void sight(struct charge *charge, struct mono since, const struct presence *presence,
		  bool excess)
{
	for (size_t i = 0; i < charge->sighting_count; i++) {
		struct sighting *sighting = &charge->sightings[i];

		if (!uid_equal(&sighting->pod_uid, &presence->pod_uid))
			continue;
		sighting->seen = true;
		sighting->excess = excess;
		return;
	}
	charge->sightings = mem_resize(charge->sightings, charge->sighting_count + 1,
				       sizeof(*charge->sightings));
	charge->sightings[charge->sighting_count++] = (struct sighting){
		.pod_uid = presence->pod_uid,
		.since = since,
		.excess = excess,
		.seen = true,
	};
}

/* Of a Job: what has ended is its result, and what it has too many of it stops itself. */
static bool is_left_alone(const struct controller_view *view, const struct presence *presence)
{
	return view->open && (presence->slot >= view->replicas ||
			      presence->phase == POD_SUCCEEDED || presence->phase == POD_FAILED);
}

static bool is_open(const struct controller_view *view, uint32_t slot)
{
	return !view->open || view->open[slot / 8] & 1U << slot % 8;
}

static bool is_silent(const struct controller_view *view, const struct presence *presence)
{
	for (size_t i = 0; i < view->pod_count; i++)
		if (view->pods[i].presence == presence)
			return view->pods[i].machine_silent && !fault_is_planted(FAULT_SILENT);
	return false;
}

/* Of two pods in one slot, @goes is the one that is too many. */
static void sight_rival(const struct judgement *on, const struct presence *goes,
			const struct presence *stays)
{
	if (is_silent(on->view, stays))
		on->charge->deferred = true;
	else
		sight(on->charge, on->now, goes, false);
}

/* A pod that leaves goes when another one is ready in its slot, or enough are in any. */
static void sight_left(const struct judgement *on)
{
	const struct controller_view *view = on->view;
	uint32_t ready = 0;
	for (size_t i = 0; i < view->pod_count; i++)
		ready += counts(view, &view->pods[i]) && !view->pods[i].presence->leaving &&
			 view->pods[i].presence->ready;
	for (size_t i = 0; i < view->pod_count; i++) {
		const struct presence *presence = view->pods[i].presence;
		const struct presence *other =
			presence->slot < on->replicas ? on->filled[presence->slot] : NULL;

		if (presence->leaving && counts(view, &view->pods[i]) &&
		    (ready >= on->replicas || (other && other->ready)))
			sight(on->charge, on->now, presence, false);
	}
}

/* Find the pod that fills each slot; others in the same slot are sighted as surplus. */
static void fill_slots(struct judgement *on)
{
	const struct controller_view *view = on->view;

	for (size_t i = 0; i < view->pod_count; i++) {
		const struct presence *presence = view->pods[i].presence;
		const struct presence **place;

		if (!counts(view, &view->pods[i]) || is_left_alone(view, presence) ||
		    presence->leaving)
			continue;
		if (presence->slot >= on->replicas) {
			on->extra[on->extra_count++] = presence;
			continue;
		}
		place = &on->filled[presence->slot];
		if (*place && precedence_keeps_slot(*place, presence, view->single)) {
			sight_rival(on, presence, *place);
			continue;
		}
		if (*place)
			sight_rival(on, *place, presence);
		*place = presence;
	}
}

/*
 * Count what runs, in whichever slot: after fewer replicas were asked for, those that stay need not
 * be those of the first slots. What is too many is sighted as surplus. When fewer have just been
 * asked for, it is no news that may change in a moment, as after a partition: it goes at once.
 */
static void weigh(struct judgement *on)
{
	size_t most = (size_t)on->replicas + on->extra_count, count = 0;
	const struct presence **pods = mem_alloc(most, sizeof(struct presence *));
	struct mono since = on->now;
	size_t kept = on->replicas;

	for (uint32_t slot = 0; slot < on->replicas; slot++)
		if (on->filled[slot] && !is_failed(on->view, on->filled[slot]))
			pods[count++] = on->filled[slot];
	for (size_t i = 0; i < on->extra_count; i++)
		if (is_failed(on->view, on->extra[i]))
			sight(on->charge, on->now, on->extra[i], true);
		else
			pods[count++] = on->extra[i];
	on->need = count < on->replicas ? on->replicas - (uint32_t)count : 0;
	if (count <= on->replicas)
		on->charge->shrinks = false;
	else
		qsort(pods, count, sizeof(struct presence *), precedence_goes_first);
	if (on->charge->shrinks)
		since.us -= CONTROLLER_SURPLUS_MS * (int64_t)US_PER_MS;
	for (size_t i = 0; i < count && count > on->replicas && !on->charge->shrinks; i++)
		kept += is_silent(on->view, pods[i]);
	on->charge->deferred |= kept > on->replicas;
	for (size_t i = 0; count > kept && i < count - kept; i++)
		sight(on->charge, since, pods[i], true);
	free(pods);
}

static const struct presence *find_presence(const struct controller_view *view,
					    const struct uid *pod_uid)
{
	for (size_t i = 0; i < view->pod_count; i++)
		if (uid_equal(&view->pods[i].presence->pod_uid, pod_uid))
			return view->pods[i].presence;
	return NULL;
}

/* Stop what has been surplus for long enough; forget what is no longer. A stop that had no effect
 * is asked for again after the same time. */
static void stop_surplus(const struct judgement *on)
{
	struct charge *charge = on->charge;
	size_t kept = 0;

	for (size_t i = 0; i < charge->sighting_count; i++) {
		struct sighting sighting = charge->sightings[i];

		if (!sighting.seen)
			continue;
		if (mono_reached(on->now, mono_add_ms(sighting.since, CONTROLLER_SURPLUS_MS)) &&
		    !fault_is_planted(FAULT_SURPLUS)) {
			stop_pod(on->controller, charge, find_presence(on->view, &sighting.pod_uid),
				 sighting.excess ? "more pods than replicas"
						 : "another pod fills its slot");
			sighting.since = on->now;
		}
		sighting.seen = false;
		charge->sightings[kept++] = sighting;
	}
	charge->sighting_count = kept;
}

static bool was_filled(const struct charge *charge, uint32_t slot)
{
	return charge->filled[slot / 8] & 1U << slot % 8;
}

static void note_filled(struct charge *charge, uint32_t slot)
{
	charge->filled[slot / 8] |= (uint8_t)(1U << slot % 8);
}

/* A bit for each slot there may be. */
static void filled_resize(struct charge *charge, uint32_t replicas)
{
	size_t before = (charge->filled_slots + 7) / 8, now = ((size_t)replicas + 7) / 8;

	if (replicas <= charge->filled_slots)
		return;
	charge->filled = mem_resize(charge->filled, now, 1);
	memset(charge->filled + before, 0, now - before);
	charge->filled_slots = replicas;
}

/* A slot that is missing and may be tendered now. */
static bool is_due(const struct charge *charge, struct mono now, const struct note *note,
		   uint32_t slot)
{
	if (note)
		return mono_reached(now, note->until);
	return was_filled(charge, slot) || mono_reached(now, charge->blocked_until);
}

/* What has not started yet may still be refused by its machine, and keeps its count of failures. */
static bool runs(const struct controller_view *view, const struct presence *presence)
{
	return presence->phase == POD_RUNNING || presence->phase == POD_SUCCEEDED ||
	       (view->single && presence->phase == POD_FAILED);
}

/* Where the note of each slot is, plus one; 0 = it has none. */
static uint32_t *notes_by_slot(const struct charge *charge, uint32_t replicas)
{
	uint32_t *at = mem_alloc(replicas, sizeof(*at));

	for (size_t i = 0; i < charge->note_count; i++)
		if (charge->notes[i].slot < replicas)
			at[charge->notes[i].slot] = (uint32_t)i + 1;
	return at;
}

static void notes_drop_runs(struct charge *charge)
{
	size_t kept = 0;

	for (size_t i = 0; i < charge->note_count; i++)
		if (charge->notes[i].state != NOTE_RUNS)
			charge->notes[kept++] = charge->notes[i];
	charge->note_count = kept;
}

/* A pod is in the slot. A failed one is a failed attempt; returns whether it counts as one. */
static bool judge_filled(const struct judgement *on, const struct presence *presence,
			 struct note *note)
{
	if (is_failed(on->view, presence))
		return false;
	note_filled(on->charge, presence->slot);
	if (note && runs(on->view, presence))
		note->state = NOTE_RUNS;
	return true;
}

static bool is_pending(const struct note *note, struct mono now)
{
	return note && note->state == NOTE_PENDING && !mono_reached(now, note->until);
}

/* How many pods are on their way to empty slots. */
static uint32_t count_pending(const struct judgement *on)
{
	uint32_t count = 0;

	for (size_t i = 0; i < on->charge->note_count; i++) {
		const struct note *note = &on->charge->notes[i];

		if (note->slot < on->replicas && !on->filled[note->slot])
			count += is_pending(note, on->now);
	}
	return count;
}

/* Go through the slots: drop the notes of those that run, collect those to be tendered. Returns the
 * number of due slots, at most MESSAGE_SLOTS_MAX; *ret_waits: whether more are missing. */
static size_t missing_slots(const struct judgement *on, uint32_t *ret_slots, bool *ret_waits)
{
	struct charge *charge = on->charge;
	uint32_t *at = notes_by_slot(charge, on->replicas);
	uint32_t pending = count_pending(on), need = on->need > pending ? on->need - pending : 0;
	size_t count = 0;

	*ret_waits = false;
	for (uint32_t slot = 0; slot < on->replicas; slot++) {
		const struct presence *presence = on->filled[slot];
		struct note *note = at[slot] ? &charge->notes[at[slot] - 1] : NULL;

		if (!is_open(on->view, slot))
			continue;
		if (presence && judge_filled(on, presence, note))
			continue;
		if (need == 0 || (!presence && is_pending(note, on->now)))
			continue;
		need--;
		if (presence && !note)
			note = note_backoff(charge, on->now, slot);
		if (count < MESSAGE_SLOTS_MAX && is_due(charge, on->now, note, slot))
			ret_slots[count++] = slot;
		else if (!note)
			*ret_waits = true;
	}
	free(at);
	notes_drop_runs(charge);
	return count;
}

static struct mono next_due(const struct charge *charge, struct mono now, bool more, bool blocks)
{
	struct mono due = MONO_NEVER;

	for (size_t i = 0; i < charge->note_count; i++)
		if (!mono_reached(now, charge->notes[i].until))
			due = mono_min(due, charge->notes[i].until);
	for (size_t i = 0; i < charge->sighting_count && !fault_is_planted(FAULT_SURPLUS); i++)
		due = mono_min(due, mono_add_ms(charge->sightings[i].since, CONTROLLER_SURPLUS_MS));
	if (!mono_reached(now, charge->settle_until))
		due = mono_min(due, charge->settle_until);
	if (charge->deferred)
		due = mono_min(due, mono_add_ms(now, CONTROLLER_SURPLUS_MS));
	if (charge->retry_promised && !mono_reached(now, charge->retry_until))
		due = mono_min(due, charge->retry_until);
	if (blocks && !mono_reached(now, charge->blocked_until))
		due = mono_min(due, charge->blocked_until);
	/* What is missing beyond the open tender waits for its end. */
	if (more && !mono_reached(now, charge->tender_until))
		due = mono_min(due, charge->tender_until);
	return due;
}

static struct charge *charge_get(struct controller *controller, struct mono now,
				 const struct controller_view *view)
{
	struct charge *charge = charge_find(controller, &view->object.uid);

	if (charge)
		return charge;
	charge = mem_new(struct charge);
	charge->object_uid = view->object.uid;
	charge->generation = view->generation;
	charge->seed = prng_next(&controller->prng);
	charge->due = MONO_NEVER;
	charge->tender_until = now;
	charge->blocked_until = now;
	charge->settle_until =
		view->age_ms > CONTROLLER_SETTLE_MS ? mono_add_ms(now, CONTROLLER_SETTLE_MS) : now;
	map_put(&controller->charges, uid_bytes(&charge->object_uid), charge);
	return charge;
}

/* A changed object deserves a fresh try: what was wrong with it may be mended. */
static void note_generation(struct charge *charge, struct mono now, uint64_t generation)
{
	if (charge->generation == generation)
		return;
	charge->generation = generation;
	charge->excluded_count = 0;
	charge->failures = 0;
	charge->blocked_until = now;
	for (size_t i = 0; i < charge->note_count; i++) {
		struct note *note = &charge->notes[i];

		note->failures = 0;
		if (note->state == NOTE_BACKOFF)
			note->until = now;
	}
}

/* ---- retries ---- */

/* Is it the turn of @charge among all that are tried again? If not, it is promised one. */
static bool has_turn(struct controller *controller, struct charge *charge, struct mono now,
		     uint64_t machines)
{
	struct mono *next = charge->woken ? &controller->woken_at : &controller->retry_at;
	int64_t interval_ms =
		charge->woken ? CONTROLLER_WOKEN_INTERVAL_MS : turn_interval_ms(machines);

	if (!charge->retry_promised) {
		charge->retry_promised = true;
		charge->retry_until = turn_after(*next, now, interval_ms);
		*next = mono_add_ms(charge->retry_until, interval_ms);
	}
	return mono_reached(now, charge->retry_until);
}

/* Those of @slots that were lost anew need not wait for a turn. */
static size_t keep_lost(const struct charge *charge, uint32_t *slots, size_t count)
{
	size_t kept = 0;

	for (size_t i = 0; i < count; i++)
		if (was_filled(charge, slots[i]) && !note_find(charge, slots[i]))
			slots[kept++] = slots[i];
	return kept;
}

static uint32_t view_replicas(const struct controller_view *view)
{
	if (view->single)
		return 1;
	return view->replicas < CONTROLLER_REPLICAS_MAX ? view->replicas : CONTROLLER_REPLICAS_MAX;
}

void controller_show(struct controller *controller, struct mono now,
		     const struct controller_view *view)
{
	struct charge *charge = charge_get(controller, now, view);
	struct judgement on = {
		.controller = controller,
		.charge = charge,
		.now = now,
		.view = view,
		.replicas = view_replicas(view),
	};
	uint32_t slots[MESSAGE_SLOTS_MAX];
	bool waits, may_open;
	size_t count;

	filled_resize(charge, on.replicas);
	on.filled = mem_alloc(on.replicas, sizeof(*on.filled));
	on.extra = mem_alloc(view->pod_count, sizeof(*on.extra));
	note_generation(charge, now, view->generation);
	notes_drop_from(charge, on.replicas);
	if (on.replicas < charge->replicas)
		charge->shrinks = true;
	charge->replicas = on.replicas;
	charge->deferred = false;
	fill_slots(&on);
	weigh(&on);
	sight_left(&on);
	stop_surplus(&on);
	count = missing_slots(&on, slots, &waits);
	may_open = count > 0 && mono_reached(now, charge->settle_until) &&
		   mono_reached(now, charge->tender_until);
	if (may_open && charge->failures > 0 &&
	    !has_turn(controller, charge, now, view->machines)) {
		count = keep_lost(charge, slots, count);
		may_open = count > 0;
	}
	if (may_open)
		open_tender(controller, charge, now, slots, count);
	charge_set_due(controller, charge, next_due(charge, now, count > 0, waits));
	free(on.filled);
	free(on.extra);
}

void controller_forget(struct controller *controller, const struct uid *object_uid)
{
	struct charge *charge = map_remove(&controller->charges, uid_bytes(object_uid));

	if (!charge)
		return;
	charge_free(charge);
	find_deadline(controller);
}

/* ---- the market's word ---- */

void controller_placed(struct controller *controller, struct mono now, const struct uid *object_uid,
		       uint32_t slot, const struct uid *pod_uid)
{
	struct charge *charge = charge_find(controller, object_uid);
	const struct note *note;

	assert(!uid_is_none(pod_uid));
	if (!charge)
		return;
	note_pending(charge, now, slot);
	note = note_find(charge, slot);
	assert(note);
	charge_set_due(controller, charge, mono_min(charge->due, note->until));
}

void controller_failed(struct controller *controller, struct mono now, const struct uid *object_uid,
		       uint32_t slot, const struct node_id *machine)
{
	struct charge *charge = charge_find(controller, object_uid);

	if (!charge)
		return;
	exclude(charge, now, machine);
	(void)note_backoff(charge, now, slot);
	charge_set_due(controller, charge, now);
}

/* Nothing was placed: it would not be either of what waits behind these slots. */
static void back_off(struct charge *charge, struct mono now, const uint32_t *slots, size_t count)
{
	charge->failures++;
	for (size_t i = 0; i < count; i++) {
		const struct note *note = note_backoff(charge, now, slots[i]);

		if (note->until.us > charge->blocked_until.us)
			charge->blocked_until = note->until;
	}
}

/* Some or all were placed. Those that were not are tried again at once: their bids are known to
 * have been too few, and each further tender places at least one. */
static void go_on(struct charge *charge, struct mono now, const uint32_t *slots, size_t count)
{
	charge->failures = 0;
	charge->blocked_until = now;
	for (size_t i = 0; i < count; i++)
		note_clear(charge, now, slots[i]);
}

void controller_closed(struct controller *controller, struct mono now, const struct uid *object_uid,
		       const uint32_t *unplaced, size_t count)
{
	struct charge *charge = charge_find(controller, object_uid);

	if (!charge)
		return;
	charge->tender_until = now;
	if (count > 0 && charge->excluding)
		charge->include_all = true;
	if (count > 0 && count >= charge->tender_slots)
		back_off(charge, now, unplaced, count);
	else
		go_on(charge, now, unplaced, count);
	charge_set_due(controller, charge, now);
}

static void wake(struct controller *controller, struct charge *charge, struct mono now)
{
	bool woken = false;

	for (size_t i = 0; i < charge->note_count; i++) {
		struct note *note = &charge->notes[i];
		struct mono soonest = mono_add_ms(note->tried_at, CONTROLLER_RETRY_MIN_MS);

		if (note->state != NOTE_BACKOFF)
			continue;
		woken = true;
		note->until = mono_min(note->until, soonest.us > now.us ? soonest : now);
		charge->blocked_until = mono_min(charge->blocked_until, note->until);
		charge_set_due(controller, charge, mono_min(charge->due, note->until));
	}
	if (!woken || charge->woken)
		return;
	charge->woken = true;
	charge->retry_promised = false;
}

void controller_wake_object(struct controller *controller, struct mono now,
			    const struct uid *object_uid)
{
	struct charge *charge = charge_find(controller, object_uid);

	if (charge)
		wake(controller, charge, now);
}

/* What has failed on a machine has most likely just freed that room there itself. */
static bool is_passed_over(const struct charge *charge, struct mono now,
			   const struct node_id *machine)
{
	for (size_t i = 0; machine && i < charge->excluded_count; i++)
		if (node_id_equal(&charge->excluded[i].node, machine) &&
		    !mono_reached(now, charge->excluded[i].until))
			return true;
	return false;
}

/* No more than may be tried now; the next notice wakes others. */
void controller_wake(struct controller *controller, struct mono now, const struct node_id *machine)
{
	struct mono next = turn_after(controller->woken_at, now, CONTROLLER_WOKEN_INTERVAL_MS);
	int64_t turns =
		1 + mono_since_us(now, next) / (CONTROLLER_WOKEN_INTERVAL_MS * (int64_t)US_PER_MS);
	struct map_entry *entry;

	for (size_t i = controller->charges.count; i > 0 && turns > 0; i--) {
		struct charge *charge;

		entry = map_next(&controller->charges, &controller->wake_at);
		if (!entry) {
			controller->wake_at = 0;
			entry = map_next(&controller->charges, &controller->wake_at);
		}
		if (!entry)
			return;
		charge = entry->value;
		if (is_passed_over(charge, now, machine))
			continue;
		if (charge->failures > 0)
			turns--;
		wake(controller, charge, now);
	}
}
