/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A cluster of records machines on one virtual clock, with a network that loses, delays and
 * reorders, disks that take time, partitions, and restarts from the disk.
 */
#pragma once

#include "base/prng.h"
#include "records/records.h"

enum {
	CLUSTER_MAX = 6,
	CLUSTER_DISK_MAX = 512,
	CLUSTER_ABSENT_MAX = 64,
	CLUSTER_LOST_MS = 8000, /* until a cut peer is reported as lost */
};

struct cluster_event;

struct cluster_machine {
	struct records *records;
	struct node_id id;
	bool up, keeper;
	bool linked[CLUSTER_MAX]; /* as this machine has been told */
	struct buf disk[CLUSTER_DISK_MAX];
	struct record_key disk_keys[CLUSTER_DISK_MAX];
	size_t disk_count;
	unsigned done, quorums;             /* writes reported */
	uint8_t absent[CLUSTER_ABSENT_MAX]; /* uids that are to be deleted again */
	size_t absent_count;
};

struct cluster {
	struct cluster_machine machines[CLUSTER_MAX];
	size_t count;
	unsigned groups[CLUSTER_MAX]; /* only members of one group hear each other */
	struct cluster_event *events;
	struct prng prng;
	struct mono now;
	uint64_t sequence;
	unsigned loss_percent;
};

void cluster_init(struct cluster *cluster, size_t count, size_t keepers, uint64_t seed);
void cluster_deinit(struct cluster *cluster);
void cluster_run_ms(struct cluster *cluster, int64_t ms);

/* Put machine @n in @group; both sides notice after CLUSTER_LOST_MS, or at once when it heals. */
void cluster_move(struct cluster *cluster, size_t n, unsigned group);

/* Stop machine @n, or start it again with what its disk has. */
void cluster_stop(struct cluster *cluster, size_t n);
void cluster_start(struct cluster *cluster, size_t n);

/* Stamp and write @record at machine @n, which takes ownership; the outcome of records_put(). */
int cluster_put(struct cluster *cluster, size_t n, struct record record, uint64_t expected_hlc);

/* All machines that are up hold the same records. */
bool cluster_is_equal(struct cluster *cluster);
