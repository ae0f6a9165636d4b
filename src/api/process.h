/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Process: a client at the streams of a process in a container (exec, attach). Internal to
 * process*.c.
 *
 *   OPENING --begin--> (101) OPEN --STATUS--> FINISHED --end--> (gone)
 *      | end: its reason is the answer    the client leaves, at any time: (gone)
 *
 * Between the client's own protocol (a wire) and the host's frames bytes are passed on as fast as
 * the slower side takes them.
 */
#pragma once

#include "api/remote.h"
#include "api/upgrade.h"
#include "wire/frame.h"

struct process;
struct spdy;

/* How it is spoken to the client. */
struct process_wire {
	void (*open)(struct process *process);
	void (*close)(struct process *process);
	/* Take what the client has sent; returns how much. False in @ret_alive: it has left, or
	 * speaks nonsense. */
	size_t (*receive)(struct process *process, struct bytes bytes, bool *ret_alive);
	void (*send)(struct process *process, enum frame_channel channel, struct bytes bytes);
	/* The Status has been sent: nothing more will be. */
	void (*finish)(struct process *process);
	void (*ping)(struct process *process);
	/* Whether the client is ready to be sent something. */
	bool (*is_ready)(const struct process *process);
};

extern const struct process_wire process_websocket, process_spdy;

struct process {
	struct remote remote;
	struct call *call; /* until it has been answered */
	struct exchange *exchange;
	struct upgrade upgrade;
	const struct process_wire *wire;
	struct api_stream *stream;
	bool opening, ended;       /* inside stream_open(); end() was called in there */
	bool host_ended;           /* what it has said may still wait for the client to be ready */
	char reason[ERR_TEXT_MAX]; /* why, if not in order */
	bool was_ready;
	bool in, out, err, is_tty;
	bool full;         /* the host takes no more */
	bool has_status;   /* the client has been told how it ended */
	struct buf frames; /* of the host, not yet whole */
	struct buf output; /* for the client */
	/* Of the wires. */
	struct websocket *websocket;
	uint8_t channel; /* of the message that is coming in */
	struct spdy *spdy;
	uint32_t streams[FRAME_RESIZE + 1]; /* of SPDY, by channel; 0: none */
	struct buf resize;                  /* JSON that is not yet whole */
};

/* From the wires: what the client has written, sized or closed. */
void process_input(struct process *process, enum frame_channel channel, struct bytes bytes);
void process_resize(struct process *process, struct bytes json);
