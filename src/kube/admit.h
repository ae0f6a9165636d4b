/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Admission: what stands between a parsed body and a stored object.
 *
 * kube_admit() checks the object against the kind and namespace of the URL, finds fields nobody
 * knows, validates values as Kubernetes does, compares every field with the table of what this
 * project honours (support.def), and writes Kubernetes' defaults into the object. Running it a
 * second time on its own result changes nothing.
 *
 * It removes what only the server may write: `status` and the metadata uid, resourceVersion,
 * generation, creationTimestamp, deletionTimestamp, selfLink and managedFields. A caller that needs
 * one of them (the resourceVersion of a PUT) reads it first. kube_stamp() writes the server's own.
 */
#pragma once

#include <jansson.h>

#include "base/attr.h"
#include "base/id.h"
#include "base/time.h"
#include "kube/manifest.h"
#include "kube/resource.h"

enum kube_admit_result {
	_KUBE_ADMIT_OK,
	KUBE_ADMIT_E_REFUSED, /* admission.status says why: answer it with its code */
};

/* Owned by the caller: free with kube_admission_deinit(). Zeroed after deinit. */
struct kube_admission {
	json_t *status;   /* a Status object when refused, else NULL */
	json_t *warnings; /* array of strings for Warning headers; may be empty, never NULL */
};

/*
 * Admit @object in place. @namespace is that of the URL, NULL for a cluster-scoped resource; it is
 * written into the object when that has none.
 *
 * metadata.name may be missing if generateName is set: give it one with kube_name_generate() before
 * storing. Returns 0 or KUBE_ADMIT_E_REFUSED; @ret is filled in both cases.
 */
_must_use_ int kube_admit(json_t *object, const struct kube_resource *resource,
			  const char *namespace, enum kube_validation validation,
			  struct kube_admission *ret);

/*
 * What may not change in an update: @old is the stored object, @new an admitted one. A Deployment
 * keeps its selector, a Pod its spec. As kube_admit().
 */
_must_use_ int kube_admit_update(const json_t *old, const json_t *new,
				 const struct kube_resource *resource, struct kube_admission *ret);

void kube_admission_deinit(struct kube_admission *admission);

/* Add Kubernetes' defaults only; idempotent. kube_admit() has done this. */
void kube_default(json_t *object, const struct kube_resource *resource);

/* The same of a PodSpec alone, as it stands in a template. */
void kube_default_pod_spec(json_t *spec);

/* What the server writes into an object it stores. */
struct kube_stamp {
	struct uid uid;
	uint64_t resource_version; /* the hybrid clock, as a decimal in JSON */
	int64_t generation;        /* rises with every change of spec; 0: leave out */
	struct wall created;
};

/* Write @stamp into metadata. */
void kube_stamp(json_t *object, const struct kube_stamp *stamp);

/* Write metadata.resourceVersion only: for objects that are composed, not stored. */
void kube_set_version(json_t *object, uint64_t resource_version);

/* Whether two admitted objects differ in what a user asked for, which is all but metadata and
 * status: then generation rises. */
bool kube_spec_differs(const json_t *old, const json_t *new);
