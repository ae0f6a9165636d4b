/* SPDX-License-Identifier: Apache-2.0 */
#include "identity/pem.h"

#include <stdio.h>
#include <string.h>

enum {
	PEM_LINE_LEN = 64, /* RFC 7468 section 2: exactly, but for the last line */
	PEM_LABEL_MAX = 64,
};

void pem_encode(const char *label, struct bytes der, struct buf *out)
{
	struct buf text = {0};

	base64_encode(der, &text);
	buf_append_format(out, "-----BEGIN %s-----\n", label);
	for (size_t at = 0; at < text.len; at += PEM_LINE_LEN) {
		size_t left = text.len - at;

		buf_append(out, text.ptr + at, left < PEM_LINE_LEN ? left : PEM_LINE_LEN);
		buf_append_str(out, "\n");
	}
	buf_append_format(out, "-----END %s-----\n", label);
	if (text.len > 0)
		secret_wipe(text.ptr, text.len);
	buf_deinit(&text);
}

/* Move @text behind @expected if it starts with that. */
static bool pem_skip(struct bytes *text, const char *expected)
{
	size_t len = strlen(expected);

	if (text->len < len || memcmp(text->ptr, expected, len) != 0)
		return false;
	*text = bytes_of(text->ptr + len, text->len - len);
	return true;
}

/* Collect the base64 lines up to the "-----END" line. */
static bool pem_body(struct bytes *text, struct buf *base64)
{
	while (text->len > 0 && text->ptr[0] != '-') {
		const uint8_t *end = memchr(text->ptr, '\n', text->len);
		size_t len = end ? (size_t)(end - text->ptr) : 0;

		if (!end || len == 0 || len > PEM_LINE_LEN)
			return false;
		buf_append(base64, text->ptr, len);
		*text = bytes_of(end + 1, text->len - len - 1);
	}
	return base64->len > 0;
}

bool pem_decode(const char *label, struct bytes *text, struct buf *ret_der)
{
	char begin[PEM_LABEL_MAX], end[PEM_LABEL_MAX];
	struct bytes rest = *text;
	struct buf base64 = {0};
	size_t len = ret_der->len;
	bool sound;

	(void)snprintf(begin, sizeof(begin), "-----BEGIN %s-----\n", label);
	(void)snprintf(end, sizeof(end), "-----END %s-----\n", label);
	sound = pem_skip(&rest, begin) && pem_body(&rest, &base64) && pem_skip(&rest, end) &&
		base64_decode(bytes_buf(&base64), ret_der);
	if (base64.len > 0)
		secret_wipe(base64.ptr, base64.len);
	buf_deinit(&base64);
	if (!sound) {
		ret_der->len = len;
		return false;
	}
	*text = rest;
	return true;
}
