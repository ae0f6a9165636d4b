/* SPDX-License-Identifier: Apache-2.0 */
#include "workplane/check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <gnutls/gnutls.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "io/clock.h"
#include "workplane/check_grpc.h"
#include "workplane/check_http.h"

enum {
	STATUS_WELL_MIN = 200,
	STATUS_WELL_END = 400,
	READ_LEN = 4096,
	TARGET_MAX = 64, /* "[address]:port" */
};

enum check_stage {
	STAGE_CONNECT,
	STAGE_HANDSHAKE,
	STAGE_TALK,
};

struct check {
	struct loop *loop;
	struct loop_timer *timer; /* the time that is given; or, at once, that it is over */
	struct loop_watch *watch;
	check_fn *done;
	void *user;
	Magik__Ipc__CheckRun *run; /* our copy */
	size_t host;               /* which of its addresses */
	int fd;
	enum check_stage stage;
	gnutls_session_t tls; /* NULL: none */
	gnutls_certificate_credentials_t credentials;
	struct check_grpc *grpc;
	struct buf out, in;
	bool over, ok;
	char text[CHECK_TEXT_MAX];
};

static void connect_next(struct check *check);

static const char *host_of(const struct check *check)
{
	return strcmp(check->run->hosts[check->host], "localhost") == 0
		       ? "127.0.0.1"
		       : check->run->hosts[check->host];
}

static void target_of(const struct check *check, char *out, size_t size)
{
	const char *host = host_of(check);
	bool is_six = strchr(host, ':') != NULL;

	(void)snprintf(out, size, "%s%s%s:%u", is_six ? "[" : "", host, is_six ? "]" : "",
		       check->run->port);
}

/* ---- the end */

static void close_connection(struct check *check)
{
	loop_watch_free(check->watch);
	check->watch = NULL;
	if (check->tls)
		gnutls_deinit(check->tls);
	if (check->credentials)
		gnutls_certificate_free_credentials(check->credentials);
	check->tls = NULL;
	check->credentials = NULL;
	check_grpc_free(check->grpc);
	check->grpc = NULL;
	if (check->fd >= 0)
		(void)close(check->fd);
	check->fd = -1;
	buf_clear(&check->in);
	buf_clear(&check->out);
}

/* Told from the loop, never from within a call of whoever asked. */
static void finish(struct check *check, bool ok, const char *format, ...) _printf_(3, 4);
static void finish(struct check *check, bool ok, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)vsnprintf(check->text, sizeof(check->text), format, args);
	va_end(args);
	close_connection(check);
	check->over = true;
	check->ok = ok;
	loop_timer_set(check->timer, clock_mono());
}

static void on_time(void *user)
{
	struct check *check = user;
	char target[TARGET_MAX];

	if (!check->over) {
		target_of(check, target, sizeof(target));
		(void)snprintf(check->text, sizeof(check->text), "%s: no answer within %u ms",
			       target, check->run->timeout_ms);
	}
	check->done(check->user, check->ok, check->text);
	check_free(check);
}

/* This address is of no use: the next one, if there is any. What the last one said is told. */
static void give_up(struct check *check, int error)
{
	char target[TARGET_MAX];

	target_of(check, target, sizeof(target));
	close_connection(check);
	if (check->host + 1 < check->run->n_hosts) {
		check->host++;
		connect_next(check);
		return;
	}
	finish(check, false, "%s: %s", target, strerror(error));
}

/* ---- bytes, through TLS or not: their number, 0 at the end, or a negative errno */

static ssize_t tls_result(ssize_t r)
{
	if (r == GNUTLS_E_AGAIN || r == GNUTLS_E_INTERRUPTED)
		return -EAGAIN;
	return r < 0 ? -EPROTO : r;
}

static ssize_t transport_read(struct check *check, void *to, size_t len)
{
	ssize_t r;

	if (check->tls)
		return tls_result(gnutls_record_recv(check->tls, to, len));
	r = recv(check->fd, to, len, MSG_DONTWAIT);
	return r < 0 ? -errno : r;
}

static ssize_t transport_write(struct check *check, const void *from, size_t len)
{
	ssize_t r;

	if (check->tls)
		return tls_result(gnutls_record_send(check->tls, from, len));
	r = send(check->fd, from, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	return r < 0 ? -errno : r;
}

/* ---- what is said */

static void judge_http(struct check *check, bool ended)
{
	int status = 0;
	int r = check_http_status(bytes_buf(&check->in), &status);

	if (r == 0)
		finish(check, status >= STATUS_WELL_MIN && status < STATUS_WELL_END,
		       "HTTP probe failed with statuscode: %d", status);
	else if (r == CHECK_HTTP_E_MALFORMED || ended || check->in.len >= CHECK_REPLY_MAX)
		finish(check, false, "the answer is not HTTP");
}

static void judge_grpc(struct check *check, bool ended)
{
	const char *text = "";
	int r = check_grpc_feed(check->grpc, bytes_buf(&check->in), &text);
	struct buf *wire = check_grpc_wire(check->grpc);

	buf_clear(&check->in);
	buf_append_bytes(&check->out, bytes_buf(wire));
	buf_clear(wire);
	if (r != CHECK_GRPC_E_MORE)
		finish(check, r == 0, "%s", text);
	else if (ended)
		finish(check, false, "the server closed the connection without an answer");
}

static void judge(struct check *check, bool ended)
{
	if (check->grpc)
		judge_grpc(check, ended);
	else
		judge_http(check, ended);
}

static void talk_read(struct check *check)
{
	uint8_t some[READ_LEN];
	ssize_t got;

	while (!check->over) {
		got = transport_read(check, some, sizeof(some));
		if (got == -EAGAIN || got == -EINTR)
			return;
		if (got > 0)
			buf_append(&check->in, some, (size_t)got);
		judge(check, got <= 0);
	}
}

static void talk_write(struct check *check)
{
	while (check->out.len > 0) {
		ssize_t sent = transport_write(check, check->out.ptr, check->out.len);

		/* What cannot be sent shows when it is read. */
		if (sent <= 0)
			return;
		buf_consume(&check->out, (size_t)sent);
	}
}

static void talk(struct check *check)
{
	talk_write(check);
	talk_read(check);
	if (check->over)
		return;
	talk_write(check);
	loop_watch_set(check->watch, LOOP_READABLE | (check->out.len > 0 ? LOOP_WRITABLE : 0));
}

static void talk_begin(struct check *check)
{
	char target[TARGET_MAX];

	check->stage = STAGE_TALK;
	if (check->run->action == MAGIK__IPC__CHECK_RUN__ACTION__GRPC) {
		target_of(check, target, sizeof(target));
		check->grpc = check_grpc_new(target, check->run->service);
		buf_append_bytes(&check->out, bytes_buf(check_grpc_wire(check->grpc)));
		buf_clear(check_grpc_wire(check->grpc));
	} else {
		check_http_request(check->run, host_of(check), &check->out);
	}
	talk(check);
}

/* ---- TLS */

static void handshake(struct check *check)
{
	int r = gnutls_handshake(check->tls);

	if (r == 0) {
		talk_begin(check);
		return;
	}
	if (gnutls_error_is_fatal(r)) {
		finish(check, false, "TLS: %s", gnutls_strerror(r));
		return;
	}
	loop_watch_set(check->watch,
		       gnutls_record_get_direction(check->tls) ? LOOP_WRITABLE : LOOP_READABLE);
}

static void handshake_begin(struct check *check)
{
	int r = gnutls_certificate_allocate_credentials(&check->credentials);

	if (r == 0)
		r = gnutls_init(&check->tls, GNUTLS_CLIENT | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL);
	if (r == 0)
		r = gnutls_set_default_priority(check->tls);
	if (r == 0)
		r = gnutls_credentials_set(check->tls, GNUTLS_CRD_CERTIFICATE, check->credentials);
	if (r != 0) {
		finish(check, false, "TLS: %s", gnutls_strerror(r));
		return;
	}
	gnutls_transport_set_int(check->tls, check->fd);
	gnutls_handshake_set_timeout(check->tls, GNUTLS_INDEFINITE_TIMEOUT);
	check->stage = STAGE_HANDSHAKE;
	handshake(check);
}

/* ---- connecting */

static void connected(struct check *check)
{
	int error = 0;
	socklen_t len = sizeof(error);

	if (getsockopt(check->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		error = errno;
	if (error)
		give_up(check, error);
	else if (check->run->action == MAGIK__IPC__CHECK_RUN__ACTION__TCP)
		finish(check, true, "%s", "");
	else if (check->run->https)
		handshake_begin(check);
	else
		talk_begin(check);
}

static void on_events(void *user, int events)
{
	struct check *check = user;

	(void)events;
	if (check->stage == STAGE_CONNECT)
		connected(check);
	else if (check->stage == STAGE_HANDSHAKE)
		handshake(check);
	else
		talk(check);
}

/* Returns the length of the address, 0 if it is none. */
static socklen_t address_of(const char *host, uint16_t port, struct sockaddr_storage *ret)
{
	struct sockaddr_in *four = (struct sockaddr_in *)ret;
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)ret;

	*ret = (struct sockaddr_storage){0};
	if (inet_pton(AF_INET, host, &four->sin_addr) == 1) {
		four->sin_family = AF_INET;
		four->sin_port = htons(port);
		return sizeof(*four);
	}
	if (inet_pton(AF_INET6, host, &six->sin6_addr) == 1) {
		six->sin6_family = AF_INET6;
		six->sin6_port = htons(port);
		return sizeof(*six);
	}
	return 0;
}

static int connect_to(struct check *check, const struct sockaddr_storage *address, socklen_t len)
{
	check->fd = socket(address->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (check->fd < 0)
		return err_origin(-errno);
	if (connect(check->fd, (const struct sockaddr *)address, len) < 0 && errno != EINPROGRESS)
		return err_origin(-errno);
	return loop_watch_new(check->loop, check->fd, LOOP_WRITABLE, on_events, check,
			      &check->watch);
}

static void connect_next(struct check *check)
{
	struct sockaddr_storage address;
	socklen_t len = address_of(host_of(check), (uint16_t)check->run->port, &address);
	int r = len > 0 ? connect_to(check, &address, len) : -EINVAL;

	check->stage = STAGE_CONNECT;
	if (r < 0)
		give_up(check, -r);
}

/* ---- */

static Magik__Ipc__CheckRun *copy_of(const Magik__Ipc__CheckRun *run)
{
	size_t len = magik__ipc__check_run__get_packed_size(run);
	uint8_t *packed = mem_alloc(1, len + 1);
	Magik__Ipc__CheckRun *copy;

	(void)magik__ipc__check_run__pack(run, packed);
	copy = magik__ipc__check_run__unpack(NULL, len, packed);
	free(packed);
	return copy;
}

struct check *check_new(struct loop *loop, const Magik__Ipc__CheckRun *run, check_fn *done,
			void *user)
{
	struct check *check = mem_new(struct check);

	check->loop = loop;
	check->done = done;
	check->user = user;
	check->run = copy_of(run);
	check->fd = -1;
	check->timer = loop_timer_new(loop, on_time, check);
	loop_timer_set(check->timer, mono_add_ms(clock_mono(), run->timeout_ms));
	if (check->run->n_hosts == 0 || check->run->n_hosts > CHECK_HOSTS_MAX)
		finish(check, false, "no address to ask");
	else
		connect_next(check);
	return check;
}

void check_free(struct check *check)
{
	if (!check)
		return;
	close_connection(check);
	loop_timer_free(check->timer);
	buf_deinit(&check->in);
	buf_deinit(&check->out);
	magik__ipc__check_run__free_unpacked(check->run, NULL);
	free(check);
}
