/* SPDX-License-Identifier: Apache-2.0 */
#include "workplane/forward.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/list.h"
#include "base/mem.h"
#include "io/clock.h"
#include "io/entropy.h"

struct forward {
	struct loop *loop;
	struct loop_watch *watch;
	int fd;
	bool is_v6; /* the socket takes addresses of both kinds as IPv6 */
	struct addr servers[FORWARD_SERVERS_MAX];
	size_t server_count;
	struct list questions;
	size_t count;
};

struct forward_question {
	struct list link;
	struct forward *forward;
	struct loop_timer *timer;
	struct dns_question question;
	uint16_t id, udp_max;
	size_t tries; /* so far; the last one was with server tries - 1, in turn */
	forward_fn *fn;
	void *user;
};

static void parse_servers(struct forward *forward, const char *text)
{
	while (*text && forward->server_count < FORWARD_SERVERS_MAX) {
		size_t len = strcspn(text, ",");
		char *one = mem_copy(text, len);

		if (addr_parse_ip(one, DNS_PORT, &forward->servers[forward->server_count]))
			forward->server_count++;
		free(one);
		text += len + (text[len] == ',');
	}
}

static socklen_t to_socket(const struct forward *forward, const struct addr *addr,
			   struct sockaddr_storage *ret)
{
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)ret;
	struct sockaddr_in *four = (struct sockaddr_in *)ret;
	struct bytes ip = addr_ip(addr);

	*ret = (struct sockaddr_storage){0};
	if (!forward->is_v6) {
		four->sin_family = AF_INET;
		four->sin_port = htons(addr->port);
		memcpy(&four->sin_addr, ip.ptr, sizeof(four->sin_addr));
		return sizeof(*four);
	}
	six->sin6_family = AF_INET6;
	six->sin6_port = htons(addr->port);
	if (addr->is_v4) {
		six->sin6_addr.s6_addr[10] = six->sin6_addr.s6_addr[11] = 0xff;
		memcpy(six->sin6_addr.s6_addr + 12, ip.ptr, ADDR_V4_LEN);
	} else {
		memcpy(six->sin6_addr.s6_addr, ip.ptr, ADDR_IP_MAX);
	}
	return sizeof(*six);
}

static bool from_socket(const struct sockaddr_storage *from, struct addr *ret)
{
	const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)from;
	const struct sockaddr_in *four = (const struct sockaddr_in *)from;

	/* A mapped address becomes the one it stands for. */
	if (from->ss_family == AF_INET6)
		return addr_from_ip(bytes_of(&six->sin6_addr, ADDR_IP_MAX), ntohs(six->sin6_port),
				    ret);
	return from->ss_family == AF_INET &&
	       addr_from_ip(bytes_of(&four->sin_addr, ADDR_V4_LEN), ntohs(four->sin_port), ret);
}

void forward_question_free(struct forward_question *question)
{
	if (!question)
		return;
	list_remove(&question->link);
	question->forward->count--;
	loop_timer_free(question->timer);
	free(question);
}

static void finish(struct forward_question *question, struct bytes reply)
{
	forward_fn *fn = question->fn;
	void *user = question->user;

	forward_question_free(question);
	fn(user, reply);
}

static const struct addr *server_of(const struct forward_question *question)
{
	const struct forward *forward = question->forward;

	return &forward->servers[(question->tries - 1) % forward->server_count];
}

static void try_next(void *user)
{
	struct forward_question *question = user;
	const struct forward *forward = question->forward;
	struct sockaddr_storage to;
	struct buf packet = {0};
	socklen_t len;

	if (question->tries == FORWARD_TRIES) {
		finish(question, (struct bytes){0});
		return;
	}
	question->tries++;
	len = to_socket(forward, server_of(question), &to);
	dns_forward(&question->question, question->id, question->udp_max, &packet);
	/* One that cannot be reached is as one that is silent, only sooner. */
	if (sendto(forward->fd, packet.ptr, packet.len, 0, (const struct sockaddr *)&to, len) < 0)
		loop_timer_set(question->timer, clock_mono());
	else
		loop_timer_set(question->timer, mono_add_ms(clock_mono(), FORWARD_PATIENCE_MS));
	buf_deinit(&packet);
}

static void take_reply(struct forward *forward, const struct addr *from, struct bytes packet)
{
	list_for_each (it, &forward->questions) {
		struct forward_question *question = list_entry(it, struct forward_question, link);

		if (question->tries > 0 && addr_equal(server_of(question), from) &&
		    dns_forward_answers(&question->question, question->id, packet)) {
			finish(question, packet);
			return;
		}
	}
}

static void on_readable(void *user, int events)
{
	struct forward *forward = user;
	uint8_t space[FORWARD_TCP_MAX];
	struct sockaddr_storage from;
	struct addr addr;
	ssize_t len;

	(void)events;
	for (;;) {
		socklen_t from_len = sizeof(from);

		len = recvfrom(forward->fd, space, sizeof(space), 0, (struct sockaddr *)&from,
			       &from_len);
		if (len < 0)
			return;
		if (from_socket(&from, &addr))
			take_reply(forward, &addr, bytes_of(space, (size_t)len));
	}
}

int forward_new(struct loop *loop, int fd, const char *servers, struct err *err,
		struct forward **ret_forward)
{
	struct forward *forward = mem_new(struct forward);
	struct sockaddr_storage own = {0};
	socklen_t len = sizeof(own);
	int r;

	forward->loop = loop;
	forward->fd = fd;
	list_init(&forward->questions);
	parse_servers(forward, servers);
	forward->is_v6 =
		getsockname(fd, (struct sockaddr *)&own, &len) == 0 && own.ss_family == AF_INET6;
	r = loop_watch_new(loop, fd, LOOP_READABLE, on_readable, forward, &forward->watch);
	if (r < 0) {
		forward_free(forward);
		return err_set(err, r, "watch the socket to the resolvers: %s", strerror(-r));
	}
	*ret_forward = forward;
	return 0;
}

void forward_free(struct forward *forward)
{
	if (!forward)
		return;
	list_for_each_safe (it, &forward->questions)
		forward_question_free(list_entry(it, struct forward_question, link));
	loop_watch_free(forward->watch);
	(void)close(forward->fd);
	free(forward);
}

bool forward_works(const struct forward *forward)
{
	return forward && forward->server_count > 0;
}

static bool is_taken(const struct forward *forward, uint16_t id)
{
	list_for_each (it, &forward->questions)
		if (list_entry(it, struct forward_question, link)->id == id)
			return true;
	return false;
}

struct forward_question *forward_ask(struct forward *forward, const struct dns_question *asked,
				     bool large, forward_fn *fn, void *user)
{
	struct forward_question *question;
	uint16_t id;

	if (!forward_works(forward) || forward->count >= FORWARD_MAX || asked->wire_len == 0)
		return NULL;
	do
		entropy_fill(&id, sizeof(id));
	while (is_taken(forward, id));
	question = mem_new(struct forward_question);
	question->forward = forward;
	question->question = *asked;
	question->udp_max = large ? FORWARD_TCP_MAX : DNS_UDP_MAX;
	question->id = id;
	question->fn = fn;
	question->user = user;
	list_append(&forward->questions, &question->link);
	forward->count++;
	question->timer = loop_timer_new(forward->loop, try_next, question);
	loop_timer_set(question->timer, clock_mono());
	return question;
}
