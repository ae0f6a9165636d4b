/* SPDX-License-Identifier: Apache-2.0 */
/*
 * QUIC connections as the node's peers.
 *
 * Several connections to one machine can stand at once (both dialled, or one is about to be found
 * dead): the node hears of each that opens and of the last that closes, and the newest open one
 * carries what is sent. Connections for joining are not peers: they are handed to admit.c.
 */
#include "machineplane/fabric.h"

#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "base/mem.h"
#include "io/clock.h"

/* One connection on magik-machine/1; the user pointer of its quic_conn from its dial or opening. */
struct link {
	struct list in_peer; /* of an open one */
	struct quic_conn *conn;
	struct peer *peer; /* NULL until it is open */
	struct addr addr;
	struct node_id expected; /* who was dialled; none: a bootstrap address */
	bool dialled;
};

struct peer {
	struct node_id id;
	struct list links; /* the newest last */
};

struct peers {
	struct fabric *fabric;
	struct map by_id;    /* node id -> struct peer */
	struct map dialling; /* address text -> struct link: one dial an address at a time */
};

static struct bytes id_bytes(const struct node_id *id)
{
	return bytes_of(id->byte, ID_LEN);
}

struct peers *peers_new(struct fabric *fabric)
{
	struct peers *peers = mem_new(struct peers);

	peers->fabric = fabric;
	map_init(&peers->by_id, 1);
	map_init(&peers->dialling, 1);
	return peers;
}

static void link_free(struct peers *peers, struct link *link)
{
	struct addr_text text = addr_text(&link->addr);

	if (map_get(&peers->dialling, bytes_str(text.text)) == link)
		(void)map_remove(&peers->dialling, bytes_str(text.text));
	list_remove(&link->in_peer);
	free(link);
}

void peers_free(struct peers *peers)
{
	if (!peers)
		return;
	map_for_each (entry, &peers->by_id) {
		struct peer *peer = entry->value;

		list_for_each_safe (it, &peer->links)
			link_free(peers, list_entry(it, struct link, in_peer));
		free(peer);
	}
	map_for_each (waiting, &peers->dialling)
		free(waiting->value);
	map_deinit(&peers->by_id);
	map_deinit(&peers->dialling);
	free(peers);
}

struct quic_conn *peers_conn(const struct peers *peers, const struct node_id *id)
{
	struct peer *peer = map_get(&peers->by_id, id_bytes(id));

	if (!peer || list_is_empty(&peer->links))
		return NULL;
	return list_entry(peer->links.prev, struct link, in_peer)->conn;
}

void peers_send(struct peers *peers, const struct node_id *to, struct bytes packet)
{
	struct quic_conn *conn = peers_conn(peers, to);

	/* What cannot be sent now is lost: the cores resend what matters. */
	if (conn)
		(void)!quic_conn_send(conn, packet);
}

void peers_close(struct peers *peers, const struct node_id *id)
{
	struct peer *peer = map_get(&peers->by_id, id_bytes(id));
	struct list *last;

	if (!peer)
		return;
	last = peer->links.prev;
	list_for_each_safe (it, &peer->links) {
		quic_conn_close(list_entry(it, struct link, in_peer)->conn, 0, "not needed");
		if (it == last)
			return; /* with the last one the peer is gone */
	}
}

void peers_dial(struct peers *peers, const struct node_id *id, const struct addr *addr)
{
	struct fabric *fabric = peers->fabric;
	struct addr_text text = addr_text(addr);
	struct link *link;
	struct quic_dial dial = {
		.remote = *addr,
		.alpn = ALPN_MACHINE,
		.credential = fabric->quic_credential,
	};

	if (map_get(&peers->dialling, bytes_str(text.text)))
		return;
	link = mem_new(struct link);
	list_init(&link->in_peer);
	link->addr = *addr;
	link->expected = *id;
	link->dialled = true;
	dial.user = link;
	if (quic_dial(quic_socket_endpoint(fabric->socket), clock_mono(), &dial, &link->conn) !=
	    0) {
		free(link);
		node_disconnected(fabric->node, clock_mono(), id, addr);
		return;
	}
	(void)map_put(&peers->dialling, bytes_str(text.text), link);
}

static int verify(void *user, const struct quic_peer *quic_peer, const struct bytes *chain,
		  size_t count, struct err *err)
{
	struct fabric *fabric = user;
	struct trust_query query =
		fabric_query(fabric, trust_purpose_of(quic_peer->alpn, !quic_peer->we_are_server));
	const struct link *link = quic_peer->conn_user;
	struct chain shown = {0};
	struct cert leaf;
	int outcome;

	for (size_t i = 0; i < count && i < CHAIN_CERTS_MAX; i++)
		shown.cert[shown.count++] = chain[i];
	outcome = trust_verify(&fabric->trust, &query, &shown, &leaf, err);
	if (outcome == TRUST_E_RENEW_ONLY && query.purpose == TRUST_JOINER)
		outcome = 0;
	if (outcome)
		return outcome;
	if (query.purpose == TRUST_MESH && node_id_equal(&leaf.key, node_self(fabric->node)))
		return err_set(err, -EACCES, "that is this machine itself");
	if (link && !node_id_is_none(&link->expected) && !node_id_equal(&leaf.key, &link->expected))
		return err_set(err, -EACCES, "another machine answers at that address");
	return 0;
}

/* The certificate the peer was accepted with; verified in the handshake, so cached. */
static bool peer_leaf(struct fabric *fabric, struct quic_conn *conn, struct cert *ret_leaf)
{
	const struct bytes *chain;

	return quic_conn_peer_chain(conn, &chain) > 0 && cert_parse(chain[0], ret_leaf, NULL) == 0;
}

static struct peer *peer_of(struct peers *peers, const struct node_id *id)
{
	struct peer *peer = map_get(&peers->by_id, id_bytes(id));

	if (peer)
		return peer;
	peer = mem_new(struct peer);
	peer->id = *id;
	list_init(&peer->links);
	(void)map_put(&peers->by_id, id_bytes(id), peer);
	return peer;
}

static void opened(void *user, struct quic_conn *conn)
{
	struct fabric *fabric = user;
	struct peers *peers = fabric->peers;
	struct link *link = quic_conn_user(conn);
	struct node_peer connected = {.addr = quic_conn_remote(conn)};
	struct cert leaf;
	bool first;

	if (strcmp(quic_conn_alpn(conn), ALPN_MACHINE) != 0)
		return;
	if (!peer_leaf(fabric, conn, &leaf)) {
		quic_conn_close(conn, 1, "no certificate");
		return;
	}
	if (!link) {
		link = mem_new(struct link);
		list_init(&link->in_peer);
		link->addr = connected.addr;
		quic_conn_set_user(conn, link);
	}
	link->conn = conn;
	link->peer = peer_of(peers, &leaf.key);
	if (link->dialled)
		(void)map_remove(&peers->dialling, bytes_str(addr_text(&link->addr).text));
	first = list_is_empty(&link->peer->links);
	list_append(&link->peer->links, &link->in_peer);
	connected.id = leaf.key;
	connected.steward = grant_has(&leaf.grant, ROLE_STEWARD);
	if (first)
		log_event(LOG_LEVEL_INFO, "peer-connected", "%s at %s is connected", leaf.name,
			  addr_text(&connected.addr).text);
	node_connected(fabric->node, clock_mono(), &connected);
}

/* A dial that came to nothing, or a peer that was refused: the endpoint has logged which. It says
 * nothing about a machine to which another connection stands, as when only one side can dial. */
static void closed_unopened(struct fabric *fabric, struct link *link)
{
	if (!link)
		return;
	if (!peers_conn(fabric->peers, &link->expected))
		node_disconnected(fabric->node, clock_mono(), &link->expected, &link->addr);
	link_free(fabric->peers, link);
}

static void closed(void *user, struct quic_conn *conn, const struct err *why)
{
	struct fabric *fabric = user;
	struct link *link = quic_conn_user(conn);
	struct peer *peer = link ? link->peer : NULL;
	struct node_id id;
	struct addr addr;

	admit_closed(fabric->admission, conn);
	if (!peer) {
		closed_unopened(fabric, link);
		return;
	}
	id = peer->id;
	addr = link->addr;
	link_free(fabric->peers, link);
	if (!list_is_empty(&peer->links))
		return;
	free(map_remove(&fabric->peers->by_id, id_bytes(&id)));
	log_event(LOG_LEVEL_INFO, "peer-disconnected", "%.16s at %s: %s", node_id_text(&id).text,
		  addr_text(&addr).text, why->text);
	node_disconnected(fabric->node, clock_mono(), &id, &addr);
}

static void message(void *user, struct quic_conn *conn, struct bytes bytes)
{
	struct fabric *fabric = user;
	const struct link *link = quic_conn_user(conn);

	if (strcmp(quic_conn_alpn(conn), ALPN_JOIN) == 0) {
		admit_serve(fabric, conn, bytes);
		return;
	}
	if (!link || !link->peer)
		return;
	node_receive(fabric->node, clock_mono(), &link->peer->id, bytes);
}

static void stream_opened(void *user, struct quic_conn *conn, struct quic_stream *stream)
{
	struct fabric *fabric = user;

	if (strcmp(quic_conn_alpn(conn), ALPN_MACHINE) == 0)
		logs_stream_opened(fabric->logs, stream);
	else
		quic_stream_reset(stream, 1);
}

static void stream_data(void *user, struct quic_stream *stream, struct bytes data, bool end)
{
	logs_stream_data(((struct fabric *)user)->logs, stream, data, end);
}

static void stream_writable(void *user, struct quic_stream *stream)
{
	logs_stream_writable(((struct fabric *)user)->logs, stream);
}

static void stream_closed(void *user, struct quic_stream *stream, const struct err *why)
{
	logs_stream_closed(((struct fabric *)user)->logs, stream, why);
}

const struct quic_handler peers_handler = {
	.verify = verify,
	.opened = opened,
	.closed = closed,
	.message = message,
	.stream_opened = stream_opened,
	.stream_data = stream_data,
	.stream_writable = stream_writable,
	.stream_closed = stream_closed,
};
