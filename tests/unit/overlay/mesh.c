/* SPDX-License-Identifier: Apache-2.0 */
#include "mesh.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "identity/sha256.h"

enum {
	PORT = 7946,
	EVENTS_CAP_MIN = 1024,
};

enum event_kind_of_mesh {
	EVENT_MESSAGE,
	EVENT_TICK,
	EVENT_START,
	EVENT_DOUBTED,
	EVENT_LOST,
	EVENT_UNREACHABLE,
};

struct mesh_event {
	struct mono at;
	uint64_t sequence;
	enum event_kind_of_mesh kind;
	uint32_t to, from; /* START: from is the bootstrap machine */
	struct message message;
};

static bool sooner(const struct mesh_event *a, const struct mesh_event *b)
{
	return a->at.us != b->at.us ? a->at.us < b->at.us : a->sequence < b->sequence;
}

static void swap(struct mesh_event *a, struct mesh_event *b)
{
	struct mesh_event c = *a;

	*a = *b;
	*b = c;
}

static struct mesh_event *add_event(struct mesh *mesh, struct mesh_event event)
{
	size_t at = mesh->event_count++;

	if (at == mesh->event_cap) {
		mesh->event_cap = mesh->event_cap ? mesh->event_cap * 2 : EVENTS_CAP_MIN;
		mesh->events = mem_resize(mesh->events, mesh->event_cap, sizeof(*mesh->events));
	}
	event.sequence = mesh->sequence++;
	mesh->events[at] = event;
	while (at > 0 && sooner(&mesh->events[at], &mesh->events[(at - 1) / 2])) {
		swap(&mesh->events[at], &mesh->events[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
	return &mesh->events[at];
}

static struct mesh_event take_event(struct mesh *mesh)
{
	struct mesh_event first = mesh->events[0];
	size_t at = 0;

	mesh->events[0] = mesh->events[--mesh->event_count];
	for (;;) {
		size_t least = at;

		for (size_t child = 2 * at + 1; child <= 2 * at + 2; child++)
			if (child < mesh->event_count &&
			    sooner(&mesh->events[child], &mesh->events[least]))
				least = child;
		if (least == at)
			return first;
		swap(&mesh->events[at], &mesh->events[least]);
		at = least;
	}
}

size_t mesh_index(const struct node_id *id)
{
	uint32_t n;

	memcpy(&n, id->byte + ID_LEN - sizeof(n), sizeof(n));
	return n;
}

static struct contact contact_of(struct mesh *mesh, uint32_t n)
{
	const uint8_t ip[ADDR_V4_LEN] = {10, (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n};
	struct contact contact = {.incarnation = 1};
	uint64_t word = prng_next(&mesh->prng);
	bool valid = addr_from_ip(bytes_of(ip, sizeof(ip)), PORT, &contact.addr);

	assert(valid);
	memcpy(contact.id.byte, &word, sizeof(word));
	memcpy(contact.id.byte + ID_LEN - sizeof(n), &n, sizeof(n));
	return contact;
}

struct mesh *mesh_new(size_t count, uint64_t seed)
{
	struct mesh *mesh = mem_new(struct mesh);

	mesh->prng = prng_seeded(seed);
	mesh->delay_min_us = 500;
	mesh->delay_max_us = 1500;
	mesh->machine_count = count;
	mesh->machines = mem_alloc(count, sizeof(*mesh->machines));
	for (size_t i = 0; i < count; i++) {
		mesh->machines[i].contact = contact_of(mesh, (uint32_t)i);
		mesh->machines[i].bootstrap = MESH_NONE;
	}
	return mesh;
}

static void stop(struct mesh_machine *machine)
{
	view_free(machine->view);
	tree_free(machine->tree);
	machine->view = NULL;
	machine->tree = NULL;
	machine->up = false;
}

void mesh_free(struct mesh *mesh)
{
	for (size_t i = 0; i < mesh->machine_count; i++)
		stop(&mesh->machines[i]);
	for (size_t i = 0; i < mesh->event_count; i++)
		message_deinit(&mesh->events[i].message);
	free(mesh->events);
	free(mesh->machines);
	free(mesh);
}

/* ---- effects ---- */

static bool reaches(const struct mesh *mesh, size_t a, size_t b)
{
	return mesh->machines[a].up && mesh->machines[b].up &&
	       mesh->machines[a].side == mesh->machines[b].side;
}

static void count(struct mesh *mesh, const struct message *message)
{
	struct buf encoded = {0};

	mesh->counts.messages++;
	mesh->counts.by_type[message->type]++;
	mesh->counts.payloads += message->type == MESSAGE_GOSSIP;
	mesh->hash = (mesh->hash ^ message->type ^ (uint64_t)mesh->now.us) * 0x9e3779b97f4a7c15U;
	if (!mesh->trace_bytes)
		return;
	message_encode(message, &encoded);
	mesh->counts.bytes += encoded.len;
	buf_deinit(&encoded);
}

/* Each pair of machines has its own distance, and each message some jitter. */
static int64_t delay_us(struct mesh *mesh, size_t a, size_t b)
{
	struct prng pair =
		prng_seeded(a < b ? a * mesh->machine_count + b : b * mesh->machine_count + a);
	uint64_t span = (uint64_t)(mesh->delay_max_us - mesh->delay_min_us) + 1;

	return prng_jitter(&mesh->prng, mesh->delay_min_us + (int64_t)prng_below(&pair, span));
}

static void send_message(struct mesh *mesh, size_t from, size_t to, const struct message *message)
{
	struct mesh_event event = {
		.at = mono_add_us(mesh->now, delay_us(mesh, from, to)),
		.kind = EVENT_MESSAGE,
		.to = (uint32_t)to,
		.from = (uint32_t)from,
	};

	count(mesh, message);
	if (to >= mesh->machine_count || !reaches(mesh, from, to)) {
		event.at = mono_add_ms(mesh->now, MESH_DIAL_MS);
		event.kind = EVENT_UNREACHABLE;
		add_event(mesh, event);
		return;
	}
	if (mesh->drop == message->type) {
		mesh->drop = MESSAGE_NONE;
		return;
	}
	if (prng_below(&mesh->prng, 1000) < mesh->loss_permille)
		return;
	message_copy(message, &event.message);
	add_event(mesh, event);
}

static void deliver(struct mesh *mesh, size_t n, const struct tree_effect *effect)
{
	struct mesh_machine *machine = &mesh->machines[n];
	struct uid id = effect->id;

	if (uid_equal(&id, &mesh->broadcast)) {
		machine->delivered++;
		machine->hops = effect->hops;
		machine->delivered_at = mesh->now;
	}
	if (effect->payload.len > 0 && effect->payload.ptr[0] != '!')
		tree_accept(machine->tree, mesh->now, &id);
}

static void run_view_effects(struct mesh *mesh, size_t n)
{
	struct mesh_machine *machine = &mesh->machines[n];
	const struct view_effect *effect;

	while ((effect = view_next_effect(machine->view))) {
		if (effect->type == VIEW_UP)
			tree_up(machine->tree, mesh->now, &effect->to.id);
		else if (effect->type == VIEW_DOWN)
			tree_down(machine->tree, mesh->now, &effect->to.id);
		else
			send_message(mesh, n, mesh_index(&effect->to.id), &effect->message);
	}
}

static void run_tree_effects(struct mesh *mesh, size_t n)
{
	const struct tree_effect *effect;

	while ((effect = tree_next_effect(mesh->machines[n].tree))) {
		if (effect->type == TREE_DELIVER)
			deliver(mesh, n, effect);
		else
			send_message(mesh, n, mesh_index(&effect->to), &effect->message);
	}
}

static struct mono deadline_of(const struct mesh_machine *machine)
{
	struct mono at = mono_min(view_deadline(machine->view), tree_deadline(machine->tree));

	if (machine->bootstrap != MESH_NONE && view_is_alone(machine->view))
		at = mono_min(at, machine->rejoin_at);
	return at;
}

/* After every event of a machine: what it wants, and when it wants to be woken. */
static void finish(struct mesh *mesh, size_t n)
{
	struct mesh_machine *machine = &mesh->machines[n];
	struct mono at;

	run_view_effects(mesh, n);
	run_tree_effects(mesh, n);
	at = deadline_of(machine);
	if (at.us < machine->tick_at.us) {
		if (at.us < mesh->now.us)
			at = mesh->now;
		machine->tick_at = at;
		add_event(mesh,
			  (struct mesh_event){.at = at, .kind = EVENT_TICK, .to = (uint32_t)n});
	}
}

/* ---- events ---- */

static void rejoin(struct mesh *mesh, struct mesh_machine *machine)
{
	if (machine->bootstrap == MESH_NONE || !view_is_alone(machine->view) ||
	    !mono_reached(mesh->now, machine->rejoin_at))
		return;
	machine->rejoin_at = mono_add_ms(mesh->now, MESH_REJOIN_MS);
	view_join(machine->view, mesh->now, &mesh->machines[machine->bootstrap].contact);
}

static void start(struct mesh *mesh, size_t n, uint32_t bootstrap)
{
	struct mesh_machine *machine = &mesh->machines[n];

	stop(machine);
	machine->up = true;
	machine->bootstrap = bootstrap;
	machine->rejoin_at = mesh->now;
	machine->tick_at = MONO_NEVER;
	machine->view = view_new(&machine->contact, prng_next(&mesh->prng), mesh->now);
	machine->tree = tree_new(prng_next(&mesh->prng));
	rejoin(mesh, machine);
	finish(mesh, n);
}

void mesh_start(struct mesh *mesh, size_t n, uint32_t bootstrap)
{
	mesh->machines[n].contact.incarnation++;
	start(mesh, n, bootstrap);
}

static void receive(struct mesh *mesh, size_t n, const struct contact *from,
		    const struct message *message)
{
	struct mesh_machine *machine = &mesh->machines[n];

	if (message->type >= MESSAGE_GOSSIP) {
		view_traffic(machine->view, mesh->now, from);
		tree_receive(machine->tree, mesh->now, &from->id, message);
	} else {
		view_receive(machine->view, mesh->now, from, message);
	}
	finish(mesh, n);
}

static void tick(struct mesh *mesh, size_t n)
{
	struct mesh_machine *machine = &mesh->machines[n];

	if (machine->tick_at.us != mesh->now.us)
		return; /* a sooner one took its place */
	machine->tick_at = MONO_NEVER;
	view_tick(machine->view, mesh->now);
	tree_tick(machine->tree, mesh->now);
	rejoin(mesh, machine);
	finish(mesh, n);
}

static void run_event(struct mesh *mesh, struct mesh_event *event)
{
	struct mesh_machine *machine = &mesh->machines[event->to];
	const struct node_id *other = &mesh->machines[event->from].contact.id;

	switch (event->kind) {
	case EVENT_START:
		mesh_start(mesh, event->to, event->from);
		break;
	case EVENT_MESSAGE:
		if (reaches(mesh, event->from, event->to))
			receive(mesh, event->to, &mesh->machines[event->from].contact,
				&event->message);
		break;
	case EVENT_TICK:
		if (machine->up)
			tick(mesh, event->to);
		break;
	case EVENT_DOUBTED:
		if (machine->up && !reaches(mesh, event->from, event->to)) {
			view_doubt(machine->view, mesh->now, other, true);
			finish(mesh, event->to);
		}
		break;
	case EVENT_LOST:
		if (machine->up && !reaches(mesh, event->from, event->to)) {
			view_lost(machine->view, mesh->now, other);
			finish(mesh, event->to);
		}
		break;
	case EVENT_UNREACHABLE:
		/* Here @from is the machine that tried. */
		machine = &mesh->machines[event->from];
		if (!machine->up)
			break;
		other = &mesh->machines[event->to].contact.id;
		view_unreachable(machine->view, mesh->now, other);
		finish(mesh, event->from);
	}
	message_deinit(&event->message);
}

void mesh_run_ms(struct mesh *mesh, int64_t ms)
{
	struct mono end = mono_add_ms(mesh->now, ms);

	while (mesh->event_count > 0 && mono_reached(end, mesh->events[0].at)) {
		struct mesh_event event = take_event(mesh);

		mesh->now = event.at;
		run_event(mesh, &event);
	}
	mesh->now = end;
}

static void schedule_verdict(struct mesh *mesh, size_t observer, size_t about)
{
	const struct mesh_machine *machine = &mesh->machines[observer];
	int64_t late_ms = (int64_t)prng_below(&mesh->prng, 1000);
	struct mesh_event event = {.to = (uint32_t)observer, .from = (uint32_t)about};

	if (!machine->up || !view_is_active(machine->view, &mesh->machines[about].contact.id))
		return;
	event.kind = EVENT_DOUBTED;
	event.at = mono_add_ms(mesh->now, MESH_SUSPECT_MS + late_ms);
	add_event(mesh, event);
	event.kind = EVENT_LOST;
	event.at = mono_add_ms(mesh->now, MESH_VERDICT_MS + late_ms);
	add_event(mesh, event);
}

/* Whoever has lost sight of @n gives its verdict a while later, and @n of them if it lives. */
static void schedule_verdicts(struct mesh *mesh, size_t n)
{
	for (size_t i = 0; i < mesh->machine_count; i++) {
		if (i == n || reaches(mesh, i, n))
			continue;
		schedule_verdict(mesh, i, n);
		schedule_verdict(mesh, n, i);
	}
}

void mesh_crash(struct mesh *mesh, size_t n)
{
	stop(&mesh->machines[n]);
	schedule_verdicts(mesh, n);
}

/* Its words are on their way already, so they arrive. */
void mesh_leave(struct mesh *mesh, size_t n)
{
	view_leave(mesh->machines[n].view, mesh->now);
	run_view_effects(mesh, n);
	mesh_run_ms(mesh, mesh->delay_max_us / US_PER_MS + 1);
	stop(&mesh->machines[n]);
}

void mesh_join(struct mesh *mesh, size_t n, size_t at)
{
	view_join(mesh->machines[n].view, mesh->now, &mesh->machines[at].contact);
	finish(mesh, n);
}

void mesh_cut(struct mesh *mesh, size_t n, uint32_t side)
{
	mesh->machines[n].side = side;
	schedule_verdicts(mesh, n);
}

void mesh_inject_from(struct mesh *mesh, const struct contact *from, size_t to,
		      const struct message *message)
{
	receive(mesh, to, from, message);
}

void mesh_inject(struct mesh *mesh, size_t from, size_t to, const struct message *message)
{
	receive(mesh, to, &mesh->machines[from].contact, message);
}

/* ---- broadcasts ---- */

void mesh_broadcast(struct mesh *mesh, size_t n, const char *text)
{
	char payload[64];
	int len = snprintf(payload, sizeof(payload), "%s %u", text, (unsigned)mesh->sequence);
	struct mesh_machine *machine = &mesh->machines[n];
	struct digest digest;

	for (size_t i = 0; i < mesh->machine_count; i++)
		mesh->machines[i].delivered = 0;
	digest = sha256(bytes_of(payload, (size_t)len));
	memcpy(mesh->broadcast.byte, digest.byte, sizeof(mesh->broadcast.byte));
	tree_broadcast(machine->tree, mesh->now, bytes_of(payload, (size_t)len));
	machine->delivered = 1;
	machine->hops = 0;
	finish(mesh, n);
}

size_t mesh_reached(const struct mesh *mesh)
{
	size_t reached = 0;

	for (size_t i = 0; i < mesh->machine_count; i++)
		reached += mesh->machines[i].up && mesh->machines[i].delivered == 1;
	return reached;
}

size_t mesh_up_count(const struct mesh *mesh)
{
	size_t up = 0;

	for (size_t i = 0; i < mesh->machine_count; i++)
		up += mesh->machines[i].up;
	return up;
}

/* ---- the graph ---- */

static bool is_mutual(const struct mesh *mesh, size_t a, size_t b)
{
	return reaches(mesh, a, b) &&
	       view_is_active(mesh->machines[a].view, &mesh->machines[b].contact.id) &&
	       view_is_active(mesh->machines[b].view, &mesh->machines[a].contact.id);
}

bool mesh_is_connected(const struct mesh *mesh)
{
	bool *seen = mem_alloc(mesh->machine_count, sizeof(*seen));
	size_t *stack = mem_alloc(mesh->machine_count, sizeof(*stack));
	size_t depth = 0, reached = 0;

	for (size_t i = 0; i < mesh->machine_count && depth == 0; i++)
		if (mesh->machines[i].up) {
			seen[i] = true;
			stack[depth++] = i;
		}
	while (depth > 0) {
		size_t n = stack[--depth];
		const struct view *view = mesh->machines[n].view;

		reached++;
		for (size_t i = 0; i < view_active_count(view); i++) {
			size_t other = mesh_index(&view_active(view, i)->id);

			if (!seen[other] && is_mutual(mesh, n, other)) {
				seen[other] = true;
				stack[depth++] = other;
			}
		}
	}
	free(seen);
	free(stack);
	return reached == mesh_up_count(mesh);
}

size_t mesh_half_open(const struct mesh *mesh)
{
	size_t half = 0;

	for (size_t n = 0; n < mesh->machine_count; n++) {
		const struct view *view = mesh->machines[n].view;

		for (size_t i = 0; view && i < view_active_count(view); i++)
			half += !is_mutual(mesh, n, mesh_index(&view_active(view, i)->id));
	}
	return half;
}

size_t mesh_degree_min(const struct mesh *mesh)
{
	size_t least = VIEW_ACTIVE_MAX;

	for (size_t i = 0; i < mesh->machine_count; i++)
		if (mesh->machines[i].up && view_active_count(mesh->machines[i].view) < least)
			least = view_active_count(mesh->machines[i].view);
	return least;
}

double mesh_degree_mean(const struct mesh *mesh)
{
	size_t sum = 0;

	for (size_t i = 0; i < mesh->machine_count; i++)
		if (mesh->machines[i].up)
			sum += view_active_count(mesh->machines[i].view);
	return (double)sum / (double)mesh_up_count(mesh);
}

struct mesh *mesh_formed(size_t count_all, uint64_t seed, int64_t spread_ms, int64_t settle_ms)
{
	struct mesh *mesh = mesh_new(count_all, seed);

	mesh_start(mesh, 0, MESH_NONE);
	for (size_t i = 1; i < count_all; i++)
		add_event(mesh,
			  (struct mesh_event){
				  .at = mono_add_ms(mesh->now,
						    (int64_t)prng_below(&mesh->prng,
									(uint64_t)spread_ms + 1)),
				  .kind = EVENT_START,
				  .to = (uint32_t)i,
				  .from = 0,
			  });
	mesh_run_ms(mesh, spread_ms + settle_ms);
	return mesh;
}
