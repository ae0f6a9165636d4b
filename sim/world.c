/* SPDX-License-Identifier: Apache-2.0 */
/* The clock, the queue of what will happen, and the machines' lives. */
#include "world.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum {
	BOOTSTRAP_COUNT = 3,
	BOOT_SPACING_US = 20 * 1000,
	PERSIST_US = 2000, /* a disk that syncs */
	CHECK_MS = 1000,
	TICKS_MAX = 1000, /* of one machine at one moment; a few are usual */
};

/* Some day in 2027; nothing depends on which. */
static const int64_t epoch_ms = 1800000000000;

uint64_t world_random(struct world *world, uint64_t below)
{
	return prng_below(&world->prng, below);
}

struct wall world_wall(const struct world *world)
{
	return (struct wall){epoch_ms + world->now_us / US_PER_MS};
}

struct mono machine_now(const struct world *world, const struct sim_machine *machine)
{
	return (struct mono){world->now_us + machine->skew_us};
}

/* ---- the queue ---- */

static bool is_before(const struct sim_event *a, const struct sim_event *b)
{
	return a->at_us != b->at_us ? a->at_us < b->at_us : a->order < b->order;
}

static void queue_push(struct world *world, struct sim_event *event)
{
	size_t at = world->queue_count++;

	if (world->queue_count > world->queue_cap) {
		world->queue_cap = world->queue_cap ? 2 * world->queue_cap : 1024;
		world->queue = mem_resize(world->queue, world->queue_cap, sizeof(*world->queue));
	}
	for (; at > 0 && is_before(event, world->queue[(at - 1) / 2]); at = (at - 1) / 2)
		world->queue[at] = world->queue[(at - 1) / 2];
	world->queue[at] = event;
}

static struct sim_event *queue_pop(struct world *world)
{
	struct sim_event *first = world->queue[0];
	struct sim_event *last = world->queue[--world->queue_count];
	size_t at = 0;

	for (;;) {
		size_t child = 2 * at + 1;

		if (child >= world->queue_count)
			break;
		if (child + 1 < world->queue_count &&
		    is_before(world->queue[child + 1], world->queue[child]))
			child++;
		if (!is_before(world->queue[child], last))
			break;
		world->queue[at] = world->queue[child];
		at = child;
	}
	world->queue[at] = last;
	return first;
}

static void event_free(struct sim_event *event)
{
	buf_deinit(&event->bytes);
	free(event);
}

/*
 * The order of an event must be set before it is sifted, its other members may follow: nothing else
 * decides where it stands.
 */
struct sim_event *world_event(struct world *world, enum sim_kind kind, int64_t in_us)
{
	struct sim_event *event = mem_new(struct sim_event);

	assert(in_us >= 0);
	event->kind = kind;
	event->at_us = world->now_us + in_us;
	event->order = world->order++;
	queue_push(world, event);
	return event;
}

void world_action(struct world *world, int64_t at_ms,
		  void (*action)(struct world *world, uint64_t argument), uint64_t argument)
{
	struct sim_event *event = world_event(world, SIM_ACTION, at_ms * US_PER_MS - world->now_us);

	event->action = action;
	event->argument = argument;
}

/* ---- the story ---- */

void world_tell(struct world *world, const struct uid *uid, const char *format, ...)
{
	struct sim_story_line *line = &world->story[world->story_count++ % SIM_STORY_MAX];
	struct buf text = {0};
	char part[300];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(part, sizeof(part), format, args);
	va_end(args);
	buf_append_str(&text, part);
	free(line->text);
	line->text = buf_steal(&text);
	line->at_us = world->now_us;
	line->uid = uid ? *uid : (struct uid){0};
}

void world_violate(struct world *world, const struct uid *uid, const char *format, ...)
{
	va_list args;

	if (world->violation[0])
		return; /* the first one is the interesting one */
	va_start(args, format);
	(void)vsnprintf(world->violation, sizeof(world->violation), format, args);
	va_end(args);
	world->violation_uid = uid ? *uid : (struct uid){0};
}

/* ---- machines ---- */

static void machine_init(struct world *world, size_t index, bool steward)
{
	struct sim_machine *machine = &world->machines[index];

	machine->index = index;
	machine->world = world;
	machine->steward = steward;
	machine->schedulable = true;
	machine->powered = true;
	machine->cpu_milli = 4000;
	machine->memory_bytes = 8LL << 30;
	machine->tick_at_us = INT64_MAX;
	machine->skew_us = (int64_t)world_random(world, 1000000) * US_PER_S;
	for (size_t i = 0; i < ID_LEN; i++)
		machine->id.byte[i] = (uint8_t)world_random(world, 256);
	machine->addr = (struct addr){
		.ip = {10, 0, (uint8_t)(index >> 8), (uint8_t)index}, .port = 7946, .is_v4 = true};
	(void)snprintf(machine->name, sizeof(machine->name), "n%zu", index);
	map_init(&machine->disk, 1);
	(void)map_put(&world->machines_by_id, bytes_of(machine->id.byte, ID_LEN), machine);
	trust_reset(machine, world->seed);
}

struct world *world_new(size_t machines, size_t stewards, uint64_t seed)
{
	struct world *world = mem_new(struct world);

	assert(machines > 0 && machines <= SIM_MACHINES_MAX);
	world->seed = seed;
	world->prng = prng_seeded(seed);
	world->machine_count = machines;
	world->network = (struct sim_network){.latency_us = 300, .jitter_us = 200};
	world->pod_start_ms_min = 20;
	world->pod_start_ms_max = 200;
	world->pod_stop_ms = 100;
	world->distinct = true;
	world->last_join_us = -1;
	world->story = mem_alloc(SIM_STORY_MAX, sizeof(*world->story));
	map_init(&world->pods_by_uid, 1);
	map_init(&world->machines_by_id, 1);
	for (size_t i = 0; i < machines; i++)
		machine_init(world, i, i < stewards);
	return world;
}

static void disk_clear(struct sim_machine *machine)
{
	map_for_each (entry, &machine->disk) {
		struct buf *envelope = entry->value;

		buf_deinit(envelope);
		free(envelope);
	}
	map_deinit(&machine->disk);
	map_init(&machine->disk, 1);
}

void world_free(struct world *world)
{
	for (size_t i = 0; i < world->machine_count; i++) {
		node_free(world->machines[i].node);
		disk_clear(&world->machines[i]);
		map_deinit(&world->machines[i].disk);
		trust_deinit(&world->machines[i]);
	}
	for (size_t i = 0; i < world->queue_count; i++)
		event_free(world->queue[i]);
	for (size_t i = 0; i < SIM_STORY_MAX; i++)
		free(world->story[i].text);
	host_free(world);
	map_deinit(&world->pods_by_uid);
	map_deinit(&world->machines_by_id);
	free(world->story);
	free(world->queue);
	free(world);
}

static void offer_machine(struct world *world, struct sim_machine *machine)
{
	static const char *const engines[] = {"crun"};
	struct node_facts facts = {
		.id = machine->id,
		.name = machine->name,
		.addr = machine->addr,
		.cpu_milli = machine->cpu_milli,
		.memory_bytes = machine->memory_bytes,
		.cpu_milli_free_max = machine->cpu_milli,
		.memory_bytes_free_max = machine->memory_bytes,
		.pods_max = 110,
		.schedulable = machine->schedulable,
		.steward = machine->steward,
		.worker = true,
	};
	struct market_machine offer = {
		.cpu_milli = machine->cpu_milli,
		.memory_bytes = machine->memory_bytes,
		.pods_max = 110,
		.schedulable = machine->schedulable,
		.engines = engines,
		.engine_count = 1,
		.architecture = "amd64",
		.reliability = 1000,
	};

	node_set_machine(machine->node, machine_now(world, machine), &facts, &offer);
}

static void restore_disk(struct world *world, struct sim_machine *machine)
{
	map_for_each (entry, &machine->disk) {
		int r = node_restore(machine->node, machine_now(world, machine),
				     bytes_buf(entry->value));

		/* A version that something newer on the same disk replaced is not news. */
		if (r < 0)
			world_violate(world, NULL, "%s cannot read its own disk: %d", machine->name,
				      r);
	}
}

void world_boot(struct world *world, size_t index, bool join)
{
	struct sim_machine *machine = &world->machines[index];
	struct node_config config = {
		.self = {.id = machine->id,
			 .addr = machine->addr,
			 .name = machine->name,
			 .incarnation = (uint64_t)world_wall(world).ms,
			 .steward = machine->steward},
		.leaf = trust_leaf(machine),
		.steward = machine->steward,
		.seed = world_random(world, UINT64_MAX),
		/* The system's clock may be off by some seconds. */
		.system = {world_wall(world).ms + (int64_t)world_random(world, 6000) - 3000},
		.kept = machine->kept,
		.fabric = join ? world_wall(world) : (struct wall){0},
		.trust = trust_of(machine),
	};

	assert(!machine->node && machine->powered);
	machine->process++;
	trust_reset(machine, world->seed);
	machine->node = node_new(&config, machine_now(world, machine));
	world_tell(world, NULL, "%s boots", machine->name);
	restore_disk(world, machine);
	offer_machine(world, machine);
	host_recover(world, machine);
	for (size_t i = 0; i < BOOTSTRAP_COUNT && i < world->machine_count; i++)
		if (i != index)
			node_bootstrap(machine->node, machine_now(world, machine),
				       &world->machines[i].addr);
	machine_pump(world, machine);
}

static void boot_action(struct world *world, uint64_t machine)
{
	world_boot(world, machine, true);
}

void world_boot_all(struct world *world)
{
	for (size_t i = 0; i < world->machine_count; i++) {
		struct sim_event *event =
			world_event(world, SIM_ACTION, (int64_t)i * BOOT_SPACING_US);

		event->action = boot_action;
		event->argument = i;
	}
	(void)world_event(world, SIM_CHECK, CHECK_MS * US_PER_MS);
}

/* ---- effects ---- */

static struct bytes key_bytes(const struct record_key *key, uint8_t *space)
{
	space[0] = (uint8_t)key->kind;
	memcpy(space + 1, key->uid.byte, UID_LEN);
	memcpy(space + 1 + UID_LEN, key->sub.byte, UID_LEN);
	return bytes_of(space, 1 + 2 * UID_LEN);
}

static void disk_forget(struct sim_machine *machine, const struct record_key *key)
{
	uint8_t space[1 + 2 * UID_LEN];
	struct buf *old = map_remove(&machine->disk, key_bytes(key, space));

	if (!old)
		return;
	buf_deinit(old);
	free(old);
}

static void disk_write(struct world *world, struct sim_machine *machine,
		       const struct node_effect *effect)
{
	uint8_t space[1 + 2 * UID_LEN];
	struct buf *envelope = mem_new(struct buf);
	struct sim_event *event = world_event(world, SIM_PERSISTED, PERSIST_US);

	disk_forget(machine, &effect->key);
	buf_append_bytes(envelope, effect->packet);
	(void)map_put(&machine->disk, key_bytes(&effect->key, space), envelope);
	event->to = machine->index;
	event->process = machine->process;
	event->key = effect->key;
	event->version = effect->version;
}

static const char *peer_state_name(enum member_state state)
{
	return state == MEMBER_ALIVE ? "sees" : state == MEMBER_SUSPECT ? "suspects" : "has lost";
}

static void carry_out(struct world *world, struct sim_machine *machine,
		      const struct node_effect *effect)
{
	const struct sim_machine *other;

	switch (effect->type) {
	case NODE_SEND:
		network_send(world, machine->index, &effect->to, effect->packet);
		break;
	case NODE_CLOSE:
		network_close(world, machine->index, &effect->to);
		break;
	case NODE_DIAL:
		network_dial(world, machine->index, &effect->to, &effect->addr);
		break;
	case NODE_PERSIST:
		disk_write(world, machine, effect);
		break;
	case NODE_FORGET:
		disk_forget(machine, &effect->key);
		break;
	case NODE_START:
		host_start(world, machine, effect->award);
		break;
	case NODE_STOP:
		host_stop(world, machine, &effect->pod_uid, effect->text);
		break;
	case NODE_PEER:
		other = network_find(world, &effect->to);
		if (other && effect->peer_state != MEMBER_ALIVE)
			world_tell(world, NULL, "%s %s %s", machine->name,
				   peer_state_name(effect->peer_state), other->name);
		break;
	case NODE_REFUSED:
	case NODE_PUT_DONE:
	case NODE_CHANGED:
	case NODE_STEPPED:
		break;
	}
}

static void schedule_tick(struct world *world, struct sim_machine *machine)
{
	struct mono deadline = node_deadline(machine->node);
	struct sim_event *event;
	int64_t at_us;

	/* A machine with this fault never looks at its clock again. */
	if (world->bug == SIM_BUG_HOLD_LEAK && machine->index % 2 && world->now_us > US_PER_S * 5)
		return;
	if (deadline.us == MONO_NEVER.us)
		return;
	at_us = deadline.us - machine->skew_us;
	if (at_us < world->now_us)
		at_us = world->now_us;
	if (at_us >= machine->tick_at_us)
		return;
	machine->tick_at_us = at_us;
	event = world_event(world, SIM_TICK, at_us - world->now_us);
	event->to = machine->index;
	event->process = machine->process;
}

void machine_pump(struct world *world, struct sim_machine *machine)
{
	const struct node_effect *effect;

	while ((effect = node_next_effect(machine->node)) != NULL)
		carry_out(world, machine, effect);
	schedule_tick(world, machine);
	checker_machine(world, machine);
}

/* ---- time ---- */

static void tick(struct world *world, const struct sim_event *event)
{
	struct sim_machine *machine = &world->machines[event->to];

	/* One that an earlier deadline has overtaken. */
	if (event->at_us != machine->tick_at_us)
		return;
	machine->tick_at_us = INT64_MAX;
	machine->ticks = machine->ticked_at_us == world->now_us ? machine->ticks + 1 : 1;
	machine->ticked_at_us = world->now_us;
	if (machine->ticks > TICKS_MAX)
		world_violate(world, NULL, "%s wants to be called at a moment that has passed",
			      machine->name);
	node_tick(machine->node, machine_now(world, machine));
	machine_pump(world, machine);
}

static void persisted(struct world *world, const struct sim_event *event)
{
	struct sim_machine *machine = &world->machines[event->to];

	node_persisted(machine->node, machine_now(world, machine), &event->key, &event->version,
		       true);
	machine_pump(world, machine);
}

static bool is_of_this_process(const struct world *world, const struct sim_event *event)
{
	const struct sim_machine *machine = &world->machines[event->to];

	return machine->node && machine->process == event->process;
}

static void happen(struct world *world, struct sim_event *event)
{
	switch (event->kind) {
	case SIM_PACKET:
		network_packet(world, event);
		break;
	case SIM_DIAL:
		network_dialled(world, event);
		break;
	case SIM_IDLE:
		network_idle(world, event);
		break;
	case SIM_TICK:
		if (is_of_this_process(world, event))
			tick(world, event);
		break;
	case SIM_PERSISTED:
		if (is_of_this_process(world, event))
			persisted(world, event);
		break;
	case SIM_POD:
		host_pod_event(world, event);
		break;
	case SIM_ACTION:
		event->action(world, event->argument);
		break;
	case SIM_CHECK:
		checker_periodic(world);
		(void)world_event(world, SIM_CHECK, CHECK_MS * US_PER_MS);
		break;
	}
}

void world_run(struct world *world, int64_t until_ms)
{
	int64_t until_us = until_ms * US_PER_MS;

	while (world->queue_count && world->queue[0]->at_us <= until_us && !world->violation[0]) {
		struct sim_event *event = queue_pop(world);

		assert(event->at_us >= world->now_us);
		world->now_us = event->at_us;
		world->totals.events++;
		happen(world, event);
		event_free(event);
	}
	if (!world->violation[0])
		world->now_us = until_us;
}
