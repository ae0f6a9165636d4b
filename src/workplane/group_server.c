/* SPDX-License-Identifier: Apache-2.0 */
#include "workplane/group_server.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/server.h"
#include "base/list.h"
#include "base/mem.h"
#include "kube/status.h"
#include "workplane/group_api_internal.h"

enum watch_kind {
	WATCH_STATUS,
	WATCH_KEYS,
	WATCH_LEASES,
};

struct watch {
	struct list link;
	struct group_server *server;
	struct exchange *exchange;
	enum watch_kind kind;
	uint64_t after;
};

struct group_server {
	struct group_api *api;
	const struct account *account; /* NULL: there is no TLS */
	struct server *http;
	struct list watches;
	size_t watch_count;
};

/* ---- plain requests */

static void on_reply(void *user, const struct group_reply *reply)
{
	struct exchange *exchange = user;
	char etag[32];

	if (reply->version) {
		(void)snprintf(etag, sizeof(etag), "\"%" PRIu64 "\"", reply->version);
		exchange_header(exchange, "ETag", etag);
	}
	if (reply->status == 503 || reply->status == 429)
		exchange_header(exchange, "Retry-After", "1");
	exchange_respond(exchange, reply->status, reply->content_type, reply->body);
}

static void on_abort(struct exchange *exchange, void *arg)
{
	struct group_server *server = arg;

	group_api_forget(server->api, exchange);
	exchange_respond(exchange, 503, NULL, (struct bytes){0});
}

static void handle_plain(struct group_server *server, struct exchange *exchange)
{
	struct group_request request = {
		.method = exchange->request.method,
		.path = exchange->request.path,
		.query = exchange->request.query,
		.if_match = http_request_header(&exchange->request, "if-match"),
		.if_none_match = http_request_header(&exchange->request, "if-none-match"),
		.body = exchange->body,
	};

	exchange_on_abort(exchange, on_abort, server);
	group_api_handle(server->api, &request, false, on_reply, exchange);
}

/* ---- watches */

static void watch_end(struct watch *watch)
{
	exchange_end(watch->exchange);
	list_remove(&watch->link);
	watch->server->watch_count--;
	free(watch);
}

static void write_line(struct watch *watch, json_t *line)
{
	char *text = json_dumps(line, JSON_COMPACT);
	struct buf piece = {0};

	buf_append_format(&piece, "%s\n", text ? text : "{}");
	/* A client that does not keep up is broken off by its exchange. */
	(void)exchange_write(watch->exchange, bytes_buf(&piece));
	buf_deinit(&piece);
	free(text);
	json_decref(line);
}

static void write_status(struct watch *watch)
{
	struct buf line = {0};

	group_api_status(watch->server->api, &line);
	buf_append_str(&line, "\n");
	(void)exchange_write(watch->exchange, bytes_buf(&line));
	buf_deinit(&line);
}

static json_t *key_change(const struct keys_change *change)
{
	return json_pack("{s:I, s:s%, s:b}", "version", (json_int_t)change->version, "name",
			 change->name, (size_t)change->name_len, "deleted", (int)change->gone);
}

/* What is not there any more is told as deleted, even if it was made in between: the change that
 * deleted it follows, and clients take both alike. */
static json_t *lease_change(const struct group_api *api, const struct keys_change *change)
{
	struct keys_item gone = {.kind = KEYS_LEASE,
				 .name = bytes_of(change->name, change->name_len),
				 .version = change->version};
	const struct keys_item *item =
		keys_find(quorum_keys(group_api_config(api)->quorum), KEYS_LEASE, gone.name);
	const char *type = "MODIFIED";

	if (change->gone || !item)
		type = "DELETED";
	else if (item->created == change->version)
		type = "ADDED";
	return json_pack("{s:s, s:o}", "type", type, "object",
			 group_lease_json(api, change->gone || !item ? &gone : item));
}

static void write_change(struct watch *watch, const struct keys_change *change)
{
	if (watch->kind == WATCH_KEYS && change->kind == KEYS_VALUE)
		write_line(watch, key_change(change));
	if (watch->kind == WATCH_LEASES && change->kind == KEYS_LEASE)
		write_line(watch, lease_change(watch->server->api, change));
}

static void write_too_old(struct watch *watch)
{
	if (watch->kind == WATCH_LEASES)
		write_line(watch,
			   json_pack("{s:s, s:o}", "type", "ERROR", "object",
				     kube_status(KUBE_REASON_EXPIRED, "too old resource version")));
}

/* False: the watch has ended. */
static bool watch_pump(struct watch *watch)
{
	const struct keys *keys = quorum_keys(group_api_config(watch->server->api)->quorum);
	const struct keys_change *change;

	while (keys && keys_changed(keys, watch->after, &change)) {
		if (!change)
			return true;
		watch->after = change->version;
		write_change(watch, change);
	}
	write_too_old(watch);
	watch_end(watch);
	return false;
}

static void on_writable(struct exchange *exchange, void *arg)
{
	(void)exchange;
	(void)arg;
}

static void on_watch_abort(struct exchange *exchange, void *arg)
{
	(void)exchange;
	watch_end(arg);
}

static void watch_begin(struct group_server *server, struct exchange *exchange,
			enum watch_kind kind, uint64_t after)
{
	struct watch *watch = mem_new(struct watch);

	watch->server = server;
	watch->exchange = exchange;
	watch->kind = kind;
	watch->after = after;
	list_append(&server->watches, &watch->link);
	server->watch_count++;
	exchange_stream(exchange, 200, "application/json", on_writable, on_watch_abort, watch);
	if (kind == WATCH_STATUS)
		write_status(watch);
	else
		(void)watch_pump(watch);
}

static void refuse(struct exchange *exchange, enum kube_reason reason, const char *sentence)
{
	exchange_respond_status(exchange, kube_status(reason, "%s", sentence));
}

/* What is asked to be watched, if anything. */
static bool find_watch(const struct group_api *api, const struct url *url,
		       enum watch_kind *ret_kind)
{
	const char *const *segment = url->segments;

	if (url->segment_count == 2 && strcmp(segment[0], "v1") == 0) {
		*ret_kind = strcmp(segment[1], "watch") == 0 ? WATCH_STATUS : WATCH_KEYS;
		return *ret_kind == WATCH_STATUS ||
		       (strcmp(segment[1], "keys") == 0 && url_flag(url, "watch"));
	}
	*ret_kind = WATCH_LEASES;
	return url->segment_count == 6 && strcmp(segment[0], "apis") == 0 &&
	       strcmp(segment[1], "coordination.k8s.io") == 0 && strcmp(segment[2], "v1") == 0 &&
	       strcmp(segment[3], "namespaces") == 0 &&
	       strcmp(segment[4], group_api_config(api)->namespace) == 0 &&
	       strcmp(segment[5], "leases") == 0 && url_flag(url, "watch");
}

/* From where on; from now on when it is not told. */
static bool find_after(const struct keys *keys, const struct url *url, enum watch_kind kind,
		       uint64_t *ret_after)
{
	const char *text = url_param(url, kind == WATCH_KEYS ? "after" : "resourceVersion");
	char *end;

	*ret_after = keys_index(keys);
	if (kind == WATCH_STATUS || !text || !*text || strcmp(text, "0") == 0)
		return true;
	errno = 0;
	*ret_after = strtoull(text, &end, 10);
	return errno == 0 && *end == 0 && *text != '-' && *ret_after <= INT64_MAX;
}

static void begin_if_known(struct group_server *server, struct exchange *exchange,
			   enum watch_kind kind, const struct url *url)
{
	const struct keys *keys = quorum_keys(group_api_config(server->api)->quorum);
	const struct keys_change *change;
	uint64_t after;

	if (!keys)
		refuse(exchange, KUBE_REASON_UNAVAILABLE, "the group has stopped here");
	else if (server->watch_count >= GROUP_SERVER_WATCHES_MAX)
		refuse(exchange, KUBE_REASON_TOO_MANY_REQUESTS, "too many watches");
	else if (!find_after(keys, url, kind, &after))
		refuse(exchange, KUBE_REASON_BAD_REQUEST, "that is no version");
	else if (!keys_changed(keys, after, &change))
		refuse(exchange, KUBE_REASON_EXPIRED, "the changes since are not known any more");
	else
		watch_begin(server, exchange, kind, after);
}

/* ---- the server */

/* Without TLS everybody has been let in; with it nobody, as certificates say nothing here. */
static bool is_admitted(const struct group_server *server, const struct exchange *exchange)
{
	return exchange->authenticated ||
	       (server->account &&
		account_admits(server->account,
			       http_request_header(&exchange->request, "authorization")));
}

static void handle(void *arg, struct exchange *exchange)
{
	struct group_server *server = arg;
	enum watch_kind kind;
	struct url url = {0};

	if (!is_admitted(server, exchange)) {
		refuse(exchange, KUBE_REASON_UNAUTHORIZED, "Unauthorized");
		return;
	}
	if (strcmp(exchange->request.method, "GET") == 0 && group_api_config(server->api)->quorum &&
	    url_parse(exchange->request.path, exchange->request.query, &url) == 0 &&
	    find_watch(server->api, &url, &kind))
		begin_if_known(server, exchange, kind, &url);
	else
		handle_plain(server, exchange);
	url_deinit(&url);
}

/* Certificates say nothing here: there are none. */
static int verify_nobody(void *arg, const struct bytes *chain, size_t count,
			 struct api_user *ret_user, struct err *err)
{
	(void)arg;
	(void)chain;
	(void)count;
	(void)ret_user;
	return err_set(err, -EACCES, "no certificates are asked for");
}

int group_server_new(struct loop *loop, struct group_api *api, const struct account *account,
		     struct group_server **ret_server, struct err *err)
{
	struct group_server *server = mem_new(struct group_server);
	const struct api_options options = {
		.plain = true,
		.chain_pem = account ? account->chain_pem : NULL,
		.key_pem = account ? account->key_pem : NULL,
		.connections_max = GROUP_SERVER_CONNECTIONS_MAX,
		.per_ip_pending_max = GROUP_SERVER_CONNECTIONS_MAX,
	};
	const struct server_hooks hooks = {handle, verify_nobody, server};
	int r;

	server->api = api;
	server->account = account;
	list_init(&server->watches);
	r = server_new(loop_uv(loop), &options, &hooks, &server->http, err);
	if (r < 0) {
		free(server);
		return r;
	}
	*ret_server = server;
	return 0;
}

static void on_closed(void *arg)
{
	free(arg);
}

void group_server_free(struct group_server *server)
{
	if (!server)
		return;
	list_for_each_safe (it, &server->watches)
		watch_end(list_entry(it, struct watch, link));
	server_close(server->http, 0, on_closed, server);
}

void group_server_adopt(struct group_server *server, int fd)
{
	server_adopt(server->http, fd);
}

void group_server_changed(struct group_server *server)
{
	list_for_each_safe (it, &server->watches) {
		struct watch *watch = list_entry(it, struct watch, link);

		if (watch->kind == WATCH_STATUS)
			write_status(watch);
	}
}

void group_server_applied(struct group_server *server)
{
	list_for_each_safe (it, &server->watches) {
		struct watch *watch = list_entry(it, struct watch, link);

		if (watch->kind != WATCH_STATUS)
			(void)watch_pump(watch);
	}
}
