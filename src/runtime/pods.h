/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pods: all pods of this machine, from award to nothing left.
 *
 * One thread, the loop's, owns all state; what blocks runs as jobs on worker threads. What runs
 * belongs to the operating system: this process may be killed at any moment, and pods_recover() of
 * the next one finds everything again from the run directory.
 *
 *   R/pods/<uid>/pod.json    the pod as last known, written before each step that leaves a trace
 *   R/empty                  the root directory of agents
 *   R/pods/<uid>/infra.pid   the agent
 *   R/pods/<uid>/agent.sock  where it listens
 *   R/pods/<uid>/ns/         its namespaces, pinned
 *   R/pods/<uid>/etc/        hosts, hostname, resolv.conf
 *   R/pods/<uid>/shm         /dev/shm of all containers
 *   R/pods/<uid>/volumes/    emptyDir volumes
 *   R/pods/<uid>/c/<n>.<run>/  bundle of one container run: config.json, rootfs, upper, pid files
 *   R/pods/<uid>/logs/<n>.<run>.log
 *   G/<uid>.<ordinal>/       what a member of a StatefulSet's group has agreed to
 *   D/pods/<uid>.json        the pod, as it is to be started again after a power cut
 *
 * Statuses are struct presence (wire/presence.h), complete each time; strings are borrowed during
 * the callback. node, host_ip and created_ms are for the caller to fill in.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/err.h"
#include "base/id.h"
#include "io/loop.h"
#include "ipc/channel.h"
#include "runtime/engine.h"
#include "runtime/image_pull.h"
#include "runtime/image_store.h"
#include "runtime/policy.h"
#include "runtime/svid.h"
#include "wire/presence.h"

struct pods;

/* All borrowed until pods_free(). */
struct pods_config {
	struct loop *loop;
	struct engine *engine;
	struct image_store *images;
	struct image_puller *puller;
	const struct policy *policy;
	const char *run_dir;
	const char *keep_dir;    /* what survives a power cut; NULL: nothing does */
	const char *volumes_dir; /* V of claims.h; NULL: pods with claims wait for ever */
	const char *groups_dir;  /* G of pod_group.c; NULL: pods have no groups */
	const char *agent;       /* path of the workplane binary */
	const char *node_name;
	const char *region; /* that this machine is in; NULL: not told */
	const char *boot_id;
	const char *resolv_conf; /* path */
	const char *seccomp;     /* compiled, base64 */
	uint64_t cpu_capacity_milli, memory_capacity_bytes, nofile_max;
	int oom_score_min;
	bool has_swap_limits;
	uint32_t pods_max;
	/* The status has changed. phase POD_GONE: nothing is left, with the reason if it was not
	 * asked for; the last word about that pod. */
	void (*on_status)(void *ctx, const struct presence *presence);
	/* pods_each_claim() has changed. May be NULL. */
	void (*on_claims)(void *ctx);
	/* The agent of a pod says something; looked at within the call. May be NULL. */
	void (*on_agent)(void *ctx, const struct uid *pod, const struct ipc_message *message);
	/* It has been started, or found again: it is to be told all that agents are told. May be
	 * NULL. */
	void (*on_agent_new)(void *ctx, const struct uid *pod);
	void *ctx;
};

/* A pod to be started; everything has been verified. */
struct pod_start {
	struct uid uid;
	const char *name;
	uint32_t slot;
	uint64_t epoch;
	struct bytes manifest; /* JSON of the object */
	struct bytes warrant;  /* for others, kept with the pod; not looked at */
};

struct pod_log {
	char *path; /* the caller frees it */
	bool ended; /* nothing will be added */
};

_must_use_ struct pods *pods_new(const struct pods_config *config);

/* Only when pods_is_idle(): no job may still need it. */
struct pods *pods_free(struct pods *pods);

/* The id of this machine, for labels of pods started from now on. */
void pods_set_peer(struct pods *pods, const struct node_id *node);

/* This machine's address, for pods that ask for it. */
void pods_set_host_ip(struct pods *pods, const char *ip);

/*
 * A ConfigMap, Secret or PersistentVolumeClaim is now @object (borrowed), or is not there any more
 * (NULL). Pods that wait for it start; projected volumes that hold it follow. Objects that no pod
 * names are not kept.
 */
void pods_set_config(struct pods *pods, const char *kind, const char *namespace, const char *name,
		     const json_t *object);

/* Whether the application of that pod, which runs here or is about to, is to have an identity of
 * its own; then hand it one, and another before it runs out (svid.h). */
bool pods_wants_svid(const struct pods *pods, const struct uid *uid);
void pods_set_svid(struct pods *pods, const struct uid *uid, const struct pod_svid *svid);

/* The claim of that uid has been deleted, as a steward of its namespace has signed: its directory
 * goes when no pod uses it any more. */
void pods_end_claim(struct pods *pods, const struct uid *uid);

/* The StatefulSet of that uid has been deleted, as a steward of its namespace has signed: the disks
 * of its group go when no pod uses them any more. */
void pods_end_groups(struct pods *pods, const struct uid *set);

/* StatefulSets whose groups have a disk here, one or several times. */
void pods_each_group(const struct pods *pods, void (*each)(void *ctx, const struct uid *set),
		     void *ctx);

/* Claims with a directory here. */
void pods_each_claim(const struct pods *pods,
		     void (*each)(void *ctx, const struct uid *uid, const char *namespace,
				  const char *name),
		     void *ctx);

/*
 * Take up what an earlier process has left. Before the loop runs; blocks.
 *
 * Pods whose sandbox is gone, with the machine's power or by force, are *kept*: here, but not
 * started until pods_resume(), for nobody has said yet that they are still wanted.
 */
void pods_recover(struct pods *pods);

/* Start a kept pod: with a new sandbox, its containers one run further. -ENOENT. */
_must_use_ int pods_resume(struct pods *pods, const struct uid *uid);

/* 0: accepted, statuses follow. -EEXIST: that uid is here already; -EBUSY: pods_max; or as
 * pod_spec_parse(). */
_must_use_ int pods_start(struct pods *pods, const struct pod_start *start, struct err *err);

/* @for_good: its object has been deleted, and no other pod takes its place.
 * End it: SIGTERM, after @grace_s (negative: as the manifest says) SIGKILL, then remove all.
 * -ENOENT. A later call may shorten the time, never lengthen it. */
_must_use_ int pods_stop(struct pods *pods, const struct uid *uid, int64_t grace_s, bool for_good);
void pods_stop_all(struct pods *pods);

/* Tell the agent of a pod something. -ENOENT: no such pod; or it cannot be told. */
_must_use_ int pods_tell_agent(struct pods *pods, const struct uid *uid, enum ipc_type type,
			       const ProtobufCMessage *body);

size_t pods_count(const struct pods *pods);

/* The namespace that a pod here is in, as its manifest has it; NULL: no such pod. Borrowed. */
const char *pods_namespace(const struct pods *pods, const struct uid *uid);
/* Its own name. */
const char *pods_name(const struct pods *pods, const struct uid *uid);
/* The object that a pod here was made from; NULL: no such pod. Borrowed. */
const json_t *pods_manifest(const struct pods *pods, const struct uid *uid);

/* No job is under way. Nothing new begins by itself once pods_quiesce() has been called. */
bool pods_is_idle(const struct pods *pods);
void pods_quiesce(struct pods *pods);

void pods_each(struct pods *pods,
	       void (*each)(void *ctx, const struct presence *presence, struct bytes manifest,
			    bool kept),
	       void *ctx);

/* Where the log of a container's present or (@previous) last run is. -ENOENT with status 404 for an
 * unknown pod or container, -EINVAL with status 400 when there is no such run. */
_must_use_ int pods_log(struct pods *pods, const struct uid *uid, const char *container,
			bool previous, struct pod_log *ret_log, struct err *err);

/* Connect to @port on the loopback of the pod: 127.0.0.1, else ::1. @done is called once, from the
 * loop: with a connected TCP socket that it then owns, or with -1 and the reason. Fails at once as
 * pods_log(). */
typedef void pods_port_fn(void *user, int fd, const struct err *err);
_must_use_ int pods_port_open(struct pods *pods, const struct uid *uid, uint16_t port,
			      pods_port_fn *done, void *user, struct err *err);

/* Call @ended once when the present run of @container is over (at once if it is). */
void pods_log_watch(struct pods *pods, const struct uid *uid, const char *container, loop_fn ended,
		    void *user);
void pods_log_unwatch(struct pods *pods, void *user);
