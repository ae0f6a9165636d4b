/* SPDX-License-Identifier: Apache-2.0 */
#include "world.h"

#include <stdlib.h>

#include "base/mem.h"
#include "identity/sha256.h"

void world_random(uint32_t seed, uint8_t *ret_random, size_t len)
{
	uint32_t text[2] = {seed, 0};

	for (size_t at = 0; at < len; at += ID_LEN) {
		struct digest digest = sha256(bytes_of(text, sizeof(text)));

		memcpy(ret_random + at, digest.byte, len - at < ID_LEN ? len - at : ID_LEN);
		text[1]++;
	}
}

struct key world_key(uint32_t seed)
{
	uint8_t random[KEY_SEED_LEN];

	world_random(seed ^ 0x6b6579, random, sizeof(random));
	return key_from_seed(random);
}

struct fabric_made *world_fabric(uint32_t seed)
{
	uint8_t random[FABRIC_RANDOM_LEN];
	struct fabric_made *made = mem_new(struct fabric_made);
	struct err err = {0};

	world_random(seed, random, sizeof(random));
	assert_int_equal(fabric_make("alpha", NOW, random, made, &err), 0);
	for (size_t i = 0; i < sizeof(random); i++)
		assert_int_equal(random[i], 0);
	return made;
}

void world_trust(const struct credentials *credentials, struct trust *ret_trust)
{
	struct bytes root[CERT_FAMILY_COUNT];
	struct err err = {0};

	for (size_t i = 0; i < CERT_FAMILY_COUNT; i++)
		root[i] = bytes_buf(&credentials->root[i]);
	assert_int_equal(trust_init_certs(ret_trust, root, 8, 1, &err), 0);
}

struct chain world_chain(const struct buf *concatenated)
{
	struct chain chain;

	assert_true(chain_split(bytes_buf(concatenated), &chain));
	return chain;
}

struct cert world_leaf(const struct buf *concatenated)
{
	struct chain chain = world_chain(concatenated);
	struct cert cert;
	struct err err = {0};

	assert_int_equal(cert_parse(chain.cert[0], &cert, &err), 0);
	return cert;
}

struct voucher *world_voucher(const struct fabric_made *fabric, struct grant grant, bool plain,
			      struct wall now)
{
	struct signer admit = credentials_admit(&fabric->credentials, CERT_FAMILY_MACHINE);
	struct voucher_order order = {
		.grant = grant, .plain = plain, .now = now, .ttl_ms = CERT_DAY_MS};
	struct voucher *voucher = mem_new(struct voucher);
	struct err err = {0};

	world_random(77, order.seed, sizeof(order.seed));
	world_random(78, order.serial, sizeof(order.serial));
	assert_int_equal(voucher_make(&order, &admit, voucher, &err), 0);
	for (size_t i = 0; i < CERT_FAMILY_COUNT; i++)
		voucher->root[i] = fabric->roots.key[i].public_key;
	assert_true(voucher_add_address(voucher, "10.0.0.1:7946"));
	return voucher;
}

static struct join_intermediates world_intermediates(const struct fabric_made *fabric,
						     const struct join_request *request,
						     struct wall now)
{
	struct join_roots roots = {.keys = &fabric->roots, .holder = request->machine, .now = now};
	struct join_intermediates made;
	struct err err = {0};

	for (size_t i = 0; i < CERT_FAMILY_COUNT; i++) {
		roots.cert[i] = bytes_buf(&fabric->credentials.root[i]);
		world_random(90 + (uint32_t)i, roots.serials[i], CERT_SERIAL_LEN);
	}
	assert_int_equal(join_issue_intermediates(&roots, request->admit, &made, &err), 0);
	return made;
}

struct join_reply *world_join(const struct fabric_made *fabric, const struct voucher *voucher,
			      const char *node_name, uint32_t seed, struct wall now,
			      bool as_admitter)
{
	static const char *const members[] = {"10.0.0.1:7946", "10.0.0.2:7946"};
	struct join_answer answer = {.admitter = &fabric->credentials,
				     .now = now,
				     .members = members,
				     .member_count = ARRAY_LEN(members)};
	struct join_intermediates intermediates = {0};
	struct buf asked = {0}, replied = {0};
	uint8_t random[JOIN_RANDOM_LEN];
	struct join_request request;
	struct join_reply *reply = mem_new(struct join_reply);
	struct join_keys keys;
	struct trust trust;
	struct err err = {0};

	world_random(seed, random, sizeof(random));
	world_random(seed + 1, answer.serials, sizeof(answer.serials));
	join_keys_make(&keys, random);
	join_request_build(&keys, node_name, &fabric->credentials.machine.hash, &asked);
	assert_int_equal(join_request_open(bytes_buf(&asked), &voucher->cert,
					   &fabric->credentials.machine.hash, &request, &err),
			 0);
	if (as_admitter) {
		intermediates = world_intermediates(fabric, &request, now);
		answer.intermediates = &intermediates;
	}
	assert_int_equal(join_reply_build(&request, &answer, &replied, &err), 0);
	trust_init(&trust, voucher->root, 4, 1);
	assert_int_equal(join_reply_open(bytes_buf(&replied), &keys, &trust, reply, &err), 0);
	trust_deinit(&trust);
	join_intermediates_deinit(&intermediates);
	buf_deinit(&asked);
	buf_deinit(&replied);
	return reply;
}

struct cert_order world_order(enum cert_kind kind, const struct key *key)
{
	struct cert_order order = {.kind = kind, .key = key->public_key, .now = NOW};

	world_random(5, order.serial, sizeof(order.serial));
	return order;
}

void world_free_fabric(struct fabric_made *made)
{
	fabric_made_deinit(made);
	free(made);
}

void world_free_voucher(struct voucher *voucher)
{
	voucher_deinit(voucher);
	free(voucher);
}

void world_free_reply(struct join_reply *reply)
{
	join_reply_deinit(reply);
	free(reply);
}
