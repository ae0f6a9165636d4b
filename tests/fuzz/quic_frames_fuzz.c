/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A peer with valid keys that writes frames of its own choice, from the first packet on.
 *
 * Input: flags (bit 0: the evil one is the server; bit 1: it leaves out its transport parameters),
 * then, for each of its packets, what to do:
 *   kind % 4 == 0  leave it alone
 *   kind % 4 == 1  { n, n bytes } written over its beginning
 *   kind % 4 == 2  the same, and padding after it
 *   kind % 4 == 3  { count % 16, then per frame: type, four numbers }, then padding
 * A number is a byte n: n itself below 128, else one of the interesting ones.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "evil.h"
#include "io/log.h"

enum {
	FRAME_ROOM = 1 + 4 * 8,
	RUN_MS = 3000,
};

static struct bytes script;

static uint8_t next_byte(void)
{
	uint8_t byte = script.len > 0 ? script.ptr[0] : 0;

	if (script.len > 0) {
		script.ptr++;
		script.len--;
	}
	return byte;
}

static uint64_t next_number(void)
{
	static const uint64_t interesting[] = {128,
					       255,
					       1023,
					       1024,
					       16383,
					       16384,
					       65535,
					       65536,
					       65537,
					       262143,
					       262144,
					       262145,
					       1u << 30,
					       (1u << 30) - 1,
					       1ull << 32,
					       (1ull << 60) - 1,
					       (1ull << 60) + 1,
					       (1ull << 62) - 1};
	uint8_t byte = next_byte();

	return byte < 128 ? byte : interesting[(byte - 128u) % ARRAY_LEN(interesting)];
}

static size_t write_frames(uint8_t *frames, size_t len)
{
	size_t count = next_byte() % 16, at = 0;

	for (size_t i = 0; i < count && at + FRAME_ROOM <= len; i++) {
		frames[at++] = next_byte();
		for (int k = 0; k < 4; k++)
			at += evil_varint(frames + at, next_number());
	}
	return at;
}

static size_t write_raw(uint8_t *frames, size_t len)
{
	size_t count = next_byte(), at = 0;

	while (at < count && at < len)
		frames[at++] = next_byte();
	return at;
}

static void rewrite(struct evil *e, enum evil_packet type, uint8_t *frames, size_t len)
{
	uint8_t kind;
	size_t at;

	(void)e;
	(void)type;
	if (script.len == 0)
		return;
	kind = next_byte();
	if (kind % 4 == 0)
		return;
	at = kind % 4 == 3 ? write_frames(frames, len) : write_raw(frames, len);
	if (kind % 4 != 1)
		memset(frames + at, 0, len - at);
}

static void talk(struct node *node, struct quic_conn *conn)
{
	static const uint8_t filler[3000];
	struct quic_stream *stream;

	(void)node;
	(void)!quic_conn_send(conn, bytes_of(filler, 900));
	(void)!quic_conn_send(conn, bytes_of(filler, sizeof(filler)));
	if (quic_stream_open(conn, NULL, &stream) == 0)
		(void)!quic_stream_write(stream, bytes_of(filler, sizeof(filler)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct world *world;
	uint8_t flags;

	if (size < 1)
		return 0;
	log_init(&(struct log_config){.min = LOG_LEVEL_ERROR});
	script = bytes_of(data, size);
	flags = next_byte();
	world = world_new(1);
	(void)world_add(world, NULL);
	(void)world_add(world, NULL);
	world->node[0].on_opened = world->node[1].on_opened = talk;
	evil = (struct evil){.world = world,
			     .node = &world->node[flags & 1],
			     .rewrite = rewrite,
			     .no_parameters = flags & 2};
	(void)world_dial(&world->node[0], &world->node[1]);
	for (int i = 0; i < 3; i++) {
		(void)world_run(world, RUN_MS / 3, NULL);
		for (int k = 0; k < 2; k++) {
			if (world->node[k].conn)
				talk(&world->node[k], world->node[k].conn);
		}
	}
	evil = (struct evil){0};
	world_free(world);
	return 0;
}
