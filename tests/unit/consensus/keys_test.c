/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "consensus/keys.h"
#include "wire/message.h"

static struct keys_result apply(struct keys *keys, const struct keys_command *command)
{
	struct buf data = {0};
	struct keys_result result;

	keys_command_encode(command, &data);
	result = keys_apply(keys, keys_index(keys) + 1, bytes_buf(&data));
	buf_deinit(&data);
	return result;
}

static struct keys_command put(const char *name, const char *value, uint64_t expect)
{
	return (struct keys_command){
		.type = KEYS_COMMAND_PUT,
		.name = bytes_str(name),
		.value = bytes_str(value),
		.expect = expect,
	};
}

static struct keys_result apply_put(struct keys *keys, const char *name, const char *value,
				    uint64_t expect)
{
	struct keys_command command = put(name, value, expect);

	return apply(keys, &command);
}

static void a_change_happens_to_the_version_it_names(void **state)
{
	struct keys *keys = keys_new();
	struct keys_command gone = {.type = KEYS_COMMAND_DELETE, .name = bytes_str("a")};

	(void)state;
	assert_int_equal(apply_put(keys, "a", "1", 5).outcome, KEYS_ABSENT);
	assert_int_equal(apply_put(keys, "a", "1", 0).version, 2);
	assert_int_equal(apply_put(keys, "a", "2", 0).outcome, KEYS_CONFLICT);
	assert_int_equal(apply_put(keys, "a", "2", 0).version, 2);
	assert_int_equal(apply_put(keys, "a", "2", 2).outcome, KEYS_DONE);
	assert_int_equal(keys_find(keys, KEYS_VALUE, bytes_str("a"))->version, 5);
	assert_int_equal(keys_find(keys, KEYS_VALUE, bytes_str("a"))->created, 2);
	gone.expect = 2;
	assert_int_equal(apply(keys, &gone).outcome, KEYS_CONFLICT);
	gone.expect = 5;
	assert_int_equal(apply(keys, &gone).outcome, KEYS_DONE);
	assert_null(keys_find(keys, KEYS_VALUE, bytes_str("a")));
	assert_int_equal(apply(keys, &gone).outcome, KEYS_ABSENT);
	keys_free(keys);
}

static void a_command_that_is_sent_again_happens_once(void **state)
{
	struct keys *keys = keys_new();
	struct keys_command open = {.type = KEYS_COMMAND_SESSION};
	struct keys_command first = put("a", "1", 0), second = put("a", "2", 0);
	struct keys_result result;

	(void)state;
	first.session = second.session = apply(keys, &open).version;
	first.any = second.any = true;
	first.sequence = 1;
	second.sequence = 2;
	result = apply(keys, &first);
	assert_int_equal(apply(keys, &first).version, result.version);
	assert_int_equal(keys_find(keys, KEYS_VALUE, bytes_str("a"))->version, result.version);
	assert_int_equal(apply(keys, &second).outcome, KEYS_DONE);
	assert_int_equal(apply(keys, &first).outcome, KEYS_STALE);
	assert_true(
		bytes_equal(keys_find(keys, KEYS_VALUE, bytes_str("a"))->value, bytes_str("2")));
	first.session = 77;
	assert_int_equal(apply(keys, &first).outcome, KEYS_EXPIRED);
	keys_free(keys);
}

static void the_session_not_used_longest_makes_room(void **state)
{
	struct keys *keys = keys_new();
	struct keys_command open = {.type = KEYS_COMMAND_SESSION};
	struct keys_command use = put("a", "1", 0);

	(void)state;
	for (int i = 0; i < KEYS_SESSIONS_MAX; i++)
		assert_int_equal(apply(keys, &open).outcome, KEYS_DONE);
	use.any = true;
	use.session = 1;
	use.sequence = 1;
	assert_int_equal(apply(keys, &use).outcome, KEYS_DONE);
	assert_int_equal(apply(keys, &open).outcome, KEYS_DONE);
	assert_int_equal(keys_session_count(keys), KEYS_SESSIONS_MAX);
	use.sequence = 2;
	assert_int_equal(apply(keys, &use).outcome, KEYS_DONE);
	use.session = 2;
	assert_int_equal(apply(keys, &use).outcome, KEYS_EXPIRED);
	keys_free(keys);
}

static void a_lease_passes_from_holder_to_holder(void **state)
{
	struct keys *keys = keys_new();
	struct keys_command lease = {
		.type = KEYS_COMMAND_PUT_LEASE,
		.name = bytes_str("leader"),
		.lease = {.holder = bytes_str("web-0"),
			  .duration_s = 15,
			  .acquired_us = 10,
			  .renewed_us = 10},
	};
	const struct keys_item *item;
	uint64_t version;

	(void)state;
	version = apply(keys, &lease).version;
	assert_int_equal(apply(keys, &lease).outcome, KEYS_CONFLICT);
	assert_int_equal(apply_put(keys, "leader", "a value of that name", 0).outcome, KEYS_DONE);
	lease.expect = version;
	lease.lease = (struct keys_lease){bytes_str("web-1"), 15, 1, 20, 20};
	assert_int_equal(apply(keys, &lease).outcome, KEYS_DONE);
	item = keys_find(keys, KEYS_LEASE, bytes_str("leader"));
	assert_true(bytes_equal(item->lease.holder, bytes_str("web-1")));
	assert_int_equal(item->lease.transitions, 1);
	assert_int_equal(item->lease.duration_s, 15);
	assert_int_equal(item->created, version);
	keys_free(keys);
}

static void limits_are_kept(void **state)
{
	struct keys *keys = keys_new();
	static char value[KEYS_VALUE_MAX + 1];
	char name[16];
	uint64_t full = 0;

	(void)state;
	memset(value, 'x', KEYS_VALUE_MAX);
	for (int i = 0; i < 2 * KEYS_COUNT_MAX; i++) {
		(void)snprintf(name, sizeof(name), "k%d", i);
		full += apply_put(keys, name, "", 0).outcome == KEYS_FULL;
	}
	assert_int_equal(keys_count(keys), KEYS_COUNT_MAX);
	assert_int_equal(full, KEYS_COUNT_MAX);
	for (int i = 0; i < KEYS_COUNT_MAX; i++) {
		struct keys_command command;

		(void)snprintf(name, sizeof(name), "k%d", i);
		command = put(name, value, 0);
		command.any = true;
		full += apply(keys, &command).outcome == KEYS_FULL;
	}
	assert_true(full > KEYS_COUNT_MAX);
	assert_int_equal(keys_apply(keys, keys_index(keys) + 1, bytes_str("junk")).outcome,
			 KEYS_INVALID);
	keys_free(keys);
}

static void a_snapshot_holds_all_of_it(void **state)
{
	struct keys *keys = keys_new(), *other = keys_new();
	struct keys_command open = {.type = KEYS_COMMAND_SESSION};
	struct keys_command use = put("b", "2", 0);
	struct buf once = {0}, twice = {0};

	(void)state;
	use.session = apply(keys, &open).version;
	use.sequence = 1;
	assert_int_equal(apply_put(keys, "a", "1", 0).outcome, KEYS_DONE);
	assert_int_equal(apply(keys, &use).outcome, KEYS_DONE);
	keys_save(keys, &once);
	assert_int_equal(keys_load(other, bytes_buf(&once)), 0);
	keys_save(other, &twice);
	assert_true(bytes_equal(bytes_buf(&once), bytes_buf(&twice)));
	assert_int_equal(keys_index(other), keys_index(keys));
	assert_int_equal(apply(other, &use).version, 3);
	assert_int_not_equal(keys_load(other, bytes_str("junk")), 0);
	assert_int_equal(keys_count(other), 2);
	keys_free(keys);
	keys_free(other);
	buf_deinit(&once);
	buf_deinit(&twice);
}

static void a_watch_goes_on_until_it_is_too_old(void **state)
{
	struct keys *keys = keys_new();
	const struct keys_change *change;
	char name[16];

	(void)state;
	assert_true(keys_changed(keys, 0, &change));
	assert_null(change);
	for (int i = 1; i <= KEYS_CHANGES_MAX; i++) {
		struct keys_command command;

		(void)snprintf(name, sizeof(name), "k%d", i % 7);
		command = put(name, "v", 0);
		command.any = true;
		assert_int_equal(apply(keys, &command).outcome, KEYS_DONE);
	}
	assert_true(keys_changed(keys, 0, &change));
	assert_int_equal(change->version, 1);
	assert_true(keys_changed(keys, 5, &change));
	assert_int_equal(change->version, 6);
	assert_memory_equal(change->name, "k6", change->name_len);
	assert_int_equal(apply_put(keys, "new", "v", 0).outcome, KEYS_DONE);
	assert_false(keys_changed(keys, 0, &change));
	assert_true(keys_changed(keys, 1, &change));
	assert_true(keys_changed(keys, keys_index(keys), &change));
	assert_null(change);
	keys_free(keys);
}

static void messages_and_members_are_what_they_were(void **state)
{
	struct raft_members members = {
		.list = {{.id = 7, .ordinal = 1, .epoch = 2, .voter = true}, {.id = 9}},
		.count = 2};
	uint8_t data[] = {1, 2, 3};
	struct raft_entry entries[] = {{.term = 3, .kind = RAFT_ENTRY_NOOP},
				       {.term = 4, .kind = RAFT_ENTRY_COMMAND, data, 3}};
	struct raft_message message = {.type = RAFT_APPEND,
				       .epoch = 1,
				       .from = 7,
				       .to = 9,
				       .term = 4,
				       .round = 5,
				       .timeout_ms = 150,
				       .index = 8,
				       .index_term = 2,
				       .commit = 6,
				       .entries = entries,
				       .entry_count = 2,
				       .members = &members};
	struct raft_message again;
	struct buf once = {0}, twice = {0};

	(void)state;
	raft_message_encode(&message, &once);
	assert_int_equal(raft_message_decode(bytes_buf(&once), &again), 0);
	assert_int_equal(again.entry_count, 2);
	assert_memory_equal(again.entries[1].data, data, sizeof(data));
	assert_int_equal(again.members->list[0].epoch, 2);
	raft_message_encode(&again, &twice);
	assert_true(bytes_equal(bytes_buf(&once), bytes_buf(&twice)));
	raft_message_deinit(&again);
	buf_clear(&once);
	members.list[1].id = 7; /* twice */
	raft_message_encode(&message, &once);
	assert_int_equal(raft_message_decode(bytes_buf(&once), &again), MESSAGE_E_MALFORMED);
	members.list[1].id = 9;
	members.list[1].ordinal = 1; /* twice, too */
	buf_clear(&once);
	raft_message_encode(&message, &once);
	assert_int_equal(raft_message_decode(bytes_buf(&once), &again), MESSAGE_E_MALFORMED);
	buf_deinit(&once);
	buf_deinit(&twice);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_change_happens_to_the_version_it_names),
		cmocka_unit_test(a_command_that_is_sent_again_happens_once),
		cmocka_unit_test(the_session_not_used_longest_makes_room),
		cmocka_unit_test(a_lease_passes_from_holder_to_holder),
		cmocka_unit_test(limits_are_kept),
		cmocka_unit_test(a_snapshot_holds_all_of_it),
		cmocka_unit_test(a_watch_goes_on_until_it_is_too_old),
		cmocka_unit_test(messages_and_members_are_what_they_were),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
