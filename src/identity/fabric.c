/* SPDX-License-Identifier: Apache-2.0 */
#include "identity/fabric.h"

#include <assert.h>
#include <string.h>

#include "identity/keyring.h"

/* Deals out the block of random bytes, each byte once. */
struct dealer {
	const uint8_t *at;
	size_t left;
};

static const uint8_t *deal(struct dealer *dealer, size_t len)
{
	const uint8_t *dealt = dealer->at;

	assert(dealer->left >= len);
	dealer->at += len;
	dealer->left -= len;
	return dealt;
}

static struct key deal_key(struct dealer *dealer)
{
	return key_from_seed(deal(dealer, KEY_SEED_LEN));
}

static struct cert_order deal_order(struct dealer *dealer, enum cert_kind kind,
				    const struct key *key, struct wall now)
{
	struct cert_order order = {.kind = kind, .key = key->public_key, .now = now};

	memcpy(order.serial, deal(dealer, CERT_SERIAL_LEN), CERT_SERIAL_LEN);
	return order;
}

/* With the keys of @roots, or with new ones (NULL). */
static int make_roots(struct dealer *dealer, const struct root_keys *roots, struct wall now,
		      struct fabric_made *made, struct err *err)
{
	uint8_t serials[CERT_FAMILY_COUNT][CERT_SERIAL_LEN];

	for (size_t i = 0; i < CERT_FAMILY_COUNT; i++)
		made->roots.key[i] = deal_key(dealer);
	if (roots)
		made->roots = *roots;
	memcpy(serials, deal(dealer, sizeof(serials)), sizeof(serials));
	return root_certs_make(&made->roots, now, serials, made->credentials.root, err);
}

static int make_admit(struct dealer *dealer, struct wall now, struct fabric_made *made,
		      struct err *err)
{
	struct credentials *own = &made->credentials;
	int r = 0;

	own->machine_key = deal_key(dealer); /* its intermediates are named after it */
	for (size_t i = 0; r == 0 && i < CERT_FAMILY_COUNT; i++) {
		struct signer root = {&made->roots.key[i], bytes_buf(&own->root[i])};
		struct cert_order order;

		own->admit_key[i] = deal_key(dealer);
		order = deal_order(dealer, CERT_ADMIT, &own->admit_key[i], now);
		order.family = (enum cert_family)(i + 1);
		order.holder = own->machine_key.public_key;
		order.grant = grant_all();
		r = cert_issue(&order, &root, &own->admit_cert[i], err);
	}
	return r;
}

/* Issue under the machine's own intermediate of @family, and put that behind the leaf. */
static int issue_own(const struct credentials *own, enum cert_family family,
		     const struct cert_order *order, struct buf *chain, struct err *err)
{
	struct signer admit = credentials_admit(own, family);
	int r = cert_issue(order, &admit, chain, err);

	if (r == 0)
		buf_append_bytes(chain, admit.cert);
	return r;
}

static int make_leaves(struct dealer *dealer, const char *node_name, struct wall now,
		       struct fabric_made *made, struct err *err)
{
	struct credentials *own = &made->credentials;
	struct cert_order order;
	int r;

	order = deal_order(dealer, CERT_MACHINE, &own->machine_key, now);
	order.name = node_name;
	order.grant = grant_all();
	issue_salt(&own->admit_key[CERT_FAMILY_MACHINE - 1], &order.key, order.salt);
	r = issue_own(own, CERT_FAMILY_MACHINE, &order, &own->machine_chain, err);
	if (r)
		return r;
	own->rest_key = deal_key(dealer);
	order = deal_order(dealer, CERT_REST, &own->rest_key, now);
	r = issue_own(own, CERT_FAMILY_API, &order, &own->rest_chain, err);
	if (r)
		return r;
	own->steward_key = deal_key(dealer);
	order = deal_order(dealer, CERT_STEWARD, &own->steward_key, now);
	order.holder = own->machine_key.public_key;
	order.grant = (struct grant){.roles = ROLE_STEWARD, .all_namespaces = true};
	return issue_own(own, CERT_FAMILY_WORKLOAD, &order, &own->steward_chain, err);
}

static int make_admin(struct dealer *dealer, struct wall now, struct fabric_made *made,
		      struct err *err)
{
	static const char *const groups[] = {"system:masters"};
	struct user_order order = {
		.name = "admin", .groups = groups, .group_count = ARRAY_LEN(groups), .now = now};
	struct signer admit = credentials_admit(&made->credentials, CERT_FAMILY_API);
	uint8_t random[USER_RANDOM_LEN];

	memcpy(random, deal(dealer, sizeof(random)), sizeof(random));
	return user_issue(&order, &admit, random, &made->admin, err);
}

int fabric_make(const char *node_name, struct wall now, uint8_t random[FABRIC_RANDOM_LEN],
		struct fabric_made *ret_made, struct err *err)
{
	return fabric_make_under(NULL, node_name, now, random, ret_made, err);
}

int fabric_make_under(const struct root_keys *roots, const char *node_name, struct wall now,
		      uint8_t random[FABRIC_RANDOM_LEN], struct fabric_made *ret_made,
		      struct err *err)
{
	struct dealer dealer = {random, FABRIC_RANDOM_LEN};
	struct fabric_made made = {0};
	struct chain chain;
	int r = make_roots(&dealer, roots, now, &made, err);

	if (r == 0)
		r = make_admit(&dealer, now, &made, err);
	if (r == 0)
		r = make_leaves(&dealer, node_name, now, &made, err);
	if (r == 0)
		r = make_admin(&dealer, now, &made, err);
	if (r == 0 && !chain_split(bytes_buf(&made.credentials.machine_chain), &chain))
		r = err_origin(-EIO);
	if (r == 0)
		r = cert_parse(chain.cert[0], &made.credentials.machine, err);
	secret_wipe(random, FABRIC_RANDOM_LEN);
	if (r == 0)
		*ret_made = made;
	else
		fabric_made_deinit(&made);
	return r;
}

void fabric_made_deinit(struct fabric_made *made)
{
	root_keys_wipe(&made->roots);
	credentials_deinit(&made->credentials);
	user_credential_deinit(&made->admin);
}

int user_issue(const struct user_order *order, const struct signer *signer,
	       uint8_t random[USER_RANDOM_LEN], struct user_credential *ret_user, struct err *err)
{
	struct dealer dealer = {random, USER_RANDOM_LEN};
	struct user_credential user = {.key = deal_key(&dealer)};
	struct cert_order cert;
	int r;

	if (order->key) {
		key_wipe(&user.key);
		user.key.public_key = *order->key;
	}
	cert = deal_order(&dealer, CERT_USER, &user.key, order->now);
	cert.name = order->name;
	cert.groups = order->groups;
	cert.group_count = order->group_count;
	cert.life_ms = order->life_ms;
	r = cert_issue(&cert, signer, &user.chain, err);
	secret_wipe(random, USER_RANDOM_LEN);
	if (r) {
		user_credential_deinit(&user);
		return r;
	}
	buf_append_bytes(&user.chain, signer->cert);
	*ret_user = user;
	return 0;
}

void user_credential_deinit(struct user_credential *user)
{
	key_wipe(&user->key);
	buf_deinit(&user->chain);
}
