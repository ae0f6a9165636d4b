/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names: what Kubernetes allows, and the names it makes itself.
 *
 * Generated parts use Kubernetes' alphabet without vowels and lookalikes, so that no word appears.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/id.h"

enum {
	KUBE_LABEL_MAX = 63,      /* RFC 1123 label */
	KUBE_SUBDOMAIN_MAX = 253, /* RFC 1123 subdomain */
	KUBE_HASH_LEN = 10,       /* a template hash, at most */
	KUBE_SUFFIX_LEN = 5,
	KUBE_NAME_SIZE = KUBE_SUBDOMAIN_MAX + 1,
};

/* Lower-case letters, digits and '-', starting and ending with a letter or digit, <= 63. */
bool kube_name_is_label(const char *name);

/* Labels joined by dots, <= 253. */
bool kube_name_is_subdomain(const char *name);

/* [prefix/]name as a label or annotation key; the value of a label. */
bool kube_name_is_label_key(const char *key);
bool kube_name_is_label_value(const char *value);

/* A container port's name: <= 15, [a-z0-9-], at least one letter, no "--" nor '-' at an end. */
bool kube_name_is_port(const char *name);

/* An environment variable's name: printable ASCII without '='. */
bool kube_name_is_env(const char *name);

struct kube_name {
	char text[KUBE_NAME_SIZE];
};

struct kube_hash {
	char text[KUBE_HASH_LEN + 1];
};

/* The pod-template-hash of a pod template: FNV-1a 32 of its canonical JSON without zeros
 * (kube/zero.h), in safe characters. */
struct kube_hash kube_template_hash(const json_t *template);

/* <deployment>-<template hash>. */
struct kube_name kube_name_replica_set(const char *deployment, const struct kube_hash *hash);

/* What the names of a workload's pods begin with: its own name, cut if it is long, so that with a
 * dash and 5 characters after it it is a DNS label. */
struct kube_name kube_name_pod_base(const char *workload);

/* <base>-<5 characters from @pod_uid>. */
struct kube_name kube_name_pod(const char *workload, const struct uid *pod_uid);

/* <prefix><5 characters from @random>, for metadata.generateName. */
struct kube_name kube_name_generate(const char *prefix, uint64_t random);

/* A uid that follows from another one and a word; for objects that exist only by derivation. */
struct uid kube_uid_derive(const struct uid *parent, const char *what);
