/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Usage: metrics.k8s.io, for `kubectl top`. No machine announces what it uses: those that are meant
 * are asked when somebody wants to know, some at a time, and who has not answered in time is left
 * out, as a machine is of which Kubernetes has no metrics yet.
 *
 *   MACHINES -> asked, at most IN_FLIGHT_MAX at once -> all have answered, or the deadline -> items
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/compose.h"
#include "api/gateway.h"
#include "base/mem.h"
#include "kube/selector.h"
#include "kube/time.h"
#include "wire/presence.h"

enum {
	/* A machine measures for a second; the answer of a large one has some 50 KiB. */
	IN_FLIGHT_MAX = 32,
	ANSWER_BYTES_MAX = 4 << 20,
	/* With 100 machines four rounds of a second; kubectl itself would wait for ever. */
	DEADLINE_MS = 10000,
};

enum question_state {
	QUESTION_WAITING,
	QUESTION_ASKED,
	QUESTION_OVER,
};

/* To one machine. */
struct question {
	struct gathering *gathering;
	enum question_state state;
	bool opening;
	struct node_id machine;
	char *name;
	struct api_stream *stream;
	struct buf text;
};

struct gathering {
	struct api *api;
	struct call *call; /* NULL once answered */
	uv_timer_t timer;
	struct question *questions; /* does not move once they are asked */
	size_t count, in_flight;
	bool asking, of_pods;
	struct kube_selector selector;
	json_t *items;
};

static void on_timer_closed(uv_handle_t *handle)
{
	struct gathering *gathering = handle->data;
	struct api *api = gathering->api;

	for (size_t i = 0; i < gathering->count; i++) {
		buf_deinit(&gathering->questions[i].text);
		free(gathering->questions[i].name);
	}
	free(gathering->questions);
	kube_selector_deinit(&gathering->selector);
	json_decref(gathering->items);
	free(gathering);
	call_unhold(api);
}

static void gathering_end(struct gathering *gathering)
{
	const struct api_backend *backend = &gathering->api->backend;

	for (size_t i = 0; i < gathering->count; i++) {
		struct question *question = &gathering->questions[i];

		if (question->stream)
			backend->ops->stream_close(backend->self, question->stream);
		question->stream = NULL;
		question->state = QUESTION_OVER;
	}
	uv_close((uv_handle_t *)&gathering->timer, on_timer_closed);
}

/* ---- the answer */

static json_t *quantities(json_int_t cpu_nano, json_int_t memory_bytes)
{
	return json_pack("{s:o,s:o}", "cpu", json_sprintf("%" JSON_INTEGER_FORMAT "n", cpu_nano),
			 "memory", json_sprintf("%" JSON_INTEGER_FORMAT "Ki", memory_bytes / 1024));
}

static json_t *item_new(const struct gathering *gathering, const char *kind, const char *namespace,
			const char *name, json_int_t window_ms)
{
	const struct api_backend *backend = &gathering->api->backend;
	struct kube_time now = kube_time_text(backend->ops->now(backend->self));
	json_t *item = json_pack("{s:s,s:s,s:{s:s,s:s},s:s,s:o}", "kind", kind, "apiVersion",
				 "metrics.k8s.io/v1beta1", "metadata", "name", name,
				 "creationTimestamp", now.text, "timestamp", now.text, "window",
				 json_sprintf("%" JSON_INTEGER_FORMAT ".%03ds", window_ms / 1000,
					      (int)(window_ms % 1000)));

	if (namespace)
		(void)json_object_set_new(json_object_get(item, "metadata"), "namespace",
					  json_string(namespace));
	return item;
}

static json_int_t number(const json_t *json, const char *name)
{
	return json_integer_value(json_object_get(json, name));
}

static const char *string(const json_t *json, const char *name)
{
	const char *text = json_string_value(json_object_get(json, name));

	return text ? text : "";
}

static void add_node(struct gathering *gathering, const char *name, const json_t *answer)
{
	json_t *item = item_new(gathering, "NodeMetrics", NULL, name, number(answer, "window_ms"));

	(void)json_object_set_new(
		item, "usage",
		quantities(number(answer, "cpu_nano"), number(answer, "memory_bytes")));
	(void)json_array_append_new(gathering->items, item);
}

/* Whether the call is about that pod. */
static bool is_wanted(const struct gathering *gathering, const char *namespace, const char *name)
{
	const struct call *call = gathering->call;
	json_t *pod;
	bool wanted;

	if ((call->name && strcmp(call->name, name) != 0) ||
	    (call->namespace && strcmp(call->namespace, namespace) != 0))
		return false;
	pod = compose_one(&gathering->api->backend, KUBE_PODS, namespace, name);
	wanted = pod && kube_label_selector_matches(&gathering->selector, pod);
	json_decref(pod);
	return wanted;
}

static json_t *find_item(const struct gathering *gathering, const char *namespace, const char *name)
{
	size_t count = json_array_size(gathering->items);
	json_t *last = json_array_get(gathering->items, count - 1);
	const json_t *metadata = json_object_get(last, "metadata");

	/* A machine tells the containers of a pod one after the other. */
	return count && strcmp(string(metadata, "name"), name) == 0 &&
			       strcmp(string(metadata, "namespace"), namespace) == 0
		       ? last
		       : NULL;
}

static void add_container(struct gathering *gathering, const json_t *container,
			  json_int_t window_ms)
{
	const char *namespace = string(container, "namespace"), *pod = string(container, "pod");
	json_t *item = find_item(gathering, namespace, pod);

	if (!item) {
		if (!is_wanted(gathering, namespace, pod))
			return;
		item = item_new(gathering, "PodMetrics", namespace, pod, window_ms);
		(void)json_object_set_new(item, "containers", json_array());
		(void)json_array_append_new(gathering->items, item);
	}
	(void)json_array_append_new(json_object_get(item, "containers"),
				    json_pack("{s:s,s:o}", "name", string(container, "container"),
					      "usage",
					      quantities(number(container, "cpu_nano"),
							 number(container, "memory_bytes"))));
}

static void add_answer(struct gathering *gathering, const struct question *question)
{
	json_t *answer = json_loadb((const char *)question->text.ptr, question->text.len, 0, NULL);
	const json_t *container;
	size_t i;

	if (!json_is_object(answer))
		return;
	if (!gathering->of_pods)
		add_node(gathering, question->name, answer);
	else
		json_array_foreach (json_object_get(answer, "containers"), i, container)
			add_container(gathering, container, number(answer, "window_ms"));
	json_decref(answer);
}

static void respond(struct gathering *gathering)
{
	struct call *call = gathering->call;
	json_t *list;

	gathering->call = NULL;
	if (call->name) {
		json_t *item = json_array_get(gathering->items, 0);

		if (item)
			call_respond_json(call, 200, json_incref(item));
		else
			call_not_found(call);
	} else {
		list = json_pack("{s:s,s:s,s:{},s:O}", "kind",
				 gathering->of_pods ? "PodMetricsList" : "NodeMetricsList",
				 "apiVersion", "metrics.k8s.io/v1beta1", "metadata", "items",
				 gathering->items);
		call_respond_json(call, 200, list);
	}
	gathering_end(gathering);
}

/* ---- the questions */

static void ask_more(struct gathering *gathering);

static void over(struct question *question)
{
	struct gathering *gathering = question->gathering;

	question->state = QUESTION_OVER;
	question->stream = NULL;
	gathering->in_flight--;
	if (!question->opening)
		ask_more(gathering);
}

static void sink_begin(void *arg)
{
	(void)arg;
}

static bool sink_data(void *arg, struct bytes bytes)
{
	struct question *question = arg;

	if (question->text.len + bytes.len <= ANSWER_BYTES_MAX)
		buf_append_bytes(&question->text, bytes);
	return true;
}

static void sink_end(void *arg, const struct err *err)
{
	struct question *question = arg;

	if (!err->code)
		add_answer(question->gathering, question);
	buf_deinit(&question->text);
	over(question);
}

static void ask(struct question *question)
{
	static const struct api_stream_sink sink = {
		.begin = sink_begin, .data = sink_data, .end = sink_end};
	struct gathering *gathering = question->gathering;
	const struct api_backend *backend = &gathering->api->backend;
	const char *namespace = gathering->call->namespace;
	struct api_stream_request request = {
		.kind = API_STREAM_USAGE,
		.machine = question->machine,
		.user = gathering->call->exchange->user.name,
		.namespace = !gathering->of_pods ? NULL
			     : namespace         ? namespace
						 : "",
	};

	question->state = QUESTION_ASKED;
	gathering->in_flight++;
	question->opening = true;
	question->stream = backend->ops->stream_open(backend->self, &request, &sink, question);
	question->opening = false;
	if (question->state == QUESTION_OVER)
		question->stream = NULL;
}

static void ask_more(struct gathering *gathering)
{
	if (gathering->asking)
		return;
	gathering->asking = true;
	for (size_t i = 0; i < gathering->count && gathering->in_flight < IN_FLIGHT_MAX; i++)
		if (gathering->questions[i].state == QUESTION_WAITING)
			ask(&gathering->questions[i]);
	gathering->asking = false;
	if (gathering->in_flight == 0)
		respond(gathering);
}

static void on_deadline(uv_timer_t *timer)
{
	respond(timer->data);
}

static void on_abort(struct exchange *exchange, void *arg)
{
	struct gathering *gathering = arg;
	struct call *call = gathering->call;

	(void)exchange;
	gathering->call = NULL;
	call_fail(call, KUBE_REASON_TIMEOUT, "the client has gone");
	gathering_end(gathering);
}

/* ---- which machines */

static struct question *find_machine(const struct gathering *gathering, const struct node_id *id)
{
	for (size_t i = 0; i < gathering->count; i++)
		if (node_id_equal(&gathering->questions[i].machine, id))
			return &gathering->questions[i];
	return NULL;
}

static void add_machine(struct gathering *gathering, const struct node_id *id, const char *name)
{
	struct question *grown;

	if (find_machine(gathering, id))
		return;
	grown = mem_alloc(gathering->count + 1, sizeof(*grown));
	if (gathering->count)
		memcpy(grown, gathering->questions, gathering->count * sizeof(*grown));
	free(gathering->questions);
	gathering->questions = grown;
	grown[gathering->count++] =
		(struct question){.gathering = gathering, .machine = *id, .name = mem_strdup(name)};
}

static void add_member(void *arg, const struct api_member *member)
{
	struct gathering *gathering = arg;
	const char *name = gathering->call->name;

	if (member->alive && (!name || strcmp(name, member->facts->name) == 0))
		add_machine(gathering, &member->id, member->facts->name);
}

static void add_presence(void *arg, const struct presence *presence, uint64_t version)
{
	struct gathering *gathering = arg;
	const struct call *call = gathering->call;

	(void)version;
	if (presence->phase == POD_RUNNING &&
	    (!call->namespace || strcmp(call->namespace, presence->object.namespace) == 0) &&
	    (!call->name || strcmp(call->name, presence->pod_name) == 0))
		add_machine(gathering, &presence->node, presence->node_name);
}

bool usage_is(const struct kube_resource *resource)
{
	return resource->id == KUBE_NODEMETRICS || resource->id == KUBE_PODMETRICS;
}

void verb_usage(struct call *call)
{
	const struct api_backend *backend = &call->api->backend;
	const char *selector = url_param(&call->url, "labelSelector");
	struct gathering *gathering = mem_new(struct gathering);
	struct err err = {0};

	gathering->of_pods = call->resource->namespaced;
	if (kube_label_selector_parse(selector ? selector : "", &gathering->selector, &err) != 0) {
		free(gathering);
		call_fail(call, KUBE_REASON_BAD_REQUEST, err.text);
		return;
	}
	call_hold(call);
	gathering->api = call->api;
	gathering->call = call;
	gathering->items = json_array();
	(void)uv_timer_init(call->api->loop, &gathering->timer);
	gathering->timer.data = gathering;
	(void)uv_timer_start(&gathering->timer, on_deadline, DEADLINE_MS, 0);
	exchange_on_abort(call->exchange, on_abort, gathering);
	if (gathering->of_pods)
		backend->ops->presences(backend->self, NULL, add_presence, gathering);
	else
		backend->ops->members(backend->self, add_member, gathering);
	ask_more(gathering);
}
