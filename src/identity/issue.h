/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Issue: make certificates. Pure: time and random bytes come in with the order.
 *
 * An order is judged by the rules that the verifier applies (cert.h), so a signer cannot be talked
 * into a certificate that nobody would accept: the kind must be one its issuer may sign, the grant
 * must lie within the issuer's, a pod's namespace within its steward's.
 */
#pragma once

#include "identity/cert.h"
#include "identity/key.h"

/* Lifetimes, and how far before now validity starts, so that slow clocks of kubectl users agree. */
#define CERT_HOUR_MS ((int64_t)3600 * 1000)
#define CERT_DAY_MS (24 * CERT_HOUR_MS)
#define CERT_BACKDATE_MS CERT_HOUR_MS
#define CERT_ADMIT_LIFE_MS (10 * 365 * CERT_DAY_MS)
#define CERT_MACHINE_LIFE_MS (365 * CERT_DAY_MS) /* machine, rest and steward */
#define CERT_USER_LIFE_MS (90 * CERT_DAY_MS)
#define CERT_POD_LIFE_MS (30 * CERT_DAY_MS)
#define CERT_VOUCHER_LIFE_MS CERT_DAY_MS /* unless --ttl says otherwise */

enum issue_result {
	_ISSUE_E_OK,
	ISSUE_E_KIND,   /* this issuer may not sign that kind */
	ISSUE_E_WIDENS, /* the grant or the pod's name lies outside the issuer's */
	ISSUE_E_FORM,   /* a name that cannot be put into a certificate, a small-order key */
};

/* Who signs: a key and its certificate's DER (borrowed). */
struct signer {
	const struct key *key;
	struct bytes cert;
};

/* What to sign. Fields that the kind does not use are ignored. */
struct cert_order {
	enum cert_kind kind;
	enum cert_family family;   /* used for root and admit; the others have one family each */
	struct node_id key;        /* the subject's public key; its holder has proved possession */
	struct node_id machine;    /* pod, application: where it runs; none: not told */
	struct node_id holder;     /* admit, steward: the key of the machine that will have it */
	const char *fabric;        /* used for roots; others take their issuer's */
	const char *name;          /* machine: node name; user: user name */
	const char *const *groups; /* user */
	size_t group_count;
	struct grant grant;
	/* pod: the path of its SPIFFE id behind spiffe://<fabric>/, "ns/<ns>/<kind>/<name>/<pod>"
	 */
	const char *pod_path;
	bool plain;                      /* voucher */
	uint8_t salt[CERT_SALT_LEN];     /* machine */
	uint8_t serial[CERT_SERIAL_LEN]; /* random bytes */
	struct wall now;                 /* fabric time; validity starts CERT_BACKDATE_MS before */
	int64_t life_ms;                 /* 0: the kind's own lifetime; a root's has no end */
};

/*
 * Sign @order with @signer (for CERT_ROOT: its own key, and no certificate) and append the DER to
 * @ret_der. 0, an ISSUE_E_* outcome with a sentence in @err, or -EIO from the library.
 */
_must_use_ int cert_issue(const struct cert_order *order, const struct signer *signer,
			  struct buf *ret_der, struct err *err);

/*
 * The salt that an admitter gives to a machine's key: unknown to the machine beforehand, so that it
 * cannot search for a key with a position of its choice, and the same each time it asks again.
 */
void issue_salt(const struct key *admit_key, const struct node_id *machine,
		uint8_t ret_salt[CERT_SALT_LEN]);

/* Does @subject stay inside @issuer: fabric, family, kind, grant, pod path? Fills @err if not. */
int cert_narrows(const struct cert *subject, const struct cert *issuer, struct err *err);
