/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Probe: how a container is asked whether it has started, lives, and is ready, as its manifest
 * says (what the answers mean is runtime/health.h); and the hooks of its life, which are asked the
 * same ways.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "base/attr.h"
#include "base/err.h"
#include "kube/check.h"

enum kube_probe_kind {
	KUBE_PROBE_STARTUP,
	KUBE_PROBE_LIVENESS,
	KUBE_PROBE_READINESS,
	KUBE_PROBE_COUNT,
};

enum kube_probe_action {
	KUBE_PROBE_NONE, /* the manifest has no such probe */
	KUBE_PROBE_EXEC,
	KUBE_PROBE_HTTP,
	KUBE_PROBE_TCP,
	KUBE_PROBE_GRPC,
	KUBE_PROBE_SLEEP, /* of hooks only: let time pass */
};

enum {
	KUBE_PROBE_SECONDS_MAX = 1000000, /* eleven days: more is a slip */
	KUBE_HOOK_S_MAX = 86400,          /* the longest that a pod may take to end */
	KUBE_PROBE_HEADERS_MAX = 32,      /* a request that a small server still takes */
	KUBE_PROBE_TEXT_MAX = 2048,       /* a path, a header, a service */
	KUBE_PROBE_WORDS_MAX = 1024,      /* of a command; as everywhere */
};

/* Strings and JSON are borrowed from the manifest. */
struct kube_probe {
	enum kube_probe_action action;
	int64_t delay_s, period_s, timeout_s;
	int64_t success_threshold, failure_threshold;
	int64_t grace_s;       /* before what fails it is killed; -1: as the pod */
	const json_t *command; /* EXEC: strings */
	uint16_t port;         /* HTTP, TCP, GRPC */
	const char *host;      /* an address or "localhost"; "": the pod's */
	const char *path;      /* HTTP */
	bool https;
	const json_t *headers; /* HTTP: {name, value}; may be NULL */
	const char *service;   /* GRPC */
	int64_t sleep_s;       /* SLEEP */
};

/* "livenessProbe"; "Liveness" as in the words of an event. */
const char *kube_probe_key(enum kube_probe_kind kind);
const char *kube_probe_title(enum kube_probe_kind kind);

/* That probe of @container, defaults filled in. -EINVAL with a sentence: it cannot be carried out,
 * as when it names a port that the container does not have. */
_must_use_ int kube_probe_read(const json_t *container, enum kube_probe_kind kind,
			       struct kube_probe *ret_probe, struct err *err);

/* What is done right after @container has started (@start), or before it is told to stop. */
_must_use_ int kube_hook_read(const json_t *container, bool start, struct kube_probe *ret_hook,
			      struct err *err);

/* All probes and hooks of a container at the check's path; an init container must have none. */
void kube_validate_probes(struct check *check, const json_t *container, bool init);
