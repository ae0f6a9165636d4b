/* SPDX-License-Identifier: Apache-2.0 */
#include "quic/packet.h"

#include <ngtcp2/ngtcp2.h>

enum {
	PACKET_LONG_FORM = 0x80, /* RFC 9000 section 17.2 */
};

size_t packet_permitted_len(struct bytes datagram, bool short_allowed, enum packet_stop *ret_stop)
{
	size_t at = 0;

	*ret_stop = PACKET_STOP_END;
	while (at < datagram.len) {
		size_t left = datagram.len - at;
		ngtcp2_ssize header_len;
		ngtcp2_pkt_hd hd;

		if (!(datagram.ptr[at] & PACKET_LONG_FORM)) {
			if (short_allowed)
				return datagram.len;
			*ret_stop = PACKET_STOP_SHORT;
			return at;
		}
		header_len = ngtcp2_pkt_decode_hd_long(&hd, datagram.ptr + at, left);
		*ret_stop = PACKET_STOP_UNKNOWN;
		if (header_len < 0)
			return at;
		if (hd.type == NGTCP2_PKT_0RTT) {
			*ret_stop = PACKET_STOP_0RTT;
			return at;
		}
		*ret_stop = PACKET_STOP_END;
		/* These two fill their datagram. */
		if (hd.type == NGTCP2_PKT_RETRY || hd.type == NGTCP2_PKT_VERSION_NEGOTIATION)
			return datagram.len;
		if (hd.len > left - (size_t)header_len) {
			*ret_stop = PACKET_STOP_UNKNOWN;
			return at;
		}
		at += (size_t)header_len + hd.len;
	}
	return at;
}
