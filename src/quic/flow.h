/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Flow: what every QUIC stream has here, whether it carries bytes or one message. It is the
 * library's stream user data.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"

struct quic_conn;

enum {
	FLOW_CREDIT_CRUMB = 1024, /* bytes; a peer opens its window by more, or has a reason */
};

enum flow_kind {
	FLOW_BYTES,       /* struct quic_stream */
	FLOW_MESSAGE_OUT, /* struct message */
	FLOW_MESSAGE_IN,  /* struct assembly */
};

struct flow {
	enum flow_kind kind;
	bool blocked; /* by flow control, within the current round of writing */
	int64_t id;
	size_t turn;     /* bytes written since others had their turn */
	uint64_t credit; /* the peer's last word on how much may be sent */
	struct quic_conn *conn;
	struct list writer; /* on conn->writers while there is something to write */
};

static inline void flow_init(struct flow *flow, enum flow_kind kind, struct quic_conn *conn,
			     int64_t id)
{
	*flow = (struct flow){.kind = kind, .conn = conn, .id = id};
	list_init(&flow->writer);
}
