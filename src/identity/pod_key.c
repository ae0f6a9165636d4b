/* SPDX-License-Identifier: Apache-2.0 */
#include "identity/pod_key.h"

#include <string.h>

static struct buf said(const struct node_id *public_key, enum pod_key_use use,
		       const struct pod_key_name *pod)
{
	static const char *const domains[] = {
		[POD_KEY_AGENT] = POD_KEY_AGENT_DOMAIN,
		[POD_KEY_APPLICATION] = POD_KEY_APPLICATION_DOMAIN,
	};
	struct buf text = {0};

	buf_append(&text, domains[use], strlen(domains[use]) + 1);
	buf_append_format(&text, "%s/%s", pod->namespace, pod->pod);
	buf_append(&text, "", 1);
	buf_append(&text, public_key->byte, ID_LEN);
	return text;
}

void pod_key_prove(const struct key *key, enum pod_key_use use, const struct pod_key_name *pod,
		   uint8_t ret_proof[KEY_SIGNATURE_LEN])
{
	struct buf text = said(&key->public_key, use, pod);

	key_sign(key, bytes_buf(&text), ret_proof);
	buf_deinit(&text);
}

bool pod_key_is_proved(const struct node_id *public_key, enum pod_key_use use,
		       const struct pod_key_name *pod, const uint8_t proof[KEY_SIGNATURE_LEN])
{
	struct buf text = said(public_key, use, pod);
	bool proved = key_is_sound(public_key) && key_verify(public_key, bytes_buf(&text), proof);

	buf_deinit(&text);
	return proved;
}
