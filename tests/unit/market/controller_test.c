/* SPDX-License-Identifier: Apache-2.0 */
#include "market/controller.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum {
	PODS_MAX = 8,
};

/* One object under one controller, and the pods that it is shown. */
struct stage {
	struct controller *controller;
	struct mono now;
	struct presence presences[PODS_MAX];
	struct controller_pod pods[PODS_MAX];
	struct controller_view view;
};

static struct stage stage_of(uint32_t replicas)
{
	struct stage stage = {.controller = controller_new(7)};

	memset(stage.view.object.uid.byte, 9, UID_LEN);
	stage.view.generation = 1;
	stage.view.replicas = replicas;
	return stage;
}

static struct presence *stage_pod(struct stage *stage, uint32_t slot)
{
	size_t i = stage->view.pod_count++;
	struct presence *presence = &stage->presences[i];

	memset(presence->pod_uid.byte, (int)i + 1, UID_LEN);
	presence->slot = slot;
	presence->phase = POD_RUNNING;
	presence->ready = true;
	presence->started_ms = 1000 + (int64_t)i;
	stage->pods[i].machine_alive = true;
	return presence;
}

static const struct controller_effect *stage_show(struct stage *stage)
{
	for (size_t i = 0; i < stage->view.pod_count; i++)
		stage->pods[i].presence = &stage->presences[i];
	stage->view.pods = stage->pods;
	controller_show(stage->controller, stage->now, &stage->view);
	return controller_next_effect(stage->controller);
}

static void stage_wait(struct stage *stage, int64_t ms)
{
	stage->now = mono_add_ms(stage->now, ms);
}

static void stage_close(struct stage *stage, const uint32_t *unplaced, size_t count)
{
	controller_closed(stage->controller, stage->now, &stage->view.object.uid, unplaced, count);
}

static struct node_id machine(uint8_t name)
{
	struct node_id id;

	memset(id.byte, name, sizeof(id.byte));
	return id;
}

static void test_missing_slots_are_tendered_once(void **state)
{
	struct stage stage = stage_of(3);
	const struct controller_effect *effect;

	(void)state;
	stage_pod(&stage, 1);
	effect = stage_show(&stage);
	assert_non_null(effect);
	assert_int_equal(effect->type, CONTROLLER_TENDER);
	assert_int_equal(effect->slot_count, 2);
	assert_int_equal(effect->slots[0], 0);
	assert_int_equal(effect->slots[1], 2);
	assert_int_equal(effect->attempt, 0);
	assert_null(controller_next_effect(stage.controller));
	assert_null(stage_show(&stage));
	controller_free(stage.controller);
}

static void test_a_placed_slot_is_pending_until_its_presence_or_15_s(void **state)
{
	struct stage stage = stage_of(1);
	struct uid pod = {.byte = {1}};
	const struct controller_effect *effect;

	(void)state;
	assert_non_null(stage_show(&stage));
	controller_placed(stage.controller, stage.now, &stage.view.object.uid, 0, &pod);
	stage_close(&stage, NULL, 0);
	stage_wait(&stage, CONTROLLER_PENDING_MS - 1);
	assert_null(stage_show(&stage));
	assert_true(controller_deadline(stage.controller).us == stage.now.us + US_PER_MS);
	stage_wait(&stage, 1);
	effect = stage_show(&stage);
	assert_non_null(effect);
	assert_int_equal(effect->attempt, 1);
	controller_free(stage.controller);
}

static void test_what_fits_nowhere_backs_off_and_is_woken(void **state)
{
	static const uint32_t slot0[] = {0};
	struct stage stage = stage_of(1);
	int64_t last_us = 0;

	(void)state;
	for (int i = 0; i < 12; i++) {
		int64_t wait_us;

		assert_non_null(stage_show(&stage));
		stage_close(&stage, slot0, 1);
		assert_null(stage_show(&stage));
		wait_us = controller_deadline(stage.controller).us - stage.now.us;
		assert_true(wait_us <= CONTROLLER_RETRY_MAX_MS * US_PER_MS * 5LL / 4);
		assert_true(wait_us >= CONTROLLER_RETRY_MIN_MS * US_PER_MS * 3LL / 4);
		last_us = wait_us;
		stage.now = controller_deadline(stage.controller);
	}
	assert_true(last_us >= CONTROLLER_RETRY_MAX_MS * US_PER_MS * 3LL / 4);
	assert_non_null(stage_show(&stage));
	stage_close(&stage, slot0, 1);
	assert_null(stage_show(&stage));
	stage_wait(&stage, CONTROLLER_RETRY_MIN_MS);
	assert_null(stage_show(&stage));
	controller_wake(stage.controller, stage.now, NULL);
	assert_true(mono_reached(stage.now, controller_deadline(stage.controller)));
	assert_non_null(stage_show(&stage));
	controller_free(stage.controller);
}

static void test_slots_that_failed_together_are_tried_together(void **state)
{
	static const uint32_t slots[] = {0, 1, 2};
	struct stage stage = stage_of(3);
	const struct controller_effect *effect;

	(void)state;
	for (int i = 0; i < 5; i++) {
		effect = stage_show(&stage);
		assert_non_null(effect);
		assert_int_equal(effect->slot_count, 3);
		stage_close(&stage, slots, 3);
		assert_null(stage_show(&stage));
		stage.now = controller_deadline(stage.controller);
	}
	controller_free(stage.controller);
}

static void test_a_slot_lost_anew_does_not_wait_for_another_slots_back_off(void **state)
{
	static const uint32_t slot1[] = {1};
	struct stage stage = stage_of(2);
	const struct controller_effect *effect;

	(void)state;
	stage_pod(&stage, 0);
	assert_non_null(stage_show(&stage));
	stage_close(&stage, slot1, 1);
	assert_null(stage_show(&stage));
	stage.pods[0].machine_alive = false;
	effect = stage_show(&stage);
	assert_non_null(effect);
	assert_int_equal(effect->slot_count, 1);
	assert_int_equal(effect->slots[0], 0);
	controller_free(stage.controller);
}

static void test_a_failing_machine_is_passed_over_but_never_the_only_choice(void **state)
{
	static const uint32_t slot0[] = {0};
	struct stage stage = stage_of(1);
	const struct controller_effect *effect;
	struct node_id bad = machine(5);

	(void)state;
	assert_non_null(stage_show(&stage));
	controller_failed(stage.controller, stage.now, &stage.view.object.uid, 0, &bad);
	stage_close(&stage, slot0, 1);
	assert_null(stage_show(&stage));
	stage.now = controller_deadline(stage.controller);
	effect = stage_show(&stage);
	assert_int_equal(effect->excluded_count, 1);
	assert_true(node_id_equal(&effect->excluded[0], &bad));
	/* Nobody else could take it: the next attempt excludes nobody. */
	stage_close(&stage, slot0, 1);
	assert_null(stage_show(&stage));
	stage.now = controller_deadline(stage.controller);
	effect = stage_show(&stage);
	assert_int_equal(effect->excluded_count, 0);
	controller_free(stage.controller);
}

/* Its end makes room on the machine where it failed: that must not bring it there at once again. */
static void test_room_where_a_pod_has_failed_wakes_nobody(void **state)
{
	struct stage stage = stage_of(1);
	struct node_id bad = {{1}}, other = {{2}};
	const uint32_t slot0[] = {0};
	struct mono due;

	(void)state;
	assert_non_null(stage_show(&stage));
	for (int i = 0; i < 6; i++) { /* the pauses grow longer */
		controller_failed(stage.controller, stage.now, &stage.view.object.uid, 0, &bad);
		stage_close(&stage, slot0, 1);
		(void)stage_show(&stage);
		stage.now = controller_deadline(stage.controller);
	}
	controller_failed(stage.controller, stage.now, &stage.view.object.uid, 0, &bad);
	(void)stage_show(&stage);
	due = controller_deadline(stage.controller);
	assert_true(due.us > stage.now.us + 2 * CONTROLLER_RETRY_MIN_MS * US_PER_MS);
	controller_wake(stage.controller, stage.now, &bad);
	assert_true(controller_deadline(stage.controller).us == due.us);
	controller_wake(stage.controller, stage.now, &other);
	assert_true(controller_deadline(stage.controller).us < due.us);
	controller_free(stage.controller);
}

static void test_surplus_is_stopped_after_it_was_seen_for_5_s(void **state)
{
	struct stage stage = stage_of(1);
	const struct controller_effect *effect;

	(void)state;
	stage_pod(&stage, 0)->ready = false; /* started first, but not ready */
	stage_pod(&stage, 0);
	stage_pod(&stage, 0); /* started last */
	assert_null(stage_show(&stage));
	assert_true(controller_deadline(stage.controller).us == CONTROLLER_SURPLUS_MS * US_PER_MS);
	stage_wait(&stage, CONTROLLER_SURPLUS_MS);
	effect = stage_show(&stage);
	assert_int_equal(effect->type, CONTROLLER_STOP);
	assert_true(uid_equal(&effect->pod_uid, &stage.presences[0].pod_uid));
	effect = controller_next_effect(stage.controller);
	assert_int_equal(effect->type, CONTROLLER_STOP);
	assert_true(uid_equal(&effect->pod_uid, &stage.presences[2].pod_uid));
	assert_null(controller_next_effect(stage.controller));
	/* They are told once, and again only if it had no effect. */
	assert_null(stage_show(&stage));
	stage.presences[0].terminating = stage.presences[2].terminating = true;
	stage_wait(&stage, CONTROLLER_SURPLUS_MS);
	assert_null(stage_show(&stage));
	controller_free(stage.controller);
}

/* The older one may be on a machine that is lost, which nobody has noticed yet. */
static void test_nothing_is_stopped_for_the_sake_of_a_silent_machine(void **state)
{
	struct stage stage = stage_of(1);
	const struct controller_effect *effect;

	(void)state;
	(void)stage_pod(&stage, 0);
	(void)stage_pod(&stage, 0); /* started later */
	stage.pods[0].machine_silent = true;
	for (int i = 0; i < 3; i++) {
		assert_null(stage_show(&stage));
		assert_int_equal(controller_deadline(stage.controller).us,
				 mono_add_ms(stage.now, CONTROLLER_SURPLUS_MS).us);
		stage_wait(&stage, CONTROLLER_SURPLUS_MS);
	}
	stage.pods[0].machine_silent = false;
	assert_null(stage_show(&stage));
	stage_wait(&stage, CONTROLLER_SURPLUS_MS);
	effect = stage_show(&stage);
	assert_non_null(effect);
	assert_int_equal(effect->type, CONTROLLER_STOP);
	assert_true(uid_equal(&effect->pod_uid, &stage.presences[1].pod_uid));
	controller_free(stage.controller);
}

/* The same of more pods than replicas, in whichever slots. */
static void test_a_silent_machine_does_not_count_as_too_many(void **state)
{
	struct stage stage = stage_of(2);
	const struct controller_effect *effect;

	(void)state;
	for (uint32_t slot = 0; slot < 4; slot++)
		(void)stage_pod(&stage, slot);
	stage.pods[0].machine_silent = true;
	assert_null(stage_show(&stage));
	stage_wait(&stage, CONTROLLER_SURPLUS_MS);
	effect = stage_show(&stage);
	assert_non_null(effect);
	assert_true(uid_equal(&effect->pod_uid, &stage.presences[3].pod_uid));
	assert_null(controller_next_effect(stage.controller));
	controller_free(stage.controller);
}

static void test_fewer_replicas_stop_those_not_ready_then_the_youngest_at_once(void **state)
{
	struct stage stage = stage_of(4);
	const struct controller_effect *effect;

	(void)state;
	for (uint32_t i = 0; i < 4; i++)
		stage_pod(&stage, i);
	stage.presences[0].ready = false;
	stage.presences[1].started_ms = 1000000; /* the youngest */
	assert_null(stage_show(&stage));
	stage.view.replicas = 2;
	stage.view.generation++;
	effect = stage_show(&stage);
	assert_int_equal(effect->type, CONTROLLER_STOP);
	assert_true(uid_equal(&effect->pod_uid, &stage.presences[0].pod_uid) ||
		    uid_equal(&effect->pod_uid, &stage.presences[1].pod_uid));
	assert_string_equal(effect->text, "more pods than replicas");
	effect = controller_next_effect(stage.controller);
	assert_int_equal(effect->type, CONTROLLER_STOP);
	assert_null(controller_next_effect(stage.controller));
	stage.presences[0].terminating = stage.presences[1].terminating = true;
	assert_null(stage_show(&stage));
	/* Those of slots 2 and 3 stay; one that is lost then gets the first slot. */
	stage.presences[3].terminating = true;
	effect = stage_show(&stage);
	assert_int_equal(effect->type, CONTROLLER_TENDER);
	assert_int_equal(effect->slot_count, 1);
	assert_int_equal(effect->slots[0], 0);
	assert_null(controller_next_effect(stage.controller));
	controller_free(stage.controller);
}

static void test_a_pod_too_many_that_nobody_asked_away_is_watched_first(void **state)
{
	struct stage stage = stage_of(1);
	const struct controller_effect *effect;

	(void)state;
	stage_pod(&stage, 0);
	stage_pod(&stage, 3); /* of a time with more replicas, on the other side of a partition */
	assert_null(stage_show(&stage));
	stage_wait(&stage, CONTROLLER_SURPLUS_MS);
	effect = stage_show(&stage);
	assert_int_equal(effect->type, CONTROLLER_STOP);
	assert_true(uid_equal(&effect->pod_uid, &stage.presences[1].pod_uid));
	assert_null(controller_next_effect(stage.controller));
	controller_free(stage.controller);
}

static void test_zero_replicas_need_nothing(void **state)
{
	struct stage stage = stage_of(0);

	(void)state;
	assert_null(stage_show(&stage));
	assert_true(controller_deadline(stage.controller).us == MONO_NEVER.us);
	controller_free(stage.controller);
}

static void test_a_new_controller_of_an_old_object_waits_first(void **state)
{
	struct stage stage = stage_of(1);

	(void)state;
	stage.view.age_ms = CONTROLLER_SETTLE_MS + 1;
	assert_null(stage_show(&stage));
	assert_true(controller_deadline(stage.controller).us == CONTROLLER_SETTLE_MS * US_PER_MS);
	stage_wait(&stage, CONTROLLER_SETTLE_MS);
	assert_non_null(stage_show(&stage));
	controller_free(stage.controller);
}

static void test_a_failed_pod_is_replaced_except_in_kind_pod(void **state)
{
	struct stage stage = stage_of(1);
	const struct controller_effect *effect;

	(void)state;
	stage_pod(&stage, 0)->phase = POD_FAILED;
	stage.view.single = true;
	assert_null(stage_show(&stage));
	controller_forget(stage.controller, &stage.view.object.uid);
	stage.view.single = false;
	assert_null(stage_show(&stage)); /* it counts as a failed attempt */
	stage.now = controller_deadline(stage.controller);
	effect = stage_show(&stage);
	assert_non_null(effect);
	assert_int_equal(effect->type, CONTROLLER_TENDER);
	/* Its replacement runs: the failed one is surplus now. */
	stage_pod(&stage, 0);
	assert_null(stage_show(&stage));
	stage_wait(&stage, CONTROLLER_SURPLUS_MS);
	effect = stage_show(&stage);
	assert_int_equal(effect->type, CONTROLLER_STOP);
	assert_true(uid_equal(&effect->pod_uid, &stage.presences[0].pod_uid));
	controller_free(stage.controller);
}

static void test_many_replicas_take_one_tender_after_the_other(void **state)
{
	struct stage stage = stage_of(150);
	const struct controller_effect *effect = stage_show(&stage);
	struct uid pod = {.byte = {1}};

	(void)state;
	assert_int_equal(effect->slot_count, MESSAGE_SLOTS_MAX);
	assert_null(stage_show(&stage));
	for (uint32_t i = 0; i < MESSAGE_SLOTS_MAX; i++)
		controller_placed(stage.controller, stage.now, &stage.view.object.uid, i, &pod);
	stage_close(&stage, NULL, 0);
	assert_true(mono_reached(stage.now, controller_deadline(stage.controller)));
	effect = stage_show(&stage);
	assert_int_equal(effect->slots[0], MESSAGE_SLOTS_MAX);
	assert_int_equal(effect->slot_count, MESSAGE_SLOTS_MAX);
	controller_free(stage.controller);
}

static void test_due_objects_are_named_until_they_are_shown(void **state)
{
	struct stage stage = stage_of(1);
	struct uid due;
	size_t position = 0;

	(void)state;
	assert_false(controller_due(stage.controller, stage.now, &position, &due));
	assert_non_null(stage_show(&stage));
	stage_close(&stage, NULL, 0);
	position = 0;
	assert_true(controller_due(stage.controller, stage.now, &position, &due));
	assert_true(uid_equal(&due, &stage.view.object.uid));
	assert_false(controller_due(stage.controller, stage.now, &position, &due));
	assert_null(stage_show(&stage));
	position = 0;
	assert_false(controller_due(stage.controller, stage.now, &position, &due));
	controller_free(stage.controller);
}

/* The slots of the tender that is open are placed but for the last @unplaced. */
static void place_but(struct stage *stage, const struct controller_effect *effect, size_t unplaced)
{
	uint32_t left[MESSAGE_SLOTS_MAX];
	size_t placed = effect->slot_count - unplaced;

	for (size_t i = 0; i < effect->slot_count; i++) {
		struct uid pod = {.byte = {1, (uint8_t)effect->slots[i]}};

		if (i < placed)
			controller_placed(stage->controller, stage->now, &stage->view.object.uid,
					  effect->slots[i], &pod);
		else
			left[i - placed] = effect->slots[i];
	}
	stage_close(stage, left, unplaced);
}

static void test_what_waits_behind_a_vain_tender_backs_off_with_it(void **state)
{
	struct stage stage = stage_of(100);
	const struct controller_effect *effect;
	int64_t wait_us;

	(void)state;
	effect = stage_show(&stage);
	assert_int_equal(effect->slot_count, MESSAGE_SLOTS_MAX);
	place_but(&stage, effect, MESSAGE_SLOTS_MAX);
	assert_null(stage_show(&stage));
	wait_us = controller_deadline(stage.controller).us - stage.now.us;
	assert_in_range(wait_us, CONTROLLER_RETRY_MIN_MS * US_PER_MS * 3LL / 4,
			CONTROLLER_RETRY_MIN_MS * US_PER_MS * 5LL / 4);
	stage.now = controller_deadline(stage.controller);
	assert_non_null(stage_show(&stage));
	controller_free(stage.controller);
}

static void test_a_slot_lost_behind_a_vain_tender_is_tried_at_once(void **state)
{
	struct stage stage = stage_of(100);
	const struct controller_effect *effect;

	(void)state;
	stage_pod(&stage, 99);
	effect = stage_show(&stage);
	assert_int_equal(effect->slot_count, MESSAGE_SLOTS_MAX);
	place_but(&stage, effect, MESSAGE_SLOTS_MAX);
	assert_null(stage_show(&stage));
	stage.pods[0].machine_alive = false;
	effect = stage_show(&stage);
	assert_non_null(effect);
	assert_int_equal(effect->slot_count, 1);
	assert_int_equal(effect->slots[0], 99);
	controller_free(stage.controller);
}

static void test_a_tender_that_placed_some_is_followed_by_the_next_at_once(void **state)
{
	struct stage stage = stage_of(4);
	const struct controller_effect *effect;

	(void)state;
	effect = stage_show(&stage);
	place_but(&stage, effect, 3);
	effect = stage_show(&stage);
	assert_non_null(effect);
	assert_int_equal(effect->slot_count, 3);
	assert_int_equal(effect->slots[0], 1);
	controller_free(stage.controller);
}

/* Fifty objects that fit nowhere, shown whenever they are due for a minute. */
static void test_hopeless_objects_take_turns(void **state)
{
	enum { OBJECTS = 50, SECONDS = 60 };
	struct stage stage = stage_of(1);
	const struct controller_effect *effect;
	size_t tenders = 0;

	(void)state;
	for (uint8_t object = 0; object < OBJECTS; object++) {
		memset(stage.view.object.uid.byte, object, UID_LEN);
		effect = stage_show(&stage);
		assert_non_null(effect);
		place_but(&stage, effect, 1);
	}
	while (controller_deadline(stage.controller).us < SECONDS * 1000 * US_PER_MS) {
		struct uid uid;
		size_t position = 0;

		stage.now = controller_deadline(stage.controller);
		while (controller_due(stage.controller, stage.now, &position, &uid)) {
			stage.view.object.uid = uid;
			effect = stage_show(&stage);
			if (!effect)
				continue;
			tenders++;
			place_but(&stage, effect, 1);
		}
	}
	assert_in_range(tenders, SECONDS * 1000 / CONTROLLER_RETRY_INTERVAL_MIN_MS,
			SECONDS * 1000 / CONTROLLER_RETRY_INTERVAL_MIN_MS +
				CONTROLLER_RETRIES_BURST);
	controller_free(stage.controller);
}

/* Ever more objects that fit nowhere stand in line; one of them hears of room. */
static void test_who_hears_of_room_does_not_stand_in_line(void **state)
{
	enum { OBJECTS = 50, WAIT_MS = 2000 };
	struct stage stage = stage_of(1);
	const struct controller_effect *effect;
	size_t position = 0;
	struct uid uid, last;

	(void)state;
	for (uint8_t object = 0; object < OBJECTS; object++) {
		memset(stage.view.object.uid.byte, object, UID_LEN);
		effect = stage_show(&stage);
		assert_non_null(effect);
		place_but(&stage, effect, 1);
	}
	last = stage.view.object.uid;
	stage.now = mono_add_ms(stage.now, WAIT_MS);
	while (controller_due(stage.controller, stage.now, &position, &uid)) {
		stage.view.object.uid = uid;
		effect = stage_show(&stage);
		if (effect)
			place_but(&stage, effect, 1);
	}
	stage.view.object.uid = last;
	controller_wake_object(stage.controller, stage.now, &last);
	assert_non_null(stage_show(&stage));
	controller_free(stage.controller);
}

/* In minutes, on one machine of a fabric of @machines. */
static size_t retries_of(uint64_t machines, int64_t minutes)
{
	struct stage stage = stage_of(1);
	const struct controller_effect *effect;
	size_t tenders = 0;

	stage.view.machines = machines;
	for (uint8_t object = 0; object < 100; object++) {
		memset(stage.view.object.uid.byte, object, UID_LEN);
		effect = stage_show(&stage);
		place_but(&stage, effect, 1);
	}
	while (controller_deadline(stage.controller).us < minutes * 60 * MS_PER_S * US_PER_MS) {
		size_t position = 0;

		stage.now = controller_deadline(stage.controller);
		while (controller_due(stage.controller, stage.now, &position,
				      &stage.view.object.uid)) {
			effect = stage_show(&stage);
			if (!effect)
				continue;
			tenders++;
			place_but(&stage, effect, 1);
		}
	}
	controller_free(stage.controller);
	return tenders - CONTROLLER_RETRIES_BURST;
}

static void test_in_a_larger_fabric_each_machine_tries_again_less_often(void **state)
{
	(void)state;
	assert_in_range(retries_of(1000, 10), 110, 121);
	assert_in_range(retries_of(10000, 10), 9, 13);
	assert_in_range(retries_of(10000000, 10), 8, 11);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_missing_slots_are_tendered_once),
		cmocka_unit_test(test_a_placed_slot_is_pending_until_its_presence_or_15_s),
		cmocka_unit_test(test_what_fits_nowhere_backs_off_and_is_woken),
		cmocka_unit_test(test_slots_that_failed_together_are_tried_together),
		cmocka_unit_test(test_a_slot_lost_anew_does_not_wait_for_another_slots_back_off),
		cmocka_unit_test(test_a_failing_machine_is_passed_over_but_never_the_only_choice),
		cmocka_unit_test(test_room_where_a_pod_has_failed_wakes_nobody),
		cmocka_unit_test(test_surplus_is_stopped_after_it_was_seen_for_5_s),
		cmocka_unit_test(test_nothing_is_stopped_for_the_sake_of_a_silent_machine),
		cmocka_unit_test(test_a_silent_machine_does_not_count_as_too_many),
		cmocka_unit_test(
			test_fewer_replicas_stop_those_not_ready_then_the_youngest_at_once),
		cmocka_unit_test(test_a_pod_too_many_that_nobody_asked_away_is_watched_first),
		cmocka_unit_test(test_zero_replicas_need_nothing),
		cmocka_unit_test(test_a_new_controller_of_an_old_object_waits_first),
		cmocka_unit_test(test_a_failed_pod_is_replaced_except_in_kind_pod),
		cmocka_unit_test(test_many_replicas_take_one_tender_after_the_other),
		cmocka_unit_test(test_what_waits_behind_a_vain_tender_backs_off_with_it),
		cmocka_unit_test(test_a_slot_lost_behind_a_vain_tender_is_tried_at_once),
		cmocka_unit_test(test_a_tender_that_placed_some_is_followed_by_the_next_at_once),
		cmocka_unit_test(test_hopeless_objects_take_turns),
		cmocka_unit_test(test_who_hears_of_room_does_not_stand_in_line),
		cmocka_unit_test(test_in_a_larger_fabric_each_machine_tries_again_less_often),
		cmocka_unit_test(test_due_objects_are_named_until_they_are_shown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
