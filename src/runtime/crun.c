/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The crun engine: containers by crun, each watched by a conmon of its own.
 *
 * conmon holds the container's output, writes its log and, when it ends, its exit code. It is no
 * child that anyone waits for: it lives in a session of its own and outlives the host process.
 */
#include "runtime/engine.h"

#include <assert.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <jansson.h>

#include "base/mem.h"
#include "runtime/cgroup.h"
#include "runtime/child.h"
#include "runtime/crun.h"
#include "runtime/files.h"

enum {
	/* Each is some ten milliseconds on an idle machine; a loaded one may take a thousand times
	 * that before something must be wrong. */
	CREATE_TIMEOUT_MS = 60000,
	COMMAND_TIMEOUT_MS = 30000,
	CONMON_END_TIMEOUT_MS = 5000,
	SYNC_FD = 3,
	START_FD = 4,
	SYNC_MAX = 64 * 1024,
	EXIT_FILE_MAX = 64,
	CONMON_WORDS_MAX = 40,
};

/* A log that has grown to this is cut by conmon and begins anew. */
#define LOG_BYTES_MAX "52428800"

struct engine_crun *engine_crun(struct engine *engine)
{
	return container_of(engine, struct engine_crun, base);
}

/* Run "crun --root R --cgroup-manager=cgroupfs WORD... " */
static int crun_run(struct engine_crun *crun, const char *const *words, struct buf *output,
		    struct err *err)
{
	enum {
		WORDS_MAX = 12,
	};
	const char *argv[WORDS_MAX] = {crun->crun, "--root", crun->root,
				       "--cgroup-manager=cgroupfs"};
	struct child_options options = {.argv = argv, .cwd = "/", .output = output};
	size_t count = 4;

	for (; *words && count < WORDS_MAX - 1; words++)
		argv[count++] = *words;
	return child_run(&options, COMMAND_TIMEOUT_MS, err);
}

/* conmon says {"data": PID} when the container exists, {"data": -1, "message": "..."} if not. */
static int read_sync(int fd, struct err *err)
{
	struct buf text = {0};
	json_error_t where;
	json_t *word;
	long long pid;
	int r = 0;

	while (r == 0 && text.len < SYNC_MAX &&
	       !memchr(text.ptr ? text.ptr : (uint8_t *)"", '\n', text.len)) {
		char chunk[4096];
		ssize_t got;

		r = child_wait_readable(fd, CREATE_TIMEOUT_MS);
		if (r < 0)
			break;
		got = read(fd, chunk, sizeof(chunk));
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		buf_append(&text, chunk, (size_t)got);
	}
	if (r < 0) {
		buf_deinit(&text);
		return err_set(err, r, "conmon: no answer within %d ms", CREATE_TIMEOUT_MS);
	}
	word = json_loads(buf_cstr(&text), JSON_DISABLE_EOF_CHECK, &where);
	buf_deinit(&text);
	pid = json_integer_value(json_object_get(word, "data"));
	if (pid <= 0) {
		const char *message = json_string_value(json_object_get(word, "message"));

		r = err_set(err, -EPROTO, "%s", message ? message : "conmon ended without a word");
		/* crun ends its sentence with a line feed. */
		err->text[strcspn(err->text, "\n")] = '\0';
	}
	json_decref(word);
	return r;
}

/* What conmon does with the container's input and terminal. */
static void add_input_words(const struct engine_container *container,
			    const char *argv[CONMON_WORDS_MAX])
{
	size_t count = 0;

	while (argv[count])
		count++;
	assert(count + 3 < CONMON_WORDS_MAX);
	if (container->is_tty)
		argv[count++] = "-t";
	if (container->has_stdin)
		argv[count++] = "-i";
	if (container->has_stdin && !container->stdin_once)
		argv[count++] = "--leave-stdin-open";
}

/* Start conmon and let it go on: it waits for a byte on its start pipe first. */
static int conmon_run(struct engine_crun *crun, const struct engine_container *container,
		      int sync_fd, int start_fd, struct err *err)
{
	struct path pid_file = path_format("%s/pidfile", container->bundle);
	struct path conmon_pid = path_format("%s/conmon.pid", container->bundle);
	struct path log = path_format("k8s-file:%s", container->log_path);
	struct path root = path_format("--root=%s", crun->root);
	const char *argv[CONMON_WORDS_MAX] = {
		crun->conmon,
		"--api-version",
		"1",
		"-c",
		container->id,
		"-u",
		container->id,
		"-n",
		container->id,
		"-r",
		crun->crun,
		"-b",
		container->bundle,
		"-p",
		pid_file.text,
		"-P",
		conmon_pid.text,
		"--exit-dir",
		container->exit_dir,
		"--full-attach",
		"-l",
		log.text,
		"--log-size-max",
		LOG_BYTES_MAX,
		"--log-level",
		"error",
		"--no-sync-log",
		"--runtime-arg",
		root.text,
		"--runtime-arg",
		"--cgroup-manager=cgroupfs",
	};
	/* conmon stamps its log in local time: UTC, so that nothing depends on the machine's zone.
	 */
	const char *env[] = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
			     "TZ=UTC", "_OCI_SYNCPIPE=3", "_OCI_STARTPIPE=4", NULL};
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC), r;
	struct child_fd fds[] = {
		{.ours = sync_fd, .theirs = SYNC_FD},
		{.ours = start_fd, .theirs = START_FD},
		{.ours = null_fd, .theirs = 2},
	};
	struct child_options options = {
		.argv = argv,
		.env = env,
		.cwd = container->bundle,
		.fds = fds,
		.fd_count = ARRAY_LEN(fds),
		.own_session = true,
	};
	pid_t pid;

	add_input_words(container, argv);
	if (null_fd < 0)
		return err_set(err, -errno, "/dev/null: %s", strerror(errno));
	r = child_spawn(&options, &pid, err);
	(void)close(null_fd);
	if (r < 0)
		return r;
	/* The first process forks the lasting one and ends, once it has read the start byte. */
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		continue;
	return 0;
}

static int crun_prepare(struct engine *engine, const struct engine_container *container,
			struct err *err)
{
	struct engine_crun *crun = engine_crun(engine);
	int sync[2], start[2], r;
	struct err ignored;

	if (pipe2(sync, O_CLOEXEC) < 0)
		return err_set(err, -errno, "pipe: %s", strerror(errno));
	if (pipe2(start, O_CLOEXEC) < 0) {
		r = err_set(err, -errno, "pipe: %s", strerror(errno));
		(void)close(sync[0]);
		(void)close(sync[1]);
		return r;
	}
	(void)!write(start[1], "1", 1);
	cgroup_hold();
	r = conmon_run(crun, container, sync[1], start[0], err);
	(void)close(sync[1]);
	(void)close(start[0]);
	(void)close(start[1]);
	if (r == 0)
		r = read_sync(sync[0], err);
	cgroup_release();
	(void)close(sync[0]);
	if (r < 0)
		(void)engine->ops->remove(engine, container, &ignored);
	return r;
}

static int crun_start(struct engine *engine, const struct engine_container *container,
		      struct err *err)
{
	return crun_run(engine_crun(engine), (const char *[]){"start", container->id, NULL}, NULL,
			err);
}

pid_t crun_conmon_pid(const char *bundle)
{
	struct path path = path_format("%s/conmon.pid", bundle);
	struct buf text = {0};
	pid_t pid = 0;

	if (file_read(path.text, EXIT_FILE_MAX, &text) == 0)
		pid = (pid_t)strtol(buf_cstr(&text), NULL, 10);
	buf_deinit(&text);
	return pid;
}

/* The exit code that conmon has left, or -1. */
static int exit_code(const struct engine_container *container)
{
	struct path path = path_format("%s/%s", container->exit_dir, container->id);
	struct buf text = {0};
	int code = -1;

	if (file_read(path.text, EXIT_FILE_MAX, &text) == 0 && text.len > 0)
		code = (int)strtol(buf_cstr(&text), NULL, 10);
	buf_deinit(&text);
	return code;
}

/* What crun itself knows. */
static int crun_state(struct engine_crun *crun, const struct engine_container *container,
		      struct engine_status *ret)
{
	struct buf output = {0};
	struct err ignored;
	json_error_t where;
	json_t *state;
	const char *word;
	int r = crun_run(crun, (const char *[]){"state", container->id, NULL}, &output, &ignored);

	ret->state = ENGINE_GONE;
	if (r < 0) {
		buf_deinit(&output);
		return 0;
	}
	state = json_loads(buf_cstr(&output), 0, &where);
	buf_deinit(&output);
	word = json_string_value(json_object_get(state, "status"));
	ret->pid = (pid_t)json_integer_value(json_object_get(state, "pid"));
	if (word && strcmp(word, "running") == 0)
		ret->state = ENGINE_RUNNING;
	else if (word && strcmp(word, "created") == 0)
		ret->state = ENGINE_PREPARED;
	else
		ret->state = ENGINE_EXITED;
	json_decref(state);
	return 0;
}

static int crun_status(struct engine *engine, const struct engine_container *container,
		       struct engine_status *ret_status, struct err *err)
{
	struct engine_status status = {.exit_code = exit_code(container)};
	int r;

	(void)err;
	if (status.exit_code >= 0) {
		status.state = ENGINE_EXITED;
	} else {
		r = crun_state(engine_crun(engine), container, &status);
		if (r < 0)
			return r;
		/* Whoever would have written the code is gone too; it can only have been killed. */
		if (status.state == ENGINE_EXITED)
			status.exit_code = 128 + SIGKILL;
	}
	/* The kernel kills with SIGKILL; a first process that ended otherwise did so by itself,
	 * even if one of its children was killed. */
	status.oom_killed = status.state == ENGINE_EXITED && status.exit_code == 128 + SIGKILL &&
			    cgroup_oom_kills(container->cgroup) > 0;
	*ret_status = status;
	return 0;
}

static int crun_stop(struct engine *engine, const struct engine_container *container, int signal,
		     struct err *err)
{
	struct engine_status status;
	char number[16];
	int r;

	(void)snprintf(number, sizeof(number), "%d", signal);
	r = crun_run(engine_crun(engine), (const char *[]){"kill", container->id, number, NULL},
		     NULL, err);
	if (r == 0)
		return 0;
	/* It may have ended in the meantime: then there is nothing to do. */
	if (crun_status(engine, container, &status, err) == 0 &&
	    (status.state == ENGINE_EXITED || status.state == ENGINE_GONE))
		return 0;
	return r;
}

/* conmon ends by itself after its container. */
static void conmon_end(const char *bundle)
{
	pid_t pid = crun_conmon_pid(bundle);
	char name[EXIT_FILE_MAX];
	struct path comm;
	struct buf text = {0};
	int fd;

	if (pid <= 0)
		return;
	/* The number may belong to someone else by now. */
	comm = path_format("/proc/%d/comm", (int)pid);
	(void)snprintf(name, sizeof(name), "conmon\n");
	if (file_read(comm.text, EXIT_FILE_MAX, &text) == 0 && strcmp(buf_cstr(&text), name) == 0) {
		fd = child_pidfd(pid);
		if (fd >= 0) {
			if (child_wait_readable(fd, CONMON_END_TIMEOUT_MS) < 0)
				(void)kill(pid, SIGKILL);
			(void)waitpid(pid, NULL, WNOHANG);
			(void)close(fd);
		}
	}
	buf_deinit(&text);
}

static int crun_remove(struct engine *engine, const struct engine_container *container,
		       struct err *err)
{
	struct engine_crun *crun = engine_crun(engine);
	struct path state = path_format("%s/%s", crun->root, container->id);
	struct path exit_file = path_format("%s/%s", container->exit_dir, container->id);
	int r = 0;

	if (path_exists(state.text)) {
		r = crun_run(crun, (const char *[]){"delete", "--force", container->id, NULL}, NULL,
			     err);
		/* A create that was cut short leaves state that crun cannot read. */
		if (r < 0 && path_exists(state.text)) {
			cgroup_kill(container->cgroup);
			r = tree_remove(state.text);
		} else {
			r = 0;
		}
	}
	conmon_end(container->bundle);
	cgroup_remove(container->cgroup);
	(void)unlink(exit_file.text);
	return r < 0 ? err_set(err, r, "remove container %s: %s", container->id, strerror(-r)) : 0;
}

static int crun_list(struct engine *engine, void (*found)(void *ctx, const char *id), void *ctx,
		     struct err *err)
{
	struct buf output = {0};
	char *save = NULL, *copy;
	int r = crun_run(engine_crun(engine), (const char *[]){"list", "-q", NULL}, &output, err);

	if (r < 0) {
		buf_deinit(&output);
		return r;
	}
	copy = buf_steal(&output);
	for (char *line = copy ? strtok_r(copy, "\n", &save) : NULL; line;
	     line = strtok_r(NULL, "\n", &save))
		found(ctx, line);
	free(copy);
	return 0;
}

/* "crun version 1.8.1" */
static int read_version(struct engine_crun *crun, struct err *err)
{
	const char *argv[] = {crun->crun, "--version", NULL}, *prefix = "crun version ", *at;
	struct buf output = {0};
	struct child_options options = {.argv = argv, .output = &output};
	int r = child_run(&options, COMMAND_TIMEOUT_MS, err);

	at = r == 0 ? strstr(buf_cstr(&output), prefix) : NULL;
	if (at) {
		at += strlen(prefix);
		(void)snprintf(crun->version, sizeof(crun->version), "%.*s",
			       (int)strcspn(at, " \n"), at);
	}
	buf_deinit(&output);
	if (r < 0)
		return r;
	return at ? 0 : err_set(err, -EPROTO, "%s is not crun", crun->crun);
}

static const char *crun_version(const struct engine *engine)
{
	return engine_crun((struct engine *)(uintptr_t)engine)->version;
}

static int crun_probe(struct engine *engine, struct err *err)
{
	struct engine_crun *crun = engine_crun(engine);
	int r = read_version(crun, err);

	if (r == 0)
		r = crun_probe_container(engine, crun->root, err);
	return r;
}

static struct engine *crun_free(struct engine *engine)
{
	struct engine_crun *crun;

	if (!engine)
		return NULL;
	crun = engine_crun(engine);
	free(crun->root);
	free(crun->crun);
	free(crun->conmon);
	free(crun);
	return NULL;
}

static const struct engine_ops crun_ops = {
	.name = "crun",
	.probe = crun_probe,
	.version = crun_version,
	.prepare = crun_prepare,
	.start = crun_start,
	.stop = crun_stop,
	.status = crun_status,
	.exec = crun_exec,
	.exec_signal = crun_exec_signal,
	.exec_end = crun_exec_end,
	.attach = crun_attach,
	.remove = crun_remove,
	.list = crun_list,
	.free = crun_free,
};

/* conmon needs a path where crun would do with a name. */
static char *find_program(const char *given, const char *name)
{
	static const char *const dirs[] = {"/usr/local/sbin", "/usr/local/bin", "/usr/sbin",
					   "/usr/bin",        "/sbin",          "/bin"};

	if (given)
		return mem_strdup(given);
	for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
		struct path path = path_format("%s/%s", dirs[i], name);

		if (access(path.text, X_OK) == 0)
			return mem_strdup(path.text);
	}
	return mem_strdup(name);
}

struct engine *engine_crun_new(const char *run_dir, const char *crun, const char *conmon)
{
	struct engine_crun *engine = mem_new(struct engine_crun);

	engine->base.ops = &crun_ops;
	engine->root = mem_strdup(path_format("%s/crun", run_dir).text);
	engine->crun = find_program(crun, "crun");
	engine->conmon = find_program(conmon, "conmon");
	return &engine->base;
}
