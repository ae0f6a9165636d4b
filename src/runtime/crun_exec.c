/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes added to a container, and the streams of its first one.
 *
 * An added process is run by a "crun exec" of its own, a child of the caller that waits for it and
 * ends with its exit code. In the bundle there are meanwhile
 *
 *   exec.<name>.json  what to run      exec.<name>.log   crun's reason when it could not be run
 *   exec.<name>.pid   its process      exec.<name>.sock  through which its terminal comes
 */
#include <assert.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <jansson.h>

#include "runtime/cgroup.h"
#include "runtime/child.h"
#include "runtime/crun.h"
#include "runtime/files.h"

enum {
	CONFIG_MAX = 4 << 20, /* a manifest's worth of environment, escaped */
	PID_FILE_MAX = 32,
	LOG_MAX = 4096,
	/* As creating a container: a loaded machine may take very long. */
	TERMINAL_TIMEOUT_MS = 60000,
	ARGV_MAX = 16,
};

static struct path file_of(const struct engine_container *container, const char *name,
			   const char *suffix)
{
	return path_format("%s/exec.%s.%s", container->bundle, name, suffix);
}

/* A shell asks what terminal it sits at; the manifest does not say for a process added later. */
static void name_terminal(json_t *process)
{
	json_t *env = json_object_get(process, "env"), *entry;
	size_t i;

	json_array_foreach (env, i, entry)
		if (strncmp(json_string_value(entry), "TERM=", 5) == 0)
			return;
	(void)json_array_append_new(env, json_string("TERM=xterm"));
}

/* As the container's own first process, but for its command and terminal. */
static int write_process(const struct engine_container *container, const struct engine_exec *exec,
			 struct err *err)
{
	struct path config = path_format("%s/config.json", container->bundle);
	struct path file = file_of(container, exec->name, "json");
	struct buf text = {0};
	json_t *spec, *process, *args = json_array();
	char *words;
	int r = file_read(config.text, CONFIG_MAX, &text);

	spec = r == 0 ? json_loadb((const char *)text.ptr, text.len, 0, NULL) : NULL;
	buf_deinit(&text);
	process = json_object_get(spec, "process");
	for (size_t i = 0; i < exec->command_count; i++)
		(void)json_array_append_new(args, json_string(exec->command[i]));
	(void)json_object_set_new(process, "args", args);
	(void)json_object_set_new(process, "terminal", json_boolean(exec->is_tty));
	if (exec->is_tty)
		name_terminal(process);
	words = process ? json_dumps(process, JSON_COMPACT) : NULL;
	r = words ? file_replace(file.text, bytes_str(words), 0600) : -EINVAL;
	free(words);
	json_decref(spec);
	return r < 0 ? err_set(err, r, "write %s: %s", file.text, strerror(-r)) : 0;
}

static int terminal_listen(const char *path, struct err *err)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int dir = -1, fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), r = 0;
	struct path parent = path_format("%.*s", (int)(strrchr(path, '/') - path), path);

	if (fd < 0)
		return err_set(err, -errno, "socket: %s", strerror(errno));
	/* A socket's address holds 108 characters, our directories may be longer. */
	dir = open(parent.text, O_PATH | O_DIRECTORY | O_CLOEXEC);
	(void)snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/%.60s", dir,
		       strrchr(path, '/') + 1);
	if (dir < 0 || bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(fd, 1) < 0)
		r = err_set(err, -errno, "listen on %s: %s", path, strerror(errno));
	if (dir >= 0)
		(void)close(dir);
	if (r == 0)
		return fd;
	(void)close(fd);
	return r;
}

/* The one descriptor that is sent over @fd; negative if there is none. */
static int receive_fd(int fd)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int))];
	} control;
	char byte[64];
	struct iovec part = {.iov_base = byte, .iov_len = sizeof(byte)};
	struct msghdr message = {.msg_iov = &part,
				 .msg_iovlen = 1,
				 .msg_control = control.space,
				 .msg_controllen = sizeof(control.space)};
	struct cmsghdr *header;
	int received;

	if (recvmsg(fd, &message, MSG_CMSG_CLOEXEC) < 0)
		return err_origin(-errno);
	header = CMSG_FIRSTHDR(&message);
	if (!header || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
		return err_origin(-EPROTO);
	memcpy(&received, CMSG_DATA(header), sizeof(received));
	return received;
}

/* crun connects and sends the terminal, unless it ends before. */
static int terminal_receive(int listener, pid_t runner, struct err *err)
{
	int watch = child_pidfd(runner), fd = -1, conn = -1, r;
	struct pollfd wait[2] = {{.fd = listener, .events = POLLIN},
				 {.fd = watch, .events = POLLIN}};

	if (watch < 0)
		return err_set(err, watch, "crun exec: %s", strerror(-watch));
	do
		r = poll(wait, 2, TERMINAL_TIMEOUT_MS);
	while (r < 0 && errno == EINTR);
	if (wait[0].revents & POLLIN)
		conn = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	if (conn >= 0 && child_wait_readable(conn, TERMINAL_TIMEOUT_MS) == 0)
		fd = receive_fd(conn);
	if (conn >= 0)
		(void)close(conn);
	(void)close(watch);
	if (fd < 0)
		return err_set(err, -EPROTO, "the container gave no terminal");
	return fd;
}

static int spawn(const struct engine_crun *crun, const struct engine_container *container,
		 struct engine_exec *exec, struct err *err)
{
	struct path json = file_of(container, exec->name, "json");
	struct path pid = file_of(container, exec->name, "pid");
	struct path console = file_of(container, exec->name, "sock");
	struct path log = path_format("--log=file:%s", file_of(container, exec->name, "log").text);
	const char *argv[ARGV_MAX] = {
		crun->crun,   "--root", crun->root,  "--cgroup-manager=cgroupfs",
		log.text,     "exec",   "--process", json.text,
		"--pid-file", pid.text};
	const int ends[] = {exec->in, exec->out, exec->err};
	struct child_fd fds[3];
	struct child_options options = {.argv = argv, .cwd = container->bundle, .fds = fds};
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC), r;
	size_t count = 10;

	if (null_fd < 0)
		return err_set(err, -errno, "/dev/null: %s", strerror(errno));
	if (exec->is_tty) {
		argv[count++] = "--console-socket";
		argv[count++] = console.text;
	}
	argv[count++] = container->id;
	assert(count < ARGV_MAX);
	for (int i = 0; i < 3; i++)
		fds[i] = (struct child_fd){.ours = exec->is_tty || ends[i] < 0 ? null_fd : ends[i],
					   .theirs = i};
	options.fd_count = 3;
	options.own_session = true;
	r = child_spawn(&options, &exec->runner, err);
	(void)close(null_fd);
	return r;
}

static void remove_files(const struct engine_container *container, const char *name)
{
	static const char *const suffixes[] = {"json", "pid", "log", "sock"};

	for (size_t i = 0; i < ARRAY_LEN(suffixes); i++)
		(void)unlink(file_of(container, name, suffixes[i]).text);
}

int crun_exec(struct engine *engine, const struct engine_container *container,
	      struct engine_exec *exec, struct err *err)
{
	int listener = -1, r = write_process(container, exec, err);
	struct err why;

	exec->terminal = -1;
	if (r == 0 && exec->is_tty) {
		listener = terminal_listen(file_of(container, exec->name, "sock").text, err);
		r = listener < 0 ? listener : 0;
	}
	if (r == 0)
		r = spawn(engine_crun(engine), container, exec, err);
	if (r == 0 && exec->is_tty) {
		exec->terminal = terminal_receive(listener, exec->runner, err);
		r = exec->terminal < 0 ? exec->terminal : 0;
		if (r < 0) {
			(void)kill(exec->runner, SIGKILL);
			(void)waitpid(exec->runner, NULL, 0);
			/* crun knows the reason better. */
			if (crun_exec_end(engine, container, exec->name, &why) < 0)
				*err = why;
		}
	}
	if (listener >= 0)
		(void)close(listener);
	if (r < 0)
		remove_files(container, exec->name);
	return r;
}

/* The session of the process, in which all live that it has started and that did not leave it. */
static pid_t session_of(const struct engine_container *container, const char *name)
{
	struct buf text = {0};
	pid_t pid = 0;

	if (file_read(file_of(container, name, "pid").text, PID_FILE_MAX, &text) == 0)
		pid = (pid_t)strtol(buf_cstr(&text), NULL, 10);
	buf_deinit(&text);
	return pid > 1 ? getsid(pid) : 0;
}

int crun_exec_signal(struct engine *engine, const struct engine_container *container,
		     const char *name, int signal)
{
	pid_t session = session_of(container, name);
	struct buf pids = {0};
	char *at, *end;

	(void)engine;
	if (session == 0)
		return -EAGAIN;
	/* Our own session is never that of a container. */
	if (session < 0 || session == getsid(0))
		return 0;
	cgroup_processes(container->cgroup, &pids);
	for (at = (char *)(uintptr_t)buf_cstr(&pids); *at; at = end) {
		pid_t pid = (pid_t)strtol(at, &end, 10);

		if (end == at)
			break;
		if (pid > 1 && getsid(pid) == session)
			(void)kill(pid, signal);
	}
	buf_deinit(&pids);
	return 0;
}

int crun_exec_end(struct engine *engine, const struct engine_container *container, const char *name,
		  struct err *err)
{
	struct buf text = {0};
	int r = 0;

	(void)engine;
	if (file_read(file_of(container, name, "log").text, LOG_MAX, &text) == 0 && text.len > 0) {
		r = err_set(err, -ENOEXEC, "%s", buf_cstr(&text));
		err->text[strcspn(err->text, "\n")] = '\0';
	}
	buf_deinit(&text);
	remove_files(container, name);
	return r;
}

int crun_attach(struct engine *engine, const struct engine_container *container,
		struct engine_attach *ret_attach, struct err *err)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct path control = path_format("%s/winsz", container->bundle);
	int dir = open(container->bundle, O_PATH | O_DIRECTORY | O_CLOEXEC), r = 0;
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	(void)engine;
	(void)snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/attach", dir);
	if (dir < 0 || fd < 0 ||
	    connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		r = err_set(err, -errno, "attach: %s", strerror(errno));
	if (dir >= 0)
		(void)close(dir);
	if (r < 0) {
		if (fd >= 0)
			(void)close(fd);
		return r;
	}
	ret_attach->streams = fd;
	/* conmon has it open for reading, so this does not wait. */
	ret_attach->control = open(control.text, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	return 0;
}
