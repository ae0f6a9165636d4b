/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fabric that has been there for long: every machine starts with what one would find on its disk
 * that was switched off together with all others, random members to connect to and its table of
 * contacts by distance. Nothing else is arranged: connections, greetings, views and trees are made
 * by the nodes themselves, message by message.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "overlay/kad.h"
#include "world.h"

enum {
	BITS_PER_BYTE = 8,
	POSITION_BITS = ID_LEN * BITS_PER_BYTE,
	DRAWS_MAX = 4 * KAD_BUCKET, /* the same one may be drawn twice */
};

/* A machine by its position. */
struct placed {
	struct digest position;
	uint32_t machine;
};

static int compare_placed(const void *a, const void *b)
{
	const struct placed *left = a, *right = b;

	return digest_compare(&left->position, &right->position);
}

static struct placed *placed_new(const struct world *world)
{
	struct placed *placed = mem_alloc(world->machine_count, sizeof(*placed));

	for (uint32_t i = 0; i < world->machine_count; i++)
		placed[i] = (struct placed){kad_position(&world->machines[i].id), i};
	qsort(placed, world->machine_count, sizeof(*placed), compare_placed);
	return placed;
}

static bool bit_at(const struct digest *position, unsigned bit)
{
	return position->byte[bit / BITS_PER_BYTE] >> (BITS_PER_BYTE - 1 - bit % BITS_PER_BYTE) & 1;
}

/* The first of placed[begin..end), which agree before @bit, that has it set. */
static size_t first_set(const struct placed *placed, size_t begin, size_t end, unsigned bit)
{
	while (begin < end) {
		size_t middle = begin + (end - begin) / 2;

		if (bit_at(&placed[middle].position, bit))
			end = middle;
		else
			begin = middle + 1;
	}
	return begin;
}

static struct contact contact_of(const struct sim_machine *machine)
{
	return (struct contact){
		.id = machine->id,
		.addr = machine->addr,
		.incarnation = machine->incarnation,
		.steward = machine->steward,
	};
}

static void know(struct world *world, struct sim_machine *machine, uint32_t other)
{
	struct contact contact = contact_of(&world->machines[other]);

	machine_call(machine, node_know(machine->node, machine_now(world, machine), &contact));
}

static void know_all(struct world *world, struct sim_machine *machine, const struct placed *placed,
		     size_t begin, size_t end)
{
	for (size_t i = begin; i < end; i++)
		if (placed[i].machine != machine->index)
			know(world, machine, placed[i].machine);
}

/* Up to KAD_BUCKET different ones of placed[begin..end). */
static void know_some(struct world *world, struct sim_machine *machine, const struct placed *placed,
		      size_t begin, size_t end)
{
	uint32_t drawn[KAD_BUCKET];
	size_t count = 0;

	if (end - begin <= KAD_BUCKET) {
		know_all(world, machine, placed, begin, end);
		return;
	}
	for (int i = 0; i < DRAWS_MAX && count < KAD_BUCKET; i++) {
		uint32_t other = placed[begin + world_random(world, end - begin)].machine;
		size_t at = 0;

		while (at < count && drawn[at] != other)
			at++;
		if (at < count)
			continue;
		drawn[count++] = other;
		know(world, machine, other);
	}
}

/* Bucket by bucket: those that agree with it in the first @bit bits, and not in the next; of the
 * neighbourhood all. */
static void know_by_distance(struct world *world, struct sim_machine *machine,
			     const struct placed *placed)
{
	struct digest position = kad_position(&machine->id);
	size_t begin = 0, end = world->machine_count;

	for (unsigned bit = 0; bit < POSITION_BITS && end - begin > 2 * KAD_NEAR; bit++) {
		size_t middle = first_set(placed, begin, end, bit);

		if (bit_at(&position, bit)) {
			know_some(world, machine, placed, begin, middle);
			begin = middle;
		} else {
			know_some(world, machine, placed, middle, end);
			end = middle;
		}
	}
	know_all(world, machine, placed, begin, end);
}

/* Half of a pool: as many again connect to it. In small fabrics that is everyone. */
static void remember_members(struct world *world, struct sim_machine *machine)
{
	size_t pool = world->params.pool ? (size_t)world->params.pool : OVERLAY_POOL_DEFAULT;
	bool small = world->machine_count <= pool + 1;
	size_t count = small ? world->machine_count : pool / 2;

	for (size_t i = 0; i < count; i++) {
		size_t other = small ? i : world_random(world, world->machine_count);
		struct contact contact = contact_of(&world->machines[other]);

		if (other == machine->index)
			continue;
		machine_call(machine,
			     node_remember(machine->node, machine_now(world, machine), &contact));
	}
}

void world_boot_formed(struct world *world)
{
	struct placed *placed = placed_new(world);

	for (size_t i = 0; i < world->machine_count; i++) {
		machine_start(world, &world->machines[i], true);
		/* What it has to say of its disk: too much of all machines together. */
		machine_pump(world, &world->machines[i]);
	}
	for (size_t i = 0; i < world->machine_count; i++) {
		struct sim_machine *machine = &world->machines[i];

		know_by_distance(world, machine, placed);
		machine_call(machine, node_formed(machine->node, machine_now(world, machine)));
		remember_members(world, machine);
		machine_pump(world, machine);
	}
	free(placed);
}
