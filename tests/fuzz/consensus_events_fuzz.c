/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One member of a group and any events in any order, driven by the input: messages of peers who say
 * what they like, from few ids, terms and indices so that they often meet what is there, or as
 * bytes to be decoded; a disk that is slow; requests of its own.
 */
#include <assert.h>
#include <string.h>

#include "base/bytes.h"
#include "consensus/group.h"

enum {
	SELF = 1,
	PEERS = 4,
	STEPS_MAX = 1500,
	ENTRIES = 4,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct script {
	const uint8_t *at;
	size_t left;
	struct group *group;
	struct mono now;
	uint64_t write, term, commit;
	struct buf members, space;
};

static uint8_t next_byte(struct script *script)
{
	if (script->left == 0)
		return 0;
	script->left--;
	return *script->at++;
}

static struct uid cluster(uint8_t n)
{
	struct uid uid;

	memset(uid.byte, n ? 1 : 2, sizeof(uid.byte));
	return uid;
}

/* Near what the member has itself. */
static uint64_t near(uint64_t value, uint8_t n)
{
	uint64_t off = n & 7;

	return n & 8 ? value + off : value > off ? value - off : 0;
}

static void step(struct script *script, struct raft_event event)
{
	event.now = script->now;
	event.random = next_byte(script);
	group_step(script->group, &event);
}

static void receive_made(struct script *script)
{
	struct raft_view view = raft_view(group_raft(script->group));
	uint8_t kind = next_byte(script), who = next_byte(script), flags = next_byte(script);
	uint8_t offs = next_byte(script), terms = next_byte(script);
	struct raft_entry entries[ENTRIES] = {0};
	struct raft_members members = {.count = 1};
	struct raft_message message = {
		.type = (enum raft_message_type)(kind % RAFT_MESSAGE_COUNT),
		.cluster = cluster(who & 0x70),
		.epoch = near(view.epoch, who & 0x80 ? 9 : 0) & UINT32_MAX,
		.from = 1U + who % PEERS,
		.to = SELF,
		.term = near(view.term, terms & 15),
		.round = flags & 1 ? 1U + (flags >> 4) : 0,
		.timeout_ms = flags & 2 ? 150 : 0,
		.index = near(offs & 1 ? view.commit : view.last, offs >> 1 & 15),
		.index_term = near(view.term, terms >> 4),
		.commit = near(view.last, offs >> 4),
		.granted = flags & 4,
		.transfer = flags & 8,
	};
	struct raft_event event = {.type = RAFT_EVENT_MESSAGE, .message = &message};

	if (message.type == RAFT_APPEND) {
		message.entries = entries;
		message.entry_count = flags >> 4 & 3;
	}
	for (size_t i = 0; i < message.entry_count; i++) {
		entries[i].term = message.index_term + (flags >> 6 & 1);
		entries[i].kind = i == 1 ? RAFT_ENTRY_MEMBERS : RAFT_ENTRY_COMMAND;
		entries[i].data = i == 1 ? script->members.ptr : script->space.ptr;
		entries[i].len = i == 1 ? script->members.len : script->space.len;
	}
	if (message.type == RAFT_INSTALL) {
		members.list[0] =
			(struct raft_member){.id = 1U + (flags >> 5) % PEERS, .voter = true};
		message.members = &members;
		message.data = bytes_buf(&script->space);
		message.total = script->space.len;
		message.offset = flags & 16 ? 1 : 0;
	}
	step(script, event);
}

static void receive_bytes(struct script *script)
{
	size_t len = next_byte(script);
	struct raft_message message;
	struct raft_event event = {.type = RAFT_EVENT_MESSAGE, .message = &message};
	struct bytes bytes;

	if (len > script->left)
		len = script->left;
	bytes = bytes_of(script->at, len);
	script->at += len;
	script->left -= len;
	if (raft_message_decode(bytes, &message) != 0)
		return;
	message.to = SELF;
	message.cluster = cluster(1);
	step(script, event);
	raft_message_deinit(&message);
}

static void ask(struct script *script)
{
	static const enum raft_event_type types[] = {
		RAFT_EVENT_PROPOSE,  RAFT_EVENT_READ,      RAFT_EVENT_JOIN,    RAFT_EVENT_LEAVE,
		RAFT_EVENT_TRANSFER, RAFT_EVENT_BOOTSTRAP, RAFT_EVENT_RECOVER,
	};
	uint8_t n = next_byte(script);
	struct raft_event event = {
		.type = types[n % (sizeof(types) / sizeof(types[0]))],
		.request = 1U + n,
		.data = bytes_buf(&script->space),
		.cluster = cluster(1),
		.epoch = n >> 6,
		.member = {.id = 1U + (n >> 3) % PEERS, .ordinal = n >> 5, .epoch = n >> 6},
	};

	step(script, event);
}

static void act(struct script *script)
{
	uint8_t operation = next_byte(script);

	switch (operation % 8) {
	case 0:
	case 1:
	case 2:
	case 3:
		receive_made(script);
		return;
	case 4:
		receive_bytes(script);
		return;
	case 5:
		step(script,
		     (struct raft_event){.type = RAFT_EVENT_DURABLE, .write = script->write});
		return;
	case 6:
		ask(script);
		return;
	default:
		script->now = mono_add_ms(script->now, (int64_t)(operation >> 3) * 10);
		step(script, (struct raft_event){.type = RAFT_EVENT_TICK});
	}
}

/* Every effect can be carried out; writes are in order, terms and what is agreed only grow. */
static void check(struct script *script)
{
	const struct group_effect *effect;
	struct buf encoded = {0};
	struct raft_view view;

	while ((effect = group_next_effect(script->group))) {
		buf_clear(&encoded);
		if (effect->type == GROUP_SEND)
			raft_message_encode(&effect->raft->message, &encoded);
		if (effect->type != GROUP_DISK)
			continue;
		assert(effect->raft->write == script->write + 1);
		script->write = effect->raft->write;
	}
	view = raft_view(group_raft(script->group));
	assert(view.term >= script->term && view.commit >= script->commit);
	assert(view.commit <= view.last && view.durable <= view.last);
	assert(view.first <= view.snapshot + 1 && view.snapshot <= view.commit);
	script->term = view.term;
	script->commit = view.commit;
	buf_deinit(&encoded);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct script script = {.at = data, .left = len};
	struct raft_members members = {.list = {{.id = SELF, .voter = true}}, .count = 1};
	struct keys_space space = {.index = 6};
	struct raft_saved saved = {0};
	uint8_t first = next_byte(&script);

	members.count += first % PEERS;
	for (size_t i = 1; i < members.count; i++)
		members.list[i] = (struct raft_member){
			.id = 1 + i, .ordinal = (uint32_t)i, .voter = first >> i & 4};
	raft_members_encode(&members, &script.members);
	keys_space_encode(&space, &script.space);
	if (first & 0x80) {
		saved.meta = (struct raft_meta){.cluster = cluster(1), .epoch = 1, .term = 1};
		saved.snapshot = (struct raft_snapshot){.index = space.index,
							.term = 1,
							.members = members,
							.data = bytes_buf(&script.space)};
	}
	script.group = group_new(SELF, 16, &saved, script.now, first);
	assert(script.group);
	for (size_t i = 0; i < STEPS_MAX && script.left > 0; i++) {
		act(&script);
		check(&script);
	}
	group_free(script.group);
	buf_deinit(&script.members);
	buf_deinit(&script.space);
	return 0;
}
