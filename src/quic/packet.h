/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packet: which packets of a datagram a connection may see at all.
 *
 * Two invariants of every connection are kept here, before the library parses anything:
 * - nobody uses 0-RTT, so no early packet is ever processed;
 * - a client processes no 1-RTT packet before it has itself sent the first packet of the time after
 *   its handshake. Our servers send none earlier, and the library is not prepared for control
 *   frames that arrive while its handshake state is still being dismantled.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"

/* How many leading bytes of @datagram consist of permitted packets. Packets that cannot be parsed
 * end it too. @short_allowed: whether 1-RTT packets are permitted yet. *@ret_early says whether
 * a packet before its time was what ended it. */
size_t packet_permitted_len(struct bytes datagram, bool short_allowed, bool *ret_early);
