/* SPDX-License-Identifier: Apache-2.0 */
#include "machineplane/revoked_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "identity/revocation.h"
#include "io/file.h"

enum {
	/* An envelope of 1.5 KiB and a chain of 2, in base64; ours are half of that. */
	LINE_MAX_LEN = 6 * 1024,
	FILE_MAX = REVOCATIONS_MAX * LINE_MAX_LEN,
};

void revoked_file_line(struct bytes envelope, struct bytes chain, struct buf *out)
{
	base64_encode(envelope, out);
	buf_append_str(out, " ");
	base64_encode(chain, out);
	buf_append_str(out, "\n");
}

static bool decode(const char *text, struct buf *out)
{
	return text && base64_decode(bytes_str(text), out);
}

static bool read_line(char *line,
		      bool (*each)(void *arg, struct bytes envelope, struct bytes chain), void *arg)
{
	const char *envelope_text = strsep(&line, " ");
	struct buf envelope = {0}, chain = {0};
	bool sound = decode(envelope_text, &envelope) && decode(line, &chain) &&
		     each(arg, bytes_buf(&envelope), bytes_buf(&chain));

	buf_deinit(&envelope);
	buf_deinit(&chain);
	return sound;
}

int revoked_file_read(const char *path,
		      bool (*each)(void *arg, struct bytes envelope, struct bytes chain), void *arg,
		      size_t *ret_bad)
{
	struct buf content = {0};
	char *rest, *line;
	int result = file_read(path, FILE_MAX, &content);

	*ret_bad = 0;
	if (result == 0) {
		(void)buf_cstr(&content);
		rest = (char *)content.ptr;
		while ((line = strsep(&rest, "\n")) != NULL)
			*ret_bad += *line && !read_line(line, each, arg);
	}
	buf_deinit(&content);
	return result;
}

int revoked_file_add(const char *path, struct bytes envelope, struct bytes chain)
{
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	struct buf line = {0};
	int result;

	if (fd < 0)
		return -errno;
	/* The line before may have been torn by a power cut. */
	buf_append_str(&line, "\n");
	revoked_file_line(envelope, chain, &line);
	result = file_write_all(fd, bytes_buf(&line));
	if (close(fd) < 0 && result == 0)
		result = -errno;
	buf_deinit(&line);
	return result;
}
