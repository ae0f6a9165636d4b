/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Routing: from a request to a verb on a resource.
 *
 * Order of checks, as in Kubernetes: is the path well formed (400), who asks (401), may they (403),
 * is there such a path (404), does it have that verb (405). Anonymous callers see health and
 * version only. A certificate that was presented and is not valid is an error even there: the
 * client believes to be somebody.
 */
#include <string.h>

#include "api/gateway.h"
#include "base/mem.h"

struct method {
	const char *method;
	const char *on_object, *on_collection; /* Kubernetes' verbs */
};

static const struct method methods[] = {
	{"GET", "get", "list"},       {"HEAD", "get", "list"},
	{"POST", "create", "create"}, {"PUT", "update", "update"},
	{"PATCH", "patch", "patch"},  {"DELETE", "delete", "deletecollection"},
};

struct verb_handler {
	const char *verb;
	unsigned flag;
	void (*handle)(struct call *call);
};

static const char *segment(const struct call *call, size_t i)
{
	return i < call->url.segment_count ? call->url.segments[i] : NULL;
}

static bool is(const char *text, const char *other)
{
	return text && strcmp(text, other) == 0;
}

static bool is_public(const struct call *call)
{
	static const char *const paths[] = {"version", "health", "healthz", "livez", "readyz"};

	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		if (call->url.segment_count == 1 && is(segment(call, 0), paths[i]))
			return true;
	}
	return false;
}

static bool is_discovery(const struct call *call)
{
	return is(segment(call, 0), "api") || is(segment(call, 0), "apis") ||
	       is(segment(call, 0), "openapi");
}

/* kubectl 1.26 and 1.27 ask who they are in versions that have become this one. */
static const char *version_of(const char *group, const char *version)
{
	bool early = is(version, "v1beta1") || is(version, "v1alpha1");

	return early && is(group, "authentication.k8s.io") ? "v1" : version;
}

/*
 *   /api/v1/<plural>[/<name>[/<sub>]]              group "", version and rest from segment 1
 *   /apis/<group>/<version>/<plural>...            rest from segment 2
 *   .../namespaces/<ns>/<plural>[/<name>[/<sub>]]
 *
 * True when the path names a resource that is served.
 */
static bool find_resource(struct call *call)
{
	bool core = is(segment(call, 0), "api");
	size_t at = core ? 1 : 2;
	const char *group = core ? "" : segment(call, 1);
	const char *version = segment(call, at), *plural = segment(call, at + 1);

	if ((!core && !is(segment(call, 0), "apis")) || !group || !version || !plural)
		return false;
	at += 2;
	/* .../namespaces/<name> is the namespace itself; more segments are inside it. */
	if (is(plural, "namespaces") && segment(call, at + 1) &&
	    !is(segment(call, at + 1), "status")) {
		call->namespace = segment(call, at);
		plural = segment(call, at + 1);
		at += 2;
	}
	call->resource = kube_resource_find(group, version_of(group, version), plural);
	call->name = segment(call, at);
	call->subresource = segment(call, at + 1);
	if (!call->resource || segment(call, at + 2))
		return false;
	if (!call->resource->namespaced)
		return !call->namespace;
	/* A namespaced object needs its namespace; only lists may do without. */
	return call->namespace || !call->name;
}

static const char *find_verb(const struct call *call)
{
	const char *method = call->exchange->request.method;

	for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
		if (strcmp(method, methods[i].method) != 0)
			continue;
		if (call->name)
			return methods[i].on_object;
		if (is(methods[i].on_collection, "list") && url_flag(&call->url, "watch"))
			return "watch";
		return methods[i].on_collection;
	}
	return NULL;
}

/* @allowed: the verbs of the resource or subresource. */
static void dispatch_verb(struct call *call, unsigned allowed)
{
	static const struct verb_handler handlers[] = {
		{"get", KUBE_VERB_GET, verb_get},
		{"list", KUBE_VERB_LIST, verb_list},
		{"watch", KUBE_VERB_WATCH, verb_watch},
		{"create", KUBE_VERB_CREATE, verb_create},
		{"delete", KUBE_VERB_DELETE, verb_delete},
		{"deletecollection", KUBE_VERB_DELETE, verb_delete_collection},
		{"patch", KUBE_VERB_PATCH, verb_patch},
		{"update", KUBE_VERB_UPDATE, verb_update},
	};
	bool misplaced = strcmp(call->verb, "create") == 0 &&
			 (call->name || (call->resource->namespaced && !call->namespace));

	for (size_t i = 0; i < ARRAY_LEN(handlers) && !misplaced; i++) {
		if (strcmp(call->verb, handlers[i].verb) == 0 && (allowed & handlers[i].flag)) {
			handlers[i].handle(call);
			return;
		}
	}
	call_respond_status(call, misplaced ? kube_status_no_method()
					    : kube_status_read_only(call->resource));
}

/* A stream to a container is made with a GET (WebSocket) or a POST (SPDY), and means the same. */
static bool is_connect(const struct call *call)
{
	static const char *const names[] = {"exec", "attach", "portforward"};
	const char *method = call->exchange->request.method;

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (call->subresource && call->name && call->resource->id == KUBE_PODS &&
		    strcmp(call->subresource, names[i]) == 0)
			return strcmp(method, "GET") == 0 || strcmp(method, "POST") == 0;
	return false;
}

/* What clients of Kubernetes ask for by name, and why it is not here. */
static const char *missing_subresource(const struct call *call)
{
	static const struct {
		enum kube_resource_id id;
		const char *name, *why;
	} rows[] = {
		{KUBE_PODS, "ephemeralcontainers",
		 "ephemeral containers are not supported: containers cannot be added to a running "
		 "pod; exec into one of its containers, or debug a copy (--copy-to)"},
		{KUBE_PODS, "resize",
		 "resources of a running pod cannot be changed: change those of its workload"},
		{KUBE_SERVICEACCOUNTS, "token",
		 "service accounts have no tokens: users and programs are known by certificates "
		 "(magik kubeconfig --user NAME)"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (rows[i].id == call->resource->id && is(call->subresource, rows[i].name))
			return rows[i].why;
	}
	return NULL;
}

static void dispatch_subresource(struct call *call)
{
	const struct kube_subresource *sub =
		kube_subresource_find(call->resource->id, call->subresource);
	const char *why = missing_subresource(call);

	if (why)
		call_fail(call, KUBE_REASON_METHOD_NOT_ALLOWED, why);
	else if (!sub)
		call_respond_status(call, kube_status_no_resource());
	else if (strcmp(sub->name, "log") == 0 && strcmp(call->verb, "get") == 0)
		verb_log(call);
	else if (is_connect(call) && strcmp(sub->name, "portforward") == 0)
		verb_forward(call);
	else if (strcmp(sub->name, "eviction") == 0 && strcmp(call->verb, "create") == 0)
		verb_evict(call);
	else if (is_connect(call))
		verb_exec(call);
	else
		dispatch_verb(call, sub->verbs);
}

static void carry_out(struct call *call)
{
	bool reads = strcmp(call->verb, "get") == 0 || strcmp(call->verb, "list") == 0;

	if (call->subresource)
		dispatch_subresource(call);
	else if (reads && usage_is(call->resource))
		verb_usage(call);
	else
		dispatch_verb(call, call->resource->verbs);
}

static void dispatch_resource(struct call *call)
{
	json_t *refused;

	if (is_connect(call))
		call->verb = "create";
	if (!audit_begin(call))
		return;
	refused = authorize(&call->exchange->user, call->verb, call->resource, call->subresource,
			    call->namespace, call->name);
	if (refused)
		call_respond_status(call, refused);
	else if (!call->subresource && review_is(call->resource) &&
		 strcmp(call->verb, "create") == 0)
		verb_review(call);
	else
		refresh_then(call, carry_out);
}

/* By the decoded segments, which is what routes go by. */
static json_t *path_refused(const struct call *call)
{
	struct buf path = {0};
	json_t *refused;

	for (size_t i = 0; i < call->url.segment_count; i++)
		buf_append_format(&path, "/%s", call->url.segments[i]);
	refused =
		authorize_path(&call->exchange->user, call->verb, path.len ? buf_cstr(&path) : "/");
	buf_deinit(&path);
	return refused;
}

static void dispatch_path(struct call *call)
{
	json_t *refused;

	if (!audit_begin(call))
		return;
	refused = is_public(call) ? NULL : path_refused(call);
	if (refused)
		call_respond_status(call, refused);
	else if (!own_route(call) && !discovery_route(call))
		call_respond_status(call, kube_status_no_resource());
}

/* The verb of a path that is no resource: a list there is a get, and so on. */
static const char *path_verb(const struct call *call)
{
	const char *method = call->exchange->request.method;

	for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
		if (strcmp(method, methods[i].method) == 0)
			return methods[i].on_object;
	}
	return NULL;
}

static void dispatch(struct call *call)
{
	bool resource = find_resource(call);
	json_t *refused = NULL;

	/* What is the same for everybody is told: only then does kubectl ask what it shows. */
	if (resource || !is_discovery(call))
		refused = authorize_impersonation(call->exchange);
	call->verb = resource ? find_verb(call) : path_verb(call);
	if (call->exchange->auth_error)
		call_fail(call, KUBE_REASON_UNAUTHORIZED, call->exchange->auth_error);
	else if (!call->exchange->authenticated && !is_public(call))
		call_fail(call, KUBE_REASON_UNAUTHORIZED, "Unauthorized");
	else if (refused)
		call_respond_status(call, json_incref(refused));
	else if (!call->verb)
		call_respond_status(call, kube_status_no_method());
	else if (resource)
		dispatch_resource(call);
	else
		dispatch_path(call);
	json_decref(refused);
}

void route_handle(void *arg, struct exchange *exchange)
{
	struct call *call = mem_new(struct call);

	call->api = arg;
	call->exchange = exchange;
	if (url_parse(exchange->request.path, exchange->request.query, &call->url))
		call_fail(call, KUBE_REASON_BAD_REQUEST, "malformed request target");
	else
		dispatch(call);
}
