/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loop: one event loop per process, thin over libuv.
 *
 * Timers, watches, signals and hooks are heap objects owned by whoever made them; *_free() accepts
 * NULL, and no callback runs after it. A callback may free its own object and any other. Nothing
 * here is thread-safe.
 */
#pragma once

#include <stdbool.h>

#include "base/attr.h"
#include "base/time.h"

struct loop;
struct loop_timer;
struct loop_watch;
struct loop_signal;
struct loop_hook;
struct uv_loop_s;

enum {
	LOOP_READABLE = 1 << 0,
	LOOP_WRITABLE = 1 << 1,
	LOOP_HANGUP = 1 << 2, /* the other end will send no more, even if not all is read */
};

typedef void (*loop_fn)(void *user);
typedef void (*loop_watch_fn)(void *user, int events);
typedef void (*loop_signal_fn)(void *user, int signum);

struct loop *loop_new(void);

/* Everything made on @loop must have been freed before. */
void loop_free(struct loop *loop);

/* Run until loop_stop(), or until nothing is left that could ever cause a callback. */
void loop_run(struct loop *loop);
void loop_stop(struct loop *loop);

/* Let callbacks run until *@flag is true or @deadline has passed; returns *@flag. */
bool loop_run_until(struct loop *loop, const bool *flag, struct mono deadline);

/* For libraries that speak libuv themselves. */
struct uv_loop_s *loop_uv(struct loop *loop);

/* A timer fires once, not before its deadline, with the milliseconds that libuv offers. */
struct loop_timer *loop_timer_new(struct loop *loop, loop_fn fn, void *user);
void loop_timer_free(struct loop_timer *timer);

/* Set or move the deadline; MONO_NEVER stops it. One that has passed fires on the next turn. */
void loop_timer_set(struct loop_timer *timer, struct mono deadline);

/* Watch @fd (borrowed; it must stay open until the watch is freed) for @events, level-triggered. */
_must_use_ int loop_watch_new(struct loop *loop, int fd, int events, loop_watch_fn fn, void *user,
			      struct loop_watch **ret_watch);
void loop_watch_set(struct loop_watch *watch, int events);
void loop_watch_free(struct loop_watch *watch);

_must_use_ int loop_signal_new(struct loop *loop, int signum, loop_signal_fn fn, void *user,
			       struct loop_signal **ret_signal);
void loop_signal_free(struct loop_signal *signal);

/* Run @fn every time before the loop waits: the place to send what a turn has collected. Of several
 * the youngest comes first. A hook alone does not keep the loop running. */
struct loop_hook *loop_hook_new(struct loop *loop, loop_fn fn, void *user);
void loop_hook_free(struct loop_hook *hook);

/* Call @fn once, soon, never from inside this call; it cannot be taken back, so @user must live on.
 * What is still pending when the loop is freed is dropped. */
void loop_defer(struct loop *loop, loop_fn fn, void *user);
