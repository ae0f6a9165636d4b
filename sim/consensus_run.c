/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "base/mem.h"
#include "consensus.h"
#include "report.h"

enum {
	EXIT_VIOLATED = 1,
	DEFAULT_S = 20, /* of trouble */
	QUIET_S = 8,    /* after it, to come together again */
	LEASE_S = 60,
	SETTLE_US = 1000 * 1000,
	LAN_US = 1000,        /* one way */
	LATE_US = 400 * 1000, /* longer than a timeout */
	KILLS = 1200,
	KILL_EVERY_MS = 2500,
	DOWN_MS = 900,
	PERMILLE = 1000,
};

static int64_t or_else(int64_t value, int64_t fallback)
{
	return value == PARAMS_UNSET || value == 0 ? fallback : value;
}

/* Clocks that differ by all that is allowed are the rule: in between they prove little. */
static void set_clocks(struct cw *cw)
{
	for (size_t i = 0; i < CW_SLOTS; i++) {
		int64_t off = cw_chance(cw, 300) ? (int64_t)cw_random(cw, RAFT_DRIFT_PERMILLE)
						 : RAFT_DRIFT_PERMILLE;

		cw->members[i].rate_permille = cw_random(cw, 2) ? PERMILLE + off : PERMILLE - off;
	}
}

static void begin(struct cw *cw, const struct report_options *options)
{
	int64_t replicas = or_else(options->params.replicas, CW_REPLICAS);

	cw_init(cw, options->seed);
	if (options->bug) {
		cw->bug = options->bug->bug;
		bug_plant(options->bug);
	}
	for (size_t i = 0; i < CW_SLOTS; i++)
		cw->wanted[i] = (int64_t)i < replicas;
}

static void boot(struct cw *cw)
{
	struct cw_event operator= {.type = CW_OPERATOR};

	for (size_t i = 0; i < CW_SLOTS; i++)
		cw_start(cw, &cw->members[i]);
	cw_birth(cw, &cw->members[0]);
	cw_push(cw, US_PER_MS, &operator);
}

static void print_story(FILE *out, const struct cw *cw)
{
	size_t first = cw->story_count > CW_STORY_MAX ? cw->story_count - CW_STORY_MAX : 0;

	for (size_t i = first; i < cw->story_count; i++) {
		int64_t at_us = cw->story_us[i % CW_STORY_MAX];

		(void)fprintf(out, "  [%4lld.%06lld] %s\n", (long long)(at_us / US_PER_S),
			      (long long)(at_us % US_PER_S), cw->story[i % CW_STORY_MAX]);
	}
}

static int compare_us(const void *a, const void *b)
{
	int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;

	return left < right ? -1 : left > right;
}

/* Of 1,000: the value that so many are not above. */
static double quantile_ms(const struct cw_figures *figures, size_t permille)
{
	size_t at = figures->writable_count * permille / PERMILLE;

	if (figures->writable_count == 0)
		return 0;
	return (double)figures->writable_us[at < figures->writable_count ? at : at - 1] / US_PER_MS;
}

static void print_json(const struct cw *cw, const struct report_options *options)
{
	const struct cw_figures *figures = &cw->figures;

	(void)printf("{\"scenario\": \"%s\", \"seed\": %" PRIu64 ", \"virtual_seconds\": %.3f, "
		     "\"messages\": %" PRIu64 ", \"elections\": %" PRIu64 ", \"operations\": %zu, "
		     "\"unknown\": %" PRIu64 ", \"given_up\": %" PRIu64 ", \"kills\": %zu, "
		     "\"writable_p50_ms\": %.1f, \"writable_p99_ms\": %.1f, "
		     "\"writable_max_ms\": %.1f, \"violations\": [",
		     options->scenario_name, cw->seed, (double)cw->now_us / US_PER_S,
		     figures->messages, figures->elections, cw->history_count, figures->unknown,
		     figures->given_up, figures->writable_count, quantile_ms(figures, 500),
		     quantile_ms(figures, 990), quantile_ms(figures, PERMILLE));
	if (cw->violation[0])
		(void)printf("\"%s\"", cw->violation);
	(void)printf("]}\n");
}

static void print_text(const struct cw *cw, const struct report_options *options)
{
	const struct cw_figures *figures = &cw->figures;

	(void)printf("%s, seed %" PRIu64 ": %.1f virtual seconds\n", options->scenario_name,
		     cw->seed, (double)cw->now_us / US_PER_S);
	(void)printf("  %zu operations, %" PRIu64 " of them not known to have happened, %" PRIu64
		     " keys' histories given up\n",
		     cw->history_count, figures->unknown, figures->given_up);
	(void)printf("  %" PRIu64 " messages (%.1f per second), %" PRIu64
		     " of them snapshots; %" PRIu64 " elections; %" PRIu64 " entries agreed\n",
		     figures->messages, (double)figures->messages * US_PER_S / (double)cw->now_us,
		     figures->installs, figures->elections, cw->agreed_last);
	(void)printf("  trouble: %" PRIu64 " cuts, %" PRIu64 " crashes, %" PRIu64
		     " lost disks, %" PRIu64 " pauses, %" PRIu64 " transfers, %" PRIu64
		     " changes of size\n",
		     figures->cuts, figures->crashes, figures->lost_disks, figures->pauses,
		     figures->transfers, figures->changes);
	if (figures->writable_count > 0)
		(void)printf("  leader killed -> writable again: %zu times, p50 %.1f ms, p99 %.1f "
			     "ms, longest %.1f ms\n",
			     figures->writable_count, quantile_ms(figures, 500),
			     quantile_ms(figures, 990), quantile_ms(figures, PERMILLE));
}

static void print_command(FILE *out, const struct report_options *options)
{
	(void)fprintf(out, "again: magik-sim run --scenario %s --seed %" PRIu64,
		      options->scenario_name, options->seed);
	for (size_t i = 0; i < options->set_count; i++)
		(void)fprintf(out, " --set %s", options->sets[i]);
	if (options->bug)
		(void)fprintf(out, " --bug %s", options->bug->name);
	(void)fprintf(out, "\n");
}

static int report(struct cw *cw, const struct report_options *options)
{
	FILE *out = options->json ? stderr : stdout;
	bool violated = cw->violation[0] != 0;

	if (options->json)
		print_json(cw, options);
	else
		print_text(cw, options);
	if (options->story || violated)
		print_story(out, cw);
	if (violated) {
		(void)fprintf(out, "VIOLATED at %lld.%06lld s, seed %" PRIu64 ": %s\n",
			      (long long)(cw->now_us / US_PER_S),
			      (long long)(cw->now_us % US_PER_S), cw->seed, cw->violation);
		print_command(out, options);
	} else if (!options->json) {
		(void)printf("  all invariants held\n");
	}
	cw_deinit(cw);
	return violated ? EXIT_VIOLATED : EXIT_SUCCESS;
}

/* Links of all kinds: from those of a rack to such as are late by longer than any timeout. */
static void set_links(struct cw *cw, const struct report_options *options)
{
	cw->latency_us = 100 + (int64_t)cw_random(cw, 2 * LAN_US);
	cw->jitter_us = (int64_t)cw_random(cw, 10 * LAN_US);
	if (cw_random(cw, 4) == 0)
		cw->jitter_us = 0;
	else if (cw_random(cw, 6) == 0)
		cw->jitter_us = (int64_t)cw_random(cw, LATE_US);
	if (cw_random(cw, 3) > 0) {
		cw->loss = cw_random(cw, 100);
		cw->duplication = cw_random(cw, 100);
	}
	if (options->params.loss > 0)
		cw->loss = (uint64_t)options->params.loss;
}

/* All of it: clients, and @trouble once the group has settled. */
static int play(struct cw *cw, const struct report_options *options, const struct cw_event *trouble)
{
	boot(cw);
	cw_push(cw, SETTLE_US, trouble);
	cw_client_start(cw);
	cw_run(cw);
	cw_check_end(cw);
	return report(cw, options);
}

static int run_troubled(const struct report_options *options, bool storm)
{
	struct cw_event trouble = {.type = CW_TROUBLE};
	struct cw cw;

	begin(&cw, options);
	set_clocks(&cw);
	set_links(&cw, options);
	cw.storm = storm;
	cw.client_count = CW_CLIENTS;
	cw.think_us = 10 * US_PER_MS;
	cw.quiet_from_us = or_else(options->params.duration_s, DEFAULT_S) * US_PER_S;
	cw.end_us = cw.quiet_from_us + (int64_t)QUIET_S * US_PER_S;
	return play(&cw, options, &trouble);
}

/* Trouble of all kinds, with time between to go on. */
int cw_scenario(const struct report_options *options)
{
	return run_troubled(options, false);
}

/* The same, with hardly any time between: little gets done, and much goes wrong at once. */
int cw_scenario_storm(const struct report_options *options)
{
	return run_troubled(options, true);
}

/* Links and disks as fast as they get, and clocks as different as they may be: what a promise that
 * ends a few milliseconds too early can do. */
int cw_scenario_lease(const struct report_options *options)
{
	struct cw_event trouble = {.type = CW_ACTION, .action = cw_trouble_lease};
	struct cw cw;

	begin(&cw, options);
	set_clocks(&cw);
	cw.latency_us = LAN_US / 20;
	for (size_t i = 0; i < CW_SLOTS; i++)
		cw.members[i].disk.latency_us = LAN_US / 10;
	cw.client_count = 1; /* who is cut off shall not fall behind each time */
	cw.think_us = US_PER_S;
	cw.quiet_from_us = or_else(options->params.duration_s, LEASE_S) * US_PER_S;
	cw.end_us = cw.quiet_from_us + (int64_t)QUIET_S * US_PER_S;
	return play(&cw, options, &trouble);
}

/* The group alone: what it costs to do nothing. */
int cw_scenario_idle(const struct report_options *options)
{
	struct cw cw;
	int64_t duration_us = or_else(options->params.duration_s, 60) * US_PER_S;

	begin(&cw, options);
	cw.latency_us = LAN_US;
	boot(&cw);
	cw.end_us = 5 * US_PER_S;
	cw_run(&cw);
	cw.figures = (struct cw_figures){0};
	cw.end_us += duration_us;
	cw_run(&cw);
	(void)printf("%.1f messages per second in all\n",
		     (double)cw.figures.messages * US_PER_S / (double)duration_us);
	cw_check_end(&cw);
	return report(&cw, options);
}

static void kill_leader(struct cw *cw, size_t slot)
{
	struct cw_event next = {.type = CW_ACTION, .action = kill_leader};
	struct cw_member *leader = cw_leader(cw);

	(void)slot;
	if (leader && cw->killed_us == 0) {
		struct cw_event restart = {.type = CW_RESTART, .slot = leader->slot};

		cw_crash(cw, leader);
		cw->killed_us = cw->now_us;
		cw->figures.kills++;
		cw_push(cw, (int64_t)DOWN_MS * US_PER_MS, &restart);
	}
	if (cw->figures.kills < KILLS)
		cw_push(cw, (KILL_EVERY_MS + (int64_t)cw_random(cw, 100)) * US_PER_MS, &next);
	else
		cw->end_us = cw->now_us + (int64_t)QUIET_S * US_PER_S;
}

/* On a LAN the leader dies again and again: how long until the next write is done? */
int cw_scenario_kill(const struct report_options *options)
{
	struct cw_event kill = {.type = CW_ACTION, .action = kill_leader};
	struct cw cw;

	begin(&cw, options);
	cw.latency_us = LAN_US;
	cw.jitter_us = LAN_US / 10;
	cw.client_count = 1;
	cw.only_writes = true;
	cw.think_us = 5 * US_PER_MS;
	cw.patience_ms = 50;
	cw.again_ms = 5;
	cw.end_us = INT64_MAX;
	boot(&cw);
	cw_push(&cw, 3 * US_PER_S, &kill);
	cw_client_start(&cw);
	cw_run(&cw);
	if (!cw.violation[0] && cw.figures.writable_count != cw.figures.kills)
		cw_violate(&cw, "writes were not possible again after %llu kills of %d",
			   (unsigned long long)(cw.figures.kills - cw.figures.writable_count),
			   KILLS);
	cw_check_end(&cw);
	if (cw.figures.writable_count > 0)
		qsort(cw.figures.writable_us, cw.figures.writable_count,
		      sizeof(*cw.figures.writable_us), compare_us);
	return report(&cw, options);
}
