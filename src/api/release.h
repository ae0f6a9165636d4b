/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Release: an ordinal of a StatefulSet is given up by hand. Its stored Pod loses the machine it was
 * bound to, and its epoch rises, so that a pod of it that still runs somewhere ends when it is
 * heard of (control/statefulset.c).
 */
#pragma once

#include "api/backend.h"

/* @uid: of the ordinal's Pod. @done is called once, with status 404 when there is none. */
void release_ordinal(const struct api_backend *backend, const struct uid *uid, const char *author,
		     api_done_fn *done, void *arg);
