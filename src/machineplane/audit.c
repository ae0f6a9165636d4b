/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The audit log: D/fabric/audit.log, a line of JSON for each change that this gateway was asked
 * for; older ones in audit.log.1 to .8, so that it takes a bounded share of the disk.
 *
 * The space of a whole file is taken from the file system when it is begun: a change that has been
 * made can then be written down even if the disk has become full meanwhile. When the next file
 * cannot be begun, changes are refused until it can. Lines are not flushed one by one: a power cut
 * takes the last seconds, the end of the daemon nothing.
 */
#include "machineplane/fabric.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "io/file.h"

enum {
	AUDIT_FILE_MAX = 16 * 1024 * 1024, /* some 50,000 changes; then the next file is begun */
	AUDIT_KEEP = 8,                    /* older files */
	/* Of changes that are under way when a file is full: as many as there may be clients. */
	AUDIT_SPARE = 1024 * 4096,
};

struct audit_log {
	char *path;
	int fd; /* < 0: none could be begun */
	size_t size;
};

static char *numbered(const struct audit_log *log, int number)
{
	struct buf path = {0};
	char *text;

	buf_append_str(&path, log->path);
	if (number)
		buf_append_format(&path, ".%d", number);
	text = mem_strdup(buf_cstr(&path));
	buf_deinit(&path);
	return text;
}

/* Take the space; file systems that cannot are written to as they are. */
static int reserve(int fd)
{
	if (fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, AUDIT_FILE_MAX + AUDIT_SPARE) == 0 ||
	    errno == EOPNOTSUPP || errno == ENOSYS)
		return 0;
	return -errno;
}

static int begin(struct audit_log *log)
{
	int fd = open(log->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	struct stat info;
	int result = fd < 0 ? -errno : reserve(fd);

	if (result == 0 && fstat(fd, &info) != 0)
		result = -errno;
	if (result) {
		if (fd >= 0)
			(void)close(fd);
		return result;
	}
	log->fd = fd;
	log->size = (size_t)info.st_size;
	return 0;
}

/* The oldest goes, each other becomes the next older one. */
static int rotate(struct audit_log *log)
{
	int result = 0;

	(void)close(log->fd);
	log->fd = -1;
	for (int i = AUDIT_KEEP; i > 0 && result == 0; i--) {
		char *older = numbered(log, i), *newer = numbered(log, i - 1);

		if (rename(newer, older) != 0 && errno != ENOENT)
			result = -errno;
		free(older);
		free(newer);
	}
	return result;
}

struct audit_log *audit_log_new(const char *state_dir)
{
	struct audit_log *log = mem_new(struct audit_log);
	struct buf path = {0};

	buf_append_format(&path, "%s/" CREDENTIALS_DIR "/audit.log", state_dir);
	log->path = mem_strdup(buf_cstr(&path));
	log->fd = -1;
	buf_deinit(&path);
	return log;
}

void audit_log_free(struct audit_log *log)
{
	if (!log)
		return;
	if (log->fd >= 0)
		(void)close(log->fd);
	free(log->path);
	free(log);
}

bool audit_log_ready(struct audit_log *log, struct err *err)
{
	int result = 0;

	if (log->fd >= 0 && log->size >= AUDIT_FILE_MAX)
		result = rotate(log);
	if (result == 0 && log->fd < 0)
		result = begin(log);
	if (result)
		(void)err_set(err, result, "%s: %s", log->path, strerror(-result));
	return result == 0;
}

void audit_log_write(struct audit_log *log, struct bytes line)
{
	struct buf text = {0};
	int result;

	buf_append_bytes(&text, line);
	buf_append_str(&text, "\n");
	result = log->fd < 0 ? -EBADF : file_write_all(log->fd, bytes_buf(&text));
	log->size += text.len;
	buf_deinit(&text);
	if (!result)
		return;
	log_event(LOG_LEVEL_ERROR, "not-audited", "%s: %s: %.*s", log->path, strerror(-result),
		  (int)line.len, (const char *)line.ptr);
	if (log->fd >= 0)
		(void)close(log->fd);
	log->fd = -1; /* until another one can be begun nothing is changed */
}
