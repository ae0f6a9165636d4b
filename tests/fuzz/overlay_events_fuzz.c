/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events of the overlay in any order, driven by the input: a step is one byte of operation, one
 * that names a peer, and what the operation needs. Messages are built from a few values, so that
 * they often meet peers that are known, or come as bytes to be decoded.
 */
#include <assert.h>
#include <string.h>

#include "base/bytes.h"
#include "overlay/overlay.h"

enum {
	PEERS = 8,
	STEPS_MAX = 2000,
	FABRIC_MS = 1000000,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct script {
	const uint8_t *at;
	size_t left;
	struct overlay *overlay;
	struct mono now;
};

static uint8_t next_byte(struct script *script)
{
	if (script->left == 0)
		return 0;
	script->left--;
	return *script->at++;
}

static struct node_id peer_id(uint8_t n)
{
	struct node_id id;

	memset(id.byte, n % PEERS, sizeof(id.byte));
	return id;
}

static struct addr peer_addr(uint8_t n)
{
	const uint8_t ip[ADDR_V4_LEN] = {10, 0, 0, n};
	struct addr addr;
	bool valid = addr_from_ip(bytes_of(ip, sizeof(ip)), n ? 7946 : 0, &addr);

	assert(valid);
	return addr;
}

static struct wall fabric_at(const struct script *script)
{
	return (struct wall){.ms = FABRIC_MS + script->now.us / US_PER_MS};
}

static struct member next_member(struct script *script)
{
	return (struct member){
		.id = peer_id(next_byte(script)),
		.addr = peer_addr(next_byte(script)),
		.incarnation = next_byte(script),
	};
}

static void receive_report(struct script *script, const struct node_id *from, bool in_ping)
{
	struct member_report report = {
		.member = next_member(script),
		.state = next_byte(script) % (MEMBER_LEFT + 1),
	};
	struct message message = {.type = MESSAGE_MEMBERS, .members = {&report, 1}};

	if (in_ping)
		message = (struct message){.type = MESSAGE_PING, .ping.gossip = {&report, 1}};
	overlay_receive(script->overlay, script->now, from, &message, fabric_at(script));
}

static void receive_hello(struct script *script, const struct node_id *from)
{
	struct message message = {
		.type = MESSAGE_HELLO,
		.hello = {.self = next_member(script), .version_max = MESSAGE_VERSION},
	};

	if (next_byte(script) % 4)
		message.hello.self.id = *from;
	overlay_receive(script->overlay, script->now, from, &message, fabric_at(script));
}

static void receive_pong(struct script *script, const struct node_id *from)
{
	struct message message = {.type = MESSAGE_PONG, .ping.sequence = next_byte(script)};

	overlay_receive(script->overlay, script->now, from, &message, fabric_at(script));
}

static void receive_bytes(struct script *script, const struct node_id *from)
{
	size_t len = next_byte(script);
	struct message message;

	if (len > script->left)
		len = script->left;
	if (message_decode(bytes_of(script->at, len), &message) == 0) {
		if (message.type >= MESSAGE_HELLO && message.type < MESSAGE_TYPE_COUNT &&
		    message.type != MESSAGE_LEAF_WANT && message.type != MESSAGE_LEAF)
			overlay_receive(script->overlay, script->now, from, &message,
					fabric_at(script));
		message_deinit(&message);
	}
	script->at += len;
	script->left -= len;
}

static void step(struct script *script)
{
	uint8_t operation = next_byte(script), n = next_byte(script);
	struct node_id id = peer_id(n);
	struct addr addr = peer_addr(n);

	switch (operation % 12) {
	case 0:
		overlay_bootstrap(script->overlay, script->now, &addr);
		break;
	case 1:
	case 2:
		overlay_connected(script->overlay, script->now,
				  &(struct contact){.id = id, .addr = addr}, fabric_at(script));
		break;
	case 3:
		overlay_disconnected(script->overlay, script->now, &id, &addr);
		break;
	case 4:
		overlay_heard(script->overlay, script->now, &id);
		break;
	case 5:
	case 6:
		receive_hello(script, &id);
		break;
	case 7:
		receive_report(script, &id, n & 0x80);
		break;
	case 8:
		receive_pong(script, &id);
		break;
	case 9:
		receive_bytes(script, &id);
		break;
	case 10:
		script->now = mono_add_ms(script->now, (int64_t)n * n);
		break;
	default:
		if (n == 0xff)
			overlay_leave(script->overlay, script->now);
		overlay_tick(script->overlay, script->now, fabric_at(script));
	}
}

/* What comes out must be within the limits of the wire, and about somebody known. */
static void check_effects(struct script *script)
{
	const struct overlay_effect *effect;
	struct buf encoded = {0};

	while ((effect = overlay_next_effect(script->overlay))) {
		buf_clear(&encoded);
		if (effect->type == OVERLAY_SEND)
			message_encode(&effect->message, &encoded);
		if (effect->type == OVERLAY_DIAL)
			assert(!addr_is_none(&effect->addr));
	}
	buf_deinit(&encoded);
	assert(overlay_alive_count(script->overlay) <= PEERS);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct overlay_config config = {.self = {.id = peer_id(0), .incarnation = 1}, .seed = 1};
	struct script script = {.at = data, .left = len};

	config.self.addr = peer_addr(1);
	script.overlay = overlay_new(&config, script.now);
	for (size_t i = 0; i < STEPS_MAX && script.left > 0; i++) {
		step(&script);
		check_effects(&script);
	}
	overlay_free(script.overlay);
	return 0;
}
