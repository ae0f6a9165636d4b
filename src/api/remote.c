/* SPDX-License-Identifier: Apache-2.0 */
#include "api/remote.h"

#include <string.h>

static void on_pulse(uv_timer_t *timer)
{
	struct api *api = timer->data;

	list_for_each_safe (it, &api->remotes) {
		struct remote *remote = list_entry(it, struct remote, link);

		remote->ping(remote);
	}
}

static bool has_room(const struct api *api, const char *user)
{
	size_t count = 0, own = 0;

	list_for_each (it, &api->remotes) {
		count++;
		own += strcmp(list_entry(it, struct remote, link)->user, user) == 0;
	}
	return count < REMOTES_MAX && own < REMOTES_PER_USER_MAX;
}

bool remote_enter(struct remote *remote, struct call *call, void (*ping)(struct remote *remote))
{
	const char *user = call->exchange->user.name;
	struct api *api = call->api;

	if (!has_room(api, user)) {
		call_fail(call, KUBE_REASON_TOO_MANY_REQUESTS,
			  "too many sessions with containers are open");
		return false;
	}
	remote->api = api;
	remote->ping = ping;
	(void)snprintf(remote->user, sizeof(remote->user), "%s", user);
	if (list_is_empty(&api->remotes) && !api->closing)
		(void)uv_timer_start(&api->pulse, on_pulse, REMOTE_PULSE_MS, REMOTE_PULSE_MS);
	list_append(&api->remotes, &remote->link);
	return true;
}

void remote_leave(struct remote *remote)
{
	struct api *api = remote->api;

	list_remove(&remote->link);
	if (list_is_empty(&api->remotes) && !api->closing)
		(void)uv_timer_stop(&api->pulse);
}
