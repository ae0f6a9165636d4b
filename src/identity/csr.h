/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Csr: requests for certificates that travel as files, where no connection leads or a private key
 * must not leave its owner.
 *
 *	machine (magik fabric request)                     whoever signs (magik fabric admit)
 *	csr_machine_build() --- MAGIK MACHINE REQUEST -->  csr_machine_open()
 *	                                                   join_reply_build()
 *	csr_admission_open() <-- MAGIK ADMISSION --------  csr_admission_build()
 *
 *	user (openssl req)                                 whoever signs (magik kubeconfig --csr)
 *	                     --- CERTIFICATE REQUEST --->  csr_user_open()
 *
 * A machine's request is a JoinRequest (join.h) whose proofs name csr_audience() instead of an
 * admitter: it holds for whoever signs. It asks for nothing but a name: roles are the signer's to
 * give. A user's is PKCS#10 (RFC 2986) with an Ed25519 key; of what it asks for, only the names
 * in its subject are looked at. Requests do not expire: they carry no authority, and who signs one
 * twice certifies the same key again.
 *
 * An admission is a JoinReply. Who carries it vouches for it, as with a token's text: it brings the
 * roots that the machine will believe. It holds no secret.
 */
#pragma once

#include "identity/join.h"

#define CSR_MACHINE_LABEL "MAGIK MACHINE REQUEST"
#define CSR_ADMISSION_LABEL "MAGIK ADMISSION"

enum {
	CSR_TEXT_MAX = 16 * 1024,      /* of a request: ours are 1.2 KiB, PKCS#10 0.5 KiB */
	CSR_ADMISSION_MAX = 48 * 1024, /* JOIN_REPLY_LEN_MAX in base64 */
};

enum csr_result {
	_CSR_E_OK,
	CSR_E_MALFORMED, /* no request, cut off, too long, or more than one */
	CSR_E_FOREIGN,   /* a request or a file for something else */
	CSR_E_KEY,       /* a key of another kind, or one that nobody can trust */
	CSR_E_PROOF,     /* not signed by the key that it wants certified */
	CSR_E_NAME,      /* a name that no certificate takes */
};

/* Names of join_keys in a keyring, in the order of csr_keys_list(). */
extern const char *const join_key_names[];
void csr_keys_list(const struct join_keys *keys, struct key ret_keys[JOIN_SEEDS]);
void csr_keys_take(const struct key keys[JOIN_SEEDS], struct join_keys *ret_keys);

/* Append a machine's request, as PEM. @node_name: a DNS label. */
void csr_machine_build(const struct join_keys *keys, const char *node_name, struct buf *ret_text);

/* Open it for an admission with @grant. 0 or CSR_E_* with a sentence in @err. */
_must_use_ int csr_machine_open(struct bytes text, const struct grant *grant,
				struct join_request *ret_request, struct err *err);

/* Append a JoinReply's bytes as an admission, as PEM. */
void csr_admission_build(struct bytes reply, struct buf *ret_text);

/* Open an admission for the request made with @keys; @ret_root: the roots that it brings. 0,
 * CSR_E_MALFORMED, CSR_E_FOREIGN, or JOIN_E_REPLY when it is for other keys or unsound. */
_must_use_ int csr_admission_open(struct bytes text, const struct join_keys *keys,
				  struct join_reply *ret_reply,
				  struct node_id ret_root[CERT_FAMILY_COUNT], struct err *err);

/* What a user's request says of itself; its key is proved to be its sender's. */
struct csr_user {
	struct node_id key;
	char name[CERT_NAME_MAX + 1];                    /* common name; "": none */
	char groups[CERT_GROUPS_MAX][CERT_NAME_MAX + 1]; /* organisations: what it asks for */
	size_t group_count;
};

/* 0 or CSR_E_* with a sentence in @err. */
_must_use_ int csr_user_open(struct bytes text, struct csr_user *ret_user, struct err *err);
