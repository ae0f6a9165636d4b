/* SPDX-License-Identifier: Apache-2.0 */
/* Registrars that replace one of them, in a world without time but ours. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "market/college.h"

enum {
	MACHINES = 8,
	FIRST = 5, /* registrars: machines 0..4 */
	WORDS_MAX = 4096,
	LOST_MS = COLLEGE_LOST_MS + 20 * 1000,
};

struct word {
	size_t from, to;
	struct college message;
};

/* What lies on a machine's disk. */
struct disk {
	bool has;
	struct college college;
	uint64_t serial;
};

struct world {
	struct machine {
		struct node_id id;
		struct registry *registry;
		struct colleges *colleges;
		struct disk disk;
		bool dead, deaf, broken; /* broken: its disk stores nothing */
	} machines[MACHINES];
	struct word words[WORDS_MAX];
	size_t word_count;
	struct registrars said; /* by the StatefulSet */
	bool mute;              /* nobody writes it there */
	int64_t now_ms;
	uint64_t serial;
	size_t asking; /* the machine that is ticked */
};

static const struct uid set = {{7}};

static struct mono at(const struct world *world)
{
	return (struct mono){world->now_ms * 1000};
}

static size_t index_of(const struct node_id *id)
{
	return (size_t)id->byte[0] - 1;
}

static struct addr_peer peer_of(size_t machine)
{
	struct addr_peer peer = {.id = {{(uint8_t)(machine + 1)}}};

	assert_true(addr_parse("10.0.0.1:7946", &peer.addr));
	return peer;
}

static void boot(struct world *world, size_t machine)
{
	struct machine *one = &world->machines[machine];

	one->id = peer_of(machine).id;
	one->registry = registry_new(1);
	one->colleges = colleges_new(&one->id, one->registry, 1);
}

static struct world *world_new(void)
{
	struct world *world = mem_new(struct world);

	world->now_ms = 1000;
	world->said = (struct registrars){.id = {0, 1}, .count = FIRST};
	for (size_t i = 0; i < FIRST; i++)
		world->said.list[i] = peer_of(i);
	for (size_t i = 0; i < MACHINES; i++) {
		boot(world, i);
		colleges_learn(world->machines[i].colleges, at(world), &set, &world->said);
	}
	return world;
}

static void world_free(struct world *world)
{
	for (size_t i = 0; i < world->word_count; i++)
		free(world->words[i].message.entries);
	for (size_t i = 0; i < MACHINES; i++) {
		colleges_free(world->machines[i].colleges);
		registry_free(world->machines[i].registry);
	}
	free(world);
}

static bool is_alive(void *arg, const struct addr_peer *machine)
{
	const struct world *world = arg;
	size_t index = index_of(&machine->id);

	return !world->machines[index].dead && !world->machines[index].deaf;
}

static bool pick(void *arg, const struct uid *of, const struct registrars *present,
		 struct addr_peer *ret_peer)
{
	const struct world *world = arg;

	(void)of;
	for (size_t i = 0; i < MACHINES; i++) {
		*ret_peer = peer_of(i);
		if (is_alive(arg, ret_peer) &&
		    registrars_index(present, &world->machines[i].id) == SIZE_MAX)
			return true;
	}
	return false;
}

static void tell_all(struct world *world)
{
	for (size_t i = 0; i < MACHINES; i++)
		if (!world->machines[i].dead && !world->machines[i].deaf)
			colleges_learn(world->machines[i].colleges, at(world), &set, &world->said);
}

static void show(void *arg, const struct uid *of, const struct registrars *present)
{
	struct world *world = arg;

	(void)of;
	if (!world->mute && !world->machines[world->asking].deaf &&
	    registrars_compare(&present->id, &world->said.id) > 0)
		world->said = *present;
}

static void send(struct world *world, size_t from, const struct college_effect *effect)
{
	struct word *word = &world->words[world->word_count++];

	assert_true(world->word_count < WORDS_MAX);
	*word = (struct word){from, index_of(&effect->to.id), effect->message};
	word->message.entries =
		effect->message.entry_count
			? (struct tenure *)mem_copy(effect->message.entries,
						    effect->message.entry_count *
							    sizeof(*effect->message.entries))
			: NULL;
}

static void drain(struct world *world, size_t machine)
{
	struct machine *one = &world->machines[machine];
	const struct college_effect *effect;
	struct tenure claims[TENURE_RIVALS_MAX + 1];

	while ((effect = colleges_next_effect(one->colleges)) != NULL) {
		struct college_effect taken = *effect;

		if (taken.type == COLLEGE_SEND) {
			send(world, machine, effect);
		} else if (taken.type == COLLEGE_WRITE) {
			if (!one->broken)
				one->disk = (struct disk){true, taken.message, ++world->serial};
			colleges_writing(one->colleges, &set, world->serial);
			colleges_written(one->colleges, &set, world->serial, !one->broken);
		} else if (taken.type == COLLEGE_DROP) {
			uint32_t ordinal;

			while (registry_drop(one->registry, &set, &ordinal))
				;
		} else if (taken.type == COLLEGE_CLAIM) {
			struct tenure entry;

			assert_true(registry_claims(one->registry, &set, taken.ordinal, claims));
			(void)!registry_written(one->registry, &set, taken.ordinal,
						claims[0].serial, !one->broken, &entry);
		}
	}
}

static bool hears(const struct world *world, const struct word *word)
{
	const struct machine *from = &world->machines[word->from];
	const struct machine *to = &world->machines[word->to];

	return !from->dead && !to->dead && from->deaf == to->deaf;
}

static void deliver_all(struct world *world)
{
	for (size_t i = 0; i < world->word_count; i++) {
		struct word word = world->words[i];

		if (hears(world, &word))
			colleges_hear(world->machines[word.to].colleges, at(world),
				      &world->machines[word.from].id, &word.message);
		drain(world, word.to);
		free(world->words[i].message.entries);
		world->words[i].message.entries = NULL;
	}
	world->word_count = 0;
}

static void pass(struct world *world, int64_t ms)
{
	const struct college_view view = {world, is_alive, pick, show};

	for (int64_t until = world->now_ms + ms; world->now_ms < until; world->now_ms += 250) {
		for (size_t i = 0; i < MACHINES; i++) {
			world->asking = i;
			if (!world->machines[i].dead)
				colleges_tick(world->machines[i].colleges, at(world), &view);
			drain(world, i);
		}
		deliver_all(world);
		tell_all(world);
	}
}

static enum college_standing standing(const struct world *world, size_t machine)
{
	return colleges_standing(world->machines[machine].colleges, at(world), &set,
				 &world->said.id);
}

/* The pod of @n on a machine of that number has the ordinal of @registrar. */
static struct tenure given(struct world *world, size_t registrar, uint32_t ordinal, uint8_t n)
{
	struct registry *registry = world->machines[registrar].registry;
	struct tenure tenure = {.set = set,
				.ordinal = ordinal,
				.serial = n,
				.machine = {{n}},
				.pod_uid = {{n}}},
		      entry;

	assert_int_equal(registry_ask(registry, at(world), &tenure, &entry), REGISTRY_E_WRITE);
	assert_true(registry_written(registry, &set, ordinal, n, true, &entry));
	return tenure;
}

static int asks(struct world *world, size_t registrar, uint32_t ordinal, uint8_t n)
{
	struct tenure entry, tenure = {.set = set,
				       .ordinal = ordinal,
				       .serial = n,
				       .machine = {{n}},
				       .pod_uid = {{n}}};

	return registry_ask(world->machines[registrar].registry, at(world), &tenure, &entry);
}

static bool is_registrar(const struct world *world, size_t machine)
{
	return registrars_index(&world->said, &world->machines[machine].id) != SIZE_MAX;
}

/* ---- tests ---- */

static void test_the_first_ones_serve_at_once(void **state)
{
	struct world *world = world_new();

	(void)state;
	for (size_t i = 0; i < MACHINES; i++)
		assert_int_equal(standing(world, i),
				 i < FIRST ? COLLEGE_SERVING : COLLEGE_STRANGER);
	world_free(world);
}

static void test_a_lost_one_is_replaced_in_time_and_not_before(void **state)
{
	struct world *world = world_new();
	struct registrars_id first = world->said.id;

	(void)state;
	(void)given(world, 0, 3, 50);
	(void)given(world, 1, 3, 50);
	(void)given(world, 2, 3, 50);
	(void)given(world, 4, 3, 50);
	world->machines[4].dead = true;
	pass(world, COLLEGE_LOST_MS - 1000);
	assert_int_equal(world->said.id.number, 1);
	pass(world, 20 * 1000);
	assert_int_equal(world->said.id.number, 2);
	assert_false(is_registrar(world, 4));
	assert_true(is_registrar(world, 5));
	for (size_t i = 0; i < 6; i++)
		if (i != 4)
			assert_int_equal(standing(world, i), COLLEGE_SERVING);
	/* What most had given is known to the new one, as claimed by that pod. */
	assert_int_equal(asks(world, 5, 3, 50), 0);
	assert_int_equal(asks(world, 5, 3, 60), REGISTRY_E_QUERY);
	/* The old number is over, for those who stay and for the one who comes back. */
	assert_int_equal(colleges_standing(world->machines[0].colleges, at(world), &set, &first),
			 COLLEGE_OLD);
	world->machines[4].dead = false;
	pass(world, 1000);
	assert_int_equal(standing(world, 4), COLLEGE_STRANGER);
	assert_int_equal(registry_count(world->machines[4].registry), 0);
	world_free(world);
}

/* Lost, replaced, and chosen again: what it knew before counts for nothing. */
static void test_one_that_comes_back_reads_anew(void **state)
{
	struct world *world = world_new();

	(void)state;
	(void)given(world, 4, 3, 50); /* given back while it was away */
	world->machines[4].dead = true;
	pass(world, LOST_MS);
	assert_false(is_registrar(world, 4));
	for (size_t i = 0; i < 3; i++)
		(void)given(world, i, 3, 60);
	for (size_t i = FIRST + 1; i < MACHINES; i++)
		world->machines[i].dead = true;
	world->machines[4].dead = false;
	world->machines[3].dead = true;
	pass(world, LOST_MS);
	assert_true(is_registrar(world, 4));
	assert_int_equal(standing(world, 4), COLLEGE_SERVING);
	assert_int_equal(asks(world, 4, 3, 60), 0);
	world_free(world);
}

static void test_all_of_the_first_go_one_after_another(void **state)
{
	struct world *world = world_new();

	(void)state;
	for (size_t i = 0; i < 3; i++)
		(void)given(world, i, 1, 50);
	for (size_t i = 0; i < 3; i++) {
		world->machines[i].dead = true;
		pass(world, LOST_MS);
		assert_false(is_registrar(world, i));
	}
	assert_int_equal(world->said.id.number, 4);
	for (size_t i = 3; i < MACHINES; i++)
		assert_int_equal(standing(world, i), COLLEGE_SERVING);
	/* All who gave it are gone. */
	for (size_t i = FIRST; i < MACHINES; i++)
		assert_int_equal(asks(world, i, 1, 60), REGISTRY_E_QUERY);
	world_free(world);
}

static void test_less_than_most_decide_nothing(void **state)
{
	struct world *world = world_new();

	(void)state;
	for (size_t i = 0; i < 3; i++)
		world->machines[i].dead = true;
	pass(world, 3 * LOST_MS);
	assert_int_equal(world->said.id.number, 1);
	/* An operator names others: for a while they give only what runs. */
	world->said = (struct registrars){.id = {4, 1}, .count = 3};
	for (size_t i = 0; i < 3; i++)
		world->said.list[i] = peer_of(3 + i);
	pass(world, 1000);
	for (size_t i = 3; i < 6; i++)
		assert_int_equal(standing(world, i), COLLEGE_SETTLING);
	pass(world, COLLEGE_SETTLE_MS);
	for (size_t i = 3; i < 6; i++)
		assert_int_equal(standing(world, i), COLLEGE_SERVING);
	world_free(world);
}

static void test_the_smaller_side_is_told_when_it_is_back(void **state)
{
	struct world *world = world_new();

	(void)state;
	world->machines[3].deaf = world->machines[4].deaf = true;
	pass(world, 2 * LOST_MS);
	assert_int_equal(world->said.id.number, 3);
	assert_int_equal(colleges_find(world->machines[3].colleges, &set)->id.number, 1);
	world->machines[3].deaf = world->machines[4].deaf = false;
	pass(world, 1000);
	for (size_t i = 0; i < MACHINES; i++)
		assert_int_equal(standing(world, i) == COLLEGE_SERVING, is_registrar(world, i));
	world_free(world);
}

static void test_claims_that_differ_wait_for_each_other(void **state)
{
	struct world *world = world_new();
	struct tenure one, other;

	(void)state;
	one = given(world, 0, 2, 50);
	other = given(world, 1, 2, 51);
	world->machines[4].dead = true;
	pass(world, LOST_MS);
	assert_true(is_registrar(world, 5));
	assert_int_equal(asks(world, 5, 2, 50), REGISTRY_E_QUERY);
	assert_false(registry_release(world->machines[5].registry, &other));
	assert_int_equal(asks(world, 5, 2, 50), 0);
	assert_true(registry_release(world->machines[5].registry, &one));
	world_free(world);
}

static void test_a_new_one_serves_only_what_is_on_its_disk(void **state)
{
	struct world *world = world_new();

	(void)state;
	(void)given(world, 0, 1, 50);
	(void)given(world, 1, 1, 50);
	(void)given(world, 2, 1, 50);
	world->machines[5].broken = true;
	world->machines[4].dead = true;
	pass(world, LOST_MS);
	assert_true(is_registrar(world, 5));
	assert_true(standing(world, 5) < COLLEGE_SETTLING);
	world->machines[5].broken = false;
	pass(world, 10 * 1000);
	assert_int_equal(standing(world, 5), COLLEGE_SERVING);
	world_free(world);
}

static void restart(struct world *world, size_t machine)
{
	struct machine *one = &world->machines[machine];

	colleges_free(one->colleges);
	one->colleges = colleges_new(&one->id, one->registry, 1);
	colleges_learn(one->colleges, at(world), &set, &world->said);
	if (one->disk.has)
		colleges_restore(one->colleges, at(world), &one->disk.college);
}

/* A power cut at any moment of the change: it ends all the same, in one way. */
static void test_all_restart_in_the_middle(void **state)
{
	(void)state;
	for (int64_t cut_ms = 0; cut_ms < 12 * 1000; cut_ms += 250) {
		struct world *world = world_new();

		(void)given(world, 0, 1, 50);
		(void)given(world, 1, 1, 50);
		(void)given(world, 2, 1, 50);
		world->machines[4].dead = true;
		pass(world, COLLEGE_LOST_MS - 2000 + cut_ms);
		for (size_t i = 0; i < MACHINES; i++)
			restart(world, i);
		pass(world, 2 * LOST_MS);
		assert_int_equal(world->said.id.number, 2);
		for (size_t i = 0; i < MACHINES; i++)
			if (i != 4 && is_registrar(world, i))
				assert_int_equal(standing(world, i), COLLEGE_SERVING);
		assert_int_equal(asks(world, 5, 1, 60), REGISTRY_E_QUERY);
		world_free(world);
	}
}

/* Promises and what was accepted bind also who has heard of nothing else. */
static void test_an_accepted_value_is_finished_by_others(void **state)
{
	struct world *world = world_new();
	struct registrars next = world->said;
	struct college accept = {
		.word = COLLEGE_ACCEPT, .set = set, .present = world->said, .ballot = 8};

	(void)state;
	next.id.number = 2;
	next.list[4] = peer_of(7);
	accept.next = next;
	/* One has it; its proposer is gone, and the others would have picked somebody else. */
	colleges_hear(world->machines[2].colleges, at(world), &world->machines[0].id, &accept);
	drain(world, 2);
	deliver_all(world);
	assert_int_equal(standing(world, 2), COLLEGE_BUSY);
	pass(world, 60 * 1000);
	assert_int_equal(world->said.id.number, 2);
	assert_true(is_registrar(world, 7));
	world_free(world);
}

static void test_liars_decide_nothing_alone(void **state)
{
	struct world *world = world_new();
	struct registrars next = world->said;
	struct college lie = {.word = COLLEGE_ACCEPTED, .set = set, .present = world->said};

	(void)state;
	next.id.number = 2;
	next.list[0] = peer_of(6);
	lie.next = next;
	lie.ballot = UINT64_MAX;
	/* A registrar says it twice, and one who is none says it too. */
	for (size_t i = 0; i < 2; i++)
		colleges_hear(world->machines[0].colleges, at(world), &world->machines[4].id, &lie);
	colleges_hear(world->machines[0].colleges, at(world), &world->machines[6].id, &lie);
	assert_int_equal(colleges_find(world->machines[0].colleges, &set)->id.number, 1);
	/* Nobody agrees to replace who lives, nor two at a time. */
	lie.word = COLLEGE_PREPARE;
	colleges_hear(world->machines[1].colleges, at(world), &world->machines[4].id, &lie);
	lie.word = COLLEGE_ACCEPT;
	lie.next.list[1] = peer_of(7);
	colleges_hear(world->machines[1].colleges, at(world), &world->machines[4].id, &lie);
	drain(world, 1);
	assert_int_equal(world->word_count, 0);
	pass(world, LOST_MS);
	assert_int_equal(world->said.id.number, 1);
	world_free(world);
}

static void test_a_deleted_set_is_forgotten(void **state)
{
	struct world *world = world_new();

	(void)state;
	assert_true(colleges_forget(world->machines[0].colleges, &set));
	assert_false(colleges_forget(world->machines[0].colleges, &set));
	assert_null(colleges_find(world->machines[0].colleges, &set));
	world_free(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_first_ones_serve_at_once),
		cmocka_unit_test(test_a_lost_one_is_replaced_in_time_and_not_before),
		cmocka_unit_test(test_one_that_comes_back_reads_anew),
		cmocka_unit_test(test_all_of_the_first_go_one_after_another),
		cmocka_unit_test(test_less_than_most_decide_nothing),
		cmocka_unit_test(test_the_smaller_side_is_told_when_it_is_back),
		cmocka_unit_test(test_claims_that_differ_wait_for_each_other),
		cmocka_unit_test(test_a_new_one_serves_only_what_is_on_its_disk),
		cmocka_unit_test(test_all_restart_in_the_middle),
		cmocka_unit_test(test_an_accepted_value_is_finished_by_others),
		cmocka_unit_test(test_liars_decide_nothing_alone),
		cmocka_unit_test(test_a_deleted_set_is_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
