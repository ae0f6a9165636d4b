/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Voucher: the join token, one line of text that lets machines into a fabric until it expires.
 *
 *	magik1.<base64url, no padding, of Token (proto/identity.proto) and a check of 4 bytes>
 *
 * Token carries the voucher's private key seed, its certificate chain (voucher, admit), the three
 * root keys, by which the joiner knows the fabric whatever its clock says, and addresses of
 *members. Roles are in the voucher's certificate. The check, the first bytes of Token's SHA-256, is
 * there because lines are pasted, and cut off on the way. The text is a secret: whoever has it can
 *join.
 */
#pragma once

#include "identity/cert.h"
#include "identity/issue.h"
#include "identity/key.h"

#define VOUCHER_PREFIX "magik1."

enum {
	VOUCHER_ADDRESSES_MAX = 8,     /* enough that one is up; keeps the line short */
	VOUCHER_ADDRESS_LEN_MAX = 128, /* <64 hex>@[IPv6]:port */
	VOUCHER_TEXT_MAX = 12 * 1024,
};

struct voucher {
	struct key key;
	struct buf chain; /* concatenated DER: voucher, admit */
	struct cert cert; /* the voucher's own, parsed */
	struct node_id root[CERT_FAMILY_COUNT];
	char addresses[VOUCHER_ADDRESSES_MAX][VOUCHER_ADDRESS_LEN_MAX + 1]; /* <id>@<ip>:<port> */
	size_t address_count;
};

enum voucher_result {
	_VOUCHER_E_OK,
	VOUCHER_E_MALFORMED, /* not a token, cut off, or damaged; @err says which */
	VOUCHER_E_VERSION,   /* a token of a later Magik */
};

/* What to make; see cert_order for the meaning of the fields. */
struct voucher_order {
	uint8_t seed[KEY_SEED_LEN]; /* random: the voucher's key */
	uint8_t serial[CERT_SERIAL_LEN];
	struct grant grant;
	bool plain; /* made without --role */
	struct wall now;
	int64_t ttl_ms;
};

/* Make a voucher signed with an admitter's machine intermediate. 0, ISSUE_E_*, or -errno. Root keys
 * and addresses are the caller's to fill in. */
_must_use_ int voucher_make(const struct voucher_order *order, const struct signer *admit,
			    struct voucher *ret_voucher, struct err *err);
void voucher_deinit(struct voucher *voucher); /* wipes the key */

/* False when it is full or @address is empty, too long, or not printable. */
_must_use_ bool voucher_add_address(struct voucher *voucher, const char *address);

/* Append the text form, without a line end. */
void voucher_encode(const struct voucher *voucher, struct buf *ret_text);

/* Parse; surrounding white space is allowed. 0 or VOUCHER_E_*. Checks form and that the key belongs
 * to the certificate and the chain to the root key, not expiry (the admitter judges that). */
_must_use_ int voucher_parse(struct bytes text, struct voucher *ret_voucher, struct err *err);
