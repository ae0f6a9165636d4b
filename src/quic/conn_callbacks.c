/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What ngtcp2 reports about one connection. Returning NGTCP2_ERR_CALLBACK_FAILURE makes the call
 * into the library return at once; the verdict has then been given with conn_end_*().
 */
#include <ngtcp2/ngtcp2_crypto.h>

#include "quic/conn.h"
#include "quic/endpoint_state.h"
#include "quic/stream.h"
#include "quic/tls.h"

static _Thread_local uint64_t authenticated;

uint64_t conn_packets_authenticated(void)
{
	return authenticated;
}

static int verdict(bool ok)
{
	return ok ? 0 : NGTCP2_ERR_CALLBACK_FAILURE;
}

/* The library gives no connection here; a count around each read is all that is needed. */
static int on_decrypt(uint8_t *dest, const ngtcp2_crypto_aead *aead,
		      const ngtcp2_crypto_aead_ctx *aead_ctx, const uint8_t *ciphertext,
		      size_t ciphertext_len, const uint8_t *nonce, size_t nonce_len,
		      const uint8_t *aad, size_t aad_len)
{
	int r = ngtcp2_crypto_decrypt_cb(dest, aead, aead_ctx, ciphertext, ciphertext_len, nonce,
					 nonce_len, aad, aad_len);

	if (r == 0)
		authenticated++;
	return r;
}

/* After the handshake there is no session to feed, and nothing an honest peer would tell it. */
static int on_crypto_data(ngtcp2_conn *ng, ngtcp2_encryption_level level, uint64_t offset,
			  const uint8_t *data, size_t len, void *user)
{
	struct quic_conn *conn = user;

	if (!conn->tls)
		return verdict(conn_glitch(conn));
	return ngtcp2_crypto_recv_crypto_data_cb(ng, level, offset, data, len, user);
}

static int on_handshake_completed(ngtcp2_conn *ng, void *user)
{
	struct quic_conn *conn = user;

	(void)ng;
	if (!tls_conn_completed(conn)) {
		conn_end_silently(conn, -EPROTONOSUPPORT, "the peer chose another protocol");
		return NGTCP2_ERR_CALLBACK_FAILURE;
	}
	/* The server has judged the client by now. The client has not heard of that yet. */
	if (!conn->dialled)
		conn_announce(conn);
	return 0;
}

static int on_handshake_confirmed(ngtcp2_conn *ng, void *user)
{
	struct quic_conn *conn = user;

	(void)ng;
	conn_announce(conn);
	return 0;
}

static int on_stream_data(ngtcp2_conn *ng, uint32_t flags, int64_t stream_id, uint64_t offset,
			  const uint8_t *data, size_t len, void *user, void *stream_user)
{
	struct quic_conn *conn = user;
	const struct quic_handler *handler = conn->endpoint->handler;
	bool end = flags & NGTCP2_STREAM_DATA_FLAG_FIN;
	struct flow *flow = stream_user;

	(void)stream_id;
	(void)offset;
	if (!flow)
		return 0;
	if (flow->kind == FLOW_MESSAGE_IN)
		return verdict(assembly_recv(conn, flow, bytes_of(data, len), end));
	if (flow->kind != FLOW_BYTES)
		return 0;
	/* The connection's credit is bounded by the streams' credit, which waits for consumption;
	 * so one slow reader does not stall the others. */
	ngtcp2_conn_extend_max_offset(ng, len);
	conn->progress += len;
	if (conn_is_live(conn) && !stream_of_flow(flow)->dead && handler->stream_data)
		handler->stream_data(conn->endpoint->user, stream_of_flow(flow),
				     bytes_of(data, len), end);
	return 0;
}

static int on_stream_acked(ngtcp2_conn *ng, int64_t stream_id, uint64_t offset, uint64_t len,
			   void *user, void *stream_user)
{
	struct quic_conn *conn = user;
	struct flow *flow = stream_user;

	(void)ng;
	(void)stream_id;
	conn->progress += len + 1;
	if (flow && flow->kind == FLOW_BYTES)
		stream_acked(stream_of_flow(flow), offset + len);
	return 0;
}

static int on_stream_open(ngtcp2_conn *ng, int64_t stream_id, void *user)
{
	struct quic_conn *conn = user;
	const struct quic_handler *handler = conn->endpoint->handler;
	struct quic_stream *stream;
	struct flow *flow;

	if (!ngtcp2_is_bidi_stream(stream_id)) {
		flow = assembly_new(conn, stream_id);
		(void)ngtcp2_conn_set_stream_user_data(ng, stream_id, flow);
		return 0;
	}
	conn_announce(conn);
	if (!conn_is_live(conn))
		return 0;
	stream = stream_new(conn, stream_id);
	(void)ngtcp2_conn_set_stream_user_data(ng, stream_id, &stream->flow);
	if (handler->stream_opened)
		handler->stream_opened(conn->endpoint->user, conn, stream);
	else
		quic_stream_reset(stream, 0);
	return 0;
}

static int on_stream_close(ngtcp2_conn *ng, uint32_t flags, int64_t stream_id, uint64_t code,
			   void *user, void *stream_user)
{
	struct quic_conn *conn = user;
	struct flow *flow = stream_user;

	(void)flags;
	(void)code;
	if (!ngtcp2_conn_is_local_stream(ng, stream_id)) {
		if (ngtcp2_is_bidi_stream(stream_id))
			ngtcp2_conn_extend_max_streams_bidi(ng, 1);
		else
			ngtcp2_conn_extend_max_streams_uni(ng, 1);
	}
	if (!flow)
		return 0;
	switch (flow->kind) {
	case FLOW_BYTES:
		stream_close(stream_of_flow(flow), NULL);
		break;
	case FLOW_MESSAGE_OUT:
		message_stream_closed(conn, flow);
		break;
	case FLOW_MESSAGE_IN:
		assembly_free(conn, flow);
		break;
	}
	return 0;
}

/* Half of a stream was given up by the peer. That is pointless work, unless it answers our own. */
static int half_given_up(struct quic_conn *conn, struct flow *flow)
{
	if (flow && flow->kind == FLOW_BYTES) {
		if (stream_of_flow(flow)->dead)
			return 0;
		stream_broken(stream_of_flow(flow), "given up by the peer");
	}
	return verdict(conn_glitch(conn));
}

static int on_stream_reset(ngtcp2_conn *ng, int64_t stream_id, uint64_t final_size, uint64_t code,
			   void *user, void *stream_user)
{
	(void)ng;
	(void)stream_id;
	(void)final_size;
	(void)code;
	return half_given_up(user, stream_user);
}

static int on_stop_sending(ngtcp2_conn *ng, int64_t stream_id, uint64_t code, void *user,
			   void *stream_user)
{
	(void)ng;
	(void)stream_id;
	(void)code;
	return half_given_up(user, stream_user);
}

/* A window that opens by a crumb at a time is work without use. */
static int on_stream_credit(ngtcp2_conn *ng, int64_t stream_id, uint64_t max_data, void *user,
			    void *stream_user)
{
	struct quic_conn *conn = user;
	struct flow *flow = stream_user;
	bool crumb;

	(void)ng;
	(void)stream_id;
	if (!flow)
		return 0;
	crumb = max_data - flow->credit < FLOW_CREDIT_CRUMB;
	flow->credit = max_data;
	return verdict(!crumb || conn_glitch(conn));
}

static int on_datagram(ngtcp2_conn *ng, uint32_t flags, const uint8_t *data, size_t len, void *user)
{
	(void)ng;
	(void)flags;
	return verdict(messages_recv_datagram(user, bytes_of(data, len)));
}

static int on_datagram_acked(ngtcp2_conn *ng, uint64_t id, void *user)
{
	struct quic_conn *conn = user;

	(void)ng;
	conn->progress += CONN_BYTES_PER_CREDIT;
	messages_acked(conn, id);
	return 0;
}

static int on_datagram_lost(ngtcp2_conn *ng, uint64_t id, void *user)
{
	(void)ng;
	messages_lost(user, id);
	return 0;
}

static int on_new_id(ngtcp2_conn *ng, ngtcp2_cid *cid, uint8_t *token, size_t len, void *user)
{
	struct quic_conn *conn = user;
	struct quic_endpoint *endpoint = conn->endpoint;
	uint8_t bytes[NGTCP2_MAX_CIDLEN];

	(void)ng;
	endpoint_random(endpoint, bytes, len);
	ngtcp2_cid_init(cid, bytes, len);
	if (ngtcp2_crypto_generate_stateless_reset_token(token, endpoint->config.reset_secret,
							 sizeof(endpoint->config.reset_secret),
							 cid) != 0 ||
	    !cid_add(&endpoint->cids, conn, cid))
		return NGTCP2_ERR_CALLBACK_FAILURE;
	return 0;
}

/* The peer retires an id of ours, and gets a new one. Migration does so once in a while. */
static int on_remove_id(ngtcp2_conn *ng, const ngtcp2_cid *cid, void *user)
{
	struct quic_conn *conn = user;

	(void)ng;
	cid_remove(&conn->endpoint->cids, conn, cid);
	return verdict(conn_glitch(conn));
}

static int on_peer_id(ngtcp2_conn *ng, ngtcp2_connection_id_status_type type, uint64_t seq,
		      const ngtcp2_cid *cid, const uint8_t *token, void *user)
{
	struct quic_conn *conn = user;

	(void)ng;
	(void)seq;
	(void)cid;
	if (!token)
		return 0;
	if (type == NGTCP2_CONNECTION_ID_STATUS_TYPE_ACTIVATE) {
		cid_add_token(&conn->endpoint->cids, conn, token);
		return 0;
	}
	cid_remove_token(&conn->endpoint->cids, conn, token);
	return verdict(conn_glitch(conn));
}

static int on_path_validated(ngtcp2_conn *ng, uint32_t flags, const ngtcp2_path *path,
			     const ngtcp2_path *old_path, ngtcp2_path_validation_result result,
			     void *user)
{
	struct quic_conn *conn = user;

	(void)ng;
	(void)flags;
	(void)old_path;
	if (result == NGTCP2_PATH_VALIDATION_RESULT_SUCCESS)
		path_from_ngtcp2(path, &conn->path);
	return verdict(conn_glitch(conn));
}

static int on_reset(ngtcp2_conn *ng, const ngtcp2_pkt_stateless_reset *reset, void *user)
{
	struct quic_conn *conn = user;

	(void)ng;
	(void)reset;
	conn->reset_seen = true;
	return 0;
}

static void on_rand(uint8_t *dest, size_t len, const ngtcp2_rand_ctx *context)
{
	endpoint_random(context->native_handle, dest, len);
}

static int on_path_challenge(ngtcp2_conn *ng, uint8_t *data, void *user)
{
	struct quic_conn *conn = user;

	(void)ng;
	endpoint_random(conn->endpoint, data, NGTCP2_PATH_CHALLENGE_DATALEN);
	return 0;
}

void conn_callbacks_init(ngtcp2_callbacks *callbacks, bool server)
{
	*callbacks = (ngtcp2_callbacks){
		.recv_crypto_data = on_crypto_data,
		.handshake_completed = on_handshake_completed,
		.encrypt = ngtcp2_crypto_encrypt_cb,
		.decrypt = on_decrypt,
		.hp_mask = ngtcp2_crypto_hp_mask_cb,
		.recv_stream_data = on_stream_data,
		.acked_stream_data_offset = on_stream_acked,
		.stream_open = on_stream_open,
		.stream_close = on_stream_close,
		.stream_reset = on_stream_reset,
		.stream_stop_sending = on_stop_sending,
		.extend_max_stream_data = on_stream_credit,
		.recv_datagram = on_datagram,
		.ack_datagram = on_datagram_acked,
		.lost_datagram = on_datagram_lost,
		.rand = on_rand,
		.get_new_connection_id = on_new_id,
		.remove_connection_id = on_remove_id,
		.dcid_status = on_peer_id,
		.path_validation = on_path_validated,
		.get_path_challenge_data = on_path_challenge,
		.recv_stateless_reset = on_reset,
		.update_key = ngtcp2_crypto_update_key_cb,
		.delete_crypto_aead_ctx = ngtcp2_crypto_delete_crypto_aead_ctx_cb,
		.delete_crypto_cipher_ctx = ngtcp2_crypto_delete_crypto_cipher_ctx_cb,
		.version_negotiation = ngtcp2_crypto_version_negotiation_cb,
	};
	if (server) {
		callbacks->recv_client_initial = ngtcp2_crypto_recv_client_initial_cb;
		return;
	}
	callbacks->client_initial = ngtcp2_crypto_client_initial_cb;
	callbacks->recv_retry = ngtcp2_crypto_recv_retry_cb;
	callbacks->handshake_confirmed = on_handshake_confirmed;
}
