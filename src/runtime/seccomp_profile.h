/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The system calls a container may make, as a compiled filter.
 *
 * crun 1.8 compiles a profile for every container, 25 ms of processor each; the host process
 * compiles ours once and hands the result over in an annotation. seccomp_allowed.def is the list.
 */
#pragma once

#include "base/attr.h"
#include "base/bytes.h"
#include "base/err.h"

/* Append the filter in base64, as crun's annotation run.oci.seccomp_bpf_data wants it. */
_must_use_ int seccomp_profile_compile(struct buf *out, struct err *err);
