/* SPDX-License-Identifier: Apache-2.0 */
/* What the verbs of the magik command share: options, the state directory, exit statuses. */
#pragma once

#include <getopt.h>
#include <stdbool.h>
#include <sys/types.h>

#include "base/bytes.h"
#include "base/err.h"
#include "identity/credentials.h"

#define CLI_STATE_DIR "/var/lib/magik"

enum cli_exit {
	CLI_OK = 0,
	CLI_FAILED = 1, /* one line on stderr says why */
	CLI_USAGE = 2,
};

/* A verb gets the arguments from its own name on and returns an exit status. */
struct cli_verb {
	const char *name;
	const char *usage; /* "magik name ..." and what it does, lines of at most 80 characters */
	int (*run)(int argc, char **argv);
};

extern const struct cli_verb verb_fabric_token, verb_fabric_request, verb_fabric_admit,
	verb_fabric_pod, verb_fabric_show, verb_fabric_revoke, verb_fabric_revocations,
	verb_fabric_root, verb_policy_check, verb_kubeconfig, verb_image, verb_sim, verb_status,
	verb_version;

/* "magik: <text>" on stderr; returns CLI_FAILED. */
int cli_fail(const struct err *err);

/* Print @verb's usage: on stdout and CLI_OK when @asked, else on stderr and CLI_USAGE. */
int cli_usage(const struct cli_verb *verb, bool asked);

/* Read the files under @state_dir/fabric. 0, or -errno with a sentence that says what to do. */
_must_use_ int cli_credentials(const char *state_dir, struct credentials *ret_credentials,
			       struct err *err);

/* "90s", "30m", "24h", "7d" in ms; 0 for anything else, for nothing, and beyond a year. */
int64_t cli_duration_ms(const char *text);

/* Roles or namespaces as a list with commas, into @grant. False names the odd one out in @err. */
_must_use_ bool cli_add_roles(struct grant *grant, const char *list, struct err *err);
_must_use_ bool cli_add_namespaces(struct grant *grant, const char *list, struct err *err);

/* Roles not named are the plain ones; a steward without namespaces has all. False for namespaces of
 * what is no steward. */
_must_use_ bool cli_grant_complete(struct grant *grant);

/* @text to the new content of @file with @mode, or to standard output (NULL). */
_must_use_ int cli_put(const char *file, struct bytes text, mode_t mode, struct err *err);
