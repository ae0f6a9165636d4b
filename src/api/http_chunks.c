/* SPDX-License-Identifier: Apache-2.0 */
#include "api/http_chunks.h"

static const char malformed[] = "malformed chunk";

static int digit_of(uint8_t byte)
{
	if (byte >= '0' && byte <= '9')
		return byte - '0';
	if (byte >= 'a' && byte <= 'f')
		return byte - 'a' + 10;
	return byte >= 'A' && byte <= 'F' ? byte - 'A' + 10 : -1;
}

static int take_size(struct http_chunks *chunks, uint8_t byte)
{
	int digit = digit_of(byte);

	if (digit >= 0 && chunks->digits < HTTP_CHUNK_DIGITS_MAX) {
		chunks->left = chunks->left << 4 | (uint32_t)digit;
		chunks->digits++;
		return 0;
	}
	if (byte != '\r' || chunks->digits == 0)
		return HTTP_E_MALFORMED;
	chunks->last = chunks->left == 0;
	chunks->state = HTTP_CHUNKS_SIZE_LF;
	return 0;
}

/* The one byte that may stand here, and what follows it. */
static int take_mark(struct http_chunks *chunks, uint8_t byte, char mark,
		     enum http_chunks_state next)
{
	if (byte != (uint8_t)mark)
		return HTTP_E_MALFORMED;
	chunks->state = next;
	chunks->digits = 0;
	return 0;
}

static int take_byte(struct http_chunks *chunks, uint8_t byte)
{
	switch (chunks->state) {
	case HTTP_CHUNKS_SIZE:
		return take_size(chunks, byte);
	case HTTP_CHUNKS_SIZE_LF:
		return take_mark(chunks, byte, '\n',
				 chunks->last ? HTTP_CHUNKS_CR : HTTP_CHUNKS_DATA);
	case HTTP_CHUNKS_CR:
		return take_mark(chunks, byte, '\r', HTTP_CHUNKS_LF);
	case HTTP_CHUNKS_LF:
		return take_mark(chunks, byte, '\n',
				 chunks->last ? HTTP_CHUNKS_DONE : HTTP_CHUNKS_SIZE);
	case HTTP_CHUNKS_DATA:
	case HTTP_CHUNKS_DONE:
		break;
	}
	return HTTP_E_MALFORMED;
}

/* Returns how much of @input belongs to the chunk. */
static size_t take_data(struct http_chunks *chunks, struct bytes input, struct buf *body)
{
	size_t len = input.len < chunks->left ? input.len : chunks->left;

	buf_append(body, input.ptr, len);
	chunks->left -= (uint32_t)len;
	if (chunks->left == 0)
		chunks->state = HTTP_CHUNKS_CR;
	return len;
}

int http_chunks_feed(struct http_chunks *chunks, struct bytes input, struct buf *body,
		     size_t *ret_used, const char **ret_why)
{
	size_t at = 0;
	int r = 0;

	while (r == 0 && at < input.len && chunks->state != HTTP_CHUNKS_DONE) {
		if (chunks->state == HTTP_CHUNKS_DATA)
			at += take_data(chunks, bytes_of(input.ptr + at, input.len - at), body);
		else
			r = take_byte(chunks, input.ptr[at++]);
		if (r == 0 && body->len + chunks->left > HTTP_BODY_MAX)
			r = HTTP_E_BODY_LARGE;
	}
	*ret_used = at;
	if (r)
		*ret_why = r == HTTP_E_BODY_LARGE ? "request body is too large" : malformed;
	return r || chunks->state == HTTP_CHUNKS_DONE ? r : HTTP_E_MORE;
}
