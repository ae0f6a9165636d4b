/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "world.h"

enum {
	S = 1000,
	HOUR = 3600 * S,
};

/* @count machines that all know the first one's address, and have met. */
static struct world *world_of(size_t count)
{
	struct world *world = mem_new(struct world);

	world_init(world);
	for (size_t i = 0; i < count; i++) {
		world_start(world, i, (uint16_t)(i + 1));
		if (i > 0)
			world_bootstrap(world, i, 0);
	}
	world_run_ms(world, 2 * S);
	assert_true(world_is_whole(world));
	return world;
}

static void world_end(struct world *world)
{
	world_deinit(world);
	free(world);
}

static unsigned total_lost(const struct world *world)
{
	unsigned lost = 0;

	for (size_t i = 0; i < world->machine_count; i++)
		lost += world->machines[i].lost;
	return lost;
}

static void three_learn_of_each_other_through_one(void **state)
{
	struct world *world = world_of(3);
	struct overlay_peer peer;
	size_t position = 0;

	(void)state;
	assert_int_equal(world->machines[1].joined, 2);
	assert_true(overlay_next_peer(world->machines[1].overlay, &position, &peer));
	assert_string_equal(peer.member->name, "n0");
	assert_true(overlay_next_peer(world->machines[1].overlay, &position, &peer));
	assert_string_equal(peer.member->name, "n2");
	assert_true(peer.connected);
	assert_false(overlay_next_peer(world->machines[1].overlay, &position, &peer));
	world_end(world);
}

static void round_trips_are_measured(void **state)
{
	struct world *world = world_of(2);
	struct overlay_peer peer;

	(void)state;
	world_run_ms(world, 10 * S);
	assert_true(overlay_find_peer(world->machines[0].overlay, &world->machines[1].id, &peer));
	assert_int_equal(peer.rtt_us, 2 * WORLD_DELAY_US);
	assert_true(overlay_find_peer(world->machines[1].overlay, &world->machines[0].id, &peer));
	assert_int_equal(peer.rtt_us, 2 * WORLD_DELAY_US);
	world_end(world);
}

static void twenty_meet_without_being_told_more_than_one_address(void **state)
{
	struct world *world = world_of(20);

	(void)state;
	world_run_ms(world, 60 * S);
	assert_true(world_is_whole(world));
	assert_int_equal(total_lost(world), 0);
	for (size_t i = 0; i < 20; i++)
		assert_in_range(world->machines[i].dials, 0, 25);
	world_end(world);
}

static void a_lost_greeting_is_asked_for_again(void **state)
{
	struct world *world = mem_new(struct world);

	(void)state;
	world_init(world);
	world_start(world, 0, 1);
	world_start(world, 1, 2);
	world_bootstrap(world, 1, 0);
	world->drop = MESSAGE_HELLO;
	world_run_ms(world, 3 * S);
	assert_int_equal(world->drop, MESSAGE_NONE);
	assert_true(world_is_whole(world));
	world_end(world);
}

static void a_crashed_machine_is_lost_and_comes_back(void **state)
{
	struct world *world = world_of(3);

	(void)state;
	world_crash(world, 2);
	world_run_ms(world, OVERLAY_DEAD_MS - 2 * S);
	assert_int_equal(world_state(world, 0, 2), MEMBER_SUSPECT);
	assert_int_equal(world->machines[0].lost, 0);
	world_run_ms(world, 4 * S);
	assert_int_equal(world_state(world, 0, 2), MEMBER_DEAD);
	assert_int_equal(world_state(world, 1, 2), MEMBER_DEAD);
	assert_int_equal(world->machines[0].lost, 1);
	assert_int_equal(overlay_alive_count(world->machines[0].overlay), 2);

	/* It starts with nobody's address: the others dial it. */
	world_start(world, 2, 3);
	world_run_ms(world, 2 * OVERLAY_REDIAL_MAX_MS);
	assert_true(world_is_whole(world));
	world_end(world);
}

static void a_machine_that_comes_back_elsewhere_is_found(void **state)
{
	struct world *world = world_of(3);
	struct overlay_peer peer;

	(void)state;
	world_crash(world, 2);
	world_run_ms(world, 2 * HOUR);
	world_start(world, 2, 200);
	world_bootstrap(world, 2, 0);
	world_run_ms(world, 2 * S);
	assert_true(world_is_whole(world));
	assert_true(overlay_find_peer(world->machines[1].overlay, &world->machines[2].id, &peer));
	assert_true(addr_equal(&peer.member->addr, &world->machines[2].addr));
	world_end(world);
}

static void a_quick_restart_is_announced_as_a_return(void **state)
{
	struct world *world = world_of(2);
	unsigned joined = world->machines[0].joined;

	(void)state;
	world_crash(world, 1);
	world_run_ms(world, S);
	world_start(world, 1, 2);
	world_bootstrap(world, 1, 0);
	world_run_ms(world, S);
	assert_true(world_is_whole(world));
	assert_int_equal(world->machines[0].lost, 0);
	assert_int_equal(world->machines[0].joined, joined + 1);
	world_end(world);
}

static void halves_that_were_apart_for_an_hour_merge(void **state)
{
	struct world *world = world_of(4);

	(void)state;
	for (size_t i = 0; i < 4; i++)
		world_cut(world, i % 2, 2 + i / 2, true);
	world_run_ms(world, HOUR);
	assert_int_equal(overlay_alive_count(world->machines[0].overlay), 2);
	assert_int_equal(overlay_alive_count(world->machines[3].overlay), 2);
	for (size_t i = 0; i < 4; i++)
		world_cut(world, i % 2, 2 + i / 2, false);
	world_run_ms(world, 20 * S);
	assert_true(world_is_whole(world));
	world_end(world);
}

static void a_witness_saves_a_member_whose_link_is_cut(void **state)
{
	struct world *world = world_of(3);

	(void)state;
	world_cut(world, 0, 1, true);
	world_run_ms(world, HOUR);
	assert_true(world->machines[0].suspected > 0);
	assert_int_equal(total_lost(world), 0);
	assert_int_not_equal(world_state(world, 0, 1), MEMBER_DEAD);
	world_cut(world, 0, 1, false);
	world_run_ms(world, 20 * S);
	assert_true(world_is_whole(world));
	world_end(world);
}

static void a_false_suspicion_is_refuted_by_a_higher_incarnation(void **state)
{
	struct world *world = world_of(3);
	struct overlay_peer peer;
	struct member_report report = {.state = MEMBER_SUSPECT};
	struct message question = {.type = MESSAGE_MEMBERS, .members = {&report, 1}};
	uint64_t before = overlay_self(world->machines[1].overlay)->incarnation;

	(void)state;
	report.member = *overlay_self(world->machines[1].overlay);
	world_inject(world, 0, 1, &question);
	world_run_ms(world, 10);
	assert_true(overlay_self(world->machines[1].overlay)->incarnation > before);
	assert_true(overlay_find_peer(world->machines[2].overlay, &world->machines[1].id, &peer));
	assert_true(peer.member->incarnation > before);

	/* Nobody can use up its numbers. */
	before = overlay_self(world->machines[1].overlay)->incarnation;
	report.member = *overlay_self(world->machines[1].overlay);
	report.member.incarnation = UINT64_MAX - 1;
	world_inject(world, 0, 1, &question);
	assert_int_equal(overlay_self(world->machines[1].overlay)->incarnation, before);
	world_end(world);
}

static void a_stalled_observer_accuses_nobody(void **state)
{
	struct world *world = world_of(3);

	(void)state;
	world_stall(world, 0, true);
	world_run_ms(world, 6 * S);
	assert_int_equal(world->machines[1].lost, 0);
	world_stall(world, 0, false);
	world_run_ms(world, 60 * S);
	assert_int_equal(world->machines[0].suspected, 0);
	assert_int_equal(world->machines[0].lost, 0);
	assert_true(world_is_whole(world));
	world_end(world);
}

static void a_machine_stalled_for_a_minute_is_lost_and_returns(void **state)
{
	struct world *world = world_of(3);

	(void)state;
	world_stall(world, 0, true);
	world_run_ms(world, 60 * S);
	assert_int_equal(world_state(world, 1, 0), MEMBER_DEAD);
	world_stall(world, 0, false);
	world_run_ms(world, 20 * S);
	assert_int_equal(world->machines[0].lost, 0);
	assert_true(world_is_whole(world));
	world_end(world);
}

static void a_goodbye_is_believed_at_once(void **state)
{
	struct world *world = world_of(3);

	(void)state;
	overlay_leave(world->machines[1].overlay, world->now);
	assert_int_equal(overlay_deadline(world->machines[1].overlay).us, MONO_NEVER.us);
	for (const struct overlay_effect *effect;
	     (effect = overlay_next_effect(world->machines[1].overlay));) {
		assert_int_equal(effect->type, OVERLAY_SEND);
		world_inject(world, 1, effect->to.byte[0] == 1 ? 0 : 2, &effect->message);
	}
	assert_int_equal(world_state(world, 0, 1), MEMBER_LEFT);
	assert_int_equal(world_state(world, 2, 1), MEMBER_LEFT);
	assert_int_equal(world->machines[0].lost, 1);
	world_crash(world, 1);
	world_run_ms(world, HOUR);
	assert_int_equal(world->machines[0].lost, 1);

	/* A founder knows nobody when it starts again, so those who stayed look for it. */
	world_start(world, 1, 2);
	world_run_ms(world, 20 * S);
	assert_true(world_is_whole(world));
	world_end(world);
}

static void a_dead_machine_is_forgotten_after_a_day(void **state)
{
	struct world *world = world_of(2);

	(void)state;
	world_crash(world, 1);
	world_run_ms(world, 23 * HOUR);
	assert_true(world_knows(world, 0, 1));
	world_run_ms(world, 2 * HOUR);
	assert_false(world_knows(world, 0, 1));
	world_end(world);
}

/* One message full of machines that do not exist. */
static void inject_inventions(struct world *world, size_t round)
{
	static struct member_report reports[MESSAGE_NODES_MAX];
	struct message lie = {.type = MESSAGE_MEMBERS, .members = {reports, MESSAGE_NODES_MAX}};

	for (size_t i = 0; i < MESSAGE_NODES_MAX; i++) {
		reports[i].state = MEMBER_ALIVE;
		reports[i].member.name = NULL;
		assert_true(addr_parse("10.9.9.9:1", &reports[i].member.addr));
		memset(reports[i].member.id.byte, 0xee, ID_LEN);
		reports[i].member.id.byte[0] = (uint8_t)round;
		reports[i].member.id.byte[1] = (uint8_t)i;
	}
	world_inject(world, 1, 0, &lie);
}

static void inventions_cause_a_few_dials_and_nothing_else(void **state)
{
	struct world *world = world_of(3);

	(void)state;
	for (size_t round = 0; round < 100; round++)
		inject_inventions(world, round);
	world_run_ms(world, 10 * S);
	assert_in_range(world->machines[0].dials, 0, 256 * 6);
	assert_int_equal(overlay_alive_count(world->machines[0].overlay), 3);
	assert_int_equal(world->machines[0].joined, 2);
	world_run_ms(world, 600 * S);
	world->machines[0].dials = 0;
	world_run_ms(world, HOUR);
	assert_int_equal(world->machines[0].dials, 0); /* all given up */
	assert_true(world_is_whole(world));
	world_end(world);
}

/* Connect machine 0 to @count strangers that greet and vanish. */
static void meet_strangers(struct overlay *overlay, struct world *world, size_t count)
{
	struct message hello = {.type = MESSAGE_HELLO, .hello = {.version_max = 1}};
	struct addr addr;

	assert_true(addr_parse("10.8.8.8:1", &addr));
	for (size_t i = 0; i < count; i++) {
		struct node_id id = {{0xdd, (uint8_t)(i >> 8), (uint8_t)i}};

		hello.hello.self.id = id;
		hello.hello.self.addr = addr;
		overlay_connected(overlay, world->now, &(struct contact){.id = id, .addr = addr},
				  world_fabric(world));
		overlay_receive(overlay, world->now, &id, &hello, world_fabric(world));
		overlay_disconnected(overlay, world->now, &id, &addr);
		while (overlay_next_effect(overlay))
			continue;
	}
}

static void a_full_table_makes_room_for_the_living(void **state)
{
	struct world *world = mem_new(struct world);
	struct overlay *overlay;

	(void)state;
	world_init(world);
	world_start(world, 0, 1);
	overlay = world->machines[0].overlay;
	meet_strangers(overlay, world, OVERLAY_MEMBERS_MAX + 10);
	assert_int_equal(overlay_alive_count(overlay), 1 + OVERLAY_MEMBERS_MAX);

	/* While they count as alive nobody is pushed out; once dead they make room. */
	world_run_ms(world, 60 * S);
	assert_int_equal(overlay_alive_count(overlay), 1);
	world_start(world, 1, 2);
	world_bootstrap(world, 1, 0);
	world_run_ms(world, 5 * S);
	assert_true(world_is_whole(world));
	world_end(world);
}

/* The address that machine 0 keeps of a stranger that comes from 10.0.0.2:5555 and says @said. */
static struct addr_text address_of(const struct addr *said)
{
	struct world *world = mem_new(struct world);
	struct message hello = {.type = MESSAGE_HELLO, .hello = {.version_max = 1}};
	struct node_id id = {{0xdd}};
	struct overlay_peer peer;
	struct addr seen;
	struct addr_text text;

	world_init(world);
	world_start(world, 0, 1);
	assert_true(addr_parse("10.0.0.2:5555", &seen));
	hello.hello.self.id = id;
	hello.hello.self.addr = *said;
	overlay_connected(world->machines[0].overlay, world->now,
			  &(struct contact){.id = id, .addr = seen}, world_fabric(world));
	overlay_receive(world->machines[0].overlay, world->now, &id, &hello, world_fabric(world));
	assert_true(overlay_find_peer(world->machines[0].overlay, &id, &peer));
	text = addr_text(&peer.member->addr);
	world_end(world);
	return text;
}

static void an_address_that_cannot_be_dialled_is_mended_with_what_was_seen(void **state)
{
	static const struct {
		const char *ip;
		uint16_t port;
		const char *kept;
	} cases[] = {
		{"10.0.0.7", 7946, "10.0.0.7:7946"},  {"0.0.0.0", 7946, "10.0.0.2:7946"},
		{"127.0.0.1", 7946, "10.0.0.2:7946"}, {"10.0.0.7", 0, "10.0.0.2:5555"},
		{"0.0.0.0", 0, "10.0.0.2:5555"},      {"127.0.0.1", 0, "10.0.0.2:5555"},
		{"::", 0, "10.0.0.2:5555"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct addr said;

		assert_true(addr_parse_ip(cases[i].ip, cases[i].port, &said));
		assert_string_equal(address_of(&said).text, cases[i].kept);
	}
}

/* All that the overlay wants to send can be encoded, which asserts that contacts have addresses. */
static void encode_all(struct overlay *overlay)
{
	const struct overlay_effect *effect;

	while ((effect = overlay_next_effect(overlay))) {
		struct buf encoded = {0};

		if (effect->type == OVERLAY_SEND)
			message_encode(&effect->message, &encoded);
		buf_deinit(&encoded);
	}
}

/* One whose address is of no use says all that a machine may say; then another one asks. */
static void nobody_is_told_of_a_machine_without_an_address(void **state)
{
	static const enum message_type said[] = {MESSAGE_HELLO, MESSAGE_JOIN, MESSAGE_NEIGHBOR,
						 MESSAGE_FIND, MESSAGE_PROVIDE};
	struct world *world = world_of(3);
	struct overlay *overlay = world->machines[0].overlay;
	struct contact stranger = {.id = {{0xdd}}};
	struct message message = {0};

	(void)state;
	assert_true(addr_parse_ip("10.0.0.9", 0, &stranger.addr));
	overlay_connected(overlay, world->now, &stranger, world_fabric(world));
	for (size_t i = 0; i < ARRAY_LEN(said); i++) {
		message = (struct message){.type = said[i]};
		if (said[i] == MESSAGE_HELLO)
			message.hello = (struct hello){
				.self = {.id = stranger.id, .addr = stranger.addr, .name = NULL},
				.version_max = 1};
		overlay_receive(overlay, world->now, &stranger.id, &message, world_fabric(world));
		encode_all(overlay);
	}
	message = (struct message){.type = MESSAGE_FIND, .find.providers = true};
	overlay_receive(overlay, world->now, &world->machines[1].id, &message, world_fabric(world));
	encode_all(overlay);
	message = (struct message){.type = MESSAGE_JOIN};
	overlay_receive(overlay, world->now, &world->machines[2].id, &message, world_fabric(world));
	encode_all(overlay);
	world_end(world);
}

/* Machine 0 asks @kept machines that greet it, and then @refusing ones that have no room. */
static bool is_large_after(size_t kept, size_t refusing)
{
	struct world *world = mem_new(struct world);
	struct overlay *overlay;
	bool large;

	world_init(world);
	world_start(world, 0, 1);
	overlay = world->machines[0].overlay;
	for (size_t i = 0; i < kept + refusing; i++) {
		struct contact contact = {.id = {{0xdd, (uint8_t)i}}};
		struct message answer = {.type = MESSAGE_DISCONNECT, .disconnect.released = true};

		assert_true(addr_parse("10.0.0.9:7946", &contact.addr));
		contact.addr.port = (uint16_t)(contact.addr.port + i);
		if (i < kept)
			answer = (struct message){
				.type = MESSAGE_HELLO,
				.hello = {.self = {.id = contact.id, .addr = contact.addr},
					  .version_max = 1},
			};
		overlay_remember(overlay, world->now, &contact);
		overlay_connected(overlay, world->now, &contact, world_fabric(world));
		overlay_receive(overlay, world->now, &contact.id, &answer, world_fabric(world));
	}
	assert_int_equal(overlay_alive_count(overlay), 1 + kept);
	large = overlay_is_large(overlay);
	world_end(world);
	return large;
}

/* Else a newcomer, whom nobody greets, would ask all machines again and again. */
static void who_is_refused_by_many_is_in_a_large_fabric(void **state)
{
	(void)state;
	assert_false(is_large_after(0, 3));
	assert_true(is_large_after(0, 4));
	assert_true(is_large_after(5, 6));
	/* A few liars are not enough. */
	assert_false(is_large_after(5, 5));
}

static void the_same_seed_gives_the_same_run(void **state)
{
	uint64_t traces[2];

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct world *world = world_of(8);

		world_crash(world, 3);
		world_cut(world, 1, 2, true);
		world_run_ms(world, 120 * S);
		traces[i] = world->trace;
		world_end(world);
	}
	assert_true(traces[0] == traces[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(three_learn_of_each_other_through_one),
		cmocka_unit_test(round_trips_are_measured),
		cmocka_unit_test(twenty_meet_without_being_told_more_than_one_address),
		cmocka_unit_test(a_lost_greeting_is_asked_for_again),
		cmocka_unit_test(a_crashed_machine_is_lost_and_comes_back),
		cmocka_unit_test(a_machine_that_comes_back_elsewhere_is_found),
		cmocka_unit_test(a_quick_restart_is_announced_as_a_return),
		cmocka_unit_test(halves_that_were_apart_for_an_hour_merge),
		cmocka_unit_test(a_witness_saves_a_member_whose_link_is_cut),
		cmocka_unit_test(a_false_suspicion_is_refuted_by_a_higher_incarnation),
		cmocka_unit_test(a_stalled_observer_accuses_nobody),
		cmocka_unit_test(a_machine_stalled_for_a_minute_is_lost_and_returns),
		cmocka_unit_test(a_goodbye_is_believed_at_once),
		cmocka_unit_test(a_dead_machine_is_forgotten_after_a_day),
		cmocka_unit_test(inventions_cause_a_few_dials_and_nothing_else),
		cmocka_unit_test(a_full_table_makes_room_for_the_living),
		cmocka_unit_test(an_address_that_cannot_be_dialled_is_mended_with_what_was_seen),
		cmocka_unit_test(nobody_is_told_of_a_machine_without_an_address),
		cmocka_unit_test(who_is_refused_by_many_is_in_a_large_fabric),
		cmocka_unit_test(the_same_seed_gives_the_same_run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
