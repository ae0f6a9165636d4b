/* SPDX-License-Identifier: Apache-2.0 */
#include "quic/accept.h"

#include <ngtcp2/ngtcp2_crypto.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "quic/conn.h"
#include "quic/path.h"

void accept_init(struct quic_endpoint *endpoint)
{
	uint64_t seed;

	endpoint_random(endpoint, &seed, sizeof(seed));
	map_init(&endpoint->addresses, seed);
	list_init(&endpoint->strays);
	endpoint_random(endpoint, endpoint->retry_secret, sizeof(endpoint->retry_secret));
}

void accept_deinit(struct quic_endpoint *endpoint)
{
	map_for_each (entry, &endpoint->addresses)
		free(entry->value);
	map_deinit(&endpoint->addresses);
	while (!list_is_empty(&endpoint->strays)) {
		struct stray *stray = list_first(&endpoint->strays, struct stray, link);

		list_remove(&stray->link);
		free(stray);
	}
	secret_wipe(endpoint->retry_secret, sizeof(endpoint->retry_secret));
}

/* Whoever has one IPv6 address usually has its /64. */
static struct bytes address_key(const struct addr *addr)
{
	struct bytes ip = addr_ip(addr);

	if (!addr->is_v4)
		ip.len = 8;
	return ip;
}

static struct accept_address *address_of(struct quic_endpoint *endpoint, const struct addr *addr)
{
	return map_get(&endpoint->addresses, address_key(addr));
}

void accept_count(struct quic_endpoint *endpoint, struct quic_conn *conn)
{
	struct accept_address *address = address_of(endpoint, &conn->accepted_from);

	if (!address) {
		address = mem_new(struct accept_address);
		(void)map_put(&endpoint->addresses, address_key(&conn->accepted_from), address);
	}
	address->conns++;
	address->half_open++;
	conn->counted_ip = conn->half_open = true;
	endpoint->stats.half_open++;
}

void accept_uncount_half_open(struct quic_endpoint *endpoint, struct quic_conn *conn)
{
	if (!conn->half_open)
		return;
	conn->half_open = false;
	endpoint->stats.half_open--;
	address_of(endpoint, &conn->accepted_from)->half_open--;
}

void accept_uncount(struct quic_endpoint *endpoint, struct quic_conn *conn)
{
	struct accept_address *address;

	accept_uncount_half_open(endpoint, conn);
	if (!conn->counted_ip)
		return;
	conn->counted_ip = false;
	address = address_of(endpoint, &conn->accepted_from);
	if (--address->conns == 0) {
		(void)map_remove(&endpoint->addresses, address_key(&conn->accepted_from));
		free(address);
	}
}

/* NULL when too many wait already: they are answers to strangers. */
static struct stray *stray_new(struct quic_endpoint *endpoint, const struct quic_path *path)
{
	struct stray *stray;

	if (endpoint->stray_count >= STRAY_MAX)
		return NULL;
	stray = mem_new(struct stray);
	stray->path = *path;
	list_append(&endpoint->strays, &stray->link);
	endpoint->stray_count++;
	return stray;
}

static void stray_drop(struct quic_endpoint *endpoint, struct stray *stray)
{
	list_remove(&stray->link);
	endpoint->stray_count--;
	free(stray);
}

/* @len as the library's writers return it. */
static bool stray_filled(struct quic_endpoint *endpoint, struct stray *stray, ngtcp2_ssize len)
{
	if (len <= 0) {
		stray_drop(endpoint, stray);
		return false;
	}
	stray->len = (size_t)len;
	return true;
}

void accept_flush(struct quic_endpoint *endpoint)
{
	while (!list_is_empty(&endpoint->strays) && !endpoint->output->stopped) {
		struct stray *stray = list_first(&endpoint->strays, struct stray, link);

		output_packet(endpoint->output, &stray->path, bytes_of(stray->data, stray->len));
		stray_drop(endpoint, stray);
	}
}

void accept_other_version(struct quic_endpoint *endpoint, struct mono now,
			  const struct quic_path *path, const ngtcp2_version_cid *ids,
			  size_t datagram_len)
{
	static const uint32_t ours[] = {NGTCP2_PROTO_VER_V1};
	struct stray *stray;
	uint8_t random;

	/* RFC 9000 section 6.1: never in answer to what is smaller than an Initial may be. */
	if (datagram_len < ACCEPT_INITIAL_MIN || !bucket_take(&endpoint->versions, now, 1) ||
	    !(stray = stray_new(endpoint, path)))
		return;
	endpoint_random(endpoint, &random, 1);
	if (stray_filled(endpoint, stray,
			 ngtcp2_pkt_write_version_negotiation(
				 stray->data, sizeof(stray->data), random, ids->scid, ids->scidlen,
				 ids->dcid, ids->dcidlen, ours, ARRAY_LEN(ours))))
		endpoint->stats.versions_sent++;
}

/* "Whoever you talk to, I am not that any more": the token proves that we were. */
static void send_reset(struct quic_endpoint *endpoint, struct mono now,
		       const struct quic_path *path, struct bytes datagram)
{
	uint8_t token[NGTCP2_STATELESS_RESET_TOKENLEN], random[22];
	struct stray *stray;
	ngtcp2_cid cid;

	if (datagram.len < ACCEPT_RESET_MIN || !bucket_take(&endpoint->resets, now, 1) ||
	    !(stray = stray_new(endpoint, path)))
		return;
	ngtcp2_cid_init(&cid, datagram.ptr + 1, CID_LEN);
	endpoint_random(endpoint, random, sizeof(random));
	if (ngtcp2_crypto_generate_stateless_reset_token(token, endpoint->config.reset_secret,
							 sizeof(endpoint->config.reset_secret),
							 &cid) != 0) {
		stray_drop(endpoint, stray);
		return;
	}
	if (stray_filled(endpoint, stray,
			 ngtcp2_pkt_write_stateless_reset(stray->data, sizeof(stray->data), token,
							  random, sizeof(random))))
		endpoint->stats.resets_sent++;
}

static void rotate_secret(struct quic_endpoint *endpoint, struct mono now)
{
	if (mono_since_us(now, endpoint->retry_rotated) < (int64_t)RETRY_SECRET_LIFE_S * US_PER_S)
		return;
	memcpy(endpoint->retry_secret[1], endpoint->retry_secret[0], RETRY_SECRET_LEN);
	endpoint_random(endpoint, endpoint->retry_secret[0], RETRY_SECRET_LEN);
	endpoint->retry_rotated = now;
}

static void send_retry(struct quic_endpoint *endpoint, struct mono now,
		       const struct quic_path *path, const ngtcp2_pkt_hd *hd)
{
	uint8_t token[NGTCP2_CRYPTO_MAX_RETRY_TOKENLEN2], id[CID_LEN];
	struct stray *stray = stray_new(endpoint, path);
	union quic_sockaddr remote;
	socklen_t remote_len = sockaddr_from_addr(&path->remote, &remote);
	ngtcp2_ssize token_len;
	ngtcp2_cid scid;

	if (!stray)
		return;
	rotate_secret(endpoint, now);
	endpoint_random(endpoint, id, sizeof(id));
	ngtcp2_cid_init(&scid, id, sizeof(id));
	token_len = ngtcp2_crypto_generate_retry_token2(
		token, endpoint->retry_secret[0], RETRY_SECRET_LEN, hd->version, &remote.any,
		remote_len, &scid, &hd->dcid, ts_from_mono(now));
	if (token_len < 0) {
		stray_drop(endpoint, stray);
		return;
	}
	if (stray_filled(endpoint, stray,
			 ngtcp2_crypto_write_retry(stray->data, sizeof(stray->data), hd->version,
						   &hd->scid, &scid, &hd->dcid, token,
						   (size_t)token_len)))
		endpoint->stats.retries_sent++;
}

void accept_send_retry(struct quic_endpoint *endpoint, struct mono now,
		       const struct quic_path *path, struct bytes datagram)
{
	ngtcp2_pkt_hd hd;

	if (ngtcp2_accept(&hd, datagram.ptr, datagram.len) == 0)
		send_retry(endpoint, now, path, &hd);
}

static bool token_is_valid(struct quic_endpoint *endpoint, struct mono now,
			   const struct quic_path *path, const ngtcp2_pkt_hd *hd,
			   ngtcp2_cid *ret_odcid)
{
	union quic_sockaddr remote;
	socklen_t remote_len = sockaddr_from_addr(&path->remote, &remote);

	rotate_secret(endpoint, now);
	for (size_t i = 0; i < ARRAY_LEN(endpoint->retry_secret); i++) {
		if (ngtcp2_crypto_verify_retry_token2(
			    ret_odcid, hd->token, hd->tokenlen, endpoint->retry_secret[i],
			    RETRY_SECRET_LEN, hd->version, &remote.any, remote_len, &hd->dcid,
			    RETRY_TOKEN_VALID_S * NGTCP2_SECONDS, ts_from_mono(now)) == 0)
			return true;
	}
	return false;
}

/* The client has had its one Retry and would ignore another. */
static void refuse_token(struct quic_endpoint *endpoint, const struct quic_path *path,
			 const ngtcp2_pkt_hd *hd)
{
	struct stray *stray = stray_new(endpoint, path);

	if (stray)
		(void)stray_filled(endpoint, stray,
				   ngtcp2_crypto_write_connection_close(
					   stray->data, sizeof(stray->data), hd->version, &hd->scid,
					   &hd->dcid, NGTCP2_INVALID_TOKEN, NULL, 0));
}

static bool within_limits(struct quic_endpoint *endpoint, const struct quic_path *path)
{
	const struct quic_config *config = &endpoint->config;
	const struct accept_address *address = address_of(endpoint, &path->remote);

	if (endpoint->stats.conns < config->conns_max &&
	    endpoint->stats.half_open < config->half_open_max &&
	    (!address || (address->conns < config->conns_per_ip_max &&
			  address->half_open < config->half_open_per_ip_max)))
		return true;
	endpoint->stats.over_limit++;
	return false;
}

static void accept_initial(struct quic_endpoint *endpoint, struct mono now,
			   const struct quic_path *path, const ngtcp2_pkt_hd *hd,
			   struct bytes datagram)
{
	bool retried = hd->tokenlen > 0 && hd->token[0] == NGTCP2_CRYPTO_TOKEN_MAGIC_RETRY2;
	struct quic_conn *conn;
	ngtcp2_cid odcid;
	int r;

	if (endpoint->closing || !within_limits(endpoint, path))
		return;
	if (retried && !token_is_valid(endpoint, now, path, hd, &odcid)) {
		refuse_token(endpoint, path, hd);
		return;
	}
	if (!retried && endpoint->stats.half_open >= endpoint->config.half_open_retry) {
		send_retry(endpoint, now, path, hd);
		return;
	}
	if (conn_new_server(endpoint, now, path, hd, retried ? &odcid : NULL, &conn) != 0)
		return;
	r = conn_read(conn, now, path, datagram);
	if (r == CONN_E_RETRY)
		send_retry(endpoint, now, path, hd);
	if (r != 0)
		endpoint_forget(endpoint, conn);
}

void accept_datagram(struct quic_endpoint *endpoint, struct mono now, const struct quic_path *path,
		     struct bytes datagram)
{
	struct quic_conn *conn;
	ngtcp2_pkt_hd hd;

	if (datagram.ptr[0] & 0x80) {
		if (ngtcp2_accept(&hd, datagram.ptr, datagram.len) != 0)
			endpoint->stats.unroutable++;
		else if (hd.type == NGTCP2_PKT_0RTT)
			endpoint->stats.guard_early++;
		else
			accept_initial(endpoint, now, path, &hd, datagram);
		return;
	}
	conn = cid_find_reset(&endpoint->cids, datagram);
	if (conn) {
		if (conn_read(conn, now, path, datagram) != 0)
			endpoint_forget(endpoint, conn);
		return;
	}
	endpoint->stats.unroutable++;
	send_reset(endpoint, now, path, datagram);
}
