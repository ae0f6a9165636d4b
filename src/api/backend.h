/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Backend: what the REST gateway asks of the fabric behind it.
 *
 * The fabric process implements this table over its records, membership and market; the tests
 * implement it in memory. Everything runs on one libuv loop and in one thread.
 *
 * Reads are answered at once, from what this machine knows: refresh() first brings here what others
 * keep. Everything handed to a callback is
 * borrowed until that callback returns. A callback may start another read, never a write.
 * Writes are asynchronous: the done callback is called exactly once, possibly before the starting
 * call returns, whatever happens to the client meanwhile.
 *
 * After a write's done callback reported success, reads on the same machine show that write.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/id.h"
#include "base/time.h"

struct presence;   /* wire/presence.h */
struct node_facts; /* wire/presence.h */

enum {
	API_USER_NAME_MAX = 128,  /* the common name of a user's certificate */
	API_USER_GROUPS_MAX = 16, /* more groups in one certificate make it invalid */
};

/* Who is asking; filled from a verified certificate. */
struct api_user {
	char name[API_USER_NAME_MAX];
	char groups[API_USER_GROUPS_MAX][API_USER_NAME_MAX];
	size_t group_count;
};

enum {
	API_CHAIN_MAX = 8, /* certificates that a client may show */
};

/* With what a user has shown who they are; borrowed from their connection. */
struct api_credential {
	struct bytes
		certs[API_CHAIN_MAX]; /* DER, leaf first; none: who administrates this machine */
	size_t count;
};

/* One stored object, exactly as it was put; borrowed. */
struct api_object {
	const char *kind;      /* "Deployment", "Pod", "Namespace" */
	const char *namespace; /* "" for a cluster-wide kind */
	const char *name;
	struct uid uid;
	uint64_t version;    /* resourceVersion: the record's hybrid clock */
	uint64_t generation; /* metadata.generation */
	struct bytes json;
};

/* One machine of the fabric; borrowed. */
struct api_member {
	const struct node_facts *facts; /* as the machine last announced them */
	struct node_id id;
	bool alive;         /* Ready, as this machine sees it */
	struct wall joined; /* creationTimestamp; 0 when unknown */
	struct wall seen;   /* the last time it was heard of: condition heartbeats */
	uint64_t version;   /* raised whenever facts or liveness change */
};

/* One Kubernetes event about an object; borrowed. */
struct api_event {
	const char *namespace;
	const char *kind, *name; /* involvedObject */
	struct uid uid;          /* of the involved object */
	const char *type;        /* "Normal" or "Warning" */
	const char *reason;      /* CamelCase, such as Scheduled, Pulled, Failed */
	const char *message;
	const char *source_component; /* "machineplane" */
	const char *source_host;      /* node name */
	struct wall first, last;
	uint32_t count;
	struct uid id; /* of the event itself, the same on every machine */
};

struct api_put {
	const char *kind, *namespace, *name;
	struct uid uid;
	uint64_t generation;
	/* Create only: an object of that name that became visible meanwhile gives status 409. */
	bool create;
	/* Not create: another current version than this gives status 409. */
	uint64_t expected_version;
	struct bytes json;  /* the complete object without status; copied */
	const char *author; /* user name, for the audit log */
};

struct api_dispose {
	const char *kind, *namespace, *name;
	struct uid uid;
	int64_t grace_s; /* < 0: what the manifest says */
	const char *author;
};

/* What is about to be read. @namespace "" for a kind without; NULL: all. @name NULL: all. */
struct api_scope {
	const char *kind, *namespace, *name;
	const char *about; /* of kind "Event", whose @name is that of the object that the events are
			    * about: its kind; NULL: any */
};

/* How a write ended: err.code is 0 on success, else err.status and err.text go to the client. */
struct api_result {
	struct err err;
	uint64_t version;        /* of the stored record */
	uint32_t stored, wanted; /* keepers that acknowledged, keepers there are */
};

typedef void api_done_fn(void *arg, const struct api_result *result);
typedef void api_refreshed_fn(void *arg, bool complete);
typedef void api_member_fn(void *arg, const struct api_member *member);
typedef void api_object_fn(void *arg, const struct api_object *object);
typedef void api_name_fn(void *arg, const char *name);
typedef void api_presence_fn(void *arg, const struct presence *presence, uint64_t version);
typedef void api_event_fn(void *arg, const struct api_event *event);
/* @name is complete ("magik_tenders_total"), @type "counter" or "gauge". */
typedef void api_counter_fn(void *arg, const char *name, const char *help, const char *type,
			    uint64_t value);

/* What `kubectl logs` asked for. */
struct api_log_options {
	bool follow, timestamps, previous;
	int64_t tail_lines;  /* < 0: all */
	int64_t limit_bytes; /* < 0: all */
	struct wall since;   /* 0: from the beginning */
};

enum api_stream_kind {
	API_STREAM_LOG,     /* bytes to the client */
	API_STREAM_EXEC,    /* frames both ways (wire/frame.h): a process of its own */
	API_STREAM_ATTACH,  /* as EXEC, of the container's first process */
	API_STREAM_PORT,    /* bytes both ways: a connection to a port of the pod */
	API_STREAM_INGRESS, /* as PORT, by a node port of a Service: in nobody's name */
	API_STREAM_USAGE,   /* JSON to the client, as in runtime/usage.h: of a machine, no pod */
	_API_STREAM_KIND_COUNT,
};

/* What is wanted of a pod on whatever machine; all borrowed. */
struct api_stream_request {
	enum api_stream_kind kind;
	struct uid pod;
	struct node_id machine; /* where it runs */
	const char *container;  /* never empty, but for PORT, INGRESS and USAGE */
	const char *user;       /* for the audit log of that machine */
	/* Theirs, in the name of whom that machine is asked; NULL: it is not known any more. Not
	 * looked at for INGRESS and USAGE. */
	const struct api_credential *credential;
	struct api_log_options log; /* of LOG */
	const char *const *command; /* of EXEC */
	size_t command_count;
	bool in, out, err, is_tty; /* of EXEC and ATTACH: the streams that the client has */
	uint16_t port;             /* of PORT; of INGRESS: the machines' own */
	const char *namespace;     /* of USAGE: of which containers; "": all; NULL: of none */
	const char *service;       /* of INGRESS, in @namespace */
};

/*
 * Where a stream's bytes go. begin() once when it could be opened; data() any number of times;
 * end() exactly once, unless stream_close() came first: an end() before begin() carries the reason.
 * data() returns false when no more should be sent until stream_resume(). writable() follows a
 * stream_write() that returned false; in it the stream may be closed, in begin() and data() not.
 */
struct api_stream_sink {
	void (*begin)(void *arg);
	bool (*data)(void *arg, struct bytes bytes);
	void (*writable)(void *arg);                   /* NULL: nothing is ever written */
	void (*end)(void *arg, const struct err *err); /* err->code 0: it is complete */
};

struct api_stream; /* one open stream, the backend's */

/* Documents that only the backend can write. Each is one JSON value. */
enum api_document {
	API_DOCUMENT_PUBKEY,     /* /api/v1/pubkey */
	API_DOCUMENT_PEERS,      /* /debug/peers */
	API_DOCUMENT_DHT_PEERS,  /* /debug/dht/peers */
	API_DOCUMENT_PODS,       /* /debug/pods: what this machine runs */
	API_DOCUMENT_TENDERS,    /* /debug/tenders */
	API_DOCUMENT_LOCAL_PEER, /* /debug/local_peer_id */
	API_DOCUMENT_TENDER,     /* /tenders/{id} */
	API_DOCUMENT_CANDIDATES, /* /tenders/{id}/candidates */
	API_DOCUMENT_DISPOSAL,   /* /disposal/{ns}/{kind}/{name}: id is "ns/kind/name" */
	_API_DOCUMENT_COUNT,
};

struct api_backend_ops {
	/* Clock and randomness. */
	struct wall (*now)(void *self);
	void (*random)(void *self, void *out, size_t len);

	/* The newest hybrid clock value this machine has seen; never decreases. */
	uint64_t (*version)(void *self);

	/*
	 * Bring what the fabric has of @scope: true when the reads below show it already, no older
	 * than 2 s; @done is not called then. Else @done is called once, later, whether all of it
	 * could be had (complete) or not.
	 */
	bool (*refresh)(void *self, const struct api_scope *scope, api_refreshed_fn *done,
			void *arg);

	/* Reads. @kind NULL: all kinds; @namespace NULL: all namespaces. */
	void (*members)(void *self, api_member_fn *each, void *arg);
	void (*objects)(void *self, const char *kind, const char *namespace, api_object_fn *each,
			void *arg);
	/* The namespaces in which there is an object, each at least once. */
	void (*namespaces)(void *self, api_name_fn *each, void *arg);
	/* Of kind "ReplicaSet" or "Pod", those that say of no other object that it controls them.
	 */
	void (*unowned)(void *self, const char *kind, const char *namespace, api_object_fn *each,
			void *arg);
	/* Calls @each once and returns true when the object exists. */
	bool (*object)(void *self, const char *kind, const char *namespace, const char *name,
		       api_object_fn *each, void *arg);
	/* The same by uid; a workload's object, whatever its kind. */
	bool (*object_by_uid)(void *self, const struct uid *uid, api_object_fn *each, void *arg);
	/* That object and all that was derived from it, which has the same home. */
	void (*family)(void *self, const struct uid *uid, api_object_fn *each, void *arg);
	/* The workload of the pod that a machine reports under this name. */
	bool (*pod_workload)(void *self, const char *namespace, const char *name,
			     struct uid *ret_workload);
	/* Presences of one workload, or of all (@workload NULL). Includes pods that still run
	 * although their workload has been deleted. */
	void (*presences)(void *self, const struct uid *workload, api_presence_fn *each, void *arg);
	/* The last known object of a deleted workload, for composing its pods until they are gone.
	 */
	bool (*buried)(void *self, const struct uid *workload, api_object_fn *each, void *arg);
	void (*events)(void *self, const char *namespace, api_event_fn *each, void *arg);
	void (*counters)(void *self, api_counter_fn *each, void *arg);

	/* Writes. */
	void (*put)(void *self, const struct api_put *put, api_done_fn *done, void *arg);
	/* The tombstone of a workload; done once it is stored. */
	void (*dispose)(void *self, const struct api_dispose *dispose, api_done_fn *done,
			void *arg);
	/* Stop one pod of a workload that goes on (its controller places another). */
	/* Move one pod elsewhere: it is stopped when another one is ready in its place. */
	void (*pod_evict)(void *self, const struct uid *pod, const char *author, api_done_fn *done,
			  void *arg);
	void (*pod_stop)(void *self, const struct uid *pod, int64_t grace_s, const char *author,
			 api_done_fn *done, void *arg);

	/* Streams of pods. The handle is valid until end() or stream_close(), neither of which
	 * happens inside stream_write() or stream_finish(); NULL: end() has been called already. */
	struct api_stream *(*stream_open)(void *self, const struct api_stream_request *request,
					  const struct api_stream_sink *sink, void *arg);
	/* Takes all of @bytes. False: the next should wait for writable(). */
	bool (*stream_write)(void *self, struct api_stream *stream, struct bytes bytes);
	/* Nothing more will be written; what comes from there goes on. */
	void (*stream_finish)(void *self, struct api_stream *stream);
	void (*stream_resume)(void *self, struct api_stream *stream);
	void (*stream_close)(void *self, struct api_stream *stream);

	/* Append a document; false when there is none with this @id (NULL where not needed). */
	bool (*document)(void *self, enum api_document which, const char *id, struct buf *json);

	/* The audit log; NULL both: none is kept. Ready: one more line will find room, else @err
	 * says why not. The line is JSON without its end. */
	bool (*audit_ready)(void *self, struct err *err);
	void (*audit)(void *self, struct bytes line);

	/* Is this machine ready to serve? Fills @err with why not. */
	bool (*ready)(void *self, struct err *err);

	/*
	 * A client's certificate chain, leaf first, DER. 0 and @ret_user, or a failure with text:
	 * the request is then answered 401.
	 */
	int (*verify_user)(void *self, const struct bytes *chain, size_t count,
			   struct api_user *ret_user, struct err *err);
};

struct api_backend {
	const struct api_backend_ops *ops;
	void *self;
};
