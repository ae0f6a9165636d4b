/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/image_pull.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/list.h"
#include "base/mem.h"
#include "runtime/files.h"
#include "runtime/image_ref.h"

enum {
	STDERR_MAX = 16 * 1024,
	ARGV_MAX = 16,
};

struct waiter {
	struct list link;
	image_pull_done *done;
	void *ctx;
};

/*
 * One image on its way:
 *
 *   QUEUED --a slot is free--> COPYING --skopeo ended well--> IMPORTING --> done
 *                                 +------- skopeo failed, or timeout ------> done
 */
enum pull_state {
	PULL_QUEUED,
	PULL_COPYING,
	PULL_IMPORTING,
};

struct pull {
	struct list link;
	struct image_puller *puller;
	enum pull_state state;
	char *source, *name;
	bool loaded;
	struct list waiters;
	unsigned number; /* of its directory below tmp/ */
	uv_process_t process;
	uv_pipe_t errors;
	uv_timer_t timeout;
	uv_work_t work;
	struct buf stderr_text;
	unsigned handles;
	bool exited, timed_out;
	int64_t exit_status;
	int result;
	struct err err;
};

struct image_puller {
	uv_loop_t *loop;
	struct image_store *store;
	struct list pulls;
	void (*arrived)(void *ctx);
	void *ctx;
	unsigned next_number, running;
	bool closing;
};

struct image_puller *image_puller_new(uv_loop_t *loop, struct image_store *store,
				      void (*arrived)(void *ctx), void *ctx)
{
	struct image_puller *puller = mem_new(struct image_puller);

	puller->loop = loop;
	puller->store = store;
	puller->arrived = arrived;
	puller->ctx = ctx;
	list_init(&puller->pulls);
	return puller;
}

static struct path layout_dir(const struct pull *pull)
{
	return path_format("%s/pull-%u", image_store_tmp(pull->puller->store), pull->number);
}

static void puller_advance(struct image_puller *puller);

static void pull_free(struct pull *pull)
{
	list_for_each_safe (it, &pull->waiters) {
		list_remove(it);
		free(list_entry(it, struct waiter, link));
	}
	buf_deinit(&pull->stderr_text);
	free(pull->source);
	free(pull->name);
	free(pull);
}

/* Tell everyone. A waiter may ask for the same image again at once: the pull is off the list. */
static void pull_end(struct pull *pull)
{
	struct image_puller *puller = pull->puller;

	(void)!tree_remove(layout_dir(pull).text);
	image_store_release(puller->store);
	list_remove(&pull->link);
	puller->running--;
	if (pull->result == 0 && !puller->closing)
		puller->arrived(puller->ctx);
	while (!list_is_empty(&pull->waiters) && !puller->closing) {
		struct waiter *waiter = list_first(&pull->waiters, struct waiter, link);

		list_remove(&waiter->link);
		waiter->done(waiter->ctx, pull->result, &pull->err);
		free(waiter);
	}
	pull_free(pull);
	if (puller->closing) {
		if (list_is_empty(&puller->pulls))
			free(puller);
		return;
	}
	puller_advance(puller);
}

static void on_import(uv_work_t *work)
{
	struct pull *pull = work->data;

	pull->result = image_store_import(pull->puller->store, layout_dir(pull).text, pull->name,
					  pull->loaded, &pull->err);
}

static void on_imported(uv_work_t *work, int status)
{
	struct pull *pull = work->data;

	if (status < 0)
		pull->result = err_set(&pull->err, status, "cancelled");
	pull_end(pull);
}

/* skopeo's last line: time="..." level=fatal msg="what we want" */
static void explain_failure(struct pull *pull)
{
	const char *prefix = "level=fatal msg=\"";
	const char *text = buf_cstr(&pull->stderr_text), *at = strstr(text, prefix);
	char line[ERR_TEXT_MAX];

	(void)snprintf(line, sizeof(line), "%s", at ? at + strlen(prefix) : text);
	line[strcspn(line, "\n")] = '\0';
	if (at && line[0] && line[strlen(line) - 1] == '"')
		line[strlen(line) - 1] = '\0';
	if (pull->timed_out)
		pull->result = err_set(&pull->err, -ETIMEDOUT, "no end within %d minutes",
				       IMAGE_PULL_TIMEOUT_MS / 60000);
	else
		pull->result = err_set(&pull->err, -EPROTO, "%s",
				       line[0] ? line : "skopeo failed without a word");
}

/* The process has ended and all its handles are closed. */
static void on_handle_closed(uv_handle_t *handle)
{
	struct pull *pull = handle->data;

	if (--pull->handles > 0)
		return;
	if (pull->exited && pull->exit_status == 0 && !pull->puller->closing) {
		pull->state = PULL_IMPORTING;
		pull->work.data = pull;
		(void)uv_queue_work(pull->puller->loop, &pull->work, on_import, on_imported);
		return;
	}
	if (pull->exited)
		explain_failure(pull);
	pull_end(pull);
}

static void close_handles(struct pull *pull)
{
	uv_close((uv_handle_t *)&pull->process, on_handle_closed);
	uv_close((uv_handle_t *)&pull->errors, on_handle_closed);
	uv_close((uv_handle_t *)&pull->timeout, on_handle_closed);
}

static void on_process_exit(uv_process_t *process, int64_t status, int signal)
{
	struct pull *pull = process->data;

	pull->exited = true;
	pull->exit_status = signal ? 128 + signal : status;
	close_handles(pull);
}

static void on_timeout(uv_timer_t *timer)
{
	struct pull *pull = timer->data;

	pull->timed_out = true;
	(void)uv_process_kill(&pull->process, SIGKILL);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *ret)
{
	struct pull *pull = handle->data;

	(void)suggested;
	/* What comes after is lost; the pipe must still be emptied, or skopeo would wait. */
	if (pull->stderr_text.len > STDERR_MAX)
		buf_clear(&pull->stderr_text);
	buf_reserve(&pull->stderr_text, 4096);
	*ret = uv_buf_init((char *)pull->stderr_text.ptr + pull->stderr_text.len, 4096);
}

static void on_stderr(uv_stream_t *stream, ssize_t got, const uv_buf_t *buf)
{
	struct pull *pull = stream->data;

	(void)buf;
	if (got > 0)
		pull->stderr_text.len += (size_t)got;
	else if (got < 0)
		(void)uv_read_stop(stream);
}

static bool is_plain_registry(const struct pull *pull)
{
	struct image_ref ref;
	struct err ignored;

	return !pull->loaded && image_ref_parse(pull->name, &ref, &ignored) == 0 &&
	       image_ref_is_loopback(&ref);
}

static int pull_spawn(struct pull *pull)
{
	struct path layout = layout_dir(pull);
	struct path to = path_format("oci:%s:image", layout.text);
	struct path blobs = path_format("%s", image_store_blobs(pull->puller->store));
	char *argv[ARGV_MAX] = {0};
	uv_stdio_container_t stdio[3] = {
		{.flags = UV_IGNORE},
		{.flags = UV_IGNORE},
		{.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE,
		 .data.stream = (uv_stream_t *)&pull->errors},
	};
	uv_process_options_t options = {.exit_cb = on_process_exit,
					.file = "skopeo",
					.args = argv,
					.stdio = stdio,
					.stdio_count = 3};
	size_t n = 0;

	/* Where it cannot be made, skopeo says so. */
	(void)!dir_make(layout.text, 0700);
	argv[n++] = (char *)(uintptr_t) "skopeo";
	/* The operator's signature policy where there is one; the digest decides in any case. */
	if (!path_exists("/etc/containers/policy.json"))
		argv[n++] = (char *)(uintptr_t) "--insecure-policy";
	argv[n++] = (char *)(uintptr_t) "copy";
	argv[n++] = (char *)(uintptr_t) "--quiet";
	if (is_plain_registry(pull))
		argv[n++] = (char *)(uintptr_t) "--src-tls-verify=false";
	argv[n++] = (char *)(uintptr_t) "--dest-shared-blob-dir";
	argv[n++] = blobs.text;
	argv[n++] = pull->source;
	argv[n++] = to.text;
	return uv_spawn(pull->puller->loop, &pull->process, &options);
}

static void pull_start(struct pull *pull)
{
	struct image_puller *puller = pull->puller;
	int r;

	pull->state = PULL_COPYING;
	pull->handles = 3;
	pull->process.data = pull->errors.data = pull->timeout.data = pull;
	puller->running++;
	image_store_hold(puller->store);
	(void)uv_pipe_init(puller->loop, &pull->errors, 0);
	(void)uv_timer_init(puller->loop, &pull->timeout);
	r = pull_spawn(pull);
	if (r < 0) {
		pull->result = err_set(&pull->err, r, "skopeo: %s", uv_strerror(r));
		close_handles(pull);
		return;
	}
	(void)uv_read_start((uv_stream_t *)&pull->errors, on_alloc, on_stderr);
	(void)uv_timer_start(&pull->timeout, on_timeout, IMAGE_PULL_TIMEOUT_MS, 0);
}

static void puller_advance(struct image_puller *puller)
{
	list_for_each_safe (it, &puller->pulls) {
		struct pull *pull = list_entry(it, struct pull, link);

		if (puller->running >= IMAGE_PULLS_MAX)
			return;
		if (pull->state == PULL_QUEUED)
			pull_start(pull);
	}
}

static struct pull *pull_find(struct image_puller *puller, const char *source, const char *name)
{
	list_for_each (it, &puller->pulls) {
		struct pull *pull = list_entry(it, struct pull, link);

		if (strcmp(pull->source, source) == 0 && strcmp(pull->name, name) == 0)
			return pull;
	}
	return NULL;
}

static void request(struct image_puller *puller, const char *source, const char *name, bool loaded,
		    struct waiter *waiter)
{
	struct pull *pull = pull_find(puller, source, name);

	if (!pull) {
		pull = mem_new(struct pull);
		pull->puller = puller;
		pull->source = mem_strdup(source);
		pull->name = mem_strdup(name);
		pull->loaded = loaded;
		pull->number = puller->next_number++;
		list_init(&pull->waiters);
		list_append(&puller->pulls, &pull->link);
	}
	list_append(&pull->waiters, &waiter->link);
	puller_advance(puller);
}

static struct waiter *waiter_new(image_pull_done *done, void *ctx)
{
	struct waiter *waiter = mem_new(struct waiter);

	waiter->done = done;
	waiter->ctx = ctx;
	return waiter;
}

void image_pull(struct image_puller *puller, const char *name, image_pull_done *done, void *ctx)
{
	struct path source = path_format("docker://%s", name);

	request(puller, source.text, name, false, waiter_new(done, ctx));
}

void image_load(struct image_puller *puller, const char *source, const char *name,
		image_pull_done *done, void *ctx)
{
	request(puller, source, name, true, waiter_new(done, ctx));
}

void image_pull_cancel(struct image_puller *puller, void *ctx)
{
	list_for_each (it, &puller->pulls) {
		struct pull *pull = list_entry(it, struct pull, link);

		list_for_each_safe (at, &pull->waiters) {
			struct waiter *waiter = list_entry(at, struct waiter, link);

			if (waiter->ctx != ctx)
				continue;
			list_remove(at);
			free(waiter);
		}
	}
}

void image_puller_close(struct image_puller *puller)
{
	if (!puller)
		return;
	puller->closing = true;
	list_for_each_safe (it, &puller->pulls) {
		struct pull *pull = list_entry(it, struct pull, link);

		if (pull->state == PULL_COPYING && !pull->exited)
			(void)uv_process_kill(&pull->process, SIGKILL);
		if (pull->state == PULL_QUEUED) {
			list_remove(it);
			pull_free(pull);
		}
	}
	if (list_is_empty(&puller->pulls))
		free(puller);
}
