/* SPDX-License-Identifier: Apache-2.0 */
/* A client's bytes after an upgrade to WebSocket, whole and cut in two. */
#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "api/websocket.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct seen {
	struct buf payload;
	size_t messages;
	int result;
};

static bool take(void *user, const struct websocket_piece *piece)
{
	struct seen *seen = user;

	assert(piece->bytes.len > 0);
	seen->messages += piece->first;
	buf_append_bytes(&seen->payload, piece->bytes);
	return true;
}

static void feed(struct websocket *websocket, struct bytes bytes, struct seen *seen)
{
	size_t used;

	if (seen->result != 0)
		return;
	seen->result = websocket_feed(websocket, bytes, &used);
	assert(used <= bytes.len && (seen->result != 0 || used == bytes.len));
}

static struct seen run(const uint8_t *data, size_t len, size_t cut)
{
	struct seen seen = {0};
	struct buf out = {0};
	struct websocket *websocket = websocket_new(&out, take, &seen);

	feed(websocket, bytes_of(data, cut), &seen);
	feed(websocket, bytes_of(data + cut, len - cut), &seen);
	websocket_free(websocket);
	buf_deinit(&out);
	return seen;
}

/* Is what was taken of one the beginning of what was taken of the other? */
static bool agree(const struct seen *a, const struct seen *b)
{
	size_t len = a->payload.len < b->payload.len ? a->payload.len : b->payload.len;

	return len == 0 || memcmp(a->payload.ptr, b->payload.ptr, len) == 0;
}

/* Text that is no UTF-8 ends the connection, in a message and in the reason of a closing frame; how
 * soon depends on where it was cut. What has been taken until then agrees; and where nothing was
 * wrong all of it does. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct seen whole = run(data, len, 0), halves = run(data, len, len / 2);

	assert(agree(&whole, &halves));
	assert(whole.result != 0 || halves.result != 0 ||
	       (whole.messages == halves.messages && whole.payload.len == halves.payload.len));
	buf_deinit(&whole.payload);
	buf_deinit(&halves.payload);
	return 0;
}
