/* SPDX-License-Identifier: Apache-2.0 */
/* Event: a core/v1 Event object, so that `kubectl describe` and `kubectl events` tell the story. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/id.h"
#include "base/time.h"

struct kube_event {
	const json_t *involved; /* the object it is about; its kind, names and uid are copied */
	const char *reason;     /* "Scheduled", "Started", "Failed" ... */
	const char *message;
	bool is_warning; /* else Normal */
	uint32_t count;  /* at least 1 */
	struct wall first, last;
	const char *component; /* who says so: "machineplane" */
	const char *host;      /* on which machine; may be NULL */
	struct uid uid;        /* of the event itself */
	uint64_t resource_version;
};

/* The caller owns the result. The event lives in the involved object's namespace, or in "default"
 * for a cluster-scoped one; its name is derived from the involved object and @uid. */
_must_use_ json_t *kube_event(const struct kube_event *event);
