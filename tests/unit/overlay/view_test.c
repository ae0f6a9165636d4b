/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "mesh.h"

enum {
	S = 1000,
	MINUTE = 60 * S,
	HOUR = 60 * MINUTE,
};

static const struct contact *contact_at(const struct mesh *mesh, size_t n)
{
	return &mesh->machines[n].contact;
}

static const struct view *view_at(const struct mesh *mesh, size_t n)
{
	return mesh->machines[n].view;
}

static bool passive_has(const struct view *view, const struct node_id *id)
{
	for (size_t i = 0; i < view_passive_count(view); i++)
		if (node_id_equal(&view_passive(view, i)->id, id))
			return true;
	return false;
}

/* What must hold for every view at any time. */
static void check_tables(const struct mesh *mesh)
{
	for (size_t n = 0; n < mesh->machine_count; n++) {
		const struct view *view = view_at(mesh, n);

		if (!mesh->machines[n].up)
			continue;
		assert_in_range(view_active_count(view), 0, VIEW_ACTIVE_MAX);
		assert_in_range(view_passive_count(view), 0, VIEW_PASSIVE_MAX);
		assert_false(view_is_active(view, &contact_at(mesh, n)->id));
		assert_false(passive_has(view, &contact_at(mesh, n)->id));
		for (size_t i = 0; i < view_active_count(view); i++) {
			const struct node_id *id = &view_active(view, i)->id;

			assert_false(passive_has(view, id));
			for (size_t k = 0; k < i; k++)
				assert_false(node_id_equal(id, &view_active(view, k)->id));
		}
		for (size_t i = 0; i < view_passive_count(view); i++)
			for (size_t k = 0; k < i; k++)
				assert_false(node_id_equal(&view_passive(view, i)->id,
							   &view_passive(view, k)->id));
	}
}

static void a_storm_of_joins_makes_a_connected_symmetric_graph(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 5; seed++) {
		struct mesh *mesh = mesh_formed(200, seed, S, 30 * S);

		assert_true(mesh_is_connected(mesh));
		assert_int_equal(mesh_half_open(mesh), 0);
		assert_in_range(mesh_degree_min(mesh), VIEW_ACTIVE_MIN, VIEW_ACTIVE_MAX);
		check_tables(mesh);
		mesh_free(mesh);
	}
}

static void two_thousand_join_through_one_within_two_seconds(void **state)
{
	struct mesh *mesh = mesh_formed(2000, 7, 2 * S, 30 * S);

	(void)state;
	assert_true(mesh_is_connected(mesh));
	assert_int_equal(mesh_half_open(mesh), 0);
	assert_in_range(mesh_degree_min(mesh), VIEW_ACTIVE_MIN, VIEW_ACTIVE_MAX);
	mesh_free(mesh);
}

static void a_run_is_replayed_to_the_byte(void **state)
{
	struct mesh *a = mesh_formed(60, 3, S, MINUTE);
	struct mesh *b = mesh_formed(60, 3, S, MINUTE);

	(void)state;
	assert_int_equal(a->counts.messages, b->counts.messages);
	assert_true(a->hash == b->hash);
	mesh_free(a);
	mesh_free(b);
}

static void a_few_machines_are_all_neighbours(void **state)
{
	(void)state;
	for (size_t count = 2; count <= VIEW_ACTIVE_MIN; count++) {
		struct mesh *mesh = mesh_formed(count, count, S, 30 * S);

		for (size_t i = 0; i < count; i++)
			assert_int_equal(view_active_count(view_at(mesh, i)), count - 1);
		mesh_free(mesh);
	}
}

static void a_loss_of_messages_delays_the_graph_and_nothing_else(void **state)
{
	struct mesh *mesh = mesh_new(200, 11);

	(void)state;
	mesh->loss_permille = 100;
	mesh_start(mesh, 0, MESH_NONE);
	for (size_t i = 1; i < 200; i++)
		mesh_start(mesh, i, 0);
	mesh_run_ms(mesh, 3 * MINUTE);
	assert_true(mesh_is_connected(mesh));
	mesh->loss_permille = 0;
	mesh_run_ms(mesh, MINUTE);
	assert_int_equal(mesh_half_open(mesh), 0);
	assert_in_range(mesh_degree_min(mesh), VIEW_ACTIVE_MIN - 1,
			VIEW_ACTIVE_MAX); /* exchanges */
	check_tables(mesh);
	mesh_free(mesh);
}

static void shuffles_fill_the_passive_views_and_cost_little_when_idle(void **state)
{
	struct mesh *mesh = mesh_formed(300, 5, S, 5 * MINUTE);
	size_t full = 0;

	(void)state;
	for (size_t i = 0; i < 300; i++)
		full += view_passive_count(view_at(mesh, i)) >= VIEW_PASSIVE_MAX * 9 / 10;
	assert_in_range(full, 290, 300);
	mesh->counts = (struct mesh_counts){0};
	mesh->trace_bytes = true;
	mesh_run_ms(mesh, 5 * MINUTE);
	assert_in_range(mesh->counts.bytes / 300 / 300, 10, 60); /* bytes per machine and second */
	assert_in_range(mesh->counts.messages, 1, 300 * 300 / 2);
	mesh_free(mesh);
}

/* Every machine is in somebody's passive view, none in far too many. */
static void passive_views_are_spread_evenly(void **state)
{
	struct mesh *mesh = mesh_formed(200, 9, S, 15 * MINUTE);
	unsigned *known = mem_alloc(200, sizeof(*known));

	(void)state;
	for (size_t n = 0; n < 200; n++)
		for (size_t i = 0; i < view_passive_count(view_at(mesh, n)); i++)
			known[mesh_index(&view_passive(view_at(mesh, n), i)->id)]++;
	for (size_t n = 0; n < 200; n++)
		assert_in_range(known[n], VIEW_PASSIVE_MAX / 4, VIEW_PASSIVE_MAX * 4);
	free(known);
	mesh_free(mesh);
}

static void half_of_all_machines_die_and_the_others_are_connected_again(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 3; seed++) {
		struct mesh *mesh = mesh_formed(400, seed, S, MINUTE);

		for (size_t i = 0; i < 400; i += 2)
			mesh_crash(mesh, i);
		mesh_run_ms(mesh, MESH_SUSPECT_MS + 4 * S);
		assert_true(mesh_is_connected(mesh));
		mesh_run_ms(mesh, MESH_VERDICT_MS);
		assert_true(mesh_is_connected(mesh));
		assert_int_equal(mesh_half_open(mesh), 0);
		assert_in_range(mesh_degree_min(mesh), VIEW_ACTIVE_MIN - 1, VIEW_ACTIVE_MAX);
		check_tables(mesh);
		mesh_free(mesh);
	}
}

static void nine_of_ten_die_and_the_rest_finds_together(void **state)
{
	struct mesh *mesh = mesh_formed(500, 4, S, 3 * MINUTE);

	(void)state;
	for (size_t i = 0; i < 500; i++)
		if (i % 10 != 0)
			mesh_crash(mesh, i);
	mesh_run_ms(mesh, 2 * MINUTE);
	assert_true(mesh_is_connected(mesh));
	assert_int_equal(mesh_half_open(mesh), 0);
	mesh_free(mesh);
}

static void a_machine_with_one_surviving_contact_rejoins(void **state)
{
	struct mesh *mesh = mesh_formed(40, 6, S, 2 * MINUTE);
	size_t survivor;

	(void)state;
	survivor = mesh_index(&view_passive(view_at(mesh, 7), 0)->id);
	mesh->machines[7].bootstrap = MESH_NONE;
	mesh_cut(mesh, 7, 1);
	mesh_run_ms(mesh, 10 * MINUTE);
	assert_int_equal(view_active_count(view_at(mesh, 7)), 0);
	for (size_t i = 0; i < 40; i++)
		if (i != 7 && i != survivor)
			mesh_crash(mesh, i);
	mesh_cut(mesh, 7, 0);
	mesh_run_ms(mesh, 2 * MINUTE);
	assert_true(mesh_is_connected(mesh));
	assert_true(view_is_active(view_at(mesh, 7), &contact_at(mesh, survivor)->id));
	mesh_free(mesh);
}

static void two_halves_that_meet_again_through_one_pair_grow_together(void **state)
{
	struct mesh *mesh = mesh_formed(60, 8, S, 2 * MINUTE);
	size_t across = 0;

	(void)state;
	for (size_t i = 0; i < 60; i += 2)
		mesh_cut(mesh, i, 1);
	mesh_run_ms(mesh, HOUR);
	for (size_t n = 0; n < 60; n++)
		for (size_t i = 0; i < view_active_count(view_at(mesh, n)); i++)
			assert_int_equal(mesh_index(&view_active(view_at(mesh, n), i)->id) % 2,
					 n % 2);
	for (size_t i = 0; i < 60; i += 2)
		mesh->machines[i].side = 0;
	mesh_join(mesh, 1, 2);
	mesh_run_ms(mesh, S);
	assert_true(mesh_is_connected(mesh));
	mesh_run_ms(mesh, 30 * MINUTE);
	assert_true(mesh_is_connected(mesh));
	for (size_t n = 0; n < 60; n++)
		for (size_t i = 0; i < view_active_count(view_at(mesh, n)); i++)
			across += mesh_index(&view_active(view_at(mesh, n), i)->id) % 2 != n % 2;
	assert_in_range(across, 60, 60 * VIEW_ACTIVE_MAX);
	mesh_free(mesh);
}

/* ---- relations that only one end knows of ---- */

static void a_lost_answer_leaves_no_half_open_relation(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 4; seed++) {
		struct mesh *mesh = mesh_new(12, seed);

		mesh_start(mesh, 0, MESH_NONE);
		for (size_t i = 1; i < 12; i++) {
			mesh_start(mesh, i, 0);
			mesh->drop = i % 2 ? MESSAGE_NEIGHBOR_REPLY : MESSAGE_DISCONNECT;
			mesh_run_ms(mesh, 100);
		}
		mesh_run_ms(mesh, 2 * VIEW_CHECK_MS);
		assert_int_equal(mesh_half_open(mesh), 0);
		assert_true(mesh_is_connected(mesh));
		mesh_free(mesh);
	}
}

static void a_restarted_machine_is_a_neighbour_anew_or_none(void **state)
{
	struct mesh *mesh = mesh_formed(50, 2, S, MINUTE);

	(void)state;
	mesh_start(mesh, 20, 0); /* nobody had time to notice that it was away */
	mesh_run_ms(mesh, 10);
	assert_int_not_equal(mesh_half_open(mesh), 0);
	mesh_run_ms(mesh, 2 * VIEW_CHECK_MS);
	assert_int_equal(mesh_half_open(mesh), 0);
	assert_in_range(view_active_count(view_at(mesh, 20)), VIEW_ACTIVE_MIN, VIEW_ACTIVE_MAX);
	mesh_free(mesh);
}

static void traffic_of_a_machine_that_is_no_neighbour_is_answered_with_a_disconnect(void **state)
{
	struct mesh *mesh = mesh_formed(30, 2, S, MINUTE);
	struct message message = {.type = MESSAGE_IHAVE};
	size_t stranger = 1;
	uint64_t before = mesh->counts.by_type[MESSAGE_DISCONNECT];

	(void)state;
	while (view_is_active(view_at(mesh, 0), &contact_at(mesh, stranger)->id))
		stranger++;
	mesh_inject(mesh, stranger, 0, &message);
	assert_int_equal(mesh->counts.by_type[MESSAGE_DISCONNECT], before + 1);
	mesh_run_ms(mesh, 10);
	assert_int_equal(mesh_half_open(mesh), 0); /* a stray DISCONNECT does no harm */
	mesh_free(mesh);
}

/* ---- forgeries ---- */

/* A contact of a machine that does not exist. */
static struct contact invented(size_t n)
{
	struct contact contact = {.incarnation = 99, .addr = {.ip = {192, 0, 2, 1}, .is_v4 = true}};

	memset(contact.id.byte, 0xee, sizeof(contact.id.byte));
	contact.id.byte[0] = (uint8_t)n;
	contact.id.byte[1] = (uint8_t)(n >> 8);
	contact.addr.port = 7;
	return contact;
}

static size_t count_invented(const struct view *view)
{
	size_t count = 0;

	for (size_t i = 0; i < view_passive_count(view); i++)
		count += view_passive(view, i)->id.byte[ID_LEN - 1] == 0xee;
	return count;
}

static void walks_of_machines_that_are_no_neighbours_do_nothing(void **state)
{
	struct mesh *mesh = mesh_formed(30, 2, S, MINUTE);
	struct contact list[MESSAGE_CONTACTS_MAX], lie = invented(0);
	struct message shuffle = {
		.type = MESSAGE_SHUFFLE,
		.shuffle = {.origin = invented(1), .contacts = {list, MESSAGE_CONTACTS_MAX}},
	};
	struct message answer = {
		.type = MESSAGE_SHUFFLE_REPLY,
		.shuffle_reply.contacts = {list, MESSAGE_CONTACTS_MAX},
	};
	struct message join = {.type = MESSAGE_FORWARD_JOIN, .forward_join.contact = lie};
	size_t stranger = 1;

	(void)state;
	for (size_t i = 0; i < MESSAGE_CONTACTS_MAX; i++)
		list[i] = invented(100 + i);
	while (view_is_active(view_at(mesh, 0), &contact_at(mesh, stranger)->id))
		stranger++;
	mesh_inject(mesh, stranger, 0, &shuffle);
	mesh_inject(mesh, stranger, 0, &answer);
	mesh_inject(mesh, stranger, 0, &join);
	assert_int_equal(count_invented(view_at(mesh, 0)), 0);
	mesh_free(mesh);
}

static void a_neighbour_cannot_make_us_believe_more_than_its_share(void **state)
{
	struct mesh *mesh = mesh_formed(30, 2, S, 3 * MINUTE);
	struct contact list[MESSAGE_CONTACTS_MAX];
	struct message shuffle = {
		.type = MESSAGE_SHUFFLE,
		.shuffle = {.origin = invented(1), .contacts = {list, MESSAGE_CONTACTS_MAX}},
	};
	size_t neighbour = mesh_index(&view_active(view_at(mesh, 0), 0)->id);
	uint64_t before;

	(void)state;
	for (size_t i = 0; i < MESSAGE_CONTACTS_MAX; i++)
		list[i] = invented(100 + i);
	mesh_inject(mesh, neighbour, 0, &shuffle);
	assert_in_range(count_invented(view_at(mesh, 0)), 1, VIEW_TAKE_MAX + 1);
	before = mesh->counts.by_type[MESSAGE_SHUFFLE_REPLY];
	for (size_t i = 0; i < 1000; i++) {
		shuffle.shuffle.origin = invented(1000 + i);
		mesh_inject(mesh, neighbour, 0, &shuffle);
	}
	/* Each that is answered makes us dial an address of the neighbour's choice. */
	assert_in_range(mesh->counts.by_type[MESSAGE_SHUFFLE_REPLY], before,
			before + VIEW_END_BURST);
	assert_in_range(view_active_count(view_at(mesh, 0)), VIEW_ACTIVE_MIN, VIEW_ACTIVE_MAX);
	mesh_free(mesh);
}

static void repeated_joins_push_out_few_neighbours(void **state)
{
	struct mesh *mesh = mesh_formed(100, 2, S, 3 * MINUTE);
	struct message join = {.type = MESSAGE_JOIN}, urgent = {.type = MESSAGE_NEIGHBOR};
	uint64_t disconnects = mesh->counts.by_type[MESSAGE_DISCONNECT];
	uint64_t walks = mesh->counts.by_type[MESSAGE_FORWARD_JOIN];

	(void)state;
	urgent.neighbor.urgent = true;
	for (size_t i = 0; i < 200; i++) {
		struct contact liar = invented(i);

		mesh_inject_from(mesh, &liar, 0, i % 2 ? &join : &urgent);
	}
	assert_in_range(mesh->counts.by_type[MESSAGE_DISCONNECT], disconnects,
			disconnects + VIEW_EVICT_BURST);
	assert_in_range(mesh->counts.by_type[MESSAGE_FORWARD_JOIN], walks,
			walks + (uint64_t)VIEW_JOIN_BURST * VIEW_ACTIVE_MAX);
	mesh_free(mesh);
}

static void an_older_incarnation_does_not_replace_a_newer(void **state)
{
	struct contact self = invented(1), other = invented(2);
	struct view *view = view_new(&self, 1, (struct mono){0});

	(void)state;
	other.incarnation = 5;
	view_remember(view, (struct mono){0}, &other);
	other.incarnation = 4;
	other.addr.port = 8;
	view_remember(view, (struct mono){0}, &other);
	assert_int_equal(view_passive_count(view), 1);
	assert_int_equal(view_passive(view, 0)->addr.port, 7);
	other.incarnation = 6;
	view_remember(view, (struct mono){0}, &other);
	assert_int_equal(view_passive(view, 0)->addr.port, 8);
	assert_int_equal(view_passive(view, 0)->incarnation, 6);
	view_free(view);
}

static void a_contact_that_nobody_can_dial_is_not_remembered(void **state)
{
	struct contact self = invented(1), other = invented(2);
	struct view *view = view_new(&self, 1, (struct mono){0});

	(void)state;
	other.addr = (struct addr){0};
	view_remember(view, (struct mono){0}, &other);
	view_remember(view, (struct mono){0}, &self);
	assert_int_equal(view_passive_count(view), 0);
	view_free(view);
}

static void a_machine_without_neighbours_asks_those_it_knows_again_and_again(void **state)
{
	struct contact self = invented(0);
	struct view *view = view_new(&self, 1, (struct mono){0});
	const struct view_effect *effect;
	unsigned asked[3] = {0};
	bool alone = false;

	(void)state;
	assert_true(view_is_alone(view));
	for (size_t i = 1; i <= 3; i++) {
		struct contact other = invented(i);

		view_remember(view, (struct mono){0}, &other);
	}
	assert_false(view_is_alone(view));
	while (view_deadline(view).us < 60LL * S * US_PER_MS) {
		struct mono now = view_deadline(view);

		view_tick(view, now);
		while ((effect = view_next_effect(view))) {
			struct node_id to = effect->to.id;

			assert_int_equal(effect->message.type, MESSAGE_NEIGHBOR);
			assert_true(effect->message.neighbor.urgent);
			asked[to.byte[0] - 1]++;
			view_unreachable(view, now, &to);
		}
		alone = alone || view_is_alone(view);
	}
	assert_true(alone);
	assert_int_equal(view_passive_count(view), 3);
	for (size_t i = 0; i < 3; i++)
		assert_in_range(asked[i], 5, 30); /* with back-off */
	view_free(view);
}

static void a_contact_that_cannot_be_dialled_is_dropped_by_who_has_neighbours(void **state)
{
	struct contact self = invented(0), other = invented(1), gone = invented(2);
	struct view *view = view_new(&self, 1, (struct mono){0});
	struct message join = {.type = MESSAGE_JOIN};

	(void)state;
	view_receive(view, (struct mono){0}, &other, &join);
	assert_true(view_is_active(view, &other.id));
	view_remember(view, (struct mono){0}, &gone);
	view_unreachable(view, (struct mono){0}, &gone.id);
	assert_int_equal(view_passive_count(view), 0);
	view_unreachable(view, (struct mono){0}, &other.id);
	assert_true(view_is_active(view, &other.id));
	view_free(view);
}

static void a_machine_that_leaves_is_forgotten(void **state)
{
	struct mesh *mesh = mesh_formed(20, 3, S, MINUTE);
	size_t neighbour = mesh_index(&view_active(view_at(mesh, 5), 0)->id);

	(void)state;
	mesh_leave(mesh, 5);
	mesh_run_ms(mesh, 5);
	assert_false(view_is_active(view_at(mesh, neighbour), &contact_at(mesh, 5)->id));
	assert_false(passive_has(view_at(mesh, neighbour), &contact_at(mesh, 5)->id));
	mesh_free(mesh);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_storm_of_joins_makes_a_connected_symmetric_graph),
		cmocka_unit_test(two_thousand_join_through_one_within_two_seconds),
		cmocka_unit_test(a_run_is_replayed_to_the_byte),
		cmocka_unit_test(a_few_machines_are_all_neighbours),
		cmocka_unit_test(a_loss_of_messages_delays_the_graph_and_nothing_else),
		cmocka_unit_test(shuffles_fill_the_passive_views_and_cost_little_when_idle),
		cmocka_unit_test(passive_views_are_spread_evenly),
		cmocka_unit_test(half_of_all_machines_die_and_the_others_are_connected_again),
		cmocka_unit_test(nine_of_ten_die_and_the_rest_finds_together),
		cmocka_unit_test(a_machine_with_one_surviving_contact_rejoins),
		cmocka_unit_test(two_halves_that_meet_again_through_one_pair_grow_together),
		cmocka_unit_test(a_lost_answer_leaves_no_half_open_relation),
		cmocka_unit_test(a_restarted_machine_is_a_neighbour_anew_or_none),
		cmocka_unit_test(
			traffic_of_a_machine_that_is_no_neighbour_is_answered_with_a_disconnect),
		cmocka_unit_test(walks_of_machines_that_are_no_neighbours_do_nothing),
		cmocka_unit_test(a_neighbour_cannot_make_us_believe_more_than_its_share),
		cmocka_unit_test(repeated_joins_push_out_few_neighbours),
		cmocka_unit_test(an_older_incarnation_does_not_replace_a_newer),
		cmocka_unit_test(a_contact_that_nobody_can_dial_is_not_remembered),
		cmocka_unit_test(a_machine_without_neighbours_asks_those_it_knows_again_and_again),
		cmocka_unit_test(a_contact_that_cannot_be_dialled_is_dropped_by_who_has_neighbours),
		cmocka_unit_test(a_machine_that_leaves_is_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
