/* SPDX-License-Identifier: Apache-2.0 */
/* Warrants, and certificates of pods that follow from them: a part of message.h, to be included by
 * that alone. */
#pragma once

/* A pod is awarded to a machine, says its owner to everybody: short enough to go with each presence
 * of that pod, unlike the award, which has a manifest in it. */
struct warrant {
	struct uid pod_uid;
	struct object_ref object; /* the workload */
	char *pod_name;
	uint32_t slot;
	uint64_t epoch;
	struct node_id machine;
	char *kind, *name; /* of what a user would name: the Deployment, not its ReplicaSet */
};

enum {
	MESSAGE_PROOF_LEN = 64, /* an Ed25519 signature */
};

/* Sign for the agent of my pod, or the application in it. */
struct pod_leaf_want {
	uint64_t request;
	struct buf warrant; /* an envelope: the pod is the sender's */
	struct node_id key;
	uint8_t proof[MESSAGE_PROOF_LEN]; /* identity/pod_key.h */
	bool application;
};

enum {
	MESSAGE_AGENTS_MAX = 8, /* enough to begin with: agents tell each other of the rest */
};

/* An agent of a pod, as its machine or others have told. */
struct agent_heard {
	struct node_id id;
	struct addr addr;
	uint32_t age_s; /* since its own machine has said so */
};

struct agents_heard {
	struct agent_heard *list;
	size_t count;
	bool answer;
};

struct pod_leaf {
	uint64_t request;
	struct leaf chain; /* without certificates: refused */
	char *text;        /* why, for people */
};
