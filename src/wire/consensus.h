/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Consensus: what members of a workload's group say to each other, and what they write down.
 *
 * Messages between members are read by src/consensus; so are the commands in the log and the
 * snapshots of what they made. All come from machines that other people own: every limit here is
 * checked by decoding, and encoding asserts it.
 *
 * Ownership: a decoded struct owns what it points to until its deinit. To encode, pointers may lead
 * anywhere. Results of decoding are enum message_result (wire/message.h).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/id.h"

enum {
	RAFT_MEMBERS_MAX = 16,           /* a group of 7, as many learners, and some that go */
	RAFT_BATCH_ENTRIES_MAX = 64,     /* of one message: */
	RAFT_BATCH_BYTES_MAX = 64 << 10, /* a large command fits always, a message stays small */
	RAFT_DATA_MAX = 16 << 10,        /* of one entry: a value, its name and room to spare */
	RAFT_CHUNK_MAX = 32 << 10,       /* of a snapshot, in one message */
	RAFT_SNAPSHOT_MAX = 2 << 20,     /* the key space at all its limits */
	RAFT_TIMEOUT_MAX_MS = 5000,      /* a longer one makes no sense on any network */
	KEYS_NAME_MAX = 253,             /* of Kubernetes: a DNS subdomain */
	KEYS_VALUE_MAX = 8 << 10,
	KEYS_COUNT_MAX = 1024,
	KEYS_BYTES_MAX = 1 << 20, /* of all names and values: a snapshot is sent in 32 chunks */
	KEYS_SESSIONS_MAX = 256,  /* clients whose retries are recognised */
};

enum raft_entry_kind {
	RAFT_ENTRY_NOOP, /* the first of each term */
	RAFT_ENTRY_COMMAND,
	RAFT_ENTRY_MEMBERS,
	RAFT_ENTRY_KIND_COUNT,
};

struct raft_entry {
	uint64_t term;
	enum raft_entry_kind kind;
	uint8_t *data; /* @len bytes; NULL when there are none */
	size_t len;
	/* Below: of the log's owner alone, not on the wire. */
	uint64_t write;   /* the write that brings it to the disk */
	uint64_t request; /* who waits for it, 0: nobody here */
};

/* One instance of a replica: a disk that was lost takes the id with it. */
struct raft_member {
	uint64_t id;      /* not 0; drawn at random when the disk was empty */
	uint32_t ordinal; /* of the StatefulSet; one member each */
	uint32_t epoch;   /* of the ordinal: the later instance has the higher one */
	struct uid pod;
	bool voter; /* else a learner: has the log, and no say */
};

struct raft_members {
	struct raft_member list[RAFT_MEMBERS_MAX];
	size_t count;
};

enum raft_message_type {
	RAFT_PREVOTE,
	RAFT_PREVOTE_REPLY,
	RAFT_VOTE,
	RAFT_VOTE_REPLY,
	RAFT_APPEND, /* also the heartbeat, without entries */
	RAFT_APPEND_REPLY,
	RAFT_INSTALL,
	RAFT_INSTALL_REPLY,
	RAFT_CAMPAIGN, /* the leader asks its successor to stand at once */
	RAFT_REFUSE,
	RAFT_MESSAGE_COUNT,
};

enum raft_refusal {
	RAFT_REFUSAL_EPOCH,   /* the group went on without you under a higher epoch */
	RAFT_REFUSAL_REMOVED, /* you are no member any more */
	RAFT_REFUSAL_COUNT,
};

struct raft_message {
	enum raft_message_type type;
	struct uid cluster; /* made at the group's birth: two births are two groups */
	uint32_t epoch;     /* raised by an operator who gives a lost majority up */
	uint64_t from, to, term;
	uint64_t round;      /* APPEND, INSTALL and their replies, which repeat it: lease.c */
	uint32_t timeout_ms; /* APPEND, INSTALL: the receiver votes for nobody so long */
	/* PREVOTE, VOTE: the sender's last entry. APPEND: the one before its entries. APPEND_REPLY:
	 * granted: the last entry that is surely the leader's; else where to look for it.
	 * INSTALL, INSTALL_REPLY: the last entry that the snapshot stands for. */
	uint64_t index, index_term;
	uint64_t commit; /* APPEND. APPEND_REPLY that is not granted: the index that was refused */
	bool granted;    /* replies */
	bool transfer;   /* VOTE: at the leader's wish */
	struct raft_entry *entries; /* APPEND */
	size_t entry_count;
	uint64_t offset, total; /* INSTALL: of @data in the snapshot. INSTALL_REPLY: bytes held */
	struct bytes data;      /* INSTALL */
	struct raft_members *members; /* INSTALL; else NULL */
	enum raft_refusal reason;     /* REFUSE */
	uint8_t *owned;               /* by a decoded one: what entries and data point into */
};

void raft_message_encode(const struct raft_message *message, struct buf *out);
_must_use_ int raft_message_decode(struct bytes bytes, struct raft_message *ret_message);
void raft_message_deinit(struct raft_message *message);
const char *raft_message_name(enum raft_message_type type);

/* The data of a RAFT_ENTRY_MEMBERS. */
void raft_members_encode(const struct raft_members *members, struct buf *out);
_must_use_ int raft_members_decode(struct bytes bytes, struct raft_members *ret_members);

/* What must be on the disk beside log and snapshot. */
struct raft_meta {
	struct uid cluster; /* none: not yet a member of any */
	uint32_t epoch;
	uint64_t term, vote;
	uint32_t timeout_ms; /* the longest that a leader has asked for */
	bool superseded;
};

/* The state after @index, which takes the place of all entries up to there. */
struct raft_snapshot {
	uint64_t index, term; /* 0: there is none */
	struct raft_members members;
	struct bytes data;
};

/* What a member writes down and reads again. A decoded entry owns its data; that of a decoded
 * snapshot lies in @ret_data. */
void raft_meta_encode(const struct raft_meta *meta, struct buf *out);
_must_use_ int raft_meta_decode(struct bytes bytes, struct raft_meta *ret_meta);
void raft_entry_encode(const struct raft_entry *entry, struct buf *out);
_must_use_ int raft_entry_decode(struct bytes bytes, struct raft_entry *ret_entry);
void raft_snapshot_encode(const struct raft_snapshot *snapshot, struct buf *out);
_must_use_ int raft_snapshot_decode(struct bytes bytes, struct buf *ret_data,
				    struct raft_snapshot *ret_snapshot);

enum keys_kind {
	KEYS_VALUE,
	KEYS_LEASE, /* of coordination.k8s.io */
	KEYS_KIND_COUNT,
};

/* As coordination.k8s.io/v1 has it. The clients judge the times, as they do in Kubernetes: here
 * they are data. Times are since 1970. */
struct keys_lease {
	struct bytes holder; /* "" when nobody has it */
	uint32_t duration_s;
	uint32_t transitions;
	int64_t acquired_us, renewed_us;
};

enum keys_command_type {
	KEYS_COMMAND_SESSION, /* its index in the log becomes the session's id */
	KEYS_COMMAND_PUT,
	KEYS_COMMAND_DELETE,
	KEYS_COMMAND_PUT_LEASE,
	KEYS_COMMAND_DELETE_LEASE,
	KEYS_COMMAND_COUNT,
};

/* The data of a RAFT_ENTRY_COMMAND. */
struct keys_command {
	enum keys_command_type type;
	uint64_t session;  /* 0: none, and retries are not recognised */
	uint64_t sequence; /* of the session: each command one more */
	struct bytes name;
	bool any;        /* whatever version there is */
	uint64_t expect; /* else only this one; 0: only if there is none */
	struct bytes value;
	struct keys_lease lease;
	uint8_t *owned; /* by a decoded one */
};

void keys_command_encode(const struct keys_command *command, struct buf *out);
_must_use_ int keys_command_decode(struct bytes bytes, struct keys_command *ret_command);
void keys_command_deinit(struct keys_command *command);

struct keys_item {
	enum keys_kind kind;
	struct bytes name;
	uint64_t version; /* the index of the entry that wrote it */
	uint64_t created; /* and of the one that made it */
	struct bytes value;
	struct keys_lease lease;
};

struct keys_session {
	uint64_t id;
	uint64_t sequence; /* of its last command, */
	uint64_t used;     /* the index of that, */
	uint32_t outcome;  /* and what came of it (enum keys_outcome) */
	uint64_t version;
};

/* A snapshot of the whole key space. */
struct keys_space {
	uint64_t index;          /* everything up to here is in it */
	struct keys_item *items; /* in order of kind and name */
	size_t item_count;
	struct keys_session *sessions; /* in order of id */
	size_t session_count;
	uint8_t *owned;
};

void keys_space_encode(const struct keys_space *space, struct buf *out);
_must_use_ int keys_space_decode(struct bytes bytes, struct keys_space *ret_space);
void keys_space_deinit(struct keys_space *space);
