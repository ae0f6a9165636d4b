/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fabric process: everything that speaks with the outside, without privileges.
 *
 * It is started by the host process (/proc/self/exe --fabric-process <descriptor>), hears over the
 * descriptor what machine this is, gives up root, and then runs one loop: QUIC peers, the REST
 * gateway, the control socket and the records' disk feed one struct node; what the node asks for is
 * carried out here.
 *
 *   fabric.c    life: start, join if need be, run, end; the node's effects
 *   sandbox.c   giving up root, seccomp
 *   trust.c     the node's envelopes, by identity's certificates
 *   peers.c     QUIC connections as the node's peers
 *   join.c      asking to be let in
 *   admit.c     letting others in
 *   store.c     records on disk (LMDB), written off the loop
 *   audit.c     what users changed, written down
 *   revoked.c   who is shut out: on disk, and judged again when it changes
 *   renew.c     new certificates from half of their lifetime on
 *   contacts.c  where members were last seen, for the next start
 *   host_link.c the other process: pods, capacity, images, logs
 *   backend.c   the REST gateway's questions, answered from the node
 *   pod_leaf.c  certificates for the agents of pods: asked for, and signed
 *   names.c     what names of Services mean, for the agents of pods here
 *   ingress.h   node ports of Services
 *   streams.c   logs, processes and ports of pods, here and on other machines
 *   stream_request.c  how machines ask each other for those
 *   document.c  what this machine tells of itself as JSON
 *   control.c   R/control.sock, for the magik command
 */
#pragma once

#include <jansson.h>

#include "api/api.h"
#include "base/map.h"
#include "identity/credentials.h"
#include "identity/replay.h"
#include "identity/sha256.h"
#include "identity/trust.h"
#include "io/log.h"
#include "io/loop.h"
#include "ipc/link.h"
#include "machineplane/settings.h"
#include "node/node.h"
#include "quic/socket.h"

struct peers;
struct store;
struct join;
struct admission;
struct host_state;
struct backend;
struct control;
struct names;
struct pod_leaves;
struct streams;
struct renewal;

struct fabric {
	struct loop *loop;
	struct settings settings;
	struct credentials credentials;
	struct trust trust;
	bool trust_ready;
	struct replay replay;
	struct digest leaf;
	struct quic_credential *quic_credential;
	struct quic_socket *socket;
	struct addr address; /* what peers dial */
	struct node *node;   /* NULL until this machine is a member */
	struct loop_timer *timer;
	struct loop_timer *keep_timer;
	struct loop_timer *contacts_timer;
	bool contacts_pending;      /* the timer is set */
	struct mono contacts_saved; /* 0: not yet */
	struct loop_signal *signals[2];
	struct loop_hook *hook; /* carries out the node's effects before the loop waits */
	struct wall joined;     /* fabric time of the join reply; 0: not joined in this life */
	struct peers *peers;
	struct store *store;
	struct join *join;
	struct admission *admission;
	struct host_state *host;
	struct backend *backend;
	struct pod_objects *pod_objects;
	struct names *names;
	struct ingress *ingress;
	struct pod_leaves *pod_leaves;
	struct control *control;
	struct streams *streams;
	struct renewal *renewal;
	struct audit_log *audit;
	struct api *api;
	struct log_limit refusals;
	int exit_status;
	bool ending;
};

/* The whole life of the process. @fd: the host process. Returns the exit status. */
int fabric_run(int fd);

/* The HELLO has come: everything that needs root, then none of it; then the member's life. */
void fabric_begin(struct fabric *fabric);

/* Credentials are there, from disk or from joining: become a member. */
void fabric_become_member(struct fabric *fabric);

/* Log why, and end with @status. */
void fabric_end(struct fabric *fabric, int status);

/* sandbox.c: 0, or a negative errno with a sentence. */
_must_use_ int sandbox_enter(uint32_t uid, struct err *err);

/* trust.c */
struct node_trust fabric_node_trust(struct fabric *fabric);
struct trust_query fabric_query(const struct fabric *fabric, enum trust_purpose purpose);

/* peers.c */
struct peers_counts {
	uint64_t dialled, failed; /* connections begun here, and those that did not open */
	uint64_t lost;            /* packets: no connection and no address, or too much waits */
	size_t dialling;          /* now */
};
struct peers *peers_new(struct fabric *fabric);
void peers_free(struct peers *peers);
/* False: it cannot even be begun; the node has been told. */
bool peers_dial(struct peers *peers, const struct node_id *id, const struct addr *addr);
/* But for connections on which a byte stream is open: they end when nobody says anything. */
void peers_close(struct peers *peers, const struct node_id *id);
/* All connections, whatever is under way on them. */
void peers_cut(struct peers *peers, const struct node_id *id);
/* Judge the certificates of all who are connected again; who is refused is expelled. */
void peers_judge(struct peers *peers);
/* @packet, which is copied, on a connection that stands; else @addr is dialled, if there is one. */
void peers_send(struct peers *peers, const struct node_id *to, const struct addr *addr,
		struct bytes packet);
struct quic_conn *peers_conn(const struct peers *peers, const struct node_id *id);
const struct peers_counts *peers_counts(const struct peers *peers);
extern const struct quic_handler peers_handler;

/* join.c */
struct join *join_begin(struct fabric *fabric, struct err *err);
void join_free(struct join *join);
/* The credentials in memory, to D/fabric. 0 or -errno. */
_must_use_ int fabric_save_credentials(const struct fabric *fabric);

/* admit.c */
struct admission *admission_new(void);
void admission_free(struct admission *admission);
void admit_serve(struct fabric *fabric, struct quic_conn *conn, struct bytes request);
void admit_issued(struct fabric *fabric, uint64_t number, int status, const char *error,
		  struct bytes certs);
void admit_closed(struct admission *admission, const struct quic_conn *conn);

/* store.c */
struct store *store_open(struct fabric *fabric, struct err *err);
void store_close(struct store *store);
size_t store_restore(struct store *store);
/* Append the chain under @leaf, concatenated DER; false: nothing that it signed was stored here. */
bool store_leaf(struct store *store, const struct digest *leaf, struct buf *ret_chain);
/* Keep the chain of who signed @envelope: it is to be had here for as long as this machine lives.
 */
void store_keep_issuer(struct store *store, struct bytes envelope);
void store_put(struct store *store, const struct record_key *key,
	       const struct record_version *version, struct bytes envelope);
void store_forget(struct store *store, const struct record_key *key);
void store_flush(struct store *store);
struct fabric_time_kept store_time(struct store *store);
void store_keep_time(struct store *store, const struct fabric_time_kept *kept);

struct node_complete store_complete(struct store *store);
void store_keep_complete(struct store *store, const struct node_complete *complete);
/* Of the records; false: nothing was written down. */
_must_use_ bool store_standing(struct store *store, struct records_standing *ret);
void store_keep_standing(struct store *store, const struct records_standing *standing);
/* Of a pod: see NODE_NOTE. */
void store_note(struct store *store, const struct uid *pod_uid, int64_t confirmed_ms,
		struct bytes object);
/* @ret_object holds what the note points to. */
struct node_note store_read_note(struct store *store, const struct uid *pod_uid,
				 struct buf *ret_object);

/* renew.c */
struct renewal *renewal_new(struct fabric *fabric);
void renewal_free(struct renewal *renewal);
/* This machine's leaf is good for nothing but to renew itself: now. */
void renewal_hurry(struct renewal *renewal);

/* audit.c */
struct audit_log *audit_log_new(const char *state_dir);
void audit_log_free(struct audit_log *log);
/* Will one more line find room? Begins a file if need be. */
_must_use_ bool audit_log_ready(struct audit_log *log, struct err *err);
void audit_log_write(struct audit_log *log, struct bytes line);

/* revoked.c */
_must_use_ int revoked_restore(struct fabric *fabric, struct err *err);
void revoked_changed(struct fabric *fabric);
/* Answers for R/control.sock. */
json_t *revoked_control(struct fabric *fabric, const json_t *request);
json_t *revoked_list(struct fabric *fabric);

/* contacts.c */
enum {
	CONTACTS_MAX = 32, /* one that is up is enough; the rest is learned from it */
};
size_t contacts_read(const struct fabric *fabric, struct addr_peer ret[CONTACTS_MAX]);
void contacts_dial(struct fabric *fabric);
void contacts_changed(struct fabric *fabric); /* they are saved a little later */
void contacts_save(void *fabric);

/* host_link.c */
struct host_state *host_state_new(struct fabric *fabric, int fd, struct err *err);
void host_state_free(struct host_state *host);
void host_member(struct host_state *host);
void host_start(struct host_state *host, const struct award *award, struct bytes envelope);
/* What people set for this machine's Node is another now. */
void host_settings_changed(struct host_state *host);
bool host_has_rebooted(const struct host_state *host);   /* since its daemon ran last */
const char *host_runtime(const struct host_state *host); /* "crun://1.8.1" */
void host_stop(struct host_state *host, const struct uid *pod_uid, uint32_t grace_s,
	       const char *reason, bool for_good);
/* Pass on what a steward has signed about an object that a pod here names. */
void host_tell_object(struct host_state *host, struct bytes envelope);
void host_resume(struct host_state *host, const struct uid *pod_uid, const char *reason);
void host_ask_issue(struct host_state *host, uint64_t request, struct bytes content);
/* Open a stream of a pod of this machine, with the envelope of its gateway's POD_REQUEST (of
 * INGRESS and USAGE: none); streams_opened() follows with @number. 0, -ENOTCONN, or -ENOENT: the
 * Service of INGRESS is not known here. */
_must_use_ int host_ask_stream(struct host_state *host, uint64_t number,
			       const struct api_stream_request *request, struct bytes envelope);
/* Those that it has not been told of. */
void host_tell_revocations(struct host_state *host);

/* pod_objects.c */
struct pod_objects *pod_objects_new(struct fabric *fabric);
void pod_objects_free(struct pod_objects *objects);
/* A pod is here: the host is told of all that its manifest names, now and whenever it changes. */
void pod_objects_need(struct pod_objects *objects, const struct uid *pod_uid,
		      struct bytes manifest);
void pod_objects_release(struct pod_objects *objects, const struct uid *pod_uid);
/* The claims whose directories are here, anew: of each the host is told when it has ended. */
void pod_objects_claims_begin(struct pod_objects *objects);
void pod_objects_claim(struct pod_objects *objects, const struct uid *claim);
/* A refresh, or a fetch, has ended. Whether it was one for pods. */
bool pod_objects_refreshed(struct pod_objects *objects, uint64_t token);
bool pod_objects_fetched(struct pod_objects *objects, uint64_t token);
void pod_objects_changed(struct pod_objects *objects, const struct record *record);

void host_tell_leaf(struct host_state *host, const Magik__Ipc__LeafFound *found);
void host_tell_name(struct host_state *host, const Magik__Ipc__NameFound *found);

/* pod_leaf.c */
struct pod_leaves *pod_leaves_new(struct fabric *fabric);
void pod_leaves_free(struct pod_leaves *leaves);
/* The agent of a pod here asks; @leaves NULL: this machine is no member yet, the agent asks again.
 */
void pod_leaves_look(struct pod_leaves *leaves, const Magik__Ipc__LeafLook *look);
/* NODE_LEAF_WANTED, NODE_LEAF_CAME, NODE_AGENTS. */
void pod_leaves_effect(struct fabric *fabric, const struct node_effect *effect);
/* An agent misses a replica of its own workload. */
void pod_sibling_missed(struct fabric *fabric, const Magik__Ipc__SiblingMissed *missed);
/* Fabric time has stepped: all agents are told. */
void pod_leaves_stepped(struct fabric *fabric);

/* ingress.c: see ingress.h */
struct ingress *ingress_new(struct fabric *fabric);
void ingress_free(struct ingress *ingress);
/* This record has changed, or has come. @ingress may be NULL. */
void ingress_changed(struct ingress *ingress, const struct record *record);

/* names.c */
struct names *names_new(struct fabric *fabric);
void names_free(struct names *names);
/* The agent of a pod here asks: answered by host_tell_name(), now or when what it is about has been
 * brought here. */
void names_look(struct names *names, const Magik__Ipc__NameLook *look);

/* backend.c */
struct backend *backend_new(struct fabric *fabric);
void backend_free(struct backend *backend);
const struct api_backend *backend_api(struct backend *backend);
void backend_refreshed(struct backend *backend, const struct node_effect *effect);
void backend_put_done(struct backend *backend, const struct node_effect *effect);
void backend_changed(struct backend *backend, const struct node_effect *effect);
void backend_events_changed(struct backend *backend);
void backend_members_changed(struct backend *backend);
/* Where @machine can be dialled, as it has published; none: it is not known. */
struct addr backend_address(const struct backend *backend, const struct node_id *machine);
void backend_fail_pending(struct backend *backend);

/* document.c: JSON appended; false when there is no such document. */
bool document_write(struct fabric *fabric, enum api_document which, const char *id,
		    struct buf *json);
bool document_status(struct fabric *fabric, struct buf *json);
bool document_counters(struct fabric *fabric, struct buf *json);
bool document_tenders(struct fabric *fabric, struct buf *json);

/* control.c: the socket is made while we are root. */
struct control *control_new(struct fabric *fabric, struct err *err);
void control_free(struct control *control);

/* What a line from R/control.sock asks; foreign text. */
enum control_verb {
	CONTROL_UNKNOWN,
	CONTROL_STATUS,
	CONTROL_COUNTERS,
	CONTROL_TENDERS,
	CONTROL_REVOKE,
	CONTROL_REVOCATIONS,
};
enum control_verb control_verb_of(struct bytes line);

/* stream_request.c: one line asks another machine for a stream, one line answers: foreign text. */
enum {
	/* The words of a command come in the head of an HTTP request and are escaped here; beside
	 * them stands an envelope with a chain of four certificates, in base64. */
	STREAM_LINE_MAX = 96 * 1024,
};
struct stream_answer {
	int status; /* 200, or 400..599 */
	char error[ERR_TEXT_MAX];
};
/* A request and what its strings point into. */
struct stream_question {
	struct api_stream_request request;
	struct buf envelope; /* of the POD_REQUEST that says the same; of USAGE: empty */
	json_t *json;
	const char **command;
};
void stream_question_write(const struct api_stream_request *request, struct bytes envelope,
			   struct buf *out);
/* False: malformed; nothing is to be freed then. */
_must_use_ bool stream_question_parse(struct bytes line, struct stream_question *ret_question);
void stream_question_deinit(struct stream_question *question);
void stream_answer_write(int status, const char *error, struct buf *out);
struct stream_answer stream_answer_parse(struct bytes line);

/* streams.c */
struct streams *streams_new(struct fabric *fabric);
void streams_free(struct streams *streams);
/* As in api/backend.h. */
struct api_stream *streams_open(struct streams *streams, const struct api_stream_request *request,
				const struct api_stream_sink *sink, void *arg);
bool streams_write(struct api_stream *stream, struct bytes bytes);
void streams_finish(struct api_stream *stream);
void streams_resume(struct api_stream *stream);
void streams_close(struct api_stream *stream);
/* The host process has answered. */
void streams_opened(struct streams *streams, uint64_t number, int status, const char *error,
		    int fd);
/* A connection to @machine stands; it could not be made, or the last one is gone. */
void streams_connected(struct streams *streams, const struct node_id *machine,
		       struct quic_conn *conn);
void streams_disconnected(struct streams *streams, const struct node_id *machine);
void streams_peer_opened(struct streams *streams, struct quic_stream *stream);
void streams_peer_data(struct streams *streams, struct quic_stream *stream, struct bytes data,
		       bool end);
void streams_peer_writable(struct streams *streams, struct quic_stream *stream);
void streams_peer_closed(struct streams *streams, struct quic_stream *stream,
			 const struct err *why);
