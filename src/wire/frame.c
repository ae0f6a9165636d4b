/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/frame.h"

#include <string.h>

enum {
	CODE_LEN = 4,
	SIZE_LEN = 4,
};

static void append_one(struct buf *out, enum frame_channel channel, struct bytes payload)
{
	const uint8_t head[FRAME_HEADER_LEN] = {
		(uint8_t)channel,
		(uint8_t)(payload.len >> 16),
		(uint8_t)(payload.len >> 8),
		(uint8_t)payload.len,
	};

	buf_append(out, head, sizeof(head));
	buf_append_bytes(out, payload);
}

void frame_append(struct buf *out, enum frame_channel channel, struct bytes payload)
{
	do {
		size_t take = payload.len < FRAME_PAYLOAD_MAX ? payload.len : FRAME_PAYLOAD_MAX;

		append_one(out, channel, bytes_of(payload.ptr, take));
		payload.ptr += take;
		payload.len -= take;
	} while (payload.len > 0);
}

void frame_append_status(struct buf *out, int32_t code, const char *text)
{
	uint32_t bits = (uint32_t)code;
	size_t len = strlen(text);
	uint8_t payload[CODE_LEN + ERR_TEXT_MAX] = {
		(uint8_t)(bits >> 24),
		(uint8_t)(bits >> 16),
		(uint8_t)(bits >> 8),
		(uint8_t)bits,
	};

	if (len >= ERR_TEXT_MAX)
		len = ERR_TEXT_MAX - 1;
	memcpy(payload + CODE_LEN, text, len);
	append_one(out, FRAME_STATUS, bytes_of(payload, CODE_LEN + len));
}

void frame_append_size(struct buf *out, struct frame_size size)
{
	const uint8_t payload[SIZE_LEN] = {
		(uint8_t)(size.columns >> 8),
		(uint8_t)size.columns,
		(uint8_t)(size.rows >> 8),
		(uint8_t)size.rows,
	};

	append_one(out, FRAME_RESIZE, bytes_of(payload, sizeof(payload)));
}

int frame_next(struct bytes input, struct frame *ret_frame, size_t *ret_used)
{
	size_t len;

	if (input.len < FRAME_HEADER_LEN)
		return FRAME_E_MORE;
	len = (size_t)input.ptr[1] << 16 | (size_t)input.ptr[2] << 8 | input.ptr[3];
	if (input.ptr[0] > FRAME_CLOSE || len > FRAME_PAYLOAD_MAX)
		return FRAME_E_MALFORMED;
	if (input.len - FRAME_HEADER_LEN < len)
		return FRAME_E_MORE;
	ret_frame->channel = (enum frame_channel)input.ptr[0];
	ret_frame->payload = bytes_of(input.ptr + FRAME_HEADER_LEN, len);
	*ret_used = FRAME_HEADER_LEN + len;
	return 0;
}

bool frame_read_status(struct bytes payload, struct frame_status *ret_status)
{
	uint32_t bits;
	size_t len;

	if (payload.len < CODE_LEN || payload.len - CODE_LEN >= sizeof(ret_status->text))
		return false;
	bits = (uint32_t)payload.ptr[0] << 24 | (uint32_t)payload.ptr[1] << 16 |
	       (uint32_t)payload.ptr[2] << 8 | payload.ptr[3];
	len = payload.len - CODE_LEN;
	ret_status->code = (int32_t)bits;
	memcpy(ret_status->text, payload.ptr + CODE_LEN, len);
	ret_status->text[len] = '\0';
	return ret_status->code >= FRAME_NOT_RUN && ret_status->code <= 255;
}

bool frame_read_size(struct bytes payload, struct frame_size *ret_size)
{
	if (payload.len != SIZE_LEN)
		return false;
	ret_size->columns = (uint16_t)((uint16_t)payload.ptr[0] << 8 | payload.ptr[1]);
	ret_size->rows = (uint16_t)((uint16_t)payload.ptr[2] << 8 | payload.ptr[3]);
	return true;
}
