/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A node between a workload of its own and a peer that sends what it likes.
 *
 * The input is a list of steps: a byte for what to do, two for the length (little-endian), then so
 * many bytes. Whatever comes, the node must go on, and a record of what runs must stay readable.
 */
#include <stdint.h>
#include <stdlib.h>

#include "world.h"

enum step {
	STEP_PACKET,   /* the bytes as they are */
	STEP_PLAIN,    /* as an unsigned message */
	STEP_ENVELOPE, /* signed by the peer, now */
	STEP_OLD,      /* signed by the peer, a minute ago */
	STEP_WAIT,     /* time passes */
	STEP_COUNT,
};

enum {
	STEP_HEAD_LEN = 3,
	STEPS_MAX = 64,
	WAIT_MS_MAX = 1000,
	OLD_MS = 60000,
	NODE = 0,
	PEER = 1,
};

static void plain(struct world *world, struct bytes bytes)
{
	struct packet packet = {.body = bytes};
	struct buf encoded = {0};

	packet_encode(&packet, &encoded);
	world_packet(world, PEER, NODE, bytes_buf(&encoded));
	buf_deinit(&encoded);
}

static void envelope(struct world *world, int64_t ago_ms, struct bytes bytes)
{
	struct buf sealed = {0};

	world_seal_payload(world, PEER, ago_ms, bytes, &sealed);
	world_inject(world, PEER, NODE, bytes_buf(&sealed));
	buf_deinit(&sealed);
}

static void take_step(struct world *world, enum step step, struct bytes bytes)
{
	if (!bytes.len) /* there are no packets without a body */
		return;
	switch (step) {
	case STEP_PACKET:
		world_packet(world, PEER, NODE, bytes);
		return;
	case STEP_PLAIN:
		plain(world, bytes);
		return;
	case STEP_ENVELOPE:
		envelope(world, 0, bytes);
		return;
	case STEP_OLD:
		envelope(world, OLD_MS, bytes);
		return;
	case STEP_WAIT:
		world_run_ms(world, (int64_t)bytes.len % WAIT_MS_MAX);
		return;
	case STEP_COUNT:
		return;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct world *world = world_new(2);
	struct uid uid;
	size_t at = 0;

	world_settle(world);
	uid = world_deploy(world, NODE, 2);
	world_run_ms(world, 100);
	for (int steps = 0; steps < STEPS_MAX && size - at >= STEP_HEAD_LEN; steps++) {
		size_t len = data[at + 1] | (size_t)data[at + 2] << 8;
		enum step step = data[at] % STEP_COUNT;

		at += STEP_HEAD_LEN;
		if (len > size - at)
			len = size - at;
		take_step(world, step, bytes_of(data + at, len));
		at += len;
	}
	world_run_ms(world, WAIT_MS_MAX);
	(void)world_running(world, NODE, &uid, NULL);
	world_free(world);
	return 0;
}
