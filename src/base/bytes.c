/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum {
	BUF_CAP_MIN = 64, /* below this, growing costs more than it saves */
};

static const char hex_digits[] = "0123456789abcdef";
static const char base64_digits[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

struct bytes bytes_str(const char *string)
{
	return bytes_of(string, string ? strlen(string) : 0);
}

bool bytes_equal(struct bytes a, struct bytes b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

void buf_deinit(struct buf *buf)
{
	free(buf->ptr);
	*buf = (struct buf){0};
}

void buf_clear(struct buf *buf)
{
	buf->len = 0;
}

void buf_reserve(struct buf *buf, size_t more)
{
	size_t need, cap;

	if (__builtin_add_overflow(buf->len, more, &need) || need >= SIZE_MAX / 2)
		abort();
	need += 1; /* room for the zero of buf_cstr() */
	if (need <= buf->cap)
		return;
	cap = buf->cap ? buf->cap * 2 : BUF_CAP_MIN;
	if (cap < need)
		cap = need;
	buf->ptr = mem_resize(buf->ptr, cap, 1);
	buf->cap = cap;
}

void buf_append(struct buf *buf, const void *from, size_t len)
{
	buf_reserve(buf, len);
	if (len)
		memcpy(buf->ptr + buf->len, from, len);
	buf->len += len;
}

void buf_append_bytes(struct buf *buf, struct bytes bytes)
{
	buf_append(buf, bytes.ptr, bytes.len);
}

void buf_append_str(struct buf *buf, const char *string)
{
	buf_append(buf, string, strlen(string));
}

void buf_append_format(struct buf *buf, const char *format, ...)
{
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(NULL, 0, format, args);
	va_end(args);
	assert(len >= 0);
	buf_reserve(buf, (size_t)len);
	va_start(args, format);
	(void)vsnprintf((char *)buf->ptr + buf->len, (size_t)len + 1, format, args);
	va_end(args);
	buf->len += (size_t)len;
}

void buf_consume(struct buf *buf, size_t len)
{
	assert(len <= buf->len);
	buf->len -= len;
	if (buf->len)
		memmove(buf->ptr, buf->ptr + len, buf->len);
}

const char *buf_cstr(struct buf *buf)
{
	buf_reserve(buf, 0);
	buf->ptr[buf->len] = 0;
	return (const char *)buf->ptr;
}

char *buf_steal(struct buf *buf)
{
	char *memory;

	(void)buf_cstr(buf);
	memory = (char *)buf->ptr;
	*buf = (struct buf){0};
	return memory;
}

void hex_encode(struct bytes bytes, char *out)
{
	for (size_t i = 0; i < bytes.len; i++) {
		*out++ = hex_digits[bytes.ptr[i] >> 4];
		*out++ = hex_digits[bytes.ptr[i] & 15];
	}
	*out = 0;
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

bool hex_decode(const char *text, uint8_t *out, size_t len)
{
	if (strlen(text) != 2 * len)
		return false;
	for (size_t i = 0; i < len; i++) {
		int high = hex_value(text[2 * i]), low = hex_value(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		out[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

void base64_encode(struct bytes bytes, struct buf *out)
{
	for (size_t i = 0; i < bytes.len; i += 3) {
		size_t left = bytes.len - i;
		uint32_t group = (uint32_t)bytes.ptr[i] << 16;
		char quad[4];

		if (left > 1)
			group |= (uint32_t)bytes.ptr[i + 1] << 8;
		if (left > 2)
			group |= bytes.ptr[i + 2];
		quad[0] = base64_digits[group >> 18];
		quad[1] = base64_digits[group >> 12 & 63];
		quad[2] = left > 1 ? base64_digits[group >> 6 & 63] : '=';
		quad[3] = left > 2 ? base64_digits[group & 63] : '=';
		buf_append(out, quad, sizeof(quad));
	}
}

static int base64_value(uint8_t c)
{
	const char *digit = c ? strchr(base64_digits, c) : NULL;

	return digit ? (int)(digit - base64_digits) : -1;
}

bool base64_decode(struct bytes text, struct buf *out)
{
	if (text.len % 4)
		return false;
	for (size_t i = 0; i < text.len; i += 4) {
		const uint8_t *quad = text.ptr + i;
		bool last = i + 4 == text.len;
		int pad = last ? (quad[3] == '=') + (quad[3] == '=' && quad[2] == '=') : 0;
		uint32_t group = 0;
		uint8_t triple[3];

		for (int k = 0; k < 4; k++) {
			int value = k >= 4 - pad ? 0 : base64_value(quad[k]);

			if (value < 0)
				return false;
			group = group << 6 | (uint32_t)value;
		}
		triple[0] = (uint8_t)(group >> 16);
		triple[1] = (uint8_t)(group >> 8);
		triple[2] = (uint8_t)group;
		buf_append(out, triple, (size_t)(3 - pad));
	}
	return true;
}

void secret_wipe(void *secret, size_t len)
{
	if (len > 0)
		explicit_bzero(secret, len);
}
