/* SPDX-License-Identifier: Apache-2.0 */
/*
 * R/host.sock: what the magik command asks of the host process. Only root may connect.
 *
 * One JSON object a line each way; a request is answered by any number of lines and one last, which
 * has "done":true, and "error" with a sentence when it failed:
 *
 *   {"verb":"image-load","source":"/path/of/archive.tar","name":"optional"}
 *   {"verb":"image-load","source":"docker.io/library/nginx:1"}
 *       -> {"loaded":name} for each image of an archive, then {"image":the last name,"done":true}
 *   {"verb":"image-ls"}
 *       -> {"images":[{"name":...,"digest":...,"size":...,"loaded":...}],"done":true}
 *   {"verb":"image-rm","source":name}
 *   {"verb":"drain"}        answered when the last pod is gone; the host process then ends
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <jansson.h>

#include "base/mem.h"
#include "io/local.h"
#include "io/log.h"
#include "machineplane/host_core.h"
#include "runtime/files.h"
#include "runtime/image_archive.h"
#include "runtime/image_ref.h"
#include "runtime/job.h"

enum {
	LINE_MAX_LEN = 16 * 1024,
	CLIENTS_MAX = 64,
	BACKLOG = 16,
	SOURCE_MAX = 500, /* bytes of a path; longer ones cannot be handed on */
};

struct host_control {
	struct host *host;
	int fd;
	char *path;
	struct loop_watch *watch;
	struct list clients;
	size_t client_count;
};

struct client {
	struct list link;
	struct host_control *control;
	int fd;
	struct loop_watch *watch;
	struct buf in, out;
	bool drains;
	/* A load under way: the archive's images, one after the other. */
	struct image_archive archive;
	size_t archive_at;
	char *source, *name;
	int result;
	struct err err;
	bool busy; /* something will call back: the client must stay */
	bool gone; /* but nobody listens any more */
};

static void client_free(struct client *client)
{
	loop_watch_free(client->watch);
	client->watch = NULL;
	if (client->fd >= 0)
		(void)close(client->fd);
	client->fd = -1;
	client->gone = true;
	if (client->busy)
		return;
	list_remove(&client->link);
	client->control->client_count--;
	image_archive_deinit(&client->archive);
	buf_deinit(&client->in);
	buf_deinit(&client->out);
	free(client->source);
	free(client->name);
	free(client);
}

static void client_flush(struct client *client)
{
	while (client->out.len > 0) {
		ssize_t put = send(client->fd, client->out.ptr, client->out.len,
				   MSG_NOSIGNAL | MSG_DONTWAIT);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			break;
		buf_consume(&client->out, (size_t)put);
	}
	loop_watch_set(client->watch,
		       client->out.len > 0 ? LOOP_READABLE | LOOP_WRITABLE : LOOP_READABLE);
}

/* Takes @line. */
static void client_say(struct client *client, json_t *line)
{
	char *text = json_dumps(line, JSON_COMPACT);

	json_decref(line);
	if (!client->gone && text) {
		buf_append_str(&client->out, text);
		buf_append(&client->out, "\n", 1);
		client_flush(client);
	}
	free(text);
}

static void client_fail(struct client *client, const struct err *err)
{
	client_say(client, json_pack("{s:s,s:b}", "error", err->text, "done", 1));
}

/* A callback has come: the client may have left meanwhile. False: it is freed. */
static bool client_returns(struct client *client)
{
	client->busy = false;
	if (!client->gone)
		return true;
	client_free(client);
	return false;
}

static void client_job(struct client *client, void (*work)(void *arg), void (*done)(void *arg))
{
	client->busy = true;
	client->control->host->jobs++;
	job_run(client->control->host->loop, work, done, client);
}

static void load_next(struct client *client);

static void on_loaded(void *ctx, int r, const struct err *err)
{
	struct client *client = ctx;

	if (!client_returns(client))
		return;
	if (r < 0) {
		client_fail(client, err);
		image_archive_deinit(&client->archive);
		return;
	}
	client_say(client,
		   json_pack("{s:s}", "loaded", client->archive.images[client->archive_at].name));
	client->archive_at++;
	load_next(client);
}

static void load_next(struct client *client)
{
	const struct archived_image *image;

	if (client->archive_at == client->archive.count) {
		client_say(client, json_pack("{s:s,s:b}", "image",
					     client->archive.images[client->archive_at - 1].name,
					     "done", 1));
		image_archive_deinit(&client->archive);
		return;
	}
	image = &client->archive.images[client->archive_at];
	client->busy = true;
	image_load(client->control->host->puller, image->source, image->name, on_loaded, client);
}

static void archive_work(void *arg)
{
	struct client *client = arg;

	client->result =
		image_archive_read(client->source, client->name, &client->archive, &client->err);
}

static void archive_done(void *arg)
{
	struct client *client = arg;

	client->control->host->jobs--;
	if (!client_returns(client))
		return;
	if (client->result < 0)
		client_fail(client, &client->err);
	else
		load_next(client);
}

static void on_pulled(void *ctx, int r, const struct err *err)
{
	struct client *client = ctx;

	if (!client_returns(client))
		return;
	if (r < 0)
		client_fail(client, err);
	else
		client_say(client, json_pack("{s:s,s:b}", "image", client->source, "done", 1));
}

static void image_load_verb(struct client *client, const json_t *request)
{
	const char *source = json_string_value(json_object_get(request, "source"));
	const char *name = json_string_value(json_object_get(request, "name"));
	struct image_ref ref;
	struct err err;

	if (!source || strlen(source) >= SOURCE_MAX) {
		(void)err_set(&err, -EINVAL, "source is missing or too long");
		client_fail(client, &err);
		return;
	}
	free(client->source);
	free(client->name);
	client->name = mem_strdup(name);
	client->archive_at = 0;
	if (source[0] == '/') {
		client->source = mem_strdup(source);
		client_job(client, archive_work, archive_done);
		return;
	}
	client->source = NULL;
	if (image_ref_parse(source, &ref, &err) < 0) {
		client_fail(client, &err);
		return;
	}
	client->source = mem_strdup(ref.text);
	client->busy = true;
	image_pull(client->control->host->puller, ref.text, on_pulled, client);
}

static void add_image(void *ctx, const struct image_entry *entry)
{
	(void)json_array_append_new(
		ctx, json_pack("{s:s,s:s,s:I,s:b}", "name", entry->name, "digest", entry->id,
			       "size", (json_int_t)entry->bytes, "loaded", entry->loaded));
}

static void image_ls_verb(struct client *client, const json_t *request)
{
	json_t *images = json_array();

	(void)request;
	image_store_list(client->control->host->images, add_image, images);
	client_say(client, json_pack("{s:o,s:b}", "images", images, "done", 1));
}

static void remove_work(void *arg)
{
	struct client *client = arg;

	client->result =
		image_store_remove(client->control->host->images, client->name, &client->err);
}

static void remove_done(void *arg)
{
	struct client *client = arg;

	client->control->host->jobs--;
	host_fabric_images(client->control->host);
	if (!client_returns(client))
		return;
	if (client->result < 0)
		client_fail(client, &client->err);
	else
		client_say(client, json_pack("{s:b}", "done", 1));
}

static void image_rm_verb(struct client *client, const json_t *request)
{
	const char *name = json_string_value(json_object_get(request, "source"));
	struct image_ref ref;
	struct err err;

	if (image_ref_parse(name ? name : "", &ref, &err) < 0) {
		client_fail(client, &err);
		return;
	}
	free(client->name);
	client->name = mem_strdup(ref.text);
	client_job(client, remove_work, remove_done);
}

static void drain_verb(struct client *client, const json_t *request)
{
	(void)request;
	client->drains = true;
	host_drain(client->control->host);
}

static void client_obey(struct client *client, const json_t *request)
{
	static const struct {
		const char *name;
		void (*run)(struct client *client, const json_t *request);
	} verbs[] = {
		{"image-load", image_load_verb},
		{"image-ls", image_ls_verb},
		{"image-rm", image_rm_verb},
		{"drain", drain_verb},
	};
	const char *verb = json_string_value(json_object_get(request, "verb"));
	struct err err;

	for (size_t i = 0; verb && i < ARRAY_LEN(verbs); i++)
		if (strcmp(verbs[i].name, verb) == 0) {
			verbs[i].run(client, request);
			return;
		}
	(void)err_set(&err, -EINVAL, "unknown verb");
	client_fail(client, &err);
}

/* One request at a time: the next line is read when the answer to the last is complete. */
static void client_parse(struct client *client)
{
	const uint8_t *feed =
		client->in.len > 0 ? memchr(client->in.ptr, '\n', client->in.len) : NULL;
	json_error_t where;
	json_t *request;
	size_t len;

	if (!feed || client->busy || client->drains)
		return;
	len = (size_t)(feed - client->in.ptr);
	request = json_loadb((const char *)client->in.ptr, len, 0, &where);
	buf_consume(&client->in, len + 1);
	client_obey(client, request);
	json_decref(request);
}

static void on_client(void *user, int events)
{
	struct client *client = user;
	char chunk[4096];
	ssize_t got;

	if (events & LOOP_WRITABLE)
		client_flush(client);
	if (!(events & LOOP_READABLE))
		return;
	got = recv(client->fd, chunk, sizeof(chunk), MSG_DONTWAIT);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got <= 0 || client->in.len > LINE_MAX_LEN) {
		client_free(client);
		return;
	}
	buf_append(&client->in, chunk, (size_t)got);
	client_parse(client);
}

static void on_connect(void *user, int events)
{
	struct host_control *control = user;
	int fd = accept4(control->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct client *client;

	(void)events;
	if (fd < 0)
		return;
	if (control->client_count >= CLIENTS_MAX) {
		(void)close(fd);
		return;
	}
	client = mem_new(struct client);
	client->control = control;
	client->fd = fd;
	list_append(&control->clients, &client->link);
	control->client_count++;
	if (loop_watch_new(control->host->loop, fd, LOOP_READABLE, on_client, client,
			   &client->watch) < 0)
		client_free(client);
}

int host_control_new(struct host *host, struct host_control **ret_control, struct err *err)
{
	struct host_control *control = mem_new(struct host_control);
	int r;

	control->host = host;
	list_init(&control->clients);
	control->path = mem_strdup(path_format("%s/host.sock", host->config->run_dir).text);
	control->fd = local_listen(host->config->run_dir, "host.sock", BACKLOG);
	if (control->fd < 0) {
		r = err_set(err, control->fd, "listen on %.150s: %s", control->path,
			    strerror(-control->fd));
		free(control->path);
		free(control);
		return r;
	}
	r = loop_watch_new(host->loop, control->fd, LOOP_READABLE, on_connect, control,
			   &control->watch);
	if (r < 0) {
		host_control_free(control);
		return err_set(err, r, "watch host.sock: %s", strerror(-r));
	}
	*ret_control = control;
	return 0;
}

void host_control_drained(struct host_control *control)
{
	list_for_each_safe (it, &control->clients) {
		struct client *client = list_entry(it, struct client, link);

		if (client->drains)
			client_say(client, json_pack("{s:b}", "done", 1));
	}
}

/* All that might call back have been closed before. */
void host_control_free(struct host_control *control)
{
	if (!control)
		return;
	list_for_each_safe (it, &control->clients) {
		struct client *client = list_entry(it, struct client, link);

		client->busy = false;
		client_free(client);
	}
	loop_watch_free(control->watch);
	(void)close(control->fd);
	(void)unlink(control->path);
	free(control->path);
	free(control);
}

int host_control_ask_drain(const char *run_dir, struct err *err)
{
	const char *request = "{\"verb\":\"drain\"}\n";
	int fd = local_connect(run_dir, "host.sock");
	char answer[256];
	ssize_t got;

	if (fd < 0)
		return err_set(err, -ENOENT, "no host process serves %.150s", run_dir);
	if (send(fd, request, strlen(request), MSG_NOSIGNAL) < 0) {
		(void)close(fd);
		return err_set(err, -EPIPE, "the host process went away");
	}
	/* Its answer comes when the last pod is gone; its end, when it ended without one. */
	got = read(fd, answer, sizeof(answer) - 1);
	answer[got > 0 ? got : 0] = '\0';
	while (got > 0)
		got = read(fd, answer + sizeof(answer) - 1, 1);
	(void)close(fd);
	if (!strstr(answer, "\"done\""))
		return err_set(err, -EIO, "the host process ended before its pods had");
	return 0;
}
