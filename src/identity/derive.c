/* SPDX-License-Identifier: Apache-2.0 */
#include "identity/derive.h"

#include <string.h>

#include "identity/sha256.h"

struct uid uid_derive(const struct uid *owner, const char *what)
{
	struct digest hash = sha256_pair(bytes_of(owner->byte, UID_LEN), bytes_str(what));
	uint8_t mixed[UID_LEN];

	memcpy(mixed, owner->byte, UID_HOME_LEN);
	memcpy(mixed + UID_HOME_LEN, hash.byte, UID_LEN - UID_HOME_LEN);
	return uid_from_random(mixed);
}

struct uid uid_of_pod(const struct uid *object, const struct node_id *machine,
		      const uint8_t random[UID_POD_RANDOM_LEN])
{
	static const char domain[] = "magik pod/1";
	uint8_t mixed[UID_LEN] = {0}, text[sizeof(domain) + 2 * UID_LEN];
	struct digest hash;
	struct uid uid;

	memcpy(mixed, random, UID_POD_RANDOM_LEN);
	uid = uid_from_random(mixed); /* the random half as it will be read */
	memcpy(text, domain, sizeof(domain));
	memcpy(text + sizeof(domain), uid.byte, UID_POD_RANDOM_LEN);
	memset(text + sizeof(domain) + UID_POD_RANDOM_LEN, 0, UID_LEN - UID_POD_RANDOM_LEN);
	memcpy(text + sizeof(domain) + UID_LEN, object->byte, UID_LEN);
	hash = sha256_pair(bytes_of(text, sizeof(text)), bytes_of(machine->byte, ID_LEN));
	memcpy(mixed + UID_POD_RANDOM_LEN, hash.byte, UID_LEN - UID_POD_RANDOM_LEN);
	return uid_from_random(mixed);
}

bool uid_is_of_pod(const struct uid *pod, const struct uid *object, const struct node_id *machine)
{
	struct uid own = uid_of_pod(object, machine, pod->byte);

	return uid_equal(&own, pod);
}
