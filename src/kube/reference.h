/* SPDX-License-Identifier: Apache-2.0 */
/*
 * References: the objects that a pod names and cannot run without, besides its images: ConfigMaps
 * and Secrets of its environment and volumes, and PersistentVolumeClaims. All lie in the pod's own
 * namespace.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

struct kube_reference {
	const char *kind; /* "ConfigMap", "Secret" or "PersistentVolumeClaim": static */
	const char *name; /* borrowed from the pod */
	bool optional;
};

/* Call @each for every reference in a pod spec, repetitions included. Foreign JSON: what is no
 * reference is passed over. */
void kube_references(const json_t *pod_spec,
		     void (*each)(void *ctx, const struct kube_reference *reference), void *ctx);
