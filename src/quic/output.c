/* SPDX-License-Identifier: Apache-2.0 */
#include "quic/output.h"

#include <assert.h>
#include <string.h>

static bool path_equal(const struct quic_path *a, const struct quic_path *b)
{
	return addr_equal(&a->local, &b->local) && addr_equal(&a->remote, &b->remote);
}

void output_begin(struct output *output, quic_sink_fn sink, void *io)
{
	output->sink = sink;
	output->io = io;
	output->stopped = false;
	output_flush(output);
}

uint8_t *output_room(struct output *output)
{
	return output->data + output->len;
}

void output_flush(struct output *output)
{
	struct quic_train train = {.path = output->path,
				   .data = bytes_of(output->data, output->len),
				   .segment_len = output->segment_len};

	if (output->len == 0 || output->stopped)
		return;
	output->datagrams += output->segments;
	output->bytes += output->len;
	output->len = output->segments = 0;
	output->closed = false;
	if (!output->sink(output->io, &train))
		output->stopped = true;
}

static bool output_can_append(const struct output *output, const struct quic_path *path, size_t len)
{
	return output->len > 0 && !output->closed && len <= output->segment_len &&
	       output->segments < OUTPUT_SEGMENTS_MAX && output->len + len <= OUTPUT_TRAIN_MAX &&
	       path_equal(&output->path, path);
}

void output_commit(struct output *output, const struct quic_path *path, size_t len)
{
	assert(len <= OUTPUT_PACKET_LOCAL);
	if (len == 0)
		return;
	if (!output_can_append(output, path, len)) {
		size_t at = output->len;

		/* A stopped sink keeps its train; the caller stops writing, and a packet that
		 * was already made is lost like any other on the way. */
		output_flush(output);
		if (output->len > 0)
			return;
		memmove(output->data, output->data + at, len);
		output->path = *path;
		output->segment_len = len;
	}
	output->closed = len < output->segment_len;
	output->len += len;
	output->segments++;
}

void output_packet(struct output *output, const struct quic_path *path, struct bytes packet)
{
	assert(packet.len <= OUTPUT_PACKET_MAX);
	memcpy(output_room(output), packet.ptr, packet.len);
	output_commit(output, path, packet.len);
}
