/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Record: what makes a ServiceRecord (wire/work.h) count.
 *
 * A record is the word of one pod's agent about itself. It counts only if it is signed under a
 * certificate that carries exactly that pod's SPIFFE name, with the key that the record names, and
 * if its time lies within SERVICE_SKEW_MS of fabric time. The agent renews it every
 * SERVICE_HEARTBEAT_MS; what was not renewed for SERVICE_TTL_MS does not hold any more.
 *
 * Of two records of one pod the one with the higher version holds, then the newer, then the one of
 * the higher peer id. An agent begins with the fabric time in milliseconds as its version, so that
 * what it says is above what an earlier pod of that name has said.
 */
#pragma once

#include "wire/work.h"

enum {
	SERVICE_TTL_MS = 15 * 1000,
	SERVICE_HEARTBEAT_MS = 5 * 1000, /* two may be lost */
	SERVICE_SKEW_MS = 30 * 1000,
};

enum service_result {
	_SERVICE_E_OK,
	SERVICE_E_MALFORMED, /* names, ports or patterns are not what they ought to be, or it is
			      * too large */
	SERVICE_E_FOREIGN,   /* the signer is not the pod that the record is about */
	SERVICE_E_STALE,     /* outside SERVICE_SKEW_MS of fabric time */
};

/* Whose word it is: a SPIFFE name taken apart. */
struct service_name {
	char namespace[MESSAGE_NAMESPACE_MAX + 1];
	char kind[WORK_KIND_MAX + 1];
	char name[MESSAGE_NAME_MAX + 1]; /* of the workload */
	char pod[MESSAGE_NAME_MAX + 1];
};

/* Take "spiffe://<fabric>/ns/<ns>/<kind>/<name>/<pod>" apart, the name of a verified certificate.
 * False when it is of another fabric or not of a pod. */
_must_use_ bool service_name_parse(const char *uri, const char *fabric,
				   struct service_name *ret_name);

/* The place of a workload's records in the WDHT. */
struct digest service_key(const char *namespace, const char *name);

/* Is @record well-formed, and small enough to be sent? 0 or SERVICE_E_MALFORMED. */
_must_use_ int service_record_check(const struct service_record *record);

/* Does @record count at fabric time @now, when the holder of @key, whose certificate carries
 * @signer, has said so at @said: the time of the record, or of a renewal of its version? 0 or
 * SERVICE_E_*. */
_must_use_ int service_record_admit(const struct service_record *record,
				    const struct service_name *signer, const struct node_id *key,
				    struct wall said, struct wall now);

/* Is @ts within SERVICE_SKEW_MS of @now? */
bool service_is_of_now(struct wall ts, struct wall now);

/* Negative, 0, positive as @a gives way to @b, is @b, supersedes @b: of the same pod. */
int service_record_compare(const struct service_record *a, const struct service_record *b);

/* What two agents compare before they send sets of records: the XOR of these over a set. */
uint64_t service_digest_of(const struct node_id *peer, uint64_t version);
