/* SPDX-License-Identifier: Apache-2.0 */
#include "identity/csr.h"

#include <string.h>

#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

#include "identity.pb-c.h"
#include "identity/form.h"
#include "identity/pem.h"
#include "identity/sha256.h"
#include "identity/voucher.h"

enum {
	DER_UTF8_STRING = 0x0c,
	DER_PRINTABLE_STRING = 0x13,
};

const char *const join_key_names[] = {
	"machine.key",        "rest.key",      "steward.key", "admit-machine.key",
	"admit-workload.key", "admit-api.key", NULL,
};
_Static_assert(ARRAY_LEN(join_key_names) == JOIN_SEEDS + 1, "a name for each key");

void csr_keys_list(const struct join_keys *keys, struct key ret_keys[JOIN_SEEDS])
{
	ret_keys[0] = keys->machine;
	ret_keys[1] = keys->rest;
	ret_keys[2] = keys->steward;
	memcpy(ret_keys + 3, keys->admit, sizeof(keys->admit));
}

void csr_keys_take(const struct key keys[JOIN_SEEDS], struct join_keys *ret_keys)
{
	ret_keys->machine = keys[0];
	ret_keys->rest = keys[1];
	ret_keys->steward = keys[2];
	memcpy(ret_keys->admit, keys + 3, sizeof(ret_keys->admit));
}

/* Stands in the proofs where a connection has the hash of its admitter's leaf. */
static struct digest audience_of_files(void)
{
	return sha256(bytes_str("magik request by file/1"));
}

void csr_machine_build(const struct join_keys *keys, const char *node_name, struct buf *ret_text)
{
	struct digest audience = audience_of_files();
	struct buf request = {0};

	join_request_build(keys, node_name, &audience, &request);
	pem_encode(CSR_MACHINE_LABEL, bytes_buf(&request), ret_text);
	buf_deinit(&request);
}

static bool holds(struct bytes text, const char *words)
{
	return text.len > 0 && memmem(text.ptr, text.len, words, strlen(words)) != NULL;
}

static int refuse(struct err *err, int outcome, const char *why)
{
	(void)err_set(err, -EBADMSG, "%s", why);
	return outcome;
}

/* What people hand over by mistake, said by its name. */
static int judge_text(struct bytes text, struct err *err)
{
	if (text.len > CSR_TEXT_MAX)
		return refuse(err, CSR_E_MALFORMED, "this file is longer than any request");
	if (holds(text, "PRIVATE KEY-----"))
		return refuse(err, CSR_E_FOREIGN,
			      "this file holds a private key: keep it where it is, and send the "
			      "request made with it");
	if (holds(text, "-----BEGIN CERTIFICATE-----"))
		return refuse(err, CSR_E_FOREIGN, "this is a certificate, and no request for one");
	if (holds(text, "-----BEGIN " CSR_ADMISSION_LABEL "-----"))
		return refuse(err, CSR_E_FOREIGN,
			      "this is an admission, the answer to a request: start that machine "
			      "with --join and this file");
	if (holds(text, VOUCHER_PREFIX))
		return refuse(err, CSR_E_FOREIGN, "this is a join token, and no request");
	return 0;
}

/* The one block with @label that @text consists of. */
static bool sole_block(const char *label, struct bytes text, struct buf *der)
{
	return pem_decode(label, &text, der) && text.len == 0;
}

static int read_machine(struct bytes text, struct buf *der, struct err *err)
{
	int r = judge_text(text, err);

	if (r)
		return r;
	if (holds(text, "CERTIFICATE REQUEST-----"))
		return refuse(
			err, CSR_E_FOREIGN,
			"this is a user's request (PKCS#10): magik kubeconfig --csr takes it; "
			"a machine's is made by magik fabric request");
	if (!holds(text, "-----BEGIN " CSR_MACHINE_LABEL "-----"))
		return refuse(err, CSR_E_MALFORMED,
			      "this is no request of a machine: magik fabric request makes one");
	if (!sole_block(CSR_MACHINE_LABEL, text, der))
		return refuse(err, CSR_E_MALFORMED, "this request is damaged or cut off");
	return 0;
}

static int outcome_of(int join_outcome)
{
	return join_outcome == JOIN_E_PROOF  ? CSR_E_PROOF
	       : join_outcome == JOIN_E_NAME ? CSR_E_NAME
					     : CSR_E_MALFORMED;
}

int csr_machine_open(struct bytes text, const struct grant *grant, struct join_request *ret_request,
		     struct err *err)
{
	/* A voucher that nobody wrote: who signs by hand gives what it would have given. */
	struct cert shown = {.kind = CERT_VOUCHER, .grant = *grant};
	struct digest audience = audience_of_files();
	struct buf der = {0};
	int r = read_machine(text, &der, err);

	if (r == 0) {
		r = join_request_open(bytes_buf(&der), &shown, &audience, ret_request, err);
		r = r ? outcome_of(r) : 0;
	}
	buf_deinit(&der);
	return r;
}

void csr_admission_build(struct bytes reply, struct buf *ret_text)
{
	pem_encode(CSR_ADMISSION_LABEL, reply, ret_text);
}

/* The roots inside a reply; everything else in it is then judged by them. */
static int roots_of(struct bytes reply, struct trust *ret_trust, struct err *err)
{
	Identity__JoinReply *message = identity__join_reply__unpack(NULL, reply.len, reply.ptr);
	struct bytes root[CERT_FAMILY_COUNT];
	int r;

	if (!message || message->n_roots != CERT_FAMILY_COUNT) {
		if (message)
			identity__join_reply__free_unpacked(message, NULL);
		return refuse(err, CSR_E_MALFORMED, "this admission is damaged");
	}
	for (size_t i = 0; i < CERT_FAMILY_COUNT; i++)
		root[i] = bytes_of(message->roots[i].data, message->roots[i].len);
	r = trust_init_certs(ret_trust, root, TRUST_CACHE_DEFAULT, 0, err);
	identity__join_reply__free_unpacked(message, NULL);
	return r ? CSR_E_MALFORMED : 0;
}

static int read_admission(struct bytes text, struct buf *der, struct err *err)
{
	if (text.len > CSR_ADMISSION_MAX)
		return refuse(err, CSR_E_MALFORMED, "this file is longer than any admission");
	if (holds(text, "-----BEGIN " CSR_MACHINE_LABEL "-----"))
		return refuse(err, CSR_E_FOREIGN,
			      "this is the request itself; magik fabric admit --csr, on a machine "
			      "that admits others, makes the admission of it");
	if (!sole_block(CSR_ADMISSION_LABEL, text, der) || der->len > JOIN_REPLY_LEN_MAX)
		return refuse(
			err, CSR_E_MALFORMED,
			"this is no admission, or it is damaged: magik fabric admit makes one");
	return 0;
}

int csr_admission_open(struct bytes text, const struct join_keys *keys,
		       struct join_reply *ret_reply, struct node_id ret_root[CERT_FAMILY_COUNT],
		       struct err *err)
{
	struct buf der = {0};
	struct trust trust;
	int r = read_admission(text, &der, err);

	if (r == 0)
		r = roots_of(bytes_buf(&der), &trust, err);
	if (r == 0) {
		r = join_reply_open(bytes_buf(&der), keys, &trust, ret_reply, err);
		memcpy(ret_root, trust.root, sizeof(trust.root));
		trust_deinit(&trust);
	}
	buf_deinit(&der);
	return r;
}

/* ---- users: PKCS#10, read field by field; what it says about extensions is passed over */

static int judge_user(struct bytes text, struct err *err)
{
	int r = judge_text(text, err);

	if (r == 0 && holds(text, "-----BEGIN " CSR_MACHINE_LABEL "-----"))
		return refuse(err, CSR_E_FOREIGN,
			      "this is a machine's request: magik fabric admit --csr takes it");
	return r;
}

static int read_key(gnutls_x509_crq_t crq, struct node_id *key, struct err *err)
{
	int algorithm = gnutls_x509_crq_get_pk_algorithm(crq, NULL);
	gnutls_datum_t x = {0}, y = {0};
	gnutls_ecc_curve_t curve;
	gnutls_pubkey_t pubkey;
	bool sound = false;

	if (algorithm != GNUTLS_PK_EDDSA_ED25519) {
		(void)err_set(err, -EBADMSG,
			      "its key is %s; certificates here are for Ed25519 keys only: openssl "
			      "genpkey -algorithm ed25519",
			      algorithm < 0 ? "of an unknown kind"
					    : gnutls_pk_get_name((gnutls_pk_algorithm_t)algorithm));
		return CSR_E_KEY;
	}
	if (gnutls_x509_crq_verify(crq, 0) < 0)
		return refuse(err, CSR_E_PROOF, "it is not signed by the key that it is for");
	if (gnutls_pubkey_init(&pubkey) < 0)
		return err_origin(-ENOMEM);
	if (gnutls_pubkey_import_x509_crq(pubkey, crq, 0) >= 0 &&
	    gnutls_pubkey_export_ecc_raw(pubkey, &curve, &x, &y) >= 0 && x.size == ID_LEN) {
		memcpy(key->byte, x.data, ID_LEN);
		sound = key_is_sound(key);
	}
	gnutls_free(x.data);
	gnutls_free(y.data);
	gnutls_pubkey_deinit(pubkey);
	return sound ? 0 : refuse(err, CSR_E_KEY, "its public key is no sound point");
}

/* One attribute of the subject into @text: 1 when there is none, 0, or CSR_E_NAME. */
static int read_name(gnutls_x509_crq_t crq, const char *oid, unsigned index, char *text)
{
	uint8_t der[2 + CERT_NAME_MAX];
	size_t len = sizeof(der);
	int r = gnutls_x509_crq_get_dn_by_oid(crq, oid, index, 1, der, &len);

	if (r == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
		return -ENOENT;
	if (r < 0 || len < 2 || (der[0] != DER_UTF8_STRING && der[0] != DER_PRINTABLE_STRING) ||
	    der[1] != len - 2 || !form_is_name(bytes_of(der + 2, len - 2)))
		return CSR_E_NAME;
	memcpy(text, der + 2, len - 2);
	text[len - 2] = 0;
	return 0;
}

static int read_subject(gnutls_x509_crq_t crq, struct csr_user *user, struct err *err)
{
	char another[CERT_NAME_MAX + 1];
	int r = read_name(crq, GNUTLS_OID_X520_COMMON_NAME, 0, user->name);

	if (r > 0 || read_name(crq, GNUTLS_OID_X520_COMMON_NAME, 1, another) != -ENOENT)
		return refuse(err, CSR_E_NAME,
			      "its common name is not one of up to 64 plain characters");
	for (r = 0; r == 0 && user->group_count < CERT_GROUPS_MAX;) {
		r = read_name(crq, GNUTLS_OID_X520_ORGANIZATION_NAME, (unsigned)user->group_count,
			      user->groups[user->group_count]);
		user->group_count += r == 0;
	}
	if (r > 0 || (r == 0 && read_name(crq, GNUTLS_OID_X520_ORGANIZATION_NAME, CERT_GROUPS_MAX,
					  another) != -ENOENT))
		return refuse(err, CSR_E_NAME,
			      "it asks for more than eight groups, or for one that is not of up to "
			      "64 plain characters");
	return 0;
}

int csr_user_open(struct bytes text, struct csr_user *ret_user, struct err *err)
{
	const gnutls_datum_t datum = {(unsigned char *)(uintptr_t)text.ptr, (unsigned)text.len};
	struct csr_user user = {0};
	gnutls_x509_crq_t crq;
	int r = judge_user(text, err);

	if (r)
		return r;
	if (gnutls_x509_crq_init(&crq) < 0)
		return err_origin(-ENOMEM);
	if (text.len == 0 || gnutls_x509_crq_import(crq, &datum, GNUTLS_X509_FMT_PEM) < 0)
		r = refuse(
			err, CSR_E_MALFORMED,
			"this is no request for a certificate (PKCS#10 in PEM), or it is damaged");
	else
		r = read_key(crq, &user.key, err);
	if (r == 0)
		r = read_subject(crq, &user, err);
	gnutls_x509_crq_deinit(crq);
	if (r == 0)
		*ret_user = user;
	return r;
}
