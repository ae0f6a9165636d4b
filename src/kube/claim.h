/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Claims: PersistentVolumeClaims, each of which is a directory of one machine.
 *
 * A claim is bound to the machine of the first pod that names it, which the claim itself says from
 * then on: pods that name it go nowhere else. The one class there is, magik-local, waits for that
 * pod as Kubernetes' WaitForFirstConsumer does. A claim that has been deleted is *ending* as long
 * as a pod uses it (kube/deletion.h): no other pod gets it, and its controller deletes it when no
 * pod has it mounted any more (control/deletion.c).
 *
 * PersistentVolumes and the class are shown, and are stored nowhere: they follow from claims.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/time.h"
#include "kube/check.h"

#define KUBE_CLAIM "PersistentVolumeClaim"
#define KUBE_CLAIM_CLASS "magik-local"
#define KUBE_CLAIM_MACHINE "volume.kubernetes.io/selected-node" /* annotation: its name */

/* Strings borrow from the claim. */
struct kube_claim {
	const char *class;
	const char *machine;   /* that it is bound to; "": to none yet */
	int64_t storage_bytes; /* that it asks for */
	bool ours;             /* of our class: machines make directories for no other */
	bool one_pod;          /* ReadWriteOncePod */
	bool ending;
};

/* Foreign JSON: what cannot be read asks for nothing. */
struct kube_claim kube_claim_read(const json_t *claim);

void kube_claim_bind(json_t *claim, const char *machine);

/* What an update by a client does not change: where the claim is. */
void kube_claim_keep(const json_t *old, json_t *new);

/* Kubernetes' defaults, and what cannot be had here. @spec: of a claim, or of a template of one. */
void kube_default_claim_spec(json_t *spec);
void kube_validate_claim_spec(struct check *check, const json_t *spec);
void kube_validate_claim_update(struct check *check, const json_t *old, const json_t *new);

/* Write the status that clients see. */
void kube_claim_show(json_t *claim);

/* The PersistentVolume of a bound claim, the caller's; NULL: it is not bound. */
_must_use_ json_t *kube_claim_volume(const json_t *claim);

/* The class, the caller's. */
_must_use_ json_t *kube_claim_class(struct wall since);
