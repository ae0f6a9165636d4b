/* SPDX-License-Identifier: Apache-2.0 */
#include "quic/credential.h"

#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "quic/credential_view.h"

static gnutls_datum_t datum_of(struct bytes bytes)
{
	/* GnuTLS takes all input through a non-const pointer, and writes through none. */
	return (gnutls_datum_t){.data = (unsigned char *)(uintptr_t)bytes.ptr,
				.size = (unsigned int)bytes.len};
}

static int load_chain(struct quic_credential *credential, const struct bytes *chain, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		gnutls_datum_t der = datum_of(chain[i]);
		int r = gnutls_pcert_import_x509_raw(&credential->chain[i], &der,
						     GNUTLS_X509_FMT_DER, 0);

		if (r < 0)
			return r;
		credential->count++;
	}
	return 0;
}

/* The public half comes from the leaf, so that a key that does not belong is noticed here and not
 * by a puzzled peer. */
static int load_key(struct quic_credential *credential, struct bytes leaf,
		    const uint8_t seed[QUIC_SEED_LEN])
{
	gnutls_datum_t der = datum_of(leaf), k = datum_of(bytes_of(seed, QUIC_SEED_LEN));
	gnutls_datum_t x = {0}, y = {0};
	gnutls_ecc_curve_t curve;
	gnutls_x509_privkey_t key = NULL;
	gnutls_pubkey_t pubkey = NULL;
	gnutls_x509_crt_t crt = NULL;
	int r;

	if ((r = gnutls_x509_crt_init(&crt)) < 0 ||
	    (r = gnutls_x509_crt_import(crt, &der, GNUTLS_X509_FMT_DER)) < 0 ||
	    (r = gnutls_pubkey_init(&pubkey)) < 0 ||
	    (r = gnutls_pubkey_import_x509(pubkey, crt, 0)) < 0 ||
	    (r = gnutls_pubkey_export_ecc_raw2(pubkey, &curve, &x, &y, 0)) < 0)
		goto out;
	r = GNUTLS_E_UNSUPPORTED_SIGNATURE_ALGORITHM;
	if (curve != GNUTLS_ECC_CURVE_ED25519)
		goto out;
	if ((r = gnutls_x509_privkey_init(&key)) < 0 ||
	    (r = gnutls_x509_privkey_import_ecc_raw(key, curve, &x, NULL, &k)) < 0 ||
	    (r = gnutls_x509_privkey_verify_params(key)) < 0)
		goto out;
	r = gnutls_privkey_import_x509(credential->key, key, GNUTLS_PRIVKEY_IMPORT_AUTO_RELEASE);
	if (r == 0)
		key = NULL;
out:
	gnutls_free(x.data);
	gnutls_free(y.data);
	gnutls_x509_privkey_deinit(key);
	if (pubkey)
		gnutls_pubkey_deinit(pubkey);
	if (crt)
		gnutls_x509_crt_deinit(crt);
	return r;
}

int quic_credential_new(const struct bytes *chain, size_t count, const uint8_t seed[QUIC_SEED_LEN],
			struct err *err, struct quic_credential **ret_credential)
{
	struct quic_credential *credential;
	int r;

	if (count < 1 || count > QUIC_CHAIN_MAX)
		return err_set(err, -EINVAL, "a chain of %zu certificates", count);
	credential = mem_new(struct quic_credential);
	credential->references = 1;
	r = gnutls_privkey_init(&credential->key);
	if (r == 0)
		r = load_chain(credential, chain, count);
	if (r == 0)
		r = load_key(credential, chain[0], seed);
	if (r < 0) {
		quic_credential_unref(credential);
		return err_set(err, -EINVAL, "certificate or key: %s", gnutls_strerror(r));
	}
	*ret_credential = credential;
	return 0;
}

struct quic_credential *quic_credential_ref(struct quic_credential *credential)
{
	if (credential)
		credential->references++;
	return credential;
}

void quic_credential_unref(struct quic_credential *credential)
{
	if (!credential || --credential->references > 0)
		return;
	for (size_t i = 0; i < credential->count; i++)
		gnutls_pcert_deinit(&credential->chain[i]);
	if (credential->key)
		gnutls_privkey_deinit(credential->key);
	free(credential);
}
