/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request body in chunks. However the bytes are cut, the outcome, the body and what is left for
 * the next request are the same.
 */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "api/http_chunks.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct outcome {
	int result;
	size_t used;
	struct buf body;
};

static struct outcome feed(const uint8_t *data, size_t len, size_t piece)
{
	struct outcome outcome = {.result = HTTP_E_MORE};
	struct http_chunks chunks = {0};
	const char *why = NULL;

	for (size_t at = 0; at < len && outcome.result == HTTP_E_MORE; at += piece) {
		size_t taken, given = len - at < piece ? len - at : piece;

		outcome.result = http_chunks_feed(&chunks, bytes_of(data + at, given),
						  &outcome.body, &taken, &why);
		assert(taken <= given && (outcome.result != HTTP_E_MORE || taken == given));
		outcome.used += taken;
	}
	assert(outcome.result == 0 || outcome.result == HTTP_E_MORE || why);
	assert(outcome.body.len <= HTTP_BODY_MAX);
	return outcome;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct outcome whole = feed(data, len, len + 1), cut = feed(data, len, 1 + len / 5);

	assert(whole.result == cut.result && whole.used == cut.used);
	assert(whole.body.len == cut.body.len &&
	       (whole.body.len == 0 || memcmp(whole.body.ptr, cut.body.ptr, whole.body.len) == 0));
	buf_deinit(&whole.body);
	buf_deinit(&cut.body);
	return 0;
}
