/* SPDX-License-Identifier: Apache-2.0 */
/* The hosts: pods that take a while to start and to stop, and survive their daemon. */
#include "checker.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "family.h"

static struct sim_pod *pod_find(struct world *world, const struct uid *uid)
{
	return map_get(&world->pods_by_uid, bytes_of(uid->byte, UID_LEN));
}

bool host_is_alive(const struct sim_pod *pod)
{
	return pod->state == SIM_POD_STARTING || pod->state == SIM_POD_RUNNING;
}

static void presence_fill(struct presence *presence)
{
	char **texts[] = {&presence->pod_name, &presence->node_name, &presence->reason,
			  &presence->message,  &presence->pod_ip,    &presence->host_ip};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		if (!*texts[i])
			*texts[i] = mem_strdup("");
}

static struct sim_pod *pod_new(struct world *world, struct sim_machine *machine,
			       const struct assignment *assignment, const struct tender *tender)
{
	struct sim_pod *pod = mem_new(struct sim_pod);

	pod->uid = assignment->pod_uid;
	pod->object_uid = tender->object.uid;
	pod->machine = machine->index;
	list_append(&machine->pods, &pod->on_machine);
	pod->slot = assignment->slot;
	pod->workload = SIM_ANY;
	pod->presence.pod_uid = pod->uid;
	pod->presence.pod_name = mem_strdup(assignment->pod_name);
	object_ref_copy(&tender->object, &pod->presence.object);
	pod->presence.generation = tender->generation;
	pod->presence.slot = pod->slot;
	pod->presence.epoch = assignment->epoch;
	pod->presence.node = machine->id;
	buf_append_bytes(&pod->presence.warrant, bytes_buf(&assignment->warrant));
	trust_keep_writer(machine, bytes_buf(&assignment->warrant));
	pod->presence.created_ms = world_wall(world).ms;
	presence_fill(&pod->presence);
	if (world->pod_count == world->pod_cap) {
		world->pod_cap = world->pod_cap ? 2 * world->pod_cap : 256;
		world->pods = mem_resize(world->pods, world->pod_cap, sizeof(struct sim_pod *));
	}
	world->pods[world->pod_count++] = pod;
	(void)map_put(&world->pods_by_uid, bytes_of(pod->uid.byte, UID_LEN), pod);
	return pod;
}

static void schedule_pod(struct world *world, struct sim_pod *pod, int64_t in_us)
{
	struct sim_event *event = world_event(world, SIM_POD, in_us);

	event->to = (uint32_t)pod->machine;
	event->pod = pod;
}

static void schedule_start(struct world *world, struct sim_pod *pod)
{
	uint64_t spread_ms = (uint64_t)(world->pod_start_ms_max - world->pod_start_ms_min);

	schedule_pod(world, pod,
		     (world->pod_start_ms_min + (int64_t)world_random(world, spread_ms + 1)) *
			     US_PER_MS);
}

/* The tender inside an award, as the host process opens it. */
static bool open_tender(const struct award *award, struct message *ret_tender)
{
	struct packet packet = {.is_envelope = true, .body = bytes_buf(&award->tender_envelope)};
	struct node_id issuer;
	struct buf bytes = {0};
	bool opened;

	packet_encode(&packet, &bytes);
	opened = trust_peek(bytes_buf(&bytes), &issuer, ret_tender);
	buf_deinit(&bytes);
	return opened;
}

void host_start(struct world *world, struct sim_machine *machine, const struct award *award)
{
	struct message tender;

	if (!open_tender(award, &tender)) {
		world_violate(world, NULL, "%s was given an award without a tender", machine->name);
		return;
	}
	for (size_t i = 0; i < award->assignment_count; i++) {
		const struct assignment *assignment = &award->assignments[i];
		struct sim_pod *pod;

		if (pod_find(world, &assignment->pod_uid))
			continue; /* the same order again */
		pod = pod_new(world, machine, assignment, &tender.tender);
		buf_append_bytes(&pod->manifest, bytes_buf(&award->manifest));
		schedule_start(world, pod);
		world->totals.pods_started++;
		world_tell(world, &pod->object_uid, "%s starts slot %u of %s", machine->name,
			   pod->slot, tender.tender.object.name);
		metrics_accepted(world, machine, pod);
		if (!family_pod_begins(world, pod))
			checker_pod_begins(world, pod);
	}
	message_deinit(&tender);
}

static void move(struct world *world, struct sim_pod *pod, enum sim_pod_state state)
{
	struct sim_workload *workload =
		pod->workload == SIM_ANY ? NULL : &world->workloads[pod->workload];

	if (pod->state == state)
		return;
	if (workload && pod->state == SIM_POD_RUNNING)
		workload->running--;
	if (workload && state == SIM_POD_RUNNING)
		workload->running++;
	if (state == SIM_POD_GONE)
		metrics_gone(world, pod);
	pod->state = state;
}

static void report(struct world *world, struct sim_pod *pod)
{
	struct sim_machine *machine = &world->machines[pod->machine];

	if (!machine->node)
		return;
	machine_call(machine,
		     node_pod_status(machine->node, machine_now(world, machine), &pod->presence));
	machine_pump(world, machine);
}

/* Called from the pump of the machine's own node: it must not be entered again, so everything that
 * is to be reported goes through the queue. */
void host_stop(struct world *world, struct sim_machine *machine, const struct uid *pod_uid,
	       const char *text)
{
	struct sim_pod *pod = pod_find(world, pod_uid);

	if (pod && (pod->state == SIM_POD_KEPT || pod->state == SIM_POD_ENDED)) {
		move(world, pod, SIM_POD_STOPPING);
		schedule_pod(world, pod, 0);
		world_tell(world, &pod->object_uid, "%s does not start slot %u again: %s",
			   machine->name, pod->slot, text);
		return;
	}
	if (!pod || !host_is_alive(pod))
		return;
	if (world->bug == SIM_BUG_NO_CONFIRM && strstr(text, "not confirmed"))
		return;
	if (strstr(text, "not confirmed"))
		world->totals.self_stops++;
	family_pod_stops(world, pod, text);
	move(world, pod, SIM_POD_STOPPING);
	pod->presence.terminating = true;
	world->totals.pods_stopped++;
	schedule_pod(world, pod, world->pod_stop_ms * US_PER_MS);
	world_tell(world, &pod->object_uid, "%s stops slot %u of %s: %s", machine->name, pod->slot,
		   pod->presence.object.name, text);
}

static void pod_runs(struct world *world, struct sim_pod *pod)
{
	struct sim_machine *machine = &world->machines[pod->machine];
	int64_t runs_ms;

	if (world_random(world, 1000) < world->pod_failures) {
		move(world, pod, SIM_POD_GONE);
		pod->presence.phase = POD_GONE;
		world_tell(world, &pod->object_uid, "%s cannot start slot %u", machine->name,
			   pod->slot);
	} else {
		move(world, pod, SIM_POD_RUNNING);
		pod->presence.phase = POD_RUNNING;
		pod->presence.ready = family_pod_is_ready(pod);
		pod->presence.started_ms = world_wall(world).ms;
		world_tell(world, &pod->object_uid, "%s runs slot %u", machine->name, pod->slot);
		checker_pod_runs(world, pod);
		runs_ms = family_pod_runs_ms(world, pod);
		if (runs_ms)
			schedule_pod(world, pod, runs_ms * US_PER_MS);
	}
	report(world, pod);
}

/* A pod of a Job has done its work. */
static void pod_ends(struct world *world, struct sim_pod *pod)
{
	move(world, pod, SIM_POD_ENDED);
	/* Otherwise nobody hears of it for now. */
	if (world->machines[pod->machine].node)
		pod->done_us = world->now_us;
	pod->presence.phase = POD_SUCCEEDED;
	pod->presence.ready = false;
	world_tell(world, &pod->object_uid, "slot %u of %s is done on %s", pod->slot,
		   pod->presence.object.name, world->machines[pod->machine].name);
	report(world, pod);
}

void host_pod_event(struct world *world, struct sim_pod *pod)
{
	switch (pod->state) {
	case SIM_POD_STARTING:
		pod_runs(world, pod);
		break;
	case SIM_POD_STOPPING:
		move(world, pod, SIM_POD_GONE);
		pod->presence.phase = POD_GONE;
		pod->presence.ready = false;
		report(world, pod);
		break;
	case SIM_POD_RUNNING:
		if (family_pod_runs_ms(world, pod))
			pod_ends(world, pod);
		break;
	case SIM_POD_ENDED:
	case SIM_POD_KEPT:
	case SIM_POD_GONE:
		break; /* it was stopped before it ran, or lost its power */
	}
}

/* What was to run is on the disk, if the machine writes anything down. */
static void lose_power(struct world *world, struct sim_pod *pod)
{
	bool kept = (host_is_alive(pod) || pod->state == SIM_POD_KEPT) && !world->params.stay;

	move(world, pod, kept ? SIM_POD_KEPT : SIM_POD_GONE);
	pod->presence.phase = POD_PENDING;
	pod->presence.ready = false;
	pod->presence.started_ms = 0;
}

void host_power_off(struct world *world, struct sim_machine *machine)
{
	family_machine_lost(world, machine->index);
	list_for_each (it, &machine->pods)
		lose_power(world, list_entry(it, struct sim_pod, on_machine));
	machine->powered = false;
	machine->rebooted = true;
}

void host_forget_kept(struct world *world, struct sim_machine *machine)
{
	list_for_each (it, &machine->pods) {
		struct sim_pod *pod = list_entry(it, struct sim_pod, on_machine);

		if (pod->state == SIM_POD_KEPT)
			move(world, pod, SIM_POD_GONE);
	}
}

void host_resume(struct world *world, struct sim_machine *machine, const struct uid *pod_uid,
		 const char *text)
{
	struct sim_pod *pod = pod_find(world, pod_uid);

	if (!pod || pod->state != SIM_POD_KEPT || world->bug == SIM_BUG_RESUME_OFF)
		return;
	move(world, pod, SIM_POD_STARTING);
	schedule_start(world, pod);
	world->totals.pods_resumed++;
	world_tell(world, &pod->object_uid, "%s starts slot %u again: %s", machine->name, pod->slot,
		   text);
	checker_pod_resumes(world, pod);
}

void host_note(struct world *world, const struct node_effect *note)
{
	struct sim_pod *pod = pod_find(world, &note->pod_uid);

	if (!pod)
		return;
	pod->confirmed_ms = note->confirmed_ms;
	if (!note->confirmed_ms || note->packet.len)
		buf_clear(&pod->object);
	buf_append_bytes(&pod->object, note->packet);
}

static void recover_kept(struct world *world, struct sim_machine *machine, struct sim_pod *pod)
{
	struct node_note note = {pod->confirmed_ms, bytes_buf(&pod->object)};

	machine_call(machine, node_pod_kept(machine->node, machine_now(world, machine),
					    &pod->presence, bytes_buf(&pod->manifest), &note));
}

void host_recover(struct world *world, struct sim_machine *machine)
{
	list_for_each (it, &machine->pods) {
		struct sim_pod *pod = list_entry(it, struct sim_pod, on_machine);

		if (pod->state == SIM_POD_GONE)
			continue;
		if (pod->state == SIM_POD_KEPT)
			recover_kept(world, machine, pod);
		else
			machine_call(machine,
				     node_pod_recovered(machine->node, machine_now(world, machine),
							&pod->presence, bytes_buf(&pod->manifest)));
	}
	machine_call(machine, node_pods_known(machine->node));
}

void host_free(struct world *world)
{
	for (size_t i = 0; i < world->pod_count; i++) {
		presence_deinit(&world->pods[i]->presence);
		buf_deinit(&world->pods[i]->manifest);
		buf_deinit(&world->pods[i]->object);
		free(world->pods[i]);
	}
	free(world->pods);
}
