/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The REST gateway: Kubernetes' API and Magik's own calls, over a backend.
 *
 * One struct api serves any number of connections on one libuv loop. It owns its listeners,
 * connections and watch logs; the backend must outlive it. No threads.
 *
 * The caller tells it what changed, after the change is visible to the backend's reads; the gateway
 * composes what watchers see by itself. Calls are cheap when nobody watches, and several changes
 * within one turn of the loop are handled together.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <uv.h>

#include "api/backend.h"

struct api;

struct api_options {
	/* Numeric address; "0.0.0.0" and "::" listen everywhere. NULL: nowhere (server_adopt()). */
	const char *host;
	uint16_t port; /* 0: any free one, see api_port() */

	/* The REST certificate, leaf first, and its key; PEM. NULL: plain HTTP only. */
	const char *chain_pem, *key_pem;

	/* Serve plain HTTP too, to clients on a loopback address only, as an administrator. */
	bool insecure;
	/* Serve it to whoever comes, wherever from: who may connect at all is settled elsewhere. */
	bool plain;

	/* Zero means the default beside it; tests shorten them. */
	uint32_t handshake_ms;       /* 10 s: connect to end of the TLS handshake */
	uint32_t header_ms;          /* 10 s: first byte of a request to the end of its headers */
	uint32_t body_ms;            /* 30 s: end of the headers to the end of the body */
	uint32_t idle_ms;            /* 60 s: keep-alive connection without a request */
	uint32_t stall_ms;           /* 30 s: an answer of which the client takes nothing */
	uint32_t connections_max;    /* 1024 */
	uint32_t per_ip_pending_max; /* 64: connections of one address without a complete request */

	/* One line about a refused connection or a failed write, for the caller's log. May be NULL.
	 */
	void (*log)(void *arg, const char *line);
	void *log_arg;
};

/*
 * Listen. 0 and *@ret_api, or a negative errno with @err filled. Strings are copied.
 */
_must_use_ int api_new(uv_loop_t *loop, const struct api_backend *backend,
		       const struct api_options *options, struct api **ret_api, struct err *err);

/* The port that is listened on. */
uint16_t api_port(const struct api *api);

/* Use a renewed REST certificate for new connections. */
_must_use_ int api_set_certificate(struct api *api, const char *chain_pem, const char *key_pem,
				   struct err *err);

/*
 * A workload's object, tombstone or pods changed. @workload is the uid of the Deployment or of the
 * bare Pod.
 */
void api_workload_changed(struct api *api, const struct uid *workload);

/* A machine came, went, or changed its facts or liveness. */
void api_members_changed(struct api *api);

/* Users may have been shut out: certificates of all connections are verified again now. Whoever is
 * refused is disconnected, streams included. */
void api_users_changed(struct api *api);

/* An event was recorded. */
void api_events_changed(struct api *api);

/*
 * Stop: no new connections, idle ones are closed, running answers get @drain_ms to end, watches end
 * at once. @closed is called from the loop when everything is gone and @api has been freed. Logs
 * that are open are closed; writes that are under way still call back into the gateway, so the
 * backend must deliver them (or fail them) before @closed can be called.
 */
void api_close(struct api *api, uint32_t drain_ms, void (*closed)(void *arg), void *arg);
