/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Presence: a pod as the machine that runs it sees it; and the facts of a machine.
 *
 * These are the values of PRESENCE and NODE records, and what the host process reports to the
 * fabric process. Ownership and strings as in message.h: a struct owns what it points to.
 */
#pragma once

#include "wire/message.h"

enum pod_phase {
	POD_PENDING, /* accepted; images, sandbox or init containers not done */
	POD_RUNNING,
	POD_SUCCEEDED,
	POD_FAILED,
	POD_GONE, /* nothing of it is left on its machine */
};

enum container_state {
	CONTAINER_WAITING,
	CONTAINER_RUNNING,
	CONTAINER_TERMINATED,
};

struct container_status {
	char *name;
	char *image;        /* as in the manifest */
	char *image_id;     /* repository@sha256:..., "" until known */
	char *container_id; /* "crun://<id>", "" until known */
	bool init;
	bool ready;
	bool starting; /* it runs, but its startup probe has not succeeded yet */
	enum container_state state;
	char *reason; /* ContainerCreating, ErrImagePull, CrashLoopBackOff, OOMKilled, ... */
	char *message;
	int32_t exit_code;
	uint32_t restarts;
	int64_t started_ms; /* wall ms, 0 = not yet */
	int64_t finished_ms;
	/* The run before this one; last_finished_ms = 0: there was none. */
	char *last_reason;
	int32_t last_exit_code;
	int64_t last_started_ms;
	int64_t last_finished_ms;
};

struct presence {
	struct uid pod_uid;
	char *pod_name;
	struct object_ref object; /* the workload */
	uint64_t generation;
	uint32_t slot;
	uint64_t epoch;
	uint64_t revision; /* of an ordinal: kube_revision_fold(); 0: not known */
	struct node_id node;
	struct addr addr; /* of that machine; none: not known */
	char *node_name;
	uint64_t zones[MESSAGE_SPREADS_MAX]; /* zone_of() the machine, for each of the spreads */
	enum pod_phase phase;
	bool ready;
	bool terminating; /* told to stop, not gone yet */
	bool leaving;     /* it stops as soon as another one is ready in its slot */
	char *reason;
	char *message;
	char *pod_ip; /* "" until known */
	char *host_ip;
	struct buf warrant; /* of who awarded it (message.h): without it nobody believes the rest */
	int64_t created_ms; /* award accepted; fabric time */
	int64_t started_ms; /* all containers started first; 0 = not yet */
	int64_t ready_ms;   /* ready without a break since then; 0 = not ready, or not known */
	struct container_status *containers; /* init containers first */
	size_t container_count;
};

struct node_facts {
	struct node_id id;
	char *name;
	struct addr addr; /* mesh address */
	char *api_url;    /* "https://host:port" or "" */
	struct label *labels;
	size_t label_count;
	int64_t cpu_milli, memory_bytes;                   /* capacity */
	int64_t cpu_milli_free_max, memory_bytes_free_max; /* allocatable: capacity less reserve */
	int64_t cpu_milli_used, memory_bytes_used;         /* by awarded pods' requests */
	uint32_t pods_max, pods_used;
	struct resource *resources; /* extended ones; all of them can be allocated */
	size_t resource_count;
	struct taint *taints;
	size_t taint_count;
	bool schedulable;
	bool steward, admit, worker;
	char *architecture, *os_image, *kernel, *runtime; /* as Kubernetes' nodeInfo */
	char *version;                                    /* of magik */
	char *boot_id, *machine_id;
	int64_t created_ms;
};

/* As message_encode() and message_decode(), for the value of a PRESENCE record. */
void presence_encode(const struct presence *presence, struct buf *out);
_must_use_ int presence_decode(struct bytes bytes, struct presence *ret_presence);
void presence_copy(const struct presence *from, struct presence *to);
void presence_deinit(struct presence *presence);

/* The same for the facts that a machine publishes of itself. */
void node_facts_encode(const struct node_facts *facts, struct buf *out);
_must_use_ int node_facts_decode(struct bytes bytes, struct node_facts *ret_facts);
void node_facts_copy(const struct node_facts *from, struct node_facts *to);
void node_facts_deinit(struct node_facts *facts);
