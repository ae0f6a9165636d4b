/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pod: the life of one pod and its containers. Private to runtime/.
 *
 *   KEPT ---- told to go on ----+     (after a power cut, as its file on the disk says; it has
 * nothing |  stop: gone             v      else) SETUP ------ sandbox made -------> ACTIVE -----
 * stop -----> STOPPING |  stop, or it cannot be made      |                         | no container
 * runs
 *     +-------------------------------+  | the sandbox is lost     |
 *                                     v  v                         v
 *                                    TEARDOWN <--------------------+     then: gone
 *
 * A container, from run to run:
 *
 *   IDLE --its turn--> PULLING --present--> STARTING --started--> RUNNING --ended--> ENDING
 *                        ^  | failed           |  cannot start                        |
 *                        |  v                  v                                      v
 *                        WAITING <----- to be tried or run again ---------------------+
 *                                              +---------> DONE <----- for good ------+
 *
 * STARTING and ENDING are jobs; a RUNNING container may have a job too, the sending of a signal.
 * Everything else waits for an event. In STOPPING, nothing enters PULLING or STARTING.
 */
#pragma once

#include "base/list.h"
#include "base/map.h"
#include "kube/group.h"
#include "runtime/agent.h"
#include "runtime/ask.h"
#include "runtime/backoff.h"
#include "runtime/claims.h"
#include "runtime/files.h"
#include "runtime/pod_net.h"
#include "runtime/pod_facts.h"
#include "runtime/pod_spec.h"
#include "runtime/pods.h"
#include "runtime/probe.h"
#include "runtime/process_watch.h"

enum pod_stage {
	STAGE_SETUP,
	STAGE_ACTIVE,
	STAGE_STOPPING,
	STAGE_TEARDOWN,
	STAGE_KEPT,
	STAGE_COUNT,
};

enum run_state {
	RUN_IDLE,
	RUN_PULLING,
	RUN_WAITING, /* a timer */
	RUN_STARTING,
	RUN_RUNNING,
	RUN_ENDING,
	RUN_DONE,
	RUN_STATE_COUNT,
};

struct container {
	struct pod *pod;
	const struct container_spec *spec;
	size_t index;
	enum run_state state;
	uint32_t run; /* number of the present or coming run */
	bool busy;    /* a signal is on its way */
	bool ended;   /* its conmon has ended */
	bool termed, killed;
	bool unhealthy;        /* its probes have said that this run is to end */
	bool kill_due;         /* and it has had its time to do so */
	struct probes *probes; /* while it runs; NULL: none */
	struct ask *hook;      /* postStart or preStop, under way */
	bool stop_hooked;      /* preStop has been begun, in this run */
	int stop_signal;       /* of the image; 0: SIGTERM */
	bool has_started;      /* in any run */
	pid_t conmon;
	uint64_t conmon_started; /* child_start_time() */
	struct process_watch *watch;
	struct loop_timer *timer;
	struct backoff backoff, pull_backoff;
	struct container_status status;
	char *image_ref; /* full form */
};

struct pod {
	struct list link;
	struct pods *pods;
	enum pod_stage stage;
	struct uid uid;
	char *uid_text, *name, *dir;
	char *cgroup; /* parent of its containers' groups */
	struct buf manifest, warrant;
	uint32_t slot;
	uint64_t epoch;
	struct pod_spec *spec;
	struct pod_net net;
	struct process_watch *infra_watch;
	struct agent *agent;
	unsigned agent_told; /* what it has been told of the pod's readiness; 0: nothing */
	struct container *containers;
	unsigned jobs;
	char *reason, *message; /* why it goes, if nobody asked for that */
	int64_t started_ms;
	int64_t grace_s;
	struct loop_timer *grace_timer;
	bool grace_over;
	bool closed; /* it has ended by itself: all that is left are its logs */
	char *host_ip, *hostname;
	char *index;                  /* text of its slot, of an indexed Job; else NULL */
	json_t *labels, *annotations; /* what its containers are told of; objects */
	/* pod_config.c */
	bool config_stale;               /* its projected volumes are not as they should be */
	bool config_busy;                /* they are being written */
	bool config_ready;               /* they have been written once */
	char *config_missing;            /* what they wait for; "": nothing */
	json_t *config_written;          /* the snapshot they were written from */
	struct loop_timer *config_timer; /* what could not be written is tried again */
	json_t *svid;                    /* what its application is given (svid.h); NULL: not yet */
	struct loop_timer *svid_timer;   /* then it starts without */
	bool keeping, keep_ended;        /* its file is being written; it must have none any more */
	uint64_t keep_mark;              /* what it was written for last */
	bool torn;                       /* nothing is left but jobs under way */
	bool in_group;                   /* of its StatefulSet, with this part: pod_group.c */
	struct kube_group group;
	bool group_votes, group_left;  /* its agent says so */
	bool group_ended;              /* its StatefulSet has been deleted */
	bool for_good;                 /* it was told to stop because its object was deleted */
	struct loop_timer *null_timer; /* of an engine that pretends: until it is said to run */
};

struct log_watch {
	struct list link;
	struct container *container;
	loop_fn ended;
	void *user;
};

struct pods {
	struct pods_config config;
	struct list pods;
	struct list log_watches;
	struct list execs;
	size_t count;
	unsigned jobs;
	bool quiet;
	struct map config_objects; /* "<kind>/<namespace>/<name>" -> json_t: what pods name */
	struct claims claims;
	char *host_ip;
	char peer_id[ID_HEX_LEN + 1];
	char *cgroup; /* "/magik-<hash of the run directory>" */
};

/* pod.c */
struct pod *pod_new(struct pods *pods, const struct pod_start *start, struct pod_spec *spec);
void pod_free(struct pod *pod);
void pod_begin(struct pod *pod);
void pod_stop(struct pod *pod, int64_t grace_s);
/* Whatever has changed: let every container take its next step, tell and save. */
void pod_advance(struct pod *pod);
/* The sandbox is there: from SETUP, or found again. */
void pod_watch_infra(struct pod *pod);
/* Its agent says to others whether it takes connections. */
void pod_tell_agent(struct pod *pod);
/* Give up: remove everything. @reason NULL: it was asked for. */
void pod_teardown(struct pod *pod, const char *reason, const char *message);
void pod_set_stage(struct pod *pod, enum pod_stage stage);
/* Report it as it is now; or that nothing is left. */
void pod_tell(const struct pod *pod, bool gone);
void pod_presence(const struct pod *pod, struct presence *ret_presence);
void pod_job(struct pod *pod, void (*work)(void *arg), void (*done)(void *arg), void *arg);
void pod_job_done(struct pod *pod);

/* exec.c: end and free those that are left; no job is under way. */
void exec_free_all(struct pods *pods);

/* pod_null.c: of an engine that pretends */
bool pod_is_null(const struct pod *pod);
void pod_null_begin(struct pod *pod);
void pod_null_stop(struct pod *pod);

/* container.c */
void container_init(struct container *container, struct pod *pod, size_t index);
void container_deinit(struct container *container);
void container_advance(struct container *container);
void container_set_state(struct container *container, enum run_state state);
/* Its run goes on, found again. */
void container_resume(struct container *container);
/* Its probes say that it is dead, or its first hook has failed: end this run. @grace_s: -1: as the
 * pod. The texts are for an event. */
void container_end_unhealthy(struct container *container, int64_t grace_s, const char *reason,
			     const char *message);
/* Neither probes nor hooks go on. */
void container_stop_asking(struct container *container);
bool container_is_at_rest(const struct container *container);
void container_set_waiting(struct container *container, const char *reason, const char *message);
void container_set_reason(struct container *container, const char *reason, const char *message);
enum {
	CONTAINER_SAID_MAX = 256, /* in a pod's status and its events */
};
/* The same of what the container itself has said: one line of it. */
void container_set_said(struct container *container, const char *reason, const char *said);
/* Whether a run that ended with @code is followed by another. */
bool container_wants_restart(const struct container *container, int code);

/* Where everything of one run is; strings for a struct engine_container to point to. */
struct run_paths {
	char id[ENGINE_ID_MAX];
	struct path bundle, exits, log, cgroup;
	struct engine_container engine;
};
/* @paths stays where it is while it is used. */
void run_paths_init(struct run_paths *paths, const struct container *container, uint32_t run);

/* container_run.c: blocking. */
struct container_run {
	struct container *container;
	uint32_t run;
	json_t *config; /* to start: its own copy of all that the container names */
	char peer_id[ID_HEX_LEN + 1];
	/* Results. */
	int result;
	struct err err;
	const char *reason; /* of a failure: static text */
	char image_id[IMAGE_ID_MAX];
	pid_t conmon;
	uint64_t conmon_started;
	int stop_signal;
	struct engine_status status;
	int signal; /* to send */
};
void container_run_start(void *run);
void container_run_end(void *run);
void container_run_signal(void *run);
/* Kill and remove whatever there is of run number @number. */
int container_run_remove(const struct container *container, uint32_t number, struct err *err);
struct pod *pods_find(const struct pods *pods, const struct uid *uid);
/* The container of that name ("": the only one); NULL with status 404 or 400. */
struct container *pods_container(struct pods *pods, const struct uid *uid, const char *name,
				 struct err *err);
char *container_log_path(const struct container *container, uint32_t run);

/* sandbox.c: blocking. */
/* Also on success @err may say something: why the pod has nothing in front of it. */
int sandbox_make(struct pod *pod, struct pod_net *ret_net, struct err *err);
int sandbox_restart_agent(struct pod *pod, struct err *err);
/* sandbox_agent.c: for sandbox.c */
void sandbox_make_front(const struct pod *pod, struct err *err); /* as far as the kernel can */
bool sandbox_has_front(const struct pod *pod);
_must_use_ int sandbox_start_agent(const struct pod *pod, struct err *err);
/* Nothing where there is no front. */
_must_use_ int sandbox_connect_front(const struct pod *pod, int netns, const struct pod_net *net,
				     struct err *err);
int sandbox_remove(struct pod *pod, struct err *err);
/* The same but for the directory, where the logs are: the pod has ended. */
int sandbox_close(struct pod *pod, struct err *err);

/* pod_config.c: configuration objects, on their way into containers */
void pod_config_init(struct pod *pod);
void pod_config_deinit(struct pod *pod);
void pod_config_advance(struct pod *pod);
/* Whether all is there that @container needs; else it is said to wait for that. */
bool pod_config_allows(struct container *container);
/* A copy of the snapshot of what the pod names, for a worker thread. */
json_t *pod_config_copy(const struct pod *pod);
struct pod_facts pod_facts_of(const struct pod *pod);

/* pod_claims.c: volumes that outlive the pod */
/* 0: each claim that the pod names is here, in @snapshot, and may be mounted; else a sentence. */
_must_use_ int pod_claims_check(const struct pod *pod, const json_t *snapshot, struct err *err);
/* How far the work on them is; none at first. */
struct claims_work {
	size_t at; /* the volume that is worked on */
	struct group_walk *walk;
	bool give; /* each goes to the fsGroup, if there is one */
};

/* Only who has not run yet may have volumes given away under it: no process is surprised. */
bool pod_claims_give(const struct pod *pod);
/* Make their directories, and give them to the fsGroup: GROUP_E_MORE asks for another step. Blocks.
 */
_must_use_ int pod_claims_make(const struct pod *pod, const json_t *snapshot,
			       struct claims_work *work, struct err *err);
void claims_work_deinit(struct claims_work *work);
/* They have been made; on the loop. */
void pod_claims_note(struct pod *pod, const json_t *snapshot);
/* The pod is about to go, or has ended: others may have waited for that. */
void pod_claims_release(struct pod *pod);

/* pod_group.c: its part in the group of its StatefulSet */
void pod_group_init(struct pod *pod);
char *pod_group_dir(const struct pod *pod); /* the caller frees it */
/* Blocks. */
_must_use_ int pod_group_make(const struct pod *pod, struct err *err);
/* Not ready before its member votes: else a majority could be lost by replacing pod after pod. */
bool pod_group_is_awaited(const struct pod *pod);
/* Its agent has said something of it. Returns whether that is new. */
bool pod_group_said(struct pod *pod, const Magik__Ipc__GroupState *state);

/* Nothing is left of the pod: what is of no use to anybody any more goes. */
void pod_group_release(struct pod *pod);

/* pod_keep.c */
void pod_keep(struct pod *pod);   /* if something has changed that should survive a power cut */
void pod_unkeep(struct pod *pod); /* it will not be started again */
bool pod_is_kept(const struct pod *pod);
void pods_take_up_kept(struct pods *pods);

/* pod_save.c */
void pod_save(const struct pod *pod);
char *pod_text(const struct pod *pod); /* what is saved; NULL if it cannot be written down */
/* A pod as saved in @dir; NULL if that cannot be made out. */
struct pod *pod_load(struct pods *pods, const char *dir, bool *ret_same_boot);
struct pod *pod_load_file(struct pods *pods, const struct uid *uid, const char *path,
			  bool *ret_same_boot);
