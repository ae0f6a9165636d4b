/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Claims: the directories of this machine that outlive pods.
 *
 *   V/<uid>/claim.json   the PersistentVolumeClaim, as a steward signed it last
 *   V/<uid>/data/        what pods mount
 *   V/<uid>.gone/        one that is being removed
 *
 * A claim is bound to this machine by the word of a steward of its namespace alone (the caller has
 * verified it): its directory is named after its uid, which is parsed and written anew, never after
 * anything that a client may choose. It is made when the first pod needs it and removed when the
 * claim's tombstone has come and no pod uses it any more. What became of the machine, or of the
 * fabric, meanwhile does not matter: without a tombstone nothing is removed.
 *
 * The loop's thread owns the list; functions that block say so.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/id.h"
#include "base/list.h"
#include "runtime/files.h"

struct claim {
	struct list link;
	struct uid uid;
	char *namespace, *name;
	json_t *json;
	bool doomed;   /* its tombstone has come */
	bool removing; /* a job is at it */
};

struct claims {
	const char *dir;  /* V, borrowed; NULL: this machine keeps none */
	struct list list; /* struct claim, of every directory there is */
};

void claims_init(struct claims *claims, const char *dir);
void claims_deinit(struct claims *claims);

/* Take up what is on the disk. Blocks. */
void claims_recover(struct claims *claims);

/* A directory has been made for @json: note it. Returns whether it is a new one. */
bool claims_note(struct claims *claims, const json_t *json);
struct claim *claims_find(const struct claims *claims, const struct uid *uid);
/* The JSON of the claim of that name that is here, borrowed; NULL: there is none. */
const json_t *claims_named(const struct claims *claims, const char *namespace, const char *name);
void claims_drop(struct claim *claim);

/* Where @json's data lie. -EINVAL for a claim that is none. */
_must_use_ int claim_path(const char *dir, const json_t *json, struct path *ret_path);

/*
 * Make the directory, if it is not there, writable for everybody. -ENOSPC when the disk has less
 * room than the claim asks for. Blocks.
 */
_must_use_ int claim_make(const char *dir, const json_t *json, struct err *err);

/* Remove the directory with all that is in it. Blocks. */
_must_use_ int claim_remove(const char *dir, const struct uid *uid, struct err *err);
