/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text: which bytes may be a string on the wire.
 *
 * Well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms, nothing above U+10FFFF) without
 * control characters (C0, DEL, C1), so that no name can forge a line of a log or move a cursor.
 * Prose for people may also hold \n and \t.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"

enum text_kind {
	TEXT_NAME,
	TEXT_PROSE,
};

bool text_is_valid(struct bytes text, enum text_kind kind);

/* The length of the longest part of @text that is at most @len_max and splits no character. */
size_t text_clip(struct bytes text, size_t len_max);

/* Replace each byte that may not be in prose by '?', in place. */
void text_clean(uint8_t *text, size_t len);
