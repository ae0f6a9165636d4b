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
#include "machineplane/revoked_file.h"
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

/* What its time was learned from may have been an award or a request. */
static void keep_time(struct hooks *hooks)
{
	const struct wall *latest = &hooks->verifier.latest;

	if (latest->ms < hooks->kept.ms + KEEP_TIME_MS)
		return;
	hooks->kept = *latest;
	if (state_keep_time(hooks->options->state_dir, *latest) < 0)
		log_event(LOG_LEVEL_WARN, "time-not-kept", "in %s/root", hooks->options->state_dir);
}

static int verify_award(void *ctx, const struct host_award *award, struct err *err)
{
	struct hooks *hooks = ctx;
	int result = verifier_award(&hooks->verifier, award, err);

	if (result == 0)
		keep_time(hooks);
	return result;
}

static int verify_request(void *ctx, const struct host_request *request,
			  struct host_asker *ret_asker, struct err *err)
{
	struct hooks *hooks = ctx;
	int result = verifier_request(&hooks->verifier, request, ret_asker, err);

	if (result == 0)
		keep_time(hooks);
	return result;
}

static int verify_application(void *ctx, const struct host_application *application,
			      struct cert *ret_leaf, struct err *err)
{
	return verifier_application(&((struct hooks *)ctx)->verifier, application, ret_leaf, err);
}

static bool asker_stands(void *ctx, const struct host_asker *asker)
{
	return verifier_asker_stands(&((struct hooks *)ctx)->verifier, asker);
}

static const struct revocation_entry *next_revocation(void *ctx,
						      const struct revocation_entry *before)
{
	return verifier_next_revocation(&((struct hooks *)ctx)->verifier, before);
}

static void revoked_path(const struct hooks *hooks, struct buf *out)
{
	buf_append_format(out, "%s/root/revocations", hooks->options->state_dir);
}

/* Not flushed: what a power cut takes back the fabric process tells again. */
static int keep_revocation(void *ctx, const struct host_envelope *revocation, struct err *err)
{
	struct hooks *hooks = ctx;
	struct buf path = {0};
	int result = verifier_revoke(&hooks->verifier, revocation, err), written;

	if (result <= 0)
		return result;
	revoked_path(hooks, &path);
	written = revoked_file_add(buf_cstr(&path), revocation->envelope, revocation->chains[0]);
	if (written < 0)
		log_event(LOG_LEVEL_ERROR, "revocations-not-written", "%s: %s", buf_cstr(&path),
			  strerror(-written));
	buf_deinit(&path);
	return result;
}

static bool restore_revocation(void *ctx, struct bytes envelope, struct bytes chain)
{
	struct hooks *hooks = ctx;
	struct host_envelope revocation = {
		.envelope = envelope, .chains = &chain, .chain_count = 1};

	return verifier_revoke(&hooks->verifier, &revocation, NULL) >= 0;
}

/* Without them this machine might let in who was shut out. */
static int restore_revocations(struct hooks *hooks, struct err *err)
{
	struct buf path = {0};
	size_t bad = 0;
	int result;

	revoked_path(hooks, &path);
	result = revoked_file_read(buf_cstr(&path), restore_revocation, hooks, &bad);
	if (bad)
		log_event(LOG_LEVEL_WARN, "revocations-void", "%zu lines of %s are damaged", bad,
			  buf_cstr(&path));
	if (result == -ENOENT)
		result = 0;
	else if (result)
		(void)err_set(err, result, "%s: %s", buf_cstr(&path), strerror(-result));
	buf_deinit(&path);
	return result;
}

static int verify_object(void *ctx, const struct host_envelope *envelope, struct record *ret_record,
			 struct err *err)
{
	struct hooks *hooks = ctx;

	return verifier_object(&hooks->verifier, envelope, ret_record, err);
}

/* For pods that call replicas of their region first. */
static const char *region_of(const struct options *options)
{
	for (size_t i = 0; i < options->label_count; i++)
		if (strcmp(options->labels[i].key, "topology.kubernetes.io/region") == 0)
			return options->labels[i].value;
	return NULL;
}

static int run_host(const struct options *options, const struct state *state, struct err *err)
{
	struct settings settings = {.options = *options,
				    .made = state->made,
				    .roots = state->roots,
				    .joined = state->joined};
	struct hooks hooks = {.options = options};
	struct buf config = {0};
	struct host_config host = {
		.state_dir = options->state_dir,
		.run_dir = options->run_dir,
		.node_name = options->node_name,
		.region = region_of(options),
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
			  .verify_object = verify_object,
			  .verify_request = verify_request,
			  .verify_application = verify_application,
			  .asker_stands = asker_stands,
			  .next_revocation = next_revocation,
			  .revoke = keep_revocation},
	};
	int result;

	verifier_init(&hooks.verifier, state->root);
	hooks.kept = state_kept_time(options->state_dir);
	verifier_resume(&hooks.verifier, hooks.kept);
	settings_encode(&settings, &config);
	host.fabric_config = bytes_buf(&config);
	result = restore_revocations(&hooks, err);
	if (result == 0)
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
	if (state.member && options->join && !state.joined.ms)
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
