/* SPDX-License-Identifier: Apache-2.0 */
/* A chain as TLS presents it: whatever it is, it is judged, and no forgery passes. */
#include <assert.h>
#include <string.h>

#include "identity/trust.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const struct node_id no_root[CERT_FAMILY_COUNT];
	struct trust_query query = {.purpose = TRUST_MESH, .now_is_floor = true};
	struct chain chain;
	struct cert cert;
	struct trust trust;

	if (!chain_split(bytes_of(data, len), &chain))
		return 0;
	for (size_t i = 0; i < chain.count; i++) {
		if (cert_parse(chain.cert[i], &cert, NULL) != 0)
			continue;
		assert(strlen(cert.name) <= CERT_NAME_MAX && strlen(cert.uri) < CERT_URI_MAX);
		assert(strlen(cert.fabric) == FABRIC_ID_LEN &&
		       cert.not_before.ms < cert.not_after.ms);
	}
	trust_init(&trust, no_root, 2, 1);
	assert(trust_verify(&trust, &query, &chain, NULL, NULL) != 0);
	trust_deinit(&trust);
	return 0;
}
