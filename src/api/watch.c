/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Watch: one client's stream of changes.
 *
 * A stream first sends the present state if it was asked for (resourceVersion absent or 0, or
 * sendInitialEvents), then follows the resource's log. It never holds more than a bounded number of
 * bytes for its client: it stops at the high-water mark and goes on when the client has read.
 * A client so slow that the log has forgotten its place is told 410 and lists again.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "api/list_options.h"
#include "base/mem.h"
#include "kube/admit.h"

enum {
	BOOKMARK_MS = 60 * 1000, /* as Kubernetes: about once a minute */
	REFRESH_MS = 2000,       /* what is kept elsewhere is brought again */
	TIMEOUT_S_MAX = 60 * 60, /* then it is resumed, and its user is looked at again */
};

struct watch {
	struct list link; /* in api->watches */
	struct api *api;
	struct call *call;
	struct exchange *exchange;
	enum kube_resource_id id;
	struct list_options options;
	bool columns_sent;
	struct watch_text **initial; /* the present state, not yet sent from initial_at on */
	size_t initial_count, initial_at;
	uint64_t initial_stamp; /* the log's, when that was so */
	uint64_t sequence;      /* of the next change to look at */
	uint64_t deadline_ms, bookmark_ms;
	bool remote; /* of what others keep: no news of it comes by itself */
	struct watch_refresh *refresh;
	uv_timer_t timer;
};

/* A refresh under way; the watch may end before it. */
struct watch_refresh {
	struct api *api;
	struct watch *watch; /* NULL: it has ended */
};

/* Releasing. */

static void watch_timer_closed(uv_handle_t *handle)
{
	struct watch *watch = handle->data;

	call_unhold(watch->api);
	free(watch);
}

static void watch_free(struct watch *watch)
{
	list_remove(&watch->link);
	if (watch->refresh)
		watch->refresh->watch = NULL;
	for (size_t i = watch->initial_at; i < watch->initial_count; i++)
		watch_text_unref(watch->initial[i]);
	free(watch->initial);
	list_options_deinit(&watch->options);
	call_free(watch->call);
	uv_close((uv_handle_t *)&watch->timer, watch_timer_closed);
}

static void watch_end(struct watch *watch)
{
	exchange_end(watch->exchange);
	watch_free(watch);
}

static void watch_aborted(struct exchange *exchange, void *arg)
{
	(void)exchange;
	watch_end(arg);
}

/* Sending. */

static void send_json(struct watch *watch, json_t *value)
{
	char *text = json_dumps(value, JSON_COMPACT);
	struct buf line = {0};

	json_decref(value);
	if (!text)
		abort(); /* only memory can be short */
	buf_append_str(&line, text);
	buf_append_str(&line, "\n");
	free(text);
	(void)exchange_write(watch->exchange, bytes_buf(&line));
	buf_deinit(&line);
}

/* Takes @object over. */
static void send_event(struct watch *watch, const char *type, json_t *object)
{
	const struct kube_resource *resource = kube_resource(watch->id);

	if (watch->options.table) {
		struct kube_table_view view = {
			.include = watch->options.include,
			.now = watch->api->backend.ops->now(watch->api->backend.self),
			.without_columns = watch->columns_sent,
		};
		json_t *table = kube_table(resource, object, &view);

		json_decref(object);
		object = table;
		watch->columns_sent = true;
	} else if (watch->options.partial) {
		json_t *partial = kube_partial(object);

		json_decref(object);
		object = partial;
	}
	send_json(watch, kube_watch_event(type, object));
}

static void send_bookmark(struct watch *watch, uint64_t stamp, bool initial_end)
{
	json_t *bookmark = kube_bookmark(kube_resource(watch->id), stamp, initial_end);

	if (watch->options.partial) {
		json_t *partial = kube_partial(bookmark);

		json_decref(bookmark);
		bookmark = partial;
	}
	send_json(watch, kube_watch_event("BOOKMARK", bookmark));
}

static void send_expired(struct watch *watch)
{
	send_json(watch, kube_watch_event("ERROR", kube_status(KUBE_REASON_EXPIRED,
							       "too old resource version")));
}

/* Selecting. */

/* Texts are parsed only for those who select by what is in them, and once for all of these. */
static bool wants(const struct watch *watch, struct watch_text *text)
{
	const json_t *object;

	if (!text || !watch_text_is_in(text, watch->call->namespace))
		return false;
	if (!list_options_has_selectors(&watch->options))
		return true;
	object = watch_log_parse(watch->api->logs[watch->id], text);
	return object && list_options_selects(&watch->options, object);
}

/* A text as it is: nothing in it depends on who reads it. */
static void send_text(struct watch *watch, const char *type, const struct watch_text *text)
{
	struct buf line = {0};

	buf_append_format(&line, "{\"type\":\"%s\",\"object\":", type);
	if (watch->options.partial)
		kube_partial_text(watch_text_metadata(text), &line);
	else
		buf_append(&line, text->json, text->len);
	buf_append_str(&line, "}\n");
	(void)exchange_write(watch->exchange, bytes_buf(&line));
	buf_deinit(&line);
}

static void send_object(struct watch *watch, const char *type, struct watch_text *text)
{
	const json_t *object;

	if (!watch->options.table) {
		send_text(watch, type, text);
		return;
	}
	object = watch_log_parse(watch->api->logs[watch->id], text);
	if (object)
		send_event(watch, type, json_incref((json_t *)(uintptr_t)object));
}

/* The last state, at the version of its disappearance. */
static void send_deleted(struct watch *watch, const struct watch_change *change)
{
	json_t *object = json_loadb(change->before->json, change->before->len, 0, NULL);

	if (!object)
		return;
	kube_set_version(object, change->stamp);
	send_event(watch, "DELETED", object);
}

/* An object that enters the selection is added, one that leaves it is deleted. */
static void send_change(struct watch *watch, const struct watch_change *change)
{
	bool before = wants(watch, change->before);

	if (wants(watch, change->after))
		send_object(watch, before ? "MODIFIED" : "ADDED", change->after);
	else if (before)
		send_deleted(watch, change);
}

static bool is_full(const struct watch *watch)
{
	return exchange_waiting(watch->exchange) >= EXCHANGE_OUT_HIGH;
}

static void send_initial(struct watch *watch)
{
	while (watch->initial_at < watch->initial_count && !is_full(watch)) {
		struct watch_text *text = watch->initial[watch->initial_at++];

		if (wants(watch, text))
			send_object(watch, "ADDED", text);
		watch_text_unref(text);
	}
	if (watch->initial_at < watch->initial_count)
		return;
	free(watch->initial);
	watch->initial = NULL;
	watch->initial_count = watch->initial_at = 0;
	if (watch->options.initial_end)
		send_bookmark(watch, watch->initial_stamp, true);
	watch->options.initial_end = false;
}

/* Send what there is, as far as the client takes it. May free the watch. */
static void watch_advance(struct watch *watch)
{
	const struct watch_log *log = watch->api->logs[watch->id];
	const struct watch_change *change;

	if (watch->initial || watch->options.initial_end)
		send_initial(watch);
	if (watch->initial)
		return;
	if (watch_log_forgot(log, watch->sequence)) {
		send_expired(watch);
		watch_end(watch);
		return;
	}
	while (!is_full(watch) && (change = watch_log_at(log, watch->sequence)) != NULL) {
		send_change(watch, change);
		watch->sequence++;
	}
}

static void watch_writable(struct exchange *exchange, void *arg)
{
	(void)exchange;
	watch_advance(arg);
}

void watch_feed(struct api *api, enum kube_resource_id id)
{
	list_for_each_safe (it, &api->watches) {
		struct watch *watch = list_entry(it, struct watch, link);

		if (watch->id == id)
			watch_advance(watch);
	}
	watch_log_forget_parsed(api->logs[id]);
}

void watch_end_all(struct api *api)
{
	list_for_each_safe (it, &api->watches)
		watch_end(list_entry(it, struct watch, link));
}

bool watch_is_used(const struct api *api, enum kube_resource_id id)
{
	list_for_each (it, &api->watches) {
		if (list_entry(it, const struct watch, link)->id == id)
			return true;
	}
	return false;
}

/* Time. */

static void watch_on_timer(uv_timer_t *timer);

/* What could not be had this time comes with the next one. */
static void watch_refreshed(void *arg, bool complete)
{
	struct watch_refresh *refresh = arg;
	struct api *api = refresh->api;

	(void)complete;
	if (refresh->watch)
		refresh->watch->refresh = NULL;
	free(refresh);
	call_unhold(api);
}

/* What it brings is a change like any other. */
static void watch_refresh(struct watch *watch)
{
	const struct api_backend *backend = &watch->api->backend;
	struct api_scope scope = call_scope(watch->call);
	struct watch_refresh *refresh;

	if (watch->refresh)
		return;
	refresh = mem_new(struct watch_refresh);
	refresh->api = watch->api;
	refresh->watch = watch;
	watch->refresh = refresh;
	scope_select(&scope, &watch->options.fields);
	call_hold(watch->call);
	if (backend->ops->refresh(backend->self, &scope, watch_refreshed, refresh)) {
		watch_refreshed(refresh, true);
		return;
	}
	watch->remote = true;
}

static void watch_rearm(struct watch *watch)
{
	uint64_t now = uv_now(watch->api->loop);
	uint64_t left = watch->deadline_ms > now ? watch->deadline_ms - now : 0;

	if (watch->options.bookmarks && left > BOOKMARK_MS)
		left = BOOKMARK_MS;
	if (watch->remote && left > REFRESH_MS)
		left = REFRESH_MS;
	(void)uv_timer_start(&watch->timer, watch_on_timer, left, 0);
}

static void watch_on_timer(uv_timer_t *timer)
{
	struct watch *watch = timer->data;

	if (uv_now(watch->api->loop) >= watch->deadline_ms) {
		watch_end(watch);
		return;
	}
	if (watch->remote)
		watch_refresh(watch);
	/* A bookmark says that everything up to it has been sent: only when that is so. */
	if (watch->options.bookmarks && uv_now(watch->api->loop) >= watch->bookmark_ms &&
	    !watch->initial && watch->sequence == watch_log_end(watch->api->logs[watch->id]) &&
	    !is_full(watch)) {
		send_bookmark(watch, watch->api->logs[watch->id]->stamp, false);
		watch->bookmark_ms = uv_now(watch->api->loop) + BOOKMARK_MS;
	}
	watch_rearm(watch);
}

/* Starting. */

static void take_initial(struct watch *watch, const struct watch_log *log)
{
	size_t position = 0, i = 0;
	struct watch_text *text;

	watch->initial = mem_alloc(log->view.count + 1, sizeof(*watch->initial));
	while ((text = watch_log_next(log, &position))) {
		if (watch_text_is_in(text, watch->call->namespace))
			watch->initial[i++] = watch_text_ref(text);
	}
	watch->initial_count = i;
	watch->initial_stamp = log->stamp;
}

/* Where to begin. False when it was answered with a failure. */
static bool find_start(struct watch *watch, struct call *call)
{
	const struct watch_log *log = changes_log(watch->api, watch->id);
	const struct list_options *options = &watch->options;

	watch->sequence = watch_log_end(log);
	if (options->initial)
		take_initial(watch, log);
	if (options->initial || options->version == 0 ||
	    watch_log_position(log, options->version, &watch->sequence))
		return true;
	call_fail(call, KUBE_REASON_EXPIRED, "too old resource version");
	return false;
}

static uint64_t timeout_s(const struct watch *watch)
{
	uint64_t asked = watch->options.timeout_s;

	return asked && asked < TIMEOUT_S_MAX ? asked : TIMEOUT_S_MAX;
}

static void watch_start(struct watch *watch, struct call *call)
{
	struct api *api = watch->api;

	watch->exchange = call->exchange;
	call->exchange = NULL;
	watch->deadline_ms = uv_now(api->loop) + timeout_s(watch) * 1000;
	watch->bookmark_ms = uv_now(api->loop) + BOOKMARK_MS;
	list_append(&api->watches, &watch->link);
	(void)uv_timer_init(api->loop, &watch->timer);
	watch->timer.data = watch;
	call_hold(call);
	watch_refresh(watch); /* which also tells whether it has to be done again and again */
	watch_rearm(watch);
	exchange_stream(watch->exchange, 200, "application/json", watch_writable, watch_aborted,
			watch);
	watch_advance(watch);
}

void verb_watch(struct call *call)
{
	struct watch *watch = mem_new(struct watch);

	watch->api = call->api;
	watch->call = call;
	watch->id = call->resource->id;
	list_init(&watch->link);
	if (!list_options_read(call, true, &watch->options)) {
		free(watch);
	} else if (!find_start(watch, call)) {
		list_options_deinit(&watch->options);
		free(watch);
	} else {
		watch_start(watch, call);
	}
}
