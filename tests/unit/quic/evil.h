/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Evil: one node of a world that breaks the rules from inside, with valid keys.
 *
 * A program linked with evil.c has its packets pass through evil.rewrite() just before they are
 * encrypted, and may leave the QUIC extension out of its TLS messages. So the other node meets what
 * no honest implementation would send, correctly protected.
 */
#pragma once

#include "world.h"

enum evil_packet {
	EVIL_INITIAL,
	EVIL_HANDSHAKE,
	EVIL_SHORT,
};

struct evil {
	struct world *world;
	struct node *node; /* NULL: everybody is honest */
	/* Change the frames of a packet in place. */
	void (*rewrite)(struct evil *evil, enum evil_packet type, uint8_t *frames, size_t len);
	void *user;
	bool no_parameters;       /* leaves out quic_transport_parameters */
	size_t late_tls_messages; /* TLS messages after the handshake, by anybody */
	size_t rewritten;
};

extern struct evil evil;

/* Append a variable-length integer, RFC 9000 section 16; returns its length. */
size_t evil_varint(uint8_t *out, uint64_t value);
