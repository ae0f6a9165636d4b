/* SPDX-License-Identifier: Apache-2.0 */
/* Every read comes from somewhere else, one turn of the loop later, when FAKE_REMOTE is set. */
#include "fake_internal.h"

#include <stdlib.h>

#include "base/mem.h"

struct fake_refresh {
	uv_timer_t timer;
	api_refreshed_fn *done;
	void *arg;
};

static void refresh_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static void refresh_ended(uv_timer_t *timer)
{
	struct fake_refresh *refresh = timer->data;

	refresh->done(refresh->arg, !getenv("FAKE_PARTIAL"));
	uv_close((uv_handle_t *)timer, refresh_closed);
}

bool fake_refresh(void *self, const struct api_scope *scope, api_refreshed_fn *done, void *arg)
{
	struct fake_backend *fake = self;
	struct fake_refresh *refresh;

	(void)scope;
	if (!getenv("FAKE_REMOTE"))
		return true;
	refresh = mem_new(struct fake_refresh);
	refresh->done = done;
	refresh->arg = arg;
	(void)uv_timer_init(fake->loop, &refresh->timer);
	refresh->timer.data = refresh;
	(void)uv_timer_start(&refresh->timer, refresh_ended, 1, 0);
	return false;
}
