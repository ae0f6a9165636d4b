/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Group: which pods of a StatefulSet form a group (consensus/group.h), and how they are told.
 *
 * The first KUBE_GROUP_MEMBERS ordinals are its members. The first of all founds it, once for each
 * StatefulSet: as long as nothing is known of where a member has run (control/group.c).
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/id.h"
#include "kube/name.h"

/* Of a StatefulSet, or of its template: "none": its pods have no group. Of an ordinal's Pod,
 * written by its controller: one of these. */
#define KUBE_GROUP "magik.io/group"
#define KUBE_GROUP_NONE "none"
#define KUBE_GROUP_BIRTH "birth" /* it founds the group, if its disk is empty */
#define KUBE_GROUP_MEMBER "member"
/* Of a StatefulSet, written by an operator who gives a lost majority up: "POD:EPOCH": the next pod
 * of that ordinal goes on alone, under this epoch, if it is higher than the group's
 * (consensus/raft.h). Its controller hands the epoch to the ordinal's Pod. */
#define KUBE_GROUP_RECOVER "magik.io/group-recover"
#define KUBE_GROUP_EPOCH "magik.io/group-epoch"

enum {
	KUBE_GROUP_MEMBERS = 7, /* more voters are slower and no safer */
	KUBE_GROUP_EPOCH_MAX = 1000000,
};

/* Do the pods of @statefulset have a group? */
bool kube_group_is_wanted(const json_t *statefulset);

/* The epoch under which @pod, an ordinal's Pod of @statefulset, is to go on alone; 0: it is not. */
uint32_t kube_group_recovery(const json_t *statefulset, const char *pod);

/* What the Pod of an ordinal says of its part. */
struct kube_group {
	struct uid set; /* its StatefulSet */
	uint32_t ordinal;
	bool birth;
	uint32_t epoch; /* 0: none is asked for */
};

/* False: it has none. */
_must_use_ bool kube_group_read(const json_t *pod, struct kube_group *ret_group);

/* <name>-group-<of its uid>: the object that remembers where members are. */
struct kube_name kube_group_memory_name(const char *name, const struct uid *set);
