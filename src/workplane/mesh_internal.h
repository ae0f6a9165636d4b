/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the mesh share.
 *
 *   mesh.c        life, the record, leaving
 *   mesh_turn.c   the directory's events and effects; questions
 *   mesh_trust.c  who we are, whom we believe
 *   mesh_link.c   connections to other agents
 *   mesh_leaf.c   messages that wait for the certificates of what is in them
 *   mesh_route.c  from an order to a replica
 *   mesh_call.c   streams that are opened from here
 *   mesh_serve.c  streams that others open here
 *   mesh_pipe.c   bytes between a stream and a socket
 *   mesh_flow.c   UDP
 *   mesh_group.c  what replicas of our workload say about their group
 */
#pragma once

#include "base/list.h"
#include "base/map.h"
#include "identity/trust.h"
#include "io/log.h"
#include "quic/socket.h"
#include "service/directory.h"
#include "workplane/mesh.h"

enum {
	MESH_TRUST_CACHE = 256,      /* leaves of 4 KiB: those of the records kept here, mostly */
	MESH_LINKS_KEPT = 128,       /* connections; beyond, the one unused for longest is closed */
	MESH_LINKS_MAX = 512,        /* with those that carry streams, and cannot be */
	MESH_DIALS_MAX = 128,        /* under way */
	MESH_IDLE_MS = 90 * 1000,    /* of a connection: a handshake costs more than to keep it */
	MESH_SILENCE_MS = 30 * 1000, /* of a peer that carries an application's connections */
	MESH_STREAMS_MAX = 1024,     /* that one peer may have open here */
	MESH_STREAM_WINDOW = 1 << 20, /* 8 Gbit/s at 1 ms */
	MESH_ANSWER_MS = 1500,        /* a replica answers within it, or another is asked */
	MESH_CONNECT_MS = 1000,       /* its application accepts within it: less than that */
	MESH_PREAMBLE_MS = 5000,      /* who opens a stream says what for */
	MESH_JOIN_MS = 1500,          /* to reach anybody: a handshake, and once more */
	MESH_ORDER_MS = 10 * 1000,    /* from an order to an accepted stream */
	MESH_REPLICAS_MAX = 256,      /* looked at for one order, of all its targets */
	MESH_PIPE_CHUNK = 64 << 10,   /* read at a time */
	MESH_RETRY_CODE = 0x6d61,     /* of streams given up: for who looks at packets */
};

struct mesh_call;

/* What a byte stream's events go to; first in what is its user. */
struct mesh_stream {
	void (*data)(struct mesh_stream *stream, struct bytes data, bool end);
	void (*writable)(struct mesh_stream *stream);
	void (*closed)(struct mesh_stream *stream, const struct err *why); /* once, the last */
};

enum link_state {
	LINK_DIALLING,
	LINK_OPEN,
	LINK_CLOSING, /* by us; closed() follows */
};

/* One connection. */
struct mesh_link {
	struct list in_peer, in_age; /* in_age: unused for longest first */
	struct list waiting;         /* struct link_waiter */
	struct mesh_peer *peer;
	struct quic_conn *conn;
	enum link_state state;
	bool dialled;
	struct mono opened, heard;
	size_t streams;
};

/* Another agent: to which a connection stands, or is being made. */
struct mesh_peer {
	struct node_id id;
	struct list links;
	struct service_name name; /* of its certificate; once one is open */
};

/* Told once when the link is open, or (false) will not be. */
struct link_waiter {
	struct list link;
	void (*ready)(struct link_waiter *waiter, struct mesh_link *link, bool open);
};

/* One workload that is being looked up, and who asks. */
struct mesh_lookup {
	struct list link, questions;
	struct mesh_name name;
	uint64_t token;
};

struct mesh_question {
	struct list link;
	struct mesh *mesh;
	struct mesh_lookup *lookup;
	mesh_resolve_fn *fn;
	void *user;
};

/* An order on its way to a replica. */
struct mesh_route {
	struct mesh *mesh;
	struct mesh_name *targets;
	size_t target_count;
	char *pod;
	struct work_open open;
	struct pick_attempt attempt;
	size_t question_count; /* not answered yet */
	/* All targets are known. */
	void (*known)(struct mesh_route *route);
};

struct mesh_pipe;

struct mesh {
	struct loop *loop;
	int socket_fd;
	struct addr address;
	struct service_record record; /* as we announce it */

	/* mesh_trust.c */
	bool identified;
	struct key key;
	struct buf chain;
	struct digest leaf;
	struct service_name name;
	struct trust trust;
	struct revocations revocations;
	struct quic_credential *credential;
	int64_t offset_ms;
	bool has_time;

	struct quic_socket *socket;
	struct directory *directory;
	struct pick *pick;
	struct loop_timer *turn_timer, *load_timer, *drain_timer, *join_timer;
	bool settling;
	bool joined; /* somebody of those to begin with was reached, or none can be */
	struct addr_peer contacts[MESH_CONTACTS_MAX]; /* before we are identified */
	size_t contact_count;

	struct map peers;  /* id -> struct mesh_peer */
	struct list links; /* by age of their use */
	size_t link_count, dial_count;

	struct list lookups; /* struct mesh_lookup */
	size_t question_count;

	struct list held; /* mesh_leaf.c */
	size_t held_count, held_bytes;
	struct loop_timer *leaf_timer;

	struct list calls, served, pipes, pipes_due;
	struct loop_hook *pipe_hook;
	struct loop_timer *calm_timer; /* while much is being carried */
	bool calm_due;
	uint64_t calm_bytes;             /* carried when it was set */
	size_t served_count, call_count; /* with those that are pipes by now */

	struct list flows, answered; /* UDP, begun here and by others; idlest first */
	struct map flow_ids, answered_ids;
	uint64_t next_flow;
	struct loop_timer *flow_timer;

	uint32_t told_load;
	struct mono told_at;
	bool leaving, nothing_open;
	loop_fn drained;
	void *drained_user;

	uint16_t kept_ports[MESH_KEPT_PORTS_MAX];
	size_t kept_count;

	mesh_group_fn *group_fn; /* NULL: nobody hears */
	void *group_user;
	mesh_missing_fn *missing_fn; /* NULL: nobody wants to know */
	void *missing_user;

	struct mesh_stats stats;
	struct log_limit log_limit;
	uint8_t *chunk; /* MESH_PIPE_CHUNK, for whoever reads just now */
};

/* ---- mesh.c ---- */
void mesh_announce(struct mesh *mesh);
/* The number of streams and flows served here has changed. */
void mesh_load_changed(struct mesh *mesh);
/* A call, a stream or a flow has ended. */
void mesh_look_drained(struct mesh *mesh);
bool mesh_is_self(const struct mesh *mesh, const struct node_id *id);

/* ---- mesh_turn.c ---- */
void mesh_settle(struct mesh *mesh); /* carry out what the directory wants, now */
void mesh_soon(struct mesh *mesh);   /* on the next turn of the loop */
void mesh_tick(void *mesh);
void mesh_received(struct mesh *mesh, struct mesh_link *link, const struct work_message *message);
void mesh_unreachable(struct mesh *mesh, const struct node_id *id);
/* What waited for that is asked now. Later calls do nothing. */
void mesh_join(void *mesh);
void mesh_lookups_free(struct mesh *mesh);

/* ---- mesh_trust.c ---- */
extern const struct directory_trust_ops mesh_trust_ops;
struct trust_query mesh_query(const struct mesh *mesh);
_must_use_ int mesh_trust_set(struct mesh *mesh, const struct mesh_identity *identity,
			      struct err *err);
void mesh_trust_deinit(struct mesh *mesh);
/* Judge a peer's chain; @expected NULL: whoever it is. */
_must_use_ int mesh_trust_judge(struct mesh *mesh, const struct bytes *chain, size_t count,
				const struct node_id *expected, struct err *err);
/* Of a chain that was accepted. */
_must_use_ bool mesh_trust_name(struct mesh *mesh, struct bytes leaf, struct node_id *ret_id,
				struct service_name *ret_name);

/* ---- mesh_link.c ---- */
extern const struct quic_handler mesh_quic_handler;
/* A link to @contact that is open or will be; NULL: there cannot be one now. */
struct mesh_link *mesh_link_get(struct mesh *mesh, const struct contact *contact);
void mesh_link_wait(struct mesh_link *link, struct link_waiter *waiter);
void mesh_link_used(struct mesh *mesh, struct mesh_link *link);
/* It does not answer: no more of it. */
void mesh_link_give_up(struct mesh *mesh, struct mesh_link *link, const char *why);
void mesh_send(struct mesh *mesh, const struct contact *to, const struct work_message *message);
/* False: it could not be. */
bool mesh_link_send(struct mesh_link *link, const struct work_message *message);
struct contact mesh_link_contact(const struct mesh_link *link);
struct mesh_link *mesh_link_of(const struct quic_conn *conn);
void mesh_links_free(struct mesh *mesh);

/* ---- mesh_leaf.c ---- */
/* Hand @message (taken over) on when all certificates are there. */
void mesh_leaf_take(struct mesh *mesh, struct mesh_link *link, struct work_message *message);
void mesh_leaf_want(struct mesh *mesh, struct mesh_link *link, const struct digest *hash);
void mesh_leaf_came(struct mesh *mesh, struct bytes chain);
void mesh_leaf_forget(struct mesh *mesh, const struct mesh_link *link);
void mesh_leaves_free(struct mesh *mesh);

/* ---- mesh_route.c ---- */
/* False: it names nothing. @route->known is called later, when there are answers. */
_must_use_ bool mesh_route_init(struct mesh_route *route, struct mesh *mesh,
				const struct mesh_order *order);
void mesh_route_deinit(struct mesh_route *route);
/* The next replica to try. False: there is none. */
_must_use_ bool mesh_route_next(struct mesh_route *route, struct contact *ret_contact);
void mesh_route_failed(struct mesh_route *route, const struct node_id *id);
void mesh_route_worked(struct mesh_route *route, const struct node_id *id);

/* ---- mesh_call.c, mesh_serve.c ---- */
void mesh_serve_stream(struct mesh *mesh, struct mesh_link *link, struct quic_stream *stream);
void mesh_calls_free(struct mesh *mesh);
void mesh_serves_free(struct mesh *mesh);
/* Would we take what @link's peer asks for? *ret_port is then the port. */
enum work_opened mesh_serve_judge(struct mesh *mesh, const struct mesh_link *link,
				  const struct work_open *open, uint16_t *ret_port);
/* A socket that is being, or is, connected to @port of the pod; -errno. */
_must_use_ int mesh_serve_connect(int type, uint16_t port, bool v6);

/* ---- mesh_pipe.c ---- */
/* Bytes between @fd and @stream, both taken over, from now on. @ended is called once, when neither
 * is left; @user may be gone before only by mesh_pipes_free(). */
void mesh_pipe_new(struct mesh *mesh, int fd, struct quic_stream *stream, struct bytes early,
		   bool early_end, loop_fn ended, void *user);
/* Also tells the allocator not to give memory back, and take it again, with every packet. */
void mesh_pipes_init(struct mesh *mesh);
/* Give sockets what has come for them; at the end of each turn. */
void mesh_pipes_flush(void *mesh);
void mesh_pipes_free(struct mesh *mesh);
/* Close @fd so that its peer sees a reset. */
void mesh_fd_reset(int fd);

/* ---- mesh_flow.c ---- */
void mesh_flow_packet(struct mesh *mesh, struct mesh_link *link, struct work_packet *packet);
void mesh_flow_ended(struct mesh *mesh, struct mesh_link *link, const struct work_packet_end *end);
void mesh_flow_link_closed(struct mesh *mesh, const struct mesh_link *link);
/* From now on a short silence ends them. */
void mesh_flows_leave(struct mesh *mesh);
void mesh_flows_free(struct mesh *mesh);

/* ---- mesh_group.c ---- */
void mesh_group_take(struct mesh *mesh, const struct mesh_link *link, struct bytes message);
