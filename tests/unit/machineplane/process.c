/* SPDX-License-Identifier: Apache-2.0 */
#include "process.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "io/clock.h"
#include "io/file.h"
#include "ipc/channel.h"
#include "machineplane/fabric.h"
#include "machineplane/settings.h"

enum {
	WAIT_MS = 20000,
	POLL_MS = 20000,
};

struct process {
	char dir[64];
	struct options options;
	struct state state;
	pid_t pid; /* 0: not running */
	int log_fd;
	struct buf log;
	struct ipc_channel *channel;
	char address[ADDR_PEER_TEXT_MAX];
};

static char *below(const struct process *process, const char *name)
{
	struct buf path = {0};

	buf_append_format(&path, "%s/%s", process->dir, name);
	return buf_steal(&path);
}

static void make_dir(const struct process *process, const char *name, uid_t uid)
{
	char *path = below(process, name);

	assert_int_equal(mkdir(path, 0755), 0);
	assert_int_equal(chown(path, uid, uid), 0);
	free(path);
}

struct process *process_new(const char *node_name)
{
	struct process *process = mem_new(struct process);

	(void)snprintf(process->dir, sizeof(process->dir), "/tmp/process_test.XXXXXX");
	assert_non_null(mkdtemp(process->dir));
	assert_int_equal(chmod(process->dir, 0755), 0);
	make_dir(process, "r", 0);
	process->options = (struct options){
		.node_name = mem_strdup(node_name),
		.state_dir = below(process, "s"),
		.run_dir = below(process, "r"),
		.rest_host = mem_strdup("127.0.0.1"),
		.mesh_host = mem_strdup("127.0.0.1"),
	};
	return process;
}

static void remove_all(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;

	while (dir && (entry = readdir(dir)) != NULL) {
		struct buf name = {0};

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		buf_append_format(&name, "%s/%s", path, entry->d_name);
		if (unlink(buf_cstr(&name)) != 0)
			remove_all(buf_cstr(&name));
		buf_deinit(&name);
	}
	if (dir)
		(void)closedir(dir);
	(void)rmdir(path);
}

void process_free(struct process *process)
{
	if (process->pid)
		(void)process_stop(process);
	remove_all(process->dir);
	options_deinit(&process->options);
	buf_deinit(&process->log);
	free(process);
}

struct options *process_options(struct process *process)
{
	return &process->options;
}

const char *process_dir(const struct process *process)
{
	return process->options.state_dir;
}

int process_prepare(struct process *process, struct err *err)
{
	return state_prepare(&process->options, &process->state, err);
}

void process_give(struct process *process, const struct credentials *credentials)
{
	struct credentials_files *files = mem_new(struct credentials_files);

	make_dir(process, "s", 0);
	make_dir(process, "s/" CREDENTIALS_DIR, STATE_FABRIC_UID);
	credentials_save(credentials, files);
	for (size_t i = 0; i < files->count; i++) {
		struct buf path = {0};

		buf_append_format(&path, "%s/" CREDENTIALS_DIR "/%s", process_dir(process),
				  files->file[i].name);
		assert_int_equal(
			file_write(buf_cstr(&path), bytes_buf(&files->file[i].content), 0600), 0);
		assert_int_equal(chown(buf_cstr(&path), STATE_FABRIC_UID, STATE_FABRIC_UID), 0);
		buf_deinit(&path);
	}
	credentials_files_deinit(files);
	free(files);
	process->state.member = true;
}

void process_read(const struct process *process, struct credentials *ret_credentials)
{
	struct credentials_files *files = mem_new(struct credentials_files);
	struct err err = {0};

	for (size_t i = 0; credentials_names[i]; i++) {
		struct buf path = {0}, content = {0};

		buf_append_format(&path, "%s/" CREDENTIALS_DIR "/%s", process_dir(process),
				  credentials_names[i]);
		if (file_read(buf_cstr(&path), CREDENTIALS_FILE_LEN_MAX, &content) == 0)
			credentials_files_add(files, credentials_names[i], &content);
		buf_deinit(&path);
	}
	assert_int_equal(credentials_load(files, ret_credentials, &err), 0);
	credentials_files_deinit(files);
	free(files);
}

/* A machine with room for nothing: these tests place no pods. */
static void send_hello(struct process *process)
{
	struct settings settings = {
		.options = process->options,
		.made = process->state.made,
		.roots = process->state.roots,
	};
	struct buf config = {0};
	Magik__Ipc__Hello hello;
	Magik__Ipc__Capacity capacity;
	Magik__Ipc__NodeFacts facts;

	magik__ipc__hello__init(&hello);
	magik__ipc__capacity__init(&capacity);
	magik__ipc__node_facts__init(&facts);
	settings_encode(&settings, &config);
	hello.config.data = config.ptr;
	hello.config.len = config.len;
	hello.capacity = hello.allocatable = &capacity;
	hello.facts = &facts;
	assert_int_equal(ipc_send(process->channel, IPC_HELLO, &hello.base, -1), 0);
	assert_int_equal(ipc_flush(process->channel), 0);
	buf_deinit(&config);
}

static void issue(struct process *process, const Magik__Ipc__IssueRequest *request)
{
	struct buf certs = {0};
	struct err err = {0};
	Magik__Ipc__IssueReply reply;
	int result = state_issue_admitter(process_dir(process),
					  bytes_of(request->content.data, request->content.len),
					  &certs, &err);

	magik__ipc__issue_reply__init(&reply);
	reply.request_id = request->request_id;
	reply.status = result == 0 ? 200 : 403;
	reply.error = err.text;
	reply.content.data = certs.ptr;
	reply.content.len = certs.len;
	assert_int_equal(ipc_send(process->channel, IPC_ISSUE_REPLY, &reply.base, -1), 0);
	assert_int_equal(ipc_flush(process->channel), 0);
	buf_deinit(&certs);
}

/* What a host process answers; everything else is only heard. */
static void serve(struct process *process)
{
	struct ipc_message message;

	while (process->channel && ipc_receive(process->channel, &message) == 0) {
		if (message.type == IPC_ISSUE_REQUEST)
			issue(process, (const Magik__Ipc__IssueRequest *)message.body);
		ipc_message_deinit(&message);
	}
}

static void child(int fd, int log_fd)
{
	enum { LOG = 2, CHANNEL = 3 };

	if (dup2(log_fd, LOG) >= 0 && dup2(fd, CHANNEL) >= 0 &&
	    close_range(CHANNEL + 1, ~0U, 0) == 0)
		(void)execl("/proc/self/exe", "/proc/self/exe", "--fabric-process", "3", NULL);
	_exit(EXIT_FAILURE);
}

int process_main(int argc, char **argv)
{
	if (argc != 3 || strcmp(argv[1], "--fabric-process") != 0)
		return -1;
	return fabric_run((int)strtol(argv[2], NULL, 10));
}

void process_start(struct process *process)
{
	int host_fd, fabric_fd, log[2];

	assert_int_equal(ipc_pair(&host_fd, &fabric_fd), 0);
	assert_int_equal(pipe2(log, O_CLOEXEC), 0);
	(void)fflush(NULL);
	process->pid = fork();
	assert_true(process->pid >= 0);
	if (process->pid == 0)
		child(fabric_fd, log[1]);
	(void)close(fabric_fd);
	(void)close(log[1]);
	process->log_fd = log[0];
	process->channel = ipc_channel_new(host_fd, IPC_HOST, IPC_FABRIC);
	send_hello(process);
}

static void note_address(struct process *process, const char *line)
{
	const char *mesh = strstr(line, ": mesh ");
	struct credentials credentials = {0};
	char addr[64] = "";

	if (!strstr(line, "[member-of]") || !mesh || sscanf(mesh, ": mesh %63[^,]", addr) != 1)
		return;
	process_read(process, &credentials);
	(void)snprintf(process->address, sizeof(process->address), "%s@%s",
		       node_id_text(&credentials.machine.key).text, addr);
	credentials_deinit(&credentials);
}

/* The next whole line of the log, without waiting; the caller frees it. */
static char *take_line(struct process *process)
{
	uint8_t *end = process->log.len ? memchr(process->log.ptr, '\n', process->log.len) : NULL;
	char *line;

	if (!end)
		return NULL;
	line = mem_copy(process->log.ptr, (size_t)(end - process->log.ptr));
	buf_consume(&process->log, strlen(line) + 1);
	note_address(process, line);
	return line;
}

/* False at the end of the log. */
static bool read_log(struct process *process, int timeout_ms)
{
	struct pollfd fds[] = {
		{.fd = process->log_fd, .events = POLLIN},
		{.fd = ipc_channel_fd(process->channel), .events = POLLIN},
	};
	char chunk[4096];
	ssize_t len;

	if (poll(fds, ARRAY_LEN(fds), timeout_ms) <= 0)
		return false;
	if (fds[1].revents)
		serve(process);
	if (!fds[0].revents)
		return true;
	len = read(process->log_fd, chunk, sizeof(chunk));
	if (len > 0)
		buf_append(&process->log, chunk, (size_t)len);
	return len > 0;
}

bool process_says(struct process *process, const char *word, const char *other)
{
	struct mono end = mono_add_ms(clock_mono(), WAIT_MS);
	char *line;
	bool found = false;

	while (!found && !mono_reached(clock_mono(), end)) {
		line = take_line(process);
		if (!line && !read_log(process, POLL_MS))
			break;
		found = line && strstr(line, word) && strstr(line, other);
		if (line)
			print_message("  %s\n", line);
		free(line);
	}
	return found;
}

static void drain(struct process *process)
{
	char *line;

	while (read_log(process, POLL_MS))
		continue;
	while ((line = take_line(process)) != NULL) {
		print_message("  %s\n", line);
		free(line);
	}
}

int process_wait(struct process *process)
{
	int status;

	drain(process);
	assert_int_equal(waitpid(process->pid, &status, 0), process->pid);
	process->pid = 0;
	(void)close(process->log_fd);
	process->channel = ipc_channel_free(process->channel);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int process_stop(struct process *process)
{
	(void)kill(process->pid, SIGTERM);
	return process_wait(process);
}

const char *process_address(const struct process *process)
{
	return process->address;
}
