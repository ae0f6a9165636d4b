/* SPDX-License-Identifier: Apache-2.0 */
#include "identity/key.h"

#include <assert.h>
#include <string.h>

#include <sodium.h>

#include "identity/pem.h"

_Static_assert(crypto_sign_SEEDBYTES == KEY_SEED_LEN, "seed");
_Static_assert(crypto_sign_PUBLICKEYBYTES == ID_LEN, "public key");
_Static_assert(crypto_sign_BYTES == KEY_SIGNATURE_LEN, "signature");

/* SEQUENCE { INTEGER 0, SEQUENCE { OID 1.3.101.112 }, OCTET STRING { OCTET STRING (32) } } */
static const uint8_t pkcs8_prefix[KEY_PKCS8_LEN - KEY_SEED_LEN] = {
	0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06,
	0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
};

struct key key_from_seed(const uint8_t seed[KEY_SEED_LEN])
{
	uint8_t expanded[crypto_sign_SECRETKEYBYTES];
	struct key key;

	memcpy(key.seed, seed, sizeof(key.seed));
	(void)crypto_sign_seed_keypair(key.public_key.byte, expanded, key.seed);
	secret_wipe(expanded, sizeof(expanded));
	return key;
}

void key_wipe(struct key *key)
{
	secret_wipe(key, sizeof(*key));
}

bool key_is_none(const struct key *key)
{
	return node_id_is_none(&key->public_key);
}

void key_sign(const struct key *key, struct bytes message, uint8_t ret_signature[KEY_SIGNATURE_LEN])
{
	/* libsodium's secret key is the seed with the public key behind it. */
	uint8_t expanded[crypto_sign_SECRETKEYBYTES];

	assert(!key_is_none(key));
	memcpy(expanded, key->seed, KEY_SEED_LEN);
	memcpy(expanded + KEY_SEED_LEN, key->public_key.byte, ID_LEN);
	(void)crypto_sign_detached(ret_signature, NULL, message.ptr, message.len, expanded);
	secret_wipe(expanded, sizeof(expanded));
}

bool key_verify(const struct node_id *public_key, struct bytes message,
		const uint8_t signature[KEY_SIGNATURE_LEN])
{
	return crypto_sign_verify_detached(signature, message.ptr, message.len, public_key->byte) ==
	       0;
}

bool key_is_sound(const struct node_id *public_key)
{
	return crypto_core_ed25519_is_valid_point(public_key->byte) == 1;
}

void key_export_pem(const struct key *key, struct buf *out)
{
	uint8_t der[KEY_PKCS8_LEN];

	memcpy(der, pkcs8_prefix, sizeof(pkcs8_prefix));
	memcpy(der + sizeof(pkcs8_prefix), key->seed, KEY_SEED_LEN);
	pem_encode("PRIVATE KEY", bytes_of(der, sizeof(der)), out);
	secret_wipe(der, sizeof(der));
}

static bool import_der(struct bytes der, struct key *ret_key)
{
	if (der.len != KEY_PKCS8_LEN || memcmp(der.ptr, pkcs8_prefix, sizeof(pkcs8_prefix)) != 0)
		return false;
	*ret_key = key_from_seed(der.ptr + sizeof(pkcs8_prefix));
	return true;
}

bool key_import_pem(struct bytes pem, struct key *ret_key)
{
	struct buf der = {0};
	bool sound = pem_decode("PRIVATE KEY", &pem, &der) && pem.len == 0 &&
		     import_der(bytes_buf(&der), ret_key);

	if (der.len > 0)
		secret_wipe(der.ptr, der.len);
	buf_deinit(&der);
	return sound;
}
