/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Group message: what agents of one workload say to each other about their group, beside Raft's own
 * messages (wire/consensus.h), which travel in it.
 *
 * Decoding copies, and checks every limit; strings are never NULL afterwards. To encode, pointers
 * may lead anywhere.
 */
#pragma once

#include "base/attr.h"
#include "base/bytes.h"
#include "base/id.h"

enum {
	GROUP_METHOD_MAX = 16,
	GROUP_PATH_MAX = 1024,     /* a prefix and two names; of a query, too */
	GROUP_CONDITION_MAX = 32,  /* If-Match: a version in quotes */
	GROUP_TYPE_MAX = 64,       /* application/json */
	GROUP_BODY_MAX = 16 << 10, /* a value, or a Lease as JSON */
	GROUP_TOLD_MAX = 1 << 20,  /* all Leases that there may be, as JSON */
};

enum group_message_type {
	GROUP_RAFT,
	GROUP_JOIN,
	GROUP_ASK,
	GROUP_TOLD,
	GROUP_LEAVE,
};

struct group_join {
	uint64_t id;
	uint32_t epoch; /* of the ordinal */
	struct uid pod;
};

struct group_leave {
	uint64_t id;
};

struct group_ask {
	uint64_t number;
	char *method, *path, *query, *if_match, *if_none_match; /* "" where there is none */
	struct buf body;
};

struct group_told {
	uint64_t number;
	uint16_t status;
	char *content_type;
	uint64_t version;
	struct buf body;
};

struct group_message {
	enum group_message_type type;
	union {
		struct buf raft;
		struct group_join join;
		struct group_ask ask;
		struct group_told told;
		struct group_leave leave;
	};
};

void group_message_encode(const struct group_message *message, struct buf *out);
/* 0, or an enum message_result. */
_must_use_ int group_message_decode(struct bytes bytes, struct group_message *ret_message);
void group_message_deinit(struct group_message *message);
