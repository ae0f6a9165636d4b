/* SPDX-License-Identifier: Apache-2.0 */
/* The figures, written down: for programs and for people. */
#include <inttypes.h>

#include "archive.h"
#include "metrics_state.h"
#include "repair.h"

/* A figure that was not measured is null, so that nobody takes it for a good one. */
static void json_number(struct buf *out, const char *name, bool measured, double value,
			int decimals)
{
	if (measured)
		buf_append_format(out, "\"%s\":%.*f,", name, decimals, value);
	else
		buf_append_format(out, "\"%s\":null,", name);
}

static void json_ms(struct buf *out, const char *name, bool measured, int64_t us)
{
	json_number(out, name, measured, (double)us / US_PER_MS, 3);
}

static void json_open(struct buf *out, const char *name)
{
	buf_append_format(out, "\"%s\":{", name);
}

/* The last member has left a comma behind. */
static void json_close(struct buf *out)
{
	out->len--;
	buf_append_str(out, "},");
}

static void json_count(struct buf *out, const char *name, uint64_t value)
{
	buf_append_format(out, "\"%s\":%" PRIu64 ",", name, value);
}

static void json_run(const struct world *world, const struct metrics_outside *outside,
		     struct buf *out)
{
	buf_append_format(out, "\"scenario\":\"%s\",", outside->scenario);
	json_count(out, "machines", world->machine_count);
	json_count(out, "seed", world->seed);
	json_number(out, "virtual_seconds", true, (double)world->now_us / US_PER_S, 3);
	json_number(out, "wall_seconds", true, outside->wall_seconds, 3);
	json_count(out, "peak_rss_bytes", outside->peak_rss_bytes);
}

static void json_market(const struct metrics_figures *figures, struct buf *out)
{
	bool any = figures->placed > 0;

	json_count(out, "tenders", figures->tenders);
	json_count(out, "awards", figures->awards);
	json_count(out, "awards_refused", figures->refused);
	json_count(out, "replicas_wanted", figures->wanted);
	json_count(out, "replicas_placed", figures->placed);
	json_count(out, "double_placed", figures->double_placed);
	json_number(out, "messages_per_placement", any, figures->messages_per_placement, 3);
	json_number(out, "bytes_per_placement", any, figures->bytes_per_placement, 1);
	json_number(out, "handshakes_per_placement", any, figures->handshakes_per_placement, 3);
	json_open(out, "placement_ms");
	json_ms(out, "p50", any, figures->placement_p50_us);
	json_ms(out, "p99", any, figures->placement_p99_us);
	json_ms(out, "max", any, figures->placement_max_us);
	json_close(out);
	json_open(out, "award_ms");
	json_ms(out, "p50", any, figures->award_p50_us);
	json_ms(out, "p99", any, figures->award_p99_us);
	json_close(out);
	json_number(out, "placements_per_virtual_second", any, figures->placements_per_s, 3);
	json_count(out, "max_pods_per_machine", figures->pods_max);
	json_open(out, "chi_square");
	json_number(out, "statistic", figures->chi_square_freedom > 0, figures->chi_square, 3);
	json_count(out, "degrees_of_freedom", figures->chi_square_freedom);
	json_number(out, "deviations", figures->chi_square_freedom > 0,
		    figures->chi_square_deviations, 3);
	json_close(out);
	json_open(out, "quality");
	json_number(out, "score", figures->quality_judged > 0, figures->quality, 4);
	json_number(out, "fit", figures->quality_judged > 0, figures->quality_fit, 4);
	json_close(out);
}

static void json_overlay(const struct metrics_figures *figures, struct buf *out)
{
	bool lookups = figures->lookups > 0, losses = figures->losses > 0;

	json_open(out, "broadcast");
	json_count(out, "count", figures->broadcasts);
	json_number(out, "delivered_ratio", figures->broadcasts > 0, figures->broadcast_delivered,
		    6);
	json_number(out, "redundancy", figures->broadcasts > 0, figures->broadcast_redundancy, 4);
	json_ms(out, "last_delivery_ms_p99", figures->broadcasts > 0,
		figures->broadcast_last_p99_us);
	json_close(out);
	json_open(out, "flood");
	json_number(out, "delivered_ratio", figures->broadcasts > 0, figures->flood_delivered, 6);
	json_number(out, "redundancy", figures->broadcasts > 0, figures->flood_redundancy, 4);
	json_ms(out, "last_delivery_ms_p99", figures->broadcasts > 0, figures->flood_last_p99_us);
	json_close(out);
	json_open(out, "lookup");
	json_count(out, "count", figures->lookups);
	json_number(out, "success_ratio", lookups, figures->lookup_success, 6);
	json_number(out, "hops_p50", lookups, (double)figures->lookup_hops_p50, 0);
	json_number(out, "hops_p99", lookups, (double)figures->lookup_hops_p99, 0);
	json_ms(out, "ms_p99", lookups, figures->lookup_p99_us);
	json_close(out);
	json_number(out, "idle_bytes_per_machine_per_second", figures->idle_bytes > 0,
		    figures->idle_bytes, 1);
	json_number(out, "unplaceable_messages_per_second", figures->hopeless_measured,
		    figures->hopeless_messages_per_s, 3);
	json_open(out, "detect_ms");
	json_ms(out, "p50", losses, figures->detect_p50_us);
	json_ms(out, "p99", losses, figures->detect_p99_us);
	json_close(out);
	json_open(out, "detect_first_ms");
	json_ms(out, "p50", losses, figures->detect_first_p50_us);
	json_ms(out, "p99", losses, figures->detect_first_p99_us);
	json_close(out);
	json_open(out, "detect_all_ms");
	json_ms(out, "p50", losses, figures->detect_all_p50_us);
	json_ms(out, "p99", losses, figures->detect_all_p99_us);
	json_close(out);
	json_count(out, "machines_lost", figures->losses);
	json_count(out, "verdicts", figures->verdicts);
	json_count(out, "false_positives", figures->false_positives);
}

void metrics_json(struct world *world, const struct metrics_outside *outside, struct buf *out)
{
	struct metrics_figures figures;

	metrics_read(world, &figures);
	buf_append_str(out, "{");
	json_run(world, outside, out);
	json_market(&figures, out);
	json_overlay(&figures, out);
	repair_json(world, out);
	traffic_json(world, out);
	archive_json(world, out);
	json_count(out, "protocol_bytes_per_machine", (uint64_t)figures.heap_mean);
	json_count(out, "protocol_bytes_per_machine_max", (uint64_t)figures.heap_max);
	json_count(out, "events", world->totals.events);
	json_count(out, "packets", world->totals.packets);
	json_count(out, "packet_bytes", world->totals.bytes);
	json_count(out, "handshakes", world->totals.handshakes);
	json_count(out, "pods_started", world->totals.pods_started);
	json_count(out, "pods_stopped", world->totals.pods_stopped);
	/* Its words are ours: names, numbers, no quotes. */
	if (world->violation[0])
		buf_append_format(out, "\"violations\":[\"%s\"]}\n", world->violation);
	else
		buf_append_str(out, "\"violations\":[]}\n");
}

/* ---- for people ---- */

static void text_market(const struct metrics_figures *figures, struct buf *out)
{
	buf_append_format(out,
			  "  %" PRIu64 " tenders, %" PRIu64 " awards, %" PRIu64
			  " of them refused; %" PRIu64 " of %" PRIu64 " replicas placed\n",
			  figures->tenders, figures->awards, figures->refused, figures->placed,
			  figures->wanted);
	if (!figures->placed)
		return;
	buf_append_format(out,
			  "  placed within %.3f ms (p50), %.3f ms (p99), %.3f ms (max); "
			  "%.1f per second\n",
			  (double)figures->placement_p50_us / US_PER_MS,
			  (double)figures->placement_p99_us / US_PER_MS,
			  (double)figures->placement_max_us / US_PER_MS, figures->placements_per_s);
	buf_append_format(
		out, "  each with %.1f messages, %.0f bytes; at most %" PRIu64 " on one machine\n",
		figures->messages_per_placement, figures->bytes_per_placement, figures->pods_max);
	if (figures->chi_square_freedom)
		buf_append_format(out,
				  "  chi-square %.1f with %" PRIu64
				  " degrees of freedom: %+.2f deviations\n",
				  figures->chi_square, figures->chi_square_freedom,
				  figures->chi_square_deviations);
	if (figures->quality_judged)
		buf_append_format(out, "  quality %.3f of an oracle's, of the fit alone %.3f\n",
				  figures->quality, figures->quality_fit);
}

static void text_overlay(const struct metrics_figures *figures, struct buf *out)
{
	if (figures->broadcasts)
		buf_append_format(out,
				  "  %" PRIu64 " broadcasts: %.4f %% delivered, redundancy %.3f, "
				  "last after %.3f ms (p99)\n",
				  figures->broadcasts, 100 * figures->broadcast_delivered,
				  figures->broadcast_redundancy,
				  (double)figures->broadcast_last_p99_us / US_PER_MS);
	if (figures->broadcasts)
		buf_append_format(
			out,
			"  flooded: %.4f %% delivered, redundancy %.3f, last after %.3f ms "
			"(p99)\n",
			100 * figures->flood_delivered, figures->flood_redundancy,
			(double)figures->flood_last_p99_us / US_PER_MS);
	if (figures->lookups)
		buf_append_format(out,
				  "  %" PRIu64 " lookups: %.3f %% found, %lld hops (p50), %lld "
				  "(p99), %.3f ms (p99)\n",
				  figures->lookups, 100 * figures->lookup_success,
				  (long long)figures->lookup_hops_p50,
				  (long long)figures->lookup_hops_p99,
				  (double)figures->lookup_p99_us / US_PER_MS);
	if (figures->idle_bytes > 0)
		buf_append_format(out, "  idle: %.1f bytes per machine and second\n",
				  figures->idle_bytes);
	if (figures->hopeless_measured)
		buf_append_format(out, "  what fits nowhere: %.1f messages per second\n",
				  figures->hopeless_messages_per_s);
	if (figures->losses)
		buf_append_format(out,
				  "  %" PRIu64 " machines lost: by their observers declared after "
				  "%.0f ms (p50), %.0f ms (p99); first after %.0f ms (p99), by all "
				  "after %.0f ms (p99)\n",
				  figures->losses, (double)figures->detect_p50_us / US_PER_MS,
				  (double)figures->detect_p99_us / US_PER_MS,
				  (double)figures->detect_first_p99_us / US_PER_MS,
				  (double)figures->detect_all_p99_us / US_PER_MS);
	if (figures->false_positives)
		buf_append_format(out, "  %" PRIu64 " verdicts about machines that lived\n",
				  figures->false_positives);
}

void metrics_text(struct world *world, const struct metrics_outside *outside, struct buf *out)
{
	struct metrics_figures figures;

	metrics_read(world, &figures);
	buf_append_format(out, "%s: %zu machines, seed %" PRIu64 ", %.3f s of their time\n",
			  outside->scenario, world->machine_count, world->seed,
			  (double)world->now_us / US_PER_S);
	buf_append_format(out,
			  "  %" PRIu64 " events, %" PRIu64 " packets, %" PRIu64 " bytes, %" PRIu64
			  " handshakes\n",
			  world->totals.events, world->totals.packets, world->totals.bytes,
			  world->totals.handshakes);
	text_market(&figures, out);
	text_overlay(&figures, out);
	archive_text(world, out);
	repair_text(world, out);
	buf_append_format(out, "  a node holds %lld bytes, the largest has held %lld\n",
			  (long long)figures.heap_mean, (long long)figures.heap_max);
}
