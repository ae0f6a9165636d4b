/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Datagrams of strangers, into endpoints that are also busy with each other.
 *
 * Input: chunks of { flags, length (2 bytes), bytes }. Flags: bit 0 the node that receives; bit 1
 * the id of a live connection is put in, so that the packet is looked at by it; bit 2 it comes from
 * the other node's address; bit 3 zeros are added up to the smallest Initial; bits 4-7 milliseconds
 * that pass before.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "io/log.h"
#include "world.h"

enum {
	CHUNK_HEADER = 3,
	CHUNK_MAX = 2048,
	ID_LEN_LIVE = 8,
	INITIAL_MIN = 1200,
};

/* The ids under which the two nodes were last addressed with a short header. */
static uint8_t live_id[2][ID_LEN_LIVE];

static bool note_id(struct world *world, struct world_packet *packet)
{
	size_t node = addr_equal(&packet->path.local, &world->node[1].addr);

	if (!(packet->data[0] & 0x80) && packet->len > ID_LEN_LIVE)
		memcpy(live_id[node], packet->data + 1, ID_LEN_LIVE);
	return true;
}

static void input_chunk(struct world *world, uint8_t flags, struct bytes chunk)
{
	struct node *node = &world->node[flags & 1], *other = &world->node[1 - (flags & 1)];
	struct quic_path path = {.local = node->addr,
				 .remote = {.ip = {10, 7, 7, 7}, .port = 77, .is_v4 = true}};
	uint8_t datagram[CHUNK_MAX];

	if (flags & 4)
		path.remote = other->addr;
	memcpy(datagram, chunk.ptr, chunk.len);
	if (flags & 2) {
		size_t at = chunk.len > 0 && datagram[0] & 0x80 ? 6 : 1;

		if (chunk.len >= at + ID_LEN_LIVE)
			memcpy(datagram + at, live_id[flags & 1], ID_LEN_LIVE);
	}
	if (flags & 8 && chunk.len < INITIAL_MIN) {
		memset(datagram + chunk.len, 0, INITIAL_MIN - chunk.len);
		chunk.len = INITIAL_MIN;
	}
	(void)world_run(world, flags >> 4, NULL);
	quic_endpoint_input(node->endpoint, world->now, &path, bytes_of(datagram, chunk.len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct world *world = world_new(1);

	log_init(&(struct log_config){.min = LOG_LEVEL_ERROR});
	world->delay_us = 1000;
	world->tap = note_id;
	(void)world_add(world, NULL);
	(void)world_add(world, NULL);
	(void)!quic_conn_send(world_dial(&world->node[0], &world->node[1]), bytes_str("hello"));
	while (size >= CHUNK_HEADER) {
		size_t len = (size_t)data[1] << 8 | data[2];
		uint8_t flags = data[0];

		data += CHUNK_HEADER;
		size -= CHUNK_HEADER;
		len %= CHUNK_MAX;
		if (len > size)
			len = size;
		input_chunk(world, flags, bytes_of(data, len));
		data += len;
		size -= len;
	}
	(void)world_run(world, 1000, NULL);
	world_free(world);
	return 0;
}
