/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first byte says what follows up to the end of the datagram or stream:
 *
 *     01 | message (protobuf, magik.Message)
 *     02 | envelope around a signed message
 *
 * The length is the transport's. Any other first byte is of a later version.
 */
#include <assert.h>

#include "wire/message.h"

enum {
	PACKET_MESSAGE = 1,
	PACKET_ENVELOPE = 2,
	PACKET_TYPE_LEN = 1,
	PACKET_SIGNATURE_MAX = 4096, /* what an envelope adds to its message; ours add ~200 bytes */
};

static size_t body_len_max(bool is_envelope)
{
	return MESSAGE_LEN_MAX + (is_envelope ? (size_t)PACKET_SIGNATURE_MAX : 0);
}

void packet_encode(const struct packet *packet, struct buf *out)
{
	uint8_t type = packet->is_envelope ? PACKET_ENVELOPE : PACKET_MESSAGE;

	assert(packet->body.len > 0 && packet->body.len <= body_len_max(packet->is_envelope));
	buf_append(out, &type, PACKET_TYPE_LEN);
	buf_append_bytes(out, packet->body);
}

int packet_decode(struct bytes bytes, struct packet *ret_packet)
{
	struct packet packet;

	if (bytes.len <= PACKET_TYPE_LEN)
		return MESSAGE_E_MALFORMED;
	if (bytes.ptr[0] != PACKET_MESSAGE && bytes.ptr[0] != PACKET_ENVELOPE)
		return MESSAGE_E_UNKNOWN;
	packet.is_envelope = bytes.ptr[0] == PACKET_ENVELOPE;
	packet.body = bytes_of(bytes.ptr + PACKET_TYPE_LEN, bytes.len - PACKET_TYPE_LEN);
	if (packet.body.len > body_len_max(packet.is_envelope))
		return MESSAGE_E_TOO_BIG;
	*ret_packet = packet;
	return 0;
}
