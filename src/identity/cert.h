/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Certificate: X.509 v3, Ed25519 throughout, with one extension of our own.
 *
 * A fabric has three families, each with its own root, so that a credential of one is worth nothing
 * to another: machine (the mesh), workload (pods), api (the REST server and its users).
 *
 *	machine root  --> admit --> machine leaf        1 year   ALPN magik-machine/1
 *	                        --> voucher             hours    ALPN magik-join/1, nothing else
 *	workload root --> admit --> steward --> pod     1 year, 30 days; ALPN magik-work/1
 *	                                    --> application   30 days, the same name
 *	api root      --> admit --> rest                1 year   TLS server, api.<fabric>.magik
 *	                        --> user                90 days  TLS client, CN name, O groups
 *
 * The fabric's id is the first 16 hex digits of SHA-256(public key of the machine root).
 *
 * The extension (OID CERT_GRANT_OID, never critical, so that kubectl and other TLS clients pass
 * over it) is required by our verifier. Its body is message Grant of proto/identity.proto: version,
 * kind, family, fabric, roles, namespaces, and for a machine the salt of its DHT position.
 *
 * The OID lies under 2.25, the arc for numbers taken without registration. That arc is meant for
 * whole UUIDs, 128 bits; but the X.509 parser of Go, which is kubectl's, refuses arcs beyond 31
 * bits and libtasn1 beyond 64. So the number is a random one of 31 bits.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/err.h"
#include "base/id.h"
#include "base/time.h"
#include "identity/role.h"

#define CERT_GRANT_OID "2.25.1747091583"

enum {
	CERT_DER_MAX = 4096, /* ours are 400 to 900 bytes; a user of many groups 2 KiB */
	CHAIN_CERTS_MAX = 4, /* pod, steward, admit, root */
	FABRIC_ID_LEN = 16,  /* hex digits */
	CERT_NAME_MAX = 64,  /* X.520's bound on a common name; node names 63 */
	CERT_GROUPS_MAX = 8, /* Kubernetes users rarely have more than three */
	CERT_URI_MAX = 704,  /* spiffe:// + fabric + ns + kind + two names of 253 */
	CERT_DNS_MAX = 64,   /* api.<fabric>.magik */
	CERT_SALT_LEN = 16,
	CERT_SERIAL_LEN = 16,
	CERT_HOLDER_LEN = 16, /* of a machine's key in an intermediate's name: all that fits */
};

enum cert_family {
	CERT_FAMILY_MACHINE = 1,
	CERT_FAMILY_WORKLOAD = 2,
	CERT_FAMILY_API = 3,
	CERT_FAMILY_COUNT = 3,
};

enum cert_kind {
	CERT_ROOT = 1,
	CERT_ADMIT = 2,   /* an admitter's intermediate, one in each family */
	CERT_STEWARD = 3, /* a steward's intermediate in the workload family */
	CERT_MACHINE = 4,
	CERT_VOUCHER = 5,
	CERT_REST = 6,
	CERT_USER = 7,
	CERT_POD = 8,
	CERT_APPLICATION = 9, /* a pod's, for the application in it */
};

/* What a certificate says, checked for form and for agreement with itself, not for trust. */
struct cert {
	enum cert_kind kind;
	enum cert_family family;
	struct digest hash; /* SHA-256 of the whole DER: how envelopes name their issuer */
	struct node_id key; /* the subject's public key */
	char fabric[FABRIC_ID_LEN + 1];
	char name[CERT_NAME_MAX + 1]; /* node name, user name, or a description */
	char uri[CERT_URI_MAX]; /* machine: magik://<fabric>/machine/<key>; pod: spiffe://... */
	struct grant grant;     /* roles held; for an intermediate, what it may hand on */
	uint8_t group_count;
	char groups[CERT_GROUPS_MAX][CERT_NAME_MAX + 1]; /* user only */
	struct wall not_before, not_after;
	uint8_t serial[CERT_SERIAL_LEN]; /* zeroes when it is none of ours: of another length */
	struct digest position; /* machine only: SHA-256(salt || key), its place in the DHT */
	uint8_t salt[CERT_SALT_LEN];
	struct node_id
		machine; /* pod, application: that the pod was awarded to; none: made by hand */
	bool plain; /* voucher only: made without --role; its first two users become admitters */
};

enum cert_result {
	_CERT_E_OK,
	CERT_E_MALFORMED,  /* not strict DER, too long, or not X.509 */
	CERT_E_FOREIGN,    /* sound X.509, but not one of ours: no grant, another algorithm */
	CERT_E_INCOHERENT, /* the grant disagrees with the rest of the certificate */
};

/* A chain as TLS presents it: leaf first; the root may be left out. Borrowed views. */
struct chain {
	struct bytes cert[CHAIN_CERTS_MAX];
	size_t count;
};

/* Parse one certificate: 0, or CERT_E_* with a sentence in @err. */
_must_use_ int cert_parse(struct bytes der, struct cert *ret_cert, struct err *err);

/* True if @der was signed by @issuer_key. @der must have been parsed. */
_must_use_ bool cert_signed_by(struct bytes der, const struct node_id *issuer_key);

/*
 * Chains are owned, stored and sent as their certificates' DER one behind the other (DER delimits
 * itself). Split such bytes into views. False for more than CHAIN_CERTS_MAX, a certificate longer
 * than CERT_DER_MAX, rubbish, or nothing.
 */
_must_use_ bool chain_split(struct bytes concatenated, struct chain *ret_chain);

/* The same from/to PEM text: CERTIFICATE blocks, leaf first. */
_must_use_ bool chain_from_pem(struct bytes pem, struct buf *ret_concatenated);
void chain_to_pem(struct bytes concatenated, struct buf *ret_pem);

/* The fabric's id from its machine root's public key. */
void fabric_id_of(const struct node_id *machine_root, char ret_fabric[FABRIC_ID_LEN + 1]);

/* "api.<fabric>.magik": the name of every REST server of the fabric. */
void fabric_rest_name(const char *fabric, char ret_name[CERT_DNS_MAX]);

const char *cert_kind_text(enum cert_kind kind);       /* "machine certificate" */
const char *cert_family_text(enum cert_family family); /* "machine" */
