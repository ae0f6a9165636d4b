/* SPDX-License-Identifier: Apache-2.0 */
/* What the counts come to. */
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "metrics_state.h"

enum {
	CELL_EXPECTED_MIN = 10, /* of a chi-square cell; five is the rule of thumb */
	CELLS_MAX = 1000,
	P50 = 50,
	P99 = 99,
	P100 = 100,
	/* As measured at the real transport (docs/performance.md). */
	DATAGRAM_MESSAGE_MAX = 1120,
	DATAGRAM_EXTRA_BYTES = 17 + 28, /* QUIC's; UDP's and IPv4's */
	HANDSHAKE_MESSAGES = 1,
	HANDSHAKE_DATAGRAMS = 7,                           /* both sides together */
	HANDSHAKE_BYTES = 4172 + HANDSHAKE_DATAGRAMS * 28, /* the same */
};

/* What only the market's work brings about. */
static const enum message_type market_types[] = {
	MESSAGE_TENDER,        MESSAGE_BID,       MESSAGE_AWARD,  MESSAGE_AWARD_REPLY,
	MESSAGE_AWARD_CONFIRM, MESSAGE_RELEASE,   MESSAGE_CANCEL, MESSAGE_EVENT,
	MESSAGE_REFERRAL,      MESSAGE_LEAF_WANT, MESSAGE_LEAF,
};

/* What it shares with others. */
static const enum message_type tree_types[] = {MESSAGE_GOSSIP, MESSAGE_IHAVE, MESSAGE_GRAFT,
					       MESSAGE_PRUNE};
static const enum message_type lookup_types[] = {MESSAGE_FIND, MESSAGE_FOUND};

static double quotient(double a, double b)
{
	return b > 0 ? a / b : 0;
}

/* ---- traffic ---- */

static void add_types(const struct metrics_totals *totals, const enum message_type *types,
		      size_t count, struct node_traffic *sum)
{
	for (size_t i = 0; i < count; i++) {
		sum->messages += totals->traffic[types[i]].messages;
		sum->bytes += totals->traffic[types[i]].bytes;
	}
}

static struct node_traffic all_traffic(const struct metrics_totals *totals)
{
	struct node_traffic sum = {0};

	for (int i = 0; i < MESSAGE_TYPE_COUNT; i++) {
		sum.messages += totals->traffic[i].messages;
		sum.bytes += totals->traffic[i].bytes;
	}
	return sum;
}

static double with_headers(struct node_traffic sent)
{
	uint64_t datagrams = sent.bytes / DATAGRAM_MESSAGE_MAX;

	if (datagrams < sent.messages)
		datagrams = sent.messages;
	return (double)sent.bytes + (double)datagrams * DATAGRAM_EXTRA_BYTES;
}

static uint64_t handshakes_for(const uint64_t *handshakes, const enum message_type *types,
			       size_t count)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < count; i++)
		sum += handshakes[types[i]];
	return sum;
}

/* Of providers, which only the market looks up. A request is counted, its answer is not; both weigh
 * what such messages weigh on average. */
static struct node_traffic lookups_of_work(const struct metrics_totals *totals)
{
	uint64_t asked = totals->counters[NODE_COUNT_PROVIDERS_ASKED_FOR];
	struct node_traffic work = {.messages = 2 * asked}, all = {0};

	add_types(totals, lookup_types, ARRAY_LEN(lookup_types), &all);
	work.bytes =
		(uint64_t)quotient((double)all.bytes * (double)work.messages, (double)all.messages);
	return work;
}

/* What the market's work has cost so far. */
static struct node_traffic work_of_market(const struct metrics_totals *totals)
{
	struct node_traffic sent = lookups_of_work(totals);

	add_types(totals, market_types, ARRAY_LEN(market_types), &sent);
	add_types(totals, tree_types, ARRAY_LEN(tree_types), &sent);
	return sent;
}

static void read_costs(const struct metrics *metrics, const struct metrics_totals *now,
		       struct metrics_figures *figures)
{
	const uint64_t *made =
		metrics->work_is_over ? metrics->work_handshakes : metrics->handshakes;
	double placed = (double)(metrics->work_is_over ? metrics->work_placed : metrics->placed);
	struct node_traffic sent = work_of_market(now);
	uint64_t handshakes = handshakes_for(made, market_types, ARRAY_LEN(market_types));

	figures->messages_per_placement =
		quotient((double)(sent.messages + HANDSHAKE_MESSAGES * handshakes), placed);
	figures->bytes_per_placement =
		quotient(with_headers(sent) + (double)(HANDSHAKE_BYTES * handshakes), placed);
	figures->handshakes_per_placement = quotient((double)handshakes, placed);
}

static double network_bytes(const struct metrics_totals *totals)
{
	const struct sim_totals *network = &totals->network;

	return (double)(network->handshake_bytes + network->overhead_bytes + network->ack_bytes);
}

static void read_windows(const struct metrics *metrics, struct metrics_figures *figures)
{
	const struct metrics_span *idle = &metrics->windows[METRICS_IDLE];
	const struct metrics_span *hopeless = &metrics->windows[METRICS_HOPELESS];
	double idle_s = (double)(idle->end.at_us - idle->begin.at_us) / US_PER_S;
	double hopeless_s = (double)(hopeless->end.at_us - hopeless->begin.at_us) / US_PER_S;
	struct node_traffic before = work_of_market(&hopeless->begin);
	struct node_traffic after = work_of_market(&hopeless->end);

	figures->idle_bytes =
		quotient((double)(all_traffic(&idle->end).bytes - all_traffic(&idle->begin).bytes) +
				 network_bytes(&idle->end) - network_bytes(&idle->begin),
			 idle_s * (double)metrics->machine_count);
	figures->hopeless_measured = hopeless_s > 0;
	figures->hopeless_messages_per_s =
		quotient((double)(after.messages - before.messages), hopeless_s);
}

/* ---- placements ---- */

static void read_placements(struct metrics *metrics, struct metrics_figures *figures)
{
	for (size_t i = 0; i < metrics->work_count; i++)
		if (!metrics->works[i]->hopeless)
			figures->wanted += metrics->works[i]->slot_count;
	figures->placed = metrics->placed;
	figures->double_placed = metrics->double_placed;
	figures->placement_p50_us = samples_percentile(&metrics->placement, P50);
	figures->placement_p99_us = samples_percentile(&metrics->placement, P99);
	figures->placement_max_us = samples_percentile(&metrics->placement, P100);
	figures->award_p50_us = samples_percentile(&metrics->award, P50);
	figures->award_p99_us = samples_percentile(&metrics->award, P99);
	figures->placements_per_s =
		quotient((double)metrics->placed * US_PER_S,
			 (double)(metrics->last_accepted_us - metrics->first_given_us));
	figures->quality = quotient(metrics->score * (double)metrics->oracle_placed,
				    metrics->oracle_score * (double)metrics->judged);
	figures->quality_fit = quotient(metrics->score_fit * (double)metrics->oracle_placed,
					metrics->oracle_fit * (double)metrics->judged);
	figures->quality_judged = metrics->judged;
}

/* Chi-square over groups of eligible machines, all but the last of one size. */
static void read_chi_square(const struct world *world, struct metrics_figures *figures)
{
	const struct metrics *metrics = world->metrics;
	uint64_t *cells = NULL;
	size_t eligible = 0, cell_count, at = 0;
	double expected, freedom, sum = 0;

	for (size_t i = 0; i < world->machine_count; i++) {
		eligible += world->machines[i].schedulable;
		if (metrics->machines[i].placed > figures->pods_max)
			figures->pods_max = metrics->machines[i].placed;
	}
	if (metrics->judging)
		return; /* machines of different sizes */
	cell_count = metrics->placed / CELL_EXPECTED_MIN;
	if (cell_count > CELLS_MAX)
		cell_count = CELLS_MAX;
	if (cell_count > eligible)
		cell_count = eligible;
	if (cell_count < 2)
		return;
	cells = mem_alloc(cell_count, sizeof(*cells));
	for (size_t i = 0; i < world->machine_count; i++)
		if (world->machines[i].schedulable)
			cells[at++ * cell_count / eligible] += metrics->machines[i].placed;
	for (size_t i = 0; i < cell_count; i++) {
		size_t first = (i * eligible + cell_count - 1) / cell_count;
		size_t next = ((i + 1) * eligible + cell_count - 1) / cell_count;

		expected = (double)metrics->placed * (double)(next - first) / (double)eligible;
		sum += ((double)cells[i] - expected) * ((double)cells[i] - expected) / expected;
	}
	free(cells);
	freedom = (double)(cell_count - 1);
	figures->chi_square = sum;
	figures->chi_square_freedom = cell_count - 1;
	/* Wilson and Hilferty's approximation of its distance from the mean. */
	figures->chi_square_deviations =
		(cbrt(sum / freedom) - (1 - 2 / (9 * freedom))) / sqrt(2 / (9 * freedom));
}

/* ---- overlay ---- */

static void read_broadcasts(struct metrics *metrics, struct metrics_figures *figures)
{
	uint64_t expected = 0, delivered = 0, copies = 0;

	for (size_t i = 0; i < metrics->broadcast_count; i++) {
		const struct metrics_broadcast *broadcast = &metrics->broadcasts[i];

		if (broadcast->warm)
			continue;
		figures->broadcasts++;
		expected += broadcast->expected_count;
		delivered += broadcast->delivered;
		copies += broadcast->copies;
	}
	figures->broadcast_delivered = quotient((double)delivered, (double)expected);
	figures->broadcast_redundancy = delivered ? (double)copies / (double)delivered - 1 : 0;
	figures->broadcast_last_p99_us = samples_percentile(&metrics->last_delivery, P99);
	figures->flood_delivered =
		quotient((double)metrics->flood_reached, (double)metrics->flood_expected);
	figures->flood_redundancy =
		metrics->flood_reached
			? (double)metrics->flood_copies / (double)metrics->flood_reached - 1
			: 0;
	figures->flood_last_p99_us = samples_percentile(&metrics->flood_last, P99);
}

static void read_overlay(struct metrics *metrics, struct metrics_figures *figures)
{
	figures->lookups = metrics->lookups_ended;
	figures->lookup_success =
		quotient((double)metrics->lookups_found, (double)metrics->lookups_ended);
	figures->lookup_hops_p50 = samples_percentile(&metrics->lookup_hops, P50);
	figures->lookup_hops_p99 = samples_percentile(&metrics->lookup_hops, P99);
	figures->lookup_p99_us = samples_percentile(&metrics->lookup_time, P99);
	figures->verdicts = metrics->verdicts;
	figures->false_positives = metrics->false_positives;
	figures->detect_p50_us = samples_percentile(&metrics->detect, P50);
	figures->detect_p99_us = samples_percentile(&metrics->detect, P99);
	figures->detect_first_p50_us = samples_percentile(&metrics->detect_first, P50);
	figures->detect_first_p99_us = samples_percentile(&metrics->detect_first, P99);
	figures->detect_all_p50_us = samples_percentile(&metrics->detect_all, P50);
	figures->detect_all_p99_us = samples_percentile(&metrics->detect_all, P99);
	figures->losses = metrics->detect_first.count;
}

void metrics_read(struct world *world, struct metrics_figures *ret_figures)
{
	struct metrics *metrics = world->metrics;
	struct metrics_totals now = metrics_totals_now(world);
	size_t running = 0;

	*ret_figures = (struct metrics_figures){
		.tenders = now.counters[NODE_COUNT_TENDERS_OPENED],
		.awards = now.counters[NODE_COUNT_AWARDS_SENT],
		.refused = now.counters[NODE_COUNT_AWARD_FULL] +
			   now.counters[NODE_COUNT_AWARD_LATE] +
			   now.counters[NODE_COUNT_AWARD_NO_BID],
	};
	metrics_periodic(world);
	for (size_t i = 0; i < world->machine_count; i++) {
		running += world->machines[i].node != NULL;
		ret_figures->heap_mean += world->machines[i].heap_bytes;
	}
	if (running)
		ret_figures->heap_mean /= (int64_t)running;
	ret_figures->heap_max = metrics->heap_max;
	metrics_broadcasts_end(world);
	read_placements(metrics, ret_figures);
	read_costs(metrics, metrics->work_is_over ? &metrics->work_end : &now, ret_figures);
	read_windows(metrics, ret_figures);
	read_chi_square(world, ret_figures);
	read_broadcasts(metrics, ret_figures);
	read_overlay(metrics, ret_figures);
}
