/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Image references: what people write, and the one full form that the store uses. Pure.
 *
 *   nginx                     docker.io/library/nginx:latest
 *   me/app:1                  docker.io/me/app:1
 *   localhost/app             localhost/app:latest
 *   reg:5000/a/b@sha256:...   reg:5000/a/b@sha256:...   (a tag beside a digest is dropped)
 *
 * The first part is a registry if it has a dot or a colon, or is "localhost".
 */
#pragma once

#include <stdbool.h>

#include "base/attr.h"
#include "base/err.h"

enum {
	IMAGE_REF_MAX = 512, /* the same bound that messages have */
	IMAGE_TAG_MAX = 128, /* OCI distribution specification */
};

struct image_ref {
	char text[IMAGE_REF_MAX];   /* the full form */
	char domain[IMAGE_REF_MAX]; /* the registry: "docker.io" */
	bool is_latest;             /* its tag is "latest" */
};

_must_use_ int image_ref_parse(const char *text, struct image_ref *ret_ref, struct err *err);

/* Registries on this machine itself speak plain HTTP as a rule: localhost, 127.0.0.0/8, [::1]. */
bool image_ref_is_loopback(const struct image_ref *ref);
