/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parsing goes through GnuTLS field by field; then the grant is compared with the fields that other
 * TLS software goes by (basic constraints, key usage, extended key usage, alternative names), so
 * that the two can never say different things. What cert_forms says here, issue.c writes.
 */
#include "identity/cert.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

#include "identity.pb-c.h"
#include "identity/form.h"
#include "identity/key.h"
#include "identity/pem.h"
#include "identity/sha256.h"

enum {
	CERT_FABRIC_LEN = FABRIC_ID_LEN / 2,
	CERT_EXTENSIONS_MAX = 16, /* ours have at most seven */
	CERT_OID_MAX = 64,
	DER_UTF8_STRING = 0x0c,
	DER_PRINTABLE_STRING = 0x13,
	CERT_GRANT_MAX = 1024,                    /* eight namespaces of 63 and the rest */
	DER_TAIL_LEN = 7 + 3 + KEY_SIGNATURE_LEN, /* AlgorithmIdentifier, BIT STRING */
};

static const char *const known_extensions[] = {
	"2.5.29.14", "2.5.29.15", "2.5.29.17",    "2.5.29.19",
	"2.5.29.35", "2.5.29.37", CERT_GRANT_OID,
};

/* id-Ed25519 without parameters, and the head of a BIT STRING of 64 bytes. */
static const uint8_t der_tail[DER_TAIL_LEN - KEY_SIGNATURE_LEN] = {
	0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x41, 0x00,
};

const struct cert_form cert_forms[] = {
	[CERT_ROOT] = {"root certificate", 0, FORM_ALL_FAMILIES, true, 0, FORM_NO_NAME},
	[CERT_ADMIT] = {"admitter's certificate", CERT_ADMIT_LIFE_MS, FORM_ALL_FAMILIES, true, 0,
			FORM_NO_NAME},
	[CERT_STEWARD] = {"steward's certificate", CERT_MACHINE_LIFE_MS, 1 << CERT_FAMILY_WORKLOAD,
			  true, 0, FORM_NO_NAME},
	[CERT_MACHINE] = {"machine certificate", CERT_MACHINE_LIFE_MS, 1 << CERT_FAMILY_MACHINE,
			  false, FORM_SERVER | FORM_CLIENT, FORM_MACHINE_URI},
	[CERT_VOUCHER] = {"voucher", CERT_VOUCHER_LIFE_MS, 1 << CERT_FAMILY_MACHINE, false,
			  FORM_CLIENT, FORM_NO_NAME},
	[CERT_REST] = {"REST server certificate", CERT_MACHINE_LIFE_MS, 1 << CERT_FAMILY_API, false,
		       FORM_SERVER, FORM_REST_DNS},
	[CERT_USER] = {"user certificate", CERT_USER_LIFE_MS, 1 << CERT_FAMILY_API, false,
		       FORM_CLIENT, FORM_NO_NAME},
	[CERT_POD] = {"pod certificate", CERT_POD_LIFE_MS, 1 << CERT_FAMILY_WORKLOAD, false,
		      FORM_SERVER | FORM_CLIENT, FORM_POD_URI},
	[CERT_APPLICATION] = {"application's certificate", CERT_POD_LIFE_MS,
			      1 << CERT_FAMILY_WORKLOAD, false, FORM_SERVER | FORM_CLIENT,
			      FORM_POD_URI},
};
_Static_assert(ARRAY_LEN(cert_forms) == CERT_KIND_COUNT + 1, "a form for every kind");

int cert_path_len(enum cert_kind kind, enum cert_family family)
{
	if (kind == CERT_ROOT)
		return family == CERT_FAMILY_WORKLOAD ? 2 : 1;
	return kind == CERT_ADMIT && family == CERT_FAMILY_WORKLOAD ? 1 : 0;
}

const char *cert_kind_text(enum cert_kind kind)
{
	if (kind < CERT_ROOT || kind > CERT_APPLICATION)
		return "certificate";
	return cert_forms[kind].text;
}

const char *cert_family_text(enum cert_family family)
{
	static const char *const names[] = {"no", "machine", "workload", "api"};

	return (size_t)family < ARRAY_LEN(names) ? names[family] : names[0];
}

void fabric_id_of(const struct node_id *machine_root, char ret_fabric[FABRIC_ID_LEN + 1])
{
	struct digest digest = sha256(bytes_of(machine_root->byte, ID_LEN));

	hex_encode(bytes_of(digest.byte, CERT_FABRIC_LEN), ret_fabric);
}

void fabric_rest_name(const char *fabric, char ret_name[CERT_DNS_MAX])
{
	(void)snprintf(ret_name, CERT_DNS_MAX, "api.%s.magik", fabric);
}

/* How many bytes the DER element at the front of @der takes; 0 unless it is a SEQUENCE with a
 * length in its shortest form, all of it there. */
static size_t der_sequence_len(struct bytes der)
{
	size_t len;

	if (der.len < 2 || der.ptr[0] != 0x30)
		return 0;
	if (der.ptr[1] < 0x80)
		len = 2 + (size_t)der.ptr[1];
	else if (der.ptr[1] == 0x81 && der.len > 2 && der.ptr[2] >= 0x80)
		len = 3 + (size_t)der.ptr[2];
	else if (der.ptr[1] == 0x82 && der.len > 3 && der.ptr[2] > 0)
		len = 4 + ((size_t)der.ptr[2] << 8 | der.ptr[3]);
	else
		return 0;
	return len <= der.len ? len : 0;
}

static size_t der_header_len(struct bytes der)
{
	return der.ptr[1] < 0x80 ? 2 : 2 + (size_t)(der.ptr[1] & 0x7f);
}

/* Certificate ::= SEQUENCE { tbsCertificate, Ed25519, BIT STRING signature } and nothing else. */
static bool der_split(struct bytes der, struct bytes *ret_tbs, const uint8_t **ret_signature)
{
	struct bytes inside;
	size_t tbs_len;

	if (der.len > CERT_DER_MAX || der_sequence_len(der) != der.len)
		return false;
	inside = bytes_of(der.ptr + der_header_len(der), der.len - der_header_len(der));
	tbs_len = der_sequence_len(inside);
	if (tbs_len == 0 || inside.len - tbs_len != DER_TAIL_LEN ||
	    memcmp(inside.ptr + tbs_len, der_tail, sizeof(der_tail)) != 0)
		return false;
	*ret_tbs = bytes_of(inside.ptr, tbs_len);
	*ret_signature = inside.ptr + tbs_len + sizeof(der_tail);
	return true;
}

bool cert_signed_by(struct bytes der, const struct node_id *issuer_key)
{
	const uint8_t *signature;
	struct bytes tbs;

	return der_split(der, &tbs, &signature) && key_verify(issuer_key, tbs, signature);
}

bool chain_split(struct bytes concatenated, struct chain *ret_chain)
{
	struct chain chain = {0};

	while (concatenated.len > 0) {
		size_t len = der_sequence_len(concatenated);

		if (len == 0 || len > CERT_DER_MAX || chain.count == CHAIN_CERTS_MAX)
			return false;
		chain.cert[chain.count++] = bytes_of(concatenated.ptr, len);
		concatenated = bytes_of(concatenated.ptr + len, concatenated.len - len);
	}
	if (chain.count == 0)
		return false;
	*ret_chain = chain;
	return true;
}

bool chain_from_pem(struct bytes pem, struct buf *ret_concatenated)
{
	struct buf chain = {0};
	struct chain split;

	while (pem.len > 0 && chain.len <= CHAIN_CERTS_MAX * CERT_DER_MAX) {
		if (!pem_decode("CERTIFICATE", &pem, &chain))
			break;
	}
	if (pem.len > 0 || !chain_split(bytes_buf(&chain), &split)) {
		buf_deinit(&chain);
		return false;
	}
	buf_append_bytes(ret_concatenated, bytes_buf(&chain));
	buf_deinit(&chain);
	return true;
}

void chain_to_pem(struct bytes concatenated, struct buf *ret_pem)
{
	struct chain chain;

	if (!chain_split(concatenated, &chain))
		return;
	for (size_t i = 0; i < chain.count; i++)
		pem_encode("CERTIFICATE", chain.cert[i], ret_pem);
}

static int refuse(struct err *err, int outcome, const char *why)
{
	(void)err_set(err, -EBADMSG, "certificate: %s", why);
	return outcome;
}

/* Each extension at most once; none that is critical and unknown; ours must be there. */
static int cert_check_extensions(gnutls_x509_crt_t crt, struct err *err)
{
	unsigned seen = 0;

	for (unsigned i = 0; i < CERT_EXTENSIONS_MAX; i++) {
		char oid[CERT_OID_MAX];
		size_t oid_len = sizeof(oid), known = 0;
		unsigned critical = 0;
		int r = gnutls_x509_crt_get_extension_info(crt, i, oid, &oid_len, &critical);

		if (r == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE && !(seen & 1U << 6))
			return refuse(err, CERT_E_FOREIGN, "not one of Magik's");
		if (r == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
			return 0;
		if (r < 0)
			return refuse(err, CERT_E_MALFORMED, "an extension that cannot be read");
		while (known < ARRAY_LEN(known_extensions) &&
		       strcmp(oid, known_extensions[known]) != 0)
			known++;
		if (known == ARRAY_LEN(known_extensions) && critical)
			return refuse(err, CERT_E_FOREIGN, "an unknown critical extension");
		if (known < ARRAY_LEN(known_extensions) && seen & 1U << known)
			return refuse(err, CERT_E_MALFORMED, "an extension twice");
		seen |= known < ARRAY_LEN(known_extensions) ? 1U << known : 0;
	}
	return refuse(err, CERT_E_MALFORMED, "too many extensions");
}

static int cert_read_key(gnutls_x509_crt_t crt, struct cert *cert, struct err *err)
{
	gnutls_ecc_curve_t curve;
	gnutls_datum_t x = {0}, y = {0};
	bool sound;

	if (gnutls_x509_crt_get_version(crt) != 3 ||
	    gnutls_x509_crt_get_signature_algorithm(crt) != GNUTLS_SIGN_EDDSA_ED25519 ||
	    gnutls_x509_crt_get_pk_algorithm(crt, NULL) != GNUTLS_PK_EDDSA_ED25519 ||
	    gnutls_x509_crt_get_pk_ecc_raw(crt, &curve, &x, &y) < 0)
		return refuse(err, CERT_E_FOREIGN, "not version 3 with Ed25519");
	sound = x.size == ID_LEN;
	if (sound)
		memcpy(cert->key.byte, x.data, ID_LEN);
	gnutls_free(x.data);
	gnutls_free(y.data);
	if (!sound || !key_is_sound(&cert->key))
		return refuse(err, CERT_E_INCOHERENT, "a public key that is no sound point");
	return 0;
}

/*
 * A DN attribute into @text of CERT_NAME_MAX + 1; false when absent, too long, or not plain. Read
 * as DER, since the library's text form is escaped: a name must arrive as it was certified.
 */
static bool cert_read_name(gnutls_x509_crt_t crt, const char *oid, unsigned index, char *text)
{
	uint8_t der[2 + CERT_NAME_MAX];
	size_t len = sizeof(der);

	if (gnutls_x509_crt_get_dn_by_oid(crt, oid, index, 1, der, &len) < 0 || len < 2 ||
	    (der[0] != DER_UTF8_STRING && der[0] != DER_PRINTABLE_STRING) || der[1] != len - 2 ||
	    !form_is_name(bytes_of(der + 2, len - 2)))
		return false;
	memcpy(text, der + 2, len - 2);
	text[len - 2] = 0;
	return true;
}

/* One of another length is no serial of ours, and nobody can name it to revoke it. */
static void cert_read_serial(gnutls_x509_crt_t crt, struct cert *cert)
{
	uint8_t serial[CERT_SERIAL_LEN];
	size_t len = sizeof(serial);

	if (gnutls_x509_crt_get_serial(crt, serial, &len) >= 0 && len == sizeof(serial))
		memcpy(cert->serial, serial, sizeof(serial));
}

static int cert_read_subject(gnutls_x509_crt_t crt, struct cert *cert, struct err *err)
{
	time_t from = gnutls_x509_crt_get_activation_time(crt);
	time_t until = gnutls_x509_crt_get_expiration_time(crt);
	char more[CERT_NAME_MAX + 1];
	size_t more_len = sizeof(more);

	if (from == (time_t)-1 || until == (time_t)-1 || until <= from)
		return refuse(err, CERT_E_MALFORMED, "no validity");
	cert_read_serial(crt, cert);
	cert->not_before.ms = (int64_t)from * MS_PER_S;
	cert->not_after.ms = (int64_t)until * MS_PER_S;
	if (!cert_read_name(crt, GNUTLS_OID_X520_COMMON_NAME, 0, cert->name))
		return refuse(err, CERT_E_MALFORMED, "no plain common name");
	while (cert->group_count < CERT_GROUPS_MAX &&
	       cert_read_name(crt, GNUTLS_OID_X520_ORGANIZATION_NAME, cert->group_count,
			      cert->groups[cert->group_count]))
		cert->group_count++;
	/* A group too many, or one that is not plain, must not be lost silently. */
	if (gnutls_x509_crt_get_dn_by_oid(crt, GNUTLS_OID_X520_ORGANIZATION_NAME, cert->group_count,
					  0, more,
					  &more_len) != GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
		return refuse(err, CERT_E_MALFORMED, "too many groups, or one too long");
	if (cert->kind != CERT_USER && cert->group_count > 0)
		return refuse(err, CERT_E_INCOHERENT, "groups on what is no user");
	return 0;
}

static int grant_unpack(const Identity__Grant *grant, struct cert *cert)
{
	if (grant->version != 1 || grant->kind < CERT_ROOT || grant->kind > CERT_KIND_COUNT ||
	    grant->family < CERT_FAMILY_MACHINE || grant->family > CERT_FAMILY_API ||
	    grant->fabric.len != CERT_FABRIC_LEN || grant->roles & ~(uint32_t)ROLE_ALL)
		return CERT_E_FOREIGN;
	cert->kind = (enum cert_kind)grant->kind;
	cert->family = (enum cert_family)grant->family;
	hex_encode(bytes_of(grant->fabric.data, grant->fabric.len), cert->fabric);
	cert->grant.roles = grant->roles;
	cert->grant.all_namespaces = grant->all_namespaces;
	for (size_t i = 0; i < grant->n_namespaces; i++) {
		struct bytes namespace =
			bytes_of(grant->namespaces[i].data, grant->namespaces[i].len);

		if (!grant_add_namespace(&cert->grant, namespace))
			return CERT_E_INCOHERENT;
	}
	cert->plain = grant->plain;
	if (grant->salt.len != (cert->kind == CERT_MACHINE ? CERT_SALT_LEN : 0))
		return CERT_E_INCOHERENT;
	if (cert->kind == CERT_MACHINE)
		memcpy(cert->salt, grant->salt.data, CERT_SALT_LEN);
	if (grant->machine.len == 0)
		return 0;
	if (grant->machine.len != ID_LEN || cert_forms[cert->kind].name != FORM_POD_URI)
		return CERT_E_INCOHERENT;
	memcpy(cert->machine.byte, grant->machine.data, ID_LEN);
	return 0;
}

static int cert_read_grant(gnutls_x509_crt_t crt, struct cert *cert, struct err *err)
{
	uint8_t body[CERT_GRANT_MAX];
	size_t len = sizeof(body);
	Identity__Grant *grant;
	unsigned critical;
	int r;

	if (gnutls_x509_crt_get_extension_by_oid(crt, CERT_GRANT_OID, 0, body, &len, &critical) < 0)
		return refuse(err, CERT_E_FOREIGN, "not one of Magik's");
	grant = identity__grant__unpack(NULL, len, body);
	if (!grant)
		return refuse(err, CERT_E_MALFORMED, "a grant that cannot be read");
	r = grant_unpack(grant, cert);
	identity__grant__free_unpacked(grant, NULL);
	if (r)
		return refuse(err, r, "a grant that this version cannot honour");
	return 0;
}

static bool cert_usage_fits(gnutls_x509_crt_t crt, const struct cert *cert)
{
	const struct cert_form *form = &cert_forms[cert->kind];
	unsigned usage = 0, is_ca = 0, critical, purposes = 0;
	int path_len = -1, has;

	if (!(form->families & 1U << cert->family))
		return false;
	has = gnutls_x509_crt_get_basic_constraints(crt, &critical, &is_ca, &path_len);
	if (has < 0 || !critical || (is_ca != 0) != form->is_ca ||
	    (form->is_ca && path_len != cert_path_len(cert->kind, cert->family)))
		return false;
	if (gnutls_x509_crt_get_key_usage(crt, &usage, &critical) < 0 || !critical ||
	    usage != (form->is_ca ? GNUTLS_KEY_KEY_CERT_SIGN : GNUTLS_KEY_DIGITAL_SIGNATURE))
		return false;
	for (unsigned i = 0;; i++) {
		char oid[CERT_OID_MAX];
		size_t len = sizeof(oid);
		int r = gnutls_x509_crt_get_key_purpose_oid(crt, i, oid, &len, &critical);

		if (r == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
			return purposes == form->purposes;
		if (r >= 0 && strcmp(oid, GNUTLS_KP_TLS_WWW_SERVER) == 0)
			purposes |= FORM_SERVER;
		else if (r >= 0 && strcmp(oid, GNUTLS_KP_TLS_WWW_CLIENT) == 0)
			purposes |= FORM_CLIENT;
		else
			return false;
	}
}

/* The one alternative name that the kind carries, or none. */
static bool cert_names_fit(gnutls_x509_crt_t crt, struct cert *cert)
{
	enum form_name names = cert_forms[cert->kind].name;
	char text[CERT_URI_MAX] = "", more[CERT_URI_MAX];
	size_t len = sizeof(text), more_len = sizeof(more);
	unsigned type = 0, critical;
	int r = gnutls_x509_crt_get_subject_alt_name2(crt, 0, text, &len, &type, &critical);

	if (names == FORM_NO_NAME)
		return r == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE;
	if (r < 0 || len >= sizeof(text) || strlen(text) != len ||
	    type != (names == FORM_REST_DNS ? GNUTLS_SAN_DNSNAME : GNUTLS_SAN_URI) ||
	    gnutls_x509_crt_get_subject_alt_name2(crt, 1, more, &more_len, &type, &critical) !=
		    GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
		return false;
	memcpy(cert->uri, text, sizeof(cert->uri));
	return form_name_fits(cert);
}

static int cert_read(gnutls_x509_crt_t crt, struct cert *cert, struct err *err)
{
	int r = cert_check_extensions(crt, err);

	if (r == 0)
		r = cert_read_key(crt, cert, err);
	if (r == 0)
		r = cert_read_grant(crt, cert, err);
	if (r == 0)
		r = cert_read_subject(crt, cert, err);
	if (r)
		return r;
	if (!cert_usage_fits(crt, cert) || !cert_names_fit(crt, cert))
		return refuse(err, CERT_E_INCOHERENT, "its grant and its usage disagree");
	if (!form_grant_fits(cert->kind, &cert->grant))
		return refuse(err, CERT_E_INCOHERENT, "roles that its kind cannot have");
	if (cert->kind == CERT_MACHINE)
		cert->position = sha256_pair(bytes_of(cert->salt, CERT_SALT_LEN),
					     bytes_of(cert->key.byte, ID_LEN));
	return 0;
}

int cert_parse(struct bytes der, struct cert *ret_cert, struct err *err)
{
	const gnutls_datum_t datum = {(unsigned char *)(uintptr_t)der.ptr, (unsigned)der.len};
	struct cert cert = {0};
	const uint8_t *signature;
	gnutls_x509_crt_t crt;
	struct bytes tbs;
	int r;

	if (der.len > CERT_DER_MAX || der_sequence_len(der) != der.len)
		return refuse(err, CERT_E_MALFORMED, "no DER, or too long");
	if (gnutls_x509_crt_init(&crt) < 0)
		return err_origin(-ENOMEM);
	if (gnutls_x509_crt_import(crt, &datum, GNUTLS_X509_FMT_DER) < 0)
		r = refuse(err, CERT_E_MALFORMED, "no X.509");
	else if (!der_split(der, &tbs, &signature))
		r = refuse(err, CERT_E_FOREIGN, "not signed with Ed25519");
	else
		r = cert_read(crt, &cert, err);
	gnutls_x509_crt_deinit(crt);
	if (r)
		return r;
	cert.hash = sha256(der);
	*ret_cert = cert;
	return 0;
}
