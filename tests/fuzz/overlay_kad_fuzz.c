/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events of kad in any order, driven by the input: a step is one byte of operation, one that names
 * a peer, and what the operation needs. Answers are made to requests that were sent, so that
 * lookups go on, and to ones that were not; they name few machines, often the same.
 */
#include <assert.h>
#include <string.h>

#include "base/bytes.h"
#include "overlay/kad.h"

enum {
	STEPS_MAX = 2000,
	ASKED_MAX = 8,
	KEYS = 4,
	CONTACTS_MAX = 256, /* there are no more peers */
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct script {
	const uint8_t *at;
	size_t left;
	struct kad *kad;
	struct mono now;
	struct contact asked[ASKED_MAX]; /* the last FINDs, and their requests */
	uint64_t requests[ASKED_MAX];
	size_t asked_count;
	uint64_t lookups, ended;
};

static uint8_t next_byte(struct script *script)
{
	if (script->left == 0)
		return 0;
	script->left--;
	return *script->at++;
}

static struct contact peer(uint8_t n)
{
	const uint8_t ip[ADDR_V4_LEN] = {10, 0, 0, n};
	struct contact contact = {.id.byte = {1, n}, .incarnation = n};
	bool valid = addr_from_ip(bytes_of(ip, sizeof(ip)), 7946, &contact.addr);

	assert(valid);
	return contact;
}

static struct digest key_of(uint8_t n)
{
	struct digest key = {.byte = {(uint8_t)(n % KEYS * 64), n}};

	return key;
}

static void answer(struct script *script, uint8_t n)
{
	struct contact from = peer(n), nearest[MESSAGE_CONTACTS_MAX], providers[2];
	struct message found = {.type = MESSAGE_FOUND, .found.request = n};
	uint8_t first = next_byte(script), step = next_byte(script);

	if (script->asked_count > 0 && n % 4) {
		from = script->asked[n % script->asked_count];
		found.found.request = script->requests[n % script->asked_count];
	}
	found.found.nearest = (struct contacts){nearest, step % (MESSAGE_CONTACTS_MAX + 1)};
	for (size_t i = 0; i < found.found.nearest.count; i++)
		nearest[i] = peer((uint8_t)(first + i * (step / MESSAGE_CONTACTS_MAX)));
	found.found.providers = (struct contacts){providers, n % 3};
	for (size_t i = 0; i < found.found.providers.count; i++)
		providers[i] = peer((uint8_t)(first ^ i));
	kad_receive(script->kad, script->now, &from, &found);
}

static void receive_bytes(struct script *script, const struct contact *from)
{
	size_t len = next_byte(script);
	struct message message;

	if (len > script->left)
		len = script->left;
	if (message_decode(bytes_of(script->at, len), &message) == 0) {
		kad_receive(script->kad, script->now, from, &message);
		message_deinit(&message);
	}
	script->at += len;
	script->left -= len;
}

static void receive(struct script *script, uint8_t operation, uint8_t n)
{
	struct contact from = peer(n);
	struct message message = {.type = MESSAGE_FIND, .find = {n, key_of(n), n & 1}};

	if (operation != MESSAGE_FIND)
		message = (struct message){
			.type = operation,
			.provide = {key_of(next_byte(script)), (uint32_t)n * n},
		};
	kad_receive(script->kad, script->now, &from, &message);
}

static void ask(struct script *script, uint8_t operation, uint8_t n)
{
	struct digest key = key_of(n);
	uint64_t token;

	if (operation == 0)
		script->lookups += kad_find(script->kad, script->now, &key, n & 1, &token) == 0;
	else if (operation == 1)
		(void)!kad_provide(script->kad, script->now, &key);
	else
		kad_withdraw(script->kad, script->now, &key);
}

static void step(struct script *script)
{
	uint8_t operation = next_byte(script), n = next_byte(script);
	struct contact contact = peer(n);

	switch (operation % 16) {
	case 0:
	case 1:
		kad_seen(script->kad, script->now, &contact);
		break;
	case 2:
		kad_lost(script->kad, script->now, &contact.id);
		break;
	case 3:
		kad_unreachable(script->kad, script->now, &contact.id);
		break;
	case 4:
	case 5:
	case 6:
		answer(script, n);
		break;
	case 7:
		receive(script, MESSAGE_FIND, n);
		break;
	case 8:
		receive(script, n & 1 ? MESSAGE_WITHDRAW : MESSAGE_PROVIDE, n);
		break;
	case 9:
	case 10:
	case 11:
		ask(script, (uint8_t)(operation % 16 - 9), n);
		break;
	case 12:
		receive_bytes(script, &contact);
		break;
	case 13:
		kad_formed(script->kad, script->now);
		break;
	case 14:
		script->now = mono_add_ms(script->now, (int64_t)n * n);
		break;
	default:
		if (kad_deadline(script->kad).us > script->now.us && n < 128 &&
		    kad_deadline(script->kad).us != MONO_NEVER.us)
			script->now = kad_deadline(script->kad);
		kad_tick(script->kad, script->now);
	}
}

/* What comes out must be within the limits of the wire; nobody is told or asked about us. */
static void check_effects(struct script *script)
{
	const struct kad_effect *effect;
	struct buf encoded = {0};

	while ((effect = kad_next_effect(script->kad))) {
		buf_clear(&encoded);
		if (effect->type == KAD_SEND) {
			message_encode(&effect->message, &encoded);
			assert(effect->to.id.byte[1] != 0);
		} else {
			script->ended++;
			assert(effect->contact_count <= KAD_FOUND_MAX);
		}
		if (effect->type == KAD_SEND && effect->message.type == MESSAGE_FIND) {
			size_t at = effect->message.find.request % ASKED_MAX;

			script->asked[at] = effect->to;
			script->requests[at] = effect->message.find.request;
			if (script->asked_count <= at)
				script->asked_count = at + 1;
		}
	}
	buf_deinit(&encoded);
	assert(kad_contact_count(script->kad) < CONTACTS_MAX);
	assert(kad_entry_count(script->kad) <= KAD_ENTRIES_MAX);
	assert(kad_estimate(script->kad) >= 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct script script = {.at = data, .left = len, .now = {US_PER_S}};
	struct contact self = peer(0);

	script.kad = kad_new(&self, 1, script.now);
	for (size_t i = 0; i < STEPS_MAX && script.left > 0; i++) {
		step(&script);
		check_effects(&script);
	}
	/* However it went, each lookup ends once. */
	for (size_t i = 0; i < STEPS_MAX && script.ended < script.lookups; i++) {
		if (kad_deadline(script.kad).us > script.now.us)
			script.now = kad_deadline(script.kad);
		kad_tick(script.kad, script.now);
		check_effects(&script);
	}
	assert(script.ended == script.lookups);
	kad_free(script.kad);
	return 0;
}
