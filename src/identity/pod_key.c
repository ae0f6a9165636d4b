/* SPDX-License-Identifier: Apache-2.0 */
#include "identity/pod_key.h"

static struct buf said(const struct node_id *public_key, const char *namespace, const char *pod)
{
	struct buf text = {0};

	buf_append(&text, POD_KEY_DOMAIN, sizeof(POD_KEY_DOMAIN));
	buf_append_format(&text, "%s/%s", namespace, pod);
	buf_append(&text, "", 1);
	buf_append(&text, public_key->byte, ID_LEN);
	return text;
}

void pod_key_prove(const struct key *key, const char *namespace, const char *pod,
		   uint8_t ret_proof[KEY_SIGNATURE_LEN])
{
	struct buf text = said(&key->public_key, namespace, pod);

	key_sign(key, bytes_buf(&text), ret_proof);
	buf_deinit(&text);
}

bool pod_key_is_proved(const struct node_id *public_key, const char *namespace, const char *pod,
		       const uint8_t proof[KEY_SIGNATURE_LEN])
{
	struct buf text = said(public_key, namespace, pod);
	bool proved = key_is_sound(public_key) && key_verify(public_key, bytes_buf(&text), proof);

	buf_deinit(&text);
	return proved;
}
