/* SPDX-License-Identifier: Apache-2.0 */
#include "traffic.h"

#include <assert.h>
#include <inttypes.h>

#include "world.h"

/* Add what the machines have sent so far, or take it away. */
static void sum(const struct world *world, struct traffic_window *window, bool add)
{
	uint64_t sign = add ? 1 : UINT64_MAX; /* counts are taken modulo 2^64 */

	window->handshakes += sign * world->totals.handshakes;
	for (size_t i = 0; i < world->machine_count; i++) {
		const struct node *node = world->machines[i].node;

		for (enum message_type type = MESSAGE_NONE + 1; node && type < MESSAGE_TYPE_COUNT;
		     type++) {
			struct node_traffic sent = node_traffic(node, type);

			window->sent[type].messages += sign * sent.messages;
			window->sent[type].bytes += sign * sent.bytes;
		}
	}
}

void traffic_open(struct world *world, const char *name)
{
	struct traffic *traffic = &world->traffic;
	struct traffic_window *window;

	traffic_close(world);
	assert(traffic->count < TRAFFIC_WINDOWS_MAX);
	window = &traffic->window[traffic->count++];
	window->name = name;
	sum(world, window, false);
	traffic->open = true;
}

void traffic_close(struct world *world)
{
	struct traffic *traffic = &world->traffic;

	if (traffic->open)
		sum(world, &traffic->window[traffic->count - 1], true);
	traffic->open = false;
}

static void window_json(const struct traffic_window *window, struct buf *out)
{
	const char *comma = "";

	buf_append_format(out, "\"%s\":{", window->name);
	for (enum message_type type = MESSAGE_NONE + 1; type < MESSAGE_TYPE_COUNT; type++) {
		const struct node_traffic *sent = &window->sent[type];

		if (!sent->messages)
			continue;
		buf_append_format(out, "%s\"%s\":{\"messages\":%" PRIu64 ",\"bytes\":%" PRIu64 "}",
				  comma, message_type_name(type), sent->messages, sent->bytes);
		comma = ",";
	}
	buf_append_str(out, "}");
}

void traffic_json(const struct world *world, struct buf *out)
{
	const struct traffic *traffic = &world->traffic;

	if (!traffic->count)
		return;
	buf_append_str(out, "\"traffic\":{");
	for (size_t i = 0; i < traffic->count; i++) {
		buf_append_str(out, i ? "," : "");
		window_json(&traffic->window[i], out);
	}
	buf_append_str(out, "},\"window_handshakes\":{");
	for (size_t i = 0; i < traffic->count; i++)
		buf_append_format(out, "%s\"%s\":%" PRIu64, i ? "," : "", traffic->window[i].name,
				  traffic->window[i].handshakes);
	buf_append_str(out, "},");
}
