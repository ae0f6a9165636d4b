/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Terms: whether labels satisfy what a tender says of them. Pure functions of wire structs, with
 * Kubernetes' meaning: NotIn and DoesNotExist hold without the label, Gt and Lt only with a label
 * that is an integer.
 */
#pragma once

#include "wire/message.h"

/* Labels of a machine or of a pod, borrowed. Of equal keys the first one counts. */
struct terms_labels {
	const struct label *list;
	size_t count;
};

/* The value of @key, or NULL. */
const char *terms_value(struct terms_labels labels, const char *key);

bool terms_hold(const struct term_set *set, struct terms_labels labels);

/* At least one set holds; without sets nothing is asked. */
bool terms_any_holds(const struct term_sets *sets, struct terms_labels labels);

/* A toleration matches the taint. */
bool terms_tolerate(const struct requirements *needs, const struct taint *taint);

/* For how many seconds a taint NoExecute is borne: 0 if it is not tolerated, INT64_MAX without end;
 * of several tolerations the shortest counts. */
int64_t terms_tolerated_s(const struct requirements *needs, const struct taint *taint);

/* Each taint that keeps pods away (NoSchedule, NoExecute) is tolerated. */
bool terms_tolerate_all(const struct requirements *needs, const struct taint *taints, size_t count);

/* How much is preferred, and how much of it holds. */
struct terms_wish {
	uint32_t wanted, met;
};

/* A preference of @weight; a negative one is met when it does not hold. */
void terms_wish_add(struct terms_wish *wish, int32_t weight, bool holds);

/* 0..1000: the share that does not hold. */
uint32_t terms_wish_penalty(const struct terms_wish *wish);
