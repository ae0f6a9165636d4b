/* SPDX-License-Identifier: Apache-2.0 */
/* What one process of a machine could write to the other: frames, read by either side. */
#include <assert.h>
#include <unistd.h>

#include "ipc/channel.h"

enum {
	WRITE_LEN_MAX = 65536, /* what a socket pair takes without a reader */
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void receive_all(enum ipc_side side, enum ipc_side peer, const uint8_t *data, size_t len)
{
	int host_fd, fabric_fd, r;

	r = ipc_pair(&host_fd, &fabric_fd);
	assert(r == 0);
	const int own = side == IPC_HOST ? host_fd : fabric_fd;
	const int other = side == IPC_HOST ? fabric_fd : host_fd;
	struct ipc_channel *channel = ipc_channel_new(own, side, peer);

	if (len > WRITE_LEN_MAX)
		len = WRITE_LEN_MAX;
	assert(len == 0 || write(other, data, len) == (ssize_t)len);
	for (;;) {
		struct ipc_message message;

		r = ipc_receive(channel, &message);
		if (r != 0)
			break;
		ipc_message_deinit(&message);
	}
	assert(r == IPC_E_AGAIN || r == IPC_E_PROTOCOL);
	(void)close(other);
	(void)ipc_channel_free(channel);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	receive_all(IPC_HOST, IPC_FABRIC, data, len);
	receive_all(IPC_HOST, IPC_AGENT, data, len);
	receive_all(IPC_FABRIC, IPC_HOST, data, len);
	return 0;
}
