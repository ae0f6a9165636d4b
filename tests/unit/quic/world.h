/* SPDX-License-Identifier: Apache-2.0 */
/*
 * World: endpoints joined by a link with virtual time, delay, loss and duplication, all from one
 * seed. Nothing in here waits.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/list.h"
#include "quic/endpoint.h"

enum {
	WORLD_NODES_MAX = 4,
	WORLD_RTT_US = 20000,
};

struct world;

/* What one endpoint has experienced. */
struct node {
	struct world *world;
	size_t index;
	struct addr addr;
	struct quic_endpoint *endpoint;
	struct quic_credential *credential;
	struct buf leaf; /* its certificate, DER */
	bool refuses;    /* verify() says no */
	bool lazy;       /* stream data is not consumed */
	size_t opened, closed, verified, messages, streams, streams_closed, writable;
	size_t message_bytes, stream_bytes, ended;
	uint8_t message_counts[4096]; /* how often the message beginning with this u32 came */
	struct err why, stream_why;
	struct quic_conn *conn;     /* the last opened */
	struct quic_stream *stream; /* the last opened by the peer */
	struct quic_conn *open_when_closed;
	void (*on_opened)(struct node *node, struct quic_conn *conn);
};

struct world_packet {
	struct list link;
	struct mono at;
	struct quic_path path; /* as the receiver sees it */
	size_t len;
	uint8_t data[];
};

struct world {
	struct mono now;
	struct node node[WORLD_NODES_MAX];
	size_t node_count;
	struct list packets;
	uint64_t random;
	int64_t delay_us, jitter_us;
	unsigned loss_permille, duplicate_permille;
	size_t sent;
	bool one_machine;    /* nodes added from now on share an address, on ports of their own */
	struct node *acting; /* whose endpoint is being flushed, or NULL */
	/* Look at, change, or swallow (return false) a packet on its way. */
	bool (*tap)(struct world *world, struct world_packet *packet);
	void *tap_user;
};

/* A self-signed Ed25519 certificate for the key of @seed. */
void test_certificate(const uint8_t seed[QUIC_SEED_LEN], struct buf *ret_der);
struct quic_credential *test_credential(uint8_t fill, struct buf *ret_der);

struct world *world_new(uint64_t seed);
void world_free(struct world *world);

/* Add a node that answers to "magik-machine/1"; @config may be NULL. */
struct node *world_add(struct world *world, const struct quic_config *config);

/* Replace its endpoint, as a restart would: same address, same reset secret, nothing remembered. */
void world_restart(struct world *world, struct node *node);

uint64_t world_random(struct world *world);
struct quic_conn *world_dial(struct node *from, const struct node *to);

/* Run until @done says so, or for @span_ms of virtual time; returns whether it did. */
bool world_run(struct world *world, int64_t span_ms, bool (*done)(struct world *world));

/* Whether every node has opened at least one connection. */
bool world_all_open(struct world *world);
bool world_node0_closed(struct world *world);

/* Two nodes joined by an open connection; node[0] has dialled. */
struct world *world_pair(uint64_t seed);
