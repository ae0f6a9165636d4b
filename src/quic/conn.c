/* SPDX-License-Identifier: Apache-2.0 */
#include "quic/conn.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "quic/accept.h"
#include "quic/endpoint_state.h"
#include "quic/packet.h"
#include "quic/settings.h"
#include "quic/stream.h"
#include "quic/tls.h"

enum {
	CONN_HELD_MAX = OUTPUT_PACKET_MAX,
	LINGER_PTOS = 3, /* RFC 9000 section 10.2 */
	ALERT_FIRST = NGTCP2_CRYPTO_ERROR,
	ALERT_LAST = NGTCP2_CRYPTO_ERROR + 0xff,
};

static struct quic_conn *conn_new(struct quic_endpoint *endpoint, struct mono now,
				  const struct quic_path *path)
{
	struct quic_conn *conn = mem_new(struct quic_conn);

	conn->endpoint = endpoint;
	conn->path = *path;
	conn->accepted_from = path->remote;
	conn->now = now;
	conn->open_by = mono_add_ms(now, endpoint->config.handshake_timeout_ms);
	list_init(&conn->all);
	list_init(&conn->dirty);
	list_init(&conn->streams);
	list_init(&conn->writers);
	cid_set_init(&conn->cids);
	messages_init(&conn->messages);
	bucket_init(&conn->glitches, now, CONN_GLITCH_BURST, CONN_GLITCH_PER_S);
	bucket_init(&conn->idle_packets, now, CONN_IDLE_PACKET_BURST, CONN_IDLE_PACKET_PER_S);
	list_append(&endpoint->conns, &conn->all);
	endpoint->stats.conns++;
	return conn;
}

static void random_cid(struct quic_endpoint *endpoint, size_t len, ngtcp2_cid *ret_cid)
{
	uint8_t bytes[NGTCP2_MAX_CIDLEN];

	endpoint_random(endpoint, bytes, len);
	ngtcp2_cid_init(ret_cid, bytes, len);
}

int conn_new_client(struct quic_endpoint *endpoint, struct mono now, const struct quic_path *path,
		    const struct quic_dial *dial, struct quic_conn **ret_conn)
{
	struct quic_conn *conn = conn_new(endpoint, now, path);
	ngtcp2_callbacks callbacks;
	ngtcp2_settings settings;
	ngtcp2_transport_params params;
	struct path_storage storage;
	ngtcp2_cid scid, dcid;

	conn->dialled = conn->announced = true;
	conn->user = dial->user;
	conn->credential = quic_credential_ref(dial->credential);
	(void)snprintf(conn->alpn, sizeof(conn->alpn), "%s", dial->alpn);
	random_cid(endpoint, CID_LEN, &scid);
	random_cid(endpoint, NGTCP2_MAX_CIDLEN, &dcid);
	conn_callbacks_init(&callbacks, false);
	settings_init(&settings, endpoint, now, path);
	settings_params_init(&params, endpoint);
	path_storage_set(&storage, path);
	if (!cid_add(&endpoint->cids, conn, &scid) ||
	    ngtcp2_conn_client_new(&conn->ng, &dcid, &scid, &storage.path, NGTCP2_PROTO_VER_V1,
				   &callbacks, &settings, &params, NULL, conn) != 0 ||
	    tls_conn_init(conn) != 0) {
		endpoint_forget(endpoint, conn);
		return err_origin(-ENOMEM);
	}
	conn_set_expiry(conn);
	conn_touch(conn);
	*ret_conn = conn;
	return 0;
}

int conn_new_server(struct quic_endpoint *endpoint, struct mono now, const struct quic_path *path,
		    const ngtcp2_pkt_hd *hd, const ngtcp2_cid *odcid, struct quic_conn **ret_conn)
{
	struct quic_conn *conn = conn_new(endpoint, now, path);
	ngtcp2_callbacks callbacks;
	ngtcp2_settings settings;
	ngtcp2_transport_params params;
	struct path_storage storage;
	ngtcp2_cid scid;

	random_cid(endpoint, CID_LEN, &scid);
	conn_callbacks_init(&callbacks, true);
	settings_init(&settings, endpoint, now, path);
	settings_params_init(&params, endpoint);
	settings_params_server(&params, endpoint, hd, odcid, &scid);
	if (odcid) {
		settings.token = hd->token;
		settings.tokenlen = hd->tokenlen;
		settings.token_type = NGTCP2_TOKEN_TYPE_RETRY;
	}
	path_storage_set(&storage, path);
	if (!cid_add(&endpoint->cids, conn, &scid) || !cid_add(&endpoint->cids, conn, &hd->dcid) ||
	    ngtcp2_conn_server_new(&conn->ng, &hd->scid, &scid, &storage.path, hd->version,
				   &callbacks, &settings, &params, NULL, conn) != 0 ||
	    tls_conn_init(conn) != 0) {
		endpoint_forget(endpoint, conn);
		return err_origin(-ENOMEM);
	}
	accept_count(endpoint, conn);
	*ret_conn = conn;
	return 0;
}

/* Everything but the ids, the expiry and the farewell. The library's object goes first, for it
 * still points into what the streams and messages hold. */
static void conn_drop_inside(struct quic_conn *conn)
{
	ngtcp2_conn *ng = conn->ng;

	tls_conn_deinit(conn);
	quic_credential_unref(conn->credential);
	conn->credential = NULL;
	conn->ng = NULL;
	if (ng)
		ngtcp2_conn_del(ng);
	messages_deinit(conn);
	while (!list_is_empty(&conn->streams))
		stream_free(list_first(&conn->streams, struct quic_stream, link));
	free(conn->goodbye);
	conn->goodbye = NULL;
	buf_deinit(&conn->held);
}

void conn_free(struct quic_conn *conn)
{
	conn_drop_inside(conn);
	free(conn->chain_memory);
	free(conn->chain);
	free(conn->why);
	free(conn->farewell);
	free(conn);
}

void conn_touch(struct quic_conn *conn)
{
	if (list_is_empty(&conn->dirty))
		list_append(&conn->endpoint->dirty, &conn->dirty);
}

/* Who waits for bytes is told earlier than others that none will come. */
static struct mono silent_by(const struct quic_conn *conn)
{
	return mono_add_ms(conn->heard, conn->endpoint->config.stream_silence_ms);
}

/* The library's handshake timeout ends when TLS is content; a client waits for the server's verdict
 * after that. */
void conn_set_expiry(struct quic_conn *conn)
{
	struct mono at = ts_to_mono(ngtcp2_conn_get_expiry(conn->ng));

	if (!conn->told_open)
		at = mono_min(at, conn->open_by);
	if (conn->listening)
		at = mono_min(at, silent_by(conn));
	expiry_set(&conn->endpoint->expiries, &conn->expiry, at);
}

void conn_announce(struct quic_conn *conn)
{
	struct quic_endpoint *endpoint = conn->endpoint;

	if (conn->told_open || !conn_is_live(conn))
		return;
	conn->state = CONN_OPEN;
	conn->announced = conn->told_open = true;
	if (conn->dialled)
		endpoint->stats.handshakes_dialled++;
	else
		endpoint->stats.handshakes_accepted++;
	if (endpoint->handler->opened)
		endpoint->handler->opened(endpoint->user, conn);
}

bool conn_glitch(struct quic_conn *conn)
{
	if (bucket_take(&conn->glitches, conn->now, 1))
		return true;
	conn->endpoint->stats.guard_glitch++;
	conn_end_violation(conn, "too much pointless work");
	return false;
}

static bool conn_begin_end(struct quic_conn *conn, int code, const char *text)
{
	if (!conn_is_live(conn))
		return false;
	conn->state = CONN_ENDING;
	conn->goodbye = mem_new(struct conn_goodbye);
	ngtcp2_ccerr_default(&conn->goodbye->ccerr);
	if (!conn->why) {
		conn->why = mem_new(struct err);
		(void)err_set(conn->why, code, "%s", text);
	}
	conn_touch(conn);
	return true;
}

void conn_end_silently(struct quic_conn *conn, int code, const char *text)
{
	(void)conn_begin_end(conn, code, text);
}

/* Texts that travel are plain ASCII on one line. */
static void text_clean(char *out, size_t out_size, const uint8_t *text, size_t len)
{
	size_t at = 0;

	for (; at < len && at + 1 < out_size; at++)
		out[at] = text[at] >= 0x20 && text[at] < 0x7f ? (char)text[at] : '?';
	out[at] = '\0';
}

static void goodbye_set_text(struct conn_goodbye *goodbye, const char *text)
{
	text_clean(goodbye->text, sizeof(goodbye->text), (const uint8_t *)text, strlen(text));
}

void conn_end_application(struct quic_conn *conn, uint64_t code, const char *reason)
{
	struct conn_goodbye *goodbye;
	char text[ERR_TEXT_MAX];

	(void)snprintf(text, sizeof(text), "closed here: %s", reason);
	if (!conn_begin_end(conn, -ESHUTDOWN, text))
		return;
	goodbye = conn->goodbye;
	goodbye->send = goodbye->in_order = true;
	goodbye_set_text(goodbye, reason);
	ngtcp2_ccerr_set_application_error(&goodbye->ccerr, code, (const uint8_t *)goodbye->text,
					   strlen(goodbye->text));
}

void conn_end_violation(struct quic_conn *conn, const char *reason)
{
	struct conn_goodbye *goodbye;

	if (!conn_begin_end(conn, -EPROTO, reason))
		return;
	goodbye = conn->goodbye;
	goodbye->send = true;
	goodbye_set_text(goodbye, reason);
	ngtcp2_ccerr_set_transport_error(&goodbye->ccerr, NGTCP2_PROTOCOL_VIOLATION,
					 (const uint8_t *)goodbye->text, strlen(goodbye->text));
}

/* We refused, or TLS failed: the alert says which, and our sentence travels with it. */
static void end_by_alert(struct quic_conn *conn)
{
	bool refused = conn->peer_refused;
	uint8_t alert = ngtcp2_conn_get_tls_alert(conn->ng);
	char text[ERR_TEXT_MAX];
	struct conn_goodbye *goodbye;
	int code = -EPROTO;

	if (refused)
		alert = GNUTLS_A_ACCESS_DENIED;
	if (alert == GNUTLS_A_NO_APPLICATION_PROTOCOL)
		code = -EPROTONOSUPPORT;
	if (alert == GNUTLS_A_CERTIFICATE_REQUIRED) {
		refused = true;
		code = -EKEYREJECTED;
	}
	(void)snprintf(text, sizeof(text), "TLS: %s",
		       alert ? gnutls_alert_get_name(alert) : "handshake failed");
	if (conn->hello_bare)
		(void)snprintf(text, sizeof(text), "no QUIC transport parameters");
	if (!conn_begin_end(conn, code, text))
		return;
	if (refused)
		conn->endpoint->stats.refused_by_us++;
	goodbye = conn->goodbye;
	goodbye->send = true;
	goodbye_set_text(goodbye, conn->why->text);
	ngtcp2_ccerr_set_tls_alert(&goodbye->ccerr,
				   alert ? alert : (uint8_t)GNUTLS_A_HANDSHAKE_FAILURE,
				   (const uint8_t *)goodbye->text, strlen(goodbye->text));
}

static bool alert_is_refusal(uint64_t alert)
{
	switch (alert) {
	case GNUTLS_A_BAD_CERTIFICATE:
	case GNUTLS_A_UNSUPPORTED_CERTIFICATE:
	case GNUTLS_A_CERTIFICATE_REVOKED:
	case GNUTLS_A_CERTIFICATE_EXPIRED:
	case GNUTLS_A_CERTIFICATE_UNKNOWN:
	case GNUTLS_A_UNKNOWN_CA:
	case GNUTLS_A_ACCESS_DENIED:
	case GNUTLS_A_CERTIFICATE_REQUIRED:
		return true;
	default:
		return false;
	}
}

/* The peer has closed: its words, as far as they can be trusted to be words. */
static void end_by_peer(struct quic_conn *conn)
{
	const ngtcp2_ccerr *ccerr = ngtcp2_conn_get_ccerr(conn->ng);
	char reason[QUIC_REASON_MAX], text[ERR_TEXT_MAX];
	uint64_t alert = ccerr->error_code - ALERT_FIRST;
	int code = -EPROTO;

	if (conn->reset_seen) {
		conn->endpoint->stats.resets_received++;
		conn_end_silently(conn, -ECONNRESET, "the peer has lost the connection");
		return;
	}
	text_clean(reason, sizeof(reason), ccerr->reason, ccerr->reasonlen);
	if (ccerr->type == NGTCP2_CCERR_TYPE_APPLICATION) {
		code = -ESHUTDOWN;
		(void)snprintf(text, sizeof(text), "closed by the peer: %s", reason);
	} else if (ccerr->error_code < ALERT_FIRST || ccerr->error_code > ALERT_LAST) {
		if (ccerr->error_code == NGTCP2_NO_ERROR)
			code = -ESHUTDOWN;
		(void)snprintf(text, sizeof(text), "the peer reports error 0x%" PRIx64 ": %s",
			       ccerr->error_code, reason);
	} else if (alert_is_refusal(alert)) {
		code = -EACCES;
		conn->endpoint->stats.refused_by_peer++;
		(void)snprintf(text, sizeof(text), "peer refused our certificate: %s", reason);
	} else {
		if (alert == GNUTLS_A_NO_APPLICATION_PROTOCOL)
			code = -EPROTONOSUPPORT;
		(void)snprintf(text, sizeof(text), "the peer reports TLS alert %" PRIu64 ": %s",
			       alert, reason);
	}
	conn_end_silently(conn, code, text);
}

void conn_end_library(struct quic_conn *conn, int ng_error)
{
	struct conn_goodbye *goodbye;
	char text[ERR_TEXT_MAX];

	if (!conn_is_live(conn))
		return;
	switch (ng_error) {
	case NGTCP2_ERR_DRAINING:
		end_by_peer(conn);
		return;
	case NGTCP2_ERR_CRYPTO:
		end_by_alert(conn);
		return;
	case NGTCP2_ERR_IDLE_CLOSE:
		conn_end_silently(conn, -ETIMEDOUT, "no sign of life from the peer");
		return;
	case NGTCP2_ERR_HANDSHAKE_TIMEOUT:
		conn_end_silently(conn, -ETIMEDOUT, "no answer, or no end of the handshake");
		return;
	case NGTCP2_ERR_RECV_VERSION_NEGOTIATION:
		conn_end_silently(conn, -EPROTO, "the peer speaks no version of QUIC we do");
		return;
	default:
		break;
	}
	(void)snprintf(text, sizeof(text), "QUIC: %s", ngtcp2_strerror(ng_error));
	if (!conn_begin_end(conn, -EPROTO, text))
		return;
	goodbye = conn->goodbye;
	goodbye->send = true;
	ngtcp2_ccerr_set_liberr(&goodbye->ccerr, ng_error, NULL, 0);
}

/* Answer what still arrives for an ended connection, ever more rarely. */
static void read_lingering(struct quic_conn *conn)
{
	conn->farewell_asked++;
	if (conn->farewell && (conn->farewell_asked & (conn->farewell_asked - 1)) == 0)
		conn_touch(conn);
}

/* Peers pay for packets that move nothing forward; see CONN_IDLE_PACKET_BURST. Only packets that
 * were authentic count, or an onlooker could exhaust somebody else's connection. */
static void charge_packets(struct quic_conn *conn, uint64_t authentic)
{
	if (!conn_is_live(conn) || !ngtcp2_conn_get_handshake_completed(conn->ng))
		return;
	if (conn->progress > 0) {
		bucket_add(&conn->idle_packets,
			   1 + (int64_t)(conn->progress / CONN_BYTES_PER_CREDIT));
		return;
	}
	if (authentic > 0 && !bucket_take(&conn->idle_packets, conn->now, (int64_t)authentic)) {
		conn->endpoint->stats.guard_glitch++;
		conn_end_violation(conn, "too many pointless packets");
	}
}

static void after_handshake(struct quic_conn *conn)
{
	accept_uncount_half_open(conn->endpoint, conn);
	tls_conn_deinit(conn);
}

/* See packet.h. Returns how much of @datagram the library may see. */
static size_t permit(struct quic_conn *conn, struct bytes datagram)
{
	bool short_allowed = !conn->dialled || conn->short_allowed;
	enum packet_stop stop;
	size_t len = packet_permitted_len(datagram, short_allowed, &stop);

	if (stop == PACKET_STOP_SHORT && conn->held.len == 0 && datagram.len - len <= CONN_HELD_MAX)
		buf_append(&conn->held, datagram.ptr + len, datagram.len - len);
	else if (stop == PACKET_STOP_SHORT || stop == PACKET_STOP_0RTT)
		conn->endpoint->stats.guard_early++;
	return len;
}

int conn_read(struct quic_conn *conn, struct mono now, const struct quic_path *path,
	      struct bytes datagram)
{
	uint64_t authentic = conn_packets_authenticated();
	struct path_storage storage;
	int r;

	conn->now = now;
	if (conn->state == CONN_LINGER)
		read_lingering(conn);
	if (!conn_is_live(conn))
		return 0;
	datagram.len = permit(conn, datagram);
	if (datagram.len == 0)
		return 0;
	conn->progress = 0;
	path_storage_set(&storage, path);
	r = ngtcp2_conn_read_pkt(conn->ng, &storage.path, NULL, datagram.ptr, datagram.len,
				 ts_from_mono(now));
	if (r == NGTCP2_ERR_RETRY && !conn->announced)
		return CONN_E_RETRY;
	if (r == NGTCP2_ERR_DROP_CONN && !conn->announced)
		return CONN_E_DROP;
	conn_touch(conn);
	if (r != 0)
		conn_end_library(conn, r);
	if (conn->tls && ngtcp2_conn_get_handshake_completed(conn->ng))
		after_handshake(conn);
	if (conn_packets_authenticated() > authentic)
		conn->heard = now;
	charge_packets(conn, conn_packets_authenticated() - authentic);
	return 0;
}

void conn_allow_short(struct quic_conn *conn, struct mono now)
{
	struct buf held = conn->held;

	if (conn->short_allowed)
		return;
	conn->short_allowed = true;
	conn->held = (struct buf){0};
	/* An announced connection, as every dialled one is, has no other outcome than 0. */
	if (held.len > 0 && conn_read(conn, now, &conn->path, bytes_buf(&held)) != 0)
		conn_end_silently(conn, -EPROTO, "dropped");
	buf_deinit(&held);
}

void conn_expire(struct quic_conn *conn, struct mono now)
{
	int r;

	conn->now = now;
	if (conn->state == CONN_LINGER) {
		endpoint_forget(conn->endpoint, conn);
		return;
	}
	conn_touch(conn); /* the flush sets the next expiry */
	if (!conn_is_live(conn))
		return;
	r = ngtcp2_conn_handle_expiry(conn->ng, ts_from_mono(now));
	if (r == 0 && !conn->told_open && mono_reached(now, conn->open_by))
		r = NGTCP2_ERR_HANDSHAKE_TIMEOUT;
	if (r == 0 && conn->listening && mono_reached(now, silent_by(conn)))
		r = NGTCP2_ERR_IDLE_CLOSE;
	if (r != 0)
		conn_end_library(conn, r);
}

static void write_farewell(struct quic_conn *conn, struct mono now, struct output *output)
{
	struct path_storage storage;
	struct quic_path path = conn->path;
	ngtcp2_ssize len;

	path_storage_set(&storage, &path);
	len = ngtcp2_conn_write_connection_close(conn->ng, &storage.path, NULL, output_room(output),
						 OUTPUT_PACKET_MAX, &conn->goodbye->ccerr,
						 ts_from_mono(now));
	if (len <= 0)
		return; /* no keys yet: there is nobody to tell */
	path_from_ngtcp2(&storage.path, &conn->path);
	conn->farewell = (uint8_t *)mem_copy(output_room(output), (size_t)len);
	conn->farewell_len = (size_t)len;
	output_commit(output, &conn->path, (size_t)len);
}

static void tell_ended(struct quic_conn *conn)
{
	struct quic_endpoint *endpoint = conn->endpoint;

	while (!list_is_empty(&conn->streams))
		stream_close(list_first(&conn->streams, struct quic_stream, link), conn->why);
	if (conn->announced && endpoint->handler->closed)
		endpoint->handler->closed(endpoint->user, conn, conn->why);
}

static void log_ended(const struct quic_conn *conn)
{
	struct quic_endpoint *endpoint = conn->endpoint;
	struct addr_text remote = addr_text(&conn->path.remote);
	const char *event = "peer-refused";
	char more_text[48] = "";
	uint64_t more;

	if (conn->why->code == -EACCES)
		event = "refused-by-peer";
	else if (conn->why->code != -EKEYREJECTED)
		return;
	if (!log_limit_pass(&endpoint->log_limit, addr_ip(&conn->path.remote), conn->now, &more) ||
	    !bucket_take(&endpoint->log_lines, conn->now, 1))
		return;
	if (more > 0)
		(void)snprintf(more_text, sizeof(more_text), " (%" PRIu64 " more like this)", more);
	log_event(LOG_LEVEL_WARN, event, "%s, %s%s%s: %s%s", remote.text,
		  conn->dialled ? "dialled" : "accepted", *conn->alpn ? " for " : "", conn->alpn,
		  conn->why->text, more_text);
}

void conn_finish(struct quic_conn *conn, struct mono now, struct output *output)
{
	struct quic_endpoint *endpoint = conn->endpoint;
	int64_t linger_us;

	assert(conn->state == CONN_ENDING);
	if (conn->goodbye->send)
		write_farewell(conn, now, output);
	linger_us = LINGER_PTOS * (int64_t)(ngtcp2_conn_get_pto(conn->ng) / NGTCP2_MICROSECONDS);
	log_ended(conn);
	tell_ended(conn);
	conn_drop_inside(conn);
	conn->state = CONN_LINGER;
	list_remove(&conn->dirty);
	if (endpoint->lingering >= LINGERING_MAX) {
		endpoint_forget(endpoint, conn);
		return;
	}
	endpoint->lingering++;
	endpoint_release(endpoint, conn);
	expiry_set(&endpoint->expiries, &conn->expiry, mono_add_us(now, linger_us));
}
