/* SPDX-License-Identifier: Apache-2.0 */
/*
 *   STARTING --job--> RUNNING --its end--> ENDING --all sent--> (gone)
 *                        | the client has left
 *                        v
 *                     LEFT: hung up, then killed --its end--> (gone)
 *
 * An attached session has no process of its own: the end of the streams is its end.
 */
#include "runtime/exec.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "io/clock.h"
#include "runtime/child.h"
#include "runtime/job.h"
#include "runtime/pod.h"
#include "runtime/session.h"

enum {
	NAME_MAX_LEN = 32,
	RESIZE_AGAIN_MS = 10,
	KILL_AGAIN_MS = 500, /* until its process is known, or while more of it appears */
};

struct exec {
	struct list link;
	struct pods *pods;
	struct run_paths paths;
	struct exec_handler handler; /* zeroed once abandoned */
	bool is_attach, is_tty;
	bool in, out, err;
	char name[NAME_MAX_LEN];
	char **command;
	size_t command_count;
	int socket; /* until the session has it */
	/* Of the job. */
	struct session_ends ends;
	int control; /* of attach: of the terminal's size */
	struct frame_size size;
	pid_t runner;
	int result;
	struct err why;
	/* While it runs. */
	struct session *session;
	struct process_watch *watch;
	struct loop_timer *timer; /* until it is killed, or the terminal's size can be told */
	bool left, has_ended;
};

static void close_fd(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

static void exec_free(struct exec *exec)
{
	list_remove(&exec->link);
	session_free(exec->session);
	process_watch_free(exec->watch);
	loop_timer_free(exec->timer);
	close_fd(&exec->socket);
	close_fd(&exec->control);
	for (size_t i = 0; i < exec->command_count; i++)
		free(exec->command[i]);
	free(exec->command);
	free(exec);
}

static void exec_done(struct exec *exec)
{
	struct exec_handler handler = exec->handler;

	exec_free(exec);
	if (handler.done)
		handler.done(handler.user);
}

/* ---- starting: on a worker thread */

/* A pipe whose end number @ours is for us. */
static int make_pipe(bool wanted, int ours, int *ret_ours, int *ret_theirs)
{
	int fds[2];

	if (!wanted)
		return 0;
	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_origin(-errno);
	*ret_ours = fds[ours];
	*ret_theirs = fds[1 - ours];
	return 0;
}

static void start_process(struct exec *exec)
{
	struct engine *engine = exec->pods->config.engine;
	struct engine_exec process = {
		.name = exec->name,
		.command = (const char *const *)exec->command,
		.command_count = exec->command_count,
		.is_tty = exec->is_tty,
		.in = -1,
		.out = -1,
		.err = -1,
	};
	int r = 0;

	if (!exec->is_tty) {
		r = make_pipe(exec->in, 1, &exec->ends.in, &process.in);
		if (r == 0)
			r = make_pipe(exec->out, 0, &exec->ends.out, &process.out);
		if (r == 0)
			r = make_pipe(exec->err, 0, &exec->ends.err, &process.err);
	}
	if (r < 0)
		(void)err_set(&exec->why, r, "pipe: %s", strerror(-r));
	else
		r = engine->ops->exec(engine, &exec->paths.engine, &process, &exec->why);
	close_fd(&process.in);
	close_fd(&process.out);
	close_fd(&process.err);
	if (r < 0) {
		close_fd(&exec->ends.in);
		close_fd(&exec->ends.out);
		close_fd(&exec->ends.err);
	}
	exec->result = r;
	exec->runner = process.runner;
	if (exec->is_tty && r == 0)
		exec->ends = (struct session_ends){
			.in = -1, .out = process.terminal, .err = -1, .is_terminal = true};
}

static void start_attach(struct exec *exec)
{
	struct engine *engine = exec->pods->config.engine;
	struct engine_attach attach = {.streams = -1, .control = -1};

	exec->result = engine->ops->attach(engine, &exec->paths.engine, &attach, &exec->why);
	if (exec->result < 0)
		return;
	exec->control = attach.control;
	exec->ends = (struct session_ends){
		.in = -1, .out = attach.streams, .err = -1, .is_packets = true};
}

static void start(void *arg)
{
	struct exec *exec = arg;

	if (exec->is_attach)
		start_attach(exec);
	else
		start_process(exec);
}

/* ---- its end */

static void on_process_ended(void *user)
{
	struct exec *exec = user;
	struct engine *engine = exec->pods->config.engine;
	int status = process_watch_status(exec->watch), code, r;
	struct err why = {0};

	code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	exec->has_ended = true;
	r = engine->ops->exec_end(engine, &exec->paths.engine, exec->name, &why);
	if (exec->left)
		exec_done(exec);
	else
		session_end(exec->session, r < 0 ? FRAME_NOT_RUN : code, r < 0 ? why.text : "");
}

/* First the terminal is hung up, as if its user had gone; what that does not end is killed. */
static void on_kill_time(void *user)
{
	struct exec *exec = user;
	struct engine *engine = exec->pods->config.engine;

	(void)engine->ops->exec_signal(engine, &exec->paths.engine, exec->name, SIGKILL);
	loop_timer_set(exec->timer, mono_add_ms(clock_mono(), KILL_AGAIN_MS));
}

static void exec_leave(struct exec *exec)
{
	struct engine *engine = exec->pods->config.engine;
	int r;

	if (exec->is_attach || exec->has_ended || exec->result < 0) {
		exec_done(exec);
		return;
	}
	exec->left = true;
	r = engine->ops->exec_signal(engine, &exec->paths.engine, exec->name, SIGHUP);
	exec->timer = loop_timer_new(exec->pods->config.loop, on_kill_time, exec);
	loop_timer_set(exec->timer,
		       mono_add_ms(clock_mono(), r == -EAGAIN ? KILL_AGAIN_MS : EXEC_HANGUP_MS));
}

static void on_session_ended(void *user, bool gone)
{
	struct exec *exec = user;

	session_free(exec->session);
	exec->session = NULL;
	if (gone)
		exec_leave(exec);
	else
		exec_done(exec);
}

/* conmon has closed the streams: the container has ended. Its code is told by its pod's status. */
static void on_drained(void *user)
{
	struct exec *exec = user;

	if (exec->is_attach)
		session_end(exec->session, 0, "");
}

/* Of several lines that conmon 2.1 finds at once it carries out the first one only, as often as
 * there are lines: each has to be read before the next is written. (So this is the pipe at which a
 * size is set; what its control pipe takes, it only writes to this one.) */
static void on_resize_time(void *user)
{
	struct exec *exec = user;
	int unread = 0, len;
	char line[32];

	if (ioctl(exec->control, FIONREAD, &unread) == 0 && unread > 0) {
		loop_timer_set(exec->timer, mono_add_ms(clock_mono(), RESIZE_AGAIN_MS));
		return;
	}
	len = snprintf(line, sizeof(line), "%u %u\n", exec->size.rows, exec->size.columns);
	(void)!write(exec->control, line, (size_t)len);
}

/* Only the last one counts. */
static void on_resize(void *user, struct frame_size size)
{
	struct exec *exec = user;

	if (exec->control < 0)
		return;
	exec->size = size;
	if (!exec->timer)
		exec->timer = loop_timer_new(exec->pods->config.loop, on_resize_time, exec);
	on_resize_time(exec);
}

/* ---- running */

static int run(struct exec *exec)
{
	struct loop *loop = exec->pods->config.loop;
	struct session_handler handler = {
		.resize = on_resize,
		.drained = on_drained,
		.ended = on_session_ended,
		.user = exec,
	};
	int socket = exec->socket, r = 0;

	if (!exec->is_attach)
		r = process_watch_new(loop, exec->runner, on_process_ended, exec, &exec->watch);
	if (r < 0)
		return r;
	exec->socket = -1;
	return session_new(loop, socket, &exec->ends, &handler, &exec->session);
}

static void on_started(void *arg)
{
	struct exec *exec = arg;
	struct exec_handler handler = exec->handler;
	struct err fine = {0};

	exec->pods->jobs--;
	if (exec->result == 0)
		exec->result = run(exec);
	if (exec->result < 0 && *exec->why.text == '\0')
		(void)err_set(&exec->why, exec->result, "%s", strerror(-exec->result));
	if (handler.started)
		handler.started(handler.user, exec->result < 0 ? &exec->why : &fine);
	if (exec->result < 0)
		exec_done(exec);
	else if (!handler.done)
		exec_leave(exec); /* abandoned meanwhile */
}

void exec_abandon(struct exec *exec)
{
	bool starting = !exec->session && !exec->left;

	exec->handler = (struct exec_handler){0};
	if (starting || exec->left)
		return; /* it ends by itself */
	session_free(exec->session);
	exec->session = NULL;
	exec_leave(exec);
}

void exec_free_all(struct pods *pods)
{
	struct engine *engine = pods->config.engine;

	list_for_each_safe (it, &pods->execs) {
		struct exec *exec = list_entry(it, struct exec, link);

		if (!exec->is_attach && !exec->has_ended)
			(void)engine->ops->exec_signal(engine, &exec->paths.engine, exec->name,
						       SIGKILL);
		exec_free(exec);
	}
}

/* ---- the request */

static int check(const struct pods *pods, const struct container *container,
		 const struct exec_request *request, struct err *err)
{
	if (pod_is_null(container->pod))
		return err_set_status(err, -EOPNOTSUPP, 501,
				      "this machine only pretends to run containers");
	if (container->state != RUN_RUNNING || container->ended)
		return err_set_status(err, -EINVAL, 400, "container %s is not running",
				      container->spec->name);
	if (request->command_count > EXEC_WORDS_MAX)
		return err_set_status(err, -E2BIG, 400, "the command has too many words");
	if (pods->quiet)
		return err_set_status(err, -ESHUTDOWN, 503, "this machine is shutting down");
	return 0;
}

int exec_new(struct pods *pods, const struct exec_request *request, int socket,
	     const struct exec_handler *handler, struct exec **ret_exec, struct err *err)
{
	static uint32_t last;
	struct container *container = pods_container(pods, &request->pod, request->container, err);
	struct exec *exec;

	if (!container || check(pods, container, request, err) < 0) {
		(void)close(socket);
		return err->code;
	}
	exec = mem_new(struct exec);
	exec->pods = pods;
	list_append(&pods->execs, &exec->link);
	exec->handler = *handler;
	exec->socket = socket;
	exec->control = exec->ends.in = exec->ends.out = exec->ends.err = -1;
	exec->is_attach = request->command_count == 0;
	exec->is_tty = exec->is_attach ? container->spec->tty : request->is_tty;
	exec->in = request->in;
	exec->out = request->out;
	exec->err = request->err;
	run_paths_init(&exec->paths, container, container->run);
	/* An earlier life of this process may have left some. */
	(void)snprintf(exec->name, sizeof(exec->name), "%d-%u", (int)getpid(), ++last);
	exec->command = mem_alloc(request->command_count, sizeof(*exec->command));
	exec->command_count = request->command_count;
	for (size_t i = 0; i < request->command_count; i++)
		exec->command[i] = mem_strdup(request->command[i]);
	pods->jobs++;
	job_run(pods->config.loop, start, on_started, exec);
	*ret_exec = exec;
	return 0;
}
