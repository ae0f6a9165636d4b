/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parts of the host process. Private to host*.c.
 *
 *   host.c          life: start, loop, end
 *   host_mounts.c   the private mount namespace
 *   host_facts.c    what this machine is and has
 *   host_fabric.c   the fabric process and what is said with it
 *   host_objects.c  objects that pods name, on their way from it
 *   host_agent.c    what agents of pods ask of it, and its answers
 *   host_svid.c     keys and certificates for applications that ask for them
 *   host_asker.c    who may see or enter a pod, and who not any more
 *   host_logs.c     logs on their way to it
 *   host_exec.c     processes and ports of containers, for its clients
 *   host_ingress.c  connections by node ports of Services
 *   host_usage.c    what containers and the machine use
 *   host_control.c  R/host.sock, for the magik command
 */
#pragma once

#include "base/list.h"
#include "base/map.h"
#include "io/loop.h"
#include "ipc/link.h"
#include "machineplane/host.h"
#include "runtime/engine.h"
#include "runtime/image_pull.h"
#include "runtime/image_store.h"
#include "runtime/pods.h"
#include "runtime/policy.h"
#include "runtime/process_watch.h"

enum {
	HOST_TEXT_MAX = 128,
	HOST_CHAINS_MAX = 16, /* with which one message is borne out */
};

struct host_facts {
	uint64_t cpu_milli, memory_bytes, storage_bytes;
	char kernel[HOST_TEXT_MAX], os_image[HOST_TEXT_MAX], architecture[HOST_TEXT_MAX];
	char hostname[HOST_TEXT_MAX], machine_id[HOST_TEXT_MAX], boot_id[HOST_TEXT_MAX];
	bool has_swap_limits;
	uint64_t nofile_max;
	int oom_score_min;
};

struct host_control;

struct host {
	const struct host_config *config;
	struct loop *loop;
	struct host_facts facts;
	struct policy policy;
	struct engine *engine;
	bool engine_works;
	char engine_reason[ERR_TEXT_MAX];
	struct buf seccomp;
	struct image_store *images;
	struct image_puller *puller;
	struct pods *pods;
	char *agent, *keep_dir, *volumes_dir, *groups_dir;
	/* The fabric process; NULL, 0 while there is none. */
	struct ipc_link *link;
	pid_t fabric_pid;
	struct process_watch *fabric_watch;
	struct loop_timer *fabric_timer;
	struct mono fabric_started;
	int64_t fabric_delay_ms;
	bool fabric_ready;     /* this fabric process has said READY: it minds statuses now */
	struct buf gone_early; /* uids of pods that went between its POD_LIST and its READY */
	bool node_known;
	struct node_id node;
	struct map stopped; /* pod uids that were told to stop, in this process's life */
	struct list logs, execs, usages;
	struct list svids;
	struct loop_timer *revoked_timer; /* then agents are told */
	struct usage *usage;
	uint32_t links; /* fabric processes there have been, to tell whose request it was */
	struct host_control *control;
	struct loop_signal *signals[3];
	struct orphans *orphans;
	struct loop_hook *hook;         /* ends the loop once all is at rest */
	unsigned jobs;                  /* of the control socket, under way */
	struct loop_timer *drain_timer; /* then nothing waits any more */
	bool draining, ending;
	bool rebooted; /* since the daemon ran last */
};

/* host_mounts.c: before any thread or loop. */
_must_use_ int host_mounts_enter(const char *run_dir, struct err *err);

/* host_facts.c */
_must_use_ int host_facts_read(const char *state_dir, struct host_facts *ret_facts,
			       struct err *err);

/* host_fabric.c */
void host_fabric_start(struct host *host);
void host_fabric_end(struct host *host); /* no more messages; the process ends by itself */
/* One of its messages, as the channel has let it through: nothing in it is believed. */
void host_fabric_message(struct host *host, const struct ipc_message *message);
void host_fabric_status(struct host *host, const struct presence *presence);
void host_fabric_images(struct host *host);
void host_fabric_claims(struct host *host);
void host_fabric_drain(struct host *host);

/* host_agent.c */
/* The agent of @pod says something: nothing in it is believed, beyond that it is about that pod. */
void host_agent_message(struct host *host, const struct uid *pod,
			const struct ipc_message *message);
void host_leaf_found(struct host *host, const Magik__Ipc__LeafFound *found);
/* All revocations, to an agent that is new here. */
void host_agent_new(struct host *host, const struct uid *pod);
/* There are more of them: all agents are told, soon. */
void host_agents_revoked(struct host *host);
void host_name_found(struct host *host, const Magik__Ipc__NameFound *found);

/* host_svid.c */
void host_svid_status(struct host *host, const struct presence *presence); /* a pod has changed */
/* There is a fabric process again that answers. */
void host_svids_link(struct host *host);
/* False: it is for the agent of that pod. */
_must_use_ bool host_svid_found(struct host *host, const struct uid *pod,
				const Magik__Ipc__PodIdentity *told);
void host_svids_free(struct host *host);

/* host_objects.c */
void host_object(struct host *host, const Magik__Ipc__Object *object);
/* The record in @object, which a steward of its namespace has signed. 0, or a failure. */
_must_use_ int host_object_verify(const struct host *host, const Magik__Ipc__Object *object,
				  struct record *ret_record, struct err *err);
/* The JSON of @record, if it is of the object that the record names; NULL otherwise. */
json_t *host_object_read(const struct record *record);

/* host_asker.c */
/* May @asked be done, which names the verb, the pod and what is wanted of it? The rest of it is
 * filled in here. 0, or a failure with a sentence and a status. */
_must_use_ int host_asker_judge(struct host *host, const Magik__Ipc__StreamAsker *signed_by,
				struct host_request *asked, struct host_asker *ret_asker,
				struct err *err);
/* The line about it; @refused NULL: it is done. */
void host_asker_audit(const struct host_asker *asker, const struct host_request *asked,
		      const struct err *refused);
bool host_asker_stands(const struct host *host, const struct host_asker *asker);
void host_revocation(struct host *host, const Magik__Ipc__Revocation *revocation);

/* host_logs.c */
void host_logs_open(struct host *host, const Magik__Ipc__LogsOpen *request);
void host_logs_judge(struct host *host); /* those whose asker is not trusted any more end */
void host_logs_close_all(struct host *host);
/* Answer a request for a stream: @err NULL, and @fd, which is taken over. */
void host_stream_reply(struct host *host, uint64_t request_id, const struct err *err, int fd);

/* host_exec.c */
void host_exec_open(struct host *host, const Magik__Ipc__ExecOpen *request);
void host_exec_judge(struct host *host); /* as host_logs_judge() */
void host_exec_close_all(struct host *host);
void host_port_open(struct host *host, const Magik__Ipc__PortOpen *request);
/* Connect to a port of @pod, and answer @request_id with that. A failure answers nothing. */
_must_use_ int host_port_connect(struct host *host, uint64_t request_id, const struct uid *pod,
				 uint16_t port, struct err *err);

/* host_ingress.c */
void host_ingress_open(struct host *host, const Magik__Ipc__IngressOpen *request);

/* host_usage.c */
void host_usage_open(struct host *host, const Magik__Ipc__UsageOpen *request);
void host_usage_close_all(struct host *host);

/* host_control.c */
_must_use_ int host_control_new(struct host *host, struct host_control **ret_control,
				struct err *err);
void host_control_free(struct host_control *control);
void host_control_drained(struct host_control *control);
/* Ask the host process that serves @run_dir to drain, and wait: 0; -ENOENT if there is none. */
_must_use_ int host_control_ask_drain(const char *run_dir, struct err *err);

/* host.c */
void host_drain(struct host *host);
