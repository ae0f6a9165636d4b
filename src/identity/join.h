/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Join: how a machine gets its credentials, over a TLS connection with ALPN magik-join/1 on which
 * it has shown a voucher, or, to renew, its own leaf (valid, or expired by less than a lifetime).
 *
 *	joiner                                             admitter
 *	join_request_build() -- JoinRequest -->            join_request_open()
 *	                                                   may become an admitter, and the roots are
 *	                                                   on this machine? then, in the host
 *	                                                   process: join_issue_intermediates()
 *	join_reply_open()    <-- JoinReply --              join_reply_build()
 *
 * Every key that is to be certified signs the request's audience (the hash of the admitter's leaf
 * as seen in TLS) and the machine's key under JOIN_PROOF_DOMAIN, so nobody obtains a certificate
 * for a key that is not theirs. All functions are pure; messages are in proto/identity.proto.
 */
#pragma once

#include "identity/credentials.h"
#include "identity/trust.h"

#define JOIN_PROOF_DOMAIN "magik key proof/1"

enum {
	JOIN_REQUEST_LEN_MAX = 4096,
	JOIN_REPLY_LEN_MAX = 32 * 1024,
	JOIN_MEMBERS_MAX = 32, /* addresses handed out; the joiner learns the rest by gossip */
	JOIN_ADDRESS_LEN_MAX = 128,
	JOIN_ADMITTERS_FREE = 2, /* joiners that become admitters while the roots are at hand */
	JOIN_SEEDS = 6,          /* machine, rest, steward, three admit */
	JOIN_RANDOM_LEN = JOIN_SEEDS * KEY_SEED_LEN,
	JOIN_SERIALS = 3, /* machine, rest, steward */
	JOIN_SERIALS_LEN = JOIN_SERIALS * CERT_SERIAL_LEN,
};

enum join_result {
	_JOIN_E_OK,
	JOIN_E_MALFORMED,
	JOIN_E_PROOF,      /* a key that its sender does not hold */
	JOIN_E_CREDENTIAL, /* what was shown in TLS does not allow this request */
	JOIN_E_NAME,       /* the node name is not a DNS label */
	JOIN_E_REFUSED,    /* the admitter said no; @err carries its sentence */
	JOIN_E_REPLY,      /* the reply does not fit the request or the fabric */
};

/* The joiner's keys while it joins. On renewal machine stays; the others may be new. */
struct join_keys {
	struct key machine, rest, steward, admit[CERT_FAMILY_COUNT];
};
void join_keys_make(struct join_keys *keys, const uint8_t random[JOIN_RANDOM_LEN]);
void join_keys_wipe(struct join_keys *keys);

/* Append a JoinRequest to @ret_bytes. @audience: hash of the admitter's leaf. */
void join_request_build(const struct join_keys *keys, const char *node_name,
			const struct digest *audience, struct buf *ret_bytes);

/* A verified request: public keys only. */
struct join_request {
	char node_name[CERT_NAME_MAX + 1];
	struct node_id machine, rest, steward, admit[CERT_FAMILY_COUNT];
	struct grant grant;   /* what it will get: what its voucher or its present leaf gives */
	bool may_be_admitter; /* plain voucher or one with the role admit: ask the roots' holder */
	bool renewal;
	uint8_t salt[CERT_SALT_LEN]; /* renewal: the present one, kept */
};

/*
 * Open a request. @shown is the leaf that trust_verify(TRUST_JOINER) gave for the connection,
 * @audience the hash of our own leaf. 0 or JOIN_E_*.
 */
_must_use_ int join_request_open(struct bytes bytes, const struct cert *shown,
				 const struct digest *audience, struct join_request *ret_request,
				 struct err *err);

/* The three intermediates of a new admitter: DER, by family - 1. */
struct join_intermediates {
	struct buf cert[CERT_FAMILY_COUNT];
};

/* In the process that holds the roots. @roots_der: the root certificates. */
struct join_roots {
	const struct root_keys *keys;
	struct bytes cert[CERT_FAMILY_COUNT];
	struct node_id holder; /* the new admitter's machine key */
	struct wall now;
	uint8_t serials[CERT_FAMILY_COUNT][CERT_SERIAL_LEN]; /* random */
};
_must_use_ int join_issue_intermediates(const struct join_roots *roots,
					const struct node_id admit[CERT_FAMILY_COUNT],
					struct join_intermediates *ret_intermediates,
					struct err *err);
void join_intermediates_deinit(struct join_intermediates *intermediates);

/* What the admitter adds. */
struct join_answer {
	const struct credentials *admitter;
	const struct join_intermediates *intermediates; /* NULL: no admitter is made */
	struct wall now;                                /* fabric time */
	const char *const *members;                     /* "<id>@<ip>:<port>" */
	size_t member_count;
	uint8_t serials[JOIN_SERIALS_LEN]; /* random */
};

/* Issue the leaves and append a JoinReply. 0, or ISSUE_E_* / -errno as cert_issue(). */
_must_use_ int join_reply_build(const struct join_request *request,
				const struct join_answer *answer, struct buf *ret_bytes,
				struct err *err);

/* Append a JoinReply that only says why not. */
void join_refusal_build(const char *reason, struct buf *ret_bytes);

/* What the joiner gets. */
struct join_reply {
	struct credentials credentials;
	struct wall now; /* the admitter's fabric time: hand it to fabric_time_set() */
	char members[JOIN_MEMBERS_MAX][JOIN_ADDRESS_LEN_MAX + 1];
	size_t member_count;
};
void join_reply_deinit(struct join_reply *reply);

/*
 * Open a reply to a request made with @keys under @node_name. Checks the roots against those of
 * @trust (made from the voucher, or from disk for a renewal), every chain for its purpose at the
 * reply's own time, and that the certificates are for our keys. 0 or JOIN_E_*.
 */
_must_use_ int join_reply_open(struct bytes bytes, const struct join_keys *keys,
			       struct trust *trust, struct join_reply *ret_reply, struct err *err);
