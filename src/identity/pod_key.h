/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pod key: that who asks for a pod's certificate has the key that is to be in it.
 *
 * The holder signs POD_KEY_DOMAIN, a zero byte, "namespace/pod" and a zero byte, then the public
 * key: so a proof is worth nothing for another pod, and stands for nothing else.
 */
#pragma once

#include "identity/key.h"

#define POD_KEY_DOMAIN "magik pod key/1"

void pod_key_prove(const struct key *key, const char *namespace, const char *pod,
		   uint8_t ret_proof[KEY_SIGNATURE_LEN]);

/* True if the holder of @public_key, a sound key, has said so for that pod. */
_must_use_ bool pod_key_is_proved(const struct node_id *public_key, const char *namespace,
				  const char *pod, const uint8_t proof[KEY_SIGNATURE_LEN]);
