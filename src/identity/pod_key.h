/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pod key: that who asks for a pod's certificate has the key that is to be in it.
 *
 * The holder signs what the key is for (a POD_KEY_*_DOMAIN), a zero byte, "namespace/pod" and a
 * zero byte, then the public key: so a proof is worth nothing for another pod or another use, and
 * stands for nothing else.
 */
#pragma once

#include "identity/key.h"

#define POD_KEY_AGENT_DOMAIN "magik pod key/1"
#define POD_KEY_APPLICATION_DOMAIN "magik application key/1"

enum pod_key_use {
	POD_KEY_AGENT,       /* of the pod's agent: a CERT_POD */
	POD_KEY_APPLICATION, /* of the application in the pod: a CERT_APPLICATION */
};

/* Borrowed. */
struct pod_key_name {
	const char *namespace, *pod;
};

void pod_key_prove(const struct key *key, enum pod_key_use use, const struct pod_key_name *pod,
		   uint8_t ret_proof[KEY_SIGNATURE_LEN]);

/* True if the holder of @public_key, a sound key, has said so for that pod. */
_must_use_ bool pod_key_is_proved(const struct node_id *public_key, enum pod_key_use use,
				  const struct pod_key_name *pod,
				  const uint8_t proof[KEY_SIGNATURE_LEN]);
