/* SPDX-License-Identifier: Apache-2.0 */
/* Time as Kubernetes writes it: RFC 3339 in UTC, and the short ages that kubectl prints. */
#pragma once

#include "base/attr.h"
#include "base/bytes.h"
#include "base/time.h"

struct kube_time {
	char text[32];
};

/* "2026-11-21T18:30:00Z", whole seconds. Years 0 to 9999; outside they are clamped. */
struct kube_time kube_time_text(struct wall at);

/* Any RFC 3339 time, fraction and offset allowed. False when it is none. */
_must_use_ bool kube_time_parse(const char *text, struct wall *ret_at);

/* Instead of a time to which ages are told: they are left open, for kube_age_fill(). */
#define KUBE_AGE_OPEN ((struct wall){.ms = INT64_MIN})

/* "45s", "5m", "5m10s", "2d3h", "3y40d": as `kubectl get` prints an age. "<invalid>" below -2 s. */
struct kube_time kube_age(struct wall since, struct wall now);

/* kube_age() of an RFC 3339 string; "<unknown>" when it is NULL or no time. */
struct kube_time kube_age_of(const char *since, struct wall now);

/* Append @json, a text that jansson has written, with its open ages told as of @now. A string of an
 * object that looks like one is told as an age, too. */
void kube_age_fill(struct bytes json, struct wall now, struct buf *out);
