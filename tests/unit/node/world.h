/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A few nodes in one process, over a network without loss and with one delay, on virtual time. A
 * send to a machine that is not connected dials it; certificates are known of machines that were
 * connected, others are asked for.
 *
 * Envelopes are made by a stand-in for identity of the same shape: a keyed hash instead of a
 * signature, and a table that says who is a steward. Hosts start and stop pods after a delay.
 */
#pragma once

#include "node/node.h"

enum {
	WORLD_NODES_MAX = 64,
	WORLD_DELAY_MS = 1,
	WORLD_START_MS = 20,
	WORLD_SEEN_MAX = 8192,
};

struct world;

struct machine {
	struct world *world;
	struct node *node;
	struct node_id id;
	bool up, steward;
	struct label label;            /* that it has, if it has a key */
	int64_t cpu_milli;             /* 0: 4000 */
	const char *namespace;         /* the only one it is a steward of; NULL: all */
	uint64_t seen[WORLD_SEEN_MAX]; /* nonces, for the replay check */
	size_t seen_count;
	struct buf last_tender; /* the last tender envelope that it sent */
	size_t starts, stops;
	uint32_t stored, keepers; /* of the last finished put */
	/* Certificates of pods: asked of this machine, and answered to it, last. */
	size_t leaf_wants, leaf_answers;
	struct node_id leaf_to, leaf_key;
	bool leaf_of_application;
	uint64_t leaf_request;
	char leaf_pod[64], leaf_refusal[96];
	size_t leaf_certs;
};

struct world {
	struct mono now;
	int64_t skew_ms[WORLD_NODES_MAX];
	struct machine machines[WORLD_NODES_MAX];
	size_t count;
	struct list *events;
	bool cut[WORLD_NODES_MAX][WORLD_NODES_MAX];
	bool linked[WORLD_NODES_MAX][WORLD_NODES_MAX];
	bool known[WORLD_NODES_MAX][WORLD_NODES_MAX]; /* certificates */
	size_t pool;                                  /* of every machine; 0: the default */
	bool records_stay;
	size_t dials;
	uint64_t serial;
};

struct world *world_new(size_t count);
void world_free(struct world *world);

/* Connect everyone and let them learn of each other. */
void world_settle(struct world *world);
void world_run_ms(struct world *world, int64_t ms);

void world_crash(struct world *world, size_t machine);

/* Create a Deployment "web" in namespace default. Returns its uid. */
/* Whose task the next object will be that world_deploy() makes. */
size_t world_next_controller(const struct world *world);
struct uid world_deploy(struct world *world, size_t gateway, uint32_t replicas);
/* The same, with @spec before the containers of its pods: "\"nodeSelector\":{...}," or "". */
struct uid world_deploy_spec(struct world *world, size_t gateway, uint32_t replicas,
			     const char *spec);
void world_delete(struct world *world, size_t gateway, const struct uid *uid);

/* Pods of @uid in phase Running, as @observer knows them, and on how many machines. */
size_t world_running(const struct world *world, size_t observer, const struct uid *uid,
		     size_t *ret_machines);

/* An envelope of @message by @machine, @ago_ms old. */
void world_seal(struct world *world, size_t machine, int64_t ago_ms, const struct message *message,
		struct buf *ret_envelope);

/* The same around any bytes. */
void world_seal_payload(struct world *world, size_t machine, int64_t ago_ms, struct bytes payload,
			struct buf *ret_envelope);

/* Deliver any bytes to @to as if @from had sent them. */
void world_packet(struct world *world, size_t from, size_t to, struct bytes packet);

/* Deliver an envelope to @to as if @from had sent it. */
void world_inject(struct world *world, size_t from, size_t to, struct bytes envelope);
