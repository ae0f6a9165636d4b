/* SPDX-License-Identifier: Apache-2.0 */
/* Fetch: reading what others keep. */
#include "records/internal.h"

bool records_keeps(const struct records *records, const struct uid *uid)
{
	(void)uid;
	return !records->config.alone;
}

int records_fetch(struct records *records, struct mono now, const struct uid *uid,
		  uint64_t *ret_token)
{
	struct records_effect *effect;

	records->now = now;
	*ret_token = ++records->token;
	effect = effect_queue(records, RECORDS_FETCHED, NULL);
	effect->token = *ret_token;
	effect->key.uid = *uid;
	effect->stored = effect->keepers = 1;
	return 0;
}
