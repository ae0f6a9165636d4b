/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/control.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/bytes.h"
#include "io/local.h"

static int control_unanswered(const char *state_dir, struct err *err)
{
	return err_set(err, -ECONNREFUSED, "no daemon answers for the state directory %s",
		       state_dir);
}

static int control_connect(const char *state_dir, const char *name, int timeout_s, struct err *err)
{
	struct timeval timeout = {.tv_sec = timeout_s};
	struct buf run_dir = {0};
	int fd;

	buf_append_format(&run_dir, "%s/run", state_dir);
	fd = local_connect(buf_cstr(&run_dir), name);
	buf_deinit(&run_dir);
	if (fd == -EACCES)
		return err_set(err, -EACCES, "only root may ask the daemon");
	if (fd < 0)
		return control_unanswered(state_dir, err);
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
	return fd;
}

static int control_send(int fd, const json_t *request, struct err *err)
{
	char *text = json_dumps(request, JSON_COMPACT);
	struct buf line = {0};
	size_t sent = 0;
	int r = 0;

	if (!text)
		return err_set(err, -EINVAL, "an argument is not UTF-8");
	buf_append_str(&line, text);
	buf_append_str(&line, "\n");
	free(text);
	while (r == 0 && sent < line.len) {
		ssize_t n = send(fd, line.ptr + sent, line.len - sent, MSG_NOSIGNAL);

		if (n < 0 && errno != EINTR)
			r = err_set(err, -errno, "ask the daemon: %m");
		sent += n > 0 ? (size_t)n : 0;
	}
	buf_deinit(&line);
	return r;
}

/* Read on until @buf holds a whole line. */
static int control_fill(int fd, struct buf *buf, struct err *err)
{
	while (!buf->len || !memchr(buf->ptr, '\n', buf->len)) {
		char chunk[4096];
		ssize_t n = recv(fd, chunk, sizeof(chunk), 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return err_set(err, -ETIMEDOUT, "the daemon does not answer in time");
		if (n <= 0)
			return err_set(err, -ECONNRESET, "the daemon hung up");
		buf_append(buf, chunk, (size_t)n);
		if (buf->len > CONTROL_LINE_MAX)
			return err_set(err, -EMSGSIZE, "the daemon's answer is too long");
	}
	return 0;
}

/* One answer; those before the last only say that work goes on. */
static int control_next(int fd, struct buf *buf, json_t **ret_object, struct err *err)
{
	int r = control_fill(fd, buf, err);
	json_t *object;
	size_t len;

	if (r)
		return r;
	len = (size_t)((uint8_t *)memchr(buf->ptr, '\n', buf->len) - buf->ptr);
	object = json_loadb((const char *)buf->ptr, len, JSON_REJECT_DUPLICATES, NULL);
	buf_consume(buf, len + 1);
	if (!json_is_object(object)) {
		json_decref(object);
		return err_set(err, -EBADMSG, "the daemon's answer makes no sense");
	}
	*ret_object = object;
	return 0;
}

static int control_receive(int fd, json_t **ret_answer, struct err *err)
{
	struct buf buf = {0};
	json_t *answer = NULL;
	int r;

	for (;;) {
		r = control_next(fd, &buf, &answer, err);
		if (r || json_is_true(json_object_get(answer, "done")))
			break;
		json_decref(answer);
	}
	buf_deinit(&buf);
	if (r)
		return r;
	if (control_text(answer, "error")[0]) {
		(void)err_set(err, -EREMOTEIO, "%s", control_text(answer, "error"));
		json_decref(answer);
		return -EREMOTEIO;
	}
	*ret_answer = answer;
	return 0;
}

int control_ask(const char *state_dir, const char *socket, json_t *request, int timeout_s,
		json_t **ret_answer, struct err *err)
{
	int fd = control_connect(state_dir, socket, timeout_s, err), r;

	if (fd < 0)
		return fd;
	r = control_send(fd, request, err);
	if (r == 0)
		r = control_receive(fd, ret_answer, err);
	(void)close(fd);
	return r;
}

int control_status(const char *state_dir, json_t **ret_status, struct err *err)
{
	json_t *request = json_pack("{s:s}", "verb", "status");
	int r = control_ask(state_dir, CONTROL_SOCKET, request, CONTROL_STATUS_TIMEOUT_S,
			    ret_status, err);

	json_decref(request);
	return r;
}

const char *control_text(const json_t *object, const char *member)
{
	const char *text = json_string_value(json_object_get(object, member));

	return text ? text : "";
}
