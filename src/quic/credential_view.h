/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of a credential, for tls.c. */
#pragma once

#include <gnutls/abstract.h>

#include "quic/credential.h"

struct quic_credential {
	unsigned references;
	size_t count;
	gnutls_pcert_st chain[QUIC_CHAIN_MAX];
	gnutls_privkey_t key;
};
