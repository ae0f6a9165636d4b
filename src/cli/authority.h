/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Authority: with what the operator's command signs certificates here: this machine's own
 * intermediates, where it admits others; or the fabric's roots from a file (magik fabric root
 * export), on any computer and without a daemon.
 *
 * The roots themselves sign nothing but intermediates, so that every chain has the same form: those
 * of a file sign intermediates whose keys are forgotten when the command ends.
 */
#pragma once

#include "cli/control.h"
#include "identity/credentials.h"
#include "identity/join.h"

struct authority {
	struct credentials own; /* of use: admit_key, admit_cert, root */
	struct root_keys roots; /* of the file, or of this machine; where has_roots */
	bool has_roots;
	struct wall now; /* fabric time; with roots from a file and no daemon this computer's */
	json_t *status;  /* the daemon's; NULL: there is none */
};

/* @root_file: NULL for this machine's own. @holder: whose name one-time intermediates bear. 0, or
 * -errno with a sentence. Call authority_close() in any case. */
_must_use_ int authority_open(const char *state_dir, const char *root_file,
			      const struct node_id *holder, struct authority *ret_authority,
			      struct err *err);
void authority_close(struct authority *authority);

/* The roots' keys from @file, as magik fabric root export writes them; wipe after use. */
_must_use_ int root_file_read(const char *file, struct root_keys *ret_roots, struct err *err);

/* Intermediates for a new admitter with the machine key @holder. -EPERM: there are no roots here.
 */
_must_use_ int authority_admitter(const struct authority *authority, const struct node_id *holder,
				  const struct node_id admit[CERT_FAMILY_COUNT],
				  struct join_intermediates *ret_made, struct err *err);
