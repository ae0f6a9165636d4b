/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "identity/sha256.h"
#include "mesh.h"

enum {
	S = 1000,
	MINUTE = 60 * S,
	IDLE_BYTES_MAX = 2048,
};

/* ---- many trees ---- */

static uint64_t duplicates(const struct mesh *mesh)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < mesh->machine_count; i++)
		if (mesh->machines[i].up)
			sum += tree_stats(mesh->machines[i].tree).duplicates;
	return sum;
}

static void every_machine_gets_each_broadcast_once(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 3; seed++) {
		struct mesh *mesh = mesh_formed(300, seed, S, MINUTE);

		for (size_t i = 0; i < 10; i++) {
			mesh_broadcast(mesh, i * 29, "hello");
			mesh_run_ms(mesh, 2 * S);
			assert_int_equal(mesh_reached(mesh), 300);
		}
		mesh_free(mesh);
	}
}

static void a_settled_tree_brings_few_duplicates(void **state)
{
	struct mesh *mesh = mesh_formed(500, 21, S, MINUTE);
	uint64_t before;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		mesh_broadcast(mesh, i, "settle");
		mesh_run_ms(mesh, 2 * S);
	}
	before = duplicates(mesh);
	for (size_t i = 0; i < 20; i++) {
		mesh_broadcast(mesh, i * 23, "measured");
		mesh_run_ms(mesh, 2 * S);
		assert_int_equal(mesh_reached(mesh), 500);
	}
	/* Duplicates per delivery; without prunes there would be three. */
	assert_in_range(duplicates(mesh) - before, 0, 20 * 500 / 10);
	mesh_free(mesh);
}

static void a_wide_area_brings_few_duplicates_too(void **state)
{
	struct mesh *mesh = mesh_formed(300, 22, S, MINUTE);
	uint64_t before;

	(void)state;
	mesh->delay_min_us = 5 * US_PER_MS;
	mesh->delay_max_us = 150 * US_PER_MS;
	for (size_t i = 0; i < 5; i++) {
		mesh_broadcast(mesh, i, "settle");
		mesh_run_ms(mesh, 5 * S);
	}
	before = duplicates(mesh);
	for (size_t i = 0; i < 20; i++) {
		mesh_broadcast(mesh, i * 14, "measured");
		mesh_run_ms(mesh, 5 * S);
		assert_int_equal(mesh_reached(mesh), 300);
	}
	assert_in_range(duplicates(mesh) - before, 0, 20 * 300 / 2);
	mesh_free(mesh);
}

static void lost_messages_are_fetched_from_those_who_announce_them(void **state)
{
	struct mesh *mesh = mesh_formed(300, 23, S, MINUTE);
	size_t missed = 0;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		mesh_broadcast(mesh, i, "settle");
		mesh_run_ms(mesh, 2 * S);
	}
	mesh->loss_permille = 50;
	for (size_t i = 0; i < 20; i++) {
		mesh_broadcast(mesh, i * 14, "lossy");
		mesh_run_ms(mesh, 10 * S);
		missed += 300 - mesh_reached(mesh);
	}
	/* Only a machine that lost every word of all of its neighbours may miss one. */
	assert_in_range(missed, 0, 2);
	mesh_free(mesh);
}

static void half_of_all_machines_vanish_and_broadcasts_reach_the_others(void **state)
{
	(void)state;
	for (uint64_t seed = 31; seed <= 33; seed++) {
		struct mesh *mesh = mesh_formed(400, seed, S, 2 * MINUTE);

		mesh_broadcast(mesh, 1, "before");
		mesh_run_ms(mesh, 2 * S);
		for (size_t i = 0; i < 400; i += 2)
			mesh_crash(mesh, i);
		/* Sent into the ruins: it arrives when they have been repaired. */
		mesh_broadcast(mesh, 1, "at once");
		mesh_run_ms(mesh, MESH_SUSPECT_MS + 5 * S);
		assert_int_equal(mesh_reached(mesh), 200);
		mesh_broadcast(mesh, 3, "after");
		mesh_run_ms(mesh, 2 * S);
		assert_int_equal(mesh_reached(mesh), 200);
		mesh_free(mesh);
	}
}

static void what_nobody_believes_goes_no_further(void **state)
{
	struct mesh *mesh = mesh_formed(50, 24, S, MINUTE);
	size_t reached;

	(void)state;
	mesh_broadcast(mesh, 0, "!lie");
	mesh_run_ms(mesh, 2 * S);
	reached = mesh_reached(mesh);
	assert_in_range(reached, 2, 1 + VIEW_ACTIVE_MAX);
	mesh_free(mesh);
}

static void memory_is_given_back(void **state)
{
	struct mesh *mesh = mesh_formed(30, 25, S, MINUTE);

	(void)state;
	for (size_t i = 0; i < 400; i++) {
		mesh_broadcast(mesh, i % 30, "many");
		mesh_run_ms(mesh, 20);
	}
	assert_in_range(tree_memory(mesh->machines[3].tree), IDLE_BYTES_MAX,
			TREE_KEEP_BYTES + TREE_SEEN_MAX * 64);
	mesh_run_ms(mesh, TREE_SEEN_MS + 3 * TREE_TIDY_MS);
	for (size_t i = 0; i < 30; i++) {
		assert_int_equal(tree_seen_count(mesh->machines[i].tree), 0);
		assert_in_range(tree_memory(mesh->machines[i].tree), 1, IDLE_BYTES_MAX);
		assert_int_equal(tree_deadline(mesh->machines[i].tree).us, INT64_MAX);
	}
	mesh_free(mesh);
}

/* ---- one tree ---- */

static struct node_id neighbour(uint8_t n)
{
	struct node_id id;

	memset(id.byte, n, sizeof(id.byte));
	return id;
}

static struct mono at_ms(int64_t ms)
{
	return (struct mono){.us = ms * US_PER_MS};
}

static struct tree *tree_with(uint8_t neighbours)
{
	struct tree *tree = tree_new(1);

	for (uint8_t i = 1; i <= neighbours; i++) {
		struct node_id id = neighbour(i);

		tree_up(tree, at_ms(0), &id);
	}
	return tree;
}

static struct uid name_of(const char *payload)
{
	struct digest digest = sha256(bytes_str(payload));
	struct uid id;

	memcpy(id.byte, digest.byte, sizeof(id.byte));
	return id;
}

static void receive(struct tree *tree, int64_t ms, uint8_t from, const struct message *message)
{
	struct node_id id = neighbour(from);

	tree_receive(tree, at_ms(ms), &id, message);
}

static void receive_gossip(struct tree *tree, int64_t ms, uint8_t from, const char *payload)
{
	struct message message = {.type = MESSAGE_GOSSIP};

	message.gossip.id = name_of(payload);
	message.gossip.hops = 3;
	buf_append_str(&message.gossip.payload, payload);
	receive(tree, ms, from, &message);
	message_deinit(&message);
}

static void receive_ihave(struct tree *tree, int64_t ms, uint8_t from, const char *payload)
{
	struct uid id = name_of(payload);
	struct message message = {.type = MESSAGE_IHAVE, .ihave = {&id, 1}};

	receive(tree, ms, from, &message);
}

/* Take all effects: how many messages of @type there are, the last of them to *@ret_to. */
static size_t sent(struct tree *tree, enum message_type type, struct node_id *ret_to)
{
	const struct tree_effect *effect;
	size_t count = 0;

	while ((effect = tree_next_effect(tree)))
		if (effect->type == TREE_SEND && effect->message.type == type) {
			count++;
			if (ret_to)
				*ret_to = effect->to;
		}
	return count;
}

static size_t delivered(struct tree *tree)
{
	const struct tree_effect *effect;
	size_t count = 0;

	while ((effect = tree_next_effect(tree)))
		count += effect->type == TREE_DELIVER;
	return count;
}

static void a_payload_is_delivered_once_and_handed_on_when_accepted(void **state)
{
	struct tree *tree = tree_with(4);
	struct uid id = name_of("news");

	(void)state;
	receive_gossip(tree, 10, 1, "news");
	const struct tree_effect *effect = tree_next_effect(tree);
	assert_non_null(effect);
	assert_int_equal(effect->type, TREE_DELIVER);
	assert_int_equal(effect->hops, 3);
	assert_true(bytes_equal(effect->payload, bytes_str("news")));
	assert_null(tree_next_effect(tree));
	tree_accept(tree, at_ms(20), &id);
	tree_accept(tree, at_ms(20), &id); /* harmless */
	assert_int_equal(sent(tree, MESSAGE_GOSSIP, NULL), 3);
	receive_gossip(tree, 30, 1, "news");
	assert_int_equal(delivered(tree), 0);
	tree_free(tree);
}

static void what_a_neighbour_is_known_to_have_is_not_sent_to_it(void **state)
{
	struct tree *tree = tree_with(4);
	struct uid id = name_of("news");
	struct node_id to;

	(void)state;
	receive_gossip(tree, 10, 1, "news");
	receive_ihave(tree, 11, 2, "news");
	receive_gossip(tree, 12, 3, "news");
	assert_int_equal(sent(tree, MESSAGE_PRUNE, NULL), 1);
	tree_accept(tree, at_ms(20), &id);
	assert_int_equal(sent(tree, MESSAGE_GOSSIP, &to), 1);
	assert_int_equal(to.byte[0], 4);
	tree_tick(tree, at_ms(20 + TREE_LAZY_MS));
	assert_int_equal(sent(tree, MESSAGE_IHAVE, NULL), 0);
	tree_free(tree);
}

static void patience_follows_how_late_broadcasts_are(void **state)
{
	struct tree *tree = tree_with(2);
	char payload[8];
	int64_t now = 0;

	(void)state;
	for (int i = 0; i < 50; i++, now += 5000) {
		(void)snprintf(payload, sizeof(payload), "%d", i);
		receive_ihave(tree, now, 2, payload);
		receive_gossip(tree, now + 350, 1, payload);
	}
	assert_int_equal(sent(tree, MESSAGE_GRAFT, NULL), 0);
	receive_ihave(tree, now, 2, "late");
	tree_tick(tree, at_ms(now + TREE_GRAFT_MS - 1));
	assert_int_equal(sent(tree, MESSAGE_GRAFT, NULL), 0);
	tree_tick(tree, at_ms(now + TREE_GRAFT_MAX_MS));
	assert_int_equal(sent(tree, MESSAGE_GRAFT, NULL), 1);
	tree_free(tree);
}

static void a_duplicate_prunes_its_link_and_is_announced_over_it_from_then_on(void **state)
{
	struct tree *tree = tree_with(2);
	struct node_id to;

	(void)state;
	receive_gossip(tree, 10, 1, "one");
	assert_int_equal(delivered(tree), 1);
	receive_gossip(tree, 11, 2, "one");
	assert_int_equal(sent(tree, MESSAGE_PRUNE, &to), 1);
	assert_int_equal(to.byte[0], 2);
	assert_int_equal(tree_eager_count(tree), 1);
	assert_int_equal(tree_stats(tree).duplicates, 1);
	tree_broadcast(tree, at_ms(20), bytes_str("two"));
	assert_int_equal(sent(tree, MESSAGE_GOSSIP, &to), 1);
	assert_int_equal(to.byte[0], 1);
	tree_tick(tree, at_ms(20 + TREE_LAZY_MS));
	assert_int_equal(sent(tree, MESSAGE_IHAVE, &to), 1);
	assert_int_equal(to.byte[0], 2);
	tree_free(tree);
}

static void a_payload_that_does_not_have_its_name_is_dropped(void **state)
{
	struct tree *tree = tree_with(2);
	struct message message = {.type = MESSAGE_GOSSIP};

	(void)state;
	message.gossip.id = name_of("what it says");
	buf_append_str(&message.gossip.payload, "what it is");
	receive(tree, 10, 1, &message);
	assert_null(tree_next_effect(tree));
	message_deinit(&message);
	assert_int_equal(tree_seen_count(tree), 0);
	receive_gossip(tree, 20, 2, "what it says"); /* its name was not taken */
	assert_int_equal(delivered(tree), 1);
	tree_free(tree);
}

static void messages_of_machines_that_are_no_neighbours_do_nothing(void **state)
{
	struct tree *tree = tree_with(2);
	struct message message = {.type = MESSAGE_GRAFT};

	(void)state;
	tree_broadcast(tree, at_ms(1), bytes_str("ours"));
	assert_int_equal(sent(tree, MESSAGE_GOSSIP, NULL), 2);
	message.graft.id = name_of("ours");
	receive(tree, 10, 9, &message);
	message = (struct message){.type = MESSAGE_PRUNE};
	receive(tree, 10, 9, &message);
	receive_gossip(tree, 10, 9, "theirs");
	receive_ihave(tree, 10, 9, "announced");
	assert_null(tree_next_effect(tree));
	assert_int_equal(tree_eager_count(tree), 2);
	tree_tick(tree, at_ms(10 + TREE_GRAFT_MS));
	assert_int_equal(sent(tree, MESSAGE_GRAFT, NULL), 0);
	tree_free(tree);
}

static void an_announced_payload_is_asked_for_in_turn(void **state)
{
	struct tree *tree = tree_with(3);
	struct node_id to;
	struct message prune = {.type = MESSAGE_PRUNE};

	(void)state;
	receive(tree, 1, 2, &prune);
	receive(tree, 1, 3, &prune);
	receive_ihave(tree, 10, 2, "missed");
	receive_ihave(tree, 20, 3, "missed");
	tree_tick(tree, at_ms(10 + TREE_GRAFT_MS - 1));
	assert_null(tree_next_effect(tree));
	assert_int_equal(tree_deadline(tree).us, at_ms(10 + TREE_GRAFT_MS).us);
	tree_tick(tree, tree_deadline(tree));
	assert_int_equal(sent(tree, MESSAGE_GRAFT, &to), 1);
	assert_int_equal(to.byte[0], 2);
	tree_tick(tree, tree_deadline(tree));
	assert_int_equal(sent(tree, MESSAGE_GRAFT, &to), 1);
	assert_int_equal(to.byte[0], 3);
	assert_int_equal(tree_eager_count(tree), 3);
	receive_gossip(tree, 700, 3, "missed");
	assert_int_equal(delivered(tree), 1);
	tree_tick(tree, at_ms(5000));
	assert_int_equal(sent(tree, MESSAGE_GRAFT, NULL), 0);
	tree_free(tree);
}

static void what_does_not_come_is_given_up(void **state)
{
	struct tree *tree = tree_with(1);
	size_t asked = 0;

	(void)state;
	receive_ihave(tree, 10, 1, "never there");
	for (size_t i = 0; i < 100 && tree_deadline(tree).us != INT64_MAX; i++) {
		tree_tick(tree, tree_deadline(tree));
		asked += sent(tree, MESSAGE_GRAFT, NULL);
	}
	assert_int_equal(asked, TREE_GRAFT_TRIES);
	assert_int_equal(tree_deadline(tree).us, INT64_MAX);
	tree_free(tree);
}

static void a_graft_is_answered_from_what_is_kept(void **state)
{
	struct tree *tree = tree_with(2);
	struct message graft = {.type = MESSAGE_GRAFT};
	struct node_id to;

	(void)state;
	tree_broadcast(tree, at_ms(1), bytes_str("kept"));
	assert_int_equal(sent(tree, MESSAGE_GOSSIP, NULL), 2);
	graft.graft.id = name_of("kept");
	receive(tree, 100, 2, &graft);
	assert_int_equal(sent(tree, MESSAGE_GOSSIP, &to), 1);
	assert_int_equal(to.byte[0], 2);
	tree_tick(tree, at_ms(TREE_KEEP_MS + TREE_TIDY_MS));
	receive(tree, TREE_KEEP_MS + TREE_TIDY_MS, 2, &graft);
	assert_int_equal(sent(tree, MESSAGE_GOSSIP, NULL), 0);
	assert_int_equal(tree_seen_count(tree), 1); /* its name is still known */
	tree_free(tree);
}

static void a_new_neighbour_is_told_what_is_kept(void **state)
{
	struct tree *tree = tree_with(1);
	struct node_id id = neighbour(2), to;

	(void)state;
	tree_broadcast(tree, at_ms(1), bytes_str("kept"));
	assert_int_equal(sent(tree, MESSAGE_GOSSIP, NULL), 1);
	tree_up(tree, at_ms(500), &id);
	assert_null(tree_next_effect(tree));
	tree_tick(tree, at_ms(500 + TREE_LAZY_MS));
	assert_int_equal(sent(tree, MESSAGE_IHAVE, &to), 1);
	assert_int_equal(to.byte[0], 2);
	tree_free(tree);
}

static void a_lost_eager_neighbour_is_replaced_at_once(void **state)
{
	struct tree *tree = tree_with(3);
	struct message prune = {.type = MESSAGE_PRUNE};
	struct node_id id = neighbour(1), to;

	(void)state;
	receive(tree, 1, 2, &prune);
	receive(tree, 1, 3, &prune);
	assert_int_equal(tree_eager_count(tree), 1);
	tree_down(tree, at_ms(10), &id);
	assert_int_equal(tree_eager_count(tree), 1);
	assert_int_equal(sent(tree, MESSAGE_GRAFT, &to), 1);
	assert_int_not_equal(to.byte[0], 1);
	tree_free(tree);
}

static void what_is_remembered_is_bounded(void **state)
{
	struct tree *tree = tree_with(2);
	char payload[1000];

	(void)state;
	memset(payload, 'x', sizeof(payload) - 1);
	payload[sizeof(payload) - 1] = '\0';
	for (int i = 0; i < 5000; i++) {
		(void)snprintf(payload, 16, "%015d", i);
		payload[15] = 'x';
		receive_gossip(tree, 25 * (int64_t)i, i % 2 ? 1 : 2,
			       payload); /* as fast as it may */
		assert_int_equal(delivered(tree), 1);
	}
	assert_int_equal(tree_seen_count(tree), TREE_SEEN_MAX);
	assert_in_range(tree_memory(tree), 1, TREE_DOUBT_BYTES + TREE_SEEN_MAX * 64 + 16384);
	tree_free(tree);
}

static void a_liar_cannot_push_out_what_is_kept(void **state)
{
	struct tree *tree = tree_with(2);
	struct message graft = {.type = MESSAGE_GRAFT};
	char *junk = mem_alloc(MESSAGE_GOSSIP_MAX, 1);

	(void)state;
	tree_broadcast(tree, at_ms(1), bytes_str("good"));
	memset(junk, 'j', MESSAGE_GOSSIP_MAX - 1);
	for (int i = 0; i < 20; i++) {
		junk[0] = (char)('a' + i);
		receive_gossip(tree, 10, 1, junk);
		assert_int_equal(delivered(tree), 1);
	}
	assert_in_range(tree_memory(tree), 1, 2 * TREE_DOUBT_BYTES);
	graft.graft.id = name_of("good");
	receive(tree, 20, 2, &graft);
	assert_int_equal(sent(tree, MESSAGE_GOSSIP, NULL), 1);
	free(junk);
	tree_free(tree);
}

static void a_liar_cannot_make_us_wait_for_all_it_invents(void **state)
{
	struct tree *tree = tree_with(2);
	struct uid ids[MESSAGE_IHAVE_MAX];
	struct message ihave = {.type = MESSAGE_IHAVE, .ihave = {ids, MESSAGE_IHAVE_MAX}};

	(void)state;
	for (uint8_t round = 0; round < 100; round++) {
		for (uint8_t i = 0; i < MESSAGE_IHAVE_MAX; i++) {
			memset(&ids[i], round, sizeof(ids[i]));
			ids[i].byte[0] = i;
		}
		receive(tree, 10, 1, &ihave);
	}
	receive_ihave(tree, 10, 2, "real");
	tree_tick(tree, at_ms(10 + TREE_GRAFT_MS));
	assert_int_equal(sent(tree, MESSAGE_GRAFT, NULL), TREE_MISSING_LINK_MAX + 1);
	tree_free(tree);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_machine_gets_each_broadcast_once),
		cmocka_unit_test(a_settled_tree_brings_few_duplicates),
		cmocka_unit_test(a_wide_area_brings_few_duplicates_too),
		cmocka_unit_test(lost_messages_are_fetched_from_those_who_announce_them),
		cmocka_unit_test(half_of_all_machines_vanish_and_broadcasts_reach_the_others),
		cmocka_unit_test(what_nobody_believes_goes_no_further),
		cmocka_unit_test(memory_is_given_back),
		cmocka_unit_test(a_payload_is_delivered_once_and_handed_on_when_accepted),
		cmocka_unit_test(what_a_neighbour_is_known_to_have_is_not_sent_to_it),
		cmocka_unit_test(patience_follows_how_late_broadcasts_are),
		cmocka_unit_test(a_duplicate_prunes_its_link_and_is_announced_over_it_from_then_on),
		cmocka_unit_test(a_payload_that_does_not_have_its_name_is_dropped),
		cmocka_unit_test(messages_of_machines_that_are_no_neighbours_do_nothing),
		cmocka_unit_test(an_announced_payload_is_asked_for_in_turn),
		cmocka_unit_test(what_does_not_come_is_given_up),
		cmocka_unit_test(a_graft_is_answered_from_what_is_kept),
		cmocka_unit_test(a_new_neighbour_is_told_what_is_kept),
		cmocka_unit_test(a_lost_eager_neighbour_is_replaced_at_once),
		cmocka_unit_test(what_is_remembered_is_bounded),
		cmocka_unit_test(a_liar_cannot_push_out_what_is_kept),
		cmocka_unit_test(a_liar_cannot_make_us_wait_for_all_it_invents),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
