/* SPDX-License-Identifier: Apache-2.0 */
/*
 * State: the directory D as the privileged process prepares it, before anything foreign is read.
 *
 * First start without a token: makes a fabric (under the roots in D/root, if magik fabric root
 * import has put some there), keeps its roots in D/root (root's own), gives the machine's
 * credentials to the fabric process in D/fabric and writes D/admin.kubeconfig. First start with a
 * token: pins the fabric's root keys from it; the fabric process then joins. First start with the
 * file of an admission (identity/csr.h): becomes a member. Later: checks.
 *
 * D/root/trust names the three root keys (hex, one a line): what the host process believes,
 * whatever the fabric process says. D/root/node names this machine.
 */
#pragma once

#include <sys/types.h>

#include "base/err.h"
#include "base/id.h"
#include "identity/cert.h"
#include "identity/issue.h"
#include "machineplane/options.h"

enum {
	/* The unprivileged process's user: inside the range that systemd keeps for users
	 * without an entry in /etc/passwd, so it collides with nobody's files. */
	STATE_FABRIC_UID = 61337,
	STATE_REQUEST_LEN = 8 + ID_LEN + CERT_FAMILY_COUNT * ID_LEN,
};

#define STATE_AHEAD_MS (2 * 365 * CERT_DAY_MS)

struct state {
	struct node_id root[CERT_FAMILY_COUNT];
	bool made;          /* this start made the fabric */
	bool roots;         /* its root keys are in D/root */
	bool member;        /* credentials are there: a token is not needed any more */
	struct wall joined; /* this start took an admission: fabric time is not before; else 0 */
};

/* 0, or a negative errno with a sentence in @err. */
_must_use_ int state_prepare(const struct options *options, struct state *ret_state,
			     struct err *err);

/*
 * The fabric process says which machine it is: kept at the first time, compared later. Otherwise
 * one that is broken could carry out here what was awarded to others. -EACCES: another one.
 */
_must_use_ int state_pin_node(const char *state_dir, const struct node_id *node, struct err *err);

/* The latest fabric time that an award has named, in D/root/time; 0 ms: none yet. Not flushed to
 * disk: what a power cut takes back is little, and the loop does not wait. */
struct wall state_kept_time(const char *state_dir);
_must_use_ int state_keep_time(const char *state_dir, struct wall now);

/* What the fabric process asks the roots for, appended to @out: fabric time, the new admitter's
 * machine, and its public keys. */
void state_request_build(struct wall now, const struct node_id *machine,
			 const struct node_id admit[CERT_FAMILY_COUNT], struct buf *out);

/*
 * Certificates that the roots sign for a new admitter (@request as above): -EACCES where there are
 * no roots, or JOIN_ADMITTERS_FREE have been made already.
 *
 * They are dated by the fabric's time as the request has it, for this machine's clock may be a year
 * off; but not before the roots, nor more than STATE_AHEAD_MS after them or this machine's clock,
 * so that who breaks the fabric process gets none for a distant future.
 */
_must_use_ int state_issue_admitter(const char *state_dir, struct bytes request,
				    struct buf *ret_certs, struct err *err);
