/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Work: what agents of pods say to each other, and the ServiceRecord, as plain structs.
 *
 * The codec (proto/work.proto) enforces every limit below, so a core never sees a message or a
 * record that breaks one. Ownership and strings as in message.h: a struct owns what it points to,
 * no string is NULL after decoding. What names mean and who may write what is
 * service/record.h's to judge.
 */
#pragma once

#include "wire/message.h"

enum {
	WORK_VERSION = 1,
	WORK_KIND_MAX = 63,
	WORK_ADDRESSES_MAX = 8, /* of one pod: two families, a few interfaces */
	WORK_PORTS_MAX = 32,
	WORK_PORT_NAME_MAX = 15, /* as Kubernetes' */
	WORK_LABELS_MAX = 32,
	WORK_PATTERNS_MAX = 16,      /* of allow, and of deny */
	WORK_PATTERN_MAX = 64 + 253, /* namespace/workload */
	WORK_REGION_MAX = 63,
	WORK_LOAD_MAX = 1000,                    /* thousandths: 1000 is as busy as can be */
	WORK_RECORD_MAX = 4096,                  /* encoded; an ordinary one has 200 to 400 bytes */
	WORK_RENEWAL_MAX = 256,                  /* its envelope: about 160 */
	WORK_SIGNED_MAX = WORK_RECORD_MAX + 256, /* envelope of a record */
	WORK_REPLICAS_MAX = 256,                 /* of one workload, in one answer */
	WORK_NEARER_MAX = 3,                     /* as many as there are keepers */
	WORK_CHAIN_MAX = 4 * 4096,               /* CHAIN_CERTS_MAX certificates of CERT_DER_MAX */
	WORK_OVERLAY_MAX = 4096,                 /* FOUND with 2 x 20 contacts has 3 KiB at most */
	WORK_LEN_MAX = 2 << 20,                  /* RECORDS at all limits */
	WORK_PAYLOAD_MAX = 65507,                /* UDP's own limit */
	WORK_OPEN_MAX = 128,                     /* encoded: about 30; room for what is to come */
	WORK_GROUP_MAX = (1 << 20) + 8192,       /* an answer at its limit, and what is around it */
	WORK_OPEN_HEADER_LEN = 2,                /* its length, in front of it */
};

enum service_protocol {
	SERVICE_TCP,
	SERVICE_UDP,
};

enum service_role {
	SERVICE_ROLE_NONE,
	SERVICE_FOLLOWER,
	SERVICE_CANDIDATE,
	SERVICE_LEADER,
};

enum {
	SERVICE_NO_ORDINAL = UINT32_MAX,
};

struct service_port {
	char *name; /* "" without one */
	uint16_t number;
	enum service_protocol protocol;
};

/* Patterns "namespace/workload", both globs; deny beats allow: service/policy.h. */
struct service_policy {
	char **allow, **deny;
	size_t allow_count, deny_count;
	bool cross_namespace;
};

/* One pod, as its own agent says it is. */
struct service_record {
	struct uid workload_uid;
	char *namespace, *kind, *name, *pod;
	struct node_id peer; /* the agent's key */
	uint32_t ordinal;    /* SERVICE_NO_ORDINAL: none */
	uint64_t epoch;
	struct addr addresses[WORK_ADDRESSES_MAX]; /* where the agent is reached */
	size_t address_count;
	struct service_port *ports;
	size_t port_count;
	struct label *labels;
	size_t label_count;
	uint64_t version;
	struct wall ts;
	bool ready, healthy;
	bool leaving; /* withdrawn: to be forgotten, and nothing older to be believed */
	enum service_role role;
	uint64_t term;
	uint32_t load; /* 0..WORK_LOAD_MAX */
	struct service_policy policy;
	uint64_t machine; /* equal for pods of one machine; 0: not told */
	char *region;     /* "" when not told */
};

struct service_renewal {
	uint64_t version;
	struct wall ts;
};

enum work_type {
	WORK_OVERLAY = 10, /* numbers of the schema */
	WORK_STORE,
	WORK_STORED,
	WORK_RENEW,
	WORK_LOOKUP,
	WORK_RECORDS,
	WORK_HEARTBEAT,
	WORK_SUMMARY,
	WORK_LEAF_WANT,
	WORK_LEAF,
	WORK_PACKET,
	WORK_PACKET_END,
	WORK_GROUP,
};

enum work_outcome {
	WORK_KEPT,
	WORK_WANTED,  /* a renewal of what is not kept here: store the record */
	WORK_OLD,     /* a newer one is kept */
	WORK_FULL,    /* no room, or asked for too much */
	WORK_REFUSED, /* not a record that this peer may write, or not of now */
};

/* Keep this record of mine. */
struct work_store {
	uint64_t request;
	struct buf record, renewal; /* envelopes; no renewal of a young record */
};

struct work_renew {
	uint64_t request;
	struct digest key;
	uint64_t version;
	struct buf renewal; /* envelope */
};

/* Agents nearer to a key than the sender, if there are enough of them to keep it. */
struct work_near {
	struct contact list[WORK_NEARER_MAX];
	size_t count;
};

struct work_stored {
	uint64_t request;
	enum work_outcome outcome;
	struct work_near nearer;
};

struct work_lookup {
	uint64_t request;
	char *namespace, *name;
	uint64_t known; /* service_set_digest() of what the asker has */
	bool subscribe; /* tell me of changes for a while */
	bool proof;     /* with renewals as the pods have signed them */
};

struct work_signed {
	struct buf record, renewal; /* envelopes; one of them may be empty */
	struct node_id peer;        /* zeroes where there is a record */
};

/* Who has renewed, how long ago. */
struct work_live {
	uint64_t peer; /* work_peer_prefix() */
	uint32_t age_ms;
};

struct work_records {
	uint64_t request; /* 0: pushed */
	struct digest key;
	bool same;
	struct work_near nearer;
	struct work_signed *list;
	size_t count;
	struct work_live *live; /* in the sender's own words */
	size_t live_count;
};

struct work_heartbeat {
	uint64_t version, digest;
	struct buf renewal;
};

struct work_known {
	struct node_id peer;
	uint64_t version;
};

struct work_summary {
	bool answer; /* to a summary: not to be answered by one */
	struct work_known *list;
	size_t count;
};

/* What a stream or a flow is for: a port of the receiver's pod. */
struct work_open {
	enum service_protocol protocol;
	uint16_t port;                          /* 0: by name */
	char port_name[WORK_PORT_NAME_MAX + 1]; /* "" where there is a number */
};

enum work_opened {
	WORK_ACCEPTED,
	WORK_DENIED,      /* by policy */
	WORK_UNREACHABLE, /* nothing listens there */
	WORK_NO_PORT,     /* no port of that name is declared */
	WORK_BUSY,        /* too many */
	WORK_LEAVING,     /* the pod is about to end */
	_WORK_OPENED_COUNT,
};

/* A datagram of flow @flow, which was begun by the sender unless it is @back. */
struct work_packet {
	uint64_t flow;
	bool back;
	bool has_open;
	struct work_open open;
	struct buf payload;
};

struct work_packet_end {
	uint64_t flow;
	bool back;
	enum work_opened outcome;
};

struct work_message {
	enum work_type type;
	union {
		struct message overlay; /* MESSAGE_FIND or MESSAGE_FOUND */
		struct work_store store;
		struct work_stored stored;
		struct work_renew renew;
		struct work_lookup lookup;
		struct work_records records;
		struct work_heartbeat heartbeat;
		struct work_summary summary;
		struct digest leaf_want;
		struct buf leaf; /* concatenated DER */
		struct work_packet packet;
		struct work_packet_end packet_end;
		struct buf group; /* as wire/group_message.h has it */
	};
};

/* What stands for an id where all of it would be too much: its first 8 bytes. */
uint64_t work_peer_prefix(const struct node_id *id);

/* Append the encoding of @message, which must be within the limits (asserted). */
void work_message_encode(const struct work_message *message, struct buf *out);

/* Decode exactly @bytes: 0 or an enum message_result, and then there is nothing to free. */
_must_use_ int work_message_decode(struct bytes bytes, struct work_message *ret_message);
void work_message_deinit(struct work_message *message);

/* Append what a stream begins with, or is answered with, its length in front. */
void work_open_encode(const struct work_open *open, struct buf *out);
void work_opened_encode(enum work_opened outcome, struct buf *out);

/* Read it from the beginning of a stream, of which @bytes have come: 0, or an enum message_result.
 * *ret_len is how many bytes it took; 0: it is not complete yet. */
_must_use_ int work_open_decode(struct bytes bytes, struct work_open *ret_open, size_t *ret_len);
_must_use_ int work_opened_decode(struct bytes bytes, enum work_opened *ret_outcome,
				  size_t *ret_len);

/* The outcome in words, for people. */
const char *work_opened_text(enum work_opened outcome);

/* The same for what is inside the envelopes. Of a record, WORK_RECORD_MAX is asserted by nobody:
 * service_record_check() says whether one of ours fits. */
void service_record_encode(const struct service_record *record, struct buf *out);
_must_use_ int service_record_decode(struct bytes bytes, struct service_record *ret_record);
void service_record_copy(const struct service_record *from, struct service_record *to);
void service_record_deinit(struct service_record *record);
void service_policy_copy(const struct service_policy *from, struct service_policy *to);
void service_policy_deinit(struct service_policy *policy);
void service_renewal_encode(const struct service_renewal *renewal, struct buf *out);
_must_use_ int service_renewal_decode(struct bytes bytes, struct service_renewal *ret_renewal);
