/* SPDX-License-Identifier: Apache-2.0 */
/* Time as Kubernetes writes it: RFC 3339 in UTC, and the short ages that kubectl prints. */
#pragma once

#include "base/attr.h"
#include "base/time.h"

struct kube_time {
	char text[32];
};

/* "2026-11-21T18:30:00Z", whole seconds. Years 0 to 9999; outside they are clamped. */
struct kube_time kube_time_text(struct wall at);

/* Any RFC 3339 time, fraction and offset allowed. False when it is none. */
_must_use_ bool kube_time_parse(const char *text, struct wall *ret_at);

/* "45s", "5m", "5m10s", "2d3h", "3y40d": as `kubectl get` prints an age. "<invalid>" below -2 s. */
struct kube_time kube_age(struct wall since, struct wall now);

/* kube_age() of an RFC 3339 string; "<unknown>" when it is NULL or no time. */
struct kube_time kube_age_of(const char *since, struct wall now);
