/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Message: everything that machines say to each other, as plain structs.
 *
 * The codec (proto/machine.proto through protobuf-c) fills these structs from foreign bytes and
 * enforces every limit below; a core never sees a message that breaks one. Strings are
 * zero-terminated, never NULL after decoding (absent = ""), valid UTF-8 without control characters.
 *
 * Ownership: a struct message owns all it points to; message_deinit() frees it. The structs of
 * the parts can be copied deeply with the *_copy() functions. A zeroed part is valid and empty.
 *
 * Signed messages travel inside an envelope (identity/envelope.h), the others rely on the TLS
 * connection they arrive on: message_is_signed() tells which.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/bytes.h"
#include "base/id.h"
#include "base/time.h"
#include "wire/registrars.h"

enum {
	MESSAGE_TTL_MAX = 16,   /* hops of a random walk; ours are at most 6 */
	MESSAGE_HOPS_MAX = 255, /* links a broadcast may have travelled */
	MESSAGE_SHARE_MAX = 1000,
	MESSAGE_VERSION = 1,            /* a peer names the versions it speaks in its hello */
	MESSAGE_MANIFEST_MAX = 1 << 20, /* one object as JSON */
	MESSAGE_RECORD_MAX = (1 << 20) + (64 << 10), /* the envelope of a record: its value, names,
						      * signature */
	MESSAGE_LEN_MAX = 2 << 20,   /* an award: manifest, tender envelope, signatures */
	MESSAGE_SLOTS_MAX = 64,      /* replicas placed by one tender; more take several */
	MESSAGE_LABELS_MAX = 64,     /* label terms of a tender, labels of a machine */
	MESSAGE_NODES_MAX = 64,      /* machines named in one list (exclusions, members) */
	MESSAGE_CONTAINERS_MAX = 32, /* containers of a pod, init containers included */
	MESSAGE_IMAGES_MAX = 32,     /* images named by one workload */
	MESSAGE_NAME_MAX = 253,      /* RFC 1123 subdomain: object names, node names */
	MESSAGE_NAMESPACE_MAX = 63,  /* RFC 1123 label */
	MESSAGE_LABEL_KEY_MAX = 317, /* prefix 253 + '/' + name 63, as in Kubernetes */
	MESSAGE_LABEL_VALUE_MAX = 63,
	MESSAGE_TEXT_MAX = 1024,      /* reasons and messages for people; \n and \t allowed */
	MESSAGE_REF_MAX = 512,        /* image reference */
	MESSAGE_TENURES_MAX = 256,    /* of one page of a registrar's book: 64 KiB */
	MESSAGE_SYNC_KEYS_MAX = 1024, /* records named in one synchronisation message */
	MESSAGE_REVOKED_MAX =
		16384,           /* revocations named in one message: all that a machine keeps */
	MESSAGE_ROWS_MAX = 2048, /* rows of one index message: twice a shard that is full */
	MESSAGE_SHARD_DEPTH_MAX = 32, /* bits of a shard's prefix */
	MESSAGE_HAPPENINGS_MAX = 256, /* of one answer: with ordinary messages 32 KiB */
	MESSAGE_VOUCH_MAX =
		128, /* pods asked after in one message: more than a machine usually runs */
	MESSAGE_CONTACTS_MAX = 20, /* contacts of one overlay message: Kademlia's k; they fit into
				    * two datagrams */
	MESSAGE_NEAREST_MAX = 2 * MESSAGE_CONTACTS_MAX, /* of a wide FOUND */
	MESSAGE_GOSSIP_MAX =
		64 << 10,          /* payload of a broadcast: a tender at usual sizes, a disposal */
	MESSAGE_IHAVE_MAX = 32,    /* broadcasts announced in one message */
	MESSAGE_REFERRAL_MAX = 64, /* machines that one referral may ask for */
	MESSAGE_TERMS_MAX = 64,    /* label terms of a tender, all its sets together */
	MESSAGE_VALUES_MAX = 256,  /* values of these terms together */
	MESSAGE_SETS_MAX = 16,     /* sets of terms in one list */
	MESSAGE_WEIGHT_MAX = 100,  /* of a preference, as in Kubernetes */
	MESSAGE_TOLERATIONS_MAX = 32,
	MESSAGE_TAINTS_MAX = 16,
	MESSAGE_SPREADS_MAX = 4,   /* topology keys that a workload is spread over */
	MESSAGE_RESOURCES_MAX = 8, /* extended resources of a machine or a pod */
	MESSAGE_PORTS_MAX = 32,    /* ports of the machine that one pod takes */
	MESSAGE_CHAIN_MAX = 4,     /* certificates of a chain, leaf first, without the root */
	MESSAGE_CERT_MAX = 4096,   /* one DER certificate; ours are below 1 KiB */
};

enum message_type {
	MESSAGE_NONE,
	/* market: signed */
	MESSAGE_TENDER,
	MESSAGE_BID,
	MESSAGE_AWARD,
	MESSAGE_AWARD_REPLY,
	MESSAGE_AWARD_CONFIRM,
	MESSAGE_RELEASE,
	MESSAGE_CANCEL,
	MESSAGE_EVENT,
	MESSAGE_DISPOSAL,
	/* identity: who is not to be trusted any more; signed */
	MESSAGE_REVOCATION,
	/* identity: what a user of the signing gateway asks of a pod; on streams only; signed */
	MESSAGE_POD_REQUEST,
	/* market: unsigned; it carries a signed tender */
	MESSAGE_REFERRAL,
	/* records: the record itself is signed, the talk about records is not */
	MESSAGE_RECORD,
	MESSAGE_RECORD_ACK,
	MESSAGE_SYNC_SUMMARY,
	MESSAGE_SYNC_KEYS,
	MESSAGE_SYNC_WANT,
	MESSAGE_RECORD_PUT,
	MESSAGE_SYNC_OFFER,
	MESSAGE_SYNC_HAVE,
	MESSAGE_FETCH,
	MESSAGE_FETCHED,
	/* identity: what revocations the sender has; unsigned */
	MESSAGE_REVOKED,
	/* index: unsigned, believed of stewards (records/shard.h) */
	MESSAGE_INDEX_ROWS,
	MESSAGE_INDEX_ASK,
	MESSAGE_INDEX_ANSWER,
	/* events: unsigned, of those who were asked (node/journal.h) */
	MESSAGE_JOURNAL_ASK,
	MESSAGE_JOURNAL,
	MESSAGE_VOUCH_WANT,
	MESSAGE_VOUCH,
	/* which machine has an ordinal (market/tenure.h) */
	MESSAGE_TENURE,
	/* the owner's word that a pod is awarded to a machine; signed, inside other messages only
	 */
	MESSAGE_WARRANT,
	/* who the registrars of a StatefulSet are (market/college.h) */
	MESSAGE_COLLEGE,
	/* certificates of pods, between a machine and a steward; unsigned */
	MESSAGE_POD_LEAF_WANT,
	MESSAGE_POD_LEAF,
	/* where agents of pods are, between machines; unsigned */
	MESSAGE_AGENTS_HEARD,
	/* a replica is silent, says another's agent; to keepers of the workload; unsigned */
	MESSAGE_SIBLING_MISSING,
	/* overlay: unsigned */
	MESSAGE_HELLO,
	MESSAGE_MEMBERS,
	MESSAGE_PING,
	MESSAGE_PONG,
	MESSAGE_LEAF_WANT,
	MESSAGE_LEAF,
	/* overlay: membership (overlay/view.h) */
	MESSAGE_JOIN,
	MESSAGE_FORWARD_JOIN,
	MESSAGE_NEIGHBOR,
	MESSAGE_NEIGHBOR_REPLY,
	MESSAGE_DISCONNECT,
	MESSAGE_SHUFFLE,
	MESSAGE_SHUFFLE_REPLY,
	/* overlay: broadcast (overlay/tree.h) */
	MESSAGE_GOSSIP,
	MESSAGE_IHAVE,
	MESSAGE_GRAFT,
	MESSAGE_PRUNE,
	/* overlay: lookup (overlay/kad.h) */
	MESSAGE_FIND,
	MESSAGE_FOUND,
	MESSAGE_PROVIDE,
	MESSAGE_WITHDRAW,
	MESSAGE_TYPE_COUNT,
};

/* One key=value pair: a label, or a term that a machine's labels must satisfy. */
struct label {
	char *key;
	char *value;
};

enum term_operator {
	TERM_IN,
	TERM_NOT_IN, /* holds also without the label */
	TERM_EXISTS,
	TERM_ABSENT,
	TERM_GREATER, /* the label and the one value are integers */
	TERM_LESS,
};

/* One comparison of a label, as in Kubernetes. */
struct label_term {
	char *key;
	enum term_operator operator;
	char **values;
	size_t value_count;
};

/* All terms must hold; without terms it holds always. */
struct term_set {
	struct label_term *terms;
	size_t term_count;
	int32_t weight; /* of a preference; negative: better if it does not hold */
};

struct term_sets {
	struct term_set *list;
	size_t count;
};

enum taint_effect {
	TAINT_ANY, /* of a toleration: whatever the effect */
	TAINT_NO_SCHEDULE,
	TAINT_PREFER_NO_SCHEDULE,
	TAINT_NO_EXECUTE,
};

/* What keeps pods off a machine unless they tolerate it. */
struct taint {
	char *key;
	char *value;
	enum taint_effect effect;
};

struct toleration {
	char *key; /* "": every key, if @exists */
	char *value;
	bool exists; /* whatever the value */
	enum taint_effect effect;
	uint32_t limit_s; /* of NO_EXECUTE: for so many seconds less one; 0: without end */
};

/* Replicas are spread evenly over the values of a label of their machines. */
struct spread {
	char *key;
	uint32_t max_skew;
	uint32_t min_domains; /* fewer values than these count as if one more were empty */
	bool required;        /* else a preference */
};

/* An extended resource, "vendor/thing". */
struct resource {
	char *name;
	int64_t count;
};

enum port_protocol {
	PORT_TCP,
	PORT_UDP,
	PORT_SCTP,
};

/* A port of the machine. */
struct host_port {
	struct addr addr; /* its IP is 0.0.0.0 for all addresses of the machine */
	enum port_protocol protocol;
};

/* Which object a message is about, in Kubernetes' words. */
struct object_ref {
	struct uid uid;
	char *namespace;
	char *kind; /* "Deployment", "Pod" */
	char *name;
};

/* What one replica needs. Integers only: cpu in thousandths of a core, memory in bytes. */
struct requirements {
	int64_t cpu_milli;
	int64_t memory_bytes;
	char *engine;         /* "" = the machine's default */
	char *architecture;   /* "" = any; "amd64", "arm64" as Kubernetes spells them */
	struct label *labels; /* all must be there */
	size_t label_count;
	struct term_sets selector;  /* of the machine's labels: one of these, if there are any */
	struct term_sets preferred; /* the same, weighed */
	/* Of pods of the same namespace that run on the machine: for each set there is one; for
	 * none there is one; the more of these the better. */
	struct term_sets with, apart, pods_preferred;
	struct toleration *tolerations;
	size_t toleration_count;
	struct spread *spreads;
	size_t spread_count;
	struct resource *resources;
	size_t resource_count;
	struct host_port *ports;
	size_t port_count;
	struct label *pod_labels; /* what other pods' terms see of this one */
	size_t pod_label_count;
};

/*
 * A call for bids on @slots of one workload. It carries the manifest's digest, never the manifest.
 * id = SHA-256(uid, generation, attempt, slots in ascending order): two owners' tenders for the
 * same gap are recognisably the same (tender_id() in market/tender.h computes it).
 */
struct tender {
	struct digest id;
	struct object_ref object;
	uint64_t generation;
	uint32_t attempt;
	uint32_t *slots; /* ascending, distinct */
	size_t slot_count;
	struct requirements needs;
	int32_t priority;
	bool preemptible;              /* may be evicted for a higher priority */
	bool modest;                   /* evicts nobody */
	struct digest manifest_digest; /* SHA-256 of the manifest bytes of the award */
	char **images;
	size_t image_count;
	struct node_id *excluded; /* machines that failed or refused this workload lately */
	size_t excluded_count;
};

/* An answer to a tender. copies = 0 declines: the owner need not wait for this machine. */
struct bid {
	struct digest tender_id;
	uint32_t copies;      /* how many of the slots fit here now */
	uint32_t resident;    /* replicas of this workload that run here already */
	uint32_t hold_ms;     /* how long the offer stands */
	uint32_t fit;         /* 0..1000: share of the machine left free after one copy */
	uint32_t images;      /* how many of the tender's images are present */
	uint32_t reliability; /* 0..1000 */
	uint32_t penalty;     /* 0..1000: how much of what is preferred does not hold here */
	uint64_t zones[MESSAGE_SPREADS_MAX]; /* zone_of() the machine, for each of the spreads */
};

struct assignment {
	uint32_t slot;
	uint64_t epoch;
	struct uid pod_uid;
	char *pod_name;
	struct buf warrant; /* an envelope of a WARRANT, to be shown to others */
};

/* The owner's word that this machine runs these slots. Self-contained: the host process checks
 * the tender's envelope, that both have one issuer, and the manifest's digest. */
struct award {
	struct digest tender_id;
	struct node_id winner;
	struct buf tender_envelope;
	struct buf manifest; /* the object as JSON, canonical form */
	struct assignment *assignments;
	size_t assignment_count;
};

enum award_answer {
	AWARD_ACCEPTED,
	AWARD_REFUSED_NO_BID,  /* this machine made no bid for that tender, or one of another owner
				*/
	AWARD_REFUSED_LATE,    /* the hold has run out */
	AWARD_REFUSED_FULL,    /* the resources went to another award meanwhile */
	AWARD_REFUSED_DIGEST,  /* the manifest is not the one announced */
	AWARD_REFUSED_ROLE,    /* the owner may not place work in that namespace */
	AWARD_REFUSED_POLICY,  /* the machine's own policy forbids it */
	AWARD_REFUSED_DELETED, /* the workload has been disposed of */
};

struct award_reply {
	struct digest tender_id;
	enum award_answer answer;
	char *text; /* for people, "" when accepted */
};

/* The owner has the acknowledgement; without it the winner stops (market.h). */
struct award_confirm {
	struct digest tender_id;
};

/* The owner needs this bid no longer: the hold is given back at once. */
struct release {
	struct digest tender_id;
};

/* The owner takes an award back; the winner stops these pods and answers with events. */
struct cancel {
	struct digest tender_id;
	struct uid *pods;
	size_t pod_count;
};

enum event_kind {
	EVENT_DEPLOYED, /* all containers have started */
	EVENT_FAILED,   /* it could not be started; the slot is free again */
	EVENT_PREEMPTED,
	EVENT_CANCELLED,
	EVENT_ROOM, /* a machine had no room for the tender and has some now: @pod_uid is the
		     * workload's */
};

struct event {
	struct digest tender_id;
	uint32_t slot;
	struct uid pod_uid;
	enum event_kind kind;
	char *text;
	bool seen; /* the owner returns the event: it need not be sent again */
};

/* A workload, or with @pod_uid one pod of it, is to stop everywhere. Broadcast, and kept as a
 * tombstone record for those who were away. */
struct disposal {
	struct object_ref object;
	struct uid pod_uid; /* none: the whole workload */
	uint32_t grace_s;   /* UINT32_MAX: as the manifest says */
	bool evict; /* of a pod: it stops when another one is ready in its slot, not before */
};

enum record_kind {
	RECORD_NONE,
	RECORD_OBJECT,    /* a Kubernetes object as applied; durable */
	RECORD_TOMBSTONE, /* an object's or a pod's uid that is gone for good; durable */
	RECORD_PRESENCE,  /* a pod as its machine sees it; memory */
	RECORD_NODE,      /* a machine's facts, from itself; memory */
};

/*
 * Where a record lives. OBJECT and TOMBSTONE: uid of the object (or pod), sub none. PRESENCE: uid
 * of the workload, sub = uid of the pod. NODE: uid and sub are the halves of the machine's id.
 */
struct record_key {
	enum record_kind kind;
	struct uid uid;
	struct uid sub;
};

/* Order of versions of one key: generation, then hlc, then the digest of the value. */
struct record_version {
	uint64_t generation;
	uint64_t hlc; /* hybrid logical clock: fabric ms << 16 | counter; = resourceVersion */
	struct digest digest;
};

struct record {
	struct record_key key;
	struct record_version version;
	struct object_ref object; /* OBJECT, TOMBSTONE, PRESENCE: what it is or belongs to */
	bool gone;                /* PRESENCE only: the pod has ended, forget it */
	int64_t written_ms;       /* fabric time of writing */
	uint64_t created_hlc;     /* OBJECT: clock of its first version; 0: this is the first */
	struct buf value;         /* OBJECT: JSON; PRESENCE, NODE: encoded structs; else empty */
};

struct record_ack {
	struct record_key key;
	struct record_version version;
	bool stored;   /* false: refused (writer rule, size, disk) */
	bool conflict; /* refused, for it has not the version that was expected */
	char *text;
};

/* A write on a condition: the receiver, first keeper of its home, takes it only while the version
 * it has is the expected one. */
struct record_put {
	uint64_t expected_hlc;
	struct buf envelope; /* of a RECORD */
};

/* Anti-entropy: one digest per bucket (first byte of SHA-256 of the key), or a single one of all.
 */
enum {
	SYNC_BUCKETS = 256,
};

struct sync_summary {
	uint64_t *buckets;   /* xor-folded digests */
	size_t bucket_count; /* SYNC_BUCKETS or 1 */
	int64_t complete_ms; /* the sender knows all deletions since; 0: it cannot say */
	int64_t apart_ms;    /* it is cut off from most others since; 0: it is not */
};

struct sync_entry {
	struct record_key key;
	struct record_version version;
};

/* The sender's records of the named buckets; the receiver wants what it lacks, sends what is newer.
 */
struct sync_keys {
	uint32_t *buckets;
	size_t bucket_count;
	struct sync_entry *entries;
	size_t entry_count;
	bool reply; /* set by us, not read: the answer is RECORDs and SYNC_WANT, never this again */
	int64_t complete_ms, apart_ms; /* as in the summary */
};

struct sync_want {
	struct record_key *keys;
	size_t key_count;
};

/* OFFER: what the sender has and is no keeper of; HAVE: what of it the receiver has for good. */
struct sync_offer {
	struct sync_entry *entries;
	size_t entry_count;
	int64_t apart_ms; /* as in the summary */
};

/* What is at that home? Answered by FETCHED, with @full also by the RECORDs. */
struct fetch {
	uint64_t request;
	struct uid home;
	bool is_next; /* go on behind @after */
	struct record_key after;
	bool full;
};

struct fetched {
	uint64_t request;
	struct sync_entry *entries; /* ascending by key */
	size_t entry_count;
	bool more;
	bool far; /* the sender does not keep that home */
	int64_t complete_ms;
};

enum revocation_kind {
	REVOCATION_NONE,
	REVOCATION_MACHINE, /* by key; with it the intermediates that it holds as an admitter */
	REVOCATION_USER,    /* by name: what was issued before, and no later credential */
	REVOCATION_SERIAL,  /* one certificate of whatever kind */
	_REVOCATION_LAST = REVOCATION_SERIAL,
};

/* From the time of its envelope on. */
struct revocation {
	enum revocation_kind kind;
	struct node_id machine; /* MACHINE, else none */
	char *user;             /* USER, else "" */
	struct uid serial;      /* SERIAL: the 16 bytes of a certificate's; else none */
	char *reason;           /* for people; may be "" */
};

enum revoked_stage {
	REVOKED_DIGEST, /* the fold alone: a list is asked for when it differs */
	REVOKED_LIST,   /* all ids: the receiver sends what is missing, and its own list */
	REVOKED_ANSWER, /* the same in answer to one: it is answered by what is missing only */
	_REVOKED_LAST = REVOKED_ANSWER,
};

/* The revocations that the sender has; an id is the digest of an envelope. */
struct revoked {
	enum revoked_stage stage;
	struct digest fold; /* of all ids: identity/revocation.h */
	struct digest *ids;
	size_t id_count;
};

/* A part of the index of one (kind, namespace): the rows whose name's position begins with the
 * upper
 * @depth bits of @prefix; its other bits are 0. */
struct shard_id {
	char *kind;
	char *namespace;
	uint32_t depth;
	uint32_t prefix;
};

/* Where a record is: the rest of its key, beside the kind that the shard is of. */
struct index_row {
	char *name;
	struct uid uid, sub;
	uint64_t hlc;   /* of the version that is indexed */
	bool gone;      /* the record was deleted */
	uint32_t age_s; /* since a keeper of the record has said so */
};

enum index_purpose {
	INDEX_WRITE,  /* a keeper of the records says what there is */
	INDEX_COPY,   /* between stewards of the shard, and of its parent and children */
	INDEX_REPORT, /* a child tells its parent how many rows it has */
};

/* Rows for a shard. */
struct index_rows {
	uint64_t request; /* comes back in the answer */
	struct shard_id shard;
	enum index_purpose purpose;
	struct index_row *rows;
	size_t row_count;
	bool made;  /* the parent is split: the shard exists, whether the receiver knows or not */
	bool split; /* COPY: the sender's shard is */
	uint32_t count; /* COPY, REPORT: rows of the sender's shard, */
	uint64_t fold;  /* COPY: and their digest */
};

struct index_ask {
	uint64_t request;
	struct shard_id shard;
	char *name; /* "": all */
};

enum index_outcome {
	INDEX_OK,
	INDEX_SPLIT,   /* look at the children; the rows are what is left here */
	INDEX_UNKNOWN, /* no such shard here: begin at the root */
	INDEX_FULL,    /* a limit is reached */
	INDEX_DIFFERS, /* COPY: the receiver's shard is another; its rows */
	INDEX_MERGED,  /* the parent is whole again: hand the rows up to it, and forget them */
};

struct index_answer {
	uint64_t request;
	enum index_outcome outcome;
	struct index_row *rows;
	size_t row_count;
};

/* What has happened to the objects at that home? Answered by JOURNAL. */
struct journal_ask {
	uint64_t request;
	struct uid home;
	uint64_t after; /* go on behind this number of the receiver's; 0: from the beginning */
};

/* What happened to an object, as people hear of it: a Kubernetes Event. */
struct happening {
	struct uid about; /* the object, or the pod */
	char *kind, *namespace, *name;
	bool warning;
	char *reason; /* a word such as Started */
	char *message;
	char *host;       /* name of the machine where it happened; "": none */
	int64_t first_ms; /* fabric time */
	int64_t last_ms;  /* not before @first_ms */
	uint32_t count;   /* at least 1 */
};

void happening_copy(const struct happening *from, struct happening *to);
void happening_deinit(struct happening *happening);

struct journal_page {
	uint64_t request;
	struct happening *happenings;
	size_t count;  /* <= MESSAGE_HAPPENINGS_MAX */
	uint64_t next; /* 0: that is all */
};

/* A machine asks a keeper: are these pods of mine still wanted? */
struct vouch_want {
	struct vouch_pod {
		struct uid object_uid;
		struct uid pod_uid; /* none: about the object only */
		uint32_t slot;
	} * pods;
	size_t count; /* <= MESSAGE_VOUCH_MAX */
};

enum standing {
	STANDING_UNKNOWN,  /* neither the object nor its deletion is known here */
	STANDING_WANTED,   /* the object lives, and nobody else runs in that slot */
	STANDING_REPLACED, /* it lives, but the slot is another pod's now, or there is no such slot
			    */
	STANDING_DELETED,  /* the object or the pod */
};

/* The answer. What a complete keeper does not know and that lived at or after @complete_since_ms
 * has been deleted. */
struct vouch {
	bool complete;
	int64_t complete_since_ms; /* fabric time */
	bool placing;              /* it does not wait for others to come back from a power cut */
	struct verdict {
		struct uid object_uid, pod_uid;
		enum standing standing;
	} * verdicts;
	size_t count;
};

enum tenure_word {
	TENURE_ASK,     /* machine -> registrar: may I start this pod? */
	TENURE_GIVEN,   /* registrar -> machine: written down for @pod_uid, with @epoch */
	TENURE_HELD,    /* registrar -> machine: @holder_uid of @machine has it */
	TENURE_RELEASE, /* machine -> registrar: nothing is left of that pod here */
	TENURE_QUERY,   /* registrar -> machine: somebody else asks; do you still have that pod? */
	TENURE_KEEP,    /* machine -> registrar: yes */
	TENURE_WRITTEN, /* never sent: what a registrar has on its disk */
	TENURE_WORD_COUNT,
};

/* One ordinal of a StatefulSet: who has it, or wants it. */
struct tenure {
	enum tenure_word word;
	struct uid set; /* the StatefulSet */
	uint32_t ordinal;
	uint64_t epoch;
	uint64_t serial; /* of what its machine asks for, ascending: a hybrid clock */
	struct node_id machine;
	struct addr addr; /* of it; none: not known */
	struct uid pod_uid;
	struct uid holder_uid;           /* HELD; else none */
	bool replace;                    /* ASK: it may be taken from a machine that is silent */
	struct registrars_id registrars; /* ASK, RELEASE: who are asked; GIVEN, HELD: who says so */
	bool runs;                       /* ASK: the pod runs there already */
};

enum college_word {
	COLLEGE_PREPARE,  /* proposer -> registrar: will you hear of @ballot? */
	COLLEGE_PROMISE,  /* back: yes, or that of a higher one; what was accepted, in @accepted */
	COLLEGE_ACCEPT,   /* proposer -> registrar: let @next come after @present */
	COLLEGE_ACCEPTED, /* to all registrars: on disk */
	COLLEGE_READ,     /* new registrar -> the others: your book, @from this ordinal on */
	COLLEGE_BOOK,     /* back: @entries; the rest is @from that ordinal on, 0: that was all */
	COLLEGE_LATER,    /* to whom it may concern: @present has been decided */
	COLLEGE_WRITTEN,  /* never sent: what a registrar has on its disk of @set */
	COLLEGE_CLAIMS,   /* never sent: of one ordinal that several may have */
	COLLEGE_WORD_COUNT,
};

struct college {
	enum college_word word;
	struct uid set; /* the StatefulSet */
	struct registrars present, next;
	uint64_t ballot, accepted;
	bool complete; /* WRITTEN: its book is; PREPARE: it finishes what others have begun */
	uint64_t from;
	struct tenure *entries;
	size_t entry_count;
};

/* A machine as its peers know it. A higher incarnation replaces a lower one. */
struct member {
	struct node_id id;
	struct addr addr;
	char *name;
	uint64_t incarnation; /* fabric ms of the daemon's start; raised to refute a suspicion */
	bool steward;         /* keeps records (checked against its certificate when it connects) */
};

struct hello {
	struct member self;
	int64_t fabric_ms;   /* the sender's fabric time */
	bool fabric_settled; /* false: only an estimate (identity/fabric_time.h) */
	uint32_t version_min, version_max;
	struct digest leaf; /* hash of the leaf it signs with */
};

enum member_state {
	MEMBER_ALIVE,
	MEMBER_SUSPECT,
	MEMBER_DEAD,
	MEMBER_LEFT,
};

struct member_report {
	struct member member;
	enum member_state state;
};

struct members {
	struct member_report *reports;
	size_t report_count;
};

struct ping {
	uint64_t sequence;
	int64_t fabric_ms;
	bool fabric_settled;
	struct members gossip; /* piggybacked news, few */
};

/* A machine as overlay messages name it: where it is, without its name. A plain value. */
struct contact {
	struct node_id id;
	struct addr addr;
	uint64_t incarnation;
	bool steward; /* as it says; counted on only once its certificate was seen */
};

struct contacts {
	struct contact *list;
	size_t count;
};

/* The sender joins. It says nothing, for the sender is known. */
struct join_view {
	bool nothing;
};

/* @contact has joined, @ttl hops are left. */
struct forward_join {
	struct contact contact;
	uint32_t ttl;
};

struct neighbor {
	bool urgent; /* the sender has no neighbour at all: this is not refused */
};

struct neighbor_reply {
	bool accepted;
};

/* No longer neighbours; the connection may stay. */
struct disconnect {
	bool released; /* instead: the connection has no place in the sender's pool any longer */
	bool leaving;  /* the sender's daemon ends */
};

struct shuffle {
	struct contact origin; /* who gets the reply */
	uint32_t ttl;
	struct contacts contacts;
};

struct shuffle_reply {
	struct contacts contacts;
};

/* @id: the first bytes of the payload's SHA-256; checked by whoever receives it. */
struct gossip {
	struct uid id;
	uint32_t hops;
	struct buf payload;
};

struct ihave {
	struct uid *ids;
	size_t id_count;
};

struct graft {
	struct uid id; /* none: only "be my eager neighbour again" */
};

/* What the sender got eagerly from us it had already: announce only. */
struct prune {
	bool nothing;
};

struct find {
	uint64_t request; /* comes back in the answer */
	struct digest target;
	bool providers; /* also those who provide what @target names */
	bool wide;      /* up to MESSAGE_NEAREST_MAX are named, not MESSAGE_CONTACTS_MAX */
};

struct found {
	uint64_t request;
	struct contacts nearest, providers;
};

/* The sender itself has what @key names, or has it no longer (WITHDRAW). */
struct provide {
	struct digest key;
	uint32_t ttl_s; /* the entry is wanted for so long; the keeper has a limit of its own */
};

/*
 * An owner looks for bids. With @count > 0 the receiver hands the tender once to @count random
 * machines of its pool, with @count 0; with 0 the receiver itself bids, to the owner directly.
 */
struct referral {
	struct contact owner;
	uint32_t count;
	uint32_t share;    /* broadcast: of 1000 machines so many shall bid; else 1000 */
	struct buf tender; /* the owner's envelope */
};

struct leaf_want {
	struct digest leaf;
};

/* A certificate chain, leaf first, DER. */
struct leaf {
	struct buf certs[MESSAGE_CHAIN_MAX];
	size_t cert_count;
};

#include "wire/pod_leaf.h" /* which is made of what stands above */
#include "wire/sibling.h"

enum pod_verb {
	POD_VERB_NONE,
	POD_VERB_LOGS,
	POD_VERB_EXEC,
	POD_VERB_ATTACH,
	POD_VERB_PORT,
	_POD_VERB_LAST = POD_VERB_PORT,
};

/* A gateway's word for what its user asks of one pod of one machine. */
struct pod_request {
	enum pod_verb verb;
	struct node_id machine;
	struct uid pod;
	char *container;       /* "" for PORT, else not */
	struct digest command; /* EXEC: identity/pod_request.h; else zeroes */
	uint16_t port;         /* PORT, else 0 */
	struct leaf user;      /* no certificates: the administrator of the signer's machine */
};

struct message {
	enum message_type type;
	union {
		struct tender tender;
		struct bid bid;
		struct award award;
		struct award_reply award_reply;
		struct award_confirm award_confirm;
		struct release release;
		struct cancel cancel;
		struct event event;
		struct disposal disposal;
		struct record record;
		struct record_ack record_ack;
		struct sync_summary sync_summary;
		struct sync_keys sync_keys;
		struct sync_want sync_want;
		struct record_put record_put;
		struct sync_offer sync_offer;
		struct fetch fetch;
		struct fetched fetched;
		struct journal_ask journal_ask;
		struct journal_page journal_page;
		struct revocation revocation;
		struct revoked revoked;
		struct pod_request pod_request;
		struct index_rows index_rows;
		struct index_ask index_ask;
		struct index_answer index_answer;
		struct vouch_want vouch_want;
		struct vouch vouch;
		struct tenure tenure;
		struct warrant warrant;
		struct college college;
		struct pod_leaf_want pod_leaf_want;
		struct pod_leaf pod_leaf;
		struct agents_heard agents_heard;
		struct sibling_missing sibling_missing;
		struct hello hello;
		struct members members;
		struct ping ping; /* MESSAGE_PONG too */
		struct leaf_want leaf_want;
		struct leaf leaf;
		struct referral referral;
		struct join_view join_view;
		struct forward_join forward_join;
		struct neighbor neighbor;
		struct neighbor_reply neighbor_reply;
		struct disconnect disconnect;
		struct shuffle shuffle;
		struct shuffle_reply shuffle_reply;
		struct gossip gossip;
		struct ihave ihave;
		struct graft graft;
		struct prune prune;
		struct find find;
		struct found found;
		struct provide provide; /* MESSAGE_WITHDRAW too */
	};
};

enum message_result {
	_MESSAGE_E_OK,
	MESSAGE_E_MALFORMED, /* not protobuf, a missing part, or a value out of its range */
	MESSAGE_E_TOO_BIG,   /* a limit of this file is exceeded */
	MESSAGE_E_UNKNOWN,   /* a type of a later version: ignore and count */
};

/* Does it travel in an envelope? */
bool message_is_signed(enum message_type type);
const char *message_type_name(enum message_type type);

/*
 * Append the encoding of @message to @out. The message must be within the limits (asserted), except
 * for texts for people, which are clipped and cleaned: they quote programs that we do not control.
 * NULL strings count as "".
 */
void message_encode(const struct message *message, struct buf *out);

/* Decode exactly @bytes. On any outcome but 0 *ret_message is untouched. */
_must_use_ int message_decode(struct bytes bytes, struct message *ret_message);

void message_deinit(struct message *message);
void message_copy(const struct message *from, struct message *to);

/* A short name for the value of a topology label, 0 for none (NULL): only equality counts. */
uint64_t zone_of(const char *value);

/* Parts that cores keep. The copy owns its memory. */
void requirements_copy(const struct requirements *from, struct requirements *to);
void requirements_deinit(struct requirements *needs);
/* Whether the terms of all sets together stay within MESSAGE_TERMS_MAX and MESSAGE_VALUES_MAX. */
bool requirements_within_limits(const struct requirements *needs);
void tender_copy(const struct tender *from, struct tender *to);
void tender_deinit(struct tender *tender);
void warrant_copy(const struct warrant *from, struct warrant *to);
void warrant_deinit(struct warrant *warrant);
void object_ref_copy(const struct object_ref *from, struct object_ref *to);
void object_ref_deinit(struct object_ref *ref);
void member_copy(const struct member *from, struct member *to);
void member_deinit(struct member *member);
void revocation_copy(const struct revocation *from, struct revocation *to);
void revocation_deinit(struct revocation *revocation);
void shard_id_copy(const struct shard_id *from, struct shard_id *to);
void shard_id_deinit(struct shard_id *shard);
void index_row_copy(const struct index_row *from, struct index_row *to);
void index_row_deinit(struct index_row *row);
void index_rows_free(struct index_row *rows, size_t count); /* and each of them */
void record_copy(const struct record *from, struct record *to);
void record_deinit(struct record *record);
int record_key_compare(const struct record_key *a, const struct record_key *b);
int record_version_compare(const struct record_version *a, const struct record_version *b);

/*
 * What travels on a connection: either an envelope (a signed message) or a plain message. The
 * packet borrows from the bytes it was parsed from.
 */
struct packet {
	bool is_envelope;
	struct bytes body; /* envelope bytes, or message bytes */
};

/* Append @packet to @out, or read exactly @bytes as one: 0 or an enum message_result. */
void packet_encode(const struct packet *packet, struct buf *out);
_must_use_ int packet_decode(struct bytes bytes, struct packet *ret_packet);
