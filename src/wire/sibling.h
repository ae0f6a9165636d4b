/* SPDX-License-Identifier: Apache-2.0 */
/* What replicas say of each other by their machines: a part of message.h, to be included by that
 * alone. */
#pragma once

/* The agent of a replica at the sender hears nothing of that of another one. */
struct sibling_missing {
	struct uid object; /* the workload */
	char *pod;         /* the other's name */
};
