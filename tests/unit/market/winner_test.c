/* SPDX-License-Identifier: Apache-2.0 */
/* The winner's side, one message at a time: node 0 is the owner, node 1 the machine under test. */
#include "lan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"

static struct lan lan; /* too big for a stack frame */

enum {
	OWNER = 0,
	OTHER_OWNER = 2,
	WINNER = 1,
};

/* A lan in which the owner hears nothing: the test speaks for it. */
static void begin(void)
{
	lan_init(&lan, 3, 1);
	lan_machines(&lan, 1000, 1LL << 30);
	lan.cut[WINNER][OWNER] = lan.cut[WINNER][OTHER_OWNER] = true;
	lan.tell = true;
}

static void end(void)
{
	lan_deinit(&lan);
}

static struct message tender_message(const struct lan_tender *tender)
{
	struct message message;

	lan_make_tender(tender, &message);
	return message;
}

static int give_tender(size_t from, const struct lan_tender *tender)
{
	struct message message = tender_message(tender);
	int r = lan_deliver(&lan, from, WINNER, &message);

	message_deinit(&message);
	return r;
}

static struct uid pod_uid(uint8_t name)
{
	struct uid uid;

	memset(uid.byte, name, sizeof(uid.byte));
	return uid;
}

/* An award of @count slots of the tender; pods are called from @first_pod on. */
static struct message award_message(const struct lan_tender *tender, uint32_t count,
				    uint8_t first_pod)
{
	struct message message = {.type = MESSAGE_AWARD};
	struct message announced = tender_message(tender);
	struct award *award = &message.award;

	award->tender_id = lan_tender_id(tender);
	award->winner = lan.ids[WINNER];
	message_encode(&announced, &award->tender_envelope);
	buf_append_str(&award->manifest, lan_manifest);
	award->assignments = mem_alloc(count, sizeof(*award->assignments));
	award->assignment_count = count;
	for (uint32_t i = 0; i < count; i++) {
		award->assignments[i].slot = tender->first + i;
		award->assignments[i].pod_uid = pod_uid((uint8_t)(first_pod + i));
		award->assignments[i].pod_name = mem_strdup("web-x");
	}
	message_deinit(&announced);
	return message;
}

static int give_award(size_t from, const struct lan_tender *tender, uint32_t count, uint8_t pod)
{
	struct message message = award_message(tender, count, pod);
	int r = lan_deliver(&lan, from, WINNER, &message);

	message_deinit(&message);
	return r;
}

static int give_plain(enum message_type type, const struct lan_tender *tender)
{
	struct message message = {.type = type};

	message.release.tender_id = lan_tender_id(tender); /* the first member of all of them */
	return lan_deliver(&lan, OWNER, WINNER, &message);
}

static struct market_usage usage(void)
{
	return market_usage(lan.markets[WINNER]);
}

static const struct lan_tender one = {.object = 1, .count = 1};
static const struct lan_tender four = {.object = 1, .count = 4};

static void test_an_award_within_its_hold_starts_and_is_confirmed(void **state)
{
	(void)state;
	begin();
	assert_int_equal(give_tender(OWNER, &one), 0);
	assert_int_equal(usage().holds, 1);
	lan_run(&lan, MARKET_HOLD_MS - 1);
	assert_int_equal(give_award(OWNER, &one, 1, 1), 0);
	assert_int_equal(usage().holds, 0);
	assert_int_equal(usage().cpu_milli, 100);
	assert_int_equal(give_plain(MESSAGE_AWARD_CONFIRM, &one), 0);
	assert_int_equal(give_plain(MESSAGE_AWARD_CONFIRM, &one), MARKET_E_DUPLICATE);
	lan_run(&lan, 60000);
	assert_int_equal(lan_alive(&lan, 1), 1);
	end();
}

static void test_an_award_past_its_hold_is_refused(void **state)
{
	(void)state;
	begin();
	assert_int_equal(give_tender(OWNER, &one), 0);
	lan_run(&lan, MARKET_HOLD_MS);
	assert_int_equal(usage().holds, 0);
	assert_int_equal(give_award(OWNER, &one, 1, 1), MARKET_E_LATE);
	assert_int_equal(lan_alive(&lan, 1), 0);
	end();
}

static void test_an_award_nobody_bid_for_is_refused(void **state)
{
	(void)state;
	begin();
	assert_int_equal(give_award(OWNER, &one, 1, 1), MARKET_E_NO_BID);
	/* Nor is one of an owner who did not announce the tender here. */
	assert_int_equal(give_tender(OWNER, &one), 0);
	assert_int_equal(give_award(OTHER_OWNER, &one, 1, 1), MARKET_E_NO_BID);
	assert_int_equal(lan.pod_count, 0);
	end();
}

static void test_an_unconfirmed_award_stops_itself(void **state)
{
	(void)state;
	begin();
	assert_int_equal(give_tender(OWNER, &one), 0);
	lan_run(&lan, 500);
	assert_int_equal(give_award(OWNER, &one, 1, 1), 0);
	lan_run(&lan, MARKET_HOLD_MS + MARKET_CONFIRM_MS - 501);
	assert_int_equal(lan_alive(&lan, 1), 1);
	lan_run(&lan, 1);
	assert_int_equal(lan_alive(&lan, 1), 0);
	lan_run(&lan, MARKET_HOLD_MS);
	assert_int_equal(usage().pods, 0);
	/* A confirmation that comes now is too late. */
	assert_int_not_equal(give_plain(MESSAGE_AWARD_CONFIRM, &one), 0);
	assert_int_equal(lan_alive(&lan, 1), 0);
	end();
}

static void test_of_two_owners_of_one_tender_id_one_gets_the_machine(void **state)
{
	(void)state;
	begin();
	assert_int_equal(give_tender(OWNER, &one), 0);
	assert_int_equal(give_tender(OTHER_OWNER, &one), 0);
	assert_int_equal(usage().holds, 2);
	assert_int_equal(give_award(OTHER_OWNER, &one, 1, 2), MARKET_E_NO_BID);
	assert_int_equal(give_award(OWNER, &one, 1, 1), 0);
	assert_int_equal(lan_alive(&lan, 1), 1);
	assert_int_equal(usage().holds, 0);
	end();
}

static void test_an_owner_that_released_its_bid_still_places_the_slots_elsewhere(void **state)
{
	(void)state;
	begin();
	assert_int_equal(give_tender(OWNER, &one), 0);
	assert_int_equal(give_tender(OTHER_OWNER, &one), 0);
	assert_int_equal(give_plain(MESSAGE_RELEASE, &one), 0);
	assert_int_equal(give_award(OTHER_OWNER, &one, 1, 2), MARKET_E_NO_BID);
	end();
}

static void test_the_other_owner_may_place_what_the_first_let_lapse(void **state)
{
	(void)state;
	begin();
	assert_int_equal(give_tender(OWNER, &one), 0);
	lan_run(&lan, 1000);
	assert_int_equal(give_tender(OTHER_OWNER, &one), 0);
	lan_run(&lan, 1000);
	assert_int_equal(give_award(OTHER_OWNER, &one, 1, 2), 0);
	assert_int_equal(lan_alive(&lan, 1), 1);
	end();
}

static void test_a_tender_that_is_awarded_here_already_gets_no_second_bid(void **state)
{
	(void)state;
	begin();
	assert_int_equal(give_tender(OTHER_OWNER, &one), 0);
	assert_int_equal(give_award(OTHER_OWNER, &one, 1, 2), 0);
	assert_int_equal(give_tender(OWNER, &one), MARKET_E_DUPLICATE);
	assert_int_equal(usage().holds, 0);
	end();
}

static void test_a_repeated_award_is_answered_again_and_starts_nothing(void **state)
{
	(void)state;
	begin();
	assert_int_equal(give_tender(OWNER, &one), 0);
	assert_int_equal(give_award(OWNER, &one, 1, 1), 0);
	assert_int_equal(give_award(OWNER, &one, 1, 1), MARKET_E_DUPLICATE);
	assert_int_equal(lan.pod_count, 1);
	/* Another pod under the same tender is no repetition. */
	assert_int_equal(give_award(OWNER, &one, 1, 9), MARKET_E_NO_BID);
	assert_int_equal(lan.pod_count, 1);
	end();
}

static void test_a_repeated_tender_repeats_the_bid_but_prolongs_nothing(void **state)
{
	(void)state;
	begin();
	assert_int_equal(give_tender(OWNER, &one), 0);
	lan_run(&lan, MARKET_HOLD_MS - 1);
	assert_int_equal(give_tender(OWNER, &one), MARKET_E_DUPLICATE);
	assert_int_equal(usage().holds, 1);
	lan_run(&lan, 1);
	assert_int_equal(usage().holds, 0);
	end();
}

static void test_manifest_and_tender_must_be_those_announced(void **state)
{
	struct message message;

	(void)state;
	begin();
	assert_int_equal(give_tender(OWNER, &one), 0);
	message = award_message(&one, 1, 1);
	message.award.manifest.ptr[0] ^= 1;
	assert_int_equal(lan_deliver(&lan, OWNER, WINNER, &message), MARKET_E_DIGEST);
	message_deinit(&message);
	assert_int_equal(usage().holds, 0);
	end();

	begin();
	assert_int_equal(give_tender(OWNER, &one), 0);
	message = award_message(&one, 1, 1);
	message.award.tender_envelope.ptr[0] ^= 1;
	assert_int_equal(lan_deliver(&lan, OWNER, WINNER, &message), MARKET_E_DIGEST);
	message_deinit(&message);
	assert_int_equal(lan.pod_count, 0);
	end();
}

static void test_an_award_must_lie_inside_its_bid(void **state)
{
	struct message message;

	(void)state;
	begin();
	assert_int_equal(give_tender(OWNER, &one), 0);
	message = award_message(&one, 1, 1);
	message.award.assignments[0].slot = 7;
	assert_int_equal(lan_deliver(&lan, OWNER, WINNER, &message), MARKET_E_NO_BID);
	message_deinit(&message);
	end();

	begin();
	assert_int_equal(give_tender(OWNER, &four), 0);
	message = award_message(&four, 2, 1);
	message.award.assignments[1].slot = message.award.assignments[0].slot;
	assert_int_equal(lan_deliver_as(&lan, OWNER, WINNER, &message, false), MARKET_E_NO_BID);
	message_deinit(&message);
	end();

	begin();
	assert_int_equal(give_tender(OWNER, &four), 0);
	message = award_message(&four, 1, 1);
	message.award.winner = lan.ids[OWNER];
	assert_int_equal(lan_deliver(&lan, OWNER, WINNER, &message), MARKET_E_NOT_OWNER);
	assert_int_equal(usage().holds, 1);
	message_deinit(&message);
	end();
}

static void test_a_part_of_the_copies_may_be_awarded(void **state)
{
	(void)state;
	begin();
	assert_int_equal(give_tender(OWNER, &four), 0);
	assert_int_equal(give_award(OWNER, &four, 2, 1), 0);
	assert_int_equal(usage().pods, 2);
	assert_int_equal(usage().cpu_milli, 200);
	end();
}

static void test_roles_and_tombstones_are_respected(void **state)
{
	(void)state;
	begin();
	lan.not_steward = true;
	assert_int_equal(give_tender(OWNER, &one), MARKET_E_ROLE);
	lan.not_steward = false;
	lan.deleted = true;
	assert_int_equal(give_tender(OWNER, &one), MARKET_E_DELETED);
	lan.deleted = false;
	assert_int_equal(give_tender(OWNER, &one), 0);
	lan.deleted = true;
	assert_int_equal(give_award(OWNER, &one, 1, 1), MARKET_E_DELETED);
	lan.deleted = false;
	assert_int_equal(give_tender(OTHER_OWNER, &one), 0);
	lan.not_steward = true;
	assert_int_equal(give_award(OTHER_OWNER, &one, 1, 1), MARKET_E_ROLE);
	assert_int_equal(lan.pod_count, 0);
	assert_int_equal(usage().holds, 0);
	end();
}

/* A machine that was away has a pod in the slot, which its owner does not know yet. */
static void test_a_slot_that_runs_here_already_is_not_taken_again(void **state)
{
	(void)state;
	begin();
	assert_int_equal(give_tender(OWNER, &one), 0);
	lan.runs = true;
	assert_int_equal(give_award(OWNER, &one, 1, 1), MARKET_E_NO_BID);
	lan.runs = false;
	assert_int_equal(lan.pod_count, 0);
	assert_int_equal(usage().pods, 0);
	assert_int_equal(usage().holds, 0);
	end();
}

static void test_a_release_gives_the_hold_back(void **state)
{
	(void)state;
	begin();
	assert_int_equal(give_plain(MESSAGE_RELEASE, &one), MARKET_E_UNKNOWN);
	assert_int_equal(give_tender(OWNER, &one), 0);
	assert_int_equal(give_plain(MESSAGE_RELEASE, &one), 0);
	assert_int_equal(usage().holds, 0);
	assert_int_equal(give_plain(MESSAGE_RELEASE, &one), MARKET_E_DUPLICATE);
	assert_int_equal(give_award(OWNER, &one, 1, 1), MARKET_E_NO_BID);
	end();
}

static void test_a_release_that_was_overtaken_by_an_award_does_no_harm(void **state)
{
	(void)state;
	begin();
	assert_int_equal(give_tender(OWNER, &one), 0);
	assert_int_equal(give_award(OWNER, &one, 1, 1), 0);
	assert_int_equal(give_plain(MESSAGE_RELEASE, &one), MARKET_E_LATE);
	assert_int_equal(lan_alive(&lan, 1), 1);
	end();
}

static int give_cancel(const struct lan_tender *tender, uint8_t pod)
{
	struct message message = {.type = MESSAGE_CANCEL};
	int r;

	message.cancel.tender_id = lan_tender_id(tender);
	message.cancel.pods = mem_new(struct uid);
	message.cancel.pods[0] = pod_uid(pod);
	message.cancel.pod_count = 1;
	r = lan_deliver(&lan, OWNER, WINNER, &message);
	message_deinit(&message);
	return r;
}

static void test_a_cancel_stops_the_pods_it_names(void **state)
{
	(void)state;
	begin();
	assert_int_equal(give_tender(OWNER, &four), 0);
	assert_int_equal(give_award(OWNER, &four, 2, 1), 0);
	assert_int_equal(give_plain(MESSAGE_AWARD_CONFIRM, &four), 0);
	assert_int_equal(give_cancel(&four, 2), 0);
	lan_run(&lan, 1000);
	assert_int_equal(lan_alive(&lan, 1), 1);
	assert_int_equal(lan_alive_in_slot(&lan, 1, 0), 1);
	assert_int_equal(usage().pods, 1);
	end();
}

static void test_a_cancel_that_overtook_its_award_defeats_it(void **state)
{
	(void)state;
	begin();
	assert_int_equal(give_tender(OWNER, &one), 0);
	assert_int_equal(give_cancel(&one, 1), 0);
	assert_int_equal(usage().holds, 0);
	assert_int_equal(give_award(OWNER, &one, 1, 1), MARKET_E_LATE);
	assert_int_equal(lan.pod_count, 0);
	end();
}

static void test_holds_are_overbooked_and_the_award_decides(void **state)
{
	struct lan_tender big = {.object = 1, .count = 1, .cpu_milli = 1000};

	(void)state;
	begin();
	for (uint8_t i = 0; i < MARKET_OVERBOOK; i++) {
		big.object = (uint8_t)(i + 1);
		assert_int_equal(give_tender(OWNER, &big), 0);
	}
	big.object = 9;
	assert_int_equal(give_tender(OWNER, &big), MARKET_E_EXCLUDED);
	big.object = 1;
	assert_int_equal(give_award(OWNER, &big, 1, 1), 0);
	big.object = 2;
	assert_int_equal(give_award(OWNER, &big, 1, 2), MARKET_E_FULL);
	assert_int_equal(usage().cpu_milli, 1000);
	end();
}

static void test_one_owner_cannot_pin_more_than_its_quota(void **state)
{
	struct lan_tender tiny = {.object = 1, .count = 1, .cpu_milli = 1};
	struct market_machine machine = lan_machine(1000000, 1LL << 40);

	(void)state;
	begin();
	lan.tell = false;
	machine.pods_max = 100000;
	market_set_machine(lan.markets[WINNER], lan.now, &machine);
	for (uint32_t i = 0; i < MARKET_HOLDS_PER_OWNER_MAX; i++) {
		tiny.attempt = i;
		assert_int_equal(give_tender(OWNER, &tiny), 0);
	}
	tiny.attempt++;
	assert_int_equal(give_tender(OWNER, &tiny), MARKET_E_FULL);
	assert_int_equal(give_tender(OTHER_OWNER, &tiny), 0);
	/* All of it is forgotten again. */
	lan_run(&lan, 2 * (MARKET_HOLD_MS + MARKET_REASSIGN_MS));
	assert_int_equal(usage().holds, 0);
	assert_int_equal(give_tender(OWNER, &tiny), 0);
	end();
}

static void test_a_machine_bids_only_on_what_it_can_run(void **state)
{
	static const char *const engines[] = {"crun"};
	static char key[] = "disk", value[] = "ssd";
	static struct label labels[] = {{key, value}};
	struct market_machine machine = {.cpu_milli = 1000,
					 .memory_bytes = 1LL << 30,
					 .pods_max = 1,
					 .schedulable = true,
					 .labels = labels,
					 .label_count = 1,
					 .engines = engines,
					 .engine_count = 1,
					 .architecture = "amd64"};
	struct message message;
	struct requirements *needs;
	const struct {
		const char *engine, *architecture, *key, *value;
		int64_t cpu_milli, memory_bytes;
		int outcome;
	} cases[] = {
		{"", "", NULL, NULL, 1000, 1 << 30, 0},
		{"crun", "amd64", "disk", "ssd", 1, 1, 0},
		{"", "", NULL, NULL, 1001, 1, MARKET_E_EXCLUDED},
		{"", "", NULL, NULL, 1, (1LL << 30) + 1, MARKET_E_EXCLUDED},
		{"", "", NULL, NULL, -1, 1, MARKET_E_EXCLUDED},
		{"krun", "", NULL, NULL, 1, 1, MARKET_E_EXCLUDED},
		{"", "arm64", NULL, NULL, 1, 1, MARKET_E_EXCLUDED},
		{"", "", "disk", "hdd", 1, 1, MARKET_E_EXCLUDED},
		{"", "", "gpu", "", 1, 1, MARKET_E_EXCLUDED},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		begin();
		market_set_machine(lan.markets[WINNER], lan.now, &machine);
		message = tender_message(&one);
		needs = &message.tender.needs;
		free(needs->engine);
		free(needs->architecture);
		needs->engine = mem_strdup(cases[i].engine);
		needs->architecture = mem_strdup(cases[i].architecture);
		needs->cpu_milli = cases[i].cpu_milli;
		needs->memory_bytes = cases[i].memory_bytes;
		if (cases[i].key) {
			needs->labels = mem_new(struct label);
			needs->labels[0].key = mem_strdup(cases[i].key);
			needs->labels[0].value = mem_strdup(cases[i].value);
			needs->label_count = 1;
		}
		assert_int_equal(lan_deliver_as(&lan, OWNER, WINNER, &message, false),
				 cases[i].outcome);
		message_deinit(&message);
		end();
	}
}

static void test_an_unschedulable_or_excluded_machine_declines(void **state)
{
	struct market_machine machine = lan_machine(1000, 1LL << 30);
	struct lan_tender tender = one;

	(void)state;
	begin();
	tender.excluded = &lan.ids[WINNER];
	assert_int_equal(give_tender(OWNER, &tender), MARKET_E_EXCLUDED);
	machine.schedulable = false;
	market_set_machine(lan.markets[WINNER], lan.now, &machine);
	assert_int_equal(give_tender(OWNER, &one), MARKET_E_EXCLUDED);
	assert_int_equal(usage().holds, 0);
	end();
}

static void test_a_reservation_lowers_the_offer_and_expires(void **state)
{
	struct lan_tender big = {.object = 1, .count = 1, .cpu_milli = 600};
	uint64_t id;

	(void)state;
	begin();
	assert_int_equal(market_reserve(lan.markets[WINNER], lan.now, 1001, 0, 1000), 0);
	id = market_reserve(lan.markets[WINNER], lan.now, 500, 1 << 20, 1000);
	assert_int_not_equal(id, 0);
	assert_int_equal(usage().cpu_milli, 500);
	assert_int_equal(give_tender(OWNER, &big), MARKET_E_EXCLUDED);
	lan_run(&lan, 1000);
	assert_int_equal(usage().cpu_milli, 0);
	assert_int_equal(give_tender(OWNER, &big), 0);
	id = market_reserve(lan.markets[WINNER], lan.now, 500, 1 << 20, 1000);
	market_unreserve(lan.markets[WINNER], lan.now, id);
	assert_int_equal(usage().cpu_milli, 0);
	end();
}

static void test_recovered_pods_count_until_they_end(void **state)
{
	struct requirements needs = {.cpu_milli = 950, .memory_bytes = 1 << 20};
	struct uid pod = pod_uid(1);
	struct object_ref object = {.uid = lan_object(1)};

	(void)state;
	begin();
	market_pod_recovered(lan.markets[WINNER], &pod, &object, &needs);
	market_pod_recovered(lan.markets[WINNER], &pod, &object, &needs);
	assert_int_equal(usage().cpu_milli, 950);
	assert_int_equal(market_resident(lan.markets[WINNER], &object.uid), 1);
	assert_int_equal(give_tender(OWNER, &one), MARKET_E_EXCLUDED);
	market_pod_ended(lan.markets[WINNER], lan.now, &pod);
	market_pod_ended(lan.markets[WINNER], lan.now, &pod);
	assert_int_equal(usage().cpu_milli, 0);
	assert_int_equal(give_tender(OWNER, &one), 0);
	end();
}

static void test_a_higher_priority_evicts_and_starts_when_there_is_room(void **state)
{
	struct lan_tender low = {.object = 1, .count = 1, .cpu_milli = 800, .preemptible = true};
	struct lan_tender high = {.object = 2, .count = 1, .cpu_milli = 800, .priority = 10};
	struct lan_tender same = {.object = 3, .count = 1, .cpu_milli = 800};

	(void)state;
	begin();
	lan.stop_us = 300 * US_PER_MS;
	assert_int_equal(give_tender(OWNER, &low), 0);
	assert_int_equal(give_award(OWNER, &low, 1, 1), 0);
	assert_int_equal(give_plain(MESSAGE_AWARD_CONFIRM, &low), 0);
	lan_run(&lan, 100);
	assert_int_equal(give_tender(OWNER, &same), MARKET_E_EXCLUDED);
	assert_int_equal(give_tender(OWNER, &high), 0);
	assert_int_equal(give_award(OWNER, &high, 1, 2), 0);
	assert_int_equal(give_plain(MESSAGE_AWARD_CONFIRM, &high), 0);
	assert_int_equal(lan_alive(&lan, 1), 0);
	lan_run(&lan, 299);
	assert_int_equal(lan.pod_count, 1); /* its victim is still leaving */
	assert_int_equal(usage().cpu_milli, 800);
	lan_run(&lan, 1);
	assert_int_equal(lan_alive(&lan, 2), 1);
	assert_int_equal(usage().cpu_milli, 800);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_award_within_its_hold_starts_and_is_confirmed),
		cmocka_unit_test(test_an_award_past_its_hold_is_refused),
		cmocka_unit_test(test_an_award_nobody_bid_for_is_refused),
		cmocka_unit_test(test_an_unconfirmed_award_stops_itself),
		cmocka_unit_test(test_of_two_owners_of_one_tender_id_one_gets_the_machine),
		cmocka_unit_test(
			test_an_owner_that_released_its_bid_still_places_the_slots_elsewhere),
		cmocka_unit_test(test_the_other_owner_may_place_what_the_first_let_lapse),
		cmocka_unit_test(test_a_tender_that_is_awarded_here_already_gets_no_second_bid),
		cmocka_unit_test(test_a_repeated_award_is_answered_again_and_starts_nothing),
		cmocka_unit_test(test_a_repeated_tender_repeats_the_bid_but_prolongs_nothing),
		cmocka_unit_test(test_manifest_and_tender_must_be_those_announced),
		cmocka_unit_test(test_an_award_must_lie_inside_its_bid),
		cmocka_unit_test(test_a_part_of_the_copies_may_be_awarded),
		cmocka_unit_test(test_roles_and_tombstones_are_respected),
		cmocka_unit_test(test_a_slot_that_runs_here_already_is_not_taken_again),
		cmocka_unit_test(test_a_release_gives_the_hold_back),
		cmocka_unit_test(test_a_release_that_was_overtaken_by_an_award_does_no_harm),
		cmocka_unit_test(test_a_cancel_stops_the_pods_it_names),
		cmocka_unit_test(test_a_cancel_that_overtook_its_award_defeats_it),
		cmocka_unit_test(test_holds_are_overbooked_and_the_award_decides),
		cmocka_unit_test(test_one_owner_cannot_pin_more_than_its_quota),
		cmocka_unit_test(test_a_machine_bids_only_on_what_it_can_run),
		cmocka_unit_test(test_an_unschedulable_or_excluded_machine_declines),
		cmocka_unit_test(test_a_reservation_lowers_the_offer_and_expires),
		cmocka_unit_test(test_recovered_pods_count_until_they_end),
		cmocka_unit_test(test_a_higher_priority_evicts_and_starts_when_there_is_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
