/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The endpoint owns all connections and decides only which of them a datagram or a deadline
 * concerns; what they do is in conn*.c, and what belongs to none of them in accept.c.
 */
#include "quic/endpoint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "io/entropy.h"
#include "quic/accept.h"
#include "quic/conn.h"
#include "quic/endpoint_state.h"
#include "quic/settings.h"
#include "quic/tls.h"

enum {
	HANDSHAKE_TIMEOUT_MS = 10 * MS_PER_S,
	IDLE_TIMEOUT_MS = 60 * MS_PER_S,
	KEEP_ALIVE_MS = 10 * MS_PER_S,
	CONNS_MAX = 4096,
	CONNS_PER_IP_MAX = 1024,
	HALF_OPEN_MAX = 1024,
	HALF_OPEN_PER_IP_MAX = 256,
	HALF_OPEN_RETRY = 64,
};

void endpoint_random(struct quic_endpoint *endpoint, void *out, size_t len)
{
	if (endpoint->config.random)
		endpoint->config.random(endpoint->config.io, out, len);
	else
		entropy_fill(out, len);
}

static void size_default(size_t *value, size_t otherwise)
{
	if (*value == 0)
		*value = otherwise;
}

static void ms_default(int64_t *value, int64_t otherwise)
{
	if (*value == 0)
		*value = otherwise;
}

static void set_defaults(struct quic_config *config)
{
	ms_default(&config->handshake_timeout_ms, HANDSHAKE_TIMEOUT_MS);
	ms_default(&config->idle_timeout_ms, IDLE_TIMEOUT_MS);
	ms_default(&config->keep_alive_ms, KEEP_ALIVE_MS);
	size_default(&config->conns_max, CONNS_MAX);
	size_default(&config->streams_max, QUIC_STREAMS_MAX);
	size_default(&config->stream_window_max, SETTINGS_STREAM_WINDOW_MAX);
	size_default(&config->conns_per_ip_max, CONNS_PER_IP_MAX);
	size_default(&config->half_open_max, HALF_OPEN_MAX);
	size_default(&config->half_open_per_ip_max, HALF_OPEN_PER_IP_MAX);
	size_default(&config->half_open_retry, HALF_OPEN_RETRY);
}

static int add_acceptor(struct quic_endpoint *endpoint, const struct quic_acceptor *from,
			struct err *err)
{
	struct endpoint_acceptor *acceptor = &endpoint->acceptor[endpoint->acceptor_count];

	if (!from->credential || strlen(from->alpn) < 1 || strlen(from->alpn) >= QUIC_ALPN_MAX)
		return err_set(err, -EINVAL, "a protocol needs a name and a certificate");
	(void)snprintf(acceptor->alpn, sizeof(acceptor->alpn), "%s", from->alpn);
	acceptor->credential = quic_credential_ref(from->credential);
	endpoint->acceptor_count++;
	return 0;
}

static int add_acceptors(struct quic_endpoint *endpoint, const struct quic_config *config,
			 struct err *err)
{
	int r = 0;

	if (config->acceptor_count > QUIC_ACCEPTORS_MAX)
		return err_set(err, -EINVAL, "more than %d protocols", QUIC_ACCEPTORS_MAX);
	for (size_t i = 0; i < config->acceptor_count && r == 0; i++)
		r = add_acceptor(endpoint, &config->acceptor[i], err);
	return r;
}

int quic_endpoint_new(const struct quic_config *config, const struct quic_handler *handler,
		      void *user, struct err *err, struct quic_endpoint **ret_endpoint)
{
	static const uint8_t none[QUIC_RESET_SECRET_LEN];
	struct quic_endpoint *endpoint = mem_new(struct quic_endpoint);
	struct mono start = {0};
	uint64_t seed;
	int r;

	endpoint->config = *config;
	set_defaults(&endpoint->config);
	endpoint->handler = handler;
	endpoint->user = user;
	endpoint->output = mem_new(struct output);
	list_init(&endpoint->conns);
	list_init(&endpoint->dirty);
	bucket_init(&endpoint->resets, start, ACCEPT_RESETS_BURST, ACCEPT_RESETS_PER_S);
	bucket_init(&endpoint->versions, start, ACCEPT_VERSIONS_BURST, ACCEPT_VERSIONS_PER_S);
	bucket_init(&endpoint->log_lines, start, LOG_REFUSALS_BURST, LOG_REFUSALS_PER_S);
	endpoint->log_limit.interval_us = LOG_REFUSAL_INTERVAL_US;
	endpoint_random(endpoint, &seed, sizeof(seed));
	cid_table_init(&endpoint->cids, seed);
	accept_init(endpoint);
	if (memcmp(config->reset_secret, none, sizeof(none)) == 0)
		endpoint_random(endpoint, endpoint->config.reset_secret, sizeof(none));
	r = add_acceptors(endpoint, config, err);
	if (r == 0)
		r = tls_endpoint_init(endpoint, err);
	if (r < 0) {
		quic_endpoint_free(endpoint);
		return err_trace(r);
	}
	*ret_endpoint = endpoint;
	return 0;
}

void quic_endpoint_free(struct quic_endpoint *endpoint)
{
	if (!endpoint)
		return;
	while (!list_is_empty(&endpoint->conns))
		endpoint_forget(endpoint, list_first(&endpoint->conns, struct quic_conn, all));
	accept_deinit(endpoint);
	cid_table_deinit(&endpoint->cids);
	expiry_heap_deinit(&endpoint->expiries);
	tls_endpoint_deinit(endpoint);
	for (size_t i = 0; i < endpoint->acceptor_count; i++)
		quic_credential_unref(endpoint->acceptor[i].credential);
	secret_wipe(endpoint->config.reset_secret, sizeof(endpoint->config.reset_secret));
	free(endpoint->output);
	free(endpoint);
}

void endpoint_release(struct quic_endpoint *endpoint, struct quic_conn *conn)
{
	if (conn->released)
		return;
	conn->released = true;
	endpoint->stats.conns--;
	accept_uncount(endpoint, conn);
}

void endpoint_forget(struct quic_endpoint *endpoint, struct quic_conn *conn)
{
	if (conn->state == CONN_LINGER && conn->released)
		endpoint->lingering--;
	endpoint_release(endpoint, conn);
	cid_set_clear(&endpoint->cids, &conn->cids);
	expiry_set(&endpoint->expiries, &conn->expiry, MONO_NEVER);
	list_remove(&conn->all);
	list_remove(&conn->dirty);
	conn_free(conn);
}

int quic_endpoint_set_credential(struct quic_endpoint *endpoint, const char *alpn,
				 struct quic_credential *credential)
{
	for (size_t i = 0; i < endpoint->acceptor_count; i++) {
		struct endpoint_acceptor *acceptor = &endpoint->acceptor[i];

		if (strcmp(acceptor->alpn, alpn) != 0)
			continue;
		quic_credential_ref(credential);
		quic_credential_unref(acceptor->credential);
		acceptor->credential = credential;
		return 0;
	}
	return QUIC_E_UNKNOWN;
}

void quic_endpoint_close_all(struct quic_endpoint *endpoint, const char *reason)
{
	endpoint->closing = true;
	list_for_each (link, &endpoint->conns)
		conn_end_application(list_entry(link, struct quic_conn, all), 0, reason);
}

const struct quic_stats *quic_endpoint_stats(const struct quic_endpoint *endpoint)
{
	return &endpoint->stats;
}

void quic_endpoint_input(struct quic_endpoint *endpoint, struct mono now,
			 const struct quic_path *path, struct bytes datagram)
{
	ngtcp2_version_cid ids;
	struct quic_conn *conn;
	int r;

	endpoint->stats.datagrams_in++;
	endpoint->stats.bytes_in += datagram.len;
	if (datagram.len == 0) {
		endpoint->stats.unroutable++;
		return;
	}
	r = ngtcp2_pkt_decode_version_cid(&ids, datagram.ptr, datagram.len, CID_LEN);
	if (r == NGTCP2_ERR_VERSION_NEGOTIATION) {
		accept_other_version(endpoint, now, path, &ids, datagram.len);
		return;
	}
	if (r != 0) {
		endpoint->stats.unroutable++;
		return;
	}
	conn = cid_find(&endpoint->cids, bytes_of(ids.dcid, ids.dcidlen));
	if (!conn) {
		accept_datagram(endpoint, now, path, datagram);
		return;
	}
	r = conn_read(conn, now, path, datagram);
	if (r == CONN_E_RETRY)
		accept_send_retry(endpoint, now, path, datagram);
	/* Whoever knows the connection is told at the next flush; these two end only what nobody
	 * has heard of. */
	if (r != 0)
		endpoint_forget(endpoint, conn);
}

static void flush_conn(struct quic_endpoint *endpoint, struct quic_conn *conn, struct mono now)
{
	conn->now = now;
	if (conn->state == CONN_LINGER && conn->farewell)
		output_packet(endpoint->output, &conn->path,
			      bytes_of(conn->farewell, conn->farewell_len));
	/* Last words leave before a goodbye in order, if they may leave at once. */
	if (conn_is_live(conn) || (conn->state == CONN_ENDING && conn->goodbye->in_order))
		conn_write(conn, now, endpoint->output);
	if (conn->state == CONN_ENDING)
		conn_finish(conn, now, endpoint->output);
}

bool quic_endpoint_flush(struct quic_endpoint *endpoint, struct mono now, quic_sink_fn sink,
			 void *io)
{
	struct output *output = endpoint->output;

	output_begin(output, sink, io);
	accept_flush(endpoint);
	while (!output->stopped && !list_is_empty(&endpoint->dirty)) {
		struct quic_conn *conn = list_first(&endpoint->dirty, struct quic_conn, dirty);

		list_remove(&conn->dirty);
		flush_conn(endpoint, conn, now);
	}
	output_flush(output);
	endpoint->stats.datagrams_out = output->datagrams;
	endpoint->stats.bytes_out = output->bytes;
	return !output->stopped;
}

struct mono quic_endpoint_deadline(const struct quic_endpoint *endpoint)
{
	const struct expiry *first = expiry_first(&endpoint->expiries);

	return first ? first->at : MONO_NEVER;
}

void quic_endpoint_expire(struct quic_endpoint *endpoint, struct mono now)
{
	struct expiry *first;

	while ((first = expiry_first(&endpoint->expiries)) && mono_reached(now, first->at)) {
		struct quic_conn *conn = container_of(first, struct quic_conn, expiry);

		/* One turn each: a connection that is due again at once waits for the flush. */
		expiry_set(&endpoint->expiries, first, MONO_NEVER);
		conn_expire(conn, now);
	}
}

int quic_dial(struct quic_endpoint *endpoint, struct mono now, const struct quic_dial *dial,
	      struct quic_conn **ret_conn)
{
	struct quic_path path = {.local = endpoint->config.local, .remote = dial->remote};
	int r;

	if (endpoint->closing || endpoint->stats.conns >= endpoint->config.conns_max)
		return QUIC_E_FULL;
	if (strlen(dial->alpn) < 1 || strlen(dial->alpn) >= QUIC_ALPN_MAX)
		return QUIC_E_UNKNOWN;
	if (endpoint->config.route) {
		r = endpoint->config.route(endpoint->config.io, &dial->remote, &path.local);
		if (r < 0)
			return err_trace(r);
	}
	return conn_new_client(endpoint, now, &path, dial, ret_conn);
}

void quic_conn_close(struct quic_conn *conn, uint32_t code, const char *reason)
{
	conn_end_application(conn, code, reason);
}

int quic_conn_send(struct quic_conn *conn, struct bytes message)
{
	int r;

	if (!conn_is_live(conn))
		return QUIC_E_CLOSED;
	r = messages_queue(conn, message);
	if (r == 0)
		conn_touch(conn);
	return r;
}

void quic_conn_set_user(struct quic_conn *conn, void *user)
{
	conn->user = user;
}

void *quic_conn_user(const struct quic_conn *conn)
{
	return conn->user;
}

const char *quic_conn_alpn(const struct quic_conn *conn)
{
	return conn->alpn;
}

bool quic_conn_is_dialled(const struct quic_conn *conn)
{
	return conn->dialled;
}

struct addr quic_conn_remote(const struct quic_conn *conn)
{
	return conn->path.remote;
}

size_t quic_conn_peer_chain(const struct quic_conn *conn, const struct bytes **ret_chain)
{
	*ret_chain = conn->chain;
	return conn->chain_count;
}

int64_t quic_conn_rtt_us(struct quic_conn *conn)
{
	ngtcp2_conn_info info;

	if (!conn->ng)
		return (int64_t)SETTINGS_INITIAL_RTT_MS * US_PER_MS;
	ngtcp2_conn_get_conn_info(conn->ng, &info);
	return (int64_t)(info.smoothed_rtt / NGTCP2_MICROSECONDS);
}
