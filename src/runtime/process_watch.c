/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/process_watch.h"

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "runtime/child.h"
#include "runtime/orphans.h"

struct process_watch {
	struct loop_watch *watch;
	pid_t pid;
	int fd, status;
	loop_fn ended;
	void *user;
};

static void on_readable(void *user, int events)
{
	struct process_watch *watch = user;

	(void)events;
	/* Level-triggered, and it stays readable: once is enough. */
	loop_watch_free(watch->watch);
	watch->watch = NULL;
	(void)waitpid(watch->pid, &watch->status, WNOHANG);
	orphans_reap();
	watch->ended(watch->user);
}

int process_watch_new(struct loop *loop, pid_t pid, loop_fn ended, void *user,
		      struct process_watch **ret_watch)
{
	struct process_watch *watch;
	int fd = child_pidfd(pid), r;

	if (fd < 0)
		return err_trace(fd);
	watch = mem_new(struct process_watch);
	watch->pid = pid;
	watch->fd = fd;
	watch->ended = ended;
	watch->user = user;
	r = loop_watch_new(loop, fd, LOOP_READABLE, on_readable, watch, &watch->watch);
	if (r < 0) {
		(void)close(fd);
		free(watch);
		return err_trace(r);
	}
	*ret_watch = watch;
	return 0;
}

int process_watch_status(const struct process_watch *watch)
{
	return watch->status;
}

void process_watch_free(struct process_watch *watch)
{
	if (!watch)
		return;
	loop_watch_free(watch->watch);
	(void)close(watch->fd);
	free(watch);
}
