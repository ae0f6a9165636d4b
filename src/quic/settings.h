/* SPDX-License-Identifier: Apache-2.0 */
/* Settings: what we ask of the library and promise to peers, in one place. */
#pragma once

#include <ngtcp2/ngtcp2.h>

#include "base/time.h"
#include "quic/endpoint.h"

enum {
	/* Credit a peer has from the start; raised by use up to the windows below. */
	SETTINGS_CONN_CREDIT = 256 * 1024,
	SETTINGS_STREAM_CREDIT = 64 * 1024,
	SETTINGS_CONN_WINDOW_MAX = 8 * 1024 * 1024,
	SETTINGS_STREAM_WINDOW_MAX = 2 * 1024 * 1024,
	SETTINGS_INITIAL_RTT_MS = 100, /* a first probe after 0.3 s rather than 1 s */
	SETTINGS_DATAGRAM_MAX = 65535,
};

/* Never with a qlog sink: writing one has overrun the stack in the library. */
void settings_init(ngtcp2_settings *settings, struct quic_endpoint *endpoint, struct mono now,
		   const struct quic_path *path);
void settings_params_init(ngtcp2_transport_params *params, const struct quic_endpoint *endpoint);

/* What only a server promises. @odcid as for conn_new_server(). */
void settings_params_server(ngtcp2_transport_params *params, const struct quic_endpoint *endpoint,
			    const ngtcp2_pkt_hd *hd, const ngtcp2_cid *odcid,
			    const ngtcp2_cid *scid);
