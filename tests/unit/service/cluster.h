/* SPDX-License-Identifier: Apache-2.0 */
/* A few agents on virtual time: every message takes one millisecond, on a wire that is exact. */
#pragma once

#include "make.h"
#include "service/directory.h"

enum {
	CLUSTER_MAX = 16,
	CLUSTER_FLIGHT_MAX = 4096,
};

struct cluster_agent {
	struct directory *directory; /* NULL: stopped */
	struct contact contact;
	struct service_name name;
	bool ready, cross_namespace;
	uint64_t token, found;
};

struct cluster_flight {
	struct mono at;
	size_t from, to;
	struct buf bytes;
};

struct cluster {
	struct cluster_agent agents[CLUSTER_MAX];
	size_t count;
	struct mono now;
	struct cluster_flight flights[CLUSTER_FLIGHT_MAX];
	size_t first, last;
	size_t cut; /* agent + 1 whom nobody hears, and who hears nobody */
	unsigned missing;
	char last_missing[MESSAGE_NAME_MAX + 1];
};

int cluster_setup(void **state);
int cluster_teardown(void **state);

/* Start an agent that is ready; it knows all that run. Returns its index. */
size_t cluster_start(struct cluster *cluster, const char *namespace, const char *name,
		     const char *pod);
void cluster_stop(struct cluster *cluster, size_t agent); /* without a word */
void cluster_withdraw(struct cluster *cluster, size_t agent);
void cluster_set_ready(struct cluster *cluster, size_t agent, bool ready);
struct service_record cluster_record(const struct cluster *cluster, size_t agent);
struct wall cluster_wall(const struct cluster *cluster);
void cluster_pump(struct cluster *cluster, size_t agent);
void cluster_run(struct cluster *cluster, int64_t ms);

/* Look up and wait for the answer: how many records there are. */
size_t cluster_lookup(struct cluster *cluster, size_t agent, const char *namespace,
		      const char *name);
size_t cluster_records(struct cluster *cluster, size_t agent, const char *namespace,
		       const char *name, const struct service_record **records, size_t max);

/* @liar stores at @to, and pushes to it, a record of that pod under its own signature. */
void cluster_lie(struct cluster *cluster, size_t liar, size_t to, const char *name,
		 const char *pod);
