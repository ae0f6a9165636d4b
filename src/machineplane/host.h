/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host: the privileged process of a machine.
 *
 * It owns what needs root: namespaces, mounts, cgroups, engines, images, and the pods made of them.
 * It starts the fabric process, which owns every socket to the outside, and obeys it only as far as
 * the signed award, the tender and the local policy file bear out what is asked.
 *
 *   host_run()
 *     private mount namespace (that of pods still alive, if there are any)
 *     engines probed, pods recovered, R/host.sock listening
 *     fabric process: /proc/self/exe --fabric-process <descriptor>, started again when it dies
 *     SIGTERM, SIGINT: both processes end, pods stay.   Drain: pods end first.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/err.h"
#include "base/id.h"
#include "identity/cert.h"
#include "identity/revocation.h"
#include "wire/message.h"

struct host_application;
struct host_asker;
struct host_award;
struct host_envelope;
struct host_request;

/*
 * What the fabric's identity code does inside the host process. Called on the loop's thread.
 * Every function may be NULL: what it would have to judge is refused then.
 */
struct host_hooks {
	void *ctx;
	/* The fabric process asks for a certificate: refuse, or append the answer. */
	int (*issue)(void *ctx, struct bytes request, struct buf *ret_reply, struct err *err);
	/* The fabric process says that this machine is @node: refuse, and no award is believed. */
	int (*know_node)(void *ctx, const struct node_id *node, struct err *err);
	/* 0, or -EACCES with a sentence. verify.h judges by the fabric's roots. */
	int (*verify_award)(void *ctx, const struct host_award *award, struct err *err);
	/* The same of an object or its tombstone; the caller deinitialises @ret_record. */
	int (*verify_object)(void *ctx, const struct host_envelope *envelope,
			     struct record *ret_record, struct err *err);
	/* May somebody see or enter a pod: 0 and who asks, or -EACCES with a sentence. */
	int (*verify_request)(void *ctx, const struct host_request *request,
			      struct host_asker *ret_asker, struct err *err);
	/* What was signed for an application in a pod here: 0 and its leaf, or -EACCES. */
	int (*verify_application)(void *ctx, const struct host_application *application,
				  struct cert *ret_leaf, struct err *err);
	/* Is who was let in then still to be trusted, by what is revoked now? */
	bool (*asker_stands)(void *ctx, const struct host_asker *asker);
	/* Those that are kept, one after the other; @before NULL: the first; NULL: no more. */
	const struct revocation_entry *(*next_revocation)(void *ctx,
							  const struct revocation_entry *before);
	/* Keep a revocation: 1 when it is a new one, 0, or -EACCES with a sentence. */
	int (*revoke)(void *ctx, const struct host_envelope *revocation, struct err *err);
};

/* All strings are borrowed until host_run() returns. */
struct host_config {
	const char *state_dir; /* survives a reboot; absolute */
	const char *run_dir;   /* dies with the host; absolute */
	const char *node_name;
	const char *region;      /* its label topology.kubernetes.io/region; NULL: it has none */
	const char *runtime;     /* --runtime, or NULL: the best that works here, never null */
	int64_t null_delay_ms;   /* of --runtime null */
	const char *workplane;   /* path of the agent, or NULL: beside this binary */
	const char *policy_file; /* local policy (JSON), or NULL: the strict default */
	const char *resolv_conf; /* what pods get, or NULL: /etc/resolv.conf */
	uint64_t reserved_cpu_milli;
	uint64_t reserved_memory_bytes;
	uint32_t pods_max;          /* 0: HOST_PODS_MAX */
	struct bytes fabric_config; /* given to the fabric process in HELLO, unread */
	bool no_fabric;             /* pods and images only; for tests of the host alone */
	bool drain;                 /* stop every pod, then return */
	struct host_hooks hooks;
};

enum {
	HOST_PODS_MAX = 110, /* what Kubernetes' kubelet allows by default */
};

/*
 * Run until told to end. 0 after an orderly end; otherwise the process should exit with 1 and
 * @err says why. With @drain set and a host process already serving @run_dir, that one is told to
 * drain, and this returns when it has.
 */
_must_use_ int host_run(const struct host_config *config, struct err *err);

/* Something a steward has signed, and the chains that bear it out. */
struct host_envelope {
	struct bytes envelope;
	const struct bytes *chains;
	size_t chain_count;
};

/* What the host must believe before it starts a pod: everything as the fabric process gave it. */
struct host_award {
	struct bytes award, tender; /* envelopes */
	const struct bytes *chains;
	size_t chain_count;
	struct bytes manifest;
	struct node_id node; /* this machine */
	/* As the manifest has them. */
	const char *namespace;
	struct uid workload_uid;
	struct uid pod_uid;
	uint32_t slot;
	uint64_t epoch;
};

/* What the host must believe before it shows somebody a pod's log or lets them into it. */
struct host_request {
	struct host_envelope signed_by_gateway; /* a POD_REQUEST */
	struct node_id node;                    /* this machine */
	/* As the fabric process asks; namespace: as the pod that was awarded has it. */
	enum pod_verb verb;
	struct uid pod;
	const char *namespace;
	const char *container; /* "" for a port */
	const char *const *command;
	size_t command_count;
	uint32_t port;
};

/* A certificate for the application in a pod. */
struct host_application {
	struct bytes chain, root; /* DER; leaf first, without the root */
	struct node_id key;
	const char *namespace, *pod;
};

/* Who was let in. */
struct host_asker {
	struct node_id gateway; /* the machine that answers for them */
	bool certified;         /* else who administrates that machine; name then says so */
	char name[CERT_NAME_MAX + 1];
	struct node_id key;
	uint8_t serial[CERT_SERIAL_LEN];
	struct wall not_before;
};
