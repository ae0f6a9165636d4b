/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP chunks: a request body whose length is not told beforehand (RFC 9112 section 7.1), strictly.
 * Of what we know only `kubectl create --raw` and `replace --raw` send them.
 *
 *   chunk = size in hexadecimal digits, CR LF, as many bytes, CR LF; the last one has size 0
 *
 * Extensions and trailers, which nobody sends, are refused with everything else that could be read
 * in two ways: more digits than a body can need, a sign, a space, a bare LF or CR.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "api/http_parser.h"
#include "base/bytes.h"

enum {
	HTTP_CHUNK_DIGITS_MAX = 8, /* leading zeroes count */
};

enum http_chunks_state {
	HTTP_CHUNKS_SIZE,
	HTTP_CHUNKS_SIZE_LF,
	HTTP_CHUNKS_DATA,
	HTTP_CHUNKS_CR,
	HTTP_CHUNKS_LF,
	HTTP_CHUNKS_DONE,
};

/* All zero at the start of a body. */
struct http_chunks {
	enum http_chunks_state state;
	uint32_t left; /* of the chunk; while its size is read: so far */
	unsigned digits;
	bool last;
};

/*
 * Append what of the body is in @input to @body, which may have HTTP_BODY_MAX bytes. *@ret_used
 * says how much of the input was taken. 0: the body is complete. HTTP_E_MORE: all was taken, feed
 * more. Else the outcome to refuse the request with, and *@ret_why.
 */
_must_use_ int http_chunks_feed(struct http_chunks *chunks, struct bytes input, struct buf *body,
				size_t *ret_used, const char **ret_why);
