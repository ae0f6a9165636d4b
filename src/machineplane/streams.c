/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams: logs, processes and ports of pods, between a client of this machine's gateway or of
 * another's, and the host process of the machine that runs the pod.
 *
 * From machine to machine each is a QUIC stream. It begins with the request as one line of JSON
 * (stream_request.c); the answer is one line of JSON, {"status":200,"error":""} or a refusal with
 * its reason, then bytes in both directions until the answering side ends. The machine that runs
 * the pod answers only to a steward of the pod's namespace, who signs for what its user may do; its
 * host process judges that itself (verify.h). By a node port of a Service every machine comes in,
 * as anybody outside does.
 *
 *   gateway here, pod here:    sink <-> descriptor of the host
 *   gateway here, pod there:   sink <-> QUIC stream
 *   gateway there, pod here:   QUIC stream <-> descriptor of the host
 *
 * Nothing is taken from one side that the other has not room for: what arrives by QUIC is given
 * back to its window when it has been passed on, a descriptor is read when what it brought before
 * is gone, and a sink is told to wait.
 */
#include "machineplane/fabric.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/list.h"
#include "base/mem.h"
#include "identity/sha256.h"
#include "io/clock.h"
#include "machineplane/pod_request.h"

enum {
	STREAMS_CHUNK = 4 * 1024,
	STREAMS_ROUNDS = 16,     /* chunks of one descriptor in a turn of the loop */
	STREAMS_OPEN_MAX = 1024, /* of one process, in both directions */
	/* Above it a sink is told to wait; it may add one piece to that. */
	STREAMS_HELD_MAX = 64 * 1024,
};

struct api_stream {
	struct list link;
	struct streams *streams;
	enum api_stream_kind kind;
	/* The host's end. */
	uint64_t number; /* of the question to the host; 0 once answered */
	int fd;          /* -1: none */
	struct loop_watch *watch;
	int events;
	struct buf to_fd; /* arrived, not yet taken */
	bool fd_deaf;     /* takes nothing more */
	bool fd_reset;    /* its other end has broken off */
	/* The other machine's end. */
	struct quic_stream *peer;
	bool serves; /* the other machine has asked */
	bool remote; /* asked of another machine, also after its stream has ended */
	bool dials;  /* that machine is being dialled */
	struct node_id machine;
	struct buf from_peer; /* the line, then what the sink has not taken */
	struct buf to_peer;   /* begins with the question */
	bool asked, has_header, peer_ended;
	/* The client's end: a sink, unless it serves. */
	const struct api_stream_sink *sink;
	void *arg;
	bool paused;       /* the sink takes no more */
	bool owes;         /* writable() */
	bool finishing;    /* nothing more will be written */
	bool has_finished; /* and that has been passed on */
};

struct streams {
	struct fabric *fabric;
	struct list open;
	size_t count;
	uint64_t last_number;
};

struct streams *streams_new(struct fabric *fabric)
{
	struct streams *streams = mem_new(struct streams);

	streams->fabric = fabric;
	list_init(&streams->open);
	return streams;
}

static struct api_stream *stream_new(struct streams *streams)
{
	struct api_stream *stream = mem_new(struct api_stream);

	stream->streams = streams;
	stream->fd = -1;
	list_append(&streams->open, &stream->link);
	streams->count++;
	return stream;
}

static void stream_free(struct api_stream *stream)
{
	list_remove(&stream->link);
	stream->streams->count--;
	loop_watch_free(stream->watch);
	if (stream->fd >= 0)
		(void)close(stream->fd);
	if (stream->peer) {
		quic_stream_set_user(stream->peer, NULL);
		/* Who serves has said all there is, and that still has to arrive. */
		if (!stream->serves)
			quic_stream_reset(stream->peer, 0);
	}
	buf_deinit(&stream->from_peer);
	buf_deinit(&stream->to_peer);
	buf_deinit(&stream->to_fd);
	free(stream);
}

void streams_free(struct streams *streams)
{
	if (!streams)
		return;
	list_for_each_safe (it, &streams->open)
		stream_free(list_entry(it, struct api_stream, link));
	free(streams);
}

static void flush_peer(struct api_stream *stream)
{
	buf_consume(&stream->to_peer, quic_stream_write(stream->peer, bytes_buf(&stream->to_peer)));
	/* Who serves passes the asker's end on to the pod, and has an end of its own. */
	if (stream->finishing && !stream->serves && !stream->has_finished &&
	    stream->to_peer.len == 0) {
		stream->has_finished = true;
		quic_stream_finish(stream->peer);
	}
}

/* The end of a stream, in order or not; @stream is gone afterwards. */
static void finish(struct api_stream *stream, int status, const char *error)
{
	struct err err = {0};

	if (stream->sink) {
		if (status != 200)
			(void)err_set_status(&err, -EIO, (uint16_t)status, "%s",
					     error && *error ? error : "the stream broke off");
		stream->sink->end(stream->arg, &err);
	} else if (stream->peer) {
		if (!stream->has_header)
			stream_answer_write(status, error, &stream->to_peer);
		(void)!quic_stream_write(stream->peer, bytes_buf(&stream->to_peer));
		quic_stream_finish(stream->peer);
	}
	stream_free(stream);
}

/* ---- the host's end */

static void await_fd(struct api_stream *stream)
{
	bool takes = stream->serves ? stream->to_peer.len == 0 : !stream->paused;
	int events = (takes ? LOOP_READABLE : 0) | (stream->to_fd.len ? LOOP_WRITABLE : 0);

	if (!stream->watch || stream->events == events)
		return;
	stream->events = events;
	loop_watch_set(stream->watch, events);
}

/* Who wrote may write more, or learns at last that all has been taken. */
static void took(struct api_stream *stream, size_t len)
{
	if (stream->serves && stream->peer)
		quic_stream_consumed(stream->peer, len);
	if (stream->owes && stream->to_fd.len < STREAMS_HELD_MAX / 2) {
		stream->owes = false;
		stream->sink->writable(stream->arg);
	}
}

static void flush_fd(struct api_stream *stream)
{
	size_t len = 0;

	while (stream->fd >= 0 && !stream->fd_deaf && len < stream->to_fd.len) {
		ssize_t put = send(stream->fd, stream->to_fd.ptr + len, stream->to_fd.len - len,
				   MSG_NOSIGNAL | MSG_DONTWAIT);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0 && errno != EAGAIN)
			stream->fd_deaf = true; /* what it still has to say is read first */
		/* The socket tells this once, here or to who reads. */
		if (put < 0 && errno == ECONNRESET)
			stream->fd_reset = true;
		if (put < 0)
			break;
		len += (size_t)put;
	}
	if (stream->fd_deaf)
		len = stream->to_fd.len;
	buf_consume(&stream->to_fd, len);
	if (stream->finishing && !stream->has_finished && stream->to_fd.len == 0 &&
	    stream->fd >= 0) {
		stream->has_finished = true;
		(void)shutdown(stream->fd, SHUT_WR);
	}
	await_fd(stream);
	if (len > 0)
		took(stream, len);
}

/* Hand on what arrived. False: stop reading for now. */
static bool pass(struct api_stream *stream, struct bytes bytes)
{
	if (stream->sink) {
		stream->paused = !stream->sink->data(stream->arg, bytes);
		return !stream->paused;
	}
	buf_append_bytes(&stream->to_peer, bytes);
	flush_peer(stream);
	return stream->to_peer.len == 0;
}

static void finish_fd(struct api_stream *stream, int error)
{
	finish(stream, error ? 502 : 200, error ? strerror(error) : NULL);
}

static void fd_read(struct api_stream *stream)
{
	for (int i = 0; i < STREAMS_ROUNDS; i++) {
		uint8_t chunk[STREAMS_CHUNK];
		ssize_t len = read(stream->fd, chunk, sizeof(chunk));

		if (len < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		if (len <= 0) {
			finish_fd(stream, len == 0 && !stream->fd_reset ? 0
					  : len == 0                    ? ECONNRESET
									: errno);
			return;
		}
		if (!pass(stream, bytes_of(chunk, (size_t)len)))
			break;
	}
	await_fd(stream);
}

static void on_fd(void *user, int events)
{
	struct api_stream *stream = user;

	/* A sink that is told that it may write must not lose the stream in there. */
	if (events & LOOP_WRITABLE)
		flush_fd(stream);
	else
		fd_read(stream);
}

static void begin(struct api_stream *stream)
{
	stream->has_header = true;
	if (stream->sink) {
		stream->sink->begin(stream->arg);
		return;
	}
	stream_answer_write(200, NULL, &stream->to_peer);
	flush_peer(stream);
}

static struct api_stream *find_number(struct streams *streams, uint64_t number)
{
	list_for_each (it, &streams->open) {
		struct api_stream *stream = list_entry(it, struct api_stream, link);

		if (stream->number == number)
			return stream;
	}
	return NULL;
}

void streams_opened(struct streams *streams, uint64_t number, int status, const char *error, int fd)
{
	struct api_stream *stream = find_number(streams, number);

	if (!stream) {
		if (fd >= 0)
			(void)close(fd);
		return;
	}
	stream->number = 0;
	stream->fd = fd;
	if (status != 200 || fd < 0) {
		finish(stream, status == 200 ? 500 : status, error);
		return;
	}
	(void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	stream->events = LOOP_READABLE;
	if (loop_watch_new(streams->fabric->loop, fd, LOOP_READABLE, on_fd, stream,
			   &stream->watch) != 0) {
		finish(stream, 500, "the stream cannot be watched");
		return;
	}
	begin(stream);
	flush_fd(stream);
}

static int ask_host(struct api_stream *stream, const struct api_stream_request *request,
		    struct bytes envelope)
{
	stream->number = ++stream->streams->last_number;
	return host_ask_stream(stream->streams->fabric->host, stream->number, request, envelope);
}

/* Put this gateway's name to what its user asks. */
static void sign(struct fabric *fabric, const struct api_stream_request *request,
		 struct buf *ret_envelope)
{
	struct node_trust trust = fabric_node_trust(fabric);
	struct buf payload = {0};

	if (pod_request_verb(request->kind) == POD_VERB_NONE)
		return;
	pod_request_encode(request, &payload);
	trust.ops->seal(trust.self, node_fabric_time(fabric->node, clock_mono()),
			bytes_buf(&payload), ret_envelope);
	buf_deinit(&payload);
}

/* ---- the gateway, of a pod on another machine */

/* These are only read: their asker says no more. */
static bool is_one_way(enum api_stream_kind kind)
{
	return kind == API_STREAM_LOG || kind == API_STREAM_USAGE;
}

static int ask_on(struct api_stream *stream, struct quic_conn *conn)
{
	int result = quic_stream_open(conn, stream, &stream->peer);

	if (result)
		return err_fold(result);
	stream->asked = true;
	flush_peer(stream);
	return 0;
}

/* Larger fabrics do not keep a connection to every machine: this one is dialled then. */
static int ask_machine(struct api_stream *stream, const struct api_stream_request *request,
		       struct bytes envelope)
{
	struct fabric *fabric = stream->streams->fabric;
	struct quic_conn *conn = peers_conn(fabric->peers, &request->machine);
	struct addr addr;

	stream->remote = true;
	stream->machine = request->machine;
	stream_question_write(request, envelope, &stream->to_peer);
	if (conn)
		return ask_on(stream, conn);
	addr = backend_address(fabric->backend, &request->machine);
	if (addr_is_none(&addr) || !peers_dial(fabric->peers, &request->machine, &addr))
		return err_origin(-EHOSTUNREACH);
	stream->dials = true;
	return 0;
}

/* Those that wait for @machine; conn NULL: in vain. */
static void end_waiting(struct streams *streams, const struct node_id *machine,
			struct quic_conn *conn)
{
	list_for_each_safe (it, &streams->open) {
		struct api_stream *stream = list_entry(it, struct api_stream, link);

		if (!stream->dials || !node_id_equal(&stream->machine, machine))
			continue;
		stream->dials = false;
		if (!conn)
			finish(stream, 503, "the pod's machine cannot be reached");
		else if (ask_on(stream, conn) != 0)
			finish(stream, 503, "the stream cannot be opened now");
	}
}

void streams_connected(struct streams *streams, const struct node_id *machine,
		       struct quic_conn *conn)
{
	if (streams)
		end_waiting(streams, machine, conn);
}

void streams_disconnected(struct streams *streams, const struct node_id *machine)
{
	if (streams)
		end_waiting(streams, machine, NULL);
}

struct api_stream *streams_open(struct streams *streams, const struct api_stream_request *request,
				const struct api_stream_sink *sink, void *arg)
{
	struct api_stream *stream = stream_new(streams);
	bool here = node_id_equal(&request->machine, node_self(streams->fabric->node));
	struct buf envelope = {0};
	int result;

	stream->kind = request->kind;
	stream->sink = sink;
	stream->arg = arg;
	stream->finishing = !here && is_one_way(request->kind);
	if (!request->credential && pod_request_verb(request->kind) != POD_VERB_NONE) {
		finish(stream, 401, "the client has gone");
		return NULL;
	}
	sign(streams->fabric, request, &envelope);
	result = streams->count > STREAMS_OPEN_MAX ? -EMFILE
		 : here                            ? ask_host(stream, request, bytes_buf(&envelope))
			: ask_machine(stream, request, bytes_buf(&envelope));
	buf_deinit(&envelope);
	if (result == 0)
		return stream;
	finish(stream, 503,
	       result == -EHOSTUNREACH ? "the pod's machine cannot be reached"
				       : "the stream cannot be opened now");
	return NULL;
}

bool streams_write(struct api_stream *stream, struct bytes bytes)
{
	struct buf *held = stream->remote ? &stream->to_peer : &stream->to_fd;

	buf_append_bytes(held, bytes);
	if (!stream->remote)
		flush_fd(stream);
	else if (stream->peer)
		flush_peer(stream);
	stream->owes = held->len >= STREAMS_HELD_MAX;
	return !stream->owes;
}

void streams_finish(struct api_stream *stream)
{
	stream->finishing = true;
	if (!stream->remote)
		flush_fd(stream);
	else if (stream->peer)
		flush_peer(stream);
}

void streams_resume(struct api_stream *stream)
{
	struct buf held = stream->from_peer;

	stream->paused = false;
	if (!stream->remote) {
		await_fd(stream);
		return;
	}
	if (held.len) {
		stream->from_peer = (struct buf){0};
		if (stream->peer)
			quic_stream_consumed(stream->peer, held.len);
		stream->paused = !stream->sink->data(stream->arg, bytes_buf(&held));
		buf_deinit(&held);
	}
	if (stream->peer_ended && !stream->paused)
		finish(stream, 200, NULL);
}

void streams_close(struct api_stream *stream)
{
	stream_free(stream);
}

/* ---- the machine that runs the pod */

void streams_peer_opened(struct streams *streams, struct quic_stream *peer)
{
	struct api_stream *stream;

	if (!streams || streams->count >= STREAMS_OPEN_MAX) {
		quic_stream_reset(peer, 1);
		return;
	}
	stream = stream_new(streams);
	stream->peer = peer;
	stream->serves = true;
	quic_stream_set_user(peer, stream);
}

/* The namespace of a pod of this machine, by its own word; the caller frees it. NULL: no such pod.
 */
static char *pod_namespace(struct fabric *fabric, const struct uid *pod)
{
	const struct record_item *item;
	size_t position = 0;

	while ((item = records_next(node_records(fabric->node), RECORD_PRESENCE, NULL, NULL,
				    &position)))
		if (uid_equal(&item->record.key.sub, pod) &&
		    node_id_equal(&item->writer, node_self(fabric->node)))
			return mem_strdup(item->record.object.namespace);
	return NULL;
}

static bool asker_is_steward(struct fabric *fabric, struct quic_stream *stream,
			     const char *namespace)
{
	const struct bytes *chain;
	struct cert leaf;

	return quic_conn_peer_chain(quic_stream_conn(stream), &chain) > 0 &&
	       cert_parse(chain[0], &leaf, NULL) == 0 &&
	       grant_stewards(&leaf.grant, bytes_str(namespace));
}

/* The asker has signed it itself, just now, and for the first time. The host process looks at what
 * it says. */
static bool is_askers_own(struct fabric *fabric, struct quic_stream *stream, struct bytes envelope)
{
	struct node_trust trust = fabric_node_trust(fabric);
	struct wall now = node_fabric_time(fabric->node, clock_mono());
	struct leaf leaf = {0};
	struct node_signed opened;
	const struct bytes *chain;
	struct digest asker;
	size_t count = quic_conn_peer_chain(quic_stream_conn(stream), &chain);
	bool own;

	for (size_t i = 0; i < count && i < MESSAGE_CHAIN_MAX; i++)
		buf_append_bytes(&leaf.certs[leaf.cert_count++], chain[i]);
	if (!count)
		return false;
	asker = sha256(chain[0]);
	own = trust.ops->leaf_add(trust.self, now, &leaf) &&
	      trust.ops->open(trust.self, now, envelope, &opened) == 0 &&
	      digest_equal(&opened.leaf, &asker) && trust.ops->fresh(trust.self, now, &opened) == 0;
	for (size_t i = 0; i < leaf.cert_count; i++)
		buf_deinit(&leaf.certs[i]);
	return own;
}

/* Of which namespace the asker must be a steward; the caller frees it. NULL: there is no such pod.
 * What the machine itself uses is told to every steward. */
static char *stewarded(struct fabric *fabric, const struct api_stream_request *request)
{
	if (request->kind != API_STREAM_USAGE)
		return pod_namespace(fabric, &request->pod);
	return mem_strdup(request->namespace ? request->namespace : "default");
}

/* Whoever reaches this machine may: what the Service says is the host process's to judge. */
static void serve_ingress(struct api_stream *stream, const struct api_stream_request *request)
{
	if (ask_host(stream, request, (struct bytes){0}) != 0)
		finish(stream, 503, "this machine does not know the Service");
}

static void serve(struct api_stream *stream, struct bytes line)
{
	struct fabric *fabric = stream->streams->fabric;
	struct stream_question question;
	char *namespace;

	if (!stream_question_parse(line, &question)) {
		finish(stream, 400, "malformed request for a stream");
		return;
	}
	stream->kind = question.request.kind;
	/* The asker of a log never has more to say, and means no end by that. */
	stream->finishing = stream->peer_ended && !is_one_way(stream->kind);
	if (stream->kind == API_STREAM_INGRESS) {
		serve_ingress(stream, &question.request);
		stream_question_deinit(&question);
		return;
	}
	namespace = stewarded(fabric, &question.request);
	if (!namespace)
		finish(stream, 404, "the pod is not on this machine");
	else if (!asker_is_steward(fabric, stream->peer, namespace))
		finish(stream, 403, "the asking machine is no steward of the pod's namespace");
	else if (question.envelope.len &&
		 !is_askers_own(fabric, stream->peer, bytes_buf(&question.envelope)))
		finish(stream, 403, "the asking machine has not signed that, or not just now");
	else if (ask_host(stream, &question.request, bytes_buf(&question.envelope)) != 0)
		finish(stream, 503, "the host process cannot be reached");
	free(namespace);
	stream_question_deinit(&question);
}

/* The line that asks; what follows it is for the host's end. */
static void take_question(struct api_stream *stream, struct bytes data)
{
	struct quic_stream *peer = stream->peer;
	uint8_t *newline;
	struct buf line;
	size_t len;

	buf_append_bytes(&stream->from_peer, data);
	newline = stream->from_peer.len ? memchr(stream->from_peer.ptr, '\n', stream->from_peer.len)
					: NULL;
	if (!newline) {
		if (stream->from_peer.len > STREAM_LINE_MAX || stream->peer_ended)
			finish(stream, 400, "malformed request for a stream");
		return;
	}
	len = (size_t)(newline + 1 - stream->from_peer.ptr);
	line = stream->from_peer;
	stream->from_peer = (struct buf){0};
	buf_append(&stream->to_fd, line.ptr + len, line.len - len);
	quic_stream_consumed(peer, len);
	stream->asked = true;
	serve(stream, bytes_of(line.ptr, len));
	buf_deinit(&line);
}

static void request_data(struct api_stream *stream, struct bytes data, bool end)
{
	stream->peer_ended = end;
	if (!stream->asked) {
		take_question(stream, data);
		return;
	}
	buf_append_bytes(&stream->to_fd, data);
	stream->finishing = end && !is_one_way(stream->kind);
	flush_fd(stream);
}

/* ---- the gateway, from another machine */

/* The first line of an answer; what follows it is the stream's. True when it has begun. */
static bool take_header(struct api_stream *stream, bool end)
{
	uint8_t *newline = stream->from_peer.len
				   ? memchr(stream->from_peer.ptr, '\n', stream->from_peer.len)
				   : NULL;
	struct stream_answer answer;
	size_t len;

	if (!newline && !end && stream->from_peer.len <= STREAM_LINE_MAX)
		return false;
	len = newline ? (size_t)(newline - stream->from_peer.ptr) : 0;
	answer = stream_answer_parse(bytes_of(stream->from_peer.ptr, len));
	if (answer.status != 200) {
		finish(stream, answer.status, answer.error);
		return false;
	}
	quic_stream_consumed(stream->peer, len + 1);
	buf_consume(&stream->from_peer, len + 1);
	begin(stream);
	return true;
}

static void answer_data(struct api_stream *stream, struct bytes data, bool end)
{
	/* Held until the client takes it: the stream's window bounds how much that can be. */
	buf_append_bytes(&stream->from_peer, data);
	stream->peer_ended = end;
	if (!stream->has_header && !take_header(stream, end))
		return;
	if (!stream->paused)
		streams_resume(stream);
}

void streams_peer_data(struct streams *streams, struct quic_stream *peer, struct bytes data,
		       bool end)
{
	struct api_stream *stream = quic_stream_user(peer);

	if (!stream)
		quic_stream_consumed(peer, data.len);
	else if (stream->serves)
		request_data(stream, data, end);
	else
		answer_data(stream, data, end);
}

void streams_peer_writable(struct streams *streams, struct quic_stream *peer)
{
	struct api_stream *stream = quic_stream_user(peer);

	if (!stream)
		return;
	flush_peer(stream);
	if (stream->serves)
		await_fd(stream);
	else if (stream->owes && stream->to_peer.len < STREAMS_HELD_MAX / 2) {
		stream->owes = false;
		stream->sink->writable(stream->arg);
	}
}

void streams_peer_closed(struct streams *streams, struct quic_stream *peer, const struct err *why)
{
	struct api_stream *stream = quic_stream_user(peer);

	if (!stream)
		return;
	stream->peer = NULL;
	if (stream->serves)
		stream_free(stream); /* the asker has gone */
	else if (!stream->peer_ended || why)
		finish(stream, 502, why ? why->text : "the stream broke off");
	else if (!stream->paused && !stream->from_peer.len)
		finish(stream, 200, NULL);
}
