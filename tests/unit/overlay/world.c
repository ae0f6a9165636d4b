/* SPDX-License-Identifier: Apache-2.0 */
#include "world.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum event_type {
	EVENT_MESSAGE,
	EVENT_DIALLED,
	EVENT_IDLE,
};

struct world_event {
	struct world_event *next;
	struct mono at;
	uint64_t sequence;
	enum event_type type;
	size_t from, to;
	struct message message;
	struct node_id id; /* of a dial */
	struct addr addr;
};

void world_init(struct world *world)
{
	*world = (struct world){0};
}

void world_deinit(struct world *world)
{
	for (size_t i = 0; i < world->machine_count; i++)
		overlay_free(world->machines[i].overlay);
	while (world->events) {
		struct world_event *event = world->events;

		world->events = event->next;
		message_deinit(&event->message);
		free(event);
	}
}

struct wall world_fabric(const struct world *world)
{
	return (struct wall){.ms = WORLD_FABRIC_MS + world->now.us / US_PER_MS};
}

static struct world_event *world_schedule(struct world *world, enum event_type type, int64_t in_us)
{
	struct world_event *event = mem_new(struct world_event), **at = &world->events;

	event->type = type;
	event->at = mono_add_us(world->now, in_us);
	event->sequence = world->sequence++;
	while (*at && (*at)->at.us <= event->at.us)
		at = &(*at)->next;
	event->next = *at;
	*at = event;
	return event;
}

static void world_note(struct world *world, uint64_t what)
{
	world->trace = (world->trace ^ what ^ (uint64_t)world->now.us) * 0x100000001b3U;
}

static size_t machine_by_id(const struct world *world, const struct node_id *id)
{
	for (size_t i = 0; i < world->machine_count; i++) {
		if (node_id_equal(&world->machines[i].id, id))
			return i;
	}
	return WORLD_MACHINES_MAX;
}

static size_t machine_by_addr(const struct world *world, const struct addr *addr)
{
	for (size_t i = 0; i < world->machine_count; i++) {
		if (world->machines[i].up && addr_equal(&world->machines[i].addr, addr))
			return i;
	}
	return WORLD_MACHINES_MAX;
}

static void effect_send(struct world *world, size_t from, const struct overlay_effect *effect)
{
	size_t to = machine_by_id(world, &effect->to);
	struct world_event *event;
	struct buf encoded = {0};

	message_encode(&effect->message, &encoded); /* it must be within the limits */
	world_note(world, encoded.len);
	buf_deinit(&encoded);
	if (to == WORLD_MACHINES_MAX || !world->machines[from].connected[to])
		return;
	if (world->drop == effect->message.type) {
		world->drop = MESSAGE_NONE;
		return;
	}
	event = world_schedule(world, EVENT_MESSAGE, WORLD_DELAY_US);
	event->from = from;
	event->to = to;
	message_copy(&effect->message, &event->message);
}

static void machine_effects(struct world *world, size_t n)
{
	struct world_machine *machine = &world->machines[n];
	const struct overlay_effect *effect;
	struct world_event *event;

	while ((effect = overlay_next_effect(machine->overlay))) {
		world_note(world, (uint64_t)effect->type << 8 | n);
		switch (effect->type) {
		case OVERLAY_SEND:
			effect_send(world, n, effect);
			break;
		case OVERLAY_DIAL:
			machine->dials++;
			event = world_schedule(world, EVENT_DIALLED, 2 * WORLD_DELAY_US);
			event->from = n;
			event->id = effect->to;
			event->addr = effect->addr;
			break;
		case OVERLAY_JOINED:
			machine->joined++;
			break;
		case OVERLAY_SUSPECTED:
			machine->suspected++;
			break;
		case OVERLAY_LOST:
			machine->lost++;
			break;
		case OVERLAY_CLOSE:
		case OVERLAY_DELIVER:
		case OVERLAY_FOUND:
			assert(false && "nothing in this world asks for it");
		}
	}
}

static void machine_connected(struct world *world, size_t n, size_t to)
{
	struct world_machine *machine = &world->machines[n], *peer = &world->machines[to];

	machine->connected[to] = true;
	overlay_connected(machine->overlay, world->now, &peer->id, &peer->addr,
			  world_fabric(world));
	machine_effects(world, n);
}

static void machine_disconnected(struct world *world, size_t n, size_t to)
{
	struct world_machine *machine = &world->machines[n], *peer = &world->machines[to];

	machine->connected[to] = false;
	if (!machine->up)
		return;
	overlay_disconnected(machine->overlay, world->now, &peer->id, &peer->addr);
	machine_effects(world, n);
}

static void event_dialled(struct world *world, const struct world_event *event)
{
	size_t from = event->from, to = machine_by_addr(world, &event->addr);
	struct world_machine *machine = &world->machines[from];
	bool reached = to != WORLD_MACHINES_MAX && to != from && !world->cut[from][to] &&
		       !world->cut[to][from] && !world->machines[to].stalled;

	if (!machine->up)
		return;
	if (reached &&
	    (node_id_is_none(&event->id) || node_id_equal(&event->id, &world->machines[to].id))) {
		machine_connected(world, from, to);
		machine_connected(world, to, from);
		return;
	}
	overlay_disconnected(machine->overlay, world->now, &event->id, &event->addr);
	machine_effects(world, from);
}

static void event_message(struct world *world, struct world_event *event)
{
	struct world_machine *machine = &world->machines[event->to];

	if (!machine->up || world->cut[event->from][event->to] || !machine->connected[event->from])
		return;
	if (machine->stalled) {
		struct world_event *later = world_schedule(world, EVENT_MESSAGE, 100 * US_PER_MS);

		later->from = event->from;
		later->to = event->to;
		message_copy(&event->message, &later->message);
		return;
	}
	overlay_receive(machine->overlay, world->now, &world->machines[event->from].id,
			&event->message, world_fabric(world));
	machine_effects(world, event->to);
}

/* The transport of @from gives a connection up that has had no life in it. */
static void event_idle(struct world *world, const struct world_event *event)
{
	size_t from = event->from, to = event->to;
	bool broken = world->cut[from][to] || world->cut[to][from] || !world->machines[to].up ||
		      !world->machines[to].connected[from];

	if (world->machines[from].connected[to] && broken)
		machine_disconnected(world, from, to);
}

static void world_event_run(struct world *world)
{
	struct world_event *event = world->events;

	world->events = event->next;
	if (event->type == EVENT_MESSAGE)
		event_message(world, event);
	else if (event->type == EVENT_DIALLED)
		event_dialled(world, event);
	else
		event_idle(world, event);
	message_deinit(&event->message);
	free(event);
}

/* The running machine whose deadline is first, or WORLD_MACHINES_MAX. */
static size_t world_next_tick(const struct world *world, struct mono *ret_at)
{
	size_t first = WORLD_MACHINES_MAX;

	*ret_at = MONO_NEVER;
	for (size_t i = 0; i < world->machine_count; i++) {
		const struct world_machine *machine = &world->machines[i];
		struct mono at;

		if (!machine->up || machine->stalled)
			continue;
		at = overlay_deadline(machine->overlay);
		if (at.us < ret_at->us) {
			*ret_at = at;
			first = i;
		}
	}
	return first;
}

void world_run_ms(struct world *world, int64_t ms)
{
	struct mono end = mono_add_ms(world->now, ms), at;

	for (;;) {
		size_t n = world_next_tick(world, &at);
		struct mono event_at = world->events ? world->events->at : MONO_NEVER;

		if (mono_min(at, event_at).us > end.us)
			break;
		if (mono_min(at, event_at).us > world->now.us)
			world->now = mono_min(at, event_at);
		if (event_at.us <= at.us) {
			world_event_run(world);
		} else {
			overlay_tick(world->machines[n].overlay, world->now, world_fabric(world));
			machine_effects(world, n);
		}
	}
	world->now = end;
}

void world_start(struct world *world, size_t n, uint8_t host)
{
	struct world_machine *machine = &world->machines[n];
	struct overlay_config config = {.seed = n + 1};
	char name[16], addr[32];

	(void)snprintf(name, sizeof(name), "n%zu", n);
	(void)snprintf(addr, sizeof(addr), "10.0.0.%u:7946", host);
	memset(machine->id.byte, (int)n + 1, sizeof(machine->id.byte));
	if (!addr_parse(addr, &machine->addr))
		abort();
	config.self = (struct member){
		.id = machine->id,
		.addr = machine->addr,
		.name = name,
		.incarnation = (uint64_t)world_fabric(world).ms,
	};
	overlay_free(machine->overlay);
	machine->overlay = overlay_new(&config, world->now);
	machine->up = true;
	if (n >= world->machine_count)
		world->machine_count = n + 1;
}

void world_bootstrap(struct world *world, size_t n, size_t at)
{
	overlay_bootstrap(world->machines[n].overlay, world->now, &world->machines[at].addr);
}

static void world_expect_idle(struct world *world, size_t from, size_t to)
{
	struct world_event *event =
		world_schedule(world, EVENT_IDLE, WORLD_IDLE_MS * (int64_t)US_PER_MS);

	event->from = from;
	event->to = to;
}

void world_crash(struct world *world, size_t n)
{
	world->machines[n].up = false;
	memset(world->machines[n].connected, 0, sizeof(world->machines[n].connected));
	for (size_t i = 0; i < world->machine_count; i++)
		world_expect_idle(world, i, n);
}

void world_stall(struct world *world, size_t n, bool stalled)
{
	world->machines[n].stalled = stalled;
}

void world_cut(struct world *world, size_t a, size_t b, bool cut)
{
	world->cut[a][b] = world->cut[b][a] = cut;
	if (cut) {
		world_expect_idle(world, a, b);
		world_expect_idle(world, b, a);
	}
}

void world_inject(struct world *world, size_t from, size_t to, const struct message *message)
{
	overlay_receive(world->machines[to].overlay, world->now, &world->machines[from].id, message,
			world_fabric(world));
	machine_effects(world, to);
}

bool world_knows(const struct world *world, size_t observer, size_t about)
{
	struct overlay_peer peer;

	return overlay_find_peer(world->machines[observer].overlay, &world->machines[about].id,
				 &peer);
}

enum member_state world_state(const struct world *world, size_t observer, size_t about)
{
	struct overlay_peer peer;

	if (!overlay_find_peer(world->machines[observer].overlay, &world->machines[about].id,
			       &peer))
		return MEMBER_DEAD;
	return peer.state;
}

bool world_is_whole(const struct world *world)
{
	size_t up = 0;

	for (size_t i = 0; i < world->machine_count; i++)
		up += world->machines[i].up;
	for (size_t i = 0; i < world->machine_count; i++) {
		if (!world->machines[i].up)
			continue;
		if (overlay_alive_count(world->machines[i].overlay) != up)
			return false;
		for (size_t k = 0; k < world->machine_count; k++) {
			if (k != i && world->machines[k].up &&
			    (!world->machines[i].connected[k] ||
			     world_state(world, i, k) != MEMBER_ALIVE))
				return false;
		}
	}
	return true;
}
