/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Deletions that take a while, as an object tells of them.
 *
 * An object that is not deleted at once gets a metadata.deletionTimestamp, which never goes away
 * again, and among its finalizers the one that says what is to be done first: its dependents go
 * before it (foregroundDeletion) or are set free (orphan). Its controller does that and then
 * deletes it (control/deletion.c). Finalizers of others hold nothing up.
 *
 * Dependents are the objects that name it, by its uid, among their metadata.ownerReferences.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "base/attr.h"
#include "base/id.h"
#include "base/time.h"

#define KUBE_FINALIZER_FOREGROUND "foregroundDeletion"
#define KUBE_FINALIZER_ORPHAN "orphan"

/* Has the deletion of @object begun? */
bool kube_is_dying(const json_t *object);

bool kube_has_finalizer(const json_t *object, const char *finalizer);

/* Begin it in @object. @finalizer NULL: nothing is to be done first. */
void kube_condemn(json_t *object, const char *finalizer, struct wall now);

/* Keep in @object, a new version of @old, what says that @old is being deleted. */
void kube_keep_dying(const json_t *old, json_t *object);

bool kube_depends_on(const json_t *object, const struct uid *owner);

/* A copy of @object that does not name @owner. */
_must_use_ json_t *kube_released(const json_t *object, const struct uid *owner);
