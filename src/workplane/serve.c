/* SPDX-License-Identifier: Apache-2.0 */
#include "workplane/serve.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/list.h"
#include "base/mem.h"
#include "ipc/link.h"
#include "workplane/check.h"

struct serve {
	struct loop *loop;
	struct loop_watch *watch;
	int fd;
	struct list clients;
	size_t client_count, check_count;
	struct serve_listener listeners[SERVE_LISTENERS_MAX];
	size_t listener_count;
};

/* One connection of a host process. */
struct client {
	struct list link;
	struct serve *serve;
	struct ipc_link *ipc;
	struct list questions;
};

struct question {
	struct list link;
	struct client *client;
	uint32_t id;
	struct check *check;
};

static void question_free(struct question *question)
{
	list_remove(&question->link);
	question->client->serve->check_count--;
	free(question);
}

static void client_free(struct client *client)
{
	list_for_each_safe (it, &client->questions) {
		struct question *question = list_entry(it, struct question, link);

		check_free(question->check);
		question_free(question);
	}
	list_remove(&client->link);
	client->serve->client_count--;
	ipc_link_close(client->ipc);
	free(client);
}

static void answer(struct client *client, uint32_t id, bool ok, const char *text)
{
	Magik__Ipc__CheckDone done;

	magik__ipc__check_done__init(&done);
	done.id = id;
	done.ok = ok;
	done.text = (char *)(uintptr_t)text;
	/* A host that reads nothing asks nothing more. */
	(void)!ipc_link_send(client->ipc, IPC_CHECK_DONE, &done.base, -1);
}

static void on_checked(void *user, bool ok, const char *text)
{
	struct question *question = user;

	answer(question->client, question->id, ok, ok ? "" : text);
	question_free(question);
}

static void pass_on(struct serve *serve, const struct ipc_message *message)
{
	for (size_t i = 0; i < serve->listener_count; i++)
		if (serve->listeners[i].on_message)
			serve->listeners[i].on_message(serve->listeners[i].user, message);
}

static void on_message(void *owner, struct ipc_message *message)
{
	struct client *client = owner;
	const Magik__Ipc__CheckRun *run = (const Magik__Ipc__CheckRun *)message->body;
	struct question *question;

	if (message->type != IPC_CHECK_RUN) {
		pass_on(client->serve, message);
		return;
	}
	if (client->serve->check_count >= SERVE_CHECKS_MAX) {
		answer(client, run->id, false, "too many probes at once");
		return;
	}
	question = mem_new(struct question);
	question->client = client;
	question->id = run->id;
	list_append(&client->questions, &question->link);
	client->serve->check_count++;
	question->check = check_new(client->serve->loop, run, on_checked, question);
}

static void on_closed(void *owner, int why)
{
	(void)why;
	client_free(owner);
}

static void take_client(struct serve *serve, int fd)
{
	struct client *client = mem_new(struct client);
	struct ipc_handler handler = {
		.on_message = on_message, .on_closed = on_closed, .owner = client};

	client->serve = serve;
	list_init(&client->questions);
	list_append(&serve->clients, &client->link);
	serve->client_count++;
	if (ipc_link_new(loop_uv(serve->loop), fd, IPC_AGENT, IPC_HOST, handler, &client->ipc) <
	    0) {
		(void)close(fd);
		client_free(client);
		return;
	}
	for (size_t i = 0; i < serve->listener_count; i++)
		if (serve->listeners[i].on_link)
			serve->listeners[i].on_link(serve->listeners[i].user);
}

static void on_connection(void *user, int events)
{
	struct serve *serve = user;
	int fd;

	(void)events;
	while ((fd = accept4(serve->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0) {
		if (serve->client_count >= SERVE_LINKS_MAX)
			client_free(list_first(&serve->clients, struct client, link));
		take_client(serve, fd);
	}
}

int serve_new(struct loop *loop, int listen_fd, struct serve **ret_serve, struct err *err)
{
	struct serve *serve = mem_new(struct serve);
	int r;

	serve->loop = loop;
	serve->fd = listen_fd;
	list_init(&serve->clients);
	r = loop_watch_new(loop, listen_fd, LOOP_READABLE, on_connection, serve, &serve->watch);
	if (r < 0) {
		serve_free(serve);
		return err_set(err, r, "watch the control socket: %s", strerror(-r));
	}
	*ret_serve = serve;
	return 0;
}

void serve_free(struct serve *serve)
{
	if (!serve)
		return;
	list_for_each_safe (it, &serve->clients)
		client_free(list_entry(it, struct client, link));
	loop_watch_free(serve->watch);
	(void)close(serve->fd);
	free(serve);
}

void serve_listen(struct serve *serve, const struct serve_listener *listener)
{
	assert(serve->listener_count < SERVE_LISTENERS_MAX);
	serve->listeners[serve->listener_count++] = *listener;
}

int serve_say(struct serve *serve, enum ipc_type type, const ProtobufCMessage *body)
{
	const struct client *client;

	if (list_is_empty(&serve->clients))
		return -ENOTCONN;
	client = list_entry(serve->clients.prev, struct client, link);
	return ipc_link_send(client->ipc, type, body, -1);
}
