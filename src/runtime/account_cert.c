/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/account_cert.h"

#include <arpa/inet.h>
#include <string.h>

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

#include "io/entropy.h"
#include "runtime/pod_front.h"

enum {
	X509_V3 = 3,
	SERIAL_LEN = 16,
	KEY_ID_MAX = 64,
	PEM_MAX = 4096, /* ours are below 1 KiB */
};

#define END_S ((time_t)253402300799) /* 99991231235959Z */

/* As services of the API are called inside clusters. */
static const char *const names[] = {"kubernetes", "kubernetes.default", "kubernetes.default.svc",
				    "kubernetes.default.svc.cluster.local"};

/* A key and its certificate. */
struct pair {
	gnutls_x509_privkey_t key;
	gnutls_x509_crt_t crt;
};

static void pair_deinit(struct pair *pair)
{
	if (pair->crt)
		gnutls_x509_crt_deinit(pair->crt);
	if (pair->key)
		gnutls_x509_privkey_deinit(pair->key);
}

static int make_key(struct pair *pair)
{
	int r = gnutls_x509_privkey_init(&pair->key);

	if (r == 0)
		r = gnutls_x509_privkey_generate(pair->key, GNUTLS_PK_ECDSA,
						 GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1),
						 0);
	return r;
}

/* RFC 5280 section 4.1.2.5: 99991231235959Z where there is no good date. From 1970 on, where the
 * clock of a machine stands that has just been switched on. */
static int set_time(gnutls_x509_crt_t crt)
{
	int r = gnutls_x509_crt_set_activation_time(crt, 0);

	return r < 0 ? r : gnutls_x509_crt_set_expiration_time(crt, END_S);
}

/* RFC 5280 section 4.1.2.2: positive. */
static int set_serial(gnutls_x509_crt_t crt)
{
	uint8_t serial[SERIAL_LEN];

	entropy_fill(serial, sizeof(serial));
	serial[0] = (serial[0] & 0x7f) | 0x40;
	return gnutls_x509_crt_set_serial(crt, serial, sizeof(serial));
}

static int set_key_id(gnutls_x509_crt_t crt)
{
	uint8_t id[KEY_ID_MAX];
	size_t len = sizeof(id);
	int r = gnutls_x509_crt_get_key_id(crt, GNUTLS_KEYID_USE_SHA1, id, &len);

	return r < 0 ? r : gnutls_x509_crt_set_subject_key_id(crt, id, len);
}

/* What both certificates have. */
static int begin(struct pair *pair, const char *name)
{
	const char *where;
	int r = make_key(pair);

	if (r == 0)
		r = gnutls_x509_crt_init(&pair->crt);
	if (r == 0)
		r = gnutls_x509_crt_set_version(pair->crt, X509_V3);
	if (r == 0)
		r = gnutls_x509_crt_set_dn(pair->crt, name, &where);
	if (r == 0)
		r = set_serial(pair->crt);
	if (r == 0)
		r = set_time(pair->crt);
	if (r == 0)
		r = gnutls_x509_crt_set_key(pair->crt, pair->key);
	return r == 0 ? set_key_id(pair->crt) : r;
}

static int sign(struct pair *pair, const struct pair *issuer)
{
	return gnutls_x509_crt_sign2(pair->crt, issuer->crt, issuer->key, GNUTLS_DIG_SHA256, 0);
}

static int make_ca(struct pair *ca)
{
	int r = begin(ca, "CN=pod");

	if (r == 0)
		r = gnutls_x509_crt_set_basic_constraints(ca->crt, 1, 0);
	if (r == 0)
		r = gnutls_x509_crt_set_key_usage(ca->crt, GNUTLS_KEY_KEY_CERT_SIGN);
	return r == 0 ? sign(ca, ca) : r;
}

static int set_names(gnutls_x509_crt_t crt)
{
	struct in_addr ip;
	int r = inet_pton(AF_INET, POD_FRONT_API_HOST, &ip) == 1 ? 0 : GNUTLS_E_INVALID_REQUEST;

	if (r == 0)
		r = gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_IPADDRESS, &ip, sizeof(ip),
							 GNUTLS_FSAN_SET);
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(names); i++)
		r = gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_DNSNAME, names[i],
							 (unsigned)strlen(names[i]),
							 GNUTLS_FSAN_APPEND);
	return r;
}

static int set_issuer_id(gnutls_x509_crt_t crt, gnutls_x509_crt_t issuer)
{
	uint8_t id[KEY_ID_MAX];
	size_t len = sizeof(id);
	int r = gnutls_x509_crt_get_subject_key_id(issuer, id, &len, NULL);

	return r < 0 ? r : gnutls_x509_crt_set_authority_key_id(crt, id, len);
}

static int make_leaf(struct pair *leaf, const struct pair *ca)
{
	int r = begin(leaf, "CN=kubernetes");

	if (r == 0)
		r = set_issuer_id(leaf->crt, ca->crt);
	if (r == 0)
		r = gnutls_x509_crt_set_basic_constraints(leaf->crt, 0, -1);
	if (r == 0)
		r = gnutls_x509_crt_set_key_usage(leaf->crt, GNUTLS_KEY_DIGITAL_SIGNATURE);
	if (r == 0)
		r = gnutls_x509_crt_set_key_purpose_oid(leaf->crt, GNUTLS_KP_TLS_WWW_SERVER, 0);
	if (r == 0)
		r = set_names(leaf->crt);
	return r == 0 ? sign(leaf, ca) : r;
}

static int export_crt(const struct pair *pair, struct buf *out)
{
	size_t len = PEM_MAX;
	int r;

	buf_reserve(out, PEM_MAX);
	r = gnutls_x509_crt_export(pair->crt, GNUTLS_X509_FMT_PEM, out->ptr, &len);
	out->len = r < 0 ? 0 : len;
	return r;
}

static int export_key(const struct pair *pair, struct buf *out)
{
	size_t len = PEM_MAX;
	int r;

	buf_reserve(out, PEM_MAX);
	r = gnutls_x509_privkey_export_pkcs8(pair->key, GNUTLS_X509_FMT_PEM, NULL,
					     GNUTLS_PKCS_PLAIN, out->ptr, &len);
	out->len = r < 0 ? 0 : len;
	return r;
}

int account_cert_make(struct account_cert *ret_cert, struct err *err)
{
	struct account_cert made = {0};
	struct pair ca = {0}, leaf = {0};
	int r = make_ca(&ca);

	if (r == 0)
		r = make_leaf(&leaf, &ca);
	if (r == 0)
		r = export_crt(&ca, &made.ca);
	if (r == 0)
		r = export_crt(&leaf, &made.cert);
	if (r == 0)
		r = export_key(&leaf, &made.key);
	pair_deinit(&ca);
	pair_deinit(&leaf);
	if (r < 0) {
		account_cert_deinit(&made);
		return err_set(err, err_origin(-EIO), "make a certificate: %s", gnutls_strerror(r));
	}
	*ret_cert = made;
	return 0;
}

void account_cert_deinit(struct account_cert *cert)
{
	secret_wipe(cert->key.ptr, cert->key.len);
	buf_deinit(&cert->key);
	buf_deinit(&cert->cert);
	buf_deinit(&cert->ca);
}
