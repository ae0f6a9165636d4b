/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Zeros: members that say no more than their absence.
 *
 * Clients written in Go hold objects in structs, and what they write back lacks every empty list
 * and map, and every "", 0 and false for which its type has no "unset" (JSON's omitempty). `kubectl
 * rollout undo` does so with a whole template. What is compared has to be compared without them.
 */
#pragma once

#include <jansson.h>

struct kube_message;

/* Take them out of @object, which is a @message. Messages stay, also empty ones: emptyDir: {} names
 * a source. */
void kube_remove_zeros(json_t *object, const struct kube_message *message);
