/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Directory: the workload DHT (WDHT), as the agent of one pod takes part in it.
 *
 * Agents know each other by a Kademlia of their own (overlay/kad.h). The records of a workload lie
 * at the DIRECTORY_KEEPERS agents nearest to service_key(namespace, name), in memory:
 *
 *   announcing  a record is stored at the keepers whenever it changes, and renewed every heartbeat
 *               by a few bytes signed by the pod; withdrawn, it is replaced by one that says so.
 *   looking up  the keepers are asked for what the asker may see. The answer is kept while it is in
 *               use: one keeper in turn is asked every heartbeat what is new, and each keeper tells
 *               of changes at once to those who have asked lately (push).
 *   siblings    replicas of one workload stand in a ring by id: each sends its heartbeat to the
 *               DIRECTORY_SIBLINGS next ones, with a digest of the set it knows; if the digests
 *               differ they send each other what is missing. Who hears no heartbeat reports it.
 *
 * A record counts only as service/record.h says; who passed it on does not matter, so a keeper can
 * withhold a record but not forge one. That it still holds is believed of a keeper for
 * DIRECTORY_PROOF_MS; then the pod's own signature is asked for, for a keeper may lie, and all of
 * them every heartbeat would cost more than all the rest. A keeper keeps nothing that
 * the verified name of the writer's connection does not carry, and shows each record only to those
 * whom its policy admits.
 *
 * Sans-IO: the caller feeds events in time order, with its monotonic clock and fabric time, takes
 * effects with directory_next_effect() until it returns NULL, and calls directory_tick() when
 * directory_deadline() is reached. Messages may be lost; who is @from is verified by the caller
 * (TLS). Before a message with envelopes is handed in, the caller sees to it that the certificates
 * of their issuers are known to @trust (WORK_LEAF_WANT asks the sender for one): an envelope whose
 * issuer is unknown is dropped.
 */
#pragma once

#include "overlay/kad.h"
#include "service/record.h"

enum {
	DIRECTORY_KEEPERS = 3,  /* two may be lost between two heartbeats */
	DIRECTORY_SIBLINGS = 4, /* that hear a replica's heartbeat, and whose it hears */

	DIRECTORY_RETRY_MS = 60,            /* no answer to a request: again; at least so long, */
	DIRECTORY_RETRY_MAX_MS = 500,       /* at most so long, and else */
	DIRECTORY_RETRY_RTTS = 4,           /* so many times what answers have taken lately */
	DIRECTORY_TRIES = 2,                /* then the next nearest takes the keeper's place */
	DIRECTORY_ANSWER_MS = 2000,         /* a lookup ends with what it has */
	DIRECTORY_FAILED_MS = 30 * 1000,    /* who was silent is not tried because others name it */
	DIRECTORY_PLACE_MS = 2 * 60 * 1000, /* keepers are looked up again, if nothing tells of
					     * nearer ones before */
	DIRECTORY_PROOF_MS = 60 * 1000,
	DIRECTORY_SUBSCRIBE_MS = 20 * 1000, /* DIRECTORY_KEEPERS heartbeats, for one of the keepers
					     * is asked in each, and one to spare */
	DIRECTORY_USE_MS = 15 * 1000, /* after it was asked for, a service is kept up to date */
	DIRECTORY_PROBE_MS = SERVICE_HEARTBEAT_MS + 500,    /* a silent sibling is asked, */
	DIRECTORY_MISSING_MS = SERVICE_HEARTBEAT_MS + 1000, /* and then reported */

	DIRECTORY_SERVICES_MAX =
		256,                /* looked up at a time; the one unused for longest gives way */
	DIRECTORY_WAITING_MAX = 64, /* tokens of one service that wait for its answer */

	/* What is kept here for others. An agent keeps the records of three pods on
	 * average; a large workload brings 256 at once. */
	DIRECTORY_KEPT_MAX = 1024,
	DIRECTORY_KEPT_BYTES_MAX = 512 << 10,
	DIRECTORY_SUBSCRIBERS_MAX = 1024,
	DIRECTORY_PER_SUBSCRIBER_MAX = 64, /* services that one peer may subscribe to here */

	DIRECTORY_RATE_MS = 10,     /* a peer's requests: one each so often in the long run, */
	DIRECTORY_RATE_BURST = 300, /* and so many at once: more are dropped */
};

/* How envelopes are made and opened: src/identity in the agent, a keyed hash in the simulator. */
struct directory_trust_ops {
	/* Append the envelope of @payload, signed by this agent at fabric time @now. */
	void (*seal)(void *self, struct wall now, struct bytes payload, struct buf *out);
	/* Open @envelope: false unless it is signed under a valid pod certificate of the fabric.
	 * @ret_payload borrows from @envelope. */
	bool (*open)(void *self, struct wall now, struct bytes envelope,
		     struct service_name *ret_signer, struct node_id *ret_key,
		     struct bytes *ret_payload);
};

struct directory_trust {
	const struct directory_trust_ops *ops;
	void *self;
};

struct directory_config {
	struct contact self;
	struct service_name name; /* of our own certificate */
	struct directory_trust trust;
	uint64_t seed; /* random */
};

/* Who has sent a message: where it can be reached, and the verified name of its certificate. */
struct directory_peer {
	struct contact contact;
	const struct service_name *name;
};

enum directory_effect_type {
	DIRECTORY_SEND,    /* @message to @to, connected or not */
	DIRECTORY_FOUND,   /* the lookup @token has ended: read directory_records() */
	DIRECTORY_CHANGED, /* the records of a service in use have changed */
	DIRECTORY_MISSING, /* no heartbeat of the sibling @pod; its key is @to.id */
	DIRECTORY_BACK,    /* it is heard again */
};

struct directory_effect {
	enum directory_effect_type type;
	struct contact to;
	struct work_message message; /* SEND: owned by the directory until its next call */
	uint64_t token;              /* FOUND */
	bool complete;               /* FOUND: every keeper has answered */
	char namespace[MESSAGE_NAMESPACE_MAX + 1]; /* FOUND, CHANGED */
	char name[MESSAGE_NAME_MAX + 1]; /* FOUND, CHANGED; of MISSING and BACK the pod's */
};

enum directory_result {
	_DIRECTORY_E_OK,
	DIRECTORY_E_NAME,   /* no name that a workload could have */
	DIRECTORY_E_BUSY,   /* too many wait for this answer */
	DIRECTORY_E_RECORD, /* announce: not well-formed, too large, or not of our own name */
};

/* Counters since the start. */
struct directory_stats {
	uint64_t refused_foreign, refused_stale, refused_malformed; /* records of others */
	uint64_t refused_signature, refused_rate, refused_full;
	uint64_t pushed, lookups;
	size_t kept, kept_bytes, subscribers, services;
};

struct directory;

struct directory *directory_new(const struct directory_config *config, struct mono now);
void directory_free(struct directory *directory);

/* An agent that lives: one to begin with, or one that has connected. */
void directory_seen(struct directory *directory, struct mono now, const struct contact *contact);

/* It could not be reached. */
void directory_unreachable(struct directory *directory, struct mono now, const struct node_id *id);

/* @record is ours from now on, as of now: peer, version and time are set here. Stored if anything
 * in it has changed. 0 or DIRECTORY_E_RECORD. */
_must_use_ int directory_announce(struct directory *directory, struct mono now, struct wall wall,
				  const struct service_record *record);

/* We are about to go: nothing new is to come here. Nothing is announced after that. */
void directory_withdraw(struct directory *directory, struct mono now, struct wall wall);

/* Have all keepers that are known answered what was announced or withdrawn last? */
bool directory_is_settled(const struct directory *directory);

/* Look up the replicas of a workload. DIRECTORY_FOUND follows with the token, at once (as an
 * effect) if the answer is known. 0 or DIRECTORY_E_*. */
_must_use_ int directory_lookup(struct directory *directory, struct mono now, struct wall wall,
				const char *namespace, const char *name, uint64_t *ret_token);

/* The replicas known of a service that was looked up, our own workload included, ready or not: who
 * was withdrawn or has not renewed is not among them. Returns how many were written to
 * @ret_records; they are valid until the next call other than this one. Counts as use. */
size_t directory_records(struct directory *directory, struct mono now, const char *namespace,
			 const char *name, const struct service_record **ret_records, size_t max);

/* A message over the connection of @from. */
void directory_receive(struct directory *directory, struct mono now, struct wall wall,
		       const struct directory_peer *from, const struct work_message *message);

void directory_tick(struct directory *directory, struct mono now, struct wall wall);
struct mono directory_deadline(const struct directory *directory);
const struct directory_effect *directory_next_effect(struct directory *directory);

void directory_stats(const struct directory *directory, struct directory_stats *ret_stats);
size_t directory_contact_count(const struct directory *directory);
