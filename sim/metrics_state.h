/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the metrics share; nobody else includes this. */
#pragma once

#include "base/map.h"
#include "flood.h"
#include "metrics.h"
#include "overlay/view.h"
#include "world.h"

/* All that has been sent since the beginning, at a moment. */
struct metrics_totals {
	int64_t at_us;
	struct node_traffic traffic[MESSAGE_TYPE_COUNT];
	uint64_t counters[NODE_COUNTER_COUNT];
	struct sim_totals network;
};

struct metrics_span {
	struct metrics_totals begin, end;
	bool open;
};

struct metrics_slot {
	int64_t given_us;
	bool placed;
};

struct metrics_work {
	struct metrics_slot *slots;
	size_t slot_count, placed;
	int64_t cpu_milli;
	bool hopeless;
};

struct metrics_machine {
	uint64_t awards;                     /* sent, when last looked at */
	bool is_owner;                       /* is in metrics.owners */
	bool declared;                       /* some machine has seen its loss */
	uint32_t observers[VIEW_ACTIVE_MAX]; /* its neighbours when it was lost */
	size_t observer_count;
	int64_t lost_us;
	uint32_t placed;
	int64_t used_milli; /* by what it has accepted */
};

struct metrics_broadcast {
	uint8_t id[UID_LEN];
	bool known, warm, over;
	size_t origin;
	int64_t begin_us, last_us;
	uint8_t *expected; /* a bit for each machine that it has still to reach */
	size_t expected_count, delivered;
	uint64_t copies;
};

struct metrics_lookup {
	size_t target;
	uint64_t process, from_process;
	int64_t begin_us;
};

struct metrics {
	size_t machine_count;
	struct metrics_machine *machines;
	struct metrics_totals ended;             /* of processes that have ended */
	uint64_t handshakes[MESSAGE_TYPE_COUNT]; /* by what they were made for; NONE: a dial */
	struct metrics_span windows[METRICS_WINDOW_COUNT];
	struct metrics_work **works;
	size_t work_count;
	struct map works_by_uid;
	int64_t first_given_us, last_accepted_us;
	/* When the probes begin, which cost something too: all of the work until then. */
	bool work_is_over;
	struct metrics_totals work_end;
	uint64_t work_handshakes[MESSAGE_TYPE_COUNT], work_placed;
	uint64_t placed, double_placed;
	size_t *owners; /* machines that have sent awards since the last look */
	size_t owner_count, owner_cap;
	struct map tenders; /* ids of those whose award has been measured */
	struct samples placement, award;
	struct metrics_broadcast *broadcasts;
	size_t broadcast_count, broadcasts_open;
	struct samples last_delivery;
	struct flood *flood; /* for comparison; made at the first broadcast */
	uint64_t flood_expected, flood_reached, flood_copies;
	struct samples flood_last;
	struct map lookups; /* machine, token -> struct metrics_lookup */
	uint64_t lookups_ended, lookups_found;
	struct samples lookup_time, lookup_hops;
	struct samples detect, detect_first, detect_all;
	uint64_t verdicts, false_positives;
	int64_t heap_max; /* of one machine's node */
	/* metrics_quality.c */
	bool judging;
	int64_t *oracle_free; /* thousandths of a core, of each machine */
	double score, score_fit, oracle_score, oracle_fit;
	uint64_t judged, oracle_placed;
};

struct metrics_totals metrics_totals_now(const struct world *world);

/* metrics_quality.c: @machine takes a replica of @cpu_milli. */
void metrics_oracle_accepted(struct world *world, const struct sim_machine *machine,
			     int64_t cpu_milli);
