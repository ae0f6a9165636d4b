/* SPDX-License-Identifier: Apache-2.0 */
#include "api/spdy.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <zlib.h>

#include "base/mem.h"

enum {
	FRAME_HEAD = 8,
	VERSION = 3,
	FLAG_FIN = 1,
	TYPE_SYN_STREAM = 1,
	TYPE_SYN_REPLY = 2,
	TYPE_RST_STREAM = 3,
	TYPE_PING = 6,
	TYPE_HEADERS = 8,
	SYN_STREAM_HEAD = 10, /* stream, associated stream, priority and slot */
	HEADERS_HEAD = 4,
	DATA_LEN_MAX = 0xffffff,
	DICTIONARY_LEN = 1423,
};

struct header {
	const char *name, *value;
};

struct spdy {
	z_stream inflater;
	struct buf control; /* a control frame that is not whole yet */
	uint8_t *headers;   /* SPDY_HEADERS_MAX and a zero for the last value */
	struct header header[SPDY_HEADER_COUNT_MAX];
	size_t header_count;
	uint32_t last_stream; /* opened by the client */
	uint32_t pings;       /* sent */
	bool has_replied;
	/* Of the data frame that is coming in. */
	uint32_t data_stream;
	size_t data_left;
	bool data_end, in_data;
};

static uint32_t read_u32(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void append_u32(struct buf *out, uint32_t value)
{
	const uint8_t bytes[] = {(uint8_t)(value >> 24), (uint8_t)(value >> 16),
				 (uint8_t)(value >> 8), (uint8_t)value};

	buf_append(out, bytes, sizeof(bytes));
}

/* ---- header blocks */

static void append_word(struct buf *out, const char *word)
{
	append_u32(out, (uint32_t)strlen(word));
	buf_append_str(out, word);
}

static void append_dictionary(struct buf *out)
{
#define WORD(text) append_word(out, text);
#define TAIL(text) buf_append_str(out, text);
#include "api/spdy_dictionary.def"
#undef WORD
#undef TAIL
	assert(out->len == DICTIONARY_LEN);
}

static bool set_dictionary(struct spdy *spdy)
{
	struct buf dictionary = {0};
	int r;

	append_dictionary(&dictionary);
	r = inflateSetDictionary(&spdy->inflater, dictionary.ptr, (uInt)dictionary.len);
	buf_deinit(&dictionary);
	return r == Z_OK;
}

/* The block's text into spdy->headers. Negative: it is malformed or too large. */
static ssize_t inflate_block(struct spdy *spdy, struct bytes block)
{
	z_stream *inflater = &spdy->inflater;
	int r;

	inflater->next_in = (uint8_t *)(uintptr_t)block.ptr;
	inflater->avail_in = (uInt)block.len;
	inflater->next_out = spdy->headers;
	inflater->avail_out = SPDY_HEADERS_MAX;
	do {
		r = inflate(inflater, Z_SYNC_FLUSH);
		if (r == Z_NEED_DICT && !set_dictionary(spdy))
			return -1;
	} while (r == Z_NEED_DICT);
	/* Every block ends with a flush: what it says is all there, and nothing is left over. */
	if ((r != Z_OK && r != Z_BUF_ERROR) || inflater->avail_in > 0 || inflater->avail_out == 0)
		return -1;
	return (ssize_t)(SPDY_HEADERS_MAX - inflater->avail_out);
}

/* A string of the block: its length, then so many bytes. */
static bool read_string(const struct spdy *spdy, size_t len, size_t *at, const char **ret_string,
			size_t *ret_len)
{
	if (len - *at < 4)
		return false;
	*ret_len = read_u32(spdy->headers + *at);
	*at += 4;
	if (len - *at < *ret_len)
		return false;
	*ret_string = (const char *)spdy->headers + *at;
	*at += *ret_len;
	return true;
}

/* Each string is followed by the length of the next: once that has been read, a zero can be put in
 * its place. */
static bool read_block(struct spdy *spdy, struct bytes block)
{
	ssize_t inflated = inflate_block(spdy, block);
	size_t len = (size_t)inflated, at = 4, name_len, value_len;
	uint32_t count;

	if (inflated < 4)
		return false;
	count = read_u32(spdy->headers);
	if (count > SPDY_HEADER_COUNT_MAX)
		return false;
	for (uint32_t i = 0; i < count; i++) {
		struct header *header = &spdy->header[i];

		if (!read_string(spdy, len, &at, &header->name, &name_len) ||
		    !read_string(spdy, len, &at, &header->value, &value_len))
			return false;
		*((char *)(uintptr_t)header->name + name_len) = '\0';
		if (i > 0)
			*((char *)(uintptr_t)header->name - 4) = '\0';
	}
	spdy->headers[len] = '\0';
	spdy->header_count = count;
	return at == len;
}

const char *spdy_header(const struct spdy *spdy, const char *name)
{
	for (size_t i = 0; i < spdy->header_count; i++)
		if (strcmp(spdy->header[i].name, name) == 0)
			return spdy->header[i].value;
	return NULL;
}

/* ---- frames that come in */

static int take_syn_stream(struct spdy *spdy, struct bytes body, bool end, struct spdy_event *ret)
{
	uint32_t stream;

	if (body.len < SYN_STREAM_HEAD)
		return SPDY_E_PROTOCOL;
	stream = read_u32(body.ptr) & 0x7fffffff;
	if (stream % 2 == 0 || stream <= spdy->last_stream)
		return SPDY_E_PROTOCOL;
	if (!read_block(spdy, bytes_of(body.ptr + SYN_STREAM_HEAD, body.len - SYN_STREAM_HEAD)))
		return SPDY_E_PROTOCOL;
	spdy->last_stream = stream;
	*ret = (struct spdy_event){.kind = SPDY_OPENED, .stream = stream, .end = end};
	return 0;
}

/* Nobody sends it, but its block belongs to the one zlib stream. */
static int take_headers(struct spdy *spdy, struct bytes body)
{
	if (body.len < HEADERS_HEAD ||
	    !read_block(spdy, bytes_of(body.ptr + HEADERS_HEAD, body.len - HEADERS_HEAD)))
		return SPDY_E_PROTOCOL;
	spdy->header_count = 0;
	return SPDY_E_MORE;
}

static void append_control(struct buf *out, uint16_t type, size_t len)
{
	append_u32(out, 0x80000000u | VERSION << 16 | type);
	append_u32(out, (uint32_t)len);
}

/* Odd numbers are the client's questions, even ones the answers to ours. */
static int take_ping(struct bytes body, struct buf *out)
{
	if (body.len != 4)
		return SPDY_E_PROTOCOL;
	if (body.ptr[3] % 2 == 1) {
		append_control(out, TYPE_PING, 4);
		buf_append_bytes(out, body);
	}
	return SPDY_E_MORE;
}

static int take_control(struct spdy *spdy, const uint8_t *frame, size_t len, struct buf *out,
			struct spdy_event *ret)
{
	struct bytes body = bytes_of(frame + FRAME_HEAD, len - FRAME_HEAD);
	unsigned type = (unsigned)frame[2] << 8 | frame[3];

	switch (type) {
	case TYPE_SYN_STREAM:
		return take_syn_stream(spdy, body, frame[4] & FLAG_FIN, ret);
	case TYPE_SYN_REPLY: /* we open no streams */
		return SPDY_E_PROTOCOL;
	case TYPE_RST_STREAM:
		if (body.len != 8)
			return SPDY_E_PROTOCOL;
		*ret = (struct spdy_event){.kind = SPDY_RESET,
					   .stream = read_u32(body.ptr) & 0x7fffffff};
		return 0;
	case TYPE_PING:
		return take_ping(body, out);
	case TYPE_HEADERS:
		return take_headers(spdy, body);
	default: /* SETTINGS, GOAWAY, WINDOW_UPDATE: nothing here depends on them */
		return SPDY_E_MORE;
	}
}

/* Collect a control frame. 0 when it is whole. */
static int collect(struct spdy *spdy, struct bytes input, size_t want, size_t *ret_used)
{
	size_t need = want - spdy->control.len;
	size_t take = input.len < need ? input.len : need;

	buf_append(&spdy->control, input.ptr, take);
	*ret_used += take;
	return take == need ? 0 : SPDY_E_MORE;
}

static int take_piece(struct spdy *spdy, struct bytes input, size_t *ret_used,
		      struct spdy_event *ret)
{
	size_t take = input.len < spdy->data_left ? input.len : spdy->data_left;

	if (take == 0 && spdy->data_left > 0)
		return SPDY_E_MORE;
	spdy->data_left -= take;
	spdy->in_data = spdy->data_left > 0;
	*ret_used += take;
	*ret = (struct spdy_event){.kind = SPDY_DATA,
				   .stream = spdy->data_stream,
				   .end = spdy->data_end && !spdy->in_data,
				   .data = bytes_of(input.ptr, take)};
	return 0;
}

static void begin_data(struct spdy *spdy, const uint8_t *head, size_t len)
{
	spdy->data_stream = read_u32(head);
	spdy->data_left = len;
	spdy->data_end = head[4] & FLAG_FIN;
	spdy->in_data = true;
	buf_clear(&spdy->control);
}

/* One frame, or a piece of one. */
static int next_frame(struct spdy *spdy, struct bytes input, struct buf *out, size_t *ret_used,
		      struct spdy_event *ret)
{
	size_t used = 0, len;
	int r;

	if (spdy->in_data)
		return take_piece(spdy, input, ret_used, ret);
	if (spdy->control.len < FRAME_HEAD) {
		r = collect(spdy, input, FRAME_HEAD, &used);
		*ret_used += used;
		if (r != 0)
			return r;
		input = bytes_of(input.ptr + used, input.len - used);
	}
	len = read_u32(spdy->control.ptr + 4) & 0xffffff;
	if (!(spdy->control.ptr[0] & 0x80)) {
		if (read_u32(spdy->control.ptr) == 0)
			return SPDY_E_PROTOCOL;
		begin_data(spdy, spdy->control.ptr, len);
		return take_piece(spdy, input, ret_used, ret);
	}
	if (spdy->control.ptr[0] != 0x80 || spdy->control.ptr[1] != VERSION ||
	    len > SPDY_CONTROL_MAX)
		return SPDY_E_PROTOCOL;
	r = collect(spdy, input, FRAME_HEAD + len, ret_used);
	if (r == 0) {
		r = take_control(spdy, spdy->control.ptr, FRAME_HEAD + len, out, ret);
		buf_clear(&spdy->control);
		if (r == SPDY_E_MORE)
			return -EAGAIN; /* the next frame may be here already */
	}
	return r;
}

int spdy_next(struct spdy *spdy, struct bytes input, struct buf *out, size_t *ret_used,
	      struct spdy_event *ret_event)
{
	int r;

	*ret_used = 0;
	do
		r = next_frame(spdy, bytes_of(input.ptr + *ret_used, input.len - *ret_used), out,
			       ret_used, ret_event);
	while (r == -EAGAIN);
	return r;
}

/* ---- frames that go out */

void spdy_reply(struct spdy *spdy, uint32_t stream, struct buf *out)
{
	/* A zlib header once, then no headers in a stored block, and an empty one: readers wait for
	 * the flush. */
	static const uint8_t zlib_head[] = {0x78, 0x01};
	static const uint8_t block[] = {0x00, 0x04, 0x00, 0xfb, 0xff, 0x00, 0x00,
					0x00, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff};
	size_t head = spdy->has_replied ? 0 : sizeof(zlib_head);

	append_control(out, TYPE_SYN_REPLY, 4 + head + sizeof(block));
	append_u32(out, stream);
	buf_append(out, zlib_head, head);
	buf_append(out, block, sizeof(block));
	spdy->has_replied = true;
}

void spdy_data(uint32_t stream, struct bytes data, bool end, struct buf *out)
{
	do {
		size_t take = data.len < DATA_LEN_MAX ? data.len : DATA_LEN_MAX;
		bool last = take == data.len;

		append_u32(out, stream);
		append_u32(out, (end && last ? (uint32_t)FLAG_FIN << 24 : 0) | (uint32_t)take);
		buf_append(out, data.ptr, take);
		data = bytes_of(data.ptr + take, data.len - take);
	} while (data.len > 0);
}

void spdy_reset(uint32_t stream, uint32_t code, struct buf *out)
{
	append_control(out, TYPE_RST_STREAM, 8);
	append_u32(out, stream);
	append_u32(out, code);
}

void spdy_ping(struct spdy *spdy, struct buf *out)
{
	append_control(out, TYPE_PING, 4);
	append_u32(out, spdy->pings += 2);
}

/* ---- life */

struct spdy *spdy_new(void)
{
	struct spdy *spdy = mem_new(struct spdy);

	spdy->headers = mem_alloc(1, SPDY_HEADERS_MAX + 1);
	if (inflateInit(&spdy->inflater) != Z_OK)
		abort(); /* only memory can be short */
	return spdy;
}

void spdy_free(struct spdy *spdy)
{
	if (!spdy)
		return;
	(void)inflateEnd(&spdy->inflater);
	buf_deinit(&spdy->control);
	free(spdy->headers);
	free(spdy);
}
