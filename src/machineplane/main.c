/* SPDX-License-Identifier: Apache-2.0 */
/*
 * machineplane: the daemon of one machine. One binary, two processes:
 *
 *   host     (root)          main.c -> options.c, state.c, host*.c: pods, images, the fabric's
 * roots fabric   (unprivileged)  fabric.c and the files its header lists: everything foreign
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/close_range.h>

#include "io/log.h"
#include "machineplane/fabric.h"
#include "machineplane/host.h"
#include "machineplane/state.h"
#include "machineplane/verify.h"

enum {
	/* Often enough for who compares it with VERIFY_AGE_MAX_MS. */
	KEEP_TIME_MS = 600 * 1000,
};

/* What the hooks of the host process work with. */
struct hooks {
	struct verifier verifier;
	const struct options *options;
	struct wall kept; /* what has been written of the verifier's time */
};

static int issue(void *ctx, struct bytes request, struct buf *ret_reply, struct err *err)
{
	const struct hooks *hooks = ctx;

	return state_issue_admitter(hooks->options->state_dir, request, ret_reply, err);
}

static int know_node(void *ctx, const struct node_id *node, struct err *err)
{
	const struct hooks *hooks = ctx;

	return state_pin_node(hooks->options->state_dir, node, err);
}

static int verify_award(void *ctx, const struct host_award *award, struct err *err)
{
	struct hooks *hooks = ctx;
	struct wall *latest = &hooks->verifier.latest;
	int result = verifier_award(&hooks->verifier, award, err);

	if (result == 0 && latest->ms >= hooks->kept.ms + KEEP_TIME_MS) {
		hooks->kept = *latest;
		if (state_keep_time(hooks->options->state_dir, *latest) < 0)
			log_event(LOG_LEVEL_WARN, "time-not-kept", "in %s/root",
				  hooks->options->state_dir);
	}
	return result;
}

static int verify_object(void *ctx, const struct host_envelope *envelope, struct record *ret_record,
			 struct err *err)
{
	struct hooks *hooks = ctx;

	return verifier_object(&hooks->verifier, envelope, ret_record, err);
}

static int run_host(const struct options *options, const struct state *state, struct err *err)
{
	struct settings settings = {
		.options = *options, .made = state->made, .roots = state->roots};
	struct hooks hooks = {.options = options};
	struct buf config = {0};
	struct host_config host = {
		.state_dir = options->state_dir,
		.run_dir = options->run_dir,
		.node_name = options->node_name,
		.runtime = options->runtime,
		.null_delay_ms = options->null_delay_ms,
		.pods_max = options->pods_max,
		.workplane = options->workplane,
		.policy_file = options->policy_file,
		.reserved_cpu_milli = (uint64_t)options->reserve_cpu_milli,
		.reserved_memory_bytes = (uint64_t)options->reserve_memory_bytes,
		.drain = options->drain,
		.hooks = {.ctx = &hooks,
			  .issue = issue,
			  .know_node = know_node,
			  .verify_award = verify_award,
			  .verify_object = verify_object},
	};
	int result;

	verifier_init(&hooks.verifier, state->root);
	hooks.kept = state_kept_time(options->state_dir);
	verifier_resume(&hooks.verifier, hooks.kept);
	settings_encode(&settings, &config);
	host.fabric_config = bytes_buf(&config);
	result = host_run(&host, err);
	verifier_deinit(&hooks.verifier);
	buf_deinit(&config);
	return result;
}

static int start(struct options *options, struct err *err)
{
	struct log_config log = {
		.node = options->node_name, .process = "host", .json = options->log_json};
	struct state state;
	int result;

	log.min = LOG_LEVEL_INFO;
	log_init(&log);
	if (geteuid() != 0)
		return err_set(err, -EPERM,
			       "machineplane must be started as root: it makes "
			       "namespaces, mounts and cgroups for pods");
	if (options->notice)
		log_event(LOG_LEVEL_INFO, "option-without-effect", "%s", options->notice);
	result = state_prepare(options, &state, err);
	if (result)
		return result;
	if (state.member && options->join)
		log_event(LOG_LEVEL_INFO, "join-ignored",
			  "this machine is a member already; --join is not needed");
	return run_host(options, &state, err);
}

int main(int argc, char **argv)
{
	struct options options;
	struct err err = {0};
	int result;

	if (argc == 3 && strcmp(argv[1], "--fabric-process") == 0)
		return fabric_run((int)strtol(argv[2], NULL, 10));
	/* What whoever started us had open is for none of those whom we start. */
	(void)close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
	result = options_read(argc, argv, &options, &err);
	if (result == 0)
		result = start(&options, &err);
	options_deinit(&options);
	if (result < 0)
		fprintf(stderr, "machineplane: %s\n", err.text);
	return result < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
