/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client has one operation open at a time. It asks a member until it is told what came of it;
 * what it is not told after CLIENT_GIVE_UP_MS may have happened or not, and stays open in the
 * history.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "consensus.h"

enum {
	CLIENT_GIVE_UP_MS = 4000,
	CLIENT_LAST_US = 2 * US_PER_S, /* before the end: members shall come to rest */
	CLIENT_BITS = 40,              /* of a request: the attempt; above it the client */
};

static void wake(struct cw *cw, struct cw_client *client, int64_t delay_ms)
{
	struct cw_event event = {
		.type = CW_CLIENT,
		.client = client->number,
		.number = client->attempt,
	};

	cw_push(cw, delay_ms * US_PER_MS, &event);
}

void cw_client_start(struct cw *cw)
{
	for (size_t i = 0; i < cw->client_count; i++) {
		cw->clients[i].number = i;
		cw->clients[i].target = i % CW_SLOTS;
		wake(cw, &cw->clients[i], (int64_t)cw_random(cw, 100));
	}
}

void cw_client_deinit(struct cw *cw)
{
	for (size_t i = 0; i < CW_CLIENTS; i++)
		buf_deinit(&cw->clients[i].command);
}

/* On its way to a member and back an operation takes as long as any message, and is lost as often.
 */
static void send(struct cw *cw, struct cw_client *client)
{
	struct cw_event event = {
		.type = CW_REQUEST,
		.slot = client->target,
		.client = client->number,
		.number = ++client->attempt,
	};

	client->sent_us = cw->now_us;
	wake(cw, client, cw->patience_ms);
	if (cw_chance(cw, cw->loss))
		return;
	buf_append(&event.bytes, client->command.ptr, client->command.len);
	cw_push(cw, cw->latency_us + (int64_t)cw_random(cw, (uint64_t)cw->jitter_us + 1), &event);
}

static void name_key(size_t key, char name[2])
{
	name[0] = 'k';
	name[1] = (char)('0' + key);
}

static void make_command(struct cw_client *client)
{
	char name[2];
	struct keys_command command = {
		.type = client->value ? KEYS_COMMAND_PUT : KEYS_COMMAND_DELETE,
		.session = client->session,
		.sequence = client->sequence,
		.any = client->kind == CW_OP_WRITE,
		.expect = client->expect,
	};

	buf_clear(&client->command);
	if (client->kind == CW_OP_READ)
		return;
	if (client->kind == CW_OP_SESSION) {
		command = (struct keys_command){.type = KEYS_COMMAND_SESSION};
	} else {
		name_key(client->key, name);
		command.name = bytes_of(name, sizeof(name));
		command.value = bytes_of(&client->value, client->value ? sizeof(uint64_t) : 0);
	}
	keys_command_encode(&command, &client->command);
}

static void note(struct cw *cw, struct cw_client *client)
{
	struct cw_record *record = &cw->history[client->record = cw->history_count++];

	*record = (struct cw_record){
		.key = client->key,
		.op = {.kind = client->kind == CW_OP_READ    ? LINEAR_READ
			       : client->kind == CW_OP_WRITE ? LINEAR_WRITE
							     : LINEAR_SWAP,
		       .from = client->known_value[client->key],
		       .to = client->value,
		       .call = cw->now_us,
		       .end = LINEAR_NEVER},
	};
}

/* The next operation, if there is room in the history. */
static bool begin(struct cw *cw, struct cw_client *client)
{
	if (client->session == 0) {
		client->kind = CW_OP_SESSION;
		client->sequence = 0;
	} else {
		client->kind = cw->only_writes ? CW_OP_WRITE
					       : (enum cw_op_kind)(CW_OP_READ + cw_random(cw, 3));
		client->key = (size_t)cw_random(cw, CW_KEYS);
		client->value = client->kind == CW_OP_READ ? 0 : ++cw->next_value;
		if (client->kind != CW_OP_READ && !cw->only_writes && cw_random(cw, 8) == 0)
			client->value = 0; /* it goes */
		client->expect = client->known_version[client->key];
		/* What is not known to be there cannot be asked to go in just that version. */
		if (client->value == 0 && client->expect == 0 && client->kind == CW_OP_SWAP)
			client->kind = CW_OP_READ;
		if (cw->history_count == CW_OPS_MAX)
			return false;
		client->sequence += client->kind != CW_OP_READ;
		if (!cw->only_writes)
			note(cw, client);
	}
	client->busy = true;
	client->began_us = cw->now_us;
	make_command(client);
	return true;
}

static void end(struct cw *cw, struct cw_client *client)
{
	client->busy = false;
	client->attempt++; /* what comes later is not for us */
	wake(cw, client, cw->think_us / US_PER_MS + (int64_t)cw_random(cw, 20));
}

void cw_client_act(struct cw *cw, const struct cw_event *event)
{
	struct cw_client *client = &cw->clients[event->client];

	if (event->number != client->attempt)
		return;
	if (client->busy && cw->now_us - client->began_us > CLIENT_GIVE_UP_MS * US_PER_MS &&
	    client->kind != CW_OP_SESSION) {
		cw->figures.unknown++;
		end(cw, client);
		return;
	}
	if (client->busy)
		client->target = (client->target + 1) % CW_SLOTS;
	else if (cw->now_us > cw->end_us - CLIENT_LAST_US || !begin(cw, client))
		return;
	send(cw, client);
}

void cw_client_request(struct cw *cw, const struct cw_event *event)
{
	struct raft_event step = {
		.type = event->bytes.len > 0 ? RAFT_EVENT_PROPOSE : RAFT_EVENT_READ,
		.request = (uint64_t)(event->client + 1) << CLIENT_BITS | event->number,
		.data = bytes_buf(&event->bytes),
	};

	cw_step(cw, &cw->members[event->slot], &step);
}

void cw_client_answer(struct cw *cw, struct cw_member *member, const struct group_effect *effect)
{
	struct cw_event event = {
		.type = CW_REPLY,
		.client = (size_t)(effect->request >> CLIENT_BITS) - 1,
		.number = effect->request & ((1ULL << CLIENT_BITS) - 1),
		.answer = effect->answer,
		.result = effect->result,
		.leader = effect->leader,
	};
	const struct keys_item *item;
	struct cw_client *client;
	char name[2];

	if (effect->request >> CLIENT_BITS == 0)
		return; /* the operator asks again anyway */
	client = &cw->clients[event.client];
	if (effect->answer == GROUP_DONE && client->kind == CW_OP_READ) {
		/* The key is the client's business; it has one operation open. */
		name_key(client->key, name);
		item = keys_find(group_keys(member->group), KEYS_VALUE,
				 bytes_of(name, sizeof(name)));
		event.result.version = item ? item->version : 0;
		if (item)
			memcpy(&event.value, item->value.ptr, sizeof(event.value));
	}
	if (cw_chance(cw, cw->loss))
		return;
	cw_push(cw, cw->latency_us + (int64_t)cw_random(cw, (uint64_t)cw->jitter_us + 1), &event);
}

/* What is known of the key now. */
static void know(struct cw_client *client, uint64_t version, uint64_t value)
{
	client->known_version[client->key] = value ? version : 0;
	client->known_value[client->key] = value;
}

/* The first write that was asked for after a leader was killed, and is done. */
static void measure(struct cw *cw, const struct cw_client *client)
{
	struct cw_figures *figures = &cw->figures;

	if (cw->killed_us == 0 || client->sent_us < cw->killed_us)
		return;
	if (figures->writable_count == figures->writable_cap) {
		figures->writable_cap = 2 * figures->writable_cap + 64;
		figures->writable_us = mem_resize(figures->writable_us, figures->writable_cap,
						  sizeof(*figures->writable_us));
	}
	figures->writable_us[figures->writable_count++] = cw->now_us - cw->killed_us;
	cw->killed_us = 0;
}

static void finish(struct cw *cw, struct cw_client *client, const struct cw_event *event)
{
	struct linear_op *op = &cw->history[client->record].op;

	cw->figures.done++;
	if (cw->only_writes) {
		measure(cw, client);
		return;
	}
	op->end = cw->now_us;
	if (client->kind == CW_OP_READ) {
		op->to = event->value;
		know(client, event->result.version, event->value);
		return;
	}
	op->swapped = event->result.outcome == KEYS_DONE;
	if (op->swapped)
		know(client, event->result.version, client->value);
	else if (client->kind == CW_OP_WRITE && event->result.outcome != KEYS_ABSENT)
		cw_violate(cw, "a write of any version was told %d", (int)event->result.outcome);
}

static void done(struct cw *cw, struct cw_client *client, const struct cw_event *event)
{
	enum keys_outcome outcome = event->result.outcome;

	if (client->kind == CW_OP_SESSION) {
		client->session = event->result.version;
	} else if (client->kind != CW_OP_READ &&
		   (outcome == KEYS_EXPIRED || outcome == KEYS_STALE)) {
		client->session = 0;
		cw->figures.unknown++;
	} else {
		finish(cw, client, event);
	}
	end(cw, client);
}

void cw_client_reply(struct cw *cw, const struct cw_event *event)
{
	struct cw_client *client = &cw->clients[event->client];
	const struct cw_member *leader;

	if (!client->busy || event->number != client->attempt)
		return;
	if (event->answer == GROUP_DONE) {
		done(cw, client, event);
		return;
	}
	leader = event->leader ? cw_by_id(cw, event->leader) : NULL;
	client->target = leader ? leader->slot : (size_t)cw_random(cw, CW_SLOTS);
	client->attempt++;
	/* The wake-up moves on to another target; it shall be this one. */
	client->target = (client->target + CW_SLOTS - 1) % CW_SLOTS;
	wake(cw, client, leader ? 1 : cw->again_ms);
}
