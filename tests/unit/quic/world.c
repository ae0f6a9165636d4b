/* SPDX-License-Identifier: Apache-2.0 */
#include "world.h"

#include <assert.h>
#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static void must(int r)
{
	if (r < 0)
		abort();
}

void test_certificate(const uint8_t seed[QUIC_SEED_LEN], struct buf *ret_der)
{
	uint8_t public[crypto_sign_PUBLICKEYBYTES], secret[crypto_sign_SECRETKEYBYTES];
	uint8_t copy[QUIC_SEED_LEN];
	gnutls_datum_t x = {public, sizeof(public)}, k = {copy, sizeof(copy)}, der;
	gnutls_x509_privkey_t key;
	gnutls_x509_crt_t crt;

	memcpy(copy, seed, sizeof(copy));
	must(crypto_sign_seed_keypair(public, secret, seed));
	must(gnutls_x509_privkey_init(&key));
	must(gnutls_x509_privkey_import_ecc_raw(key, GNUTLS_ECC_CURVE_ED25519, &x, NULL, &k));
	must(gnutls_x509_crt_init(&crt));
	must(gnutls_x509_crt_set_version(crt, 3));
	must(gnutls_x509_crt_set_key(crt, key));
	must(gnutls_x509_crt_set_serial(crt, "\1", 1));
	must(gnutls_x509_crt_set_activation_time(crt, 0));
	must(gnutls_x509_crt_set_expiration_time(crt, 4000000000));
	must(gnutls_x509_crt_sign2(crt, crt, key, GNUTLS_DIG_SHA512, 0));
	must(gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_DER, &der));
	buf_append(ret_der, der.data, der.size);
	gnutls_free(der.data);
	gnutls_x509_crt_deinit(crt);
	gnutls_x509_privkey_deinit(key);
}

/* Made once per program and key: signing costs more than most tests. */
struct quic_credential *test_credential(uint8_t fill, struct buf *ret_der)
{
	static struct quic_credential *made[UINT8_MAX + 1];
	static struct buf leaf[UINT8_MAX + 1];
	uint8_t seed[QUIC_SEED_LEN];
	struct bytes chain;

	if (!made[fill]) {
		memset(seed, fill, sizeof(seed));
		test_certificate(seed, &leaf[fill]);
		chain = bytes_buf(&leaf[fill]);
		must(quic_credential_new(&chain, 1, seed, NULL, &made[fill]));
	}
	buf_append_bytes(ret_der, bytes_buf(&leaf[fill]));
	return quic_credential_ref(made[fill]);
}

uint64_t world_random(struct world *world)
{
	world->random += 0x9e3779b97f4a7c15u;
	uint64_t z = world->random;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static void on_random(void *io, void *out, size_t len)
{
	struct node *node = io;

	for (size_t i = 0; i < len; i++)
		((uint8_t *)out)[i] = (uint8_t)world_random(node->world);
}

static int on_verify(void *user, const struct quic_peer *peer, const struct bytes *chain,
		     size_t count, struct err *err)
{
	struct node *node = user;

	(void)peer;
	(void)chain;
	(void)count;
	node->verified++;
	return node->refuses ? err_set(err, -EACCES, "not of this fabric") : 0;
}

static void on_opened(void *user, struct quic_conn *conn)
{
	struct node *node = user;

	node->opened++;
	node->conn = conn;
	if (node->on_opened)
		node->on_opened(node, conn);
}

static void on_closed(void *user, struct quic_conn *conn, const struct err *why)
{
	struct node *node = user;

	if (node->conn == conn)
		node->conn = NULL;
	node->closed++;
	node->why = *why;
}

static void on_message(void *user, struct quic_conn *conn, struct bytes message)
{
	struct node *node = user;
	uint32_t number;

	(void)conn;
	node->messages++;
	node->message_bytes += message.len;
	if (message.len < sizeof(number))
		return;
	memcpy(&number, message.ptr, sizeof(number));
	if (number < sizeof(node->message_counts))
		node->message_counts[number]++;
}

static void on_stream_opened(void *user, struct quic_conn *conn, struct quic_stream *stream)
{
	struct node *node = user;

	(void)conn;
	node->streams++;
	node->stream = stream;
}

static void on_stream_data(void *user, struct quic_stream *stream, struct bytes data, bool end)
{
	struct node *node = user;

	node->stream_bytes += data.len;
	node->ended += end;
	if (!node->lazy)
		quic_stream_consumed(stream, data.len);
}

static void on_stream_writable(void *user, struct quic_stream *stream)
{
	struct node *node = user;

	(void)stream;
	node->writable++;
}

static void on_stream_closed(void *user, struct quic_stream *stream, const struct err *why)
{
	struct node *node = user;

	if (node->stream == stream)
		node->stream = NULL;
	node->streams_closed++;
	node->stream_why = why ? *why : (struct err){0};
}

static const struct quic_handler handler = {
	.verify = on_verify,
	.opened = on_opened,
	.closed = on_closed,
	.message = on_message,
	.stream_opened = on_stream_opened,
	.stream_data = on_stream_data,
	.stream_writable = on_stream_writable,
	.stream_closed = on_stream_closed,
};

struct world *world_new(uint64_t seed)
{
	struct world *world = mem_new(struct world);

	must(sodium_init());
	world->random = seed;
	world->now = (struct mono){.us = 1000000};
	world->delay_us = WORLD_RTT_US / 2;
	list_init(&world->packets);
	return world;
}

void world_free(struct world *world)
{
	for (size_t i = 0; i < world->node_count; i++) {
		quic_endpoint_free(world->node[i].endpoint);
		quic_credential_unref(world->node[i].credential);
		buf_deinit(&world->node[i].leaf);
	}
	while (!list_is_empty(&world->packets)) {
		struct world_packet *packet =
			list_first(&world->packets, struct world_packet, link);

		list_remove(&packet->link);
		free(packet);
	}
	free(world);
}

static void node_start(struct node *node, struct quic_config *config)
{
	struct err err = {0};

	config->local = node->addr;
	config->random = on_random;
	config->io = node;
	memset(config->reset_secret, 0x50 + (int)node->index, sizeof(config->reset_secret));
	if (config->acceptor_count == 0)
		config->acceptor[config->acceptor_count++] = (struct quic_acceptor){
			.alpn = "magik-machine/1", .credential = node->credential};
	must(quic_endpoint_new(config, &handler, node, &err, &node->endpoint));
}

struct node *world_add(struct world *world, const struct quic_config *config)
{
	struct node *node = &world->node[world->node_count];
	struct quic_config filled = config ? *config : (struct quic_config){0};

	assert(world->node_count < WORLD_NODES_MAX);
	node->world = world;
	node->index = world->node_count++;
	node->addr = (struct addr){
		.ip = {10, 0, 0, (uint8_t)(1 + node->index)}, .port = 7000, .is_v4 = true};
	if (world->one_machine) {
		node->addr.ip[3] = 1;
		node->addr.port = (uint16_t)(node->addr.port + node->index);
	}
	node->credential = test_credential((uint8_t)(1 + node->index), &node->leaf);
	node_start(node, &filled);
	return node;
}

void world_restart(struct world *world, struct node *node)
{
	struct quic_config config = {0};

	(void)world;
	quic_endpoint_free(node->endpoint);
	node_start(node, &config);
}

struct quic_conn *world_dial(struct node *from, const struct node *to)
{
	struct quic_dial dial = {
		.remote = to->addr, .alpn = "magik-machine/1", .credential = from->credential};
	struct quic_conn *conn;

	must(-quic_dial(from->endpoint, from->world->now, &dial, &conn));
	return conn;
}

static void link_send(struct world *world, const struct quic_path *path, struct bytes datagram)
{
	struct world_packet *packet;

	world->sent++;
	if (world_random(world) % 1000 < world->loss_permille)
		return;
	packet = mem_alloc(1, sizeof(*packet) + datagram.len);
	packet->path = (struct quic_path){.local = path->remote, .remote = path->local};
	packet->len = datagram.len;
	packet->at = mono_add_us(world->now, world->delay_us);
	if (world->jitter_us)
		packet->at = mono_add_us(
			packet->at, (int64_t)(world_random(world) % (uint64_t)world->jitter_us));
	memcpy(packet->data, datagram.ptr, datagram.len);
	if (world->tap && !world->tap(world, packet)) {
		free(packet);
		return;
	}
	list_append(&world->packets, &packet->link);
}

static bool on_train(void *io, const struct quic_train *train)
{
	struct node *node = io;
	struct bytes left = train->data;

	while (left.len > 0) {
		struct bytes one = left;

		if (one.len > train->segment_len)
			one.len = train->segment_len;
		link_send(node->world, &train->path, one);
		if (world_random(node->world) % 1000 < node->world->duplicate_permille)
			link_send(node->world, &train->path, one);
		left.ptr += one.len;
		left.len -= one.len;
	}
	return true;
}

static struct world_packet *earliest_packet(struct world *world)
{
	struct world_packet *earliest = NULL;

	list_for_each (link, &world->packets) {
		struct world_packet *packet = list_entry(link, struct world_packet, link);

		if (!earliest || packet->at.us < earliest->at.us)
			earliest = packet;
	}
	return earliest;
}

static void deliver(struct world *world, struct world_packet *packet)
{
	for (size_t i = 0; i < world->node_count; i++) {
		struct node *node = &world->node[i];

		if (addr_equal(&node->addr, &packet->path.local))
			quic_endpoint_input(node->endpoint, world->now, &packet->path,
					    bytes_of(packet->data, packet->len));
	}
	list_remove(&packet->link);
	free(packet);
}

static void flush_all(struct world *world)
{
	for (size_t i = 0; i < world->node_count; i++) {
		world->acting = &world->node[i];
		(void)quic_endpoint_flush(world->node[i].endpoint, world->now, on_train,
					  &world->node[i]);
	}
	world->acting = NULL;
}

/* The earliest thing that may happen, and its consequences. False: nothing ever will before
 * @until. */
static bool step(struct world *world, struct mono until)
{
	struct world_packet *packet = earliest_packet(world);
	struct mono next = packet ? packet->at : MONO_NEVER;

	for (size_t i = 0; i < world->node_count; i++)
		next = mono_min(next, quic_endpoint_deadline(world->node[i].endpoint));
	if (next.us > until.us) {
		world->now = until;
		return false;
	}
	if (next.us > world->now.us)
		world->now = next;
	if (packet && packet->at.us <= world->now.us)
		deliver(world, packet);
	for (size_t i = 0; i < world->node_count; i++)
		quic_endpoint_expire(world->node[i].endpoint, world->now);
	flush_all(world);
	return true;
}

bool world_run(struct world *world, int64_t span_ms, bool (*done)(struct world *world))
{
	struct mono until = mono_add_ms(world->now, span_ms);

	flush_all(world);
	while (!(done && done(world))) {
		if (!step(world, until))
			return done && done(world);
	}
	return true;
}

bool world_all_open(struct world *world)
{
	for (size_t i = 0; i < world->node_count; i++) {
		if (world->node[i].opened == 0)
			return false;
	}
	return true;
}

bool world_node0_closed(struct world *world)
{
	return world->node[0].closed > 0;
}

struct world *world_pair(uint64_t seed)
{
	struct world *world = world_new(seed);

	(void)world_add(world, NULL);
	(void)world_add(world, NULL);
	(void)world_dial(&world->node[0], &world->node[1]);
	if (!world_run(world, 10000, world_all_open))
		abort();
	return world;
}
