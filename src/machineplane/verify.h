/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Verify: the host process's own judgement of an award, against the roots it pinned.
 *
 * It trusts nothing that the fabric process concluded: signatures, roles, that award, tender and
 * manifest belong together and that this machine and this pod are the ones meant are all checked
 * again from the signed bytes. What it cannot know is whether this machine made the bid; that is
 * the fabric process's to refuse, and breaking it cannot place anything that no steward signed.
 *
 * Time: the host process follows no clock of the fabric, and this machine's own may be a year off.
 * An award's chain is judged at the time that its envelope names, or later: fabric time is at least
 * what the latest award that verified named, plus what the monotonic clock has counted since. So a
 * certificate that ran out while this process lives is refused whatever the fabric process says;
 * only who breaks it before the first award of a life can put in one that was signed in time. Main
 * keeps that time over a restart (state_keep_time()).
 *
 * Revocations reach it through the fabric process, too, which can keep one back but not make one
 * up: what it was told once it keeps (main: D/root/revocations), and believes no award, object or
 * request of whom it names.
 *
 * An award is good for an hour of this time: whoever kept one cannot bring a pod back with it that
 * was deleted long ago. Within the hour the host process remembers, while it lives, what it was
 * told to stop.
 */
#pragma once

#include "identity/replay.h"
#include "identity/revocation.h"
#include "identity/trust.h"
#include "machineplane/host.h"

enum {
	/* An award is carried out within seconds; fabric time may differ by as much. */
	VERIFY_AGE_MAX_MS = 3600 * 1000,
	/* Requests of pods are carried out at once. Twice what fabric times may differ by: theirs,
	 * and that of whom time was learned from. */
	VERIFY_REQUEST_AGE_MAX_MS = 60 * 1000,
	/* Requests remembered, so that none is carried out twice; 24 bytes each. */
	VERIFY_REQUESTS_MAX = 16384,
};

struct verifier {
	struct trust trust;
	struct revocations revocations;
	struct replay replay;
	bool ready;
	struct wall latest;      /* named by an award that verified; 0: none yet */
	struct mono latest_seen; /* when that was */
};

void verifier_init(struct verifier *verifier, const struct node_id root[CERT_FAMILY_COUNT]);
void verifier_deinit(struct verifier *verifier);

/* Time is not before what @latest was when it was kept; 0: nothing is known. */
void verifier_resume(struct verifier *verifier, struct wall latest);

/*
 * The record in an envelope: an OBJECT or a TOMBSTONE that a steward of its namespace signed. 0, or
 * -EACCES with a sentence; the shape of host_hooks.verify_object. Such records live for years, so
 * the chain is judged at the time that the envelope names. An old version of an object is not told
 * from a new one: whoever breaks the fabric process could as well keep the new one back.
 */
_must_use_ int verifier_object(void *verifier, const struct host_envelope *envelope,
			       struct record *ret_record, struct err *err);

/* 0, or -EACCES with a sentence. The shape of host_hooks.verify_award. Reads the monotonic clock.
 */
_must_use_ int verifier_award(void *verifier, const struct host_award *award, struct err *err);

/*
 * A gateway that is a steward of the pod's namespace has signed that its user asks just this of
 * this machine, and the user's certificates let them. 0 and who asks, or -EACCES with a sentence
 * and a status. The shape of host_hooks.verify_request.
 *
 * The gateway's word is needed, and is no proof that the user has asked: a steward that is broken
 * can do in pods of its namespaces what it can do anyway by placing others there. A fabric process
 * that is broken on a machine that is no steward can neither make such a word up nor use one twice.
 */
_must_use_ int verifier_request(void *verifier, const struct host_request *request,
				struct host_asker *ret_asker, struct err *err);

/*
 * What stewards have signed for the application in a pod counts by the pinned root only, for that
 * key and that pod; time that has run out is known to be so. 0, or -EACCES with a sentence; the
 * shape of host_hooks.verify_application.
 */
_must_use_ int verifier_application(void *verifier, const struct host_application *application,
				    struct cert *ret_leaf, struct err *err);

/* The shape of host_hooks.asker_stands. */
bool verifier_asker_stands(void *verifier, const struct host_asker *asker);

/* The shape of host_hooks.next_revocation. */
const struct revocation_entry *verifier_next_revocation(void *verifier,
							const struct revocation_entry *before);

/* Take a REVOCATION that an admitter has signed into the set: 1 when it is new, 0 when it is known
 * or does not count, or -EACCES with a sentence. */
_must_use_ int verifier_revoke(void *verifier, const struct host_envelope *revocation,
			       struct err *err);
