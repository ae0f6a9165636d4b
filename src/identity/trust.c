/* SPDX-License-Identifier: Apache-2.0 */
#include "identity/trust.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "identity/issue.h"
#include "identity/sha256.h"

enum {
	ISSUERS_MAX = CHAIN_CERTS_MAX - 1, /* between a leaf and its root */
	AGE_TEXT_MAX = 32,
};

struct trust_issuer {
	enum cert_kind kind;
	struct node_id key;
	struct wall not_before, not_after;
	char name[CERT_NAME_MAX + 1];
};

struct trust_cached {
	struct list link;
	struct cert leaf;
	struct trust_issuer issuers[ISSUERS_MAX]; /* the leaf's own first */
	size_t issuer_count;
	struct buf chain; /* DER without the root */
};

enum trust_purpose trust_purpose_of(const char *alpn, bool peer_is_server)
{
	if (strcmp(alpn, ALPN_MACHINE) == 0)
		return TRUST_MESH;
	if (strcmp(alpn, ALPN_JOIN) == 0)
		return peer_is_server ? TRUST_ADMITTER : TRUST_JOINER;
	if (strcmp(alpn, ALPN_WORK) == 0)
		return TRUST_POD;
	return (enum trust_purpose)0;
}

static const char *purpose_place(enum trust_purpose purpose)
{
	switch (purpose) {
	case TRUST_MESH:
		return "the mesh";
	case TRUST_JOINER:
		return "a join";
	case TRUST_ADMITTER:
		return "an admitter";
	case TRUST_REST_SERVER:
		return "a REST server";
	case TRUST_REST_USER:
		return "REST";
	case TRUST_APPLICATION:
		return "the application of a pod";
	case TRUST_POD:
		return "the work plane";
	}
	return "nothing";
}

static bool purpose_takes(enum trust_purpose purpose, enum cert_kind kind)
{
	switch (purpose) {
	case TRUST_MESH:
	case TRUST_ADMITTER:
		return kind == CERT_MACHINE;
	case TRUST_JOINER:
		return kind == CERT_VOUCHER || kind == CERT_MACHINE;
	case TRUST_REST_SERVER:
		return kind == CERT_REST;
	case TRUST_REST_USER:
		return kind == CERT_USER;
	case TRUST_POD:
		return kind == CERT_POD;
	case TRUST_APPLICATION:
		return kind == CERT_APPLICATION;
	}
	return false;
}

void trust_init(struct trust *trust, const struct node_id root[CERT_FAMILY_COUNT], size_t cache_max,
		uint64_t seed)
{
	assert(cache_max > 0);
	*trust = (struct trust){.cache_max = cache_max};
	memcpy(trust->root, root, sizeof(trust->root));
	fabric_id_of(&root[CERT_FAMILY_MACHINE - 1], trust->fabric);
	map_init(&trust->cache, seed);
	list_init(&trust->cache_order);
}

int trust_init_certs(struct trust *trust, const struct bytes root[CERT_FAMILY_COUNT],
		     size_t cache_max, uint64_t seed, struct err *err)
{
	struct node_id key[CERT_FAMILY_COUNT];
	char fabric[FABRIC_ID_LEN + 1];

	for (size_t i = 0; i < CERT_FAMILY_COUNT; i++) {
		struct cert cert;

		if (cert_parse(root[i], &cert, err) != 0)
			return TRUST_E_MALFORMED;
		key[i] = cert.key;
		fabric_id_of(&key[CERT_FAMILY_MACHINE - 1], fabric);
		if (cert.kind != CERT_ROOT || (size_t)cert.family != i + 1 ||
		    strcmp(cert.fabric, fabric) != 0 || !cert_signed_by(root[i], &cert.key)) {
			(void)err_set(err, -EBADMSG, "not the %s root of fabric %s",
				      cert_family_text((enum cert_family)(i + 1)), fabric);
			return TRUST_E_MALFORMED;
		}
	}
	trust_init(trust, key, cache_max, seed);
	return 0;
}

int trust_init_family(struct trust *trust, enum cert_family family, struct bytes root,
		      size_t cache_max, uint64_t seed, struct err *err)
{
	/* A root of zeroes is a key of small order, which has signed nothing. */
	struct node_id key[CERT_FAMILY_COUNT] = {0};
	struct cert cert;

	if (cert_parse(root, &cert, err) != 0)
		return TRUST_E_MALFORMED;
	if (cert.kind != CERT_ROOT || cert.family != family || !cert_signed_by(root, &cert.key)) {
		(void)err_set(err, -EBADMSG, "not the %s root of a fabric",
			      cert_family_text(family));
		return TRUST_E_MALFORMED;
	}
	key[family - 1] = cert.key;
	trust_init(trust, key, cache_max, seed);
	memcpy(trust->fabric, cert.fabric, sizeof(trust->fabric));
	return 0;
}

static void cached_free(struct trust *trust, struct trust_cached *cached)
{
	assert(cached);
	list_remove(&cached->link);
	(void)map_remove(&trust->cache, bytes_of(cached->leaf.hash.byte, ID_LEN));
	buf_deinit(&cached->chain);
	free(cached);
}

void trust_deinit(struct trust *trust)
{
	while (!list_is_empty(&trust->cache_order))
		cached_free(trust, list_first(&trust->cache_order, struct trust_cached, link));
	map_deinit(&trust->cache);
}

static struct trust_cached *cache_get(struct trust *trust, const struct digest *hash)
{
	struct trust_cached *cached = map_get(&trust->cache, bytes_of(hash->byte, ID_LEN));

	if (cached) {
		list_remove(&cached->link);
		list_append(&trust->cache_order, &cached->link);
	}
	return cached;
}

static void cache_put(struct trust *trust, struct trust_cached *cached)
{
	while (trust->cache.count >= trust->cache_max) {
		cached_free(trust, list_first(&trust->cache_order, struct trust_cached, link));
		trust->cache_evicted++;
	}
	list_append(&trust->cache_order, &cached->link);
	(void)map_put(&trust->cache, bytes_of(cached->leaf.hash.byte, ID_LEN), cached);
}

/* "3 h", "12 days": how long ago, in the unit a person would choose. */
static void age_format(int64_t ms, char text[AGE_TEXT_MAX])
{
	int64_t minutes = ms / MS_PER_S / 60;

	if (minutes < 2)
		(void)snprintf(text, AGE_TEXT_MAX, "%" PRId64 " s", ms / MS_PER_S);
	else if (minutes < 120)
		(void)snprintf(text, AGE_TEXT_MAX, "%" PRId64 " min", minutes);
	else if (minutes < 48 * 60)
		(void)snprintf(text, AGE_TEXT_MAX, "%" PRId64 " h", minutes / 60);
	else
		(void)snprintf(text, AGE_TEXT_MAX, "%" PRId64 " days", minutes / 60 / 24);
}

static int refuse_kind(const struct trust_query *query, const struct cert *leaf, struct err *err)
{
	(void)err_set(err, -EACCES, "%s (%s) on %s", cert_kind_text(leaf->kind), leaf->name,
		      purpose_place(query->purpose));
	return TRUST_E_WRONG_KIND;
}

static bool leaf_is_revoked(const struct trust *trust, const struct cert *leaf, struct wall before)
{
	static const uint8_t none[CERT_SERIAL_LEN];
	bool ours = memcmp(leaf->serial, none, CERT_SERIAL_LEN) != 0;
	const struct revocation_subject subject = {
		.kind = leaf->kind,
		.key = leaf->key,
		.name = leaf->name,
		.serial = ours ? leaf->serial : NULL,
		.not_before = leaf->not_before,
	};

	return revocations_hit(trust->revocations, &subject, before) ||
	       revocations_hit_machine(trust->revocations, &leaf->machine, before);
}

static bool issuer_is_revoked(const struct trust *trust, const struct trust_issuer *issuer,
			      struct wall before)
{
	const struct revocation_subject subject = {
		.kind = issuer->kind,
		.key = issuer->key,
		.name = issuer->name,
		.not_before = issuer->not_before,
	};

	return revocations_hit(trust->revocations, &subject, before);
}

static int judge_revoked(const struct trust *trust, const struct trust_query *query,
			 const struct trust_cached *cached, struct err *err)
{
	struct wall before = query->signed_then ? query->now : WALL_NEVER;
	const struct cert *leaf = &cached->leaf;

	if (!trust->revocations || trust->revocations->count == 0)
		return 0;
	if (leaf_is_revoked(trust, leaf, before)) {
		(void)err_set(err, -EACCES, "%s (%s) is revoked", cert_kind_text(leaf->kind),
			      leaf->name);
		return TRUST_E_REVOKED;
	}
	for (size_t i = 0; i < cached->issuer_count; i++) {
		if (!issuer_is_revoked(trust, &cached->issuers[i], before))
			continue;
		(void)err_set(err, -EACCES, "%s (%s): its issuer %s is revoked",
			      cert_kind_text(leaf->kind), leaf->name, cached->issuers[i].name);
		return leaf->kind == CERT_MACHINE ? TRUST_E_RENEW_ONLY : TRUST_E_REVOKED;
	}
	return 0;
}

static int refuse_expired(const struct cert *leaf, const char *who, struct wall until,
			  struct wall now, struct err *err)
{
	int64_t life_ms = leaf->not_after.ms - leaf->not_before.ms;
	char age[AGE_TEXT_MAX];

	age_format(now.ms - until.ms, age);
	(void)err_set(err, -EACCES, "%s (%s): %s expired %s ago", cert_kind_text(leaf->kind),
		      leaf->name, who, age);
	if (leaf->kind == CERT_MACHINE && now.ms - leaf->not_after.ms <= life_ms)
		return TRUST_E_RENEW_ONLY;
	return TRUST_E_EXPIRED;
}

static int refuse_early(const struct cert *leaf, struct wall from, struct wall now, struct err *err)
{
	char age[AGE_TEXT_MAX];

	age_format(from.ms - now.ms, age);
	(void)err_set(err, -EACCES, "%s (%s) is valid only in %s", cert_kind_text(leaf->kind),
		      leaf->name, age);
	return TRUST_E_NOT_YET;
}

static int judge_time(const struct trust_cached *cached, const struct trust_query *query,
		      struct err *err)
{
	const struct cert *leaf = &cached->leaf;
	struct wall now = query->now, from = leaf->not_before;

	for (size_t i = 0; i < cached->issuer_count; i++) {
		if (cached->issuers[i].not_before.ms > from.ms)
			from = cached->issuers[i].not_before;
	}
	if (!query->now_is_floor && from.ms > now.ms)
		return refuse_early(leaf, from, now, err);
	if (now.ms > leaf->not_after.ms)
		return refuse_expired(leaf, "it", leaf->not_after, now, err);
	for (size_t i = 0; i < cached->issuer_count; i++) {
		if (now.ms > cached->issuers[i].not_after.ms)
			return refuse_expired(leaf, "its issuer", cached->issuers[i].not_after, now,
					      err);
	}
	return 0;
}

/* What changes with time, purpose and revocations: judged on each use of a verified chain. */
static int judge(const struct trust *trust, const struct trust_query *query,
		 const struct trust_cached *cached, struct err *err)
{
	const struct cert *leaf = &cached->leaf;
	int r, time;

	if (!purpose_takes(query->purpose, leaf->kind))
		return refuse_kind(query, leaf, err);
	r = judge_revoked(trust, query, cached, err);
	if (r == TRUST_E_REVOKED)
		return r;
	time = judge_time(cached, query, err);
	r = time ? time : r;
	if (r == TRUST_E_RENEW_ONLY && query->purpose == TRUST_JOINER)
		r = 0;
	if (r == 0 && query->purpose == TRUST_ADMITTER && !grant_has(&leaf->grant, ROLE_ADMIT)) {
		(void)err_set(err, -EACCES, "%s has not the role admit", leaf->name);
		return TRUST_E_NO_ROLE;
	}
	return r;
}

static struct cert root_of(const struct trust *trust, enum cert_family family)
{
	struct cert root = {.kind = CERT_ROOT, .family = family, .grant = grant_all()};

	root.key = trust->root[family - 1];
	memcpy(root.fabric, trust->fabric, sizeof(root.fabric));
	return root;
}

/* From the root down: each signed by the one above, and inside what that one may hand on. */
static int walk(const struct trust *trust, const struct chain *chain, const struct cert *cert,
		struct err *err)
{
	struct cert issuer = root_of(trust, cert[0].family);

	for (size_t i = chain->count; i-- > 0;) {
		if (!cert_signed_by(chain->cert[i], &issuer.key)) {
			(void)err_set(err, -EACCES, "%s (%s) is not signed by %s of this fabric",
				      cert_kind_text(cert[i].kind), cert[i].name,
				      cert_kind_text(issuer.kind));
			return TRUST_E_UNTRUSTED;
		}
		if (cert_narrows(&cert[i], &issuer, err) != 0)
			return TRUST_E_WIDENS;
		issuer = cert[i];
	}
	return 0;
}

/* Parse all, and leave out the root that some send along. */
static int chain_parse(struct chain *chain, struct cert *cert, struct err *err)
{
	if (chain->count == 0) {
		(void)err_set(err, -EACCES, "no certificate was shown");
		return TRUST_E_NO_CREDENTIAL;
	}
	if (chain->count > CHAIN_CERTS_MAX) {
		(void)err_set(err, -EBADMSG, "a chain of more than %d certificates",
			      CHAIN_CERTS_MAX);
		return TRUST_E_MALFORMED;
	}
	for (size_t i = 0; i < chain->count; i++) {
		int r = cert_parse(chain->cert[i], &cert[i], err);

		if (r)
			return r < 0 ? r : TRUST_E_MALFORMED;
	}
	if (chain->count > 1 && cert[chain->count - 1].kind == CERT_ROOT)
		chain->count--;
	return 0;
}

static struct trust_cached *cached_new(const struct chain *chain, const struct cert *cert)
{
	struct trust_cached *cached = mem_new(struct trust_cached);

	list_init(&cached->link);
	cached->leaf = cert[0];
	for (size_t i = 1; i < chain->count; i++) {
		struct trust_issuer *issuer = &cached->issuers[cached->issuer_count++];

		issuer->kind = cert[i].kind;
		issuer->key = cert[i].key;
		issuer->not_before = cert[i].not_before;
		issuer->not_after = cert[i].not_after;
		memcpy(issuer->name, cert[i].name, sizeof(issuer->name));
	}
	for (size_t i = 0; i < chain->count; i++)
		buf_append_bytes(&cached->chain, chain->cert[i]);
	return cached;
}

static int chain_check(const struct trust *trust, const struct trust_query *query,
		       struct chain *chain, struct cert *cert, struct err *err)
{
	int r = chain_parse(chain, cert, err);

	if (r)
		return r;
	if (strcmp(cert[0].fabric, trust->fabric) != 0) {
		(void)err_set(err, -EACCES, "%s (%s) of another fabric (%s; this one is %s)",
			      cert_kind_text(cert[0].kind), cert[0].name, cert[0].fabric,
			      trust->fabric);
		return TRUST_E_OTHER_FABRIC;
	}
	if (!purpose_takes(query->purpose, cert[0].kind))
		return refuse_kind(query, &cert[0], err);
	return walk(trust, chain, cert, err);
}

static bool cached_is(const struct trust_cached *cached, const struct chain *chain)
{
	size_t at = 0;

	for (size_t i = 0; i < chain->count; i++) {
		struct bytes der = chain->cert[i];

		if (der.len > cached->chain.len - at ||
		    memcmp(cached->chain.ptr + at, der.ptr, der.len) != 0)
			return false;
		at += der.len;
	}
	return at == cached->chain.len;
}

/* The chain as a cache entry, verified now or before. Another chain under the same leaf (its issuer
 * has a new certificate) is verified, and takes the place of the old one. */
static int chain_verify(struct trust *trust, const struct trust_query *query, struct chain chain,
			struct trust_cached **ret_cached, struct err *err)
{
	struct trust_cached *old = NULL;
	struct cert *cert;
	int r;

	if (chain.count > 0 && chain.count <= CHAIN_CERTS_MAX &&
	    chain.cert[0].len <= CERT_DER_MAX) {
		struct digest hash = sha256(chain.cert[0]);

		old = cache_get(trust, &hash);
	}
	if (old && cached_is(old, &chain)) {
		*ret_cached = old;
		return 0;
	}
	cert = mem_alloc(CHAIN_CERTS_MAX, sizeof(*cert));
	r = chain_check(trust, query, &chain, cert, err);
	if (r == 0) {
		if (old)
			cached_free(trust, old);
		*ret_cached = cached_new(&chain, cert);
		cache_put(trust, *ret_cached);
	}
	free(cert);
	return r;
}

int trust_verify(struct trust *trust, const struct trust_query *query, const struct chain *chain,
		 struct cert *ret_leaf, struct err *err)
{
	struct trust_cached *cached = NULL;
	int r = chain_verify(trust, query, *chain, &cached, err);

	if (r == 0)
		r = judge(trust, query, cached, err);
	if (ret_leaf && cached && (r == 0 || r == TRUST_E_RENEW_ONLY))
		*ret_leaf = cached->leaf;
	if (r > 0)
		trust->refused[r]++;
	return r;
}

int trust_leaf(struct trust *trust, const struct trust_query *query, const struct digest *hash,
	       const struct cert **ret_leaf, struct err *err)
{
	struct trust_cached *cached = cache_get(trust, hash);
	int r;

	if (!cached) {
		(void)err_set(err, -ENOENT, "certificate %.16s is not known here",
			      digest_text(hash).text);
		return TRUST_E_NO_CREDENTIAL;
	}
	r = judge(trust, query, cached, err);
	if (r == 0)
		*ret_leaf = &cached->leaf;
	if (r > 0)
		trust->refused[r]++;
	return r;
}

struct bytes trust_chain(struct trust *trust, const struct digest *hash)
{
	struct trust_cached *cached = cache_get(trust, hash);

	return cached ? bytes_buf(&cached->chain) : (struct bytes){0};
}
