/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mesh: one pod's part in the network of all pods: who it is, who the others are, and encrypted
 * streams to and from them.
 *
 *   mesh_new() --mesh_set_identity()--> serving --mesh_drain()--> leaving --> mesh_free()
 *
 * One UDP socket carries everything (QUIC, ALPN magik-work/1, certificates of pods on both sides).
 * Who a peer is, its certificate alone says: the SPIFFE name in it is what the directory keeps
 * records for and what the policy judges. Connections are made when they are needed, and closed
 * when they are not.
 *
 * An application's connection is a stream of its own: mesh_open() takes the accepted descriptor,
 * finds a replica that is ready, and asks its agent for the port; that one judges us, connects to
 * its pod's application and answers; then bytes go both ways, with back-pressure, the end of each
 * direction by itself, and resets passed on. Nothing is sent before a replica has accepted, so
 * another one can be asked until then. UDP goes in flows, one message per datagram.
 *
 * Before the first mesh_set_identity() nothing is sent or answered; what is asked for waits.
 * Callbacks may call anything here but mesh_free(). Strings are copied.
 */
#pragma once

#include "base/attr.h"
#include "base/err.h"
#include "identity/key.h"
#include "identity/revocation.h"
#include "io/loop.h"
#include "service/pick.h"
#include "wire/work.h"

struct mesh;
struct mesh_flow;
struct mesh_question;

enum {
	MESH_FD_NONE = -1,
	MESH_TARGETS_MAX = 16,         /* workloads behind one Service: nearly always one */
	MESH_CONTACTS_MAX = 64,        /* to begin with */
	MESH_QUESTIONS_MAX = 256,      /* mesh_resolve() under way */
	MESH_CALLS_MAX = 4096,         /* streams opened from here */
	MESH_SERVED_MAX = 4096,        /* streams accepted here */
	MESH_FLOWS_MAX = 1024,         /* UDP, in each direction; the idlest gives way */
	MESH_FLOW_IDLE_MS = 60 * 1000, /* as connection trackers have it for one that is answered */
	MESH_KEPT_PORTS_MAX = 72,      /* local ports by hand, and what the group's clients ask */
	MESH_DATAGRAM_MAX = 65507,     /* UDP's own limit */
};

/* All of it but @socket_fd is copied. */
struct mesh_config {
	/* A bound UDP socket, taken over, of whatever network namespace; MESH_FD_NONE: one is bound
	 * to @address. */
	int socket_fd;
	/* Where other agents reach us. With @socket_fd a port of 0 is that of the socket. */
	struct addr address;
	const char *namespace, *kind, *workload, *pod; /* as in the certificate that will come;
							* the kind in lower case there */
	uint32_t ordinal;                              /* SERVICE_NO_ORDINAL: none */
	uint64_t epoch;
	struct uid workload_uid; /* none: by hand, without an object; made of the names */
	struct service_policy policy;
	uint64_t machine;                 /* equal for pods of one machine; 0: not told */
	const char *region;               /* NULL: not told */
	const struct service_port *ports; /* declared; how a target port is found by its name */
	size_t port_count;
	const struct label *labels;
	size_t label_count;
};

/* 0, or -EINVAL for names, ports or patterns that no record could carry. */
_must_use_ int mesh_new(struct loop *loop, const struct mesh_config *config, struct err *err,
			struct mesh **ret_mesh);

/* Ends everything at once, streams by a reset. No callback is called any more. NULL is accepted. */
void mesh_free(struct mesh *mesh);

/* All borrowed. */
struct mesh_identity {
	const struct key *key;
	struct bytes chain; /* concatenated DER, leaf first, without the root */
	struct bytes root;  /* DER: the fabric's workload root */
};

/*
 * Who we are, from now on; renewals call it again, with the same key and root. The leaf must be a
 * pod's, with the names of the configuration, of the fabric of @identity->root. -EACCES when it is
 * not, or not valid now; -errno of the socket. Call mesh_set_time() first.
 */
_must_use_ int mesh_set_identity(struct mesh *mesh, const struct mesh_identity *identity,
				 struct err *err);

/* Fabric time is the monotonic clock plus so much. If it steps, peers are judged again. */
void mesh_set_time(struct mesh *mesh, int64_t offset_ms);

/* What @claim says is not to be trusted any more, by the word of the machine that this pod runs on;
 * its envelope and chain are not looked at. What is known is passed over. */
void mesh_revoke(struct mesh *mesh, const struct revocation_claim *claim);

/* Connections of those that are not trusted any more, or whose time is over, end now. */
void mesh_judge_peers(struct mesh *mesh);

/* Fabric time now, as far as it is known. */
struct wall mesh_time(const struct mesh *mesh);

/* Agents to begin with. Those beyond MESH_CONTACTS_MAX before the identity is there are dropped. */
void mesh_add_contacts(struct mesh *mesh, const struct addr_peer *contacts, size_t count);

/* The readiness of the pod, which its record follows at once. False, false until told. */
void mesh_set_ready(struct mesh *mesh, bool ready, bool healthy);

/* As it was told. */
bool mesh_is_healthy(const struct mesh *mesh);

/* Of the configuration, or one that follows from the names. */
struct uid mesh_workload_uid(const struct mesh *mesh);

/* The agent itself listens at this port of the loopback: nobody is led there from outside, who
 * would speak in the pod's name then. The first MESH_KEPT_PORTS_MAX count. */
void mesh_keep_port(struct mesh *mesh, uint16_t port);

/* The role of the pod in its group, for the record. */
void mesh_set_role(struct mesh *mesh, enum service_role role, uint64_t term);

struct mesh_name {
	char namespace[MESSAGE_NAMESPACE_MAX + 1];
	char name[MESSAGE_NAME_MAX + 1];
};

/* @records, valid within the call: all replicas known, ready or not. @complete: all who keep them
 * have answered. */
typedef void mesh_resolve_fn(void *user, const struct service_record *const *records, size_t count,
			     bool complete);

/*
 * Look the replicas of a workload up. @fn is called once, at the latest after a few seconds, never
 * from within this call; what is in use is answered on the next turn of the loop. NULL: too many
 * questions, or no name of a workload. A question may be taken back until it is answered.
 */
_must_use_ struct mesh_question *mesh_resolve(struct mesh *mesh, const char *namespace,
					      const char *name, mesh_resolve_fn *fn, void *user);
void mesh_question_free(struct mesh_question *question);

/* Where a connection is to go. */
struct mesh_order {
	const struct mesh_name *targets; /* a replica of any of these */
	size_t target_count;
	const char *pod; /* this one only; NULL or "": any */
	enum service_protocol protocol;
	uint16_t port;         /* of the target pod */
	const char *port_name; /* or, not NULL nor "": the port it declares under this name */
	enum pick_preference preference;
};

/* Take over @fd, a connected TCP socket that does not block, and connect it to a replica. If none
 * can be had, it is reset. */
void mesh_open(struct mesh *mesh, const struct mesh_order *order, int fd);

/* A datagram came back on a flow; @len 0 is one too. Or (NULL) the flow has ended by itself: idle,
 * refused, gone. The flow must not be used after that. */
typedef void mesh_flow_fn(void *user, const struct bytes *datagram);

/* A UDP conversation with one replica. The first datagrams wait while it is being found. NULL: the
 * order names nothing. */
_must_use_ struct mesh_flow *mesh_flow_new(struct mesh *mesh, const struct mesh_order *order,
					   mesh_flow_fn *fn, void *user);
/* As with UDP itself, a datagram may be lost: too large, too many waiting. */
void mesh_flow_send(struct mesh_flow *flow, struct bytes datagram);
void mesh_flow_free(struct mesh_flow *flow);

/* Leave: the others are told at once that nothing new is to come; nothing new is accepted; what is
 * open goes on. There is no way back. */
void mesh_leave(struct mesh *mesh);

/* Leave, and when everything open has ended, or @grace_ms are over, @done is called, once, never
 * from within this call. */
void mesh_drain(struct mesh *mesh, int64_t grace_ms, loop_fn done, void *user);

/* What the agent of the replica of our own workload with that ordinal says about their group
 * (wire/group_message.h); its certificate carries the name that ends in the ordinal. */
typedef void mesh_group_fn(void *user, uint32_t ordinal, struct bytes message);

void mesh_on_group(struct mesh *mesh, mesh_group_fn *fn, void *user);

/* Say something to it; may be lost. False: it is not known, or it cannot be reached now. */
_must_use_ bool mesh_tell_group(struct mesh *mesh, uint32_t ordinal, struct bytes message);

/* Nothing is heard any more of the agent of a replica of our own workload, @pod. Called once each
 * time. */
typedef void mesh_missing_fn(void *user, const char *pod);

void mesh_on_missing(struct mesh *mesh, mesh_missing_fn *fn, void *user);

struct mesh_stats {
	uint64_t opened, accepted, retried, unserved; /* streams: asked for here, ... */
	uint64_t served, refused_policy, refused_other, unreachable; /* asked of us */
	uint64_t bytes_in, bytes_out; /* of the application's, in both directions */
	uint64_t refused_peers;       /* handshakes */
	size_t calls, serving, flows, conns, contacts; /* now */
	uint32_t load;
};

void mesh_stats(const struct mesh *mesh, struct mesh_stats *ret_stats);
