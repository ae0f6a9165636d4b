/* SPDX-License-Identifier: Apache-2.0 */
/* A client's bytes after an upgrade to SPDY, whole and cut in two. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "api/spdy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct seen {
	size_t events, data;
	int result;
};

static void take(struct spdy *spdy, const struct spdy_event *event, struct seen *seen)
{
	static const char *const names[] = {"streamtype", "port", "requestid"};

	seen->events += event->kind != SPDY_DATA;
	seen->data += event->data.len;
	assert(event->kind != SPDY_OPENED || event->stream % 2 == 1);
	for (size_t i = 0; event->kind == SPDY_OPENED && i < 3; i++) {
		const char *value = spdy_header(spdy, names[i]);

		assert(!value || strlen(value) <= SPDY_HEADERS_MAX);
	}
}

static void feed(struct spdy *spdy, struct bytes bytes, struct buf *out, struct seen *seen)
{
	while (seen->result != SPDY_E_PROTOCOL) {
		struct spdy_event event;
		size_t used;

		seen->result = spdy_next(spdy, bytes, out, &used, &event);
		assert(used <= bytes.len);
		bytes = bytes_of(bytes.ptr + used, bytes.len - used);
		if (seen->result != 0)
			break;
		take(spdy, &event, seen);
	}
	assert(seen->result != SPDY_E_MORE || bytes.len == 0);
}

static struct seen run(const uint8_t *data, size_t len, size_t cut)
{
	struct spdy *spdy = spdy_new();
	struct seen seen = {0};
	struct buf out = {0};

	feed(spdy, bytes_of(data, cut), &out, &seen);
	feed(spdy, bytes_of(data + cut, len - cut), &out, &seen);
	buf_deinit(&out);
	spdy_free(spdy);
	return seen;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct seen whole = run(data, len, 0), halves = run(data, len, len / 2);

	assert(whole.result == halves.result && whole.events == halves.events &&
	       whole.data == halves.data);
	return 0;
}
