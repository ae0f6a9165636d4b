/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Derived uids: of objects that a controller makes for another object.
 *
 * The first UID_HOME_LEN bytes of a uid are its home (base/id.h): they decide which machines keep
 * the object. A derived uid has its owner's home, so that a Deployment, its ReplicaSets and their
 * pods' presences lie together, and one machine controls them all. The rest is a hash of the owner
 * and of what is made: two controllers that make the same thing make it under the same uid.
 */
#pragma once

#include "base/id.h"

/* @what names the derived object among all of its owner's, such as "ReplicaSet/5d59d67564". */
struct uid uid_derive(const struct uid *owner, const char *what);
