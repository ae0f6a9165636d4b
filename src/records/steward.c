/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stewards: those that are known to live, in the order of their positions.
 *
 * Distance is XOR (overlay/kad.h), so the nearest to a target are found by walking down the bits:
 * all that agree with the target in the next bit are nearer than all that do not.
 */
#include "records/steward.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/prng.h"
#include "overlay/kad.h"

enum {
	POSITION_BITS = 64,
};

static int steward_compare(const void *a, const void *b)
{
	const struct record_steward *left = a, *right = b;

	if (left->position != right->position)
		return left->position < right->position ? -1 : 1;
	return node_id_compare(&left->contact.id, &right->contact.id);
}

uint64_t position_of(const struct digest *digest)
{
	uint64_t position = 0;

	for (size_t i = 0; i < sizeof(position); i++)
		position = position << 8 | digest->byte[i];
	return position;
}

uint64_t position_of_machine(const struct node_id *id)
{
	struct digest digest = kad_position(id);

	return position_of(&digest);
}

void stewards_set(struct stewards *stewards, const struct record_steward *list, size_t count)
{
	free(stewards->list);
	stewards->list = (struct record_steward *)mem_copy(list, count * sizeof(*list));
	stewards->count = count;
	qsort(stewards->list, count, sizeof(*list), steward_compare);
}

void stewards_deinit(struct stewards *stewards)
{
	free(stewards->list);
	*stewards = (struct stewards){0};
}

const struct record_steward *stewards_find(const struct stewards *stewards,
					   const struct node_id *id)
{
	for (size_t i = 0; i < stewards->count; i++)
		if (node_id_equal(&stewards->list[i].contact.id, id))
			return &stewards->list[i];
	return NULL;
}

void stewards_remove(struct stewards *stewards, const struct node_id *id)
{
	for (size_t i = 0; i < stewards->count; i++) {
		struct record_steward *steward = &stewards->list[i];

		if (!node_id_equal(&steward->contact.id, id))
			continue;
		stewards->count--;
		memmove(steward, steward + 1, (stewards->count - i) * sizeof(*steward));
		return;
	}
}

struct search {
	const struct record_steward *list;
	uint64_t target;
	size_t want, found;
	const struct record_steward **out;
};

/* The first of list[begin..end), which agree before @bit, that has it set. */
static size_t first_set(const struct search *search, size_t begin, size_t end, unsigned bit)
{
	while (begin < end) {
		size_t middle = begin + (end - begin) / 2;

		if (search->list[middle].position >> (POSITION_BITS - 1 - bit) & 1)
			end = middle;
		else
			begin = middle + 1;
	}
	return begin;
}

static void search_range(struct search *search, size_t begin, size_t end, unsigned bit)
{
	size_t middle;

	if (begin == end || search->found == search->want)
		return;
	if (end - begin == 1 || bit == POSITION_BITS) {
		search->out[search->found++] = &search->list[begin];
		search_range(search, begin + 1, end, bit);
		return;
	}
	middle = first_set(search, begin, end, bit);
	if (search->target >> (POSITION_BITS - 1 - bit) & 1) {
		search_range(search, middle, end, bit + 1);
		search_range(search, begin, middle, bit + 1);
	} else {
		search_range(search, begin, middle, bit + 1);
		search_range(search, middle, end, bit + 1);
	}
}

size_t stewards_nearest(const struct stewards *stewards, uint64_t target, size_t want,
			const struct record_steward **ret_nearest)
{
	struct search search = {stewards->list, target, want, 0, ret_nearest};

	search_range(&search, 0, stewards->count, 0);
	return search.found;
}

uint64_t steward_lot(uint64_t distance)
{
	return prng_next(&(struct prng){distance});
}

/* The first @count of @list by lot. */
static void draw(const struct record_steward **list, size_t count, uint64_t target)
{
	for (size_t i = 1; i < count; i++) {
		const struct record_steward *steward = list[i];
		uint64_t lot = steward_lot(steward->position ^ target);
		size_t at = i;

		for (; at > 0 && steward_lot(list[at - 1]->position ^ target) > lot; at--)
			list[at] = list[at - 1];
		list[at] = steward;
	}
}

size_t stewards_in_order(const struct stewards *stewards, uint64_t target, size_t want,
			 const struct record_steward **ret_list)
{
	const struct record_steward *around[RECORDS_AROUND];
	size_t count;

	if (want > RECORDS_AROUND) {
		count = stewards_nearest(stewards, target, want, ret_list);
		draw(ret_list, count < RECORDS_AROUND ? count : RECORDS_AROUND, target);
		return count;
	}
	count = stewards_nearest(stewards, target, RECORDS_AROUND, around);
	draw(around, count, target);
	if (count > want)
		count = want;
	for (size_t i = 0; i < count; i++)
		ret_list[i] = around[i];
	return count;
}

size_t stewards_keepers(const struct stewards *stewards, uint64_t target,
			const struct record_steward *ret_keepers[RECORDS_KEEPERS],
			uint64_t *ret_radius)
{
	const struct record_steward *around[RECORDS_AROUND];
	size_t count = stewards_nearest(stewards, target, RECORDS_AROUND, around);

	*ret_radius = count < RECORDS_AROUND ? UINT64_MAX : around[count - 1]->position ^ target;
	return stewards_in_order(stewards, target, RECORDS_KEEPERS, ret_keepers);
}

size_t stewards_differ(const struct stewards *old, const struct stewards *new, size_t max,
		       uint64_t *ret_positions)
{
	size_t i = 0, j = 0, count = 0;

	while (i < old->count || j < new->count) {
		int order = i == old->count   ? 1
			    : j == new->count ? -1
					      : steward_compare(&old->list[i], &new->list[j]);

		if (order != 0) {
			if (count < max)
				ret_positions[count] =
					order < 0 ? old->list[i].position : new->list[j].position;
			count++;
		}
		i += order <= 0;
		j += order >= 0;
	}
	return count;
}
