/* SPDX-License-Identifier: Apache-2.0 */
/* What people and accidents do to the world. */
#include "archive.h"
#include "checker.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "family.h"

enum {
	MEMORY_MIB = 64, /* of a replica, unless the wish says otherwise */
};

/* Any steward whose daemon runs; NULL when there is none. */
static struct sim_machine *some_steward(struct world *world)
{
	size_t first = world_random(world, world->machine_count);

	for (size_t i = 0; i < world->machine_count; i++) {
		struct sim_machine *machine = &world->machines[(first + i) % world->machine_count];

		if (machine->steward && machine->node)
			return machine;
	}
	return NULL;
}

static void write_manifest(const struct sim_workload *workload, struct buf *out)
{
	struct buf selector = {0};

	if (workload->label_key)
		buf_append_format(&selector, ",\"nodeSelector\":{\"%s\":\"%s\"}",
				  workload->label_key, workload->label_value);
	buf_append_format(
		out,
		"{\"apiVersion\":\"apps/v1\",\"kind\":\"ReplicaSet\",\"metadata\":{"
		"\"creationTimestamp\":\"2027-01-15T08:00:00Z\",\"generation\":%llu,"
		"\"name\":\"%s\",\"namespace\":\"default\",\"uid\":\"%s\"},"
		"\"spec\":{\"replicas\":%u,\"selector\":{\"matchLabels\":{\"app\":\"%s\"}},"
		"\"template\":{\"metadata\":{\"labels\":{\"app\":\"%s\"}},\"spec\":{"
		"\"containers\":[{\"image\":\"web:1\",\"name\":\"web\",\"resources\":{"
		"\"requests\":{\"cpu\":\"%lldm\",\"memory\":\"%lldMi\"}}}]%s}}}}",
		(unsigned long long)workload->generation, workload->name,
		uid_text(&workload->uid).text, workload->replicas, workload->name, workload->name,
		(long long)workload->cpu_milli, (long long)workload->memory_mib,
		buf_cstr(&selector));
	buf_deinit(&selector);
}

static struct object_ref workload_ref(struct sim_workload *workload)
{
	static char namespace[] = "default", kind[] = "ReplicaSet";

	return (struct object_ref){
		.uid = workload->uid,
		.namespace = namespace,
		.kind = kind,
		.name = workload->name,
	};
}

static void put(struct world *world, struct sim_machine *machine, struct sim_workload *workload)
{
	struct object_ref ref = workload_ref(workload);
	struct buf json = {0};
	struct node_put request = {
		.object = &ref,
		.generation = workload->generation,
		.expected_hlc = workload->generation == 1 ? 0 : UINT64_MAX,
	};
	uint64_t token, hlc;
	int r;

	assert(machine);
	write_manifest(workload, &json);
	request.json = bytes_buf(&json);
	world_tell(world, &workload->uid, "%s is asked for %u replicas of %s", machine->name,
		   workload->replicas, workload->name);
	machine_call(machine, r = node_put(machine->node, machine_now(world, machine), &request,
					   &token, &hlc));
	if (r)
		world_violate(world, &workload->uid, "%s refused to store %s: %d", machine->name,
			      workload->name, r);
	buf_deinit(&json);
	machine_pump(world, machine);
}

/* Machines may go by the old target for a while: until news has reached all of them. */
static void remember_target(struct world *world, struct sim_workload *workload)
{
	struct sim_target *old;

	if (workload->old_count == ARRAY_LEN(workload->old)) {
		memmove(workload->old, workload->old + 1,
			sizeof(workload->old) - sizeof(workload->old[0]));
		workload->old_count--;
	}
	old = &workload->old[workload->old_count++];
	old->replicas = workload->replicas;
	old->until_us =
		world_is_whole(world) ? world->now_us + SIM_GRACE_MS * US_PER_MS : INT64_MAX;
}

/* Who takes a call about @workload. */
static struct sim_machine *gateway(struct world *world, const struct sim_workload *workload)
{
	return workload->home == SIM_ANY ? some_steward(world) : &world->machines[workload->home];
}

struct sim_workload *world_workload(const struct world *world, const struct uid *uid)
{
	uintptr_t index =
		(uintptr_t)map_get(&world->workloads_by_uid, bytes_of(uid->byte, UID_LEN));

	return index ? &world->workloads[index - 1] : NULL;
}

size_t world_apply_wish(struct world *world, size_t machine, const struct sim_wish *wish)
{
	size_t index = world->workload_count++;
	struct sim_workload *workload;
	uint8_t random[UID_LEN];

	if (machine == SIM_ANY)
		machine = some_steward(world)->index;
	if (index == world->workload_cap) {
		world->workload_cap = index ? 2 * index : 64;
		world->workloads = mem_resize(world->workloads, world->workload_cap,
					      sizeof(*world->workloads));
	}
	workload = &world->workloads[index];
	for (size_t i = 0; i < sizeof(random); i++)
		random[i] = (uint8_t)world_random(world, 256);
	*workload = (struct sim_workload){
		.uid = uid_from_random(random),
		.home = world->params.stay ? machine : SIM_ANY,
		.generation = 1,
		.replicas = wish->replicas,
		.cpu_milli = wish->cpu_milli,
		.memory_mib = wish->memory_mib ? wish->memory_mib : MEMORY_MIB,
		.label_key = wish->label_key,
		.label_value = wish->label_value,
		.applied_us = world->now_us,
	};
	(void)map_put(&world->workloads_by_uid, bytes_of(workload->uid.byte, UID_LEN),
		      (void *)(uintptr_t)(index + 1));
	if (wish->name)
		(void)snprintf(workload->name, sizeof(workload->name), "%s", wish->name);
	else
		(void)snprintf(workload->name, sizeof(workload->name), "web-%zu", index);
	metrics_given(world, index);
	put(world, &world->machines[machine], workload);
	return index;
}

size_t world_apply(struct world *world, uint32_t replicas, int64_t cpu_milli)
{
	struct sim_wish wish = {.replicas = replicas, .cpu_milli = cpu_milli};

	return world_apply_wish(world, SIM_ANY, &wish);
}

void world_scale(struct world *world, size_t index, uint32_t replicas)
{
	struct sim_workload *workload = &world->workloads[index];

	if (workload->deleted)
		return;
	remember_target(world, workload);
	workload->replicas = replicas;
	workload->generation++;
	metrics_given(world, index);
	put(world, gateway(world, workload), workload);
}

static void delete_at(struct world *world, size_t index, struct sim_machine *machine)
{
	struct sim_workload *workload = &world->workloads[index];
	struct object_ref ref = workload_ref(workload);
	struct uid none = {0};
	uint64_t token;
	int r;

	if (workload->deleted)
		return;
	remember_target(world, workload);
	workload->replicas = 0;
	workload->deleted = true;
	world_tell(world, &workload->uid, "%s is asked to delete %s", machine->name,
		   workload->name);
	machine_call(machine, r = node_dispose(machine->node, machine_now(world, machine), &ref,
					       &none, 0, &token));
	if (r)
		world_violate(world, &workload->uid, "%s refused to delete %s: %d", machine->name,
			      workload->name, r);
	machine_pump(world, machine);
}

void world_delete(struct world *world, size_t index)
{
	delete_at(world, index, gateway(world, &world->workloads[index]));
}

void world_delete_at(struct world *world, size_t index, size_t machine)
{
	delete_at(world, index, &world->machines[machine]);
}

size_t world_give_again(struct world *world, size_t index, size_t machine)
{
	const struct sim_workload old = world->workloads[index];
	const struct sim_wish wish = {
		.replicas = old.replicas,
		.cpu_milli = old.cpu_milli,
		.memory_mib = old.memory_mib,
		.name = old.name,
	};

	delete_at(world, index, &world->machines[machine]);
	return world_apply_wish(world, machine, &wish);
}

void world_power_off(struct world *world, size_t index)
{
	struct sim_machine *machine = &world->machines[index];

	if (!machine->powered)
		return;
	world_tell(world, NULL, "%s loses power", machine->name);
	host_power_off(world, machine);
	if (machine->node)
		machine_end(world, machine);
}

void world_kill_daemon(struct world *world, size_t index)
{
	struct sim_machine *machine = &world->machines[index];

	if (!machine->node)
		return;
	world_tell(world, NULL, "the daemon of %s is killed", machine->name);
	machine_end(world, machine);
}

void world_power_on(struct world *world, size_t index, bool keep_state)
{
	struct sim_machine *machine = &world->machines[index];

	if (machine->node)
		return;
	machine->powered = true;
	if (!keep_state) {
		archive_disk_lost(world, machine);
		machine_disk_clear(machine);
		machine->rebooted = false; /* it was never there before */
		host_forget_kept(world, machine);
	}
	checker_joined(world);
	world_boot(world, index, !keep_state);
}

/* The machine is another one from now on: a new disk, a new key. */
void world_reidentify(struct world *world, size_t index)
{
	struct sim_machine *machine = &world->machines[index];

	assert(!machine->node);
	machine_disk_clear(machine);
	trust_forget_writer(world, index);
	machine_new_id(world, machine);
}

void world_readdress(struct world *world, size_t index)
{
	assert(!world->machines[index].node);
	world->machines[index].addr.port++; /* network_find_addr() knows */
}

void world_clock_jump(struct world *world, size_t index, int64_t ms)
{
	world_tell(world, NULL, "the system clock of %s jumps by %lld ms",
		   world->machines[index].name, (long long)ms);
	world->machines[index].clock_error_ms += ms;
}

void world_partition(struct world *world, size_t first_of_other_side)
{
	world_tell(world, NULL, "n0..n%zu and n%zu..n%zu are cut apart", first_of_other_side - 1,
		   first_of_other_side, world->machine_count - 1);
	family_parted(world);
	family_disturbed(world);
	for (size_t i = 0; i < world->machine_count; i++)
		world->machines[i].side = i >= first_of_other_side;
	network_sides_changed(world);
}

void world_cut_off(struct world *world, size_t machine)
{
	world_tell(world, NULL, "%s is cut off", world->machines[machine].name);
	family_parted(world);
	family_disturbed(world);
	for (size_t i = 0; i < world->machine_count; i++)
		world->machines[i].side = i == machine;
	network_sides_changed(world);
}

void world_isolate(struct world *world)
{
	assert(world->machine_count <= UINT8_MAX + 1);
	world_tell(world, NULL, "nobody hears anybody");
	for (size_t i = 0; i < world->machine_count; i++)
		world->machines[i].side = (uint8_t)i;
	network_sides_changed(world);
}

void world_heal(struct world *world)
{
	world_tell(world, NULL, "all hear each other again");
	family_heals(world);
	family_disturbed(world);
	for (size_t i = 0; i < world->machine_count; i++)
		world->machines[i].side = 0;
	network_sides_changed(world);
	checker_joined(world);
}

void world_mute(struct world *world, size_t from, size_t to, bool mute)
{
	world_tell(world, NULL, "%s %s %s", world->machines[to].name,
		   mute ? "does not hear" : "hears", world->machines[from].name);
	network_mute(world, from, to, mute);
}

bool world_is_whole(const struct world *world)
{
	for (size_t i = 0; i < world->machine_count; i++)
		if (world->machines[i].side != world->machines[0].side || !world->machines[i].node)
			return false;
	return true;
}
