/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Machines by id. The first eight bytes of an id decide: they are random in this world, so that one
 * cache line answers; whoever asks compares the rest.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "world.h"

struct place {
	uint64_t begin;
	uint32_t machine_plus_1; /* 0: free */
};

struct sim_directory {
	struct place *place;
	size_t cap, count;
};

static uint64_t begin_of(const struct node_id *id)
{
	uint64_t begin;

	memcpy(&begin, id->byte, sizeof(begin));
	return begin;
}

static struct place *find(const struct sim_directory *directory, uint64_t begin)
{
	size_t at = begin & (directory->cap - 1);

	while (directory->place[at].machine_plus_1 && directory->place[at].begin != begin)
		at = (at + 1) & (directory->cap - 1);
	return &directory->place[at];
}

struct sim_directory *sim_directory_new(size_t machines)
{
	struct sim_directory *directory = mem_new(struct sim_directory);

	directory->cap = 4;
	while (directory->cap < 2 * machines)
		directory->cap *= 2;
	directory->place = mem_alloc(directory->cap, sizeof(*directory->place));
	return directory;
}

void sim_directory_free(struct sim_directory *directory)
{
	if (!directory)
		return;
	free(directory->place);
	free(directory);
}

static void grow(struct sim_directory *directory)
{
	struct place *old = directory->place;
	size_t cap = directory->cap;

	directory->cap *= 2;
	directory->place = mem_alloc(directory->cap, sizeof(*directory->place));
	for (size_t i = 0; i < cap; i++)
		if (old[i].machine_plus_1)
			*find(directory, old[i].begin) = old[i];
	free(old);
}

void sim_directory_put(struct sim_directory *directory, const struct node_id *id, uint32_t machine)
{
	struct place *place;

	if (directory->count + 1 > directory->cap / 2)
		grow(directory);
	place = find(directory, begin_of(id));
	directory->count += place->machine_plus_1 == 0;
	*place = (struct place){begin_of(id), machine + 1};
}

bool sim_directory_find(const struct sim_directory *directory, const struct node_id *id,
			uint32_t *ret_machine)
{
	const struct place *place = find(directory, begin_of(id));

	if (!place->machine_plus_1)
		return false;
	*ret_machine = place->machine_plus_1 - 1;
	return true;
}
