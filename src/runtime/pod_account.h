/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pod account: by what the containers of a pod with a group find the API that their agent serves
 * them, as Kubernetes tells containers: variables, and three files.
 *
 *   P/account/agent              what the agent is handed, one descriptor: the token, a line; its
 *                                key; its certificate (account_cert.h). Root only.
 *   P/account/files/token        what containers see at POD_ACCOUNT_DIR, read-only
 *   P/account/files/ca.crt
 *   P/account/files/namespace
 *
 * Made once for each pod, before its first agent. The agent's successor is handed the same; a pod
 * that comes back after a power cut has others. The token opens nothing but this agent, and from
 * nowhere but this pod's network, where it can be asked over HTTP without one too.
 */
#pragma once

#include <stdbool.h>

#include "base/attr.h"
#include "base/err.h"

#define POD_ACCOUNT_DIR "/var/run/secrets/kubernetes.io/serviceaccount"

/* In the pod's directory; nothing if it has been made. Blocks. */
_must_use_ int pod_account_make(const char *pod_dir, const char *namespace, struct err *err);

/* What the agent is handed; the caller closes it. */
_must_use_ int pod_account_open(const char *pod_dir, int *ret_fd, struct err *err);

/* Pods begun before there were accounts have none. */
bool pod_account_exists(const char *pod_dir);
/* What containers see; the caller frees it. */
_must_use_ char *pod_account_files(const char *pod_dir);
