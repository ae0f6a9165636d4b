/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A mesh of machines that consist of a view and a tree, on one virtual clock: delays, loss, cuts,
 * crashes. What the overlay does around them is done here in the simplest way: a machine that was
 * active when it crashed or was cut off is doubted after MESH_SUSPECT_MS and declared lost after
 * MESH_VERDICT_MS, a message to one
 * that cannot be reached is reported after MESH_DIAL_MS, a machine that is alone joins through its
 * bootstrap machine again. Payloads that begin with '!' are believed by nobody.
 */
#pragma once

#include "base/prng.h"
#include "overlay/tree.h"
#include "overlay/view.h"

enum {
	MESH_SUSPECT_MS = 3000,
	MESH_VERDICT_MS = 8000,
	MESH_DIAL_MS = 1000,
	MESH_REJOIN_MS = 1000,
	MESH_NONE = UINT32_MAX,
};

struct mesh_machine {
	struct view *view;
	struct tree *tree;
	struct contact contact;
	bool up;
	uint32_t side; /* machines of different sides do not reach each other */
	uint32_t bootstrap;
	struct mono rejoin_at, tick_at;
	unsigned delivered; /* of the last broadcast, and over how many links */
	uint32_t hops;
	struct mono delivered_at;
};

struct mesh_counts {
	uint64_t messages, bytes; /* encoded, without framing */
	uint64_t payloads, duplicates;
	uint64_t by_type[MESSAGE_TYPE_COUNT];
};

struct mesh_event;

struct mesh {
	struct mesh_machine *machines;
	size_t machine_count;
	struct prng prng;
	struct mono now;
	int64_t delay_min_us, delay_max_us;
	unsigned loss_permille;
	enum message_type drop; /* the next message of this type is lost */
	bool trace_bytes;       /* count bytes: costs an encoding per message */
	struct mesh_counts counts;
	struct uid broadcast; /* the last one */
	struct mesh_event *events;
	size_t event_count, event_cap;
	uint64_t sequence, hash; /* of all that happened */
};

struct mesh *mesh_new(size_t count, uint64_t seed);
void mesh_free(struct mesh *mesh);

void mesh_start(struct mesh *mesh, size_t n, uint32_t bootstrap); /* MESH_NONE: the first one */
void mesh_crash(struct mesh *mesh, size_t n);
void mesh_leave(struct mesh *mesh, size_t n); /* it says goodbye first */
void mesh_join(struct mesh *mesh, size_t n, size_t at);
void mesh_cut(struct mesh *mesh, size_t n, uint32_t side);
void mesh_run_ms(struct mesh *mesh, int64_t ms);

/* Machine @to gets @message as if @from had sent it. */
void mesh_inject(struct mesh *mesh, size_t from, size_t to, const struct message *message);
void mesh_inject_from(struct mesh *mesh, const struct contact *from, size_t to,
		      const struct message *message);

/* A new broadcast; the counts of deliveries begin anew. */
void mesh_broadcast(struct mesh *mesh, size_t n, const char *text);
size_t mesh_reached(const struct mesh *mesh); /* live machines that have it, the sender included */
size_t mesh_up_count(const struct mesh *mesh);

/* Reads of the graph of live machines. */
bool mesh_is_connected(const struct mesh *mesh); /* over links that both ends know of */
size_t mesh_half_open(const struct mesh *mesh);  /* links that only one end knows of */
size_t mesh_degree_min(const struct mesh *mesh);
double mesh_degree_mean(const struct mesh *mesh);
size_t mesh_index(const struct node_id *id);

/* All start, and join through the first one, @spread_ms apart at random; then @settle_ms pass. */
struct mesh *mesh_formed(size_t count, uint64_t seed, int64_t spread_ms, int64_t settle_ms);
