/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections to other agents: dialled when something is to be sent, accepted from whoever proves
 * to be a pod of the fabric. Those that are not used end by themselves; when there are too many,
 * the one unused for longest is closed, unless an application's bytes are on it.
 *
 *   (nothing) --something is to be sent--> DIALLING --opened--> OPEN --> closed
 *   (nothing) --the other side has dialled--------------------> OPEN --> closed
 *
 * What is sent while a connection is being made waits in it, and goes only to who proves to be
 * meant.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "io/clock.h"
#include "io/log.h"
#include "workplane/mesh_internal.h"

enum {
	/* Two that opened within this time were dialled by both sides at once. */
	TWIN_MS = 1000,
};

static struct bytes id_bytes(const struct node_id *id)
{
	return bytes_of(id->byte, ID_LEN);
}

struct mesh_link *mesh_link_of(const struct quic_conn *conn)
{
	return quic_conn_user(conn);
}

struct contact mesh_link_contact(const struct mesh_link *link)
{
	return (struct contact){.id = link->peer->id, .addr = quic_conn_remote(link->conn)};
}

/* ---- the table ---- */

static struct mesh_peer *peer_of(struct mesh *mesh, const struct node_id *id)
{
	struct mesh_peer *peer = map_get(&mesh->peers, id_bytes(id));

	if (peer)
		return peer;
	peer = mem_new(struct mesh_peer);
	peer->id = *id;
	list_init(&peer->links);
	(void)map_put(&mesh->peers, id_bytes(id), peer);
	return peer;
}

static struct mesh_link *link_new(struct mesh *mesh, const struct node_id *id,
				  enum link_state state, struct quic_conn *conn)
{
	struct mesh_link *link = mem_new(struct mesh_link);

	link->peer = peer_of(mesh, id);
	link->state = state;
	link->conn = conn;
	link->dialled = state == LINK_DIALLING;
	list_init(&link->waiting);
	list_append(&link->peer->links, &link->in_peer);
	list_append(&mesh->links, &link->in_age);
	mesh->link_count++;
	mesh->dial_count += link->dialled;
	return link;
}

static void tell_waiting(struct mesh_link *link, bool open)
{
	while (!list_is_empty(&link->waiting)) {
		struct link_waiter *waiter = list_first(&link->waiting, struct link_waiter, link);

		list_remove(&waiter->link);
		waiter->ready(waiter, link, open);
	}
}

static void link_free(struct mesh *mesh, struct mesh_link *link)
{
	struct mesh_peer *peer = link->peer;

	list_remove(&link->in_peer);
	list_remove(&link->in_age);
	mesh->link_count--;
	mesh->dial_count -= link->state == LINK_DIALLING;
	free(link);
	if (!list_is_empty(&peer->links))
		return;
	(void)map_remove(&mesh->peers, id_bytes(&peer->id));
	free(peer);
}

void mesh_links_free(struct mesh *mesh)
{
	list_for_each_safe (it, &mesh->links)
		link_free(mesh, list_entry(it, struct mesh_link, in_age));
}

void mesh_link_used(struct mesh *mesh, struct mesh_link *link)
{
	list_remove(&link->in_age);
	list_append(&mesh->links, &link->in_age);
}

static void link_close(struct mesh *mesh, struct mesh_link *link, const char *why)
{
	if (link->state == LINK_CLOSING)
		return;
	mesh->dial_count -= link->state == LINK_DIALLING;
	link->state = LINK_CLOSING;
	quic_conn_close(link->conn, 0, why);
}

void mesh_link_give_up(struct mesh *mesh, struct mesh_link *link, const char *why)
{
	link_close(mesh, link, why);
}

static void make_room(struct mesh *mesh)
{
	size_t open = 0;

	list_for_each (it, &mesh->links)
		open += list_entry(it, struct mesh_link, in_age)->state == LINK_OPEN;
	list_for_each (it, &mesh->links) {
		struct mesh_link *link = list_entry(it, struct mesh_link, in_age);

		if (open <= MESH_LINKS_KEPT)
			return;
		if (link->state != LINK_OPEN || quic_conn_has_streams(link->conn))
			continue;
		link_close(mesh, link, "not needed");
		open--;
	}
}

/* Of two links dialled by both sides at once both sides take the one that the lower id has dialled;
 * else the newer one, for an older one may be of an earlier life of the other side. */
static bool is_better(const struct mesh *mesh, const struct mesh_link *a, const struct mesh_link *b)
{
	int64_t apart_us = mono_since_us(a->opened, b->opened);
	bool we_are_lower = node_id_compare(&mesh->key.public_key, &a->peer->id) < 0;

	if (apart_us < TWIN_MS * US_PER_MS && apart_us > -TWIN_MS * US_PER_MS &&
	    a->dialled != b->dialled)
		return a->dialled == we_are_lower;
	return apart_us >= 0;
}

static struct mesh_link *link_in_use(const struct mesh *mesh, const struct node_id *id)
{
	const struct mesh_peer *peer = map_get(&mesh->peers, id_bytes(id));
	struct mesh_link *best = NULL, *dialling = NULL;

	if (!peer)
		return NULL;
	list_for_each (it, &peer->links) {
		struct mesh_link *link = list_entry(it, struct mesh_link, in_peer);

		if (link->state == LINK_DIALLING)
			dialling = link;
		if (link->state == LINK_OPEN && (!best || is_better(mesh, link, best)))
			best = link;
	}
	return best ? best : dialling;
}

/* ---- dialling ---- */

static struct mesh_link *link_dial(struct mesh *mesh, const struct contact *contact)
{
	struct quic_dial dial = {
		.remote = contact->addr, .alpn = ALPN_WORK, .credential = mesh->credential};
	struct quic_conn *conn;
	struct mesh_link *link;

	if (mesh->dial_count >= MESH_DIALS_MAX || !addr_can_be_dialled(&contact->addr) ||
	    quic_dial(quic_socket_endpoint(mesh->socket), clock_mono(), &dial, &conn) != 0)
		return NULL;
	link = link_new(mesh, &contact->id, LINK_DIALLING, conn);
	quic_conn_set_user(conn, link);
	return link;
}

struct mesh_link *mesh_link_get(struct mesh *mesh, const struct contact *contact)
{
	struct mesh_link *link = link_in_use(mesh, &contact->id);

	if (link)
		mesh_link_used(mesh, link);
	return link ? link : link_dial(mesh, contact);
}

void mesh_link_wait(struct mesh_link *link, struct link_waiter *waiter)
{
	list_append(&link->waiting, &waiter->link);
}

bool mesh_link_send(struct mesh_link *link, const struct work_message *message)
{
	struct buf bytes = {0};
	bool sent;

	if (link->state == LINK_CLOSING)
		return false;
	work_message_encode(message, &bytes);
	sent = quic_conn_send(link->conn, bytes_buf(&bytes)) == 0;
	buf_deinit(&bytes);
	return sent;
}

void mesh_send(struct mesh *mesh, const struct contact *to, const struct work_message *message)
{
	struct contact contact = *to; /* the directory's may go with what it is told */
	struct mesh_link *link = mesh_link_get(mesh, to);

	if (link)
		(void)mesh_link_send(link, message); /* what is lost is asked for again */
	else
		mesh_unreachable(mesh, &contact.id);
}

void mesh_judge_peers(struct mesh *mesh)
{
	list_for_each_safe (it, &mesh->links) {
		struct mesh_link *link = list_entry(it, struct mesh_link, in_age);
		const struct bytes *chain;
		struct err err = {0};
		size_t count;

		if (link->state != LINK_OPEN)
			continue;
		count = quic_conn_peer_chain(link->conn, &chain);
		if (mesh_trust_judge(mesh, chain, count, &link->peer->id, &err) == 0)
			continue;
		log_event(LOG_LEVEL_WARN, "work-ended", "connection to %s: %s",
			  link->peer->name.pod, err.text);
		link_close(mesh, link, "not trusted any more");
	}
}

/* ---- events ---- */

static int on_verify(void *user, const struct quic_peer *peer, const struct bytes *chain,
		     size_t count, struct err *err)
{
	struct mesh *mesh = user;
	const struct mesh_link *link = peer->conn_user;
	int r = mesh_trust_judge(mesh, chain, count, link ? &link->peer->id : NULL, err);

	mesh->stats.refused_peers += r != 0;
	return r;
}

static void on_opened(void *user, struct quic_conn *conn)
{
	struct mesh *mesh = user;
	struct mesh_link *link = mesh_link_of(conn);
	const struct bytes *chain;
	struct service_name name;
	struct contact contact;
	struct node_id id;

	if (quic_conn_peer_chain(conn, &chain) == 0 ||
	    !mesh_trust_name(mesh, chain[0], &id, &name)) {
		quic_conn_close(conn, 0, "no name");
		return;
	}
	if (!link) {
		link = link_new(mesh, &id, LINK_OPEN, conn);
		quic_conn_set_user(conn, link);
	} else if (link->state != LINK_DIALLING) {
		return;
	} else {
		mesh->dial_count--;
		link->state = LINK_OPEN;
	}
	link->opened = clock_mono();
	link->peer->name = name;
	contact = mesh_link_contact(link);
	make_room(mesh);
	if (!mesh_is_self(mesh, &id))
		directory_seen(mesh->directory, link->opened, &contact);
	mesh_join(mesh);
	mesh_soon(mesh);
	tell_waiting(link, true);
}

static void on_closed(void *user, struct quic_conn *conn, const struct err *why)
{
	struct mesh *mesh = user;
	struct mesh_link *link = mesh_link_of(conn);
	struct node_id id;
	bool failed;

	if (!link)
		return;
	id = link->peer->id;
	/* Silence on one that was open may be nothing but disuse. */
	failed = link->state == LINK_DIALLING || why->code == -ECONNRESET;
	if (failed && link->state == LINK_DIALLING)
		log_event(LOG_LEVEL_DEBUG, "work-unreachable", "no connection to %s: %s",
			  node_id_text(&id).text, why->text);
	tell_waiting(link, false);
	mesh_leaf_forget(mesh, link);
	mesh_flow_link_closed(mesh, link);
	quic_conn_set_user(conn, NULL);
	link_free(mesh, link);
	if (failed && !link_in_use(mesh, &id) && !mesh_is_self(mesh, &id))
		mesh_unreachable(mesh, &id);
}

static void on_message(void *user, struct quic_conn *conn, struct bytes bytes)
{
	struct mesh *mesh = user;
	struct mesh_link *link = mesh_link_of(conn);
	struct work_message message;

	/* What cannot be read is of a later version, or of nobody who means well: the sender's own
	 * limits keep it from being much. */
	if (!link || work_message_decode(bytes, &message) != 0)
		return;
	mesh_link_used(mesh, link);
	link->heard = clock_mono();
	mesh_leaf_take(mesh, link, &message);
}

static void on_stream_opened(void *user, struct quic_conn *conn, struct quic_stream *stream)
{
	struct mesh *mesh = user;
	struct mesh_link *link = mesh_link_of(conn);

	if (!link) {
		quic_stream_reset(stream, MESH_RETRY_CODE);
		return;
	}
	link->streams++;
	mesh_serve_stream(mesh, link, stream);
}

static void on_stream_data(void *user, struct quic_stream *stream, struct bytes data, bool end)
{
	struct mesh_stream *own = quic_stream_user(stream);
	struct mesh_link *link = mesh_link_of(quic_stream_conn(stream));

	(void)user;
	if (link)
		link->heard = clock_mono();
	if (own)
		own->data(own, data, end);
	else
		quic_stream_consumed(stream, data.len);
}

static void on_stream_writable(void *user, struct quic_stream *stream)
{
	struct mesh_stream *own = quic_stream_user(stream);

	(void)user;
	if (own && own->writable)
		own->writable(own);
}

static void on_stream_closed(void *user, struct quic_stream *stream, const struct err *why)
{
	struct mesh_stream *own = quic_stream_user(stream);
	struct mesh_link *link = mesh_link_of(quic_stream_conn(stream));

	(void)user;
	if (link)
		link->streams--;
	if (own)
		own->closed(own, why);
}

const struct quic_handler mesh_quic_handler = {
	.verify = on_verify,
	.opened = on_opened,
	.closed = on_closed,
	.message = on_message,
	.stream_opened = on_stream_opened,
	.stream_data = on_stream_data,
	.stream_writable = on_stream_writable,
	.stream_closed = on_stream_closed,
};
