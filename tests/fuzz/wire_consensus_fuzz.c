/* SPDX-License-Identifier: Apache-2.0 */
/* What members of a group say to each other, and what stands in their logs and snapshots. */
#include <assert.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "wire/consensus.h"
#include "wire/group_message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void try_message(struct bytes bytes)
{
	struct raft_message message, again;
	struct buf once = {0}, twice = {0};

	if (raft_message_decode(bytes, &message) != 0)
		return;
	raft_message_encode(&message, &once);
	assert(raft_message_decode(bytes_buf(&once), &again) == 0);
	raft_message_encode(&again, &twice);
	assert(bytes_equal(bytes_buf(&once), bytes_buf(&twice)));
	raft_message_deinit(&again);
	raft_message_deinit(&message);
	buf_deinit(&twice);
	buf_deinit(&once);
}

static void try_members(struct bytes bytes)
{
	struct raft_members members, again;
	struct buf once = {0};

	if (raft_members_decode(bytes, &members) != 0)
		return;
	raft_members_encode(&members, &once);
	assert(raft_members_decode(bytes_buf(&once), &again) == 0);
	assert(again.count == members.count);
	buf_deinit(&once);
}

static void try_command(struct bytes bytes)
{
	struct keys_command command, again;
	struct buf once = {0}, twice = {0};

	if (keys_command_decode(bytes, &command) != 0)
		return;
	keys_command_encode(&command, &once);
	assert(keys_command_decode(bytes_buf(&once), &again) == 0);
	keys_command_encode(&again, &twice);
	assert(bytes_equal(bytes_buf(&once), bytes_buf(&twice)));
	keys_command_deinit(&again);
	keys_command_deinit(&command);
	buf_deinit(&twice);
	buf_deinit(&once);
}

static void try_space(struct bytes bytes)
{
	struct keys_space space, again;
	struct buf once = {0}, twice = {0};

	if (keys_space_decode(bytes, &space) != 0)
		return;
	keys_space_encode(&space, &once);
	assert(keys_space_decode(bytes_buf(&once), &again) == 0);
	keys_space_encode(&again, &twice);
	assert(bytes_equal(bytes_buf(&once), bytes_buf(&twice)));
	keys_space_deinit(&again);
	keys_space_deinit(&space);
	buf_deinit(&twice);
	buf_deinit(&once);
}

static void try_group(struct bytes bytes)
{
	struct group_message message, again;
	struct buf once = {0}, twice = {0};

	if (group_message_decode(bytes, &message) != 0)
		return;
	group_message_encode(&message, &once);
	assert(group_message_decode(bytes_buf(&once), &again) == 0);
	group_message_encode(&again, &twice);
	assert(bytes_equal(bytes_buf(&once), bytes_buf(&twice)));
	group_message_deinit(&again);
	group_message_deinit(&message);
	buf_deinit(&twice);
	buf_deinit(&once);
}

static void try_entry(struct bytes bytes)
{
	struct raft_entry entry, again;
	struct buf once = {0};

	if (raft_entry_decode(bytes, &entry) != 0)
		return;
	raft_entry_encode(&entry, &once);
	assert(raft_entry_decode(bytes_buf(&once), &again) == 0);
	assert(again.term == entry.term && again.len == entry.len);
	free(again.data);
	free(entry.data);
	buf_deinit(&once);
}

static void try_saved(struct bytes bytes)
{
	struct raft_snapshot snapshot, again;
	struct raft_meta meta;
	struct buf once = {0}, data = {0};

	if (raft_meta_decode(bytes, &meta) == 0) {
		raft_meta_encode(&meta, &once);
		assert(raft_meta_decode(bytes_buf(&once), &meta) == 0);
		buf_clear(&once);
	}
	if (raft_snapshot_decode(bytes, &data, &snapshot) == 0) {
		raft_snapshot_encode(&snapshot, &once);
		assert(raft_snapshot_decode(bytes_buf(&once), &data, &again) == 0);
		assert(again.index == snapshot.index && again.data.len == snapshot.data.len);
	}
	buf_deinit(&data);
	buf_deinit(&once);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	try_message(bytes_of(data, len));
	try_members(bytes_of(data, len));
	try_command(bytes_of(data, len));
	try_space(bytes_of(data, len));
	try_group(bytes_of(data, len));
	try_entry(bytes_of(data, len));
	try_saved(bytes_of(data, len));
	return 0;
}
