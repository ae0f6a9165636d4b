/* SPDX-License-Identifier: Apache-2.0 */
/* What a stream between agents begins with. */
#include "wire/work_open.h"

#include <assert.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

void work_open_pack(const struct work_open *from, Work__Open *to)
{
	to->version = WORK_VERSION;
	to->protocol = (uint32_t)from->protocol;
	to->port = from->port;
	to->port_name = pack_name(from->port_name, WORK_PORT_NAME_MAX);
}

/* A port by number or by name, and not both. */
void work_open_unpack(struct unpacker *unpacker, const Work__Open *from, struct work_open *to)
{
	char *name = unpack_name(unpacker, from->port_name, WORK_PORT_NAME_MAX);

	unpack_version(unpacker, from->version);
	to->protocol = (enum service_protocol)unpack_u32(unpacker, from->protocol, SERVICE_UDP);
	to->port = (uint16_t)unpack_u32(unpacker, from->port, UINT16_MAX);
	memcpy(to->port_name, name, strlen(name) + 1);
	if ((to->port == 0) == (name[0] == '\0'))
		unpack_fail(unpacker, MESSAGE_E_MALFORMED);
	free(name);
}

static void frame(const ProtobufCMessage *message, struct buf *out)
{
	struct buf body = {0};

	pack_protobuf(message, &body);
	assert(body.len <= WORK_OPEN_MAX);
	buf_append(out, &(uint8_t){(uint8_t)(body.len >> CHAR_BIT)}, 1);
	buf_append(out, &(uint8_t){(uint8_t)body.len}, 1);
	buf_append_bytes(out, bytes_buf(&body));
	buf_deinit(&body);
}

void work_open_encode(const struct work_open *open, struct buf *out)
{
	Work__Open packed;

	work__open__init(&packed);
	work_open_pack(open, &packed);
	frame(&packed.base, out);
}

void work_opened_encode(enum work_opened outcome, struct buf *out)
{
	Work__Opened packed;

	work__opened__init(&packed);
	packed.version = WORK_VERSION;
	packed.outcome = (uint32_t)outcome;
	frame(&packed.base, out);
}

/* The frame at the beginning of @bytes; @ret_body->ptr NULL: it is not complete. */
static int unframe(struct bytes bytes, struct bytes *ret_body)
{
	size_t len;

	*ret_body = (struct bytes){0};
	if (bytes.len < WORK_OPEN_HEADER_LEN)
		return 0;
	len = (size_t)bytes.ptr[0] << CHAR_BIT | bytes.ptr[1];
	if (len > WORK_OPEN_MAX)
		return MESSAGE_E_TOO_BIG;
	if (bytes.len - WORK_OPEN_HEADER_LEN >= len)
		*ret_body = bytes_of(bytes.ptr + WORK_OPEN_HEADER_LEN, len);
	return 0;
}

int work_open_decode(struct bytes bytes, struct work_open *ret_open, size_t *ret_len)
{
	struct unpack_budget budget;
	struct unpacker unpacker = {0};
	struct work_open open = {0};
	ProtobufCMessage *base;
	struct bytes body;
	int r = unframe(bytes, &body);

	*ret_len = 0;
	if (r || !body.ptr)
		return r;
	base = unpack_protobuf(&budget, &work__open__descriptor, body, &unpacker.error);
	if (!base)
		return unpacker.error;
	work_open_unpack(&unpacker, (const Work__Open *)base, &open);
	unpack_protobuf_free(&budget, base);
	if (unpacker.error)
		return unpacker.error;
	*ret_open = open;
	*ret_len = WORK_OPEN_HEADER_LEN + body.len;
	return 0;
}

int work_opened_decode(struct bytes bytes, enum work_opened *ret_outcome, size_t *ret_len)
{
	struct unpack_budget budget;
	struct unpacker unpacker = {0};
	ProtobufCMessage *base;
	struct bytes body;
	uint32_t outcome;
	int r = unframe(bytes, &body);

	*ret_len = 0;
	if (r || !body.ptr)
		return r;
	base = unpack_protobuf(&budget, &work__opened__descriptor, body, &unpacker.error);
	if (!base)
		return unpacker.error;
	unpack_version(&unpacker, ((const Work__Opened *)base)->version);
	outcome = unpack_u32(&unpacker, ((const Work__Opened *)base)->outcome,
			     _WORK_OPENED_COUNT - 1);
	unpack_protobuf_free(&budget, base);
	if (unpacker.error)
		return unpacker.error;
	*ret_outcome = (enum work_opened)outcome;
	*ret_len = WORK_OPEN_HEADER_LEN + body.len;
	return 0;
}

const char *work_opened_text(enum work_opened outcome)
{
	static const char *const texts[] = {
		[WORK_ACCEPTED] = "accepted",
		[WORK_DENIED] = "refused by its policy",
		[WORK_UNREACHABLE] = "nothing listens there",
		[WORK_NO_PORT] = "it declares no such port",
		[WORK_BUSY] = "it has too many connections",
		[WORK_LEAVING] = "it is about to end",
	};

	return (size_t)outcome < ARRAY_LEN(texts) ? texts[outcome] : "unknown";
}
