/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packet: which packets of a datagram a connection may see at all.
 *
 * Two invariants of every connection are kept here, before the library parses anything:
 * - nobody uses 0-RTT, so no early packet is ever processed;
 * - a client processes no 1-RTT packet before it has itself sent the first packet of the time after
 *   its handshake: the library is not prepared for control frames that arrive while its handshake
 *   state is still being dismantled. One such packet, as honest servers send, waits until then.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"

/* What follows the permitted part of a datagram. */
enum packet_stop {
	PACKET_STOP_END,     /* nothing */
	PACKET_STOP_UNKNOWN, /* no packet that can be told from noise */
	PACKET_STOP_0RTT,
	PACKET_STOP_SHORT, /* a 1-RTT packet, before it is allowed */
};

/* How many leading bytes of @datagram consist of permitted packets. @short_allowed: whether 1-RTT
 * packets are. */
size_t packet_permitted_len(struct bytes datagram, bool short_allowed, enum packet_stop *ret_stop);
