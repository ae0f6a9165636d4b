/* SPDX-License-Identifier: Apache-2.0 */
#include "identity/issue.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

#include "identity.pb-c.h"
#include "identity/form.h"
#include "identity/sha256.h"

enum {
	KEY_ID_LEN = 20, /* RFC 5280 4.2.1.2: any unique value; ours is of a usual length */
	GRANT_BODY_MAX = 1024,
	SHORT_KEY_LEN = 8, /* bytes of a key that make a name unique */
};

/* kind -> bits of the kinds that may have signed it. Roots sign where no admitter is at hand. */
static const unsigned issuers_of[CERT_KIND_COUNT + 1] = {
	[CERT_ADMIT] = 1 << CERT_ROOT,
	[CERT_STEWARD] = 1 << CERT_ROOT | 1 << CERT_ADMIT,
	[CERT_MACHINE] = 1 << CERT_ROOT | 1 << CERT_ADMIT,
	[CERT_VOUCHER] = 1 << CERT_ROOT | 1 << CERT_ADMIT,
	[CERT_REST] = 1 << CERT_ROOT | 1 << CERT_ADMIT,
	[CERT_USER] = 1 << CERT_ROOT | 1 << CERT_ADMIT,
	[CERT_POD] = 1 << CERT_STEWARD,
	[CERT_APPLICATION] = 1 << CERT_STEWARD,
};

/* May a certificate of @kind be signed by one of @issuer? Issuing and verifying share the table. */
static bool cert_may_issue(enum cert_kind issuer, enum cert_kind kind)
{
	return (size_t)kind < ARRAY_LEN(issuers_of) && issuers_of[kind] & 1U << issuer;
}

int cert_narrows(const struct cert *subject, const struct cert *issuer, struct err *err)
{
	struct bytes namespace;

	if (strcmp(subject->fabric, issuer->fabric) != 0 || subject->family != issuer->family ||
	    !cert_may_issue(issuer->kind, subject->kind)) {
		(void)err_set(err, -EACCES, "%s may not be signed by %s of fabric %s",
			      cert_kind_text(subject->kind), cert_kind_text(issuer->kind),
			      issuer->fabric);
		return ISSUE_E_KIND;
	}
	if (!grant_within(&subject->grant, &issuer->grant)) {
		(void)err_set(err, -EACCES, "%s of %s allows more than its issuer may",
			      cert_kind_text(subject->kind), subject->name);
		return ISSUE_E_WIDENS;
	}
	if (cert_forms[subject->kind].name != FORM_POD_URI)
		return 0;
	namespace = form_pod_namespace(subject);
	if (!grant_stewards(&issuer->grant, namespace)) {
		(void)err_set(err, -EACCES, "pod of namespace %.*s outside its steward's",
			      (int)namespace.len, (const char *)namespace.ptr);
		return ISSUE_E_WIDENS;
	}
	return 0;
}

void issue_salt(const struct key *admit_key, const struct node_id *machine,
		uint8_t ret_salt[CERT_SALT_LEN])
{
	static const char domain[] = "magik dht salt/1";
	uint8_t secret[sizeof(domain) + KEY_SEED_LEN];
	struct digest digest;

	memcpy(secret, domain, sizeof(domain));
	memcpy(secret + sizeof(domain), admit_key->seed, KEY_SEED_LEN);
	digest = sha256_pair(bytes_of(secret, sizeof(secret)), bytes_of(machine->byte, ID_LEN));
	secret_wipe(secret, sizeof(secret));
	memcpy(ret_salt, digest.byte, CERT_SALT_LEN);
}

/* Roots and admitters exist in every family, the other kinds in one. */
static enum cert_family order_family(const struct cert_order *order)
{
	enum cert_family family = CERT_FAMILY_MACHINE;

	if (cert_forms[order->kind].families == FORM_ALL_FAMILIES)
		return order->family;
	while (!(cert_forms[order->kind].families & 1U << family))
		family++;
	return family;
}

/* What the certificate will say, as the verifier will read it. */
static int order_describe(const struct cert_order *order, const struct cert *issuer,
			  struct cert *cert, struct err *err)
{
	const char *fabric = issuer ? issuer->fabric : order->fabric;
	const char *name = order->name ? order->name : "";

	*cert = (struct cert){.kind = order->kind, .key = order->key, .grant = order->grant};
	cert->family = order_family(order);
	cert->plain = order->kind == CERT_VOUCHER && order->plain;
	if (cert_forms[order->kind].name == FORM_POD_URI)
		cert->machine = order->machine;
	if (!fabric || strlen(fabric) != FABRIC_ID_LEN || strlen(name) > CERT_NAME_MAX)
		return err_set(err, ISSUE_E_FORM, "a name longer than %d bytes", CERT_NAME_MAX);
	memcpy(cert->fabric, fabric, FABRIC_ID_LEN);
	memcpy(cert->name, name, strlen(name));
	form_name_make(order->kind, cert->fabric, &order->key,
		       order->pod_path ? order->pod_path : "", cert->uri);
	cert->not_before.ms =
		order->now.ms > CERT_BACKDATE_MS ? order->now.ms - CERT_BACKDATE_MS : 0;
	cert->not_after.ms =
		order->now.ms + (order->life_ms ? order->life_ms : cert_forms[order->kind].life_ms);
	if (order->kind == CERT_MACHINE)
		memcpy(cert->salt, order->salt, CERT_SALT_LEN);
	if (!key_is_sound(&order->key) || !form_grant_fits(order->kind, &order->grant)) {
		(void)err_set(err, -EINVAL, "a key, name or roles that a %s cannot have",
			      cert_kind_text(order->kind));
		return ISSUE_E_FORM;
	}
	return 0;
}

/* The common name: given for machines and users, else a description that is unique in the fabric,
 * because TLS software finds an issuer by its name. */
static void order_name(struct cert *cert, const struct node_id *holder)
{
	char short_key[2 * SHORT_KEY_LEN + 1], holder_key[2 * CERT_HOLDER_LEN + 1];

	if (cert->kind == CERT_MACHINE || cert->kind == CERT_USER)
		return;
	hex_encode(bytes_of(holder->byte, CERT_HOLDER_LEN), holder_key);
	hex_encode(bytes_of(cert->key.byte, SHORT_KEY_LEN), short_key);
	switch (cert->kind) {
	case CERT_ROOT:
		(void)snprintf(cert->name, sizeof(cert->name), "magik %s %s root", cert->fabric,
			       cert_family_text(cert->family));
		break;
	case CERT_ADMIT:
	case CERT_STEWARD:
		(void)snprintf(cert->name, sizeof(cert->name), "magik %s %s %s", cert->fabric,
			       cert->kind == CERT_ADMIT ? "admit" : "steward", holder_key);
		break;
	case CERT_REST:
		fabric_rest_name(cert->fabric, cert->name);
		break;
	case CERT_VOUCHER:
	case CERT_POD:
	case CERT_APPLICATION:
	case CERT_MACHINE:
	case CERT_USER:
		(void)snprintf(cert->name, sizeof(cert->name), "%s %s",
			       cert->kind == CERT_VOUCHER ? "voucher" : "pod", short_key);
		break;
	}
}

static int order_check_names(const struct cert *cert, const struct cert_order *order,
			     struct err *err)
{
	bool sound = form_is_name(bytes_str(cert->name));

	if (cert_forms[cert->kind].name != FORM_NO_NAME)
		sound = sound && form_name_fits(cert);
	if (order->kind == CERT_USER)
		sound = sound && order->group_count <= CERT_GROUPS_MAX;
	for (size_t i = 0; sound && order->kind == CERT_USER && i < order->group_count; i++)
		sound = form_is_name(bytes_str(order->groups[i]));
	if (sound)
		return 0;
	(void)err_set(err, -EINVAL, "%s: a name that cannot be certified", cert->name);
	return ISSUE_E_FORM;
}

static int set_grant(gnutls_x509_crt_t crt, const struct cert *cert)
{
	ProtobufCBinaryData namespaces[GRANT_NAMESPACES_MAX];
	uint8_t fabric[FABRIC_ID_LEN / 2], body[GRANT_BODY_MAX];
	Identity__Grant grant = IDENTITY__GRANT__INIT;
	size_t len;

	if (!hex_decode(cert->fabric, fabric, sizeof(fabric)))
		return GNUTLS_E_INVALID_REQUEST;
	grant.version = 1;
	grant.kind = cert->kind;
	grant.family = cert->family;
	grant.fabric = (ProtobufCBinaryData){sizeof(fabric), fabric};
	grant.roles = cert->grant.roles;
	grant.all_namespaces = cert->grant.all_namespaces;
	grant.n_namespaces = cert->grant.namespace_count;
	grant.namespaces = namespaces;
	for (size_t i = 0; i < cert->grant.namespace_count; i++) {
		char *name = (char *)(uintptr_t)cert->grant.namespaces[i];

		namespaces[i] = (ProtobufCBinaryData){strlen(name), (uint8_t *)name};
	}
	if (cert->kind == CERT_MACHINE)
		grant.salt = (ProtobufCBinaryData){CERT_SALT_LEN, (uint8_t *)(uintptr_t)cert->salt};
	grant.plain = cert->plain;
	if (!node_id_is_none(&cert->machine))
		grant.machine =
			(ProtobufCBinaryData){ID_LEN, (uint8_t *)(uintptr_t)cert->machine.byte};
	if (identity__grant__get_packed_size(&grant) > sizeof(body))
		return GNUTLS_E_SHORT_MEMORY_BUFFER;
	len = identity__grant__pack(&grant, body);
	return gnutls_x509_crt_set_extension_by_oid(crt, CERT_GRANT_OID, body, len, 0);
}

static int set_key(gnutls_x509_crt_t crt, const struct node_id *key)
{
	gnutls_datum_t x = {(unsigned char *)(uintptr_t)key->byte, ID_LEN};
	gnutls_pubkey_t pubkey;
	int r = gnutls_pubkey_init(&pubkey);

	if (r < 0)
		return r;
	r = gnutls_pubkey_import_ecc_raw(pubkey, GNUTLS_ECC_CURVE_ED25519, &x, NULL);
	if (r >= 0)
		r = gnutls_x509_crt_set_pubkey(crt, pubkey);
	gnutls_pubkey_deinit(pubkey);
	return r;
}

static int set_subject(gnutls_x509_crt_t crt, const struct cert *cert,
		       const struct cert_order *order)
{
	uint8_t serial[CERT_SERIAL_LEN];
	int r;

	/* RFC 5280 4.1.2.2: positive, and in its shortest form. */
	memcpy(serial, order->serial, sizeof(serial));
	serial[0] = (uint8_t)((serial[0] & 0x7f) | 0x40);
	r = gnutls_x509_crt_set_serial(crt, serial, sizeof(serial));
	if (r >= 0)
		r = gnutls_x509_crt_set_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, cert->name,
						  (unsigned)strlen(cert->name));
	for (size_t i = 0; r >= 0 && order->kind == CERT_USER && i < order->group_count; i++)
		r = gnutls_x509_crt_set_dn_by_oid(crt, GNUTLS_OID_X520_ORGANIZATION_NAME, 0,
						  order->groups[i],
						  (unsigned)strlen(order->groups[i]));
	if (r >= 0)
		r = gnutls_x509_crt_set_activation_time(crt,
							(time_t)(cert->not_before.ms / MS_PER_S));
	if (r >= 0)
		r = gnutls_x509_crt_set_expiration_time(
			crt, cert->kind == CERT_ROOT ? GNUTLS_X509_NO_WELL_DEFINED_EXPIRATION
						     : (time_t)(cert->not_after.ms / MS_PER_S));
	return r;
}

static int set_usage(gnutls_x509_crt_t crt, const struct cert *cert)
{
	const struct cert_form *form = &cert_forms[cert->kind];
	int path_len = form->is_ca ? cert_path_len(cert->kind, cert->family) : -1;
	int r = gnutls_x509_crt_set_basic_constraints(crt, form->is_ca, path_len);

	if (r >= 0)
		r = gnutls_x509_crt_set_key_usage(crt, form->is_ca ? GNUTLS_KEY_KEY_CERT_SIGN
								   : GNUTLS_KEY_DIGITAL_SIGNATURE);
	if (r >= 0 && form->purposes & FORM_SERVER)
		r = gnutls_x509_crt_set_key_purpose_oid(crt, GNUTLS_KP_TLS_WWW_SERVER, 0);
	if (r >= 0 && form->purposes & FORM_CLIENT)
		r = gnutls_x509_crt_set_key_purpose_oid(crt, GNUTLS_KP_TLS_WWW_CLIENT, 0);
	if (r >= 0 && form->name != FORM_NO_NAME)
		r = gnutls_x509_crt_set_subject_alt_name(
			crt, form->name == FORM_REST_DNS ? GNUTLS_SAN_DNSNAME : GNUTLS_SAN_URI,
			cert->uri, (unsigned)strlen(cert->uri), GNUTLS_FSAN_SET);
	return r;
}

static int set_key_ids(gnutls_x509_crt_t crt, const struct cert *cert,
		       const struct node_id *issuer_key)
{
	struct digest subject = sha256(bytes_of(cert->key.byte, ID_LEN));
	struct digest issuer = sha256(bytes_of(issuer_key->byte, ID_LEN));
	int r = gnutls_x509_crt_set_subject_key_id(crt, subject.byte, KEY_ID_LEN);

	if (r >= 0)
		r = gnutls_x509_crt_set_authority_key_id(crt, issuer.byte, KEY_ID_LEN);
	return r;
}

static int crt_fill(gnutls_x509_crt_t crt, const struct cert *cert, const struct cert_order *order,
		    const struct node_id *issuer_key)
{
	int r = gnutls_x509_crt_set_version(crt, 3);

	if (r >= 0)
		r = set_key(crt, &cert->key);
	if (r >= 0)
		r = set_subject(crt, cert, order);
	if (r >= 0)
		r = set_usage(crt, cert);
	if (r >= 0)
		r = set_key_ids(crt, cert, issuer_key);
	if (r >= 0)
		r = set_grant(crt, cert);
	return r;
}

static int crt_sign(gnutls_x509_crt_t crt, gnutls_x509_crt_t issuer, const struct key *key)
{
	gnutls_datum_t x = {(unsigned char *)(uintptr_t)key->public_key.byte, ID_LEN};
	gnutls_datum_t k = {(unsigned char *)(uintptr_t)key->seed, KEY_SEED_LEN};
	gnutls_privkey_t privkey;
	int r = gnutls_privkey_init(&privkey);

	if (r < 0)
		return r;
	r = gnutls_privkey_import_ecc_raw(privkey, GNUTLS_ECC_CURVE_ED25519, &x, NULL, &k);
	if (r >= 0)
		r = gnutls_x509_crt_privkey_sign(crt, issuer, privkey, GNUTLS_DIG_SHA512, 0);
	gnutls_privkey_deinit(privkey);
	return r;
}

/* Fill, sign and export. @issuer_der is empty for a root, which signs itself. */
static int crt_make(const struct cert *cert, const struct cert_order *order,
		    const struct signer *signer, struct buf *ret_der)
{
	gnutls_datum_t issuer_der = {(unsigned char *)(uintptr_t)signer->cert.ptr,
				     (unsigned)signer->cert.len};
	gnutls_x509_crt_t crt = NULL, issuer = NULL;
	gnutls_datum_t der = {0};
	int r = gnutls_x509_crt_init(&crt);

	if (r >= 0 && cert->kind != CERT_ROOT)
		r = gnutls_x509_crt_init(&issuer);
	if (r >= 0 && issuer)
		r = gnutls_x509_crt_import(issuer, &issuer_der, GNUTLS_X509_FMT_DER);
	if (r >= 0)
		r = crt_fill(crt, cert, order, &signer->key->public_key);
	if (r >= 0)
		r = crt_sign(crt, issuer ? issuer : crt, signer->key);
	if (r >= 0)
		r = gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_DER, &der);
	if (r >= 0)
		buf_append(ret_der, der.data, der.size);
	gnutls_free(der.data);
	if (crt)
		gnutls_x509_crt_deinit(crt);
	if (issuer)
		gnutls_x509_crt_deinit(issuer);
	return r;
}

static int order_check_signer(const struct cert_order *order, const struct signer *signer,
			      struct cert *issuer, struct err *err)
{
	if (order->kind == CERT_ROOT)
		return node_id_equal(&order->key, &signer->key->public_key)
			       ? 0
			       : err_set(err, ISSUE_E_KIND, "a root signs itself");
	if (cert_parse(signer->cert, issuer, err) != 0)
		return ISSUE_E_KIND;
	if (!node_id_equal(&issuer->key, &signer->key->public_key))
		return err_set(err, ISSUE_E_KIND, "the signer's key is not its certificate's");
	return 0;
}

int cert_issue(const struct cert_order *order, const struct signer *signer, struct buf *ret_der,
	       struct err *err)
{
	struct cert issuer, cert;
	int r = order_check_signer(order, signer, &issuer, err);

	if (r == 0)
		r = order_describe(order, order->kind == CERT_ROOT ? NULL : &issuer, &cert, err);
	if (r)
		return r;
	order_name(&cert, &order->holder);
	r = order_check_names(&cert, order, err);
	if (r == 0 && order->kind != CERT_ROOT)
		r = cert_narrows(&cert, &issuer, err);
	if (r)
		return r;
	r = crt_make(&cert, order, signer, ret_der);
	if (r < 0)
		return err_set(err, err_origin(-EIO), "sign %s: %s", cert_kind_text(order->kind),
			       gnutls_strerror(r));
	return 0;
}
