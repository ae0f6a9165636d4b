/* SPDX-License-Identifier: Apache-2.0 */
/* What must be true of families: the list is in family.h. */
#include "family.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/fault.h"
#include "base/mem.h"
#include "checker.h"
#include "identity/derive.h"
#include "kube/job_progress.h"
#include "kube/member.h"
#include "market/controller.h"

enum {
	/* News of a stop travel, and the check comes once a second. Who has just taken over first
	 * makes sure that there are too many. */
	OVER_MS = 1500,
	OVER_DISTURBED_MS = OVER_MS + CONTROLLER_SETTLE_MS + CONTROLLER_SURPLUS_MS,
	DONE_NEWS_MS = 5000, /* that something was done is known then, also to who takes over */
	MINUTE_MS = 60 * 1000,
};

/* ---- counting ---- */

static bool is_available(const struct sim_pod *pod)
{
	return pod->state == SIM_POD_RUNNING && pod->presence.ready;
}

static bool same_component(const struct world *world, const struct sim_pod *pod, size_t machine)
{
	const struct sim_machine *at = &world->machines[pod->machine];

	return at->powered && at->node &&
	       network_side(world, pod->machine) == network_side(world, machine);
}

static bool in_grace(const struct world *world)
{
	return world->last_join_us >= 0 &&
	       world->now_us <= world->last_join_us + SIM_GRACE_MS * US_PER_MS;
}

static bool is_news(const struct world *world, int64_t at_us)
{
	return at_us && world->now_us - at_us < FAMILY_NEWS_MS * US_PER_MS;
}

static uint32_t most(const struct world *world, const struct sim_family *family)
{
	uint32_t replicas = family->replicas;

	for (size_t i = 0; i < family->old_count; i++)
		if (family->old[i].until_us > world->now_us && family->old[i].replicas > replicas)
			replicas = family->old[i].replicas;
	return replicas;
}

static uint32_t least(const struct world *world, const struct sim_family *family)
{
	uint32_t replicas = family->replicas;

	for (size_t i = 0; i < family->old_count; i++)
		if (family->old[i].until_us > world->now_us && family->old[i].replicas < replicas)
			replicas = family->old[i].replicas;
	return replicas;
}

/* ---- pods begin ---- */

/* What is being stopped still runs, and so does what its machine knows nothing of any more. */
static bool is_running(const struct sim_pod *pod)
{
	return host_is_alive(pod) || pod->state == SIM_POD_STOPPING;
}

/* Another pod of the same ordinal that runs; NULL: there is none. */
static const struct sim_pod *find_twin(const struct sim_family *family, const struct sim_pod *pod)
{
	for (size_t i = 0; i < family->pod_count; i++) {
		const struct sim_pod *other = family->pods[i];

		if (other != pod && is_running(other) && !other->given_up &&
		    strcmp(other->presence.pod_name, pod->presence.pod_name) == 0)
			return other;
	}
	return NULL;
}

static void check_ordinal(struct world *world, const struct sim_family *family,
			  const struct sim_pod *pod)
{
	const struct sim_pod *twin = pod->given_up ? NULL : find_twin(family, pod);

	if (twin)
		world_violate(world, &family->uid, "ordinal %s is alive on %s and on %s",
			      pod->presence.pod_name, world->machines[twin->machine].name,
			      world->machines[pod->machine].name);
}

/* What was given up ends when the world is whole, and what runs all the time is alone. */
static void check_ordinals(struct world *world, struct sim_family *family)
{
	for (size_t i = 0; i < family->pod_count; i++) {
		struct sim_pod *pod = family->pods[i];

		if (!is_running(pod))
			continue;
		if (pod->given_up && world_is_whole(world) && !in_grace(world) &&
		    find_twin(family, pod))
			pod->given_up = false; /* nothing excuses it any more */
		check_ordinal(world, family, pod);
	}
}

static void check_daemon(struct world *world, const struct sim_family *family,
			 const struct sim_pod *pod)
{
	for (size_t i = 0; i < family->pod_count; i++) {
		const struct sim_pod *other = family->pods[i];

		/* Two sides of a partition may have made one each: of two objects. */
		if (other != pod && host_is_alive(other) && other->machine == pod->machine &&
		    (!in_grace(world) || uid_equal(&other->object_uid, &pod->object_uid)))
			world_violate(world, &family->uid, "%s runs two pods of %s",
				      world->machines[pod->machine].name, family->name);
	}
}

static bool same_work(const struct sim_pod *a, const struct sim_pod *b)
{
	return a != b && a->slot == b->slot && uid_equal(&a->object_uid, &b->object_uid);
}

/* It was done on another side, and the sides have just met. */
static bool is_new_here(const struct world *world, const struct sim_pod *done)
{
	int64_t parted_us = world->families->parted_us;

	return parted_us && done->done_us > parted_us && in_grace(world);
}

static void check_work(struct world *world, const struct sim_family *family,
		       const struct sim_pod *pod)
{
	for (size_t i = 0; i < family->pod_count; i++) {
		const struct sim_pod *other = family->pods[i];

		/* Two controllers may have it done twice; it is counted once. */
		if (!same_work(pod, other) || fault_is_planted(FAULT_CONTROLLERS))
			continue;
		if (host_is_alive(other) && same_component(world, other, pod->machine) &&
		    !in_grace(world))
			world_violate(world, &family->uid, "slot %u of %s is worked on twice",
				      pod->slot, pod->presence.object.name);
		if (other->done_us && !is_new_here(world, other) &&
		    network_side(world, other->machine) == network_side(world, pod->machine) &&
		    world->now_us - other->done_us > DONE_NEWS_MS * US_PER_MS)
			world_violate(world, &family->uid, "slot %u of %s is done again", pod->slot,
				      pod->presence.object.name);
	}
}

static void check_run(struct world *world, struct sim_family *family, const struct sim_pod *pod)
{
	struct family_run *run;

	for (size_t i = 0; i < family->run_count; i++) {
		run = &family->runs[i];
		if (strcmp(run->name, pod->presence.object.name) != 0)
			continue;
		if (!uid_equal(&run->uid, &pod->object_uid))
			world_violate(world, &family->uid, "there are two runs %s", run->name);
		return;
	}
	family->runs = mem_resize(family->runs, family->run_count + 1, sizeof(*family->runs));
	run = &family->runs[family->run_count++];
	*run = (struct family_run){.uid = pod->object_uid};
	(void)snprintf(run->name, sizeof(run->name), "%s", pod->presence.object.name);
}

/* The number in the image of the pod template. */
static uint32_t template_in(struct bytes manifest)
{
	static const char mark[] = "\"image\":\"web:";
	const char *at = memmem(manifest.ptr, manifest.len, mark, strlen(mark));
	uint32_t number = 0;

	if (!at)
		return 0;
	for (at += strlen(mark); *at >= '0' && *at <= '9'; at++)
		number = 10 * number + (uint32_t)(*at - '0');
	return number;
}

static void add(struct sim_family *family, struct sim_pod *pod)
{
	if (family->pod_count == family->pod_cap) {
		family->pod_cap = family->pod_cap ? 2 * family->pod_cap : 64;
		family->pods = mem_resize(family->pods, family->pod_cap, sizeof(struct sim_pod *));
	}
	family->pods[family->pod_count++] = pod;
}

/* Each pod may be made by two controllers at once, and no more often by five. */
static void check_budget(struct world *world, const struct sim_family *family)
{
	uint64_t budget = fault_is_planted(FAULT_CONTROLLERS) ? 2 * family->budget : family->budget;

	if (family->wish.kind == FAMILY_DEPLOYMENT && family->pod_count > budget)
		world_violate(world, &family->uid, "%zu pods of %s were made, %llu are explained",
			      family->pod_count, family->name, (unsigned long long)budget);
}

bool family_pod_begins(struct world *world, struct sim_pod *pod)
{
	struct sim_family *family = family_of(world, &pod->object_uid);

	if (!family)
		return false;
	pod->family = true;
	pod->template_number = template_in(bytes_buf(&pod->manifest));
	switch (family->wish.kind) {
	case FAMILY_STATEFULSET:
		check_ordinal(world, family, pod);
		break;
	case FAMILY_DAEMONSET:
		check_daemon(world, family, pod);
		break;
	case FAMILY_CRONJOB:
		check_run(world, family, pod);
		check_work(world, family, pod);
		break;
	case FAMILY_JOB:
		check_work(world, family, pod);
		break;
	case FAMILY_DEPLOYMENT:
	case FAMILY_KIND_COUNT:
		break;
	}
	add(family, pod);
	check_budget(world, family);
	return true;
}

int64_t family_pod_runs_ms(const struct world *world, const struct sim_pod *pod)
{
	const struct sim_family *family = pod->family ? family_of(world, &pod->object_uid) : NULL;

	return family && (family->wish.kind == FAMILY_JOB || family->wish.kind == FAMILY_CRONJOB)
		       ? FAMILY_RUN_MS
		       : 0;
}

bool family_pod_is_ready(const struct sim_pod *pod)
{
	return !pod->family || pod->template_number < FAMILY_BAD;
}

/* ---- pods are stopped ---- */

/* What a controller in the component of @machine may take for available, without @but. */
static uint32_t seen_available(const struct world *world, const struct sim_family *family,
			       size_t machine, const struct sim_pod *but)
{
	uint32_t count = 0;

	for (size_t i = 0; i < family->pod_count; i++) {
		const struct sim_pod *pod = family->pods[i];

		if (pod == but)
			continue;
		count += (is_available(pod) && same_component(world, pod, machine)) ||
			 is_news(world, pod->lost_us);
	}
	return count;
}

void family_pod_stops(struct world *world, const struct sim_pod *pod, const char *text)
{
	const struct sim_family *family = pod->family ? family_of(world, &pod->object_uid) : NULL;
	uint32_t left, needed;

	/* Of a machine that alone does not hear the others it says nothing. */
	if (!family || family->wish.kind != FAMILY_DEPLOYMENT || !is_available(pod) ||
	    strstr(text, "not confirmed") || is_news(world, world->network.cut_us))
		return;
	left = seen_available(world, family, pod->machine, pod);
	needed = least(world, family);
	needed = needed > family->wish.unavailable ? needed - family->wish.unavailable : 0;
	if (left < needed)
		world_violate(world, &family->uid,
			      "%s stops slot %u of %s (%s): %u are left available, %u needed",
			      world->machines[pod->machine].name, pod->slot, family->name, text,
			      left, needed);
}

void family_lost(struct world *world, const struct node_effect *effect)
{
	struct sim_family *family = family_of(world, &effect->record->key.uid);

	if (!family)
		return;
	world_tell(world, &family->uid, "a change of %s is lost: %s", family->name, effect->text);
	if (effect->record->version.hlc == family->lost_hlc)
		family->lost_told = true;
}

/* ---- at all times ---- */

static uint32_t alive_in(const struct world *world, const struct sim_family *family, size_t machine)
{
	uint32_t count = 0;

	for (size_t i = 0; i < family->pod_count; i++)
		count += host_is_alive(family->pods[i]) &&
			 same_component(world, family->pods[i], machine);
	return count;
}

/* The fullest component. */
static uint32_t most_alive(const struct world *world, const struct sim_family *family)
{
	uint32_t highest = 0;

	for (size_t i = 0; i < family->pod_count; i++) {
		uint32_t count = host_is_alive(family->pods[i])
					 ? alive_in(world, family, family->pods[i]->machine)
					 : 0;

		highest = count > highest ? count : highest;
	}
	return highest;
}

static void check_surplus(struct world *world, struct sim_family *family)
{
	uint32_t allowed = most(world, family) + family->wish.surge;
	uint32_t alive = in_grace(world) ? 0 : most_alive(world, family);
	int64_t since_us = world->now_us - world->families->disturbed_us;
	bool disturbed = since_us < (FAMILY_NEWS_MS + OVER_DISTURBED_MS) * US_PER_MS ||
			 fault_is_planted(FAULT_CONTROLLERS);
	int64_t limit_ms = disturbed ? OVER_DISTURBED_MS : OVER_MS;

	if (alive <= allowed)
		family->over_us = 0;
	else if (!family->over_us)
		family->over_us = world->now_us;
	else if (world->now_us - family->over_us > limit_ms * US_PER_MS)
		world_violate(world, &family->uid, "%u pods of %s are alive, %u allowed", alive,
			      family->name, allowed);
}

void family_periodic(struct world *world)
{
	for (size_t i = 0; world->families && i < world->families->count; i++) {
		struct sim_family *family = &world->families->family[i];

		if (family->wish.kind == FAMILY_DEPLOYMENT)
			check_surplus(world, family);
		else if (family->wish.kind == FAMILY_STATEFULSET)
			check_ordinals(world, family);
	}
}

/* ---- the world falls apart, and comes together ---- */

void family_disturbed(struct world *world)
{
	if (world->families)
		world->families->disturbed_us = world->now_us;
}

void family_machine_lost(struct world *world, size_t machine)
{
	list_for_each (it, &world->machines[machine].pods) {
		struct sim_pod *pod = list_entry(it, struct sim_pod, on_machine);
		struct sim_family *family = pod->family ? family_of(world, &pod->object_uid) : NULL;

		if (!family || !host_is_alive(pod))
			continue;
		family->budget++;
		if (is_available(pod))
			pod->lost_us = world->now_us;
	}
}

static uint32_t alive_anywhere(const struct sim_family *family)
{
	uint32_t count = 0;

	for (size_t i = 0; i < family->pod_count; i++)
		count += host_is_alive(family->pods[i]);
	return count;
}

static bool is_rolling(const struct sim_family *family)
{
	const struct sim_pod *first = NULL;

	for (size_t i = 0; i < family->pod_count; i++) {
		const struct sim_pod *pod = family->pods[i];

		if (!host_is_alive(pod))
			continue;
		if (first && first->template_number != pod->template_number)
			return true;
		first = pod;
	}
	return alive_anywhere(family) != family->replicas;
}

void family_parted(struct world *world)
{
	if (world->families)
		world->families->parted_us = world->now_us;
	for (size_t i = 0; world->families && i < world->families->count; i++) {
		struct sim_family *family = &world->families->family[i];

		/* A rollout that is under way goes on twice. */
		family->budget += alive_anywhere(family);
		if (is_rolling(family))
			family->budget += family->replicas;
		family->parted_ms = world_wall(world).ms;
	}
}

static const struct record_item *stored(const struct sim_machine *machine,
					const struct sim_family *family)
{
	struct record_key key = {.kind = RECORD_OBJECT, .uid = family->uid};

	return records_get(node_records(machine->node), &key);
}

/* The newest version that some steward has. */
static const struct record_item *newest(const struct world *world, const struct sim_family *family)
{
	const struct record_item *best = NULL;

	for (size_t i = 0; i < world->machine_count; i++) {
		const struct record_item *item;

		if (!world->machines[i].steward || !world->machines[i].node)
			continue;
		item = stored(&world->machines[i], family);
		if (item && (!best || record_version_compare(&item->record.version,
							     &best->record.version) > 0))
			best = item;
	}
	return best;
}

static void note_lost(const struct world *world, struct sim_family *family)
{
	const struct record_item *won = newest(world, family);

	family->lost_hlc = 0;
	family->lost_told = false;
	for (size_t i = 0; i < world->machine_count && won; i++) {
		const struct record_item *item;

		if (!world->machines[i].steward || !world->machines[i].node)
			continue;
		item = stored(&world->machines[i], family);
		/* What the winner was made from is not lost. */
		if (item && item->record.version.hlc != won->record.version.hlc &&
		    item->record.written_ms >= family->parted_ms)
			family->lost_hlc = item->record.version.hlc;
	}
}

void family_heals(struct world *world)
{
	for (size_t i = 0; world->families && i < world->families->count; i++) {
		struct sim_family *family = &world->families->family[i];

		note_lost(world, family);
		/* What the other side ran may be replaced by the template that won. */
		family->budget += alive_anywhere(family);
	}
}

void family_joined(struct world *world)
{
	int64_t until_us = world->now_us + SIM_GRACE_MS * US_PER_MS;

	for (size_t i = 0; world->families && i < world->families->count; i++) {
		struct sim_family *family = &world->families->family[i];

		for (size_t j = 0; j < family->old_count; j++)
			if (family->old[j].until_us > world->now_us)
				family->old[j].until_us = until_us;
	}
}

void family_agreed(struct world *world)
{
	for (size_t i = 0; world->families && i < world->families->count; i++) {
		struct sim_family *family = &world->families->family[i];
		const struct record_item *item = newest(world, family);
		json_t *object = item ? json_loadb((const char *)item->record.value.ptr,
						   item->record.value.len, 0, NULL)
				      : NULL;

		family->replicas =
			(uint32_t)kube_member_int(object, "spec.replicas", family->replicas);
		json_decref(object);
	}
}

/* ---- when it is quiet ---- */

/* Of the pods in a slot the one that was ready first. */
static bool is_oldest(const struct sim_family *family, const struct sim_pod *pod)
{
	for (size_t i = 0; i < family->pod_count; i++) {
		const struct sim_pod *other = family->pods[i];

		if (same_work(pod, other) && is_available(other) &&
		    other->presence.started_ms < pod->presence.started_ms)
			return false;
	}
	return true;
}

void family_note_oldest(struct world *world, size_t index)
{
	struct sim_family *family = &world->families->family[index];

	for (size_t i = 0; i < family->pod_count; i++)
		family->pods[i]->noted =
			is_available(family->pods[i]) && is_oldest(family, family->pods[i]);
}

void family_expect_oldest(struct world *world, size_t index)
{
	const struct sim_family *family = &world->families->family[index];

	for (size_t i = 0; i < family->pod_count; i++)
		if (family->pods[i]->noted && !is_available(family->pods[i]))
			world_violate(world, &family->uid,
				      "the oldest pod in slot %u of %s was not kept",
				      family->pods[i]->slot, family->name);
}

void family_note(struct world *world, size_t index)
{
	world->families->family[index].noted = world->families->family[index].pod_count;
}

void family_expect_made(struct world *world, size_t index, size_t count)
{
	const struct sim_family *family = &world->families->family[index];

	if (family->pod_count - family->noted != count)
		world_violate(world, &family->uid, "%zu pods of %s were made, %zu were missing",
			      family->pod_count - family->noted, family->name, count);
}

void family_expect_available(struct world *world, size_t index)
{
	const struct sim_family *family = &world->families->family[index];
	uint32_t available = 0;

	for (size_t i = 0; i < family->pod_count; i++)
		available += is_available(family->pods[i]);
	if (available + family->wish.unavailable < family->replicas)
		world_violate(world, &family->uid, "%u of %u pods of %s are available", available,
			      family->replicas, family->name);
}

void family_expect_told(struct world *world, size_t index)
{
	const struct sim_family *family = &world->families->family[index];

	if (!family->lost_hlc)
		world_violate(world, &family->uid, "no change of %s was lost", family->name);
	else if (!family->lost_told)
		world_violate(world, &family->uid, "nobody tells what a change of %s has lost",
			      family->name);
}

/* Every keeper has the version that won. */
static void check_agreed(struct world *world, const struct sim_family *family,
			 const struct record_item *won)
{
	for (size_t i = 0; i < world->machine_count; i++) {
		const struct sim_machine *machine = &world->machines[i];
		const struct record_item *item;

		if (!machine->steward || !machine->node)
			continue;
		item = stored(machine, family);
		if (!item && overlay_is_large(node_overlay(machine->node)))
			continue; /* it is none of its keepers */
		if (!item ||
		    record_version_compare(&item->record.version, &won->record.version) != 0)
			world_violate(
				world, &family->uid, "%s has generation %llu of %s, not %llu",
				machine->name,
				item ? (unsigned long long)item->record.version.generation : 0,
				family->name, (unsigned long long)won->record.version.generation);
	}
}

static uint32_t running(const struct sim_family *family, uint32_t template_number)
{
	uint32_t count = 0;

	for (size_t i = 0; i < family->pod_count; i++)
		count += family->pods[i]->state == SIM_POD_RUNNING &&
			 family->pods[i]->template_number == template_number;
	return count;
}

static uint32_t wanted(const struct world *world, const struct sim_family *family)
{
	uint32_t machines = 0;

	if (family->wish.kind != FAMILY_DAEMONSET)
		return family->replicas;
	for (size_t i = 0; i < world->machine_count; i++)
		machines += world->machines[i].node && world->machines[i].schedulable;
	return machines;
}

static void check_pods(struct world *world, const struct sim_family *family,
		       uint32_t template_number)
{
	uint32_t want = wanted(world, family), run = running(family, template_number);

	if (run != want || alive_anywhere(family) != want)
		world_violate(world, &family->uid,
			      "%u pods of %s are alive, %u of them run template %u, %u wanted",
			      alive_anywhere(family), family->name, run, template_number, want);
}

/* What the keepers remember of a Job is what has been done. */
static void check_job(struct world *world, const struct sim_family *family, const struct uid *job,
		      uint32_t completions)
{
	struct uid uid = uid_derive(job, KUBE_JOB_PROGRESS);
	struct record_key key = {.kind = RECORD_OBJECT, .uid = uid};

	for (size_t i = 0; i < world->machine_count; i++) {
		const struct sim_machine *machine = &world->machines[i];
		struct kube_job_progress progress;
		const struct record_item *item;
		json_t *object;

		if (!machine->steward || !machine->node)
			continue;
		item = records_get(node_records(machine->node), &key);
		object = item ? json_loadb((const char *)item->record.value.ptr,
					   item->record.value.len, 0, NULL)
			      : NULL;
		kube_job_progress_read(object, completions, &progress);
		if (progress.completed_count != completions || !progress.completion_ms)
			world_violate(world, &family->uid, "%s counts %u of %u completions of %s",
				      machine->name, progress.completed_count, completions,
				      family->name);
		kube_job_progress_deinit(&progress);
		json_decref(object);
	}
}

static bool has_run(const struct sim_family *family, int64_t minute)
{
	char name[64];

	(void)snprintf(name, sizeof(name), "%s-%lld", family->name, (long long)minute);
	for (size_t i = 0; i < family->run_count; i++)
		if (strcmp(family->runs[i].name, name) == 0)
			return true;
	return false;
}

/* Every minute since it was asked for has had its run; the last ones may not have ended. */
static void check_runs(struct world *world, const struct sim_family *family)
{
	int64_t last = (world_wall(world).ms - FAMILY_NEWS_MS) / MINUTE_MS;

	for (int64_t minute = family->made_ms / MINUTE_MS + 1; minute <= last; minute++)
		if (!has_run(family, minute))
			world_violate(world, &family->uid, "%s has not run at minute %lld",
				      family->name, (long long)minute);
	for (size_t i = 0; i + 1 < family->run_count; i++)
		check_job(world, family, &family->runs[i].uid, 1);
}

void family_expect_settled(struct world *world, size_t index)
{
	const struct sim_family *family = &world->families->family[index];
	const struct record_item *won = newest(world, family);

	if (!won) {
		world_violate(world, &family->uid, "nobody has %s", family->name);
		return;
	}
	check_agreed(world, family, won);
	switch (family->wish.kind) {
	case FAMILY_DEPLOYMENT:
	case FAMILY_STATEFULSET:
	case FAMILY_DAEMONSET:
		check_pods(world, family, template_in(bytes_buf(&won->record.value)));
		break;
	case FAMILY_JOB:
		check_job(world, family, &family->uid, family->wish.replicas);
		break;
	case FAMILY_CRONJOB:
		check_runs(world, family);
		break;
	case FAMILY_KIND_COUNT:
		break;
	}
}
