/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libuv closes handles asynchronously, so each object lives on the heap and is freed in the close
 * callback; between the two it is silent. A callback may thus free anything, itself included.
 */
#include "io/loop.h"

#include <assert.h>
#include <stdlib.h>
#include <uv.h>

#include "base/err.h"
#include "base/list.h"
#include "base/mem.h"
#include "io/clock.h"

struct loop {
	uv_loop_t uv;
	uv_idle_t idle; /* active while something is deferred, so that the loop does not wait */
	struct list deferred;
};

struct deferred {
	struct list link;
	loop_fn fn;
	void *user;
};

struct loop_timer {
	uv_timer_t uv;
	struct mono deadline;
	loop_fn fn;
	void *user;
};

struct loop_watch {
	uv_poll_t uv;
	int events;
	loop_watch_fn fn;
	void *user;
};

struct loop_signal {
	uv_signal_t uv;
	loop_signal_fn fn;
	void *user;
};

struct loop_hook {
	uv_prepare_t uv;
	loop_fn fn;
	void *user;
};

static void on_closed_free(uv_handle_t *handle)
{
	free(handle->data);
}

/* The handle is always the first member, and data points to the object around it. */
static void close_object(uv_handle_t *handle)
{
	if (!uv_is_closing(handle))
		uv_close(handle, on_closed_free);
}

static void on_idle(uv_idle_t *idle)
{
	struct loop *loop = idle->data;
	struct list now;

	/* What is deferred from inside belongs to the next turn, or two could starve the rest. */
	list_init(&now);
	while (!list_is_empty(&loop->deferred)) {
		struct list *link = loop->deferred.next;

		list_remove(link);
		list_append(&now, link);
	}
	(void)uv_idle_stop(idle);
	while (!list_is_empty(&now)) {
		struct deferred *call = list_first(&now, struct deferred, link);

		list_remove(&call->link);
		call->fn(call->user);
		free(call);
	}
}

struct loop *loop_new(void)
{
	struct loop *loop = mem_new(struct loop);
	int r = uv_loop_init(&loop->uv);

	if (r < 0)
		abort(); /* no file descriptor or memory left before anything has begun */
	loop->uv.data = loop;
	list_init(&loop->deferred);
	(void)uv_idle_init(&loop->uv, &loop->idle);
	loop->idle.data = loop;
	return loop;
}

void loop_free(struct loop *loop)
{
	int r;

	if (!loop)
		return;
	while (!list_is_empty(&loop->deferred)) {
		struct deferred *call = list_first(&loop->deferred, struct deferred, link);

		list_remove(&call->link);
		free(call);
	}
	uv_close((uv_handle_t *)&loop->idle, NULL);
	(void)uv_run(&loop->uv, UV_RUN_DEFAULT);
	r = uv_loop_close(&loop->uv);
	assert(r == 0); /* an object made on this loop was not freed */
	free(loop);
}

void loop_run(struct loop *loop)
{
	(void)uv_run(&loop->uv, UV_RUN_DEFAULT);
}

void loop_stop(struct loop *loop)
{
	uv_stop(&loop->uv);
}

static void on_deadline(void *user)
{
	(void)user; /* its only purpose is to end the wait */
}

bool loop_run_until(struct loop *loop, const bool *flag, struct mono deadline)
{
	struct loop_timer *timer = loop_timer_new(loop, on_deadline, NULL);

	loop_timer_set(timer, deadline);
	while (!*flag && !mono_reached(clock_mono(), deadline))
		(void)uv_run(&loop->uv, UV_RUN_ONCE);
	loop_timer_free(timer);
	return *flag;
}

struct uv_loop_s *loop_uv(struct loop *loop)
{
	return &loop->uv;
}

static void on_timer(uv_timer_t *uv)
{
	struct loop_timer *timer = uv->data;

	/* libuv counts milliseconds from its cached clock and may be a fraction early. */
	if (!mono_reached(clock_mono(), timer->deadline)) {
		loop_timer_set(timer, timer->deadline);
		return;
	}
	timer->fn(timer->user);
}

struct loop_timer *loop_timer_new(struct loop *loop, loop_fn fn, void *user)
{
	struct loop_timer *timer = mem_new(struct loop_timer);

	(void)uv_timer_init(&loop->uv, &timer->uv);
	timer->uv.data = timer;
	timer->fn = fn;
	timer->user = user;
	return timer;
}

void loop_timer_set(struct loop_timer *timer, struct mono deadline)
{
	int64_t wait_us;

	timer->deadline = deadline;
	if (deadline.us == MONO_NEVER.us) {
		(void)uv_timer_stop(&timer->uv);
		return;
	}
	uv_update_time(timer->uv.loop);
	wait_us = mono_since_us(deadline, clock_mono());
	if (wait_us < 0)
		wait_us = 0;
	(void)uv_timer_start(&timer->uv, on_timer, ((uint64_t)wait_us + US_PER_MS - 1) / US_PER_MS,
			     0);
}

void loop_timer_free(struct loop_timer *timer)
{
	if (timer)
		close_object((uv_handle_t *)&timer->uv);
}

static void on_poll(uv_poll_t *uv, int status, int uv_events)
{
	struct loop_watch *watch = uv->data;
	int events = 0;

	/* A failed descriptor is reported as readable: the next read tells the reason. */
	if (status < 0) {
		events = watch->events;
		watch->events = 0; /* the library has stopped watching it */
	}
	if (uv_events & UV_READABLE)
		events |= LOOP_READABLE;
	if (uv_events & UV_WRITABLE)
		events |= LOOP_WRITABLE;
	if (uv_events & UV_DISCONNECT)
		events |= LOOP_HANGUP;
	watch->fn(watch->user, events);
}

int loop_watch_new(struct loop *loop, int fd, int events, loop_watch_fn fn, void *user,
		   struct loop_watch **ret_watch)
{
	struct loop_watch *watch = mem_new(struct loop_watch);
	int r = uv_poll_init(&loop->uv, &watch->uv, fd);

	if (r < 0) {
		free(watch);
		return err_origin(r);
	}
	watch->uv.data = watch;
	watch->fn = fn;
	watch->user = user;
	loop_watch_set(watch, events);
	*ret_watch = watch;
	return 0;
}

void loop_watch_set(struct loop_watch *watch, int events)
{
	int uv_events = 0;

	/* To say the same again would cost two system calls. */
	if (events == watch->events)
		return;
	watch->events = events;
	if (events & LOOP_READABLE)
		uv_events |= UV_READABLE;
	if (events & LOOP_WRITABLE)
		uv_events |= UV_WRITABLE;
	if (events & LOOP_HANGUP)
		uv_events |= UV_DISCONNECT;
	if (uv_events)
		(void)uv_poll_start(&watch->uv, uv_events, on_poll);
	else
		(void)uv_poll_stop(&watch->uv);
}

void loop_watch_free(struct loop_watch *watch)
{
	if (!watch)
		return;
	(void)uv_poll_stop(&watch->uv);
	close_object((uv_handle_t *)&watch->uv);
}

static void on_signal(uv_signal_t *uv, int signum)
{
	struct loop_signal *signal = uv->data;

	signal->fn(signal->user, signum);
}

int loop_signal_new(struct loop *loop, int signum, loop_signal_fn fn, void *user,
		    struct loop_signal **ret_signal)
{
	struct loop_signal *signal = mem_new(struct loop_signal);
	int r;

	(void)uv_signal_init(&loop->uv, &signal->uv);
	signal->uv.data = signal;
	signal->fn = fn;
	signal->user = user;
	r = uv_signal_start(&signal->uv, on_signal, signum);
	if (r < 0) {
		close_object((uv_handle_t *)&signal->uv);
		return err_origin(r);
	}
	*ret_signal = signal;
	return 0;
}

void loop_signal_free(struct loop_signal *signal)
{
	if (signal)
		close_object((uv_handle_t *)&signal->uv);
}

static void on_prepare(uv_prepare_t *uv)
{
	struct loop_hook *hook = uv->data;

	hook->fn(hook->user);
}

struct loop_hook *loop_hook_new(struct loop *loop, loop_fn fn, void *user)
{
	struct loop_hook *hook = mem_new(struct loop_hook);

	(void)uv_prepare_init(&loop->uv, &hook->uv);
	hook->uv.data = hook;
	hook->fn = fn;
	hook->user = user;
	(void)uv_prepare_start(&hook->uv, on_prepare);
	uv_unref((uv_handle_t *)&hook->uv);
	return hook;
}

void loop_hook_free(struct loop_hook *hook)
{
	if (hook)
		close_object((uv_handle_t *)&hook->uv);
}

void loop_defer(struct loop *loop, loop_fn fn, void *user)
{
	struct deferred *call = mem_new(struct deferred);

	call->fn = fn;
	call->user = user;
	list_append(&loop->deferred, &call->link);
	(void)uv_idle_start(&loop->idle, on_idle);
}
