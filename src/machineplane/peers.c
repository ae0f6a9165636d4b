/* SPDX-License-Identifier: Apache-2.0 */
/*
 * QUIC connections as the node's peers.
 *
 * Several connections to one machine can stand at once (both dialled, or one is about to be found
 * dead): the node hears of each that opens and of the last that ends. Connections for joining are
 * not peers: they are handed to admit.c.
 *
 *   (nothing) --dial, or a packet for a machine that is not connected--> DIALLING --opened--> OPEN
 *   (nothing) --the other side has dialled----------------------------------------------> OPEN
 *   DIALLING, OPEN --peers_close()--> CLOSING      each: closed() --> (nothing)
 *
 * What is sent while a machine is being dialled waits in the connection, which hands it over only
 * when the other side has proved to be that machine. How much may wait is bounded, per machine and
 * in all: beyond that it is lost, and the cores send again what matters.
 */
#include "machineplane/fabric.h"

#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "base/mem.h"
#include "io/clock.h"

enum {
	/* Two connections that opened within this time were dialled by both sides at once. */
	TWIN_MS = 1000,
	/* What waits for one machine: an award of the largest size and a few words besides. */
	WAIT_BYTES_MAX = MESSAGE_LEN_MAX + 256 * 1024,
	WAIT_COUNT_MAX = 64,
	/* For all machines together: most packets are below a kilobyte, some carry a manifest. */
	WAIT_TOTAL_MAX = 32 * 1024 * 1024,
	/* Dials under way, some 30 KiB each: more than the samples of a few tenders. */
	DIALS_MAX = 512,
	/* A machine has moved, and may have moved again. */
	DIALS_OF_ONE_MAX = 4,
};

enum link_state {
	LINK_DIALLING,
	LINK_OPEN,
	LINK_CLOSING, /* closed by us: closed() follows */
};

/* One connection on magik-machine/1; the user pointer of its quic_conn from its dial or opening. */
struct link {
	struct list in_peer;
	enum link_state state;
	struct quic_conn *conn;
	struct peer *peer; /* dialling: whom we expect */
	struct addr addr;
	struct mono opened;
	bool dialled;
	size_t waiting_bytes, waiting_count; /* dialling: what was sent on it */
};

/* A machine to which some connection stands or is being made; id none: bootstrap addresses. */
struct peer {
	struct node_id id;
	struct list links; /* in order of dialling and opening */
};

struct peers {
	struct fabric *fabric;
	struct map by_id; /* node id -> struct peer */
	size_t waiting_bytes;
	struct peers_counts counts;
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
	return peers;
}

const struct peers_counts *peers_counts(const struct peers *peers)
{
	return &peers->counts;
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

static struct link *link_new(struct peer *peer, enum link_state state, const struct addr *addr)
{
	struct link *link = mem_new(struct link);

	link->state = state;
	link->addr = *addr;
	link->peer = peer;
	list_append(&peer->links, &link->in_peer);
	return link;
}

static void link_stops_waiting(struct peers *peers, struct link *link)
{
	if (link->state == LINK_DIALLING)
		peers->counts.dialling--;
	peers->waiting_bytes -= link->waiting_bytes;
	link->waiting_bytes = link->waiting_count = 0;
}

/* A machine goes with its last connection. */
static void peer_free_if_empty(struct peers *peers, struct peer *peer)
{
	if (!list_is_empty(&peer->links))
		return;
	(void)map_remove(&peers->by_id, id_bytes(&peer->id));
	free(peer);
}

/* To the end of @to, which may be where it is. */
static void link_move(struct peers *peers, struct link *link, struct peer *to)
{
	struct peer *from = link->peer;

	list_remove(&link->in_peer);
	list_append(&to->links, &link->in_peer);
	link->peer = to;
	peer_free_if_empty(peers, from);
}

static void link_free(struct peers *peers, struct link *link)
{
	link_stops_waiting(peers, link);
	list_remove(&link->in_peer);
	peer_free_if_empty(peers, link->peer);
	free(link);
}

void peers_free(struct peers *peers)
{
	if (!peers)
		return;
	map_for_each (entry, &peers->by_id) {
		struct peer *peer = entry->value;

		list_for_each_safe (it, &peer->links)
			free(list_entry(it, struct link, in_peer));
		free(peer);
	}
	map_deinit(&peers->by_id);
	free(peers);
}

/*
 * The connection that carries what is sent. The newest, for an older one may be of an earlier life
 * of that machine; but of two that were dialled by both sides at once both must take the same, so
 * that the other one is idle and ends: the one that the lower id has dialled.
 */
static struct link *link_in_use(const struct peers *peers, const struct peer *peer)
{
	struct link *newest = NULL, *before = NULL;
	bool we_are_lower;

	list_for_each (it, &peer->links) {
		struct link *link = list_entry(it, struct link, in_peer);

		if (link->state != LINK_OPEN)
			continue;
		before = newest;
		newest = link;
	}
	if (!before || before->dialled == newest->dialled ||
	    mono_since_us(newest->opened, before->opened) > TWIN_MS * US_PER_MS)
		return newest;
	we_are_lower = node_id_compare(node_self(peers->fabric->node), &peer->id) < 0;
	return newest->dialled == we_are_lower ? newest : before;
}

struct quic_conn *peers_conn(const struct peers *peers, const struct node_id *id)
{
	const struct peer *peer = map_get(&peers->by_id, id_bytes(id));
	const struct link *link = peer ? link_in_use(peers, peer) : NULL;

	return link ? link->conn : NULL;
}

/* Begin a connection. QUIC_E_FULL: no more of them can be begun; -errno: there is no way there. */
static int dial(struct peers *peers, const struct node_id *id, const struct addr *addr,
		struct link **ret_link)
{
	struct fabric *fabric = peers->fabric;
	struct link *link;
	struct quic_dial to = {
		.remote = *addr,
		.alpn = ALPN_MACHINE,
		.credential = fabric->quic_credential,
	};
	int result;

	if (peers->counts.dialling == DIALS_MAX)
		return QUIC_E_FULL;
	to.user = link = link_new(peer_of(peers, id), LINK_DIALLING, addr);
	link->dialled = true;
	peers->counts.dialling++;
	result = quic_dial(quic_socket_endpoint(fabric->socket), clock_mono(), &to, &link->conn);
	if (result) {
		link_free(peers, link);
		return result;
	}
	peers->counts.dialled++;
	*ret_link = link;
	return 0;
}

/* The dial to @addr that is under way. */
static struct link *find_dial(const struct peer *peer, const struct addr *addr, size_t *ret_count)
{
	struct link *found = NULL;

	*ret_count = 0;
	if (!peer)
		return NULL;
	list_for_each (it, &peer->links) {
		struct link *link = list_entry(it, struct link, in_peer);

		if (link->state != LINK_DIALLING)
			continue;
		++*ret_count;
		if (addr_equal(&link->addr, addr))
			found = link;
	}
	return found;
}

/* As far as waiting is allowed. */
static bool send_later(struct peers *peers, struct link *link, struct bytes packet)
{
	if (link->waiting_count >= WAIT_COUNT_MAX ||
	    link->waiting_bytes + packet.len > WAIT_BYTES_MAX ||
	    peers->waiting_bytes + packet.len > WAIT_TOTAL_MAX ||
	    quic_conn_send(link->conn, packet) != 0)
		return false;
	link->waiting_count++;
	link->waiting_bytes += packet.len;
	peers->waiting_bytes += packet.len;
	return true;
}

/* The dial to @addr, a new one if need be; NULL when there can be none. */
static struct link *dial_for(struct peers *peers, const struct node_id *id, const struct addr *addr)
{
	const struct peer *peer = map_get(&peers->by_id, id_bytes(id));
	struct node_id whom = *id; /* the caller's may go with what the node is told */
	struct addr where = *addr;
	size_t dials;
	struct link *link = find_dial(peer, addr, &dials);
	int result;

	if (link || addr_is_none(addr) || dials == DIALS_OF_ONE_MAX)
		return link;
	result = dial(peers, id, addr, &link);
	if (result < 0)
		node_disconnected(peers->fabric->node, clock_mono(), &whom, &where);
	return link;
}

void peers_send(struct peers *peers, const struct node_id *id, const struct addr *addr,
		struct bytes packet)
{
	const struct peer *peer = map_get(&peers->by_id, id_bytes(id));
	struct link *link = peer ? link_in_use(peers, peer) : NULL;
	bool sent;

	if (link) {
		sent = quic_conn_send(link->conn, packet) == 0;
	} else {
		link = dial_for(peers, id, addr);
		sent = link && send_later(peers, link, packet);
	}
	/* What cannot be sent now is lost: the cores resend what matters. */
	peers->counts.lost += !sent;
}

bool peers_dial(struct peers *peers, const struct node_id *id, const struct addr *addr)
{
	const struct peer *peer = map_get(&peers->by_id, id_bytes(id));
	struct node_id whom = *id; /* the caller's may go with what the node is told */
	struct addr where = *addr;
	size_t dials;
	struct link *link;

	/* Addresses of a start have no id, and are as many as the overlay takes. */
	if (find_dial(peer, addr, &dials) || dial(peers, id, addr, &link) == 0)
		return true;
	node_disconnected(peers->fabric->node, clock_mono(), &whom, &where);
	return false;
}

/* The peer stays until closed() has come for each of them: not from inside this call. */
void peers_close(struct peers *peers, const struct node_id *id)
{
	struct peer *peer = map_get(&peers->by_id, id_bytes(id));

	if (!peer)
		return;
	list_for_each (it, &peer->links) {
		struct link *link = list_entry(it, struct link, in_peer);

		/* A log on its way keeps its connection, which ends by itself later. */
		if (link->state == LINK_CLOSING ||
		    (link->state == LINK_OPEN && quic_conn_has_streams(link->conn)))
			continue;
		link_stops_waiting(peers, link);
		link->state = LINK_CLOSING;
		quic_conn_close(link->conn, 0, "not needed");
	}
}

void peers_cut(struct peers *peers, const struct node_id *id)
{
	struct peer *peer = map_get(&peers->by_id, id_bytes(id));

	if (!peer)
		return;
	list_for_each (it, &peer->links) {
		struct link *link = list_entry(it, struct link, in_peer);

		if (link->state == LINK_CLOSING)
			continue;
		link_stops_waiting(peers, link);
		link->state = LINK_CLOSING;
		quic_conn_close(link->conn, 1, "refused");
	}
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
	if (link && !node_id_is_none(&link->peer->id) && !node_id_equal(&leaf.key, &link->peer->id))
		return err_set(err, -EACCES, "another machine answers at that address");
	return 0;
}

/* The certificate the peer was accepted with; verified in the handshake, so cached. */
static bool peer_leaf(struct fabric *fabric, struct quic_conn *conn, struct cert *ret_leaf)
{
	const struct bytes *chain;

	return quic_conn_peer_chain(conn, &chain) > 0 && cert_parse(chain[0], ret_leaf, NULL) == 0;
}

/* A dialled one now belongs to the machine that has answered. */
static void link_open(struct peers *peers, struct quic_conn *conn, struct link *link,
		      const struct node_id *id)
{
	struct addr addr = quic_conn_remote(conn);
	struct peer *peer = peer_of(peers, id);

	if (!link) {
		link = link_new(peer, LINK_OPEN, &addr);
		quic_conn_set_user(conn, link);
	} else {
		link_stops_waiting(peers, link);
		link_move(peers, link, peer);
	}
	link->state = LINK_OPEN;
	link->conn = conn;
	link->opened = clock_mono();
}

/* Is the certificate that the peer was accepted with good at this moment? */
static bool is_good(struct fabric *fabric, struct quic_conn *conn)
{
	struct trust_query query = fabric_query(fabric, TRUST_MESH);
	struct chain shown = {0};
	const struct bytes *certs;
	size_t count = quic_conn_peer_chain(conn, &certs);
	struct err err = {0};

	for (size_t i = 0; i < count && i < CHAIN_CERTS_MAX; i++)
		shown.cert[shown.count++] = certs[i];
	if (trust_verify(&fabric->trust, &query, &shown, NULL, &err) == 0)
		return true;
	log_event(LOG_LEVEL_WARN, "peer-refused", "%s", err.text);
	return false;
}

void peers_judge(struct peers *peers)
{
	map_for_each (entry, &peers->by_id) {
		struct peer *peer = entry->value;
		const struct link *link = link_in_use(peers, peer);

		if (link && !is_good(peers->fabric, link->conn))
			node_expel(peers->fabric->node, clock_mono(), &peer->id);
	}
}

static void opened(void *user, struct quic_conn *conn)
{
	struct fabric *fabric = user;
	struct link *link = quic_conn_user(conn);
	struct node_peer connected = {.addr = quic_conn_remote(conn)};
	struct cert leaf;

	if (strcmp(quic_conn_alpn(conn), ALPN_MACHINE) != 0)
		return;
	if (link && link->state == LINK_CLOSING)
		return;
	if (!peer_leaf(fabric, conn, &leaf)) {
		quic_conn_close(conn, 1, "no certificate");
		return;
	}
	link_open(fabric->peers, conn, link, &leaf.key);
	connected.id = leaf.key;
	connected.steward = grant_has(&leaf.grant, ROLE_STEWARD);
	log_event(LOG_LEVEL_DEBUG, "peer-connected", "%s at %s is connected", leaf.name,
		  addr_text(&connected.addr).text);
	node_connected(fabric->node, clock_mono(), &connected);
	streams_connected(fabric->streams, &leaf.key, conn);
}

/* Nothing connects us with that machine any more, as far as anybody was told. A dial that came to
 * nothing says nothing while another connection stands, as when only one side can dial. */
static bool is_last(const struct link *link)
{
	list_for_each (it, &link->peer->links) {
		const struct link *other = list_entry(it, struct link, in_peer);

		if (other != link && other->state != LINK_DIALLING)
			return false;
	}
	return true;
}

static void closed(void *user, struct quic_conn *conn, const struct err *why)
{
	struct fabric *fabric = user;
	struct link *link = quic_conn_user(conn);
	bool last;
	struct node_id id;
	struct addr addr;

	admit_closed(fabric->admission, conn);
	if (!link)
		return;
	id = link->peer->id;
	addr = link->addr;
	last = is_last(link);
	if (link->state == LINK_DIALLING)
		fabric->peers->counts.failed++;
	link_free(fabric->peers, link);
	if (!last)
		return;
	log_event(why->code == -ESHUTDOWN ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO, "peer-disconnected",
		  "%.16s at %s: %s", node_id_text(&id).text, addr_text(&addr).text, why->text);
	node_disconnected(fabric->node, clock_mono(), &id, &addr);
	streams_disconnected(fabric->streams, &id);
}

static void message(void *user, struct quic_conn *conn, struct bytes bytes)
{
	struct fabric *fabric = user;
	const struct link *link = quic_conn_user(conn);

	if (strcmp(quic_conn_alpn(conn), ALPN_JOIN) == 0) {
		admit_serve(fabric, conn, bytes);
		return;
	}
	if (!link || link->state != LINK_OPEN)
		return;
	node_receive(fabric->node, clock_mono(), &link->peer->id, bytes);
}

static void stream_opened(void *user, struct quic_conn *conn, struct quic_stream *stream)
{
	struct fabric *fabric = user;

	if (strcmp(quic_conn_alpn(conn), ALPN_MACHINE) == 0)
		streams_peer_opened(fabric->streams, stream);
	else
		quic_stream_reset(stream, 1);
}

static void stream_data(void *user, struct quic_stream *stream, struct bytes data, bool end)
{
	streams_peer_data(((struct fabric *)user)->streams, stream, data, end);
}

static void stream_writable(void *user, struct quic_stream *stream)
{
	streams_peer_writable(((struct fabric *)user)->streams, stream);
}

static void stream_closed(void *user, struct quic_stream *stream, const struct err *why)
{
	streams_peer_closed(((struct fabric *)user)->streams, stream, why);
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
