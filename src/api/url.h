/* SPDX-License-Identifier: Apache-2.0 */
/*
 * URL: the path of a request as decoded segments, its query as decoded pairs.
 *
 * Decoding happens once, segment by segment, so that an encoded slash never becomes a separator.
 * Empty, "." and ".." segments, control characters and malformed escapes are refused: no real
 * client sends them. A single trailing slash is allowed. Unknown query parameters are kept and
 * ignored.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"

enum {
	URL_SEGMENTS_MAX = 12, /* the longest route has nine */
	URL_PARAMS_MAX = 256,  /* each word of a command is one; else below ten */
};

struct url_param {
	const char *name, *value;
};

/* Strings point into @path_text and @query_text, which url_deinit() frees. */
struct url {
	char *path_text, *query_text, *kept;
	const char *segments[URL_SEGMENTS_MAX];
	size_t segment_count;
	struct url_param params[URL_PARAMS_MAX];
	size_t param_count;
};

enum url_outcome {
	_URL_E_OK,
	URL_E_MALFORMED, /* answer 400 */
	URL_E_TOO_LONG,  /* too many segments or parameters: 404 and 400 respectively would do */
};

/* @path begins with a slash; @query is without its question mark, "" for none. */
_must_use_ int url_parse(const char *path, const char *query, struct url *ret_url);

void url_deinit(struct url *url);

/* The value of the first parameter of that name, or NULL. */
const char *url_param(const struct url *url, const char *name);

/* Whether a boolean parameter is set, in any of the words of Go: Python's clients write "True". */
bool url_flag(const struct url *url, const char *name);

/* Keep a copy of @text as long as the url lives; one at a time. */
const char *url_keep(struct url *url, const char *text);
