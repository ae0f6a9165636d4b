/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Own routes: health, metrics, tenders, disposals, and what an operator looks at.
 *
 * They are a table of method and path; a segment of "*" matches anything.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "api/compose.h"
#include "api/gateway.h"
#include "kube/time.h"
#include "wire/presence.h"

struct route {
	const char *verb; /* as in struct call: get, create, delete */
	const char *path;
	void (*handle)(struct call *call, const struct route *route);
	enum api_document document;
};

/* Health. */

static void handle_health(struct call *call, const struct route *route)
{
	struct err err = {0};
	bool ready = call->api->backend.ops->ready(call->api->backend.self, &err);

	(void)route;
	call_respond_json(call, 200, json_pack("{s:s, s:b}", "status", "ok", "ready", (int)ready));
}

static void handle_alive(struct call *call, const struct route *route)
{
	(void)route;
	call_respond_text(call, 200, "ok");
}

static void handle_ready(struct call *call, const struct route *route)
{
	struct err err = {0};

	(void)route;
	if (call->api->backend.ops->ready(call->api->backend.self, &err))
		call_respond_text(call, 200, "ok");
	else
		call_fail(call, KUBE_REASON_UNAVAILABLE, *err.text ? err.text : "not ready");
}

/* Metrics, in Prometheus' text format. */

static void append_counter(void *arg, const char *name, const char *help, const char *type,
			   uint64_t value)
{
	struct buf *out = arg;

	buf_append_format(out, "# HELP %s %s\n# TYPE %s %s\n%s %" PRIu64 "\n", name, help, name,
			  type, name, value);
}

static void handle_metrics(struct call *call, const struct route *route)
{
	const struct api_backend *backend = &call->api->backend;
	const struct server_counters *counters = server_counters(call->api->server);
	struct exchange *exchange = call->exchange;
	struct buf out = {0};

	(void)route;
	backend->ops->counters(backend->self, append_counter, &out);
	append_counter(&out, "magik_rest_connections", "Open REST connections.", "gauge",
		       server_connections(call->api->server));
	append_counter(&out, "magik_rest_connections_total", "REST connections accepted.",
		       "counter", counters->accepted);
	append_counter(&out, "magik_rest_connections_refused_total",
		       "REST connections over a limit.", "counter", counters->refused);
	append_counter(&out, "magik_rest_requests_total", "REST requests received.", "counter",
		       counters->requests);
	append_counter(&out, "magik_rest_bad_requests_total", "REST requests that were no HTTP.",
		       "counter", counters->bad_requests);
	append_counter(&out, "magik_rest_timeouts_total", "REST connections closed for slowness.",
		       "counter", counters->timeouts);
	append_counter(&out, "magik_rest_tls_failures_total", "TLS handshakes that failed.",
		       "counter", counters->tls_failures);
	call->exchange = NULL;
	exchange_respond(exchange, 200, "text/plain; version=0.0.4; charset=utf-8",
			 bytes_buf(&out));
	buf_deinit(&out);
	call_free(call);
}

/* Nodes, shorter than Kubernetes'. */

static void append_node(void *arg, const struct api_member *member)
{
	const struct node_facts *facts = member->facts;
	struct id_text id = node_id_text(&member->id);
	json_t *labels = json_object();

	for (size_t i = 0; i < facts->label_count; i++)
		(void)json_object_set_new(labels, facts->labels[i].key,
					  json_string(facts->labels[i].value));
	(void)json_array_append_new(
		arg,
		json_pack("{s:s, s:s, s:b, s:b, s:I, s:I, s:I, s:I, s:s, s:s, s:o}", "id", id.text,
			  "name", facts->name, "ready", (int)member->alive, "schedulable",
			  (int)facts->schedulable, "cpuMilli", (json_int_t)facts->cpu_milli,
			  "cpuMilliUsed", (json_int_t)facts->cpu_milli_used, "memoryBytes",
			  (json_int_t)facts->memory_bytes, "memoryBytesUsed",
			  (json_int_t)facts->memory_bytes_used, "architecture", facts->architecture,
			  "apiUrl", facts->api_url, "labels", labels));
}

static void handle_nodes(struct call *call, const struct route *route)
{
	const struct api_backend *backend = &call->api->backend;
	json_t *nodes = json_array();

	(void)route;
	backend->ops->members(backend->self, append_node, nodes);
	call_respond_json(call, 200, json_pack("{s:o}", "nodes", nodes));
}

/* Documents. */

static const struct kube_resource *resource_of_word(const char *word)
{
	for (int i = 0; i < KUBE_RESOURCE_COUNT; i++) {
		const struct kube_resource *resource = kube_resource((enum kube_resource_id)i);

		if (strcasecmp(resource->kind, word) == 0 ||
		    strcasecmp(resource->plural, word) == 0)
			return resource;
	}
	return NULL;
}

/* Whether the caller may do @verb to what disposal/<namespace>/<kind>/<name> names; else answered.
 */
static bool disposal_is_allowed(struct call *call, const char *verb)
{
	json_t *refused;

	call->resource = resource_of_word(call->url.segments[2]);
	if (!call->resource || !(call->resource->verbs & KUBE_VERB_DELETE)) {
		call_respond_status(call, kube_status_no_resource());
		return false;
	}
	call->namespace = call->url.segments[1];
	call->name = call->url.segments[3];
	refused = authorize(&call->exchange->user, verb, call->resource, NULL, call->namespace,
			    call->name);
	if (refused)
		call_respond_status(call, refused);
	return !refused;
}

static void respond_document(struct call *call, const struct route *route)
{
	const struct api_backend *backend = &call->api->backend;
	const struct url *url = &call->url;
	struct exchange *exchange = call->exchange;
	struct buf json = {0};
	struct buf id = {0};

	if (route->document == API_DOCUMENT_DISPOSAL)
		buf_append_format(&id, "%s/%s/%s", url->segments[1], url->segments[2],
				  url->segments[3]);
	else if (strchr(route->path, '*'))
		buf_append_str(&id, url->segments[1]);
	if (backend->ops->document(backend->self, route->document, id.len ? buf_cstr(&id) : NULL,
				   &json)) {
		call->exchange = NULL;
		exchange_respond(exchange, 200, "application/json", bytes_buf(&json));
		call_free(call);
	} else {
		call_respond_status(call, kube_status_no_resource());
	}
	buf_deinit(&json);
	buf_deinit(&id);
}

/* Tenders and disposals, as calls of their own. */

static void handle_tender(struct call *call, const struct route *route)
{
	(void)route;
	create_from_manifest(call);
}

static void handle_disposal(struct call *call, const struct route *route)
{
	if (disposal_is_allowed(call, "get"))
		respond_document(call, route);
}

static void handle_dispose(struct call *call, const struct route *route)
{
	(void)route;
	if (disposal_is_allowed(call, "delete"))
		verb_delete(call);
}

static const struct route routes[] = {
	{"get", "health", handle_health, 0},
	{"get", "healthz", handle_alive, 0},
	{"get", "livez", handle_alive, 0},
	{"get", "readyz", handle_ready, 0},
	{"get", "metrics", handle_metrics, 0},
	{"get", "nodes", handle_nodes, 0},
	{"get", "api/v1/pubkey", respond_document, API_DOCUMENT_PUBKEY},
	{"create", "tenders", handle_tender, 0},
	{"get", "tenders/*", respond_document, API_DOCUMENT_TENDER},
	{"create", "tenders/*/candidates", respond_document, API_DOCUMENT_CANDIDATES},
	{"get", "disposal/*/*/*", handle_disposal, API_DOCUMENT_DISPOSAL},
	{"delete", "disposal/*/*/*", handle_dispose, 0},
	{"get", "debug/peers", respond_document, API_DOCUMENT_PEERS},
	{"get", "debug/dht/peers", respond_document, API_DOCUMENT_DHT_PEERS},
	{"get", "debug/pods", respond_document, API_DOCUMENT_PODS},
	{"get", "debug/tenders", respond_document, API_DOCUMENT_TENDERS},
	{"get", "debug/local_peer_id", respond_document, API_DOCUMENT_LOCAL_PEER},
};

static bool path_matches(const char *pattern, const struct url *url)
{
	size_t i = 0;

	for (; *pattern; i++) {
		size_t len = strcspn(pattern, "/");

		if (i >= url->segment_count)
			return false;
		if (*pattern != '*' && (strlen(url->segments[i]) != len ||
					strncmp(url->segments[i], pattern, len) != 0))
			return false;
		pattern += len;
		pattern += *pattern == '/';
	}
	return i == url->segment_count;
}

bool own_route(struct call *call)
{
	bool known_path = false;

	for (size_t i = 0; i < ARRAY_LEN(routes); i++) {
		if (!path_matches(routes[i].path, &call->url))
			continue;
		known_path = true;
		if (strcmp(routes[i].verb, call->verb) == 0) {
			routes[i].handle(call, &routes[i]);
			return true;
		}
	}
	if (known_path)
		call_respond_status(call, kube_status_no_method());
	return known_path;
}
