/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pod that is only said to run, for an engine that pretends. No sandbox, no image, nothing on
 * disk: with the process every trace of it is gone.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "io/clock.h"
#include "runtime/pod.h"

static void say_running(struct container *container, int64_t at_ms)
{
	struct container_status *status = &container->status;

	container_set_state(container, RUN_PULLING);
	container_set_state(container, RUN_STARTING);
	container_set_state(container, RUN_RUNNING);
	container->has_started = true;
	status->state = CONTAINER_RUNNING;
	status->started_ms = at_ms;
	status->ready = true;
	container_set_reason(container, "", "");
}

static void say_completed(struct container *container, int64_t at_ms)
{
	struct container_status *status = &container->status;

	container_set_state(container, RUN_DONE);
	container->has_started = true;
	status->state = CONTAINER_TERMINATED;
	status->started_ms = status->finished_ms = at_ms;
	status->ready = true;
	container_set_reason(container, "Completed", "");
}

static void on_delay_over(void *user)
{
	struct pod *pod = user;

	pod->started_ms = clock_wall().ms;
	pod_set_stage(pod, STAGE_ACTIVE);
	for (size_t i = 0; i < pod->spec->container_count; i++) {
		if (pod->spec->containers[i].init)
			say_completed(&pod->containers[i], pod->started_ms);
		else
			say_running(&pod->containers[i], pod->started_ms);
	}
	pod_tell(pod, false);
}

bool pod_is_null(const struct pod *pod)
{
	return pod->pods->config.engine->ops->pretend_ms != NULL;
}

void pod_null_begin(struct pod *pod)
{
	const struct engine *engine = pod->pods->config.engine;

	pod_tell(pod, false);
	pod->null_timer = loop_timer_new(pod->pods->config.loop, on_delay_over, pod);
	loop_timer_set(pod->null_timer, mono_add_ms(clock_mono(), engine->ops->pretend_ms(engine)));
}

void pod_null_stop(struct pod *pod)
{
	pod_set_stage(pod, STAGE_TEARDOWN);
	pod_tell(pod, true);
	pod_free(pod);
}
