/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Forward: a client with connections to ports of a pod (port-forward). Internal to forward*.c.
 *
 * Each connection is a pair of what the client calls "error" and "data", and one stream of the
 * backend. How pairs come to be and are told apart is the matter of the client's protocol (a wire).
 *
 *   CONNECTING --begin--> OPEN --either side ends--> (gone)
 */
#pragma once

#include "api/remote.h"
#include "api/upgrade.h"
#include "api/url.h"

enum {
	/* As many as another machine lets us have streams to it. */
	FORWARD_PAIRS_MAX = 100,
	FORWARD_REQUEST_ID_MAX = 32,
};

struct forward;
struct spdy;

struct pair {
	struct list link;
	struct forward *forward;
	uint16_t port;
	struct api_stream *stream; /* to the pod; NULL: not yet, or it has ended */
	bool opening, ended;       /* inside stream_open(); end() was called in there */
	bool full;                 /* the pod takes no more */
	bool paused;               /* the client takes no more */
	/* Of the wires. */
	char request[FORWARD_REQUEST_ID_MAX]; /* SPDY */
	uint32_t error, data;                 /* SPDY: streams of the client; 0: not opened yet */
	uint8_t channel; /* channels: of the data; the next one is for errors */
};

/* How it is spoken to the client. */
struct forward_wire {
	/* Before the upgrade: what the request's query says; NULL: nothing. False: it makes no
	 * sense, for the reason in *@ret_why. */
	bool (*plan)(struct forward *forward, const struct url *url, const char **ret_why);
	/* After the upgrade. */
	void (*open)(struct forward *forward);
	void (*close)(struct forward *forward);
	/* Take what the client has sent up to where a pod takes no more; returns how much. False in
	 * @ret_alive: it has left, or speaks nonsense. */
	size_t (*receive)(struct forward *forward, struct bytes bytes, bool *ret_alive);
	/* Bytes from the pod. */
	void (*send)(struct pair *pair, struct bytes bytes);
	/* The pair has ended; @why "" when in order. */
	void (*end)(struct pair *pair, const char *why);
	/* No pair is left that could be told about. NULL: the client may open more. */
	void (*finish)(struct forward *forward);
	void (*ping)(struct forward *forward);
	/* Put what waits for the client into forward->output; NULL: it is there. */
	void (*flush)(struct forward *forward);
};

extern const struct forward_wire forward_spdy, forward_channels;

struct forward {
	struct remote remote;
	struct exchange *exchange;
	struct upgrade upgrade;
	const struct forward_wire *wire;
	struct uid pod;
	struct node_id machine;
	struct list pairs;
	struct buf output; /* for the client */
	size_t full;       /* pairs that are */
	bool busy;         /* receive() or open() is on the stack */
	/* Of the wires. */
	struct websocket *websocket; /* NULL: on the connection itself */
	uint8_t channel;             /* of the message that is coming in */
	struct spdy *spdy;
	struct buf spdy_in, spdy_out; /* in: what a WebSocket brought and no pair has taken */
};

static inline bool forward_is_full(const struct forward *forward)
{
	return forward->full > 0;
}

/* 1 to 65535, in digits and nothing else, up to @end. */
_must_use_ bool forward_parse_port(const char *text, const char *end, uint16_t *ret_port);

/* NULL: there are FORWARD_PAIRS_MAX. */
_must_use_ struct pair *forward_add(struct forward *forward, uint16_t port);

/* To the pod; in there it may end. */
void forward_connect(struct pair *pair);
/* What the client has written for the pod. */
void forward_write(struct pair *pair, struct bytes bytes);
void forward_remove(struct pair *pair);
