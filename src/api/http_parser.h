/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP parser: the head of one HTTP/1.x request (RFC 9112), strictly, from bytes in memory.
 *
 * A gateway that is lenient about framing can be made to disagree with what stands before or behind
 * it about where a request ends. So everything that real clients never send and that has been used
 * for request smuggling is refused: bare LF or CR, obs-fold, a space before the colon, both
 * Content-Length and Transfer-Encoding, repeated or malformed Content-Length, a missing, repeated
 * or malformed Host, control characters. Request bodies have a Content-Length, come
 * in chunks (http_chunks.h), or there is none; other encodings are answered 411.
 *
 * OUR deviation from RFC 9112 section 3.2.2: the absolute form of the target is refused; only
 * proxies are sent it, and this is none.
 *
 * The parser keeps no state but how far it has looked for the end of the head, so feeding it byte
 * by byte costs no more than feeding it at once.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

enum {
	HTTP_HEAD_MAX = 32 * 1024,  /* request line and headers; kubectl sends below 2 KiB */
	HTTP_TARGET_MAX = 8 * 1024, /* path and query; kubectl sends below 1 KiB */
	HTTP_METHOD_MAX = 16,       /* the longest we know is OPTIONS */
	HTTP_HEADERS_MAX = 100,     /* header lines; kubectl sends about ten */
	HTTP_BODY_MAX =
		3 << 20, /* a manifest of 1 MiB, again inside its own annotation, and JSON */
};

/* Why a request cannot be served. All but MORE end the connection after the answer. */
enum http_outcome {
	_HTTP_E_OK,
	HTTP_E_MORE,            /* the head is not complete: feed more */
	HTTP_E_MALFORMED,       /* 400 */
	HTTP_E_TARGET_LONG,     /* 414 */
	HTTP_E_HEAD_LARGE,      /* 431 */
	HTTP_E_LENGTH_REQUIRED, /* 411 */
	HTTP_E_BODY_LARGE,      /* 413 */
	HTTP_E_EXPECTATION,     /* 417 */
	HTTP_E_VERSION,         /* 505 */
};

struct http_header {
	const char *name; /* lower case */
	const char *value;
};

/* One request head. Strings point into @text, which http_request_deinit() frees. */
struct http_request {
	char *text;
	const char *method; /* as sent: methods are case-sensitive */
	const char *path;   /* raw, begins with a slash */
	const char *query;  /* raw, without the question mark; "" when there is none */
	struct http_header headers[HTTP_HEADERS_MAX];
	size_t header_count;
	uint64_t content_length;
	bool chunked;         /* the body comes in chunks, and content_length is 0 */
	bool keep_alive;      /* the connection may carry another request */
	bool expect_continue; /* an interim 100 is awaited before the body */
	bool minor_zero;      /* HTTP/1.0: no chunked answers */
};

struct http_parser {
	size_t scanned; /* bytes of the input in which no end of the head begins */
};

/*
 * Parse the head at the front of @input, which must begin with the same bytes as in the call before
 * until a result other than HTTP_E_MORE. On 0, *@ret_request is filled and *@ret_used says how many
 * bytes the head took; the parser is ready for the next head. On any other outcome nothing is
 * filled and *@ret_why, a short literal, says why.
 */
_must_use_ int http_parse_head(struct http_parser *parser, struct bytes input,
			       struct http_request *ret_request, size_t *ret_used,
			       const char **ret_why);

void http_request_deinit(struct http_request *request);

/* The value of the only or first header of that (lower-case) name, or NULL. */
const char *http_request_header(const struct http_request *request, const char *name);

/* The HTTP status code an outcome is answered with. */
uint16_t http_outcome_status(enum http_outcome outcome);
