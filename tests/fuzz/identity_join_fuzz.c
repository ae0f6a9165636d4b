/* SPDX-License-Identifier: Apache-2.0 */
/* Both messages of the join exchange. The input decides nothing but its own refusal: a request
 * without valid proofs, or a reply without our root's signature, must not open. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "identity/join.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const struct digest audience;
	static const struct node_id no_root[CERT_FAMILY_COUNT];
	struct cert voucher = {.kind = CERT_VOUCHER, .grant = grant_plain()};
	struct join_reply *reply = mem_new(struct join_reply);
	uint8_t random[JOIN_RANDOM_LEN];
	struct join_request request;
	struct join_keys keys;
	struct trust trust;

	if (join_request_open(bytes_of(data, len), &voucher, &audience, &request, NULL) == 0)
		assert(name_is_dns_label(bytes_str(request.node_name)));
	memset(random, 1, sizeof(random));
	for (size_t i = 0; i < JOIN_SEEDS; i++)
		random[i * KEY_SEED_LEN] = (uint8_t)i;
	join_keys_make(&keys, random);
	trust_init(&trust, no_root, 2, 1);
	assert(join_reply_open(bytes_of(data, len), &keys, &trust, reply, NULL) != 0);
	trust_deinit(&trust);
	free(reply);
	return 0;
}
