/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/infra.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/child.h"
#include "runtime/files.h"
#include "runtime/pod_front.h"

enum {
	READY_TIMEOUT_MS = 10000, /* a few milliseconds on an idle machine */
	END_TIMEOUT_MS = 2000,
	REPORT_FD = 3,
	NET_FD = 4,
	IPC_FD = 5,
	UTS_FD = 6,
	MORE_FD = 7, /* and those behind it */
	NUMBER_MAX = 8,
	ARGV_MAX = 96,
	KIND_COUNT = 3,
};

static const char *const kinds[KIND_COUNT] = {"net", "ipc", "uts"};

/* Read the agent's one line; anything but "ready" is its reason. */
static int read_report(int fd, struct err *err)
{
	char text[ERR_TEXT_MAX] = {0};
	size_t len = 0;

	while (!strchr(text, '\n')) {
		ssize_t got;

		if (child_wait_readable(fd, READY_TIMEOUT_MS) < 0)
			return err_set(err, -ETIMEDOUT, "agent: no answer");
		got = read(fd, text + len, sizeof(text) - 1 - len);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		len += (size_t)got;
	}
	text[strcspn(text, "\n")] = '\0';
	if (strcmp(text, "ready") == 0)
		return 0;
	return err_set(err, -EPROTO, "agent: %.200s", len > 0 ? text : "ended at once");
}

/* Write down who the agent is, then let it go on. */
static int keep(const struct infra_options *options, int fd, pid_t pid, struct err *err)
{
	struct path text = path_format("%d %" PRIu64 "\n", (int)pid, child_start_time(pid));
	int r = file_replace(options->pid_file, bytes_str(text.text), 0600);

	if (r == 0 && write(fd, "k", 1) != 1)
		r = err_origin(-EPIPE);
	return r < 0 ? err_set(err, r, "write %s: %s", options->pid_file, strerror(-r)) : 0;
}

static int spawn(const struct infra_options *options, const int *join, pid_t *ret_pid,
		 struct err *err)
{
	char replicas[16];
	const char *argv[ARGV_MAX] = {
		options->agent,
		"--namespace",
		options->namespace,
		"--workload",
		options->workload,
		"--workload-kind",
		options->workload_kind,
		"--pod",
		options->pod,
		"--replicas",
		replicas,
		"--report-fd",
		"3",
		"--hostname",
		options->hostname,
		"--control-dir",
		options->control_dir,
		"--empty-dir",
		options->empty_dir,
	};
	size_t count = 19;
	struct child_fd fds[1 + KIND_COUNT + INFRA_FDS_MAX];
	char numbers[INFRA_FDS_MAX][NUMBER_MAX];
	struct child_options child = {
		.argv = argv, .cwd = "/", .fds = fds, .fd_count = 1, .own_session = true};
	int report[2], r;

	(void)snprintf(replicas, sizeof(replicas), "%u", options->replicas);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, report) < 0)
		return err_set(err, -errno, "socketpair: %s", strerror(errno));
	fds[0] = (struct child_fd){.ours = report[1], .theirs = REPORT_FD};
	for (int i = 0; join && i < KIND_COUNT; i++) {
		static const char *const names[] = {"--net-fd", "4",        "--ipc-fd",
						    "5",        "--uts-fd", "6"};

		argv[count++] = names[2 * i];
		argv[count++] = names[2 * i + 1];
		fds[child.fd_count++] = (struct child_fd){.ours = join[i], .theirs = NET_FD + i};
	}
	for (size_t i = 0; i < options->fd_count; i++) {
		if (options->fds[i].fd < 0)
			continue;
		fds[child.fd_count++] =
			(struct child_fd){.ours = options->fds[i].fd, .theirs = MORE_FD + (int)i};
		(void)snprintf(numbers[i], NUMBER_MAX, "%d", MORE_FD + (int)i);
		argv[count++] = options->fds[i].option;
		argv[count++] = numbers[i];
	}
	for (size_t i = 0; i < options->more_count; i++) {
		argv[count++] = options->more[i].option;
		if (options->more[i].value)
			argv[count++] = options->more[i].value;
	}
	r = child_spawn(&child, ret_pid, err);
	(void)close(report[1]);
	if (r == 0) {
		r = read_report(report[0], err);
		if (r == 0)
			r = keep(options, report[0], *ret_pid, err);
		if (r < 0) {
			(void)kill(*ret_pid, SIGKILL);
			(void)waitpid(*ret_pid, NULL, 0);
		}
	}
	(void)close(report[0]);
	return r;
}

static int pin(const char *pin_dir, pid_t pid, const char *kind)
{
	struct path from = path_format("/proc/%d/ns/%s", (int)pid, kind);
	struct path to = path_format("%s/%s", pin_dir, kind);
	int r = file_replace(to.text, bytes_str(""), 0400);

	if (r == 0 && mount(from.text, to.text, NULL, MS_BIND, NULL) < 0)
		r = err_origin(-errno);
	return r;
}

int infra_start(const struct infra_options *options, pid_t *ret_pid, struct err *err)
{
	pid_t pid;
	int r = spawn(options, NULL, &pid, err);

	if (r < 0)
		return r;
	for (int i = 0; r == 0 && i < KIND_COUNT; i++)
		r = pin(options->pin_dir, pid, kinds[i]);
	if (r < 0) {
		struct err ignored;

		(void)err_set(err, r, "pin namespaces: %s", strerror(-r));
		(void)kill(pid, SIGKILL);
		(void)waitpid(pid, NULL, 0);
		(void)!infra_unpin(options->pin_dir, &ignored);
		return r;
	}
	*ret_pid = pid;
	return 0;
}

int infra_restart(const struct infra_options *options, pid_t *ret_pid, struct err *err)
{
	int join[KIND_COUNT], r = 0;

	for (int i = 0; i < KIND_COUNT; i++) {
		struct path path = path_format("%s/%s", options->pin_dir, kinds[i]);

		join[i] = open(path.text, O_RDONLY | O_CLOEXEC);
		if (join[i] < 0)
			r = err_set(err, -errno, "open %s: %s", path.text, strerror(errno));
	}
	if (r == 0)
		r = spawn(options, join, ret_pid, err);
	for (int i = 0; i < KIND_COUNT; i++)
		if (join[i] >= 0)
			(void)close(join[i]);
	return r;
}

pid_t infra_find(const char *pid_file)
{
	struct buf text = {0};
	uint64_t started = 0;
	long pid = 0;
	char *end;

	if (file_read(pid_file, 64, &text) == 0) {
		pid = strtol(buf_cstr(&text), &end, 10);
		started = strtoull(end, NULL, 10);
	}
	buf_deinit(&text);
	if (pid <= 1 || started == 0 || child_start_time((pid_t)pid) != started)
		return 0;
	return (pid_t)pid;
}

void infra_kill(const char *pid_file)
{
	pid_t pid = infra_find(pid_file);
	int fd = pid > 0 ? child_pidfd(pid) : -1;

	if (fd >= 0) {
		(void)kill(pid, SIGTERM);
		if (child_wait_readable(fd, END_TIMEOUT_MS) < 0)
			(void)kill(pid, SIGKILL);
		(void)!child_wait_readable(fd, END_TIMEOUT_MS);
		(void)close(fd);
		(void)waitpid(pid, NULL, WNOHANG);
	}
	(void)unlink(pid_file);
}

int infra_unpin(const char *pin_dir, struct err *err)
{
	for (int i = 0; i < KIND_COUNT; i++) {
		struct path path = path_format("%s/%s", pin_dir, kinds[i]);

		/* EINVAL: no mount there; ENOENT: never made. */
		if (umount2(path.text, MNT_DETACH) < 0 && errno != EINVAL && errno != ENOENT)
			return err_set(err, -errno, "unmount %s: %s", path.text, strerror(errno));
		(void)unlink(path.text);
	}
	return pod_front_remove(path_format("%s/front", pin_dir).text, err);
}
