/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Control: R/control.sock, where the magik command asks the running daemon.
 *
 * Only root can open it. One request per connection: a line of JSON {"verb":"status"}, or
 * "counters" for what /metrics has, "tenders" for what /debug/tenders has, "revoke" with a
 * "machine", "user" or "serial" and a "reason", or "revocations"; the answer is one line with
 * "done":true, or
 * {"error":...,"done":true}. The socket is made before root is given up.
 */
#include "machineplane/fabric.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <jansson.h>

#include "base/list.h"
#include "base/mem.h"
#include "io/local.h"

enum {
	CONTROL_LINE_MAX = 4096,
	CONTROL_CLIENTS_MAX = 16,
	CONTROL_BACKLOG = 16,
};

struct client {
	struct list link;
	struct control *control;
	int fd;
	struct loop_watch *watch;
	struct buf in, out;
};

struct control {
	struct fabric *fabric;
	int fd;
	struct loop_watch *watch;
	struct list clients;
	size_t client_count;
};

static void client_free(struct client *client)
{
	list_remove(&client->link);
	client->control->client_count--;
	loop_watch_free(client->watch);
	(void)close(client->fd);
	buf_deinit(&client->in);
	buf_deinit(&client->out);
	free(client);
}

enum control_verb control_verb_of(struct bytes line)
{
	static const char *const names[] = {[CONTROL_STATUS] = "status",
					    [CONTROL_COUNTERS] = "counters",
					    [CONTROL_TENDERS] = "tenders",
					    [CONTROL_REVOKE] = "revoke",
					    [CONTROL_REVOCATIONS] = "revocations"};
	json_t *request = json_loadb((const char *)line.ptr, line.len, 0, NULL);
	const char *verb = json_string_value(json_object_get(request, "verb"));
	enum control_verb found = CONTROL_UNKNOWN;

	for (size_t i = CONTROL_UNKNOWN + 1; verb && i < ARRAY_LEN(names); i++)
		if (strcmp(verb, names[i]) == 0)
			found = (enum control_verb)i;
	json_decref(request);
	return found;
}

static bool append_json(json_t *value, struct buf *out)
{
	char *text = json_dumps(value, JSON_COMPACT);

	json_decref(value);
	if (text)
		buf_append_str(out, text);
	free(text);
	return text != NULL;
}

static bool answer_revoke(struct client *client)
{
	struct bytes line = bytes_buf(&client->in);
	json_t *request = json_loadb((const char *)line.ptr, line.len, 0, NULL);
	bool said = append_json(revoked_control(client->control->fabric, request), &client->out);

	json_decref(request);
	return said;
}

static bool answer_verb(struct client *client, enum control_verb verb)
{
	struct fabric *fabric = client->control->fabric;

	switch (verb) {
	case CONTROL_STATUS:
		return document_status(fabric, &client->out);
	case CONTROL_COUNTERS:
		return document_counters(fabric, &client->out);
	case CONTROL_TENDERS:
		return document_tenders(fabric, &client->out);
	case CONTROL_REVOKE:
		return answer_revoke(client);
	case CONTROL_REVOCATIONS:
		return append_json(revoked_list(fabric), &client->out);
	case CONTROL_UNKNOWN:
		break;
	}
	buf_append_str(&client->out, "{\"error\":\"unknown verb\",\"done\":true}");
	return true;
}

static void answer(struct client *client)
{
	if (!answer_verb(client, control_verb_of(bytes_buf(&client->in))))
		buf_append_str(&client->out, "{\"error\":\"this machine is not a member of a "
					     "fabric yet\",\"done\":true}");
	buf_append_str(&client->out, "\n");
	loop_watch_set(client->watch, LOOP_WRITABLE);
}

static void client_ready(void *user, int events)
{
	struct client *client = user;
	uint8_t chunk[1024];
	ssize_t len;

	if (client->out.len) {
		len = send(client->fd, client->out.ptr, client->out.len, MSG_NOSIGNAL);
		if (len > 0)
			buf_consume(&client->out, (size_t)len);
		if (client->out.len == 0 || (len < 0 && errno != EAGAIN))
			client_free(client);
		return;
	}
	len = recv(client->fd, chunk, sizeof(chunk), 0);
	if (len < 0 && errno == EAGAIN)
		return;
	if (len <= 0 || client->in.len + (size_t)len > CONTROL_LINE_MAX) {
		client_free(client);
		return;
	}
	buf_append(&client->in, chunk, (size_t)len);
	if (memchr(client->in.ptr, '\n', client->in.len))
		answer(client);
}

static void accept_ready(void *user, int events)
{
	struct control *control = user;
	int fd = accept4(control->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct client *client;

	if (fd < 0)
		return;
	if (control->client_count == CONTROL_CLIENTS_MAX) {
		(void)close(fd);
		return;
	}
	client = mem_new(struct client);
	client->control = control;
	client->fd = fd;
	list_append(&control->clients, &client->link);
	control->client_count++;
	if (loop_watch_new(control->fabric->loop, fd, LOOP_READABLE, client_ready, client,
			   &client->watch) != 0)
		client_free(client);
}

struct control *control_new(struct fabric *fabric, struct err *err)
{
	struct control *control = mem_new(struct control);
	int result;

	control->fabric = fabric;
	list_init(&control->clients);
	control->fd =
		local_listen(fabric->settings.options.run_dir, "control.sock", CONTROL_BACKLOG);
	result = control->fd < 0 ? control->fd
				 : loop_watch_new(fabric->loop, control->fd, LOOP_READABLE,
						  accept_ready, control, &control->watch);
	if (result == 0)
		return control;
	(void)err_set(err, result, "%s/control.sock: %s", fabric->settings.options.run_dir,
		      strerror(-result));
	control_free(control);
	return NULL;
}

void control_free(struct control *control)
{
	if (!control)
		return;
	list_for_each_safe (it, &control->clients)
		client_free(list_entry(it, struct client, link));
	loop_watch_free(control->watch);
	if (control->fd >= 0)
		(void)close(control->fd);
	free(control);
}
