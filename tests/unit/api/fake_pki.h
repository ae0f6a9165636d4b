/* SPDX-License-Identifier: Apache-2.0 */
/* Fake PKI: a throw-away certificate authority for tests, Ed25519 throughout. */
#pragma once

#include <stdbool.h>

#include "base/bytes.h"

struct fake_pki;

struct fake_credential {
	char *cert_pem, *key_pem;
};

struct fake_pki *fake_pki_new(void);
void fake_pki_free(struct fake_pki *pki);
const char *fake_pki_ca_pem(const struct fake_pki *pki);

/* A leaf with this common name; @group may be NULL. Servers get the SAN 127.0.0.1 and localhost. */
struct fake_credential fake_pki_issue(struct fake_pki *pki, const char *name, const char *group,
				      bool is_server, bool is_expired);
void fake_credential_deinit(struct fake_credential *credential);

/* Whether @leaf was issued by this authority for clients and is valid now; then its name and group.
 */
bool fake_pki_verify(const struct fake_pki *pki, struct bytes leaf, char *name, char *group,
		     size_t size);
