/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Derived uids: of objects that a controller makes for another object, and of pods.
 *
 * The first UID_HOME_LEN bytes of a uid are its home (base/id.h): they decide which machines keep
 * the object. A derived uid has its owner's home, so that a Deployment, its ReplicaSets and their
 * pods' presences lie together, and one machine controls them all. The rest is a hash of the owner
 * and of what is made: two controllers that make the same thing make it under the same uid.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/id.h"

/* @what names the derived object among all of its owner's, such as "ReplicaSet/5d59d67564". */
struct uid uid_derive(const struct uid *owner, const char *what);

enum {
	UID_POD_RANDOM_LEN = 8, /* of a pod's uid; 60 bits of it tell pods apart */
};

/*
 * The uid of a pod of @object that is to run on @machine: random bytes, and a hash of all three. So
 * it is seen from a pod's uid whose it is, and no machine can say anything of a pod that another
 * one was awarded, not even where nobody has heard of it yet or any more.
 */
struct uid uid_of_pod(const struct uid *object, const struct node_id *machine,
		      const uint8_t random[UID_POD_RANDOM_LEN]);

/* Is @pod such a uid, of @object and @machine? */
bool uid_is_of_pod(const struct uid *pod, const struct uid *object, const struct node_id *machine);
