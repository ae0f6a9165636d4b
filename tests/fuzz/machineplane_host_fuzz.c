/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the host process does with the messages of the fabric process, which may be anyone's.
 *
 * An input is a row of messages: a byte that chooses the type, two with the length of the body, the
 * body. Each goes through the channel, as it would. Signatures are judged elsewhere
 * (machineplane_verify_fuzz.c); here everything counts as signed by a steward, except with an odd
 * first byte, so that what lies behind is reached. Pods only pretend to run, and the loop turns in
 * between: nothing is waited for.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "io/clock.h"
#include "io/log.h"
#include "machineplane/host_core.h"
#include "wire/message.h"

enum {
	HEAD_LEN = 3,
	MESSAGES_MAX = 24,
	INPUT_MAX = 32 * 1024, /* a manifest and more; what a socket pair takes without a reader */
	PODS_MAX = 4,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const enum ipc_type types[] = {
	IPC_READY,     IPC_ISSUE_REQUEST, IPC_POD_START,    IPC_POD_STOP,
	IPC_OBJECT,    IPC_POD_RESUME,    IPC_REVOCATION,   IPC_LOGS_OPEN,
	IPC_EXEC_OPEN, IPC_PORT_OPEN,     IPC_INGRESS_OPEN,
};

static bool refuses;

static int judged(struct err *err)
{
	return refuses ? err_set_status(err, -EACCES, 403, "nobody has signed that") : 0;
}

static int know_node(void *ctx, const struct node_id *node, struct err *err)
{
	(void)ctx;
	(void)node;
	return judged(err);
}

static int verify_award(void *ctx, const struct host_award *award, struct err *err)
{
	(void)ctx;
	assert(award->namespace && award->chain_count <= HOST_CHAINS_MAX);
	return judged(err);
}

/* The envelope is the record. */
static int verify_object(void *ctx, const struct host_envelope *envelope, struct record *ret_record,
			 struct err *err)
{
	struct message message;
	int r = judged(err);

	(void)ctx;
	if (r < 0)
		return r;
	if (message_decode(envelope->envelope, &message) != 0)
		return err_set(err, -EINVAL, "malformed");
	if (message.type != MESSAGE_RECORD) {
		message_deinit(&message);
		return err_set(err, -EINVAL, "no record");
	}
	*ret_record = message.record;
	return 0;
}

static int verify_request(void *ctx, const struct host_request *request,
			  struct host_asker *ret_asker, struct err *err)
{
	(void)ctx;
	assert(request->namespace && request->container);
	*ret_asker = (struct host_asker){.name = "somebody"};
	return judged(err);
}

static int keep_revocation(void *ctx, const struct host_envelope *revocation, struct err *err)
{
	(void)ctx;
	(void)revocation;
	return refuses ? judged(err) : 1;
}

static const struct host_config config = {
	.node_name = "m1",
	.run_dir = "/nonexistent", /* nothing may be written or looked for */
	.hooks = {.know_node = know_node,
		  .verify_award = verify_award,
		  .verify_object = verify_object,
		  .verify_request = verify_request,
		  .revoke = keep_revocation},
};

static void on_status(void *ctx, const struct presence *presence)
{
	host_fabric_status(ctx, presence);
}

static void host_make(struct host *host)
{
	*host = (struct host){.config = &config,
			      .loop = loop_new(),
			      .engine = engine_null_new(0),
			      .engine_works = true,
			      .policy = {.any_registry = true}};
	struct pods_config pods = {
		.loop = host->loop,
		.engine = host->engine,
		.policy = &host->policy,
		.run_dir = config.run_dir,
		.node_name = config.node_name,
		.pods_max = PODS_MAX,
		.on_status = on_status,
		.ctx = host,
	};

	host->pods = pods_new(&pods);
	list_init(&host->logs);
	list_init(&host->execs);
	list_init(&host->usages);
	list_init(&host->svids);
	map_init(&host->stopped, 1);
	pods_recover(host->pods);
}

static void turn(struct host *host)
{
	bool never = false;

	(void)loop_run_until(host->loop, &never, clock_mono());
}

static void host_unmake(struct host *host)
{
	host_fabric_end(host);
	host_logs_close_all(host);
	host_exec_close_all(host);
	loop_timer_free(host->revoked_timer);
	host->pods = pods_free(host->pods);
	host->engine = host->engine->ops->free(host->engine);
	map_deinit(&host->stopped);
	buf_deinit(&host->gone_early);
	loop_run(host->loop); /* what is being closed */
	loop_free(host->loop);
}

/* Write a frame as the fabric process would. */
static void write_frame(int fd, enum ipc_type type, struct bytes body)
{
	uint8_t head[IPC_HEADER_LEN] = {(uint8_t)body.len, (uint8_t)(body.len >> 8), 0, 0,
					(uint8_t)type};

	assert(write(fd, head, sizeof(head)) == (ssize_t)sizeof(head));
	assert(body.len == 0 || write(fd, body.ptr, body.len) == (ssize_t)body.len);
}

static void take_messages(struct host *host, struct ipc_channel *channel)
{
	struct ipc_message message;

	while (ipc_receive(channel, &message) == 0) {
		host_fabric_message(host, &message);
		ipc_message_deinit(&message);
		turn(host);
	}
}

static void say_all(struct host *host, const uint8_t *data, size_t len)
{
	int own, theirs, r = ipc_pair(&own, &theirs);
	struct ipc_channel *channel;

	assert(r == 0);
	channel = ipc_channel_new(own, IPC_HOST, IPC_FABRIC);
	for (size_t i = 0; i < MESSAGES_MAX && len >= HEAD_LEN; i++) {
		size_t body = (size_t)data[1] << 8 | data[2];

		if (body > len - HEAD_LEN)
			body = len - HEAD_LEN;
		write_frame(theirs, types[data[0] % ARRAY_LEN(types)],
			    bytes_of(data + HEAD_LEN, body));
		take_messages(host, channel);
		data += HEAD_LEN + body;
		len -= HEAD_LEN + body;
	}
	(void)close(theirs);
	(void)ipc_channel_free(channel);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct host host;

	if (len == 0 || len > INPUT_MAX)
		return 0;
	refuses = data[0] & 1;
	host_make(&host);
	say_all(&host, data + 1, len - 1);
	host_unmake(&host);
	return 0;
}
