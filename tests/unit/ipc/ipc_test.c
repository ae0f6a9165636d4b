/* SPDX-License-Identifier: Apache-2.0 */
#include "ipc/channel.h"
#include "ipc/link.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"

struct pair {
	struct ipc_channel *host, *fabric;
};

static int pair_setup(void **state)
{
	struct pair *pair = mem_new(struct pair);
	int host_fd, fabric_fd;

	if (ipc_pair(&host_fd, &fabric_fd) != 0)
		return -1;
	pair->host = ipc_channel_new(host_fd, IPC_HOST, IPC_FABRIC);
	pair->fabric = ipc_channel_new(fabric_fd, IPC_FABRIC, IPC_HOST);
	*state = pair;
	return 0;
}

static int pair_teardown(void **state)
{
	struct pair *pair = *state;

	(void)ipc_channel_free(pair->host);
	(void)ipc_channel_free(pair->fabric);
	free(pair);
	return 0;
}

static void test_a_message_arrives_as_it_was_sent(void **state)
{
	struct pair *pair = *state;
	Magik__Ipc__PodStop stop;
	struct ipc_message message;
	const Magik__Ipc__PodStop *got;

	magik__ipc__pod_stop__init(&stop);
	stop.pod_uid = (char *)(uintptr_t) "0f7e0e48-9d0b-4c53-8a4b-5b1c4d2f6a01";
	stop.grace_s = -1;
	assert_int_equal(ipc_send(pair->fabric, IPC_POD_STOP, &stop.base, -1), 0);
	assert_int_equal(ipc_receive(pair->host, &message), IPC_E_AGAIN);
	assert_int_equal(ipc_flush(pair->fabric), 0);
	assert_false(ipc_wants_write(pair->fabric));
	assert_int_equal(ipc_receive(pair->host, &message), 0);
	assert_int_equal(message.type, IPC_POD_STOP);
	got = (const Magik__Ipc__PodStop *)message.body;
	assert_string_equal(got->pod_uid, stop.pod_uid);
	assert_int_equal(got->grace_s, -1);
	ipc_message_deinit(&message);
	assert_int_equal(ipc_receive(pair->host, &message), IPC_E_AGAIN);
}

static void test_a_manifest_larger_than_the_socket_buffer_arrives_whole(void **state)
{
	struct pair *pair = *state;
	Magik__Ipc__PodStart start;
	struct ipc_message message;
	const Magik__Ipc__PodStart *got;
	int r;

	magik__ipc__pod_start__init(&start);
	start.award.len = 1 << 20;
	start.award.data = mem_alloc(1, start.award.len);
	memset(start.award.data, 'x', start.award.len);
	assert_int_equal(ipc_send(pair->fabric, IPC_POD_START, &start.base, -1), 0);
	do {
		assert_int_equal(ipc_flush(pair->fabric), 0);
		r = ipc_receive(pair->host, &message);
	} while (r == IPC_E_AGAIN);
	assert_int_equal(r, 0);
	got = (const Magik__Ipc__PodStart *)message.body;
	assert_int_equal(got->award.len, start.award.len);
	assert_memory_equal(got->award.data, start.award.data, start.award.len);
	ipc_message_deinit(&message);
	free(start.award.data);
}

static void test_too_large_a_message_is_not_sent(void **state)
{
	struct pair *pair = *state;
	Magik__Ipc__PodStop stop;
	char *reason = mem_alloc(1, 5000);

	magik__ipc__pod_stop__init(&stop);
	memset(reason, 'r', 4999);
	stop.reason = reason;
	assert_int_equal(ipc_send(pair->fabric, IPC_POD_STOP, &stop.base, -1), -EMSGSIZE);
	assert_false(ipc_wants_write(pair->fabric));
	free(reason);
}

static void test_a_descriptor_travels_with_its_message(void **state)
{
	struct pair *pair = *state;
	Magik__Ipc__StreamReply reply;
	struct ipc_message message;
	char text[8] = {0};
	int pipe_fds[2];

	magik__ipc__stream_reply__init(&reply);
	assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
	reply.status = 404;
	assert_int_equal(ipc_send(pair->host, IPC_STREAM_REPLY, &reply.base, -1), 0);
	reply.status = 200;
	assert_int_equal(ipc_send(pair->host, IPC_STREAM_REPLY, &reply.base, pipe_fds[0]), 0);
	assert_int_equal(ipc_flush(pair->host), 0);
	assert_int_equal(ipc_receive(pair->fabric, &message), 0);
	assert_int_equal(message.fd, -1);
	ipc_message_deinit(&message);
	assert_int_equal(ipc_receive(pair->fabric, &message), 0);
	assert_true(message.fd >= 0);
	assert_int_equal(write(pipe_fds[1], "hello", 5), 5);
	assert_int_equal(read(message.fd, text, sizeof(text)), 5);
	assert_string_equal(text, "hello");
	ipc_message_deinit(&message);
	(void)close(pipe_fds[1]);
}

static void test_a_peer_that_reads_nothing_holds_few_descriptors(void **state)
{
	struct pair *pair = *state;
	Magik__Ipc__StreamReply reply;
	int pipe_fds[2], r = 0;

	magik__ipc__stream_reply__init(&reply);
	assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
	for (int i = 0; i < IPC_QUEUE_FDS_MAX; i++)
		assert_int_equal(
			ipc_send(pair->host, IPC_STREAM_REPLY, &reply.base, dup(pipe_fds[0])), 0);
	r = ipc_send(pair->host, IPC_STREAM_REPLY, &reply.base, dup(pipe_fds[0]));
	assert_int_equal(r, -ENOBUFS);
	assert_int_equal(ipc_send(pair->host, IPC_STREAM_REPLY, &reply.base, -1), 0);
	assert_int_equal(ipc_flush(pair->host), 0);
	assert_int_equal(ipc_send(pair->host, IPC_STREAM_REPLY, &reply.base, pipe_fds[0]), 0);
	(void)close(pipe_fds[1]);
}

/* Put a frame on the wire that ipc_send() would refuse to make. */
static void send_raw(struct ipc_channel *channel, const uint8_t *frame, size_t len)
{
	assert_int_equal(send(ipc_channel_fd(channel), frame, len, 0), (ssize_t)len);
}

static void expect_protocol_error(struct ipc_channel *channel)
{
	struct ipc_message message;

	assert_int_equal(ipc_receive(channel, &message), IPC_E_PROTOCOL);
	assert_int_equal(ipc_receive(channel, &message), IPC_E_PROTOCOL);
}

static void test_an_unknown_type_is_refused(void **state)
{
	struct pair *pair = *state;

	send_raw(pair->fabric, (const uint8_t[]){0, 0, 0, 0, 250, 0, 0, 0}, IPC_HEADER_LEN);
	expect_protocol_error(pair->host);
}

static void test_a_message_from_the_wrong_side_is_refused(void **state)
{
	struct pair *pair = *state;

	/* Only the host may say what the state of a pod is. */
	send_raw(pair->fabric, (const uint8_t[]){0, 0, 0, 0, IPC_POD_STATUS, 0, 0, 0},
		 IPC_HEADER_LEN);
	expect_protocol_error(pair->host);
}

static void test_an_oversized_length_is_refused_before_its_payload(void **state)
{
	struct pair *pair = *state;

	send_raw(pair->fabric, (const uint8_t[]){0, 0x20, 0, 0, IPC_POD_STOP, 0, 0, 0},
		 IPC_HEADER_LEN);
	expect_protocol_error(pair->host);
}

static void test_an_undeclared_descriptor_is_refused(void **state)
{
	struct pair *pair = *state;

	send_raw(pair->fabric, (const uint8_t[]){0, 0, 0, 0, IPC_POD_STOP, 0, 1, 0},
		 IPC_HEADER_LEN);
	expect_protocol_error(pair->host);
}

static void test_a_promised_descriptor_that_is_missing_is_refused(void **state)
{
	struct pair *pair = *state;

	send_raw(pair->host, (const uint8_t[]){0, 0, 0, 0, IPC_STREAM_REPLY, 0, 1, 0},
		 IPC_HEADER_LEN);
	expect_protocol_error(pair->fabric);
}

static void test_a_payload_that_is_no_protobuf_is_refused(void **state)
{
	struct pair *pair = *state;

	send_raw(pair->fabric, (const uint8_t[]){2, 0, 0, 0, IPC_POD_STOP, 0, 0, 0, 0xff, 0xff},
		 IPC_HEADER_LEN + 2);
	expect_protocol_error(pair->host);
}

static void test_the_end_comes_after_what_was_sent_before_it(void **state)
{
	struct pair *pair = *state;
	Magik__Ipc__Drain drain;
	struct ipc_message message;

	magik__ipc__drain__init(&drain);
	assert_int_equal(ipc_send(pair->host, IPC_DRAIN, &drain.base, -1), 0);
	assert_int_equal(ipc_flush(pair->host), 0);
	(void)shutdown(ipc_channel_fd(pair->host), SHUT_WR);
	assert_int_equal(ipc_receive(pair->fabric, &message), 0);
	ipc_message_deinit(&message);
	assert_int_equal(ipc_receive(pair->fabric, &message), IPC_E_CLOSED);
	assert_int_equal(ipc_receive(pair->fabric, &message), IPC_E_CLOSED);
}

struct seen {
	struct ipc_link *link;
	unsigned messages;
	int why;
};

static void on_message(void *owner, struct ipc_message *message)
{
	struct seen *seen = owner;

	assert_int_equal(message->type, IPC_POD_STOP);
	seen->messages++;
}

static void on_closed(void *owner, int why)
{
	struct seen *seen = owner;

	seen->why = why;
	ipc_link_close(seen->link);
}

static void test_a_link_delivers_from_a_loop_and_then_reports_the_end(void **state)
{
	Magik__Ipc__PodStop stop;
	struct seen host = {0}, fabric = {0};
	int host_fd, fabric_fd;
	uv_loop_t loop;

	magik__ipc__pod_stop__init(&stop);
	(void)state;
	assert_int_equal(uv_loop_init(&loop), 0);
	assert_int_equal(ipc_pair(&host_fd, &fabric_fd), 0);
	assert_int_equal(ipc_link_new(&loop, host_fd, IPC_HOST, IPC_FABRIC,
				      (struct ipc_handler){on_message, on_closed, &host},
				      &host.link),
			 0);
	assert_int_equal(ipc_link_new(&loop, fabric_fd, IPC_FABRIC, IPC_HOST,
				      (struct ipc_handler){on_message, on_closed, &fabric},
				      &fabric.link),
			 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(ipc_link_send(fabric.link, IPC_POD_STOP, &stop.base, -1), 0);
	while (host.messages < 3)
		(void)uv_run(&loop, UV_RUN_ONCE);
	ipc_link_close(fabric.link);
	(void)uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(host.messages, 3);
	assert_int_equal(host.why, IPC_E_CLOSED);
	assert_int_equal(uv_loop_close(&loop), 0);
}

static void test_a_peer_that_sends_much_leaves_the_loop_its_turns(void **state)
{
	enum {
		MANY = 150,
	};
	Magik__Ipc__PodStop stop;
	struct ipc_channel *fabric;
	struct seen host = {0};
	int host_fd, fabric_fd;
	uv_loop_t loop;

	(void)state;
	magik__ipc__pod_stop__init(&stop);
	assert_int_equal(uv_loop_init(&loop), 0);
	assert_int_equal(ipc_pair(&host_fd, &fabric_fd), 0);
	assert_int_equal(ipc_link_new(&loop, host_fd, IPC_HOST, IPC_FABRIC,
				      (struct ipc_handler){on_message, on_closed, &host},
				      &host.link),
			 0);
	fabric = ipc_channel_new(fabric_fd, IPC_FABRIC, IPC_HOST);
	for (int i = 0; i < MANY; i++)
		assert_int_equal(ipc_send(fabric, IPC_POD_STOP, &stop.base, -1), 0);
	assert_int_equal(ipc_flush(fabric), 0);
	assert_false(ipc_wants_write(fabric));
	(void)uv_run(&loop, UV_RUN_NOWAIT);
	assert_in_range(host.messages, 1, MANY - 1);
	/* Nothing more arrives: what is left does not wait for it. */
	while (host.messages < MANY)
		(void)uv_run(&loop, UV_RUN_NOWAIT);
	(void)ipc_channel_free(fabric);
	(void)uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(host.messages, MANY);
	assert_int_equal(host.why, IPC_E_CLOSED);
	assert_int_equal(uv_loop_close(&loop), 0);
}

#define PAIR_TEST(fn) cmocka_unit_test_setup_teardown(fn, pair_setup, pair_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		PAIR_TEST(test_a_message_arrives_as_it_was_sent),
		PAIR_TEST(test_a_manifest_larger_than_the_socket_buffer_arrives_whole),
		PAIR_TEST(test_too_large_a_message_is_not_sent),
		PAIR_TEST(test_a_descriptor_travels_with_its_message),
		PAIR_TEST(test_a_peer_that_reads_nothing_holds_few_descriptors),
		PAIR_TEST(test_an_unknown_type_is_refused),
		PAIR_TEST(test_a_message_from_the_wrong_side_is_refused),
		PAIR_TEST(test_an_oversized_length_is_refused_before_its_payload),
		PAIR_TEST(test_an_undeclared_descriptor_is_refused),
		PAIR_TEST(test_a_promised_descriptor_that_is_missing_is_refused),
		PAIR_TEST(test_a_payload_that_is_no_protobuf_is_refused),
		PAIR_TEST(test_the_end_comes_after_what_was_sent_before_it),
		cmocka_unit_test(test_a_peer_that_sends_much_leaves_the_loop_its_turns),
		cmocka_unit_test(test_a_link_delivers_from_a_loop_and_then_reports_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
