/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes: a borrowed view (struct bytes) and an owned, growing buffer (struct buf).
 *
 * A view never owns; it is valid as long as what it looks at. A zeroed struct buf is an empty
 * buffer; buf_deinit() returns it to that state. Appending never fails (see mem.h).
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"

struct bytes {
	const uint8_t *ptr;
	size_t len;
};

struct buf {
	uint8_t *ptr; /* NULL while empty */
	size_t len;
	size_t cap;
};

/* A view of a C string without its zero, of an array, of a buffer. */
struct bytes bytes_str(const char *string);
static inline struct bytes bytes_of(const void *ptr, size_t len)
{
	return (struct bytes){.ptr = ptr, .len = len};
}
static inline struct bytes bytes_buf(const struct buf *buf)
{
	return (struct bytes){.ptr = buf->ptr, .len = buf->len};
}

bool bytes_equal(struct bytes a, struct bytes b);

void buf_deinit(struct buf *buf);
void buf_clear(struct buf *buf); /* length 0, memory kept */
void buf_reserve(struct buf *buf, size_t more);
void buf_append(struct buf *buf, const void *from, size_t len);
void buf_append_bytes(struct buf *buf, struct bytes bytes);
void buf_append_str(struct buf *buf, const char *string);
void buf_append_format(struct buf *buf, const char *format, ...) _printf_(2, 3);
void buf_consume(struct buf *buf, size_t len); /* drop @len bytes from the front */

/* The content as a zero-terminated string; valid until the next change. */
const char *buf_cstr(struct buf *buf);

/* Take the memory out of @buf (zero-terminated); the caller frees it. @buf is empty afterwards. */
_must_use_ char *buf_steal(struct buf *buf);

/* Lower-case hex: @out holds 2 * len + 1 characters. */
void hex_encode(struct bytes bytes, char *out);

/* Exactly @len bytes from 2 * len hex digits (either case): false when @text is anything else. */
_must_use_ bool hex_decode(const char *text, uint8_t *out, size_t len);

/* Standard base64 with padding, appended to @out. */
void base64_encode(struct bytes bytes, struct buf *out);

/* Decode into @out (appended). False for characters or padding that do not belong. */
_must_use_ bool base64_decode(struct bytes text, struct buf *out);

/* Overwrite a secret so that the compiler cannot leave it out. */
void secret_wipe(void *secret, size_t len);
