/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/child.h"

#include <assert.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char *const default_env[] = {
	"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
	"LANG=C",
	NULL,
};

/*
 * Descriptors are first moved out of the way of all targets, so that no dup2 overwrites a source
 * that is still needed, and so that dup2 never meets source == target, which would leave
 * close-on-exec set.
 */
static int add_fds(posix_spawn_file_actions_t *actions, const struct child_options *options,
		   int *ret_moved)
{
	for (size_t i = 0; i < options->fd_count; i++) {
		ret_moved[i] = fcntl(options->fds[i].ours, F_DUPFD_CLOEXEC, 64);
		if (ret_moved[i] < 0)
			return err_origin(-errno);
		if (posix_spawn_file_actions_adddup2(actions, ret_moved[i],
						     options->fds[i].theirs) != 0)
			return err_origin(-ENOMEM);
	}
	return 0;
}

static int spawn(const struct child_options *options, posix_spawn_file_actions_t *actions,
		 pid_t *ret_pid)
{
	posix_spawnattr_t attributes;
	sigset_t none, all;
	short flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
	int r;

	(void)posix_spawnattr_init(&attributes);
	(void)sigemptyset(&none);
	(void)sigfillset(&all);
	(void)posix_spawnattr_setsigmask(&attributes, &none);
	(void)posix_spawnattr_setsigdefault(&attributes, &all);
	if (options->own_session)
		flags = (short)(flags | POSIX_SPAWN_SETSID);
	(void)posix_spawnattr_setflags(&attributes, flags);
	r = posix_spawnp(ret_pid, options->argv[0], actions, &attributes,
			 (char *const *)(uintptr_t)options->argv,
			 (char *const *)(uintptr_t)(options->env ? options->env : default_env));
	(void)posix_spawnattr_destroy(&attributes);
	return -r;
}

int child_spawn(const struct child_options *options, pid_t *ret_pid, struct err *err)
{
	posix_spawn_file_actions_t actions;
	int moved[CHILD_FDS_MAX];
	int r;

	assert(options->fd_count <= CHILD_FDS_MAX);
	for (size_t i = 0; i < CHILD_FDS_MAX; i++)
		moved[i] = -1;
	(void)posix_spawn_file_actions_init(&actions);
	(void)posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	(void)posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
	r = add_fds(&actions, options, moved);
	if (r == 0 && options->cwd &&
	    posix_spawn_file_actions_addchdir_np(&actions, options->cwd) != 0)
		r = err_origin(-ENOMEM);
	if (r == 0)
		r = spawn(options, &actions, ret_pid);
	(void)posix_spawn_file_actions_destroy(&actions);
	for (size_t i = 0; i < CHILD_FDS_MAX; i++)
		if (moved[i] >= 0)
			(void)close(moved[i]);
	if (r < 0)
		return err_set(err, r, "start %s: %s", options->argv[0], strerror(-r));
	return 0;
}

static int64_t now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int child_wait_readable(int fd, int timeout_ms)
{
	int64_t deadline = now_ms() + timeout_ms;

	for (;;) {
		struct pollfd wait = {.fd = fd, .events = POLLIN};
		int64_t left = deadline - now_ms();
		int r = poll(&wait, 1, left > 0 ? (int)left : 0);

		if (r > 0)
			return 0;
		if (r == 0)
			return -ETIMEDOUT;
		if (errno != EINTR)
			return err_origin(-errno);
	}
}

int child_pidfd(pid_t pid)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);

	return fd < 0 ? -errno : fd;
}

/* Put the last line that is not empty into @err. */
static void last_line(struct buf *output, struct err *err)
{
	char *text = (char *)(uintptr_t)buf_cstr(output);
	size_t len = strlen(text);
	char *line;

	while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == ' '))
		text[--len] = '\0';
	line = strrchr(text, '\n');
	(void)err_set(err, -EPROTO, "%s", line ? line + 1 : text);
}

/* Read to the end of @fd, which comes when the child and all that inherited it have ended. */
static int drain(int fd, int64_t deadline_ms, struct buf *output)
{
	for (;;) {
		char chunk[4096];
		int64_t left = deadline_ms - now_ms();
		ssize_t got;
		int r = child_wait_readable(fd, left > 0 ? (int)left : 0);

		if (r < 0)
			return err_trace(r);
		got = read(fd, chunk, sizeof(chunk));
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return 0;
		if (output->len + (size_t)got <= CHILD_OUTPUT_MAX)
			buf_append(output, chunk, (size_t)got);
	}
}

int child_run(const struct child_options *options, int timeout_ms, struct err *err)
{
	struct child_fd fds[CHILD_FDS_MAX];
	struct child_options with_pipe = *options;
	struct buf output = {0};
	int64_t deadline_ms = now_ms() + timeout_ms;
	int pipe_fds[2], status = 0, r;
	pid_t pid;

	assert(options->fd_count + 2 <= CHILD_FDS_MAX);
	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return err_set(err, -errno, "pipe: %s", strerror(errno));
	for (size_t i = 0; i < options->fd_count; i++)
		fds[i] = options->fds[i];
	fds[options->fd_count] = (struct child_fd){.ours = pipe_fds[1], .theirs = 2};
	with_pipe.fds = fds;
	with_pipe.fd_count = options->fd_count + 1;
	if (options->output)
		fds[with_pipe.fd_count++] = (struct child_fd){.ours = pipe_fds[1], .theirs = 1};
	r = child_spawn(&with_pipe, &pid, err);
	(void)close(pipe_fds[1]);
	if (r < 0) {
		(void)close(pipe_fds[0]);
		return r;
	}
	r = drain(pipe_fds[0], deadline_ms, &output);
	(void)close(pipe_fds[0]);
	if (r < 0)
		(void)kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		continue;
	if (r < 0)
		r = err_set(err, r, "%s: no end within %d ms", options->argv[0], timeout_ms);
	else if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		last_line(&output, err);
		r = -EPROTO;
	}
	if (options->output)
		buf_append_bytes(options->output, bytes_buf(&output));
	buf_deinit(&output);
	return r;
}

uint64_t child_start_time(pid_t pid)
{
	char path[64], text[1024];
	const char *at;
	ssize_t len;
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	len = read(fd, text, sizeof(text) - 1);
	(void)close(fd);
	if (len <= 0)
		return 0;
	text[len] = '\0';
	/* The command name may hold spaces and brackets: count fields after its last bracket.
	 * proc(5): field 3 is the state ('Z', 'X': ended), field 22 the start time. */
	at = strrchr(text, ')');
	if (!at || at[1] != ' ' || at[2] == 'Z' || at[2] == 'X')
		return 0;
	at += 2;
	for (int field = 3; at && field < 22; field++) {
		at = strchr(at, ' ');
		at = at ? at + 1 : NULL;
	}
	return at ? strtoull(at, NULL, 10) : 0;
}
