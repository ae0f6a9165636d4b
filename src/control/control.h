/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Control: what the controller of a root object (a Deployment, a CronJob, ...) does about it.
 *
 * A reconciler is a pure, level-triggered function of all there is: (root object, derived objects,
 * pods, fabric time) -> a verdict: objects to put, objects and pods to dispose of, and when to be
 * called again although nothing changed. It keeps nothing between two calls. What cannot be derived
 * from what is seen stands in annotations of *derived* objects, never in the user's object.
 *
 * Derived objects are stored like any other. They have the root's home (identity/derive.h), so that
 * the same machines keep all of a family and one machine controls it; a metadata.ownerReferences
 * entry with `controller: true`; and a uid that follows from their owner and what they are. Two
 * controllers that make the same thing therefore make it under one uid, and the newer write wins:
 * two at once are harmless.
 *
 * node/control.c calls the reconciler of every root that this machine controls, whenever its
 * object, a derived one or one of the pods changed, and at its deadline. It carries the verdict out
 * in order; an object it puts is in the next view at once, while its copies travel. A put whose
 * expected version is not current any more is dropped: what changed calls the reconciler again. So
 * one call need not do everything; each call should do what follows from its view, and nothing when
 * nothing is to be done.
 *
 * Pods themselves are not made here: an object with pods (ReplicaSet, Pod, Job) is a workload,
 * whose slots market/controller.c fills as soon as the object is stored.
 *
 * Objects whose controlling owner has been deleted are disposed of by node/control.c.
 *
 * To add a kind: a row in control.c's tables, a file with its reconciler, a unit test of that
 * function.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/id.h"
#include "base/time.h"
#include "wire/message.h"
#include "wire/presence.h"

enum {
	/* A controller that takes a family over, the newest object of which is older than this,
	 * first waits as long: presences may be on their way to it, and what its predecessor did.
	 */
	CONTROL_SETTLE_MS = 3000,
	CONTROL_STEPS_MAX = 256, /* of one verdict: what is left is done by the next call */
	/* How often one thing is made anew: tombstones are forgotten after days, and whoever
	 * deletes one thing so often meanwhile may wait for that. */
	CONTROL_AGAIN_MAX = 4096,
};

#define CONTROL_NEVER ((struct wall){.ms = INT64_MAX})

/* A stored object. Everything is borrowed until the reconciler returns. */
struct control_object {
	struct object_ref ref;
	const json_t *json;  /* as it was put; parsed once per version */
	uint64_t generation; /* rises with every change of spec */
	uint64_t hlc;        /* its version */
	int64_t written_ms;  /* fabric time of that version */
};

/* A pod as its machine described it last. POD_GONE is not among them; pods of objects that have
 * been deleted are, until nothing is left of them. */
struct control_pod {
	const struct presence *presence; /* presence->object: the workload it belongs to */
	bool machine_alive;              /* false: it is lost, or has left */
};

struct control_node {
	const struct node_facts *facts;
};

struct control_view {
	const struct control_object *root;
	const struct control_object *derived; /* controlled by @root, in order of uid */
	size_t derived_count;
	/* All live objects of the root's home: also what is derived from what is derived. */
	const struct control_object *family;
	size_t family_count;
	const struct control_pod *pods; /* of the root, and of what is and was derived from it */
	size_t pod_count;
	const struct control_node *nodes; /* of a DaemonSet: the machines that are known */
	size_t node_count;
	/* Has the object of this uid been deleted, as far as is known here? NULL: none has. */
	bool (*is_deleted)(const void *arg, const struct uid *uid);
	const void *deleted_arg;
	bool used;       /* of a claim: some pod may have it mounted */
	struct wall now; /* fabric time */
};

enum control_step_type {
	CONTROL_PUT,     /* write @json */
	CONTROL_DISPOSE, /* delete the object @ref, and its pods with it */
	CONTROL_STOP,    /* stop the pod @pod_uid of the workload @ref: the slot is empty then */
};

struct control_step {
	enum control_step_type type;
	struct object_ref ref; /* owned */
	json_t *json;          /* PUT: complete but for its version; owned */
	uint64_t generation;   /* PUT */
	uint64_t expected_hlc; /* PUT: 0 = it must not exist yet, else its current version */
	struct uid pod_uid;    /* STOP */
	uint32_t grace_s;      /* UINT32_MAX: what the manifest says */
};

/* Zeroed before the first call, but for @due. */
struct control_verdict {
	struct control_step *steps;
	size_t count;
	struct wall due; /* call again then, whatever happens; CONTROL_NEVER */
};

typedef void control_reconcile_fn(const struct control_view *view, struct control_verdict *verdict);

/* The reconciler of a kind, or NULL: it is no root. */
control_reconcile_fn *control_reconciler(const char *kind);

/* Whether objects of this kind are shown to reconcilers: roots, and what is derived from them. */
bool control_is_member(const char *kind);

/* The uid in the owner reference with `controller: true`; false: it has none. */
_must_use_ bool control_owner(const json_t *object, struct uid *ret_uid);

/* ---- for reconcilers ---- */

/*
 * A new object that @root controls, owned by the caller: apiVersion, kind, and metadata with name,
 * namespace, uid, creationTimestamp, generation and the owner reference. @what: what it is among
 * all that @root may ever have, such as "ReplicaSet/5d59d67564"; the uid follows from it.
 */
_must_use_ json_t *control_object_new(const struct control_view *view, const char *api_version,
				      const char *kind, const char *name, const char *what);

/*
 * The same of what may be wanted again after it was deleted, such as an ordinal: a deleted uid is
 * never given again, so the object gets the one that follows from it, and so on. Controllers that
 * know of the same deletions still make the same object.
 */
_must_use_ json_t *control_object_again(const struct control_view *view, const char *api_version,
					const char *kind, const char *name, const char *what);

/* Write a new object of one of these two; @json is taken over. */
void control_create(struct control_verdict *verdict, json_t *json);

/* Write a changed copy of @object; @json is taken over. Its generation rises if spec has changed;
 * nothing is written if nothing has. */
void control_update(struct control_verdict *verdict, const struct control_object *object,
		    json_t *json);

void control_dispose(struct control_verdict *verdict, const struct control_object *object);
void control_stop(struct control_verdict *verdict, const struct presence *presence,
		  uint32_t grace_s);

/* Call again at @at, or sooner. */
void control_call_at(struct control_verdict *verdict, struct wall at);

void control_verdict_deinit(struct control_verdict *verdict);

/* @value is taken over. */
void control_annotate(json_t *object, const char *key, json_t *value);

/*
 * Give @root the objects of @kind in its home that its selector matches and that nobody controls:
 * what an earlier one of its name has left behind (deletion with `orphan`), since what is created
 * under such a name gets their home. Returns whether there were any: the next call sees them as
 * derived.
 */
bool control_adopt(const struct control_view *view, const char *kind,
		   struct control_verdict *verdict);

/* ---- revisions: the templates that a StatefulSet or a DaemonSet has had ---- */

/* That of the present template, @name: made, or the highest again, and marked as acted upon. */
void control_revision_keep(const struct control_view *view, const char *name,
			   struct control_verdict *verdict);

/* Old ones that no Pod has, beyond spec.revisionHistoryLimit, the lowest first, one at a call. */
void control_revisions_forget(const struct control_view *view, const char *name,
			      struct control_verdict *verdict);

/* ---- the group of a StatefulSet's pods (kube/group.h) ---- */

/* Write into @pod, that of @ordinal, what its part in it is. */
void control_group_tell(const struct control_view *view, int64_t ordinal, json_t *pod);
/* Where the disk of that ordinal's member was last, for the Pod that is the first to come back when
 * none is there; NULL: it may run anywhere. Borrowed. */
const char *control_group_home(const struct control_view *view, int64_t ordinal);
/* Write down where members are. Returns whether there was anything new. */
bool control_group_remember(const struct control_view *view, struct control_verdict *verdict);

/* ---- the reconcilers, one file each ---- */

/* Of any object that is being deleted (kube/deletion.h), in place of its own reconciler. @family:
 * its dependents, or all that lies in the Namespace; @pods: of it and of them, also of those that
 * are gone by now. */
void control_deletion(const struct control_view *view, struct control_verdict *verdict);

void control_deployment(const struct control_view *view, struct control_verdict *verdict);
void control_cronjob(const struct control_view *view, struct control_verdict *verdict);
void control_daemonset(const struct control_view *view, struct control_verdict *verdict);
void control_job(const struct control_view *view, struct control_verdict *verdict);
void control_statefulset(const struct control_view *view, struct control_verdict *verdict);
