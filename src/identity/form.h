/* SPDX-License-Identifier: Apache-2.0 */
/* Form: what each kind of certificate looks like. Private to cert.c, which checks it, and issue.c,
 * which writes it. */
#pragma once

#include "identity/cert.h"
#include "identity/issue.h"

enum {
	CERT_KIND_COUNT = CERT_APPLICATION,
	FORM_SERVER = 1, /* extended key usages */
	FORM_CLIENT = 2,
	FORM_ALL_FAMILIES =
		1 << CERT_FAMILY_MACHINE | 1 << CERT_FAMILY_WORKLOAD | 1 << CERT_FAMILY_API,
};

/* The subject alternative name. */
enum form_name {
	FORM_NO_NAME,
	FORM_MACHINE_URI,
	FORM_POD_URI,
	FORM_REST_DNS,
};

struct cert_form {
	const char *text;
	int64_t life_ms;   /* 0: no end */
	unsigned families; /* bits */
	bool is_ca;
	unsigned purposes;
	enum form_name name;
};

extern const struct cert_form cert_forms[];

/* The path length constraint of a certificate that may sign others. */
int cert_path_len(enum cert_kind kind, enum cert_family family);

/* Printable ASCII, 1 to CERT_NAME_MAX bytes: no two users whose names merely look alike, and
 * nothing that a log, JSON or a header would stumble over. */
bool form_is_name(struct bytes text);

/* Do @cert's uri and common name have the form of its kind, for its key and fabric? */
bool form_name_fits(const struct cert *cert);

/* May a certificate of @kind carry @grant at all? */
bool form_grant_fits(enum cert_kind kind, const struct grant *grant);

/* "spiffe://<fabric>/<path>" for pods, and so on; empty when the kind has none. */
void form_name_make(enum cert_kind kind, const char *fabric, const struct node_id *key,
		    const char *pod_path, char ret_uri[CERT_URI_MAX]);

/* The namespace within a pod's uri; empty when it has not that form. */
struct bytes form_pod_namespace(const struct cert *cert);
