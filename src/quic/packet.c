/* SPDX-License-Identifier: Apache-2.0 */
#include "quic/packet.h"

#include <ngtcp2/ngtcp2.h>

enum {
	PACKET_LONG_FORM = 0x80, /* RFC 9000 section 17.2 */
};

size_t packet_permitted_len(struct bytes datagram, bool short_allowed, bool *ret_early)
{
	size_t at = 0;

	*ret_early = false;
	while (at < datagram.len) {
		ngtcp2_pkt_hd hd;
		ngtcp2_ssize header_len;
		size_t left = datagram.len - at;

		if (!(datagram.ptr[at] & PACKET_LONG_FORM)) {
			*ret_early = !short_allowed;
			return short_allowed ? datagram.len : at;
		}
		header_len = ngtcp2_pkt_decode_hd_long(&hd, datagram.ptr + at, left);
		if (header_len < 0)
			return at;
		if (hd.type == NGTCP2_PKT_0RTT) {
			*ret_early = true;
			return at;
		}
		/* These two fill their datagram. */
		if (hd.type == NGTCP2_PKT_RETRY || hd.type == NGTCP2_PKT_VERSION_NEGOTIATION)
			return datagram.len;
		if (hd.len > left - (size_t)header_len)
			return at;
		at += (size_t)header_len + hd.len;
	}
	return at;
}
