/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading: get and list.
 *
 * A get composes its object afresh. A list reads the texts of the resource's log, which has been
 * brought up to date, so that both show every write this machine has seen. A list is sent as its
 * client takes it: what waits never is more than EXCHANGE_OUT_HIGH, beside a pointer for each
 * object.
 *
 * Pages: with `limit` the rest is behind `continue`, which names the version of the first page and
 * the last object sent. Later pages show what there is by then, under the version of the first: who
 * watches from it is told of everything that has changed in between. When the log has forgotten
 * that version it is 410.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "api/compose.h"
#include "api/list_options.h"
#include "base/mem.h"

enum {
	TOKEN_MAX = 512, /* a version, a namespace and a name, in base64 */
};

struct list_answer {
	struct api *api;
	struct call *call;
	struct exchange *exchange;
	enum kube_resource_id id;
	struct list_options options;
	struct kube_table_view view;
	struct watch_text **texts; /* not yet sent from @at on */
	size_t count, at;
	size_t remaining; /* behind this page, if @more */
	bool more;
	uint64_t version;
	char *after; /* key of the last object of the page before */
};

static void answer_free(struct list_answer *answer)
{
	struct api *api = answer->api;

	for (size_t i = answer->at; i < answer->count; i++)
		watch_text_unref(answer->texts[i]);
	free(answer->texts);
	free(answer->after);
	list_options_deinit(&answer->options);
	if (answer->call) {
		call_free(answer->call);
		call_unhold(api);
	}
	free(answer);
}

void verb_get(struct call *call)
{
	json_t *object =
		compose_one(&call->api->backend, call->resource->id, call->namespace, call->name);

	if (!object) {
		call_not_found(call);
		return;
	}
	call_respond_stored(call, 200, object);
}

/* What was asked for. */

/* "VERSION KEY" in base64. */
static bool parse_token(struct list_answer *answer, const char *token)
{
	struct buf text = {0};
	char *space = NULL;
	bool fine = strlen(token) <= TOKEN_MAX && base64_decode(bytes_str(token), &text);

	if (fine) {
		space = strchr(buf_cstr(&text), ' ');
		fine = space != NULL && strlen(buf_cstr(&text)) == text.len;
	}
	if (fine) {
		*space = 0;
		fine = list_number((char *)text.ptr, &answer->version);
		answer->after = fine ? mem_strdup(space + 1) : NULL;
	}
	buf_deinit(&text);
	return fine;
}

/* Where the page begins, of a version that there is. False: it was answered with a failure. */
static bool find_page(struct list_answer *answer, struct call *call, const struct watch_log *log)
{
	const struct list_options *options = &answer->options;
	uint64_t at;

	answer->version = log->stamp;
	if (options->exact && options->version != log->stamp) {
		call_fail(call, KUBE_REASON_EXPIRED,
			  "the provided resource version is not available");
		return false;
	}
	if (!options->token)
		return true;
	if (!parse_token(answer, options->token)) {
		call_fail(call, KUBE_REASON_BAD_REQUEST, "continue key is not valid");
		return false;
	}
	if (watch_log_position(log, answer->version, &at))
		return true;
	call_fail(call, KUBE_REASON_EXPIRED,
		  "the provided continue parameter is too old to display a consistent list");
	return false;
}

/* What is sent. */

static bool is_selected(const struct list_answer *answer, const struct watch_text *text)
{
	json_t *object;
	bool selected;

	if (!list_options_has_selectors(&answer->options))
		return true;
	object = json_loadb(text->json, text->len, 0, NULL);
	selected = list_options_selects(&answer->options, object);
	json_decref(object);
	return selected;
}

static void take(struct list_answer *answer, struct watch_text *text)
{
	if ((answer->count & (answer->count + 1)) == 0) /* 0, 1, 3, 7: it is full */
		answer->texts = mem_resize(answer->texts, 2 * answer->count + 1,
					   sizeof(struct watch_text *));
	answer->texts[answer->count++] = watch_text_ref(text);
}

/* The part of the log that belongs to the namespace, behind the page before. */
static size_t first_position(const struct list_answer *answer, const struct watch_log *log)
{
	struct buf from = {0};
	size_t position;

	if (answer->after)
		buf_append_format(&from, "%s\x01", answer->after);
	else if (answer->call->namespace)
		buf_append_format(&from, "%s/", answer->call->namespace);
	position = watch_log_from(log, from.len ? buf_cstr(&from) : NULL);
	buf_deinit(&from);
	return position;
}

static void collect(struct list_answer *answer, const struct watch_log *log)
{
	size_t position = first_position(answer, log);
	struct watch_text *text;

	while ((text = watch_log_next(log, &position))) {
		if (!watch_text_is_in(text, answer->call->namespace))
			return;
		if (!is_selected(answer, text))
			continue;
		if (!answer->options.limit || answer->count < answer->options.limit) {
			take(answer, text);
			continue;
		}
		answer->more = true;
		answer->remaining++;
		if (list_options_has_selectors(&answer->options))
			return; /* as Kubernetes: how many more is not told then */
	}
}

/* One object by its name: no need for the others. */
static bool collect_named(struct list_answer *answer, const struct watch_log *log)
{
	const char *name = kube_field_selector_name(&answer->options.fields);
	struct watch_text *text;
	struct buf key = {0};

	if (!name || (answer->call->resource->namespaced && !answer->call->namespace))
		return false;
	buf_append_format(&key, "%s/%s", answer->call->namespace ? answer->call->namespace : "",
			  name);
	text = watch_log_find(log, buf_cstr(&key));
	buf_deinit(&key);
	if (text && is_selected(answer, text))
		take(answer, text);
	return true;
}

static json_t *token_json(const struct list_answer *answer)
{
	struct buf plain = {0}, token = {0};
	json_t *json;

	buf_append_format(&plain, "%" PRIu64 " %s", answer->version,
			  answer->texts[answer->count - 1]->key);
	base64_encode(bytes_buf(&plain), &token);
	json = json_string(buf_cstr(&token));
	buf_deinit(&plain);
	buf_deinit(&token);
	return json;
}

/* The list without its items, which are its last member: "...[" */
static void append_head(const struct list_answer *answer, struct buf *out)
{
	const struct kube_resource *resource = kube_resource(answer->id);
	json_t *list = kube_list_new(resource, answer->version);
	json_t *metadata = json_object_get(list, "metadata");
	char *text;

	if (answer->more) {
		(void)json_object_set_new(metadata, "continue", token_json(answer));
		if (!list_options_has_selectors(&answer->options))
			(void)json_object_set_new(metadata, "remainingItemCount",
						  json_integer((json_int_t)answer->remaining));
	}
	if (answer->options.table) {
		json_t *table = kube_table(resource, list, &answer->view);

		json_decref(list);
		list = table;
	} else if (answer->options.partial) {
		json_t *partial = kube_partial(list);

		json_decref(list);
		list = partial;
	}
	text = json_dumps(list, JSON_COMPACT);
	if (!text)
		abort(); /* only memory can be short */
	buf_append(out, text, strlen(text) - 2);
	free(text);
	json_decref(list);
}

static void append_row(const struct list_answer *answer, const struct watch_text *text,
		       struct buf *out)
{
	struct kube_table_view view = answer->view;
	json_t *object, *table;
	char *row;

	if (view.include != KUBE_INCLUDE_OBJECT) {
		kube_row(bytes_buf(&text->cells), watch_text_metadata(text), &view, out);
		return;
	}
	object = json_loadb(text->json, text->len, 0, NULL);
	view.without_columns = true;
	table = kube_table(kube_resource(answer->id), object, &view);
	row = json_dumps(json_array_get(json_object_get(table, "rows"), 0), JSON_COMPACT);
	if (!row)
		abort(); /* only memory can be short */
	buf_append_str(out, row);
	free(row);
	json_decref(table);
	json_decref(object);
}

/* As many objects as make a piece of EXCHANGE_OUT_HIGH; true when they were the last. */
static bool append_items(struct list_answer *answer, struct buf *out)
{
	while (answer->at < answer->count && out->len < EXCHANGE_OUT_HIGH / 2) {
		struct watch_text *text = answer->texts[answer->at];

		if (answer->at++)
			buf_append_str(out, ",");
		if (answer->options.table)
			append_row(answer, text, out);
		else if (answer->options.partial)
			kube_partial_text(watch_text_metadata(text), out);
		else
			buf_append(out, text->json, text->len);
		watch_text_unref(text);
	}
	if (answer->at < answer->count)
		return false;
	buf_append_str(out, "]}\n");
	return true;
}

/* Send what the client takes. May free the answer. */
static void answer_advance(struct list_answer *answer)
{
	struct buf piece = {0};
	bool last = false;

	while (!last && exchange_waiting(answer->exchange) < EXCHANGE_OUT_HIGH) {
		buf_clear(&piece);
		last = append_items(answer, &piece);
		(void)exchange_write(answer->exchange, bytes_buf(&piece));
	}
	buf_deinit(&piece);
	if (!last)
		return;
	exchange_end(answer->exchange);
	answer_free(answer);
}

static void answer_writable(struct exchange *exchange, void *arg)
{
	(void)exchange;
	answer_advance(arg);
}

static void answer_aborted(struct exchange *exchange, void *arg)
{
	exchange_end(exchange);
	answer_free(arg);
}

static void answer_start(struct list_answer *answer)
{
	struct call *call = answer->call;
	struct buf head = {0};
	bool last;

	append_head(answer, &head);
	last = append_items(answer, &head);
	if (last) { /* it is short: most are */
		answer->exchange = call->exchange;
		call->exchange = NULL;
		exchange_respond(answer->exchange, 200, "application/json", bytes_buf(&head));
		buf_deinit(&head);
		answer_free(answer);
		return;
	}
	answer->exchange = call->exchange;
	call->exchange = NULL;
	exchange_stream(answer->exchange, 200, "application/json", answer_writable, answer_aborted,
			answer);
	(void)exchange_write(answer->exchange, bytes_buf(&head));
	buf_deinit(&head);
	answer_advance(answer);
}

void verb_list(struct call *call)
{
	struct list_answer *answer = mem_new(struct list_answer);
	const struct watch_log *log = changes_log(call->api, call->resource->id);

	answer->api = call->api;
	answer->id = call->resource->id;
	if (!list_options_read(call, false, &answer->options) || !find_page(answer, call, log)) {
		answer_free(answer);
		return;
	}
	answer->view.now = call->api->backend.ops->now(call->api->backend.self);
	answer->view.include = answer->options.include;
	answer->call = call;
	call_hold(call);
	if (!collect_named(answer, log))
		collect(answer, log);
	answer_start(answer);
}
