/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of peers, in their packets: what decodes is encoded and decoded to the same again. */
#include <assert.h>

#include "base/bytes.h"
#include "wire/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void round_trip(const struct message *message)
{
	struct message again;
	struct buf once = {0}, twice = {0};

	message_encode(message, &once);
	assert(message_decode(bytes_buf(&once), &again) == 0);
	message_encode(&again, &twice);
	assert(bytes_equal(bytes_buf(&once), bytes_buf(&twice)));
	message_deinit(&again);
	buf_deinit(&twice);
	buf_deinit(&once);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct bytes bytes = bytes_of(data, len);
	struct message message;
	struct packet packet;

	if (packet_decode(bytes, &packet) == 0 && !packet.is_envelope)
		bytes = packet.body;
	if (message_decode(bytes, &message) == 0) {
		round_trip(&message);
		message_deinit(&message);
	}
	return 0;
}
