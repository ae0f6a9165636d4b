/* SPDX-License-Identifier: Apache-2.0 */
#include "machineplane/host.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/mem.h"
#include "io/clock.h"
#include "io/entropy.h"
#include "io/log.h"
#include "machineplane/host_core.h"

#include "runtime/egress.h"
#include "runtime/files.h"
#include "runtime/orphans.h"
#include "runtime/seccomp_profile.h"
#include "runtime/usage.h"

enum {
	/* Of state and run directory, so that every path made from them is bounded. */
	DIR_LEN_MAX = 200,
	FABRIC_END_MS = 5000,
	DRAIN_MOVE_MS = 30 * 1000, /* so long pods that have replicas wait for another one */
	LOCK_TRIES = 200,          /* two seconds in all */
	LOCK_WAIT_US = 10 * 1000,
};

static int check_dirs(const struct host_config *config, struct err *err)
{
	int r;

	if (strlen(config->run_dir) > DIR_LEN_MAX || strlen(config->state_dir) > DIR_LEN_MAX)
		return err_set(err, -ENAMETOOLONG, "state and run directory: at most %d bytes",
			       DIR_LEN_MAX);
	/* overlayfs separates its options by these. */
	if (strpbrk(config->run_dir, ",:\\") || strpbrk(config->state_dir, ",:\\"))
		return err_set(err, -EINVAL, "state and run directory: no comma, colon, backslash");
	r = dir_make(config->run_dir, 0755);
	if (r == 0)
		r = dir_make(path_format("%s/pods", config->run_dir).text, 0700);
	if (r == 0)
		r = dir_make(path_format("%s/crun", config->run_dir).text, 0700);
	if (r == 0)
		r = dir_make(path_format("%s/pods", config->state_dir).text, 0700);
	if (r == 0)
		r = dir_make(path_format("%s/volumes", config->state_dir).text, 0700);
	if (r == 0)
		r = dir_make(path_format("%s/groups", config->state_dir).text, 0700);
	return r < 0 ? err_set(err, r, "make %s: %s", config->run_dir, strerror(-r)) : 0;
}

/* A host that was killed leaves children behind that were on their way to another program, and have
 * its lock until they are there. */
static int wait_for_lock(int fd)
{
	for (int tries = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; tries++) {
		if (errno != EWOULDBLOCK || tries == LOCK_TRIES)
			return -errno;
		(void)usleep(LOCK_WAIT_US);
	}
	return 0;
}

/* One host process per run directory, which is itself what is locked: no file has to stay for it,
 * and the lock goes with the process, however it ends. */
static int take_lock(const struct host_config *config, struct err *err)
{
	int fd = open(config->run_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return err_set(err, -errno, "open %s: %s", config->run_dir, strerror(errno));
	if (wait_for_lock(fd) < 0) {
		(void)close(fd);
		return err_set(err, -EBUSY, "another daemon is running with run directory %s",
			       config->run_dir);
	}
	return fd;
}

/* Beside this binary where it is installed; in the directory beside this one where it was built. */
static char *find_agent(const struct host_config *config)
{
	struct path self = {0}, candidate;
	char *slash;

	if (config->workplane)
		return mem_strdup(config->workplane);
	if (readlink("/proc/self/exe", self.text, sizeof(self.text) - 1) < 0)
		return mem_strdup("workplane");
	slash = strrchr(self.text, '/');
	*slash = '\0';
	candidate = path_format("%.600s/workplane", self.text);
	if (access(candidate.text, X_OK) < 0)
		candidate = path_format("%.600s/../workplane/workplane", self.text);
	return mem_strdup(candidate.text);
}

static bool wants_null(const struct host_config *config)
{
	return config->runtime && strcmp(config->runtime, "null") == 0;
}

/* Whoever pretends must not stand in for an engine whose pods still run. */
static int choose_null(struct host *host, struct err *err)
{
	struct path pods = path_format("%s/pods", host->config->run_dir);
	DIR *dir = opendir(pods.text);
	const struct dirent *entry;
	bool has_pods = false;

	while (dir && !has_pods && (entry = readdir(dir)) != NULL)
		has_pods = entry->d_name[0] != '.';
	if (dir)
		(void)closedir(dir);
	if (has_pods)
		return err_set(err, -EBUSY, "%s has pods of another engine: --drain them first",
			       pods.text);
	log_event(LOG_LEVEL_WARN, "engine-null",
		  "pods given to this machine are not started, only said to run");
	host->engine = engine_null_new(host->config->null_delay_ms);
	return 0;
}

static int choose_engine(struct host *host, struct err *err)
{
	const char *wanted = host->config->runtime;

	if (wants_null(host->config))
		return choose_null(host, err);
	if (wanted && strcmp(wanted, "crun") != 0 && strcmp(wanted, "krun") != 0)
		return err_set(err, -EINVAL, "runtime %.40s is not available", wanted);
	if (wanted && strcmp(wanted, "krun") == 0)
		log_event(LOG_LEVEL_WARN, "engine-unavailable",
			  "krun is not available on this machine; using crun");
	host->engine = engine_crun_new(host->config->run_dir, NULL, NULL);
	return 0;
}

static void probe_engine(struct host *host)
{
	struct mono before = clock_mono();
	struct err err = {0};

	host->engine_works = host->engine->ops->probe(host->engine, &err) == 0;
	if (host->engine_works) {
		log_event(LOG_LEVEL_INFO, "engine-works", "%s %s, tried in %lld ms",
			  host->engine->ops->name, host->engine->ops->version(host->engine),
			  (long long)(mono_since_us(clock_mono(), before) / US_PER_MS));
		return;
	}
	(void)snprintf(host->engine_reason, sizeof(host->engine_reason), "%s", err.text);
	log_event(LOG_LEVEL_ERROR, "engine-broken", "%s: %s", host->engine->ops->name, err.text);
}

static void on_status(void *ctx, const struct presence *presence)
{
	host_fabric_status(ctx, presence);
	host_svid_status(ctx, presence);
}

static void on_image(void *ctx)
{
	host_fabric_images(ctx);
}

static void on_claims(void *ctx)
{
	host_fabric_claims(ctx);
}

static void on_agent(void *ctx, const struct uid *pod, const struct ipc_message *message)
{
	host_agent_message(ctx, pod, message);
}

static void on_agent_new(void *ctx, const struct uid *pod)
{
	host_agent_new(ctx, pod);
}

static struct pods *make_pods(struct host *host)
{
	struct pods_config config = {
		.loop = host->loop,
		.engine = host->engine,
		.images = host->images,
		.puller = host->puller,
		.policy = &host->policy,
		.run_dir = host->config->run_dir,
		.keep_dir = host->keep_dir,
		.volumes_dir = host->volumes_dir,
		.groups_dir = host->groups_dir,
		.agent = host->agent,
		.node_name = host->config->node_name,
		.region = host->config->region,
		.boot_id = host->facts.boot_id,
		.resolv_conf =
			host->config->resolv_conf ? host->config->resolv_conf : "/etc/resolv.conf",
		.seccomp = buf_cstr(&host->seccomp),
		.cpu_capacity_milli = host->facts.cpu_milli,
		.memory_capacity_bytes = host->facts.memory_bytes,
		.nofile_max = host->facts.nofile_max,
		.oom_score_min = host->facts.oom_score_min,
		.has_swap_limits = host->facts.has_swap_limits,
		.pods_max = host->config->pods_max ? host->config->pods_max : HOST_PODS_MAX,
		.on_status = on_status,
		.on_claims = on_claims,
		.on_agent = on_agent,
		.on_agent_new = on_agent_new,
		.ctx = host,
	};

	return pods_new(&config);
}

static void on_fabric_overdue(void *user)
{
	struct host *host = user;

	if (host->fabric_pid > 0)
		(void)kill(host->fabric_pid, SIGKILL);
}

/* Pods stay; what is being done to them is finished first. */
static void host_end(struct host *host)
{
	if (host->ending)
		return;
	host->ending = true;
	pods_quiesce(host->pods);
	host_fabric_end(host);
	host->fabric_timer = loop_timer_new(host->loop, on_fabric_overdue, host);
	loop_timer_set(host->fabric_timer, mono_add_ms(clock_mono(), FABRIC_END_MS));
}

/* What has no other place by now goes without one. */
static void on_drain_overdue(void *user)
{
	pods_stop_all(((struct host *)user)->pods);
}

void host_drain(struct host *host)
{
	if (host->draining)
		return;
	log_event(LOG_LEVEL_INFO, "drain", "stopping all pods");
	host->draining = true;
	host_fabric_drain(host);
	if (!host->link || !host->fabric_ready) {
		pods_stop_all(host->pods);
		return;
	}
	host->drain_timer = loop_timer_new(host->loop, on_drain_overdue, host);
	loop_timer_set(host->drain_timer, mono_add_ms(clock_mono(), DRAIN_MOVE_MS));
}

static void on_turn(void *user)
{
	struct host *host = user;

	if (host->draining && !host->ending && pods_count(host->pods) == 0) {
		host_control_drained(host->control);
		host_end(host);
	}
	if (host->ending && pods_is_idle(host->pods) && host->jobs == 0 && host->fabric_pid == 0)
		loop_stop(host->loop);
}

static void on_signal(void *user, int signum)
{
	struct host *host = user;

	log_event(LOG_LEVEL_INFO, "ending", "signal %d: ending%s", signum,
		  wants_null(host->config) ? "" : "; pods stay");
	host_end(host);
}

/* For pods that start from now on; those that run stay. */
static void on_reload(void *user, int signum)
{
	struct host *host = user;
	struct policy fresh;
	struct err err = {0};

	(void)signum;
	if (policy_load(host->config->policy_file, &fresh, &err) < 0) {
		log_event(LOG_LEVEL_ERROR, "policy-refused", "%s; the one before stays", err.text);
		return;
	}
	policy_deinit(&host->policy);
	host->policy = fresh;
	log_event(LOG_LEVEL_INFO, "policy-read", "%s",
		  host->config->policy_file ? host->config->policy_file : "the default");
}

/* Everything that must be there before the loop; what has been made is freed by host_deinit(). */
static int host_init(struct host *host, struct err *err)
{
	struct path images = path_format("%s/images", host->config->state_dir);
	struct err no_egress = {0};
	int r = host_facts_read(host->config->state_dir, &host->facts, err);

	if (r == 0)
		r = policy_load(host->config->policy_file, &host->policy, err);
	if (r == 0)
		r = seccomp_profile_compile(&host->seccomp, err);
	if (r == 0)
		r = choose_engine(host, err);
	if (r == 0)
		r = image_store_open(images.text, &host->images, err);
	if (r < 0)
		return r;
	host->agent = find_agent(host->config);
	host->keep_dir = mem_strdup(path_format("%s/pods", host->config->state_dir).text);
	host->volumes_dir = mem_strdup(path_format("%s/volumes", host->config->state_dir).text);
	host->groups_dir = mem_strdup(path_format("%s/groups", host->config->state_dir).text);
	host->loop = loop_new();
	host->puller = image_puller_new(loop_uv(host->loop), host->images, on_image, host);
	if (!wants_null(host->config) && egress_enable(&no_egress) < 0)
		log_event(LOG_LEVEL_WARN, "no-egress", "%s", no_egress.text);
	host->pods = make_pods(host);
	host->hook = loop_hook_new(host->loop, on_turn, host);
	probe_engine(host);
	r = host_control_new(host, &host->control, err);
	if (r == 0)
		r = loop_signal_new(host->loop, SIGTERM, on_signal, host, &host->signals[0]);
	if (r == 0)
		r = loop_signal_new(host->loop, SIGINT, on_signal, host, &host->signals[1]);
	if (r == 0)
		r = loop_signal_new(host->loop, SIGHUP, on_reload, host, &host->signals[2]);
	if (r == 0)
		r = orphans_new(host->loop, &host->orphans);
	return r;
}

/* The fabric process made it while it was root, and cannot remove it any more. */
static void remove_control_socket(const struct host *host)
{
	struct path path = path_format("%s/control.sock", host->config->run_dir);

	(void)unlink(path.text);
}

static void host_deinit(struct host *host)
{
	if (!host->config->no_fabric)
		remove_control_socket(host);
	host_logs_close_all(host);
	image_puller_close(host->puller);
	loop_timer_free(host->fabric_timer);
	loop_timer_free(host->drain_timer);
	loop_timer_free(host->revoked_timer);
	process_watch_free(host->fabric_watch);
	for (size_t i = 0; i < ARRAY_LEN(host->signals); i++)
		loop_signal_free(host->signals[i]);
	orphans_free(host->orphans);
	loop_hook_free(host->hook);
	host_control_free(host->control);
	usage_free(host->usage);
	host_svids_free(host);
	host->pods = pods_free(host->pods);
	/* Let what is being closed and killed come to its end. */
	if (host->loop) {
		loop_run(host->loop);
		loop_free(host->loop);
	}
	if (!wants_null(host->config))
		egress_disable();
	host->engine = host->engine ? host->engine->ops->free(host->engine) : NULL;
	host->images = image_store_free(host->images);
	policy_deinit(&host->policy);
	buf_deinit(&host->seccomp);
	map_deinit(&host->stopped);
	buf_deinit(&host->gone_early);
	free(host->agent);
	free(host->keep_dir);
	free(host->volumes_dir);
	free(host->groups_dir);
}

/* Another boot than the one noted last, or a run directory that did not survive: what ran then does
 * not run any more. */
static bool note_boot(const struct host *host, bool fresh_run)
{
	struct path file = path_format("%s/boot", host->config->state_dir);
	struct bytes now = bytes_str(host->facts.boot_id);
	struct buf before = {0};
	bool known = file_read(file.text, HOST_TEXT_MAX, &before) == 0;
	bool rebooted = known && (fresh_run || !bytes_equal(bytes_buf(&before), now));

	buf_deinit(&before);
	if (file_replace(file.text, now, 0600) < 0)
		log_event(LOG_LEVEL_ERROR, "boot-not-noted", "%s cannot be written", file.text);
	return rebooted;
}

static int serve(const struct host_config *config, bool fresh_run, struct err *err)
{
	struct host *host = mem_new(struct host);
	int r;

	host->config = config;
	list_init(&host->logs);
	list_init(&host->execs);
	list_init(&host->usages);
	list_init(&host->svids);
	map_init(&host->stopped, entropy_u64());
	r = host_init(host, err);
	if (r == 0) {
		host->rebooted = note_boot(host, fresh_run);
		pods_recover(host->pods);
		log_event(LOG_LEVEL_INFO, "host-ready", "%zu pods found", pods_count(host->pods));
		if (config->drain)
			host_drain(host);
		else if (!config->no_fabric)
			host_fabric_start(host);
		loop_run(host->loop);
	}
	host_deinit(host);
	free(host);
	return r;
}

static bool has_run(const struct host_config *config)
{
	return path_exists(path_format("%.*s/pods", DIR_LEN_MAX, config->run_dir).text);
}

int host_run(const struct host_config *config, struct err *err)
{
	bool fresh_run = !has_run(config);
	int lock, r = check_dirs(config, err);

	if (r < 0)
		return r;
	if (config->drain) {
		r = host_control_ask_drain(config->run_dir, err);
		if (r != -ENOENT)
			return r;
	}
	lock = take_lock(config, err);
	if (lock < 0)
		return lock;
	/* A process in a container that stops reading is an error of that write, no more. */
	(void)signal(SIGPIPE, SIG_IGN);
	/* conmon and agents detach themselves; so they end as our children, and leave no zombies.
	 */
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	if (!wants_null(config)) {
		/* Jobs mostly wait for other processes: more of them than cores. */
		(void)setenv("UV_THREADPOOL_SIZE", "16", 0);
		r = host_mounts_enter(config->run_dir, err);
	}
	if (r == 0)
		r = serve(config, fresh_run, err);
	(void)close(lock);
	return r;
}
