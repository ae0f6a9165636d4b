/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dns: which resolvers a pod asks, and which names its hosts file knows: dnsPolicy, dnsConfig and
 * hostAliases of a pod's spec.
 */
#pragma once

#include <jansson.h>

#include "base/bytes.h"
#include "kube/check.h"

enum {
	KUBE_DNS_SERVERS_MAX = 3, /* more than that no resolver asks */
	KUBE_DNS_SEARCH_MAX = 32, /* Kubernetes' limit */
	KUBE_DNS_OPTIONS_MAX = 32,
	KUBE_HOST_ALIASES_MAX = 256,
	KUBE_HOST_NAMES_MAX = 64, /* of one alias */
};

/* What a pod's resolv.conf is made from. */
struct kube_dns {
	const json_t *pod; /* its spec */
	const char *namespace;
	const char *resolver; /* that knows the names of Services; NULL: there is none here, and
			       * ClusterFirst is as Default */
	struct bytes machine; /* the machine's own resolv.conf */
};

void kube_validate_pod_dns(struct check *check, const json_t *pod);

/* Append the resolv.conf. What admission would have refused is left out. */
void kube_dns_resolv_conf(const struct kube_dns *dns, struct buf *out);

/* Append the machine's resolvers, with commas between. */
void kube_dns_servers(struct bytes machine, struct buf *out);

/* Append hostAliases as lines of a hosts file, likewise. */
void kube_dns_host_aliases(const json_t *pod, struct buf *out);
