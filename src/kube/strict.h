/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Strict: the first look at an object: fields nobody knows, and values of the wrong type.
 *
 * Unknown fields are taken out of the object. Numbers written as quantities become text, so that
 * everything behind sees one form.
 */
#pragma once

#include <jansson.h>

#include "base/attr.h"
#include "kube/schema.h"

enum {
	KUBE_STRICT_FINDINGS_MAX = 16, /* of each sort; the rest shows up next time */
};

struct kube_findings {
	json_t *unknown;  /* array of paths; owned */
	json_t *mistyped; /* array of sentences; owned */
};

/* Look at @object as a @message, and change it as said above. The findings are the caller's. */
void kube_strict(json_t *object, const struct kube_message *message, struct kube_findings *ret);
void kube_findings_deinit(struct kube_findings *findings);
