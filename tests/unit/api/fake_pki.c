/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_pki.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

#include "base/mem.h"

enum {
	DAY_S = 24 * 60 * 60,
};

struct fake_pki {
	gnutls_x509_crt_t ca;
	gnutls_x509_privkey_t key;
	char *ca_pem;
	unsigned char serial;
};

static gnutls_x509_privkey_t new_key(void)
{
	gnutls_x509_privkey_t key;

	assert(gnutls_x509_privkey_init(&key) == 0);
	assert(gnutls_x509_privkey_generate(key, GNUTLS_PK_EDDSA_ED25519, 0, 0) == 0);
	return key;
}

static gnutls_x509_crt_t new_cert(struct fake_pki *pki, gnutls_x509_privkey_t key, const char *name,
				  bool is_expired)
{
	gnutls_x509_crt_t cert;
	time_t now = time(NULL);

	pki->serial++;
	assert(gnutls_x509_crt_init(&cert) == 0);
	assert(gnutls_x509_crt_set_version(cert, 3) == 0);
	assert(gnutls_x509_crt_set_serial(cert, &pki->serial, 1) == 0);
	assert(gnutls_x509_crt_set_activation_time(cert, now - 2 * DAY_S) == 0);
	assert(gnutls_x509_crt_set_expiration_time(cert, is_expired ? now - DAY_S : now + DAY_S) ==
	       0);
	assert(gnutls_x509_crt_set_key(cert, key) == 0);
	assert(gnutls_x509_crt_set_dn_by_oid(cert, GNUTLS_OID_X520_COMMON_NAME, 0, name,
					     (unsigned)strlen(name)) == 0);
	return cert;
}

static char *cert_pem(gnutls_x509_crt_t cert)
{
	gnutls_datum_t out;
	char *text;

	assert(gnutls_x509_crt_export2(cert, GNUTLS_X509_FMT_PEM, &out) == 0);
	text = mem_copy(out.data, out.size);
	gnutls_free(out.data);
	return text;
}

/* GnuTLS verifies against a certificate that was read, not against one that was just made. */
static void reload(gnutls_x509_crt_t *cert, char *pem)
{
	gnutls_datum_t datum = {.data = (unsigned char *)pem, .size = (unsigned)strlen(pem)};

	gnutls_x509_crt_deinit(*cert);
	assert(gnutls_x509_crt_init(cert) == 0);
	assert(gnutls_x509_crt_import(*cert, &datum, GNUTLS_X509_FMT_PEM) == 0);
}

struct fake_pki *fake_pki_new(void)
{
	struct fake_pki *pki = mem_new(struct fake_pki);

	pki->key = new_key();
	pki->ca = new_cert(pki, pki->key, "fake-authority", false);
	assert(gnutls_x509_crt_set_basic_constraints(pki->ca, 1, -1) == 0);
	assert(gnutls_x509_crt_set_key_usage(pki->ca, GNUTLS_KEY_KEY_CERT_SIGN) == 0);
	assert(gnutls_x509_crt_sign2(pki->ca, pki->ca, pki->key, GNUTLS_DIG_SHA512, 0) == 0);
	pki->ca_pem = cert_pem(pki->ca);
	reload(&pki->ca, pki->ca_pem);
	return pki;
}

void fake_pki_free(struct fake_pki *pki)
{
	gnutls_x509_crt_deinit(pki->ca);
	gnutls_x509_privkey_deinit(pki->key);
	free(pki->ca_pem);
	free(pki);
}

const char *fake_pki_ca_pem(const struct fake_pki *pki)
{
	return pki->ca_pem;
}

struct fake_credential fake_pki_issue(struct fake_pki *pki, const char *name, const char *group,
				      bool is_server, bool is_expired)
{
	static const unsigned char loopback[] = {127, 0, 0, 1};
	gnutls_x509_privkey_t key = new_key();
	gnutls_x509_crt_t cert = new_cert(pki, key, name, is_expired);
	struct fake_credential credential;
	gnutls_datum_t out;

	if (group)
		assert(gnutls_x509_crt_set_dn_by_oid(cert, GNUTLS_OID_X520_ORGANIZATION_NAME, 0,
						     group, (unsigned)strlen(group)) == 0);
	assert(gnutls_x509_crt_set_key_purpose_oid(
		       cert, is_server ? GNUTLS_KP_TLS_WWW_SERVER : GNUTLS_KP_TLS_WWW_CLIENT, 0) ==
	       0);
	if (is_server) {
		assert(gnutls_x509_crt_set_subject_alt_name(cert, GNUTLS_SAN_IPADDRESS, loopback,
							    sizeof(loopback),
							    GNUTLS_FSAN_SET) == 0);
		assert(gnutls_x509_crt_set_subject_alt_name(cert, GNUTLS_SAN_DNSNAME, "localhost",
							    9, GNUTLS_FSAN_APPEND) == 0);
	}
	assert(gnutls_x509_crt_sign2(cert, pki->ca, pki->key, GNUTLS_DIG_SHA512, 0) == 0);
	credential.cert_pem = cert_pem(cert);
	assert(gnutls_x509_privkey_export2_pkcs8(key, GNUTLS_X509_FMT_PEM, NULL, GNUTLS_PKCS_PLAIN,
						 &out) == 0);
	credential.key_pem = mem_copy(out.data, out.size);
	gnutls_free(out.data);
	gnutls_x509_crt_deinit(cert);
	gnutls_x509_privkey_deinit(key);
	return credential;
}

void fake_credential_deinit(struct fake_credential *credential)
{
	free(credential->cert_pem);
	free(credential->key_pem);
}

bool fake_pki_verify(const struct fake_pki *pki, struct bytes leaf, char *name, char *group,
		     size_t size)
{
	unsigned char *copy = (unsigned char *)mem_copy(leaf.ptr, leaf.len);
	gnutls_datum_t datum = {.data = copy, .size = (unsigned)leaf.len};
	gnutls_x509_crt_t cert, authority = pki->ca;
	unsigned status = 1;
	size_t name_size = size, group_size = size;
	bool ok;

	assert(gnutls_x509_crt_init(&cert) == 0);
	ok = gnutls_x509_crt_import(cert, &datum, GNUTLS_X509_FMT_DER) == 0 &&
	     gnutls_x509_crt_verify(cert, &authority, 1, 0, &status) == 0 && status == 0 &&
	     gnutls_x509_crt_check_key_purpose(cert, GNUTLS_KP_TLS_WWW_CLIENT, 0) &&
	     gnutls_x509_crt_get_dn_by_oid(cert, GNUTLS_OID_X520_COMMON_NAME, 0, 0, name,
					   &name_size) == 0;
	if (gnutls_x509_crt_get_dn_by_oid(cert, GNUTLS_OID_X520_ORGANIZATION_NAME, 0, 0, group,
					  &group_size) != 0)
		*group = 0;
	gnutls_x509_crt_deinit(cert);
	free(copy);
	return ok;
}
