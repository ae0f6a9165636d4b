/* SPDX-License-Identifier: Apache-2.0 */
#include "flood.h"

#include <stdlib.h>

#include "base/mem.h"

enum {
	DRAWN = FLOOD_DEGREE / 2, /* by each machine; as many draw it */
};

/* Partners of machine i: partner[first[i]] to partner[first[i + 1] - 1]. */
struct flood {
	uint32_t *first, *partner;
};

/* A copy on its way. */
struct copy {
	int64_t at_us;
	uint32_t from, to;
};

struct copies {
	struct copy *heap;
	size_t count, cap;
};

struct flood *flood_new(struct world *world)
{
	struct flood *flood = mem_new(struct flood);
	size_t count = world->machine_count;
	uint32_t *drawn = mem_alloc(count * DRAWN, sizeof(*drawn));
	uint32_t *filled = mem_alloc(count, sizeof(*filled));

	flood->first = mem_alloc(count + 1, sizeof(*flood->first));
	flood->partner = mem_alloc(2 * count * DRAWN, sizeof(*flood->partner));
	for (size_t i = 0; i < count * DRAWN; i++) {
		drawn[i] = (uint32_t)world_random(world, count);
		flood->first[i / DRAWN + 1]++;
		flood->first[drawn[i] + 1]++;
	}
	for (size_t i = 0; i < count; i++)
		flood->first[i + 1] += flood->first[i];
	for (size_t i = 0; i < count * DRAWN; i++) {
		uint32_t a = (uint32_t)(i / DRAWN), b = drawn[i];

		flood->partner[flood->first[a] + filled[a]++] = b;
		flood->partner[flood->first[b] + filled[b]++] = a;
	}
	free(drawn);
	free(filled);
	return flood;
}

void flood_free(struct flood *flood)
{
	if (!flood)
		return;
	free(flood->first);
	free(flood->partner);
	free(flood);
}

static void push(struct copies *copies, struct copy copy)
{
	size_t at = copies->count++;

	if (copies->count > copies->cap) {
		copies->cap = copies->cap ? 2 * copies->cap : 1024;
		copies->heap = mem_resize(copies->heap, copies->cap, sizeof(*copies->heap));
	}
	for (; at > 0 && copy.at_us < copies->heap[(at - 1) / 2].at_us; at = (at - 1) / 2)
		copies->heap[at] = copies->heap[(at - 1) / 2];
	copies->heap[at] = copy;
}

static struct copy pop(struct copies *copies)
{
	struct copy first = copies->heap[0];
	struct copy last = copies->heap[--copies->count];
	size_t at = 0;

	for (;;) {
		size_t child = 2 * at + 1;

		if (child >= copies->count)
			break;
		if (child + 1 < copies->count &&
		    copies->heap[child + 1].at_us < copies->heap[child].at_us)
			child++;
		if (copies->heap[child].at_us >= last.at_us)
			break;
		copies->heap[at] = copies->heap[child];
		at = child;
	}
	copies->heap[at] = last;
	return first;
}

static void hand_on(struct world *world, const struct flood *flood, struct copies *copies,
		    const struct copy *got)
{
	for (uint32_t i = flood->first[got->to]; i < flood->first[got->to + 1]; i++) {
		uint32_t next = flood->partner[i];

		if (next == got->from || next == got->to || !world->machines[next].node ||
		    !network_reaches(world, got->to, next))
			continue;
		push(copies,
		     (struct copy){got->at_us + network_latency(world, &world->machines[got->to],
								&world->machines[next]),
				   got->to, next});
	}
}

struct flood_result flood_run(struct world *world, const struct flood *flood, size_t origin)
{
	bool *has = mem_alloc(world->machine_count, sizeof(*has));
	struct prng before = world->prng; /* drawing latencies here must change nothing */
	struct flood_result result = {0};
	struct copies copies = {0};
	struct copy start = {.from = (uint32_t)origin, .to = (uint32_t)origin};

	has[origin] = true;
	hand_on(world, flood, &copies, &start);
	while (copies.count) {
		struct copy copy = pop(&copies);

		result.copies++;
		if (has[copy.to])
			continue;
		has[copy.to] = true;
		result.reached++;
		result.last_us = copy.at_us;
		hand_on(world, flood, &copies, &copy);
	}
	world->prng = before;
	free(copies.heap);
	free(has);
	return result;
}
