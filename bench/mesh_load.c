/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Load for the bench of the mesh, over TCP: one side serves, the other measures and prints JSON.
 *
 *   mesh_load serve PORT
 *   mesh_load bulk  ADDRESS PORT CONNECTIONS SECONDS
 *   mesh_load turns ADDRESS PORT CONNECTIONS SECONDS
 *   mesh_load rate  ADDRESS PORT CONNECTIONS SECONDS PER_SECOND
 *   mesh_load hold  ADDRESS PORT CONNECTIONS
 *
 * The first byte of a connection says what it wants: 'b', bytes as fast as they are taken, or 'e',
 * everything back. Bulk reads such bytes; turns keeps one request of 1 KB under way on each
 * connection; rate sends requests at fixed times, whether others were answered or not, and takes
 * the latency of each from the time it was due, so that nothing is left out that had to wait; hold
 * keeps connections until its input ends. Each has one thread, which waits in epoll only.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/time.h"

enum {
	REQUEST_LEN = 1024,
	BLOCK_LEN = 256 << 10,
	ECHO_LEN = 4 << 10, /* of one connection, held while its client does not read */
	BACKLOG = 4096,
	EVENTS_MAX = 64,
	DUE_MAX = 1024, /* requests of one connection that wait for their answers */
	CONNECTIONS_MAX = 20000,
	SECONDS_MAX = 3600,
	RATE_MAX = 1000000,
	WARM_MS = 300, /* before anything counts */
	PER_MILLE = 1000,
	NS_PER_US = 1000,
	DECIMAL = 10,
};

/* One connection, of either side. */
struct talk {
	int fd;
	char wants;          /* 0: not said yet */
	uint8_t *held;       /* what is to be echoed, while it cannot be */
	size_t held_len;     /* of it */
	size_t answered;     /* bytes of the answer that is under way */
	int64_t *due_us;     /* ring, of requests without answers */
	size_t first, count; /* in it */
};

struct load {
	int epoll;
	const char *what;
	struct talk *talks;
	size_t count;
	int64_t from_us, until_us; /* what is measured */
	uint64_t bytes, bytes_ever, answers, missed;
	int64_t interval_ns;
	uint64_t asked;
	int64_t rate_from_us;
	int timer;
	uint32_t *samples_us;
	size_t sample_count, samples_max;
};

static uint8_t block[BLOCK_LEN];

static int64_t now_us(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * US_PER_S + now.tv_nsec / NS_PER_US;
}

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static void watch(int epoll, struct talk *talk, uint32_t events, int how)
{
	struct epoll_event event = {.events = events, .data.ptr = talk};

	if (epoll_ctl(epoll, how, talk->fd, &event) < 0)
		fail("epoll_ctl");
}

static void set_nodelay(int fd)
{
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
}

/* ---- serving ---- */

static void end_talk(struct talk *talk)
{
	(void)close(talk->fd);
	free(talk->held);
	free(talk);
}

/* False: it has ended. */
static bool send_block(struct talk *talk)
{
	return send(talk->fd, block, sizeof(block), MSG_NOSIGNAL | MSG_DONTWAIT) >= 0 ||
	       errno == EAGAIN;
}

static bool send_held(int epoll, struct talk *talk)
{
	ssize_t sent = send(talk->fd, talk->held, talk->held_len, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (sent < 0)
		return errno == EAGAIN;
	talk->held_len -= (size_t)sent;
	memmove(talk->held, talk->held + sent, talk->held_len);
	if (talk->held_len == 0)
		watch(epoll, talk, EPOLLIN, EPOLL_CTL_MOD);
	return true;
}

static bool echo(int epoll, struct talk *talk, const uint8_t *data, size_t len)
{
	ssize_t sent = len ? send(talk->fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT) : 0;

	if (sent < 0 && errno != EAGAIN)
		return false;
	sent = sent < 0 ? 0 : sent;
	if ((size_t)sent == len)
		return true;
	if (!talk->held)
		talk->held = mem_alloc(1, ECHO_LEN);
	talk->held_len = len - (size_t)sent;
	memcpy(talk->held, data + sent, talk->held_len);
	watch(epoll, talk, EPOLLOUT, EPOLL_CTL_MOD);
	return true;
}

static bool hear(int epoll, struct talk *talk)
{
	uint8_t data[ECHO_LEN];
	ssize_t len = recv(talk->fd, data, sizeof(data), MSG_DONTWAIT);
	size_t skip = talk->wants ? 0 : 1;

	if (len <= 0)
		return len < 0 && errno == EAGAIN;
	if (!talk->wants)
		talk->wants = (char)data[0];
	if (talk->wants == 'b') {
		watch(epoll, talk, EPOLLOUT, EPOLL_CTL_MOD);
		return true;
	}
	return echo(epoll, talk, data + skip, (size_t)len - skip);
}

static void take_talk(int epoll, int listening)
{
	struct talk *talk = mem_new(struct talk);

	talk->fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
	if (talk->fd < 0) {
		free(talk);
		return;
	}
	set_nodelay(talk->fd);
	watch(epoll, talk, EPOLLIN, EPOLL_CTL_ADD);
}

static void serve_event(int epoll, int listening, const struct epoll_event *event)
{
	struct talk *talk = event->data.ptr;
	bool lives = true;

	if (!talk) {
		take_talk(epoll, listening);
		return;
	}
	if (event->events & EPOLLOUT)
		lives = talk->wants == 'b' ? send_block(talk) : send_held(epoll, talk);
	else
		lives = hear(epoll, talk);
	if (!lives)
		end_talk(talk);
}

_Noreturn static void serve(uint16_t port)
{
	struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct epoll_event event = {.events = EPOLLIN}, events[EVENTS_MAX];
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), epoll = epoll_create1(0);

	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
	if (epoll < 0 || bind(fd, (struct sockaddr *)&name, sizeof(name)) < 0 ||
	    listen(fd, BACKLOG) < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0)
		fail("listen");
	puts("ready");
	(void)fflush(stdout);
	for (;;) {
		int count = epoll_wait(epoll, events, EVENTS_MAX, -1);

		for (int i = 0; i < count; i++)
			serve_event(epoll, fd, &events[i]);
	}
}

/* ---- measuring ---- */

static void connect_one(struct load *load, struct talk *talk, const struct sockaddr_in *name)
{
	const char *wants = load->what[0] == 'b' ? "b" : "e";

	talk->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (talk->fd < 0 || connect(talk->fd, (const struct sockaddr *)name, sizeof(*name)) < 0)
		fail("connect");
	set_nodelay(talk->fd);
	if (send(talk->fd, wants, 1, MSG_NOSIGNAL) != 1)
		fail("send");
	watch(load->epoll, talk, EPOLLIN, EPOLL_CTL_ADD);
}

static void ask(struct talk *talk, int64_t due_us)
{
	if (!talk->due_us)
		talk->due_us = mem_alloc(DUE_MAX, sizeof(*talk->due_us));
	talk->due_us[(talk->first + talk->count++) % DUE_MAX] = due_us;
	if (send(talk->fd, block, REQUEST_LEN, MSG_NOSIGNAL) != REQUEST_LEN)
		fail("send");
}

static void answer_came(struct load *load, struct talk *talk)
{
	int64_t now = now_us(), due = talk->due_us[talk->first];

	talk->first = (talk->first + 1) % DUE_MAX;
	talk->count--;
	if (due >= load->from_us && now < load->until_us) {
		load->answers++;
		if (load->sample_count < load->samples_max)
			load->samples_us[load->sample_count++] = (uint32_t)(now - due);
	}
	if (load->what[0] == 't')
		ask(talk, now);
}

static void read_talk(struct load *load, struct talk *talk)
{
	ssize_t len = recv(talk->fd, block, sizeof(block), MSG_DONTWAIT);
	int64_t now;

	if (len < 0 && errno == EAGAIN)
		return;
	if (len <= 0)
		fail("a connection has ended");
	load->bytes_ever += (uint64_t)len;
	now = now_us();
	if (now >= load->from_us && now < load->until_us)
		load->bytes += (uint64_t)len;
	talk->answered += (size_t)len;
	while (load->what[0] != 'b' && talk->count > 0 && talk->answered >= REQUEST_LEN) {
		talk->answered -= REQUEST_LEN;
		answer_came(load, talk);
	}
}

/* All that are due by now. A connection that owes too much is left out, and counted. */
static void ask_due(struct load *load)
{
	uint64_t times;
	int64_t now = now_us();

	(void)!read(load->timer, &times, sizeof(times));
	for (;; load->asked++) {
		int64_t due =
			load->rate_from_us + (int64_t)load->asked * load->interval_ns / NS_PER_US;
		struct talk *talk = &load->talks[load->asked % load->count];

		if (due > now)
			return;
		if (talk->count == DUE_MAX)
			load->missed++;
		else
			ask(talk, due);
	}
}

static void begin_rate(struct load *load)
{
	struct itimerspec spec = {.it_interval.tv_nsec = load->interval_ns,
				  .it_value.tv_nsec = load->interval_ns};
	struct epoll_event event = {.events = EPOLLIN};

	load->rate_from_us = now_us();
	load->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (load->timer < 0 || timerfd_settime(load->timer, 0, &spec, NULL) < 0 ||
	    epoll_ctl(load->epoll, EPOLL_CTL_ADD, load->timer, &event) < 0)
		fail("timer");
}

static void run(struct load *load)
{
	struct epoll_event events[EVENTS_MAX];
	int64_t now;

	while ((now = now_us()) < load->until_us) {
		int wait_ms = (int)((load->until_us - now) / US_PER_MS) + 1;
		int count = epoll_wait(load->epoll, events, EVENTS_MAX, wait_ms);

		for (int i = 0; i < count; i++) {
			if (events[i].data.ptr)
				read_talk(load, events[i].data.ptr);
			else
				ask_due(load);
		}
	}
}

static int compare(const void *a, const void *b)
{
	const uint32_t *left = a, *right = b;

	return (*left > *right) - (*left < *right);
}

static uint32_t percentile(const struct load *load, size_t per_mille)
{
	size_t at = load->sample_count * per_mille / PER_MILLE;

	if (load->sample_count == 0)
		return 0;
	return load->samples_us[at < load->sample_count ? at : load->sample_count - 1];
}

static void report(struct load *load)
{
	double seconds = (double)(load->until_us - load->from_us) / US_PER_S;

	qsort(load->samples_us, load->sample_count, sizeof(*load->samples_us), compare);
	printf("{\"bytes_per_s\": %.0f, \"bytes\": %llu, \"answers_per_s\": %.1f, "
	       "\"answers\": %llu, \"p50_us\": %u, \"p99_us\": %u, \"missed\": %llu}\n",
	       (double)load->bytes / seconds, (unsigned long long)load->bytes_ever,
	       (double)load->answers / seconds, (unsigned long long)load->answers,
	       percentile(load, 500), percentile(load, 990), (unsigned long long)load->missed);
}

/* Each has said a byte, and got it back. */
static int hold(struct load *load)
{
	char byte;

	for (size_t i = 0; i < load->count; i++)
		if (send(load->talks[i].fd, "x", 1, MSG_NOSIGNAL) != 1 ||
		    recv(load->talks[i].fd, &byte, 1, 0) != 1)
			fail("hold");
	puts("held");
	(void)fflush(stdout);
	return read(STDIN_FILENO, &byte, 1) < 0;
}

static int measure(struct load *load, int64_t seconds, int64_t per_second)
{
	load->from_us = now_us() + (int64_t)WARM_MS * US_PER_MS;
	load->until_us = load->from_us + seconds * US_PER_S;
	load->samples_max = (size_t)(seconds * RATE_MAX / 2);
	load->samples_us = mem_alloc(load->samples_max, sizeof(*load->samples_us));
	if (load->what[0] == 't')
		for (size_t i = 0; i < load->count; i++)
			ask(&load->talks[i], now_us());
	if (load->what[0] == 'r') {
		load->interval_ns = (int64_t)US_PER_S * NS_PER_US / per_second;
		begin_rate(load);
	}
	run(load);
	report(load);
	return 0;
}

static int64_t number(const char *text, int64_t max)
{
	char *end;
	long long value = strtoll(text, &end, DECIMAL);

	if (*end || value < 1 || value > max) {
		(void)fprintf(stderr, "mesh_load: %s is not 1 to %lld\n", text, (long long)max);
		exit(2);
	}
	return value;
}

static int load_from(int argc, char **argv)
{
	struct load load = {.what = argv[1], .epoll = epoll_create1(0)};
	struct sockaddr_in name = {.sin_family = AF_INET,
				   .sin_port = htons((uint16_t)number(argv[3], UINT16_MAX))};
	int64_t seconds = argc > 5 ? number(argv[5], SECONDS_MAX) : 1;
	int64_t per_second = argc > 6 ? number(argv[6], RATE_MAX) : 1;

	if (load.epoll < 0 || inet_pton(AF_INET, argv[2], &name.sin_addr) != 1)
		fail(argv[2]);
	load.count = (size_t)number(argv[4], CONNECTIONS_MAX);
	load.talks = mem_alloc(load.count, sizeof(*load.talks));
	memset(load.talks, 0, load.count * sizeof(*load.talks));
	for (size_t i = 0; i < load.count; i++)
		connect_one(&load, &load.talks[i], &name);
	return strcmp(load.what, "hold") == 0 ? hold(&load) : measure(&load, seconds, per_second);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *what;
		int argc;
	} known[] = {{"bulk", 6}, {"turns", 6}, {"rate", 7}, {"hold", 5}};

	if (argc == 3 && strcmp(argv[1], "serve") == 0)
		serve((uint16_t)number(argv[2], UINT16_MAX));
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (argc == known[i].argc && strcmp(argv[1], known[i].what) == 0)
			return load_from(argc, argv);
	(void)fprintf(stderr, "usage: mesh_load serve|bulk|turns|rate|hold ...\n");
	return 2;
}
