/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Gateway: what the files behind api.h share.
 *
 * A call is one request after routing: who asks for which verb on which resource. It owns its
 * exchange until it is answered, and its URL; call_free() releases the rest.
 */
#pragma once

#include <jansson.h>
#include <uv.h>

#include "api/api.h"
#include "api/response.h"
#include "api/server.h"
#include "api/url.h"
#include "api/watch_log.h"
#include "kube/managed.h"
#include "kube/manifest.h"
#include "kube/resource.h"
#include "kube/selector.h"
#include "kube/table.h"

#define API_RELEASE "0.1.0"

struct api {
	uv_loop_t *loop;
	struct api_backend backend;
	struct server *server;
	struct watch_log *logs[KUBE_RESOURCE_COUNT]; /* NULL: nobody watches that resource */
	struct list watches;
	struct list remotes;     /* of remote.h */
	uint64_t liveness;       /* of changes.c: which machines were alive */
	struct changes *changes; /* what has changed since the last turn of the loop */
	uv_timer_t turn;         /* runs changes_apply() */
	uv_timer_t housekeeping; /* forgets logs that nobody uses */
	uv_timer_t pulse;        /* of the remotes, while there are any */
	uv_timer_t again;        /* looks once more at what has changed: changes.c */
	unsigned handles;        /* of the timers, until they are closed */
	size_t calls;            /* writes and logs that will call back */
	bool closing, server_gone;
	void (*closed)(void *arg);
	void *closed_arg;
};

struct call {
	struct api *api;
	struct exchange *exchange; /* NULL once answered */
	struct url url;
	const char *verb; /* as in Kubernetes' authorisation: get, list, watch, create ... */
	const struct kube_resource *resource;
	const char *namespace;   /* NULL: all, or the resource has none */
	const char *name;        /* NULL: the collection */
	const char *subresource; /* NULL: the object itself */
	bool partial; /* not all of what it is about could be had: what is not here may exist */
};

/* Answers; each frees the call. */
void call_respond_json(struct call *call, uint16_t status, json_t *value);
void call_respond_status(struct call *call, json_t *status);
void call_respond_text(struct call *call, uint16_t status, const char *text);
void call_fail(struct call *call, enum kube_reason reason, const char *sentence);
void call_fail_err(struct call *call, const struct err *err);
void call_not_found(struct call *call); /* 404 about the named object */

/* Release the call after its exchange was answered or handed on. */
void call_free(struct call *call);

/* Table or plain JSON, as the Accept header asks; takes @object over. */
void call_respond_object(struct call *call, uint16_t status, json_t *object);

/* As call_respond_object(), or the Scale of the Deployment @object when that was called for. */
void call_respond_stored(struct call *call, uint16_t status, json_t *object);

/* A write or log of this call will call back: the gateway waits for it before it is freed. */
void call_hold(struct call *call);
void call_unhold(struct api *api);

/* Verbs; each takes the call over. */
void verb_get(struct call *call);
void verb_list(struct call *call);
void verb_watch(struct call *call);
void verb_create(struct call *call);
void verb_update(struct call *call);
void verb_patch(struct call *call);
void verb_delete(struct call *call);
void verb_delete_collection(struct call *call);
void verb_evict(struct call *call);
void verb_log(struct call *call);
void verb_exec(struct call *call); /* attach as well */
void verb_forward(struct call *call);

/* Routes that are not about resources. True when the path was one of theirs. */
bool own_route(struct call *call);
bool discovery_route(struct call *call);

/* create.c: the kind and namespace are the manifest's own. The second takes @object over, and
 * @managed, which are its managedFields; NULL: all of it is the caller's. */
void create_from_manifest(struct call *call);
void create_object(struct call *call, json_t *object, enum kube_validation validation,
		   json_t *managed);

/* body.c. False and NULL: it was answered with a failure. */
void call_warn(struct call *call, const json_t *warnings);
bool call_dry_run(struct call *call, bool *ret_dry_run);
bool call_body(struct call *call, struct kube_body *ret_body);
json_t *call_parse_body(struct call *call, enum kube_validation *ret_validation);

/* Under which name the client changes fields: ?fieldManager=, or its program's name. */
struct call_manager {
	struct kube_manager manager;
	char name[KUBE_MANAGER_MAX + 1];
};

bool call_manager(struct call *call, struct call_manager *ret_manager);

/* priority.c: write the priority behind a PriorityClass into the pods that @object makes. NULL, or
 * the Status to answer with. */
json_t *priority_resolve(struct call *call, json_t *object);

/* node_ports.c: give a Service the node ports that it does not name. NULL, or the Status to answer
 * with: another Service has one that it names. */
_must_use_ json_t *node_ports_resolve(struct call *call, json_t *object);

/* zone.c: write what its time zone means into a CronJob. */
void zone_resolve(const struct call *call, json_t *object);

/* store.c: put an admitted and stamped object; answers the call, which it takes over. */
struct store_request {
	json_t *object; /* taken over */
	struct uid uid;
	uint64_t generation;
	uint64_t expected_version; /* of the object it replaces */
	const char *line;          /* of that one, until this call returns; NULL: none is known */
	bool create;
};

void store_object(struct call *call, const struct store_request *request, const char *name);

/* authorize.c: NULL when allowed, else the Forbidden status. */
json_t *authorize(const struct api_user *user, const char *verb,
		  const struct kube_resource *resource, const char *subresource,
		  const char *namespace, const char *name);

/* As above for paths without a resource. */
json_t *authorize_path(const struct api_user *user, const char *verb, const char *path);

/* NULL when the request does not ask to be made as somebody else. */
json_t *authorize_impersonation(const struct exchange *exchange);

/* All that @user may do in @namespace, as kube_access_rules(). */
json_t *authorize_rules(const struct api_user *user, const char *namespace);

/* audit.c: have the outcome of a change written down. False: it cannot be, and was answered. */
bool audit_begin(struct call *call);

/* review.c: whether @resource is a review; the answer to one, which takes the call over. */
bool review_is(const struct kube_resource *resource);
void verb_review(struct call *call);

/* usage.c: whether @resource is measured when it is read; get and list of it. */
bool usage_is(const struct kube_resource *resource);
void verb_usage(struct call *call);

/* pod_target.c: the pod of a call, and the container that it names or that is the only one. */
struct pod_target {
	json_t *object; /* the composed pod */
	char container[64];
};

/* False: the call was answered with a failure, and there is nothing to free. */
bool pod_target_find(struct call *call, struct pod_target *ret_target);
bool pod_target_place(struct call *call, struct api_stream_request *request);
void pod_target_deinit(struct pod_target *target);

/* refresh.c: what the call is about is brought here; then @next takes the call over. */
void refresh_then(struct call *call, void (*next)(struct call *call));
/* The scope that a list or watch of this call reads. Borrowed from the call. */
struct api_scope call_scope(const struct call *call);
/* Less of it: what a field selector pins. The scope borrows from it. */
void scope_select(struct api_scope *scope, const struct kube_selector *fields);

/* route.c: the server's handler. */
void route_handle(void *arg, struct exchange *exchange);

/* watch.c */
void watch_feed(struct api *api, enum kube_resource_id id);
void watch_end_all(struct api *api);
bool watch_is_used(const struct api *api, enum kube_resource_id id);

/* changes.c: the log of a resource, made on first use; brought up to date. */
struct changes *changes_new(void);
void changes_free(struct changes *changes);
struct watch_log *changes_log(struct api *api, enum kube_resource_id id);
