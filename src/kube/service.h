/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Service: its defaults, its address, what is wrong with one, and the Endpoints and EndpointSlices
 * that follow from it and the pods it selects.
 *
 * The address is a unique local one that follows from the uid, so no machine hands addresses out.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "kube/check.h"
#include "wire/presence.h"

void kube_default_service(json_t *service);
void kube_validate_service(struct check *check, const json_t *service);
/* The address and the type's fields stay, unless the type changes. */
void kube_validate_service_update(struct check *check, const json_t *old, const json_t *new);

/* Address and node ports, which follow from the uid. Idempotent. */
void kube_service_stamp(json_t *service);

/* Has every pod that is made from @workload, of the same namespace, all labels of the selector?
 * False without a selector: then others say what is behind the Service. */
bool kube_service_selects(const json_t *service, const json_t *workload);

/* A pod that a Service may select. */
struct kube_backend {
	const struct presence *presence;
	const json_t *workload; /* the object that holds its spec */
};

/* The Endpoints of @service; NULL: it has no selector, so its endpoints do not follow from it. */
_must_use_ json_t *kube_endpoints(const json_t *service, const struct kube_backend *pods,
				  size_t count);

/* An array of its EndpointSlices: one for each set of ports that pods resolve its ports to. */
_must_use_ json_t *kube_endpoint_slices(const json_t *service, const struct kube_backend *pods,
					size_t count);
