/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Output: collects packets into trains, so that one system call carries many.
 *
 * The packets of a train share a path and a size; only the last may be shorter. That is what the
 * kernel's segmentation (UDP_SEGMENT) can send at once. What a stopped sink has not taken yet stays
 * here and goes first next time.
 */
#pragma once

#include "quic/endpoint.h"

enum {
	OUTPUT_PACKET_MAX = 1452, /* fits Ethernet under IPv4 and IPv6 */
	/* Between two of one machine nothing is that small: six packets' work for one. Seven of
	 * these fill a train. */
	OUTPUT_PACKET_LOCAL = 8952,
	OUTPUT_SEGMENTS_MAX = 64, /* the kernel's UDP_MAX_SEGMENTS */
	OUTPUT_TRAIN_MAX = 65487, /* 65535 less the largest headers of IP and UDP */
};

struct output {
	struct quic_path path;
	size_t len, segment_len, segments;
	bool closed;  /* the last packet was shorter: nothing may follow it */
	bool stopped; /* the sink takes no more */
	quic_sink_fn sink;
	void *io;
	uint64_t datagrams, bytes; /* handed to the sink, ever */
	uint8_t data[OUTPUT_TRAIN_MAX + OUTPUT_PACKET_LOCAL];
};

/* Start a round; what is left of the one before is handed over first. */
void output_begin(struct output *output, quic_sink_fn sink, void *io);

/* Room for the next packet, OUTPUT_PACKET_LOCAL bytes. */
uint8_t *output_room(struct output *output);

/* The first @len bytes of the room are a packet for @path. */
void output_commit(struct output *output, const struct quic_path *path, size_t len);

/* A packet from elsewhere, at most OUTPUT_PACKET_MAX bytes. */
void output_packet(struct output *output, const struct quic_path *path, struct bytes packet);

/* Hand over what is collected. */
void output_flush(struct output *output);
