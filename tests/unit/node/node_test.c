/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "identity/derive.h"
#include "identity/sha256.h"
#include "market/tender.h"
#include "world.h"

static uint64_t count_of(const struct world *world, size_t machine, enum node_counter counter)
{
	return node_counter(world->machines[machine].node, counter);
}

static void expect_running(struct world *world, const struct uid *uid, size_t pods, size_t machines)
{
	for (size_t i = 0; i < world->count; i++) {
		size_t on;

		if (!world->machines[i].up)
			continue;
		assert_int_equal(world_running(world, i, uid, &on), pods);
		assert_int_equal(on, machines);
	}
}

static void test_three_replicas_run_on_three_machines(void **state)
{
	struct world *world = world_new(3);
	struct uid uid;

	world_settle(world);
	uid = world_deploy(world, 0, 3);
	world_run_ms(world, 1000);
	expect_running(world, &uid, 3, 3);
	assert_in_range(world->machines[0].stored, 2, 3);
	assert_int_equal(world->machines[0].keepers, 3);
	world_free(world);
}

static void test_a_fabric_of_one_runs_its_own_work(void **state)
{
	struct world *world = world_new(1);
	struct uid uid;

	world_settle(world);
	uid = world_deploy(world, 0, 2);
	world_run_ms(world, 1000);
	expect_running(world, &uid, 2, 1);
	world_free(world);
}

static void test_seven_replicas_on_three_machines_are_spread_evenly(void **state)
{
	struct world *world = world_new(3);
	struct uid uid;

	world_settle(world);
	uid = world_deploy(world, 1, 7);
	world_run_ms(world, 2000);
	expect_running(world, &uid, 7, 3);
	for (size_t i = 0; i < 3; i++)
		assert_in_range(world->machines[i].starts, 2, 3);
	world_free(world);
}

static void test_a_deleted_workload_leaves_nothing(void **state)
{
	struct world *world = world_new(3);
	struct uid uid;

	world_settle(world);
	uid = world_deploy(world, 0, 3);
	world_run_ms(world, 1000);
	world_delete(world, 2, &uid);
	world_run_ms(world, 1000);
	for (size_t i = 0; i < 3; i++) {
		const struct records *records = node_records(world->machines[i].node);

		assert_null(records_find(records, "default", "ReplicaSet", "web"));
		assert_int_equal(records_count(records, RECORD_PRESENCE), 0);
		assert_int_equal(market_usage(node_market(world->machines[i].node)).pods, 0);
		assert_int_equal(market_usage(node_market(world->machines[i].node)).holds, 0);
	}
	world_free(world);
}

static void test_a_lost_machines_pod_is_replaced_once(void **state)
{
	struct world *world = world_new(4);
	struct uid uid;
	size_t starts = 0;

	world_settle(world);
	uid = world_deploy(world, 0, 3);
	world_run_ms(world, 1000);
	for (size_t i = 0; i < 4; i++)
		if (world->machines[i].starts) {
			world_crash(world, i);
			break;
		}
	world_run_ms(world, 40000);
	expect_running(world, &uid, 3, 3);
	for (size_t i = 0; i < 4; i++)
		starts += world->machines[i].starts;
	assert_int_equal(starts, 4);
	world_free(world);
}

static void test_a_machine_that_is_no_steward_cannot_write_place_or_delete(void **state)
{
	struct world *world = world_new(3);
	struct message disposal = {.type = MESSAGE_DISPOSAL}, tender = {.type = MESSAGE_TENDER};
	struct buf envelope = {0};
	struct uid uid;

	world->machines[2].steward = false;
	world_settle(world);
	uid = world_deploy(world, 0, 3);
	world_run_ms(world, 1000);
	expect_running(world, &uid, 3, 3);

	disposal.disposal.object = (struct object_ref){.uid = uid,
						       .namespace = (char[]){"default"},
						       .kind = (char[]){"ReplicaSet"},
						       .name = (char[]){"web"}};
	world_seal(world, 2, 0, &disposal, &envelope);
	world_inject(world, 2, 1, bytes_buf(&envelope));
	assert_int_equal(count_of(world, 1, NODE_COUNT_ROLE), 1);
	assert_int_equal(world->machines[1].stops, 0);

	tender.tender.object = disposal.disposal.object;
	tender.tender.slots = (uint32_t[]){7};
	tender.tender.slot_count = 1;
	tender.tender.generation = 1;
	tender.tender.needs.engine = (char[]){""};
	tender.tender.needs.architecture = (char[]){""};
	tender.tender.id = tender_id(&uid, 1, 0, tender.tender.slots, 1);
	buf_clear(&envelope);
	world_seal(world, 2, 0, &tender, &envelope);
	world_inject(world, 2, 1, bytes_buf(&envelope));
	assert_int_equal(count_of(world, 1, NODE_COUNT_ROLE), 2);
	buf_deinit(&envelope);
	world_free(world);
}

/* It may say "other" in the message, but the pods it means are of "default". */
static void test_a_steward_ends_nothing_outside_its_namespace(void **state)
{
	struct world *world = world_new(3);
	struct message disposal = {.type = MESSAGE_DISPOSAL}, tombstone = {.type = MESSAGE_RECORD};
	struct record *record = &tombstone.record;
	const struct record_item *item;
	struct buf envelope = {0};
	size_t position = 0;
	struct uid uid;

	world->machines[2].namespace = "other";
	world_settle(world);
	while (world_next_controller(world) == 2)
		world->serial++; /* whose task it is must be a steward of the namespace */
	uid = world_deploy(world, 0, 3);
	world_run_ms(world, 1000);
	expect_running(world, &uid, 3, 3);

	disposal.disposal.object = (struct object_ref){.uid = uid,
						       .namespace = (char[]){"other"},
						       .kind = (char[]){"ReplicaSet"},
						       .name = (char[]){"web"}};
	world_seal(world, 2, 0, &disposal, &envelope);
	world_inject(world, 2, 0, bytes_buf(&envelope));
	world_inject(world, 2, 1, bytes_buf(&envelope));

	while ((item = records_next(node_records(world->machines[0].node), RECORD_PRESENCE, NULL,
				    &uid, &position))) {
		record->key =
			(struct record_key){.kind = RECORD_TOMBSTONE, .uid = item->record.key.sub};
		record->object = disposal.disposal.object;
		record->version.hlc = item->record.version.hlc + 1;
		record->version.digest = sha256(bytes_str(""));
		record->written_ms = node_fabric_time(world->machines[0].node, world->now).ms;
		buf_clear(&envelope);
		world_seal(world, 2, 0, &tombstone, &envelope);
		world_inject(world, 2, 0, bytes_buf(&envelope));
		world_inject(world, 2, 1, bytes_buf(&envelope));
	}
	world_run_ms(world, 1000);
	expect_running(world, &uid, 3, 3);
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(world->machines[i].stops, 0);
	buf_deinit(&envelope);
	world_free(world);
}

/* The disposal names a workload of "default"; its sender is a steward of "other" only. */
static void test_a_disposal_from_another_namespace_does_not_end_the_healing(void **state)
{
	struct world *world = world_new(4);
	struct message disposal = {.type = MESSAGE_DISPOSAL};
	struct buf envelope = {0};
	struct uid uid;

	world->machines[3].namespace = "other";
	world_settle(world);
	uid = world_deploy(world, 0, 2);
	world_run_ms(world, 1000);
	expect_running(world, &uid, 2, 2);

	disposal.disposal.object = (struct object_ref){.uid = uid,
						       .namespace = (char[]){"other"},
						       .kind = (char[]){"ReplicaSet"},
						       .name = (char[]){"web"}};
	world_seal(world, 3, 0, &disposal, &envelope);
	for (size_t i = 0; i < 3; i++)
		world_inject(world, 3, i, bytes_buf(&envelope));
	for (size_t i = 1; i < 3; i++)
		if (world->machines[i].starts) {
			world_crash(world, i);
			break;
		}
	world_run_ms(world, 40000);
	expect_running(world, &uid, 2, 2);
	buf_deinit(&envelope);
	world_free(world);
}

/* A release does not name the machine it was for: handed on, it would free another one's hold. */
static void test_a_direct_message_counts_only_from_its_signer(void **state)
{
	struct world *world = world_new(3);
	struct message release = {.type = MESSAGE_RELEASE};
	struct buf envelope = {0};

	world_settle(world);
	world_seal(world, 0, 0, &release, &envelope);
	world_inject(world, 2, 1, bytes_buf(&envelope));
	assert_int_equal(count_of(world, 1, NODE_COUNT_NOT_OWNER), 1);

	buf_clear(&envelope);
	world_seal(world, 0, 0, &release, &envelope);
	world_inject(world, 0, 1, bytes_buf(&envelope));
	assert_int_equal(count_of(world, 1, NODE_COUNT_NOT_OWNER), 1);
	buf_deinit(&envelope);
	world_free(world);
}

static void test_a_tender_under_another_ones_id_is_refused(void **state)
{
	struct world *world = world_new(2);
	struct message tender = {.type = MESSAGE_TENDER};
	struct buf envelope = {0};
	uint64_t bids;

	world_settle(world);
	tender.tender.object = (struct object_ref){.namespace = (char[]){"default"},
						   .kind = (char[]){"ReplicaSet"},
						   .name = (char[]){"web"}};
	memset(tender.tender.object.uid.byte, 5, UID_LEN);
	tender.tender.generation = 1;
	tender.tender.slots = (uint32_t[]){0};
	tender.tender.slot_count = 1;
	tender.tender.needs.engine = (char[]){""};
	tender.tender.needs.architecture = (char[]){""};
	tender.tender.id = tender_id(&tender.tender.object.uid, 2, 0, tender.tender.slots, 1);
	bids = count_of(world, 1, NODE_COUNT_BIDS_SENT);
	world_seal(world, 0, 0, &tender, &envelope);
	world_inject(world, 0, 1, bytes_buf(&envelope));
	assert_int_equal(count_of(world, 1, NODE_COUNT_AWARD_DIGEST), 1);
	assert_int_equal(count_of(world, 1, NODE_COUNT_BIDS_SENT), bids);

	tender.tender.id = tender_id(&tender.tender.object.uid, 1, 0, tender.tender.slots, 1);
	buf_clear(&envelope);
	world_seal(world, 0, 0, &tender, &envelope);
	world_inject(world, 0, 1, bytes_buf(&envelope));
	assert_int_equal(count_of(world, 1, NODE_COUNT_BIDS_SENT), bids + 1);
	buf_deinit(&envelope);
	world_free(world);
}

/* Field 99 of the message, and a first byte that nobody has given a meaning yet. */
static void test_what_a_later_version_says_is_counted_and_is_no_fault(void **state)
{
	static const uint8_t later[] = {0x08, 0x01, 0x9a, 0x06, 0x00};
	static const uint8_t plain[] = {1, 0x08, 0x01, 0x9a, 0x06, 0x00}, other[] = {9, 0};
	struct world *world = world_new(2);
	struct buf envelope = {0};

	world_settle(world);
	world_packet(world, 0, 1, bytes_of(plain, sizeof(plain)));
	world_packet(world, 0, 1, bytes_of(other, sizeof(other)));
	world_seal_payload(world, 0, 0, bytes_of(later, sizeof(later)), &envelope);
	world_inject(world, 0, 1, bytes_buf(&envelope));
	assert_int_equal(count_of(world, 1, NODE_COUNT_PACKETS_UNKNOWN), 3);
	assert_int_equal(count_of(world, 1, NODE_COUNT_PACKETS_MALFORMED), 0);
	buf_deinit(&envelope);
	world_free(world);
}

static void test_a_tender_counts_once_and_only_while_it_is_fresh(void **state)
{
	struct world *world = world_new(2);
	struct buf tender = {0};
	uint64_t seen;

	world_settle(world);
	(void)world_deploy(world, 0, 1);
	world_run_ms(world, 500);
	buf_append_bytes(&tender, world->machines[0].last_tender.len
					  ? bytes_buf(&world->machines[0].last_tender)
					  : bytes_buf(&world->machines[1].last_tender));
	seen = count_of(world, 1, NODE_COUNT_TENDERS_SEEN);

	world_inject(world, 0, 1, bytes_buf(&tender));
	assert_int_equal(count_of(world, 1, NODE_COUNT_REPLAY), 1);
	assert_int_equal(count_of(world, 1, NODE_COUNT_TENDERS_SEEN), seen);

	tender.ptr[tender.len - 1] ^= 1;
	world_inject(world, 0, 1, bytes_buf(&tender));
	assert_int_equal(count_of(world, 1, NODE_COUNT_SIGNATURE), 1);

	tender.ptr[tender.len - 1] ^= 1;
	world_run_ms(world, 31000);
	world_inject(world, 0, 1, bytes_buf(&tender));
	assert_int_equal(count_of(world, 1, NODE_COUNT_STALE), 1);
	assert_int_equal(count_of(world, 1, NODE_COUNT_TENDERS_SEEN), seen);
	buf_deinit(&tender);
	world_free(world);
}

/* An award whose tender is signed and sound, for which nobody here has bid. */
static void test_an_award_without_a_bid_is_refused(void **state)
{
	struct world *world = world_new(2);
	struct message tender = {.type = MESSAGE_TENDER}, award = {.type = MESSAGE_AWARD};
	struct assignment assignment = {.slot = 0, .pod_name = (char[]){"web-1"}};
	struct buf envelope = {0};
	struct message warrant = {.type = MESSAGE_WARRANT};
	uint32_t slots[] = {0};

	world_settle(world);
	memset(assignment.pod_uid.byte, 9, UID_LEN);
	tender.tender.object = (struct object_ref){.namespace = (char[]){"default"},
						   .kind = (char[]){"ReplicaSet"},
						   .name = (char[]){"web"}};
	memset(tender.tender.object.uid.byte, 5, UID_LEN);
	tender.tender.generation = 1;
	tender.tender.slots = slots;
	tender.tender.slot_count = 1;
	tender.tender.needs.engine = (char[]){""};
	tender.tender.needs.architecture = (char[]){""};
	tender.tender.manifest_digest = sha256(bytes_str("{}"));
	tender.tender.id = tender_id(&tender.tender.object.uid, 1, 0, slots, 1);
	award.award.tender_id = tender.tender.id;
	award.award.winner = world->machines[1].id;
	world_seal(world, 0, 0, &tender, &award.award.tender_envelope);
	buf_append_str(&award.award.manifest, "{}");
	warrant.warrant = (struct warrant){
		.pod_uid = assignment.pod_uid,
		.object = tender.tender.object,
		.pod_name = assignment.pod_name,
		.machine = world->machines[1].id,
	};
	world_seal(world, 0, 0, &warrant, &assignment.warrant);
	award.award.assignments = &assignment;
	award.award.assignment_count = 1;
	world_seal(world, 0, 0, &award, &envelope);
	world_inject(world, 0, 1, bytes_buf(&envelope));
	assert_int_equal(count_of(world, 1, NODE_COUNT_AWARD_NO_BID), 1);
	assert_int_equal(world->machines[1].starts, 0);
	buf_deinit(&award.award.tender_envelope);
	buf_deinit(&award.award.manifest);
	buf_deinit(&assignment.warrant);
	buf_deinit(&envelope);
	world_free(world);
}

static void test_a_stopped_pod_is_replaced(void **state)
{
	struct world *world = world_new(3);
	const struct record_item *item;
	struct object_ref object = {.namespace = (char[]){"default"},
				    .kind = (char[]){"ReplicaSet"},
				    .name = (char[]){"web"}};
	struct uid pod;
	size_t position = 0;
	uint64_t token;

	world_settle(world);
	object.uid = world_deploy(world, 0, 2);
	world_run_ms(world, 1000);
	item = records_next(node_records(world->machines[0].node), RECORD_PRESENCE, NULL,
			    &object.uid, &position);
	assert_non_null(item);
	pod = item->record.key.sub;
	assert_int_equal(
		node_dispose(world->machines[0].node, world->now, &object, &pod, 1, &token), 0);
	world_run_ms(world, 10000);
	expect_running(world, &object.uid, 2, 2);
	assert_true(records_is_deleted(node_records(world->machines[1].node), &pod));
	world_free(world);
}

/* The uid of a pod of @pod's object that @machine was awarded. */
static void make_pod_uid(struct world *world, size_t machine, struct presence *pod)
{
	static const uint8_t random[UID_POD_RANDOM_LEN] = {3};

	memset(pod->object.uid.byte, 4, UID_LEN);
	pod->pod_uid =
		uid_of_pod(&pod->object.uid, node_self(world->machines[machine].node), random);
}

/* What machine 0 would have signed when it awarded @pod to @machine. */
static void make_warrant(struct world *world, size_t machine, struct presence *pod)
{
	struct message warrant = {.type = MESSAGE_WARRANT};

	warrant.warrant = (struct warrant){
		.pod_uid = pod->pod_uid,
		.object = pod->object,
		.pod_name = pod->pod_name,
		.slot = pod->slot,
		.epoch = pod->epoch,
		.machine = *node_self(world->machines[machine].node),
	};
	buf_clear(&pod->warrant);
	world_seal(world, 0, 0, &warrant, &pod->warrant);
}

/* The host's clock is converted anew each time, and is a millisecond off each time. */
static void test_times_of_a_pod_do_not_wander(void **state)
{
	struct world *world = world_new(1);
	struct container_status container = {.state = CONTAINER_RUNNING, .started_ms = 1000};
	struct presence pod = {.phase = POD_RUNNING, .started_ms = 1000, .ready = true};
	const struct record_item *item;
	struct record_version version;
	size_t position = 0;

	world_settle(world);
	make_pod_uid(world, 0, &pod);
	pod.object.namespace = (char[]){"default"};
	pod.object.kind = (char[]){"ReplicaSet"};
	pod.object.name = (char[]){"old"};
	pod.pod_name = (char[]){"old-1"};
	pod.node_name = pod.reason = pod.message = pod.pod_ip = pod.host_ip = (char[]){""};
	make_warrant(world, 0, &pod);
	container.name = container.container_id = (char[]){"web"};
	container.image = container.image_id = container.reason = container.message =
		container.last_reason = (char[]){""};
	pod.containers = &container;
	pod.container_count = 1;
	node_pod_recovered(world->machines[0].node, world->now, &pod, bytes_str("{}"));
	item = records_next(node_records(world->machines[0].node), RECORD_PRESENCE, NULL,
			    &pod.object.uid, &position);
	assert_non_null(item);
	version = item->record.version;

	pod.started_ms++;
	container.started_ms++;
	node_pod_status(world->machines[0].node, world->now, &pod);
	position = 0;
	item = records_next(node_records(world->machines[0].node), RECORD_PRESENCE, NULL,
			    &pod.object.uid, &position);
	assert_int_equal(record_version_compare(&version, &item->record.version), 0);

	container.restarts++; /* and this is news */
	container.container_id = (char[]){"web2"};
	node_pod_status(world->machines[0].node, world->now, &pod);
	position = 0;
	item = records_next(node_records(world->machines[0].node), RECORD_PRESENCE, NULL,
			    &pod.object.uid, &position);
	assert_int_not_equal(record_version_compare(&version, &item->record.version), 0);
	buf_deinit(&pod.warrant);
	world_free(world);
}

/* Of the pod of the test before, as its machine published it. */
static int64_t ready_since(const struct world *world, const struct presence *pod)
{
	size_t position = 0;
	const struct record_item *item =
		records_next(node_records(world->machines[0].node), RECORD_PRESENCE, NULL,
			     &pod->object.uid, &position);
	struct presence seen;
	int64_t since;

	assert_non_null(item);
	assert_int_equal(presence_decode(bytes_buf(&item->record.value), &seen), 0);
	since = seen.ready_ms;
	presence_deinit(&seen);
	return since;
}

static void test_a_pod_is_ready_since_it_became_so_last(void **state)
{
	struct world *world = world_new(1);
	struct presence pod = {.phase = POD_RUNNING, .started_ms = 1000, .ready = true};
	struct node *node;
	int64_t first;

	world_settle(world);
	node = world->machines[0].node;
	make_pod_uid(world, 0, &pod);
	pod.object.namespace = (char[]){"default"};
	pod.object.kind = (char[]){"ReplicaSet"};
	pod.object.name = (char[]){"old"};
	pod.pod_name = (char[]){"old-1"};
	pod.node_name = pod.reason = pod.message = pod.pod_ip = pod.host_ip = (char[]){""};
	make_warrant(world, 0, &pod);
	node_pod_recovered(node, world->now, &pod, bytes_str("{}"));
	assert_int_equal(ready_since(world, &pod), 1000);
	pod.ready = false;
	node_pod_status(node, world->now, &pod);
	assert_int_equal(ready_since(world, &pod), 0);
	world_run_ms(world, 500);
	pod.ready = true;
	node_pod_status(node, world->now, &pod);
	first = ready_since(world, &pod);
	assert_int_equal(first, node_fabric_time(node, world->now).ms);
	world_run_ms(world, 500);
	pod.reason = (char[]){"news"};
	node_pod_status(node, world->now, &pod);
	assert_int_equal(ready_since(world, &pod), first);
	buf_deinit(&pod.warrant);
	world_free(world);
}

static void test_a_pod_of_an_unknown_workload_stays_when_its_daemon_returns(void **state)
{
	struct world *world = world_new(1);
	struct presence pod = {.phase = POD_RUNNING, .started_ms = 1, .ready = true};

	world_settle(world);
	make_pod_uid(world, 0, &pod);
	pod.object.namespace = (char[]){"default"};
	pod.object.kind = (char[]){"ReplicaSet"};
	pod.object.name = (char[]){"old"};
	pod.pod_name = (char[]){"old-1"};
	pod.node_name = pod.reason = pod.message = pod.pod_ip = pod.host_ip = (char[]){""};
	make_warrant(world, 0, &pod);
	node_pod_recovered(world->machines[0].node, world->now, &pod, bytes_str("{}"));
	world_run_ms(world, 1000);
	assert_int_equal(world_running(world, 0, &pod.object.uid, NULL), 1);
	assert_int_equal(world->machines[0].stops, 0);
	buf_deinit(&pod.warrant);
	world_free(world);
}

/* Whatever is known of it: here nobody has heard of the pod before. */
static void test_nobody_is_believed_about_anothers_pod(void **state)
{
	struct world *world = world_new(2);
	struct presence pod = {.phase = POD_RUNNING, .started_ms = 1, .ready = true};

	world_settle(world);
	pod.object.namespace = (char[]){"default"};
	pod.object.kind = (char[]){"ReplicaSet"};
	pod.object.name = (char[]){"old"};
	pod.pod_name = (char[]){"old-1"};
	pod.node_name = pod.reason = pod.message = pod.pod_ip = pod.host_ip = (char[]){""};
	make_pod_uid(world, 0, &pod);
	make_warrant(world, 0, &pod);
	node_pod_recovered(world->machines[1].node, world->now, &pod, bytes_str("{}"));
	world_run_ms(world, 1000);
	assert_int_equal(world_running(world, 0, &pod.object.uid, NULL), 0);
	assert_true(node_counter(world->machines[0].node, NODE_COUNT_ROLE) > 0);
	/* The machine itself, which comes later, is. */
	node_pod_recovered(world->machines[0].node, world->now, &pod, bytes_str("{}"));
	world_run_ms(world, 1000);
	assert_int_equal(world_running(world, 0, &pod.object.uid, NULL), 1);
	assert_int_equal(world->machines[0].stops, 0);
	/* Who took up a pod under another identity lets it go. */
	assert_int_equal(world->machines[1].stops, 1);
	buf_deinit(&pod.warrant);
	world_free(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_three_replicas_run_on_three_machines),
		cmocka_unit_test(test_a_fabric_of_one_runs_its_own_work),
		cmocka_unit_test(test_seven_replicas_on_three_machines_are_spread_evenly),
		cmocka_unit_test(test_a_deleted_workload_leaves_nothing),
		cmocka_unit_test(test_a_lost_machines_pod_is_replaced_once),
		cmocka_unit_test(test_a_machine_that_is_no_steward_cannot_write_place_or_delete),
		cmocka_unit_test(test_a_steward_ends_nothing_outside_its_namespace),
		cmocka_unit_test(test_a_disposal_from_another_namespace_does_not_end_the_healing),
		cmocka_unit_test(test_a_direct_message_counts_only_from_its_signer),
		cmocka_unit_test(test_a_tender_under_another_ones_id_is_refused),
		cmocka_unit_test(test_what_a_later_version_says_is_counted_and_is_no_fault),
		cmocka_unit_test(test_a_tender_counts_once_and_only_while_it_is_fresh),
		cmocka_unit_test(test_an_award_without_a_bid_is_refused),
		cmocka_unit_test(test_a_stopped_pod_is_replaced),
		cmocka_unit_test(test_times_of_a_pod_do_not_wander),
		cmocka_unit_test(test_a_pod_is_ready_since_it_became_so_last),
		cmocka_unit_test(test_a_pod_of_an_unknown_workload_stays_when_its_daemon_returns),
		cmocka_unit_test(test_nobody_is_believed_about_anothers_pod),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
