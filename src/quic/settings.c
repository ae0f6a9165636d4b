/* SPDX-License-Identifier: Apache-2.0 */
#include "quic/settings.h"

#include <ngtcp2/ngtcp2_crypto.h>

#include "quic/endpoint_state.h"
#include "quic/message.h"
#include "quic/path.h"

/* What fits Ethernet, and what is left of it in the usual tunnels (VXLAN, WireGuard), largest
 * first: where nothing is in the way one probe is all. The first of them is for peers that we reach
 * by an address of our own, and so without a wire. */
static const uint16_t probes[] = {OUTPUT_PACKET_LOCAL, OUTPUT_PACKET_MAX, 1402, 1372, 1332};

static const uint32_t versions[] = {NGTCP2_PROTO_VER_V1};

void settings_init(ngtcp2_settings *settings, struct quic_endpoint *endpoint, struct mono now,
		   const struct quic_path *path)
{
	bool local = bytes_equal(addr_ip(&path->local), addr_ip(&path->remote));

	ngtcp2_settings_default(settings);
	settings->initial_ts = ts_from_mono(now);
	settings->initial_rtt = SETTINGS_INITIAL_RTT_MS * NGTCP2_MILLISECONDS;
	settings->handshake_timeout =
		(ngtcp2_duration)endpoint->config.handshake_timeout_ms * NGTCP2_MILLISECONDS;
	settings->cc_algo = NGTCP2_CC_ALGO_CUBIC;
	settings->max_tx_udp_payload_size = local ? OUTPUT_PACKET_LOCAL : OUTPUT_PACKET_MAX;
	/* Its probes cost 1 to 6 KB a connection, as much as the handshake, so it is for those who
	 * carry more than a few messages. 1200 bytes pass everywhere. */
	settings->no_pmtud = !endpoint->config.find_mtu;
	settings->pmtud_probes = local ? probes : probes + 1;
	settings->pmtud_probeslen = ARRAY_LEN(probes) - !local;
	settings->max_window = SETTINGS_CONN_WINDOW_MAX;
	settings->max_stream_window = endpoint->config.stream_window_max;
	settings->preferred_versions = settings->available_versions = versions;
	settings->preferred_versionslen = settings->available_versionslen = ARRAY_LEN(versions);
	settings->rand_ctx.native_handle = endpoint;
}

void settings_params_init(ngtcp2_transport_params *params, const struct quic_endpoint *endpoint)
{
	ngtcp2_transport_params_default(params);
	params->initial_max_data = SETTINGS_CONN_CREDIT;
	params->initial_max_stream_data_bidi_local = SETTINGS_STREAM_CREDIT;
	params->initial_max_stream_data_bidi_remote = SETTINGS_STREAM_CREDIT;
	params->initial_max_stream_data_uni = SETTINGS_STREAM_CREDIT;
	params->initial_max_streams_bidi = endpoint->config.streams_max;
	params->initial_max_streams_uni = MESSAGE_STREAMS_MAX;
	params->max_datagram_frame_size = SETTINGS_DATAGRAM_MAX;
	params->max_idle_timeout =
		(ngtcp2_duration)endpoint->config.idle_timeout_ms * NGTCP2_MILLISECONDS;
}

void settings_params_server(ngtcp2_transport_params *params, const struct quic_endpoint *endpoint,
			    const ngtcp2_pkt_hd *hd, const ngtcp2_cid *odcid,
			    const ngtcp2_cid *scid)
{
	params->original_dcid = odcid ? *odcid : hd->dcid;
	params->original_dcid_present = 1;
	if (odcid) {
		params->retry_scid = hd->dcid;
		params->retry_scid_present = 1;
	}
	params->stateless_reset_token_present =
		ngtcp2_crypto_generate_stateless_reset_token(
			params->stateless_reset_token, endpoint->config.reset_secret,
			sizeof(endpoint->config.reset_secret), scid) == 0;
}
