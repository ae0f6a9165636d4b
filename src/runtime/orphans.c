/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/orphans.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "io/file.h"
#include "runtime/files.h"

enum {
	STATUS_MAX = 8192, /* of /proc/PID/status: some 60 short lines */
};

struct orphans {
	struct loop_signal *signal;
};

/* In how many pid namespaces a process has a number, from that of /proc on; 0 if it is gone. */
static size_t depth(pid_t pid)
{
	struct buf text = {0};
	const char *line;
	size_t count = 0;

	if (file_read(path_format("/proc/%d/status", (int)pid).text, STATUS_MAX, &text) == 0) {
		line = strstr(buf_cstr(&text), "\nNSpid:");
		for (line = line ? line + 1 : NULL; line && *line && *line != '\n'; line++)
			count += *line == '\t';
	}
	buf_deinit(&text);
	return count;
}

void orphans_reap(void)
{
	size_t own = depth(getpid());

	for (;;) {
		siginfo_t info = {0};

		if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid == 0 ||
		    depth(info.si_pid) <= own)
			return;
		(void)waitpid(info.si_pid, NULL, WNOHANG);
	}
}

static void on_signal(void *user, int signum)
{
	(void)user;
	(void)signum;
	orphans_reap();
}

int orphans_new(struct loop *loop, struct orphans **ret_orphans)
{
	struct orphans *orphans = mem_new(struct orphans);
	int r = loop_signal_new(loop, SIGCHLD, on_signal, orphans, &orphans->signal);

	if (r < 0) {
		free(orphans);
		return r;
	}
	*ret_orphans = orphans;
	return 0;
}

void orphans_free(struct orphans *orphans)
{
	if (!orphans)
		return;
	loop_signal_free(orphans->signal);
	free(orphans);
}
