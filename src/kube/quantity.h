/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Quantity: Kubernetes' decimal numbers with a suffix ("500m", "1.5Gi", "2e3"), as exact integers.
 *
 * Suffixes: n u m (nothing) k M G T P E, Ki Mi Gi Ti Pi Ei, or an exponent e/E with a sign.
 * Fractions are exact; what is left below one unit is rounded up, as Kubernetes does, so that a
 * reservation is never smaller than asked for.
 */
#pragma once

#include <jansson.h>
#include <stdint.h>

#include "base/attr.h"

enum kube_quantity_result {
	_KUBE_QUANTITY_OK,
	KUBE_QUANTITY_E_SYNTAX,   /* not a quantity */
	KUBE_QUANTITY_E_RANGE,    /* does not fit 63 bits */
	KUBE_QUANTITY_E_NEGATIVE, /* below zero, which no resource may be */
};

/* In thousandths: "500m" is 500, "2" is 2000. For cpu. */
_must_use_ int kube_quantity_milli(const char *text, int64_t *ret_milli);

/* In whole units: "64Mi" is 67108864. For memory and counts. */
_must_use_ int kube_quantity_units(const char *text, int64_t *ret_units);

/* As above for a JSON value, which may be a string, an integer or a real. */
_must_use_ int kube_quantity_json_milli(const json_t *value, int64_t *ret_milli);
_must_use_ int kube_quantity_json_units(const json_t *value, int64_t *ret_units);

enum {
	KUBE_QUANTITY_TEXT_MAX = 32,
};

/* The text Kubernetes would print: "500m", "2"; "64Mi", "1000". */
struct kube_quantity_text {
	char text[KUBE_QUANTITY_TEXT_MAX];
};

/* A JSON number as a quantity's text: 0.5 is "0.5". "" when @value is no number. */
struct kube_quantity_text kube_quantity_from_json(const json_t *value);

/* The canonical text of an amount: "250m", "128Mi". */
struct kube_quantity_text kube_quantity_from_milli(int64_t milli);
struct kube_quantity_text kube_quantity_from_bytes(int64_t bytes);
