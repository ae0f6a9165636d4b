/* SPDX-License-Identifier: Apache-2.0 */
#include "identity/derive.h"

#include "identity/sha256.h"

struct uid uid_derive(const struct uid *owner, const char *what)
{
	struct digest hash = sha256_pair(bytes_of(owner->byte, UID_LEN), bytes_str(what));
	uint8_t mixed[UID_LEN];

	memcpy(mixed, owner->byte, UID_HOME_LEN);
	memcpy(mixed + UID_HOME_LEN, hash.byte, UID_LEN - UID_HOME_LEN);
	return uid_from_random(mixed);
}
