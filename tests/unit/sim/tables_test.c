/* SPDX-License-Identifier: Apache-2.0 */
/* What carries the simulator's hundred thousand machines, against plain and slow models of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/prng.h"
#include "world.h"

enum {
	ENTRIES = 20000,
	PEERS = 700, /* more than certificates are remembered */
	STEPS = 40000,
};

/* ---- the queue ---- */

static int compare_entries(const void *a, const void *b)
{
	const struct queue_entry *left = a, *right = b;

	if (left->at_us != right->at_us)
		return left->at_us < right->at_us ? -1 : 1;
	return (left->order > right->order) - (left->order < right->order);
}

/* Now, soon, in seconds, in hours, or at the same moment as others. */
static int64_t some_delay(struct prng *prng)
{
	static const uint64_t spans[] = {1, 20, 5000, 3000000, 90000000, 20000000000};
	uint64_t span = spans[prng_below(prng, ARRAY_LEN(spans))];

	return (int64_t)prng_below(prng, span);
}

static void test_what_is_queued_comes_in_order(void **state)
{
	struct queue *queue = queue_new();
	struct queue_entry *expected = mem_alloc(ENTRIES, sizeof(*expected)), entry;
	struct prng prng = prng_seeded(7);

	(void)state;
	for (size_t i = 0; i < ENTRIES; i++) {
		expected[i] = (struct queue_entry){some_delay(&prng), i, i};
		queue_push(queue, &expected[i]);
	}
	assert_int_equal(queue_count(queue), ENTRIES);
	qsort(expected, ENTRIES, sizeof(*expected), compare_entries);
	for (size_t i = 0; i < ENTRIES; i++) {
		assert_true(queue_peek(queue, &entry));
		assert_int_equal(entry.what, expected[i].what);
		assert_true(queue_pop(queue, &entry));
		assert_int_equal(entry.what, expected[i].what);
		assert_int_equal(entry.at_us, expected[i].at_us);
	}
	assert_false(queue_pop(queue, &entry));
	free(expected);
	queue_free(queue);
}

/* Pushes between pops, also before what a look has already seen. */
static void test_what_is_queued_meanwhile_is_not_late(void **state)
{
	struct queue *queue = queue_new();
	struct queue_entry entry = {0}, last = {0};
	struct prng prng = prng_seeded(8);
	uint64_t order = 0;
	int64_t now = 0;

	(void)state;
	for (size_t i = 0; i < STEPS; i++) {
		for (uint64_t n = prng_below(&prng, i < STEPS / 2 ? 4 : 2); n > 0; n--) {
			entry = (struct queue_entry){now + some_delay(&prng), ++order, 0};
			queue_push(queue, &entry);
		}
		if (prng_below(&prng, 3) == 0)
			(void)queue_peek(queue, &entry);
		if (!queue_pop(queue, &entry))
			continue;
		assert_true(entry.at_us >= now);
		assert_true(compare_entries(&last, &entry) < 0);
		last = entry;
		now = entry.at_us;
	}
	queue_free(queue);
}

/* ---- the pool ---- */

static void test_pieces_of_the_pool_do_not_overlap(void **state)
{
	static const size_t sizes[] = {1, 64, 65, 200, 2048, 2049, 70000};
	struct pool pool = {0};
	uint8_t *piece[STEPS / 100] = {0};
	size_t size[ARRAY_LEN(piece)];
	struct prng prng = prng_seeded(9);

	(void)state;
	for (size_t i = 0; i < STEPS; i++) {
		size_t at = prng_below(&prng, ARRAY_LEN(piece));

		if (piece[at]) {
			for (size_t j = 0; j < size[at]; j++)
				assert_int_equal(piece[at][j], (uint8_t)at);
			pool_give(&pool, piece[at], size[at]);
			piece[at] = NULL;
			continue;
		}
		size[at] = sizes[prng_below(&prng, ARRAY_LEN(sizes))];
		piece[at] = pool_take(&pool, size[at]);
		memset(piece[at], (int)(uint8_t)at, size[at]);
	}
	for (size_t i = 0; i < ARRAY_LEN(piece); i++)
		if (piece[i])
			pool_give(&pool, piece[i], size[i]);
	pool_deinit(&pool);
}

/* ---- links ---- */

static void test_connections_are_found_again(void **state)
{
	struct sim_links links = {0};
	uint32_t expected[PEERS] = {0};
	struct prng prng = prng_seeded(10);

	(void)state;
	for (uint32_t i = 1; i <= STEPS; i++) {
		uint32_t peer = (uint32_t)prng_below(&prng, PEERS);

		if (expected[peer]) {
			links_disconnect(&links, peer);
			expected[peer] = 0;
		} else {
			links_get(&links, peer)->connection = i;
			expected[peer] = i;
		}
		peer = (uint32_t)prng_below(&prng, PEERS);
		if (expected[peer])
			assert_int_equal(links_find(&links, peer)->connection, expected[peer]);
		else
			assert_null(links_find(&links, peer));
	}
	links_deinit(&links);
}

static void test_certificates_of_strangers_are_forgotten(void **state)
{
	struct sim_links links = {0};

	(void)state;
	links_get(&links, 0)->connection = 1;
	for (uint32_t peer = 0; peer < PEERS; peer++) {
		links_leaf(&links, peer);
		/* This one is needed all the time. */
		assert_true(links_has_leaf(&links, 1 < peer ? 1 : 0));
	}
	assert_true(links_has_leaf(&links, 0)); /* connected */
	assert_true(links_has_leaf(&links, 1));
	assert_false(links_has_leaf(&links, 2));
	assert_true(links_has_leaf(&links, PEERS - 1));
	assert_int_equal(links.leaves, links.count);
	assert_true(links.leaves < PEERS);
	/* And the table still finds everyone who stays. */
	for (uint32_t peer = PEERS - links.leaves + 2; peer < PEERS; peer++)
		assert_true(links_has_leaf(&links, peer));
	links_deinit(&links);
}

/* ---- the directory ---- */

static void test_machines_are_found_by_id(void **state)
{
	struct sim_directory *directory = sim_directory_new(4);
	struct prng prng = prng_seeded(11), again = prng;
	struct node_id id = {0};
	uint32_t machine;

	(void)state;
	for (uint32_t i = 0; i < PEERS; i++) {
		memcpy(id.byte, &(uint64_t){prng_next(&prng)}, sizeof(uint64_t));
		sim_directory_put(directory, &id, i);
	}
	for (uint32_t i = 0; i < PEERS; i++) {
		memcpy(id.byte, &(uint64_t){prng_next(&again)}, sizeof(uint64_t));
		assert_true(sim_directory_find(directory, &id, &machine));
		assert_int_equal(machine, i);
	}
	memcpy(id.byte, &(uint64_t){prng_next(&again)}, sizeof(uint64_t));
	assert_false(sim_directory_find(directory, &id, &machine));
	sim_directory_free(directory);
}

/* ---- disks ---- */

static void test_an_envelope_on_many_disks_is_in_memory_once(void **state)
{
	uint8_t key[SIM_DISK_KEY_LEN] = {1};
	struct bytes one = bytes_str("what it says, hash one"),
		     same_hash = bytes_str("something else, hash one");
	struct sim_envelope *first, *other;
	struct map shared;

	(void)state;
	map_init(&shared, 1);
	first = envelope_take(&shared, bytes_of(key, sizeof(key)), one);
	assert_ptr_equal(envelope_take(&shared, bytes_of(key, sizeof(key)), one), first);
	other = envelope_take(&shared, bytes_of(key, sizeof(key)), same_hash);
	assert_ptr_not_equal(other, first);
	assert_true(bytes_equal(envelope_bytes(first), one));
	assert_true(bytes_equal(envelope_bytes(other), same_hash));
	assert_memory_equal(first->key, key, sizeof(key));
	envelope_drop(&shared, first);
	assert_true(bytes_equal(envelope_bytes(first), one)); /* the second holder has it */
	envelope_drop(&shared, first);
	envelope_drop(&shared, other);
	envelope_drop(&shared, NULL);
	assert_int_equal(shared.count, 0);
	map_deinit(&shared);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_queued_comes_in_order),
		cmocka_unit_test(test_what_is_queued_meanwhile_is_not_late),
		cmocka_unit_test(test_pieces_of_the_pool_do_not_overlap),
		cmocka_unit_test(test_connections_are_found_again),
		cmocka_unit_test(test_certificates_of_strangers_are_forgotten),
		cmocka_unit_test(test_machines_are_found_by_id),
		cmocka_unit_test(test_an_envelope_on_many_disks_is_in_memory_once),
	};

	return cmocka_run_group_tests_name("sim tables", tests, NULL, NULL);
}
