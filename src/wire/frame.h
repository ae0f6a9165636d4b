/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frame: the pieces in which the streams of one process travel together: its input, its output, the
 * size of its terminal, and how it ended.
 *
 * Spoken on one ordered byte stream between the gateway that a client has asked and the host
 * process of the machine that runs the pod; whatever lies between carries bytes.
 *
 *   0         1                   4
 *   | channel | length big-endian | payload |
 *
 * Channels 0 to 4 have the numbers of Kubernetes' v5.channel.k8s.io. The gateway sends STDIN,
 * RESIZE and CLOSE; the host sends STDOUT, STDERR and, as its last word, one STATUS. A direction
 * that ends without that has been broken off.
 */
#pragma once

#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/err.h"

enum {
	FRAME_HEADER_LEN = 4,
	/* As large as any client's own message, and small beside what a socket holds. */
	FRAME_PAYLOAD_MAX = 32 * 1024,
	FRAME_NOT_RUN = -1, /* code of a STATUS: the command could not be run */
};

enum frame_channel {
	FRAME_STDIN = 0,
	FRAME_STDOUT = 1,
	FRAME_STDERR = 2,
	FRAME_STATUS = 3, /* i32 exit code, then why it could not be run: UTF-8 */
	FRAME_RESIZE = 4, /* u16 columns, u16 rows */
	FRAME_CLOSE = 5,  /* one byte: the channel on which nothing more will come */
};

enum frame_outcome {
	_FRAME_E_OK,
	FRAME_E_MORE,      /* no whole frame yet */
	FRAME_E_MALFORMED, /* an unknown channel or too long: give up the stream */
};

struct frame {
	enum frame_channel channel;
	struct bytes payload; /* borrowed from the input */
};

/* How the process ended. */
struct frame_status {
	int32_t code; /* 0..255; FRAME_NOT_RUN with the reason in @text */
	char text[ERR_TEXT_MAX];
};

struct frame_size {
	uint16_t columns, rows;
};

/* Append @payload in as many frames as it takes. */
void frame_append(struct buf *out, enum frame_channel channel, struct bytes payload);
void frame_append_status(struct buf *out, int32_t code, const char *text);
void frame_append_size(struct buf *out, struct frame_size size);

/* The first frame of @input, and how many bytes it takes. */
_must_use_ int frame_next(struct bytes input, struct frame *ret_frame, size_t *ret_used);

/* The payload of a STATUS or a RESIZE. False: malformed. */
_must_use_ bool frame_read_status(struct bytes payload, struct frame_status *ret_status);
_must_use_ bool frame_read_size(struct bytes payload, struct frame_size *ret_size);
