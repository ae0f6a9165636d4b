/* SPDX-License-Identifier: Apache-2.0 */
/*
 * StatefulSet: names of its parts, and the v1 StatefulSet that clients see.
 *
 * Its ordinals are stored Pods named <name>-<ordinal>, which it owns; its templates are stored
 * ControllerRevisions (control/statefulset.c).
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "kube/name.h"
#include "kube/rollout.h"
#include "wire/registrars.h"

#define KUBE_REVISION_LABEL "controller-revision-hash"
#define KUBE_ON_LOST "magik.io/on-lost" /* of a StatefulSet: "wait" or "replace" */
#define KUBE_EPOCH "magik.io/epoch"     /* of an ordinal's Pod: raised when it is given up */
/* Of both: market/college.h; "<epoch>.<number>/<id>@<ip>:<port>,...", "0.1/" when it is left out.
 */
#define KUBE_REGISTRARS "magik.io/registrars"
/* Of a StatefulSet: an operator asks for new registrars, under this epoch, by raising it. */
#define KUBE_REGISTRARS_RESET "magik.io/registrars-reset"

/* <name>-<ordinal>, and the way back; -1 when there is no number at the end. */
struct kube_name kube_name_ordinal(const char *name, int64_t ordinal);
int64_t kube_ordinal(const char *pod_name);

/* <claim>-<name>-<ordinal>. */
struct kube_name kube_name_claim(const char *claim, const char *name, int64_t ordinal);

/* <name>-<hash of the template>: the revision of the present template. */
struct kube_name kube_revision_name(const json_t *statefulset);

/* The revision that a Pod was made from, borrowed; "" for none. */
const char *kube_revision_label(const json_t *pod);

/* The same as a number, of which a pod tells what it was made from; never 0. */
uint64_t kube_revision_fold(const json_t *pod);

/* The epoch of an ordinal's Pod; 0: it was never given up. */
uint64_t kube_epoch(const json_t *pod);

/* Take the Pod of an ordinal from its machine, for good: its epoch rises, also above what earlier
 * Pods of that ordinal had. @written: fabric time of its present version. */
void kube_release(json_t *pod, struct wall written);

/* What the Pod of an ordinal says of who may run it. */
struct kube_tenure {
	struct uid set; /* its StatefulSet */
	uint32_t ordinal;
	uint64_t epoch, revision;
	bool replace; /* from a machine that is lost */
	struct registrars registrars;
};

/* False: it is no ordinal's, or of a StatefulSet without registrars. */
_must_use_ bool kube_tenure_read(const json_t *pod, struct kube_tenure *ret_tenure);

/* Of either. What cannot be read is left out: none at all, when nothing can. */
struct registrars kube_registrars(const json_t *object);

/* It gets @registrars, whatever it says itself; none: it has none. */
void kube_set_registrars(json_t *object, const struct registrars *registrars);

/* The epoch that an operator asks for; 0: none. */
uint64_t kube_registrars_reset(const json_t *statefulset);

/* Is a stored Pod one of a StatefulSet's ordinals? */
bool kube_is_ordinal(const json_t *pod);

/* One of its ordinals, and the pods that run for it. */
struct kube_ordinal_source {
	const json_t *json;
	struct kube_pods pods;
};

/* @object with its status. @revision: the stored one of the present template, NULL for none. */
_must_use_ json_t *kube_statefulset(const json_t *object, const json_t *revision,
				    const struct kube_ordinal_source *ordinals, size_t count,
				    struct wall now);
