/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SPDY/3.1: the server's side of its framing, as far as Kubernetes' clients use it for streams to
 * containers (draft-mbelshe-httpbis-spdy-00). Bytes go in, events come out, and the other way
 * round; there is no descriptor and no state of streams but what the framing itself has.
 *
 * What clients never use is left out: priorities, settings, flow control. So one stream that is
 * not read stops all of its connection; whoever reads must bound what it holds for each.
 *
 * A control frame is held until it is whole, up to SPDY_CONTROL_MAX; data are handed out as they
 * come. Header blocks are one zlib stream for the whole connection, which bounds what they may
 * inflate to. Our own header blocks are empty: clients look at none of ours.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"

struct spdy;

enum {
	SPDY_CONTROL_MAX = 16 * 1024, /* a frame; clients send some hundred bytes */
	SPDY_HEADERS_MAX = 16 * 1024, /* a header block, inflated */
	SPDY_HEADER_COUNT_MAX = 64,
	SPDY_REFUSED_STREAM = 3, /* codes of RST_STREAM: section 2.6.3 */
	SPDY_CANCEL = 5,
};

enum spdy_outcome {
	_SPDY_E_OK,
	SPDY_E_MORE,     /* no event in these bytes: feed the next ones */
	SPDY_E_PROTOCOL, /* give up the connection */
};

enum spdy_kind {
	SPDY_OPENED, /* headers; the client waits for spdy_reply() */
	SPDY_DATA,   /* a piece; may be empty with @end */
	SPDY_RESET,
};

/* Borrowed until the next call. */
struct spdy_event {
	enum spdy_kind kind;
	uint32_t stream; /* odd, and larger than those opened before */
	bool end;        /* the client sends no more on it */
	struct bytes data;
};

_must_use_ struct spdy *spdy_new(void);
void spdy_free(struct spdy *spdy);

/*
 * The next event in @input; *@ret_used bytes of it are done with, on any outcome. Pings are
 * answered into @out by the way.
 */
_must_use_ int spdy_next(struct spdy *spdy, struct bytes input, struct buf *out, size_t *ret_used,
			 struct spdy_event *ret_event);

/* A header of the stream that was just OPENED, by its lower-case name; NULL: it has none such. */
const char *spdy_header(const struct spdy *spdy, const char *name);

void spdy_reply(struct spdy *spdy, uint32_t stream, struct buf *out);
void spdy_data(uint32_t stream, struct bytes data, bool end, struct buf *out);
void spdy_reset(uint32_t stream, uint32_t code, struct buf *out);
void spdy_ping(struct spdy *spdy, struct buf *out);
