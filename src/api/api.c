/* SPDX-License-Identifier: Apache-2.0 */
#include "api/api.h"

#include <assert.h>
#include <stdlib.h>

#include "api/gateway.h"
#include "base/mem.h"

static int verify_user(void *arg, const struct bytes *chain, size_t count,
		       struct api_user *ret_user, struct err *err)
{
	const struct api *api = arg;

	return api->backend.ops->verify_user(api->backend.self, chain, count, ret_user, err);
}

/* When the server, the timers and every call that will call back are gone, so is the gateway. */
static void try_free(struct api *api)
{
	void (*closed)(void *arg) = api->closed;
	void *arg = api->closed_arg;

	if (!api->closing || !api->server_gone || api->calls || api->handles)
		return;
	for (size_t i = 0; i < KUBE_RESOURCE_COUNT; i++)
		watch_log_free(api->logs[i]);
	changes_free(api->changes);
	free(api);
	if (closed)
		closed(arg);
}

static void timer_closed(uv_handle_t *handle)
{
	struct api *api = handle->data;

	api->handles--;
	try_free(api);
}

void call_unhold(struct api *api)
{
	assert(api->calls > 0);
	api->calls--;
	try_free(api);
}

static void close_timers(struct api *api)
{
	uv_close((uv_handle_t *)&api->turn, timer_closed);
	uv_close((uv_handle_t *)&api->housekeeping, timer_closed);
	uv_close((uv_handle_t *)&api->pulse, timer_closed);
	uv_close((uv_handle_t *)&api->again, timer_closed);
}

int api_new(uv_loop_t *loop, const struct api_backend *backend, const struct api_options *options,
	    struct api **ret_api, struct err *err)
{
	struct api *api = mem_new(struct api);
	struct server_hooks hooks = {
		.handle = route_handle,
		.verify_user = verify_user,
		.arg = api,
	};
	int r;

	api->loop = loop;
	api->backend = *backend;
	api->changes = changes_new();
	list_init(&api->watches);
	list_init(&api->remotes);
	(void)uv_timer_init(loop, &api->turn);
	(void)uv_timer_init(loop, &api->housekeeping);
	(void)uv_timer_init(loop, &api->pulse);
	(void)uv_timer_init(loop, &api->again);
	api->turn.data = api->housekeeping.data = api->pulse.data = api->again.data = api;
	api->handles = 4;
	r = server_new(loop, options, &hooks, &api->server, err);
	if (r) {
		api->closing = api->server_gone = true;
		close_timers(api);
		return err_trace(r);
	}
	*ret_api = api;
	return 0;
}

uint16_t api_port(const struct api *api)
{
	return server_port(api->server);
}

int api_set_certificate(struct api *api, const char *chain_pem, const char *key_pem,
			struct err *err)
{
	return server_set_certificate(api->server, chain_pem, key_pem, err);
}

void api_users_changed(struct api *api)
{
	server_login_again(api->server);
}

static void server_closed(void *arg)
{
	struct api *api = arg;

	api->server_gone = true;
	try_free(api);
}

void api_close(struct api *api, uint32_t drain_ms, void (*closed)(void *arg), void *arg)
{
	assert(!api->closing);
	api->closing = true;
	api->closed = closed;
	api->closed_arg = arg;
	watch_end_all(api);
	close_timers(api);
	server_close(api->server, drain_ms, server_closed, api);
}
