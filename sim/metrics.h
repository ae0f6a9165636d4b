/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Metrics: what a run has measured. Everything is counted as it happens, in constant time, and in
 * whole numbers, so that the same run prints the same bytes.
 *
 * The JSON object (report.c), field by field. "Accepted" is the moment in which a winner binds the
 * replica and its host is told to start it.
 *
 *   tenders                  tenders opened by all owners
 *   replicas_wanted          slots that workloads have asked for, without those that the scenario
 *                            knows to fit nowhere
 *   replicas_placed          of them, accepted at least once
 *   double_placed            acceptances of a slot that was alive elsewhere in the same component
 *   messages_per_placement   event-driven messages per placed replica: market, certificates asked
 *                            for, broadcasts of tenders, lookups of providers, and the handshakes
 *                            that these made necessary, one for each
 *   bytes_per_placement      of the same messages, as they leave the machine: with the headers of
 *                            QUIC, UDP and IPv4; with handshakes, without acknowledgements
 *   placement_ms             from the moment an owner is given a replica to its first acceptance
 *   award_ms                 from a tender's opening to its first award, by the owner's clock
 *   placements_per_virtual_second  placed replicas / time from the first given to the last accepted
 *   broadcast                of the probes: share of machines reached among those that lived
 *                            throughout; payloads received beyond the first per machine reached;
 *                            time to the last machine
 *   flood                    the same broadcasts at the same moments, without a tree: flood.h
 *   lookup                   of the probes: share that named the wanted machine first, of those
 *                            whose target lived throughout; longest chain of answers; time
 *   idle_bytes_per_machine_per_second  all that a machine sends in a quiet time, with headers,
 *                            acknowledgements, handshakes and keep-alives
 *   detect_ms                from a machine's loss to the verdict of each of its observers, which
 *                            are its neighbours in the view
 *   detect_first_ms          the same to the first verdict of any machine about each lost one
 *   detect_all_ms            the same to the verdict of each machine that gives one
 *   false_positives          verdicts about machines that ran and could be reached
 *   chi_square               of placed replicas over equal groups of eligible machines, with its
 *                            degrees of freedom and its distance from the mean in deviations
 *   quality                  mean score of the winners (market/score.h) against those of an oracle
 *                            that knows every machine and is given the same replicas in the same
 *                            order; and the same for the score's resource part alone
 *   protocol_bytes_per_machine  heap held by a machine's node, the mean at the end of the run;
 * _max: the most that one machine has held at a full second
 */
#pragma once

#include "base/bytes.h"
#include "node/node.h"
#include "samples.h"

struct world;
struct sim_machine;
struct sim_pod;
struct metrics;

enum metrics_window {
	METRICS_IDLE,     /* nothing is asked for */
	METRICS_HOPELESS, /* only what fits nowhere is asked for */
	METRICS_WINDOW_COUNT,
};

struct metrics *metrics_new(size_t machines);
void metrics_free(struct metrics *metrics);

/* ---- told by the world ---- */

/* @workload (its index) is asked for, or asked for with more replicas than before. */
void metrics_given(struct world *world, size_t workload);
/* A machine has accepted the replica @pod. */
void metrics_accepted(struct world *world, struct sim_machine *machine, const struct sim_pod *pod);
/* @pod uses nothing any more. */
void metrics_gone(struct world *world, const struct sim_pod *pod);
/* A packet is about to be received. */
void metrics_packet(struct world *world, size_t from, size_t to, struct bytes packet);
/* A connection was made because @packet had to be sent (empty: NODE_DIAL). */
void metrics_dialled(struct world *world, struct bytes packet);
/* @machine sees another one as @state. */
void metrics_peer(struct world *world, const struct sim_machine *machine, const struct node_id *id,
		  enum member_state state);
void metrics_found(struct world *world, const struct sim_machine *machine,
		   const struct node_effect *effect);
/* The process of @machine is about to end. */
void metrics_process_ends(struct world *world, const struct sim_machine *machine);
/* It was found alive twice (checker.c). */
void metrics_double(struct world *world);
/* After every event of a machine; finds tenders that have been opened. */
void metrics_pumped(struct world *world, const struct sim_machine *machine);
/* Every second. */
void metrics_periodic(struct world *world);

/* ---- told by scenarios ---- */

/* The replicas of @workload fit nowhere: they are not counted as wanted. */
void metrics_hopeless(struct world *world, size_t workload);
void metrics_window_open(struct world *world, enum metrics_window window);
void metrics_window_close(struct world *world, enum metrics_window window);
/* What follows is not done for the market's sake: probes. The first call counts. */
void metrics_work_ends(struct world *world);
/* The next broadcast of @machine is followed to all others. @warm: it only carves the tree. */
void metrics_broadcast(struct world *world, size_t machine, bool warm);
/* A replica that ought to have been accepted and was not; false: there is none. */
bool metrics_first_missing(const struct world *world, struct uid *ret_uid, uint32_t *ret_slot);
/* Has every replica of @workload been accepted? */
bool metrics_all_accepted(const struct world *world, size_t workload);
/* No machine is expected to be reached any more. */
void metrics_broadcasts_end(struct world *world);
/* Let @machine look up @target. */
void metrics_lookup(struct world *world, size_t machine, size_t target);
/* Measure placements against an oracle from now on. */
void metrics_judge_quality(struct world *world);

/* ---- read ---- */

struct metrics_figures {
	uint64_t tenders, awards, refused;
	uint64_t wanted, placed, double_placed;
	double messages_per_placement, bytes_per_placement, handshakes_per_placement;
	int64_t placement_p50_us, placement_p99_us, placement_max_us;
	int64_t award_p50_us, award_p99_us;
	double placements_per_s;
	double broadcast_delivered, broadcast_redundancy;
	int64_t broadcast_last_p99_us;
	uint64_t broadcasts;
	double flood_delivered, flood_redundancy; /* the same, flooded: flood.h */
	int64_t flood_last_p99_us;
	double lookup_success;
	int64_t lookup_hops_p50, lookup_hops_p99, lookup_p99_us;
	uint64_t lookups;
	double idle_bytes, hopeless_messages_per_s;
	bool hopeless_measured;
	int64_t detect_p50_us, detect_p99_us, detect_first_p50_us, detect_first_p99_us;
	int64_t detect_all_p50_us, detect_all_p99_us;
	uint64_t losses, verdicts, false_positives;
	double chi_square, chi_square_deviations;
	uint64_t chi_square_freedom, pods_max;
	double quality, quality_fit;
	uint64_t quality_judged;
	int64_t heap_mean, heap_max;
};

/* Ends what is under way and sums up. */
void metrics_read(struct world *world, struct metrics_figures *ret_figures);

/* What the world does not know of itself. */
struct metrics_outside {
	const char *scenario;
	double wall_seconds;
	uint64_t peak_rss_bytes;
};

/* Append the JSON object with a newline. */
void metrics_json(struct world *world, const struct metrics_outside *outside, struct buf *out);
/* The same for people, without what was not measured. */
void metrics_text(struct world *world, const struct metrics_outside *outside, struct buf *out);
