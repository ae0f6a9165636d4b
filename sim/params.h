/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parameters of a run: what --set NAME=VALUE changes. A scenario brings its own values for those
 * that are not set; what neither names has the value of params_list.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum params_profile {
	PARAMS_LAN,
	PARAMS_WAN,
};

struct params {
	/* The world: world.c, network.c. */
	int64_t stewards;    /* the first so many machines */
	int64_t pool;        /* kept connections of a machine; 0: the daemon's own default */
	int64_t profile;     /* enum params_profile: latencies */
	int64_t loss;        /* per thousand packets: late, for QUIC sends them again */
	int64_t vanish;      /* per thousand packets: never there */
	int64_t duplication; /* per thousand packets: there twice */
	int64_t jitter_ms;   /* most that a packet is late beyond the profile */
	int64_t boot_ms;     /* between two machines that boot */
	int64_t cores;       /* that all machines share, 0: none computes; processor.c */
	int64_t formed;      /* 1: begin with a formed overlay, 0: with machines that boot */
	int64_t stay;      /* 1: records stay where they were written (node_config.records_stay) */
	int64_t readdress; /* percent of restarts that bring a new address */
	/* The scenario: scenario*.c. */
	int64_t duration_s; /* of its busy part */
	int64_t settle_s;   /* quiet before it */
	int64_t replicas;   /* of one workload */
	int64_t workloads;  /* of one owner, one after the other or at once */
	int64_t owners;     /* machines that are given work */
	int64_t cpu_milli;  /* of one replica */
	int64_t load;       /* percent of the fabric's CPU in use */
	int64_t fits;       /* machines that the rare requirement fits */
	int64_t broadcasts; /* probes */
	int64_t lookups;    /* probes */
	int64_t churn;      /* per thousand machines and minute that crash and come back */
	int64_t forget;     /* percent of these that come back with an empty disk */
	int64_t records;    /* written and read: archive.c */
	int64_t calm_s;     /* quiet time before they are looked at; 0: as long as a hand-over */
	int64_t placed;     /* 1: they lie with their keepers at the beginning */
	int64_t lost;       /* machines that vanish */
	int64_t siblings;   /* 1: agents miss lost replicas */
	int64_t starved;    /* percent of machines that are stalled half of the time */
	int64_t stall_ms;   /* longest of these stalls */
	int64_t broken;     /* 1: ways between neighbours are cut in one direction, for a while */
	int64_t liars;      /* byzantine machines */
};

enum {
	PARAMS_UNSET = -1,
	PARAMS_CORES_MAX = 64,
};

/* All PARAMS_UNSET. */
void params_init(struct params *params);

/* "name=value"; false if there is no such name or the value is out of its range. */
bool params_set(struct params *params, const char *assignment);

/* Fill what is unset: with @scenario's value, or where that is 0 with the list's default. */
void params_complete(struct params *params, const struct params *scenario);

/* Name by name, for help texts and for the command that repeats a run. NULL at the end. */
struct params_entry {
	const char *name, *text;
	int64_t min, max, fallback;
	size_t offset;
};
const struct params_entry *params_next(size_t *position);
int64_t params_get(const struct params *params, const struct params_entry *entry);
