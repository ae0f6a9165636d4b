/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/text.h"

#include <stdint.h>

enum {
	CODE_MAX = 0x10ffff,
	SURROGATE_FIRST = 0xd800,
	SURROGATE_LAST = 0xdfff,
	C0_END = 0x20,
	C1_FIRST = 0x7f, /* DEL belongs to the same stretch */
	C1_END = 0xa0,
};

/* The smallest code that needs this many bytes: anything below is an overlong form. */
static const uint32_t code_min[] = {0, 0, 0x80, 0x800, 0x10000};

static bool is_continuation(uint8_t byte)
{
	return (byte & 0xc0) == 0x80;
}

/* The bytes that @lead announces; 0 when it cannot start a character. */
static size_t sequence_len(uint8_t lead)
{
	if (lead < 0x80)
		return 1;
	if (lead >= 0xc0 && lead < 0xe0)
		return 2;
	if (lead >= 0xe0 && lead < 0xf0)
		return 3;
	return lead >= 0xf0 && lead < 0xf8 ? 4 : 0;
}

static bool code_is_allowed(uint32_t code, enum text_kind kind)
{
	if (code < C0_END)
		return kind == TEXT_PROSE && (code == '\n' || code == '\t');
	return code < C1_FIRST || code >= C1_END;
}

/* The length of the character at the start of @text; 0 when it may not be there. */
static size_t character_len(struct bytes text, enum text_kind kind)
{
	size_t len = sequence_len(text.ptr[0]);
	uint32_t code;

	if (len == 0 || len > text.len)
		return 0;
	code = len == 1 ? text.ptr[0] : text.ptr[0] & (0x7fU >> len);
	for (size_t i = 1; i < len; i++) {
		if (!is_continuation(text.ptr[i]))
			return 0;
		code = code << 6 | (text.ptr[i] & 0x3fU);
	}
	if (code < code_min[len] || code > CODE_MAX)
		return 0;
	if (code >= SURROGATE_FIRST && code <= SURROGATE_LAST)
		return 0;
	return code_is_allowed(code, kind) ? len : 0;
}

bool text_is_valid(struct bytes text, enum text_kind kind)
{
	while (text.len > 0) {
		size_t len = character_len(text, kind);

		if (len == 0)
			return false;
		text = bytes_of(text.ptr + len, text.len - len);
	}
	return true;
}

size_t text_clip(struct bytes text, size_t len_max)
{
	size_t len = text.len;

	if (len <= len_max)
		return len;
	len = len_max;
	while (len > 0 && is_continuation(text.ptr[len]))
		len--;
	return len;
}

void text_clean(uint8_t *text, size_t len)
{
	size_t at = 0;

	while (at < len) {
		size_t step = character_len(bytes_of(text + at, len - at), TEXT_PROSE);

		if (step == 0) {
			text[at] = '?';
			step = 1;
		}
		at += step;
	}
}
