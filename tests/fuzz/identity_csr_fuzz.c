/* SPDX-License-Identifier: Apache-2.0 */
/* Requests and admissions that came as files, and keyrings. Whatever opens has a key that somebody
 * holds and names that certificates take; whatever does not is told why. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "identity/csr.h"
#include "identity/keyring.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_machine(struct bytes text)
{
	struct grant grant = grant_plain();
	struct join_request request;
	struct err err = {0};

	if (csr_machine_open(text, &grant, &request, &err) != 0) {
		assert(err.text[0]);
		return;
	}
	assert(name_is_dns_label(bytes_str(request.node_name)) && key_is_sound(&request.machine));
	assert(!request.renewal && !request.may_be_admitter);
	assert(request.grant.roles == ROLE_PLAIN);
}

static void check_user(struct bytes text)
{
	struct csr_user user;
	struct err err = {0};

	if (csr_user_open(text, &user, &err) != 0) {
		assert(err.text[0]);
		return;
	}
	assert(key_is_sound(&user.key) && user.group_count <= CERT_GROUPS_MAX);
	assert(strlen(user.name) <= CERT_NAME_MAX);
	for (size_t i = 0; i < user.group_count; i++)
		assert(user.groups[i][0] && strlen(user.groups[i]) <= CERT_NAME_MAX);
}

/* Made once: six keys cost more than all the rest. */
static const struct join_keys *keys_of_nobody(void)
{
	static struct join_keys keys;
	uint8_t random[JOIN_RANDOM_LEN];

	if (!key_is_none(&keys.machine))
		return &keys;
	memset(random, 1, sizeof(random));
	for (size_t i = 0; i < JOIN_SEEDS; i++)
		random[i * KEY_SEED_LEN] = (uint8_t)i;
	join_keys_make(&keys, random);
	return &keys;
}

static void check_admission(struct bytes text)
{
	struct join_reply *reply = mem_new(struct join_reply);
	struct node_id root[CERT_FAMILY_COUNT];
	struct err err = {0};

	/* Nobody has signed anything for these keys. */
	assert(csr_admission_open(text, keys_of_nobody(), reply, root, &err) != 0 && err.text[0]);
	free(reply);
}

static void check_keyring(struct bytes text)
{
	struct key keys[CERT_FAMILY_COUNT];
	struct buf again = {0};
	struct err err = {0};

	if (keyring_read(text, root_keys_names, keys, &err) == 0) {
		keyring_write(root_keys_names, keys, &again);
		assert(bytes_equal(text, bytes_buf(&again)));
	} else {
		assert(err.text[0]);
	}
	buf_deinit(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct bytes text = bytes_of(data, len);

	check_machine(text);
	check_user(text);
	check_admission(text);
	check_keyring(text);
	return 0;
}
