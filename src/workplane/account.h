/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Account: by what the agent proves itself to its pod's application over TLS, and by what it knows
 * the application, as unmodified clients of Kubernetes have it in a pod: a certificate, and a
 * bearer token.
 *
 * The host process makes both (runtime/pod_account.h) and hands them over as one descriptor:
 *
 *   the token, in one line
 *   the key, PEM
 *   the certificate, PEM
 */
#pragma once

#include <stdbool.h>

#include "base/attr.h"
#include "base/err.h"

enum {
	ACCOUNT_MAX = 16 * 1024, /* of all three; ours are 1.5 KiB */
};

struct account {
	char *token;
	char *key_pem, *chain_pem;
};

/* Closes @fd, whatever comes of it. -EINVAL: these are not the three. */
_must_use_ int account_read(int fd, struct account *ret_account, struct err *err);
/* Wipes the secrets. A zeroed one is accepted. */
void account_deinit(struct account *account);

/* Does the value of a header Authorization (RFC 6750 section 2.1), NULL if there is none, carry the
 * token? It takes as long for a wrong one as for the right one. */
_must_use_ bool account_admits(const struct account *account, const char *authorization);
