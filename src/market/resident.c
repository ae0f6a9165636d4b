/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pods that are bound to this machine: start, stop, preemption, and the events their owner hears.
 *
 *   WAITING --room--> STARTING --deployed--> DEPLOYED --stop--> STOPPING --ended--> gone
 *      |                 |  '---------stop-----------------------^
 *      '--stop--> gone   '--failed--> gone
 *
 * A preempted pod gives its amount back when it is told to stop, because an award took it over at
 * that moment; the pods of that award wait until nothing is left of their victims. So the ledger
 * never counts more than there is, and neither does the machine. Every other pod is counted until
 * nothing is left of it.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "base/mem.h"
#include "market/state.h"

static const uint32_t resident_allowed[] = {
	[RESIDENT_WAITING] = LIFECYCLE(RESIDENT_STARTING),
	[RESIDENT_STARTING] = LIFECYCLE(RESIDENT_DEPLOYED) | LIFECYCLE(RESIDENT_STOPPING),
	[RESIDENT_DEPLOYED] = LIFECYCLE(RESIDENT_STOPPING),
	[RESIDENT_STOPPING] = 0,
};

static void resident_move(struct resident *resident, enum resident_state to)
{
	resident->state = lifecycle_move(resident_allowed, resident->state, to);
}

struct resident *resident_find(const struct market *market, const struct uid *pod_uid)
{
	return map_get(&market->residents, bytes_of(pod_uid->byte, UID_LEN));
}

struct resident *resident_new(struct market *market, const struct uid *pod_uid,
			      const char *namespace, const struct requirements *needs)
{
	struct resident *resident = mem_new(struct resident);

	resident->pod_uid = *pod_uid;
	resident->since = market->now;
	resident->namespace = mem_strdup(namespace ? namespace : "");
	requirements_copy(needs, &resident->needs);
	map_put(&market->residents, bytes_of(pod_uid->byte, UID_LEN), resident);
	return resident;
}

static void resident_free(struct resident *resident)
{
	requirements_deinit(&resident->needs);
	free(resident->namespace);
	free(resident->end_text);
	free(resident);
}

static void send_event(struct market *market, const struct resident *resident, enum event_kind kind,
		       const char *text)
{
	struct message message = {.type = MESSAGE_EVENT};

	if (!resident->hold)
		return;
	message.event = (struct event){
		.tender_id = resident->hold->tender_id,
		.slot = resident->slot,
		.pod_uid = resident->pod_uid,
		.kind = kind,
		.text = mem_strdup(text ? text : ""),
	};
	notice_event(market, resident->hold, &message);
}

void resident_start(struct market *market, struct hold *hold)
{
	struct effect_item *item;

	if (!hold->award || hold->victims > 0)
		return;
	map_for_each (entry, &market->residents) {
		struct resident *resident = entry->value;

		if (resident->hold == hold && resident->state == RESIDENT_WAITING)
			resident_move(resident, RESIDENT_STARTING);
	}
	item = effects_add(&market->effects, MARKET_START);
	item->message = *hold->award;
	item->effect.message = &item->message;
	item->effect.to = hold->owner;
	item->effect.addr = hold->owner_addr;
	item->effect.tender_id = hold->tender_id;
	item->effect.object_uid = hold->object_uid;
	effect_set_envelope(item, bytes_buf(&hold->award_envelope));
	*hold->award = (struct message){0}; /* the effect owns its parts now */
	hold_drop_award(hold);
}

/* The award of @hold lost a pod before it could start: it must not start later. */
static void drop_assignment(struct hold *hold, const struct uid *pod_uid)
{
	struct award *award = &hold->award->award;
	size_t kept = 0;

	for (size_t i = 0; i < award->assignment_count; i++) {
		if (uid_equal(&award->assignments[i].pod_uid, pod_uid))
			free(award->assignments[i].pod_name);
		else
			award->assignments[kept++] = award->assignments[i];
	}
	award->assignment_count = kept;
	if (kept == 0)
		hold_drop_award(hold);
}

/* Nothing of the pod is left: settle the accounts and forget it. */
static void resident_end(struct market *market, struct resident *resident)
{
	struct hold *hold = resident->hold;
	struct hold *beneficiary = resident->beneficiary;

	map_remove(&market->residents, bytes_of(resident->pod_uid.byte, UID_LEN));
	if (!beneficiary && !fault_is_planted(FAULT_LEDGER)) {
		ledger_give_back(&market->ledger, resident->amount);
		market_freed(market);
	}
	if (hold) {
		assert(hold->pods > 0);
		hold->pods--;
		if (hold->pods == 0 && hold->state != HOLD_OVER)
			hold_over(market, hold, AWARD_REFUSED_LATE);
		market_due(market, market->now);
	}
	if (beneficiary) {
		assert(beneficiary->victims > 0);
		beneficiary->victims--;
		resident_start(market, beneficiary);
		market_due(market, market->now);
	}
	resident_free(resident);
}

void resident_stop(struct market *market, struct resident *resident, enum event_kind end_event,
		   const char *text)
{
	struct effect_item *item;

	if (resident->state == RESIDENT_STOPPING)
		return;
	if (resident->state == RESIDENT_WAITING) {
		drop_assignment(resident->hold, &resident->pod_uid);
		send_event(market, resident, end_event, text);
		resident_end(market, resident);
		return;
	}
	resident_move(resident, RESIDENT_STOPPING);
	resident->end_event = end_event;
	resident->end_text = mem_strdup(text);
	item = effects_add(&market->effects, MARKET_STOP);
	item->effect.pod_uid = resident->pod_uid;
	item->effect.object_uid = resident->object_uid;
	item->effect.slot = resident->slot;
	item->effect.at_once = end_event != EVENT_PREEMPTED;
	effect_set_text(item, text);
}

/* ---- preemption ---- */

/* Pods found again after a restart have no known priority: they are left alone. */
static bool is_preemptible(const struct resident *resident, int32_t priority)
{
	return resident->hold && resident->hold->preemptible &&
	       resident->hold->priority < priority &&
	       (resident->state == RESIDENT_STARTING || resident->state == RESIDENT_DEPLOYED);
}

struct amount resident_preemptible(const struct market *market, int32_t priority)
{
	struct amount sum = {0};

	map_for_each (entry, &market->residents) {
		const struct resident *resident = entry->value;

		if (!is_preemptible(resident, priority))
			continue;
		sum = amount_add(sum, resident->amount);
	}
	return sum;
}

/* The lowest priority first; among equals the one that came last. */
static struct resident *next_victim(const struct market *market, int32_t priority)
{
	struct resident *victim = NULL;

	map_for_each (entry, &market->residents) {
		struct resident *resident = entry->value;

		if (is_preemptible(resident, priority) &&
		    (!victim || resident->hold->priority <= victim->hold->priority))
			victim = resident;
	}
	return victim;
}

static bool would_fit(const struct market *market, struct amount need, int32_t priority)
{
	struct amount room =
		amount_add(ledger_free(&market->ledger), resident_preemptible(market, priority));

	return ledger_copies(room, need, 1) == 1;
}

void resident_preempt(struct market *market, struct hold *hold, struct amount need)
{
	/* Nobody is evicted for an award that would not fit even then. */
	if (!would_fit(market, need, hold->priority))
		return;
	while (ledger_copies(ledger_free(&market->ledger), need, 1) == 0) {
		struct resident *victim = next_victim(market, hold->priority);

		/* A machine that shrank below what it runs frees less than its pods had. */
		if (!victim)
			return;
		resident_stop(market, victim, EVENT_PREEMPTED, "preempted by a higher priority");
		ledger_give_back(&market->ledger, victim->amount);
		victim->beneficiary = hold;
		hold->victims++;
	}
}

/* ---- taints ---- */

/* Until when @resident bears all taints of this machine. */
static struct mono borne_until(const struct market *market, const struct resident *resident)
{
	const struct machine *machine = &market->machine;
	struct mono until = MONO_NEVER;

	for (size_t i = 0; i < machine->about.taint_count; i++) {
		int64_t seconds;
		struct mono from = machine->tainted[i];

		if (machine->taints[i].effect != TAINT_NO_EXECUTE)
			continue;
		seconds = terms_tolerated_s(&resident->needs, &machine->taints[i]);
		if (from.us < resident->since.us)
			from = resident->since;
		if (seconds < INT64_MAX)
			until = mono_min(until, mono_add_ms(from, seconds * MS_PER_S));
	}
	return until;
}

void resident_evict(struct market *market)
{
	if (market->machine.about.taint_count == 0)
		return;
	map_for_each (entry, &market->residents) {
		struct resident *resident = entry->value;
		struct mono until;

		if (resident->state == RESIDENT_STOPPING)
			continue;
		until = borne_until(market, resident);
		if (mono_reached(market->now, until))
			resident_stop(market, resident, EVENT_PREEMPTED,
				      "a taint of the machine is not tolerated");
		else
			market_due(market, until);
	}
}

/* ---- the host's word ---- */

void market_pod_deployed(struct market *market, struct mono now, const struct uid *pod_uid)
{
	struct resident *resident = resident_find(market, pod_uid);

	assert(now.us >= market->now.us);
	market->now = now;
	if (!resident || resident->state != RESIDENT_STARTING)
		return;
	resident_move(resident, RESIDENT_DEPLOYED);
	send_event(market, resident, EVENT_DEPLOYED, "");
}

void market_pod_failed(struct market *market, struct mono now, const struct uid *pod_uid,
		       const char *text)
{
	struct resident *resident = resident_find(market, pod_uid);

	assert(now.us >= market->now.us);
	market->now = now;
	if (!resident)
		return;
	send_event(market, resident, EVENT_FAILED, text);
	resident_end(market, resident);
}

void market_pod_ended(struct market *market, struct mono now, const struct uid *pod_uid)
{
	struct resident *resident = resident_find(market, pod_uid);

	assert(now.us >= market->now.us);
	market->now = now;
	if (!resident)
		return;
	if (resident->state == RESIDENT_STOPPING)
		send_event(market, resident, resident->end_event, resident->end_text);
	else
		send_event(market, resident, EVENT_CANCELLED, "stopped");
	resident_end(market, resident);
}

void market_pod_recovered(struct market *market, const struct uid *pod_uid,
			  const struct object_ref *object, const struct requirements *needs)
{
	struct resident *resident;

	if (resident_find(market, pod_uid))
		return;
	resident = resident_new(market, pod_uid, object->namespace, needs);
	resident->object_uid = object->uid;
	resident->amount = ledger_amount(&market->ledger, needs);
	resident->state = RESIDENT_DEPLOYED;
	ledger_take_anyway(&market->ledger, resident->amount);
	resident_evict(market);
}

void resident_deinit(struct market *market)
{
	map_for_each (entry, &market->residents) {
		struct resident *resident = entry->value;

		resident_free(resident);
	}
}
