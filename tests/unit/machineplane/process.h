/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fabric process as it is, in its sandbox, with the test in the place of its host process.
 *
 * It listens on free ports of loopback; its log is what the tests read. Root is needed.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "identity/credentials.h"
#include "identity/voucher.h"
#include "machineplane/options.h"
#include "machineplane/state.h"

struct process;

/* First in main(): the status to end with when this is the fabric process, -1 when it is the test.
 */
int process_main(int argc, char **argv);

/* A machine's directories, new and empty, in a temporary place. */
struct process *process_new(const char *node_name);

/* Ends it if it runs, and removes its directories. */
void process_free(struct process *process);

struct options *process_options(struct process *process);
const char *process_dir(const struct process *process);

/* What the host process does first: state_prepare(). */
int process_prepare(struct process *process, struct err *err);

/* Credentials of the test's own making, instead. */
void process_give(struct process *process, const struct credentials *credentials);

/* What it has on disk now. */
void process_read(const struct process *process, struct credentials *ret_credentials);

void process_start(struct process *process);

/* Wait until its log has a line with both words; false when it ended or 20 s have passed without.
 * Lines are passed once. */
bool process_says(struct process *process, const char *word, const char *other);

/* Wait for its end. Returns the exit status, -1: by a signal. */
int process_wait(struct process *process);

/* SIGTERM, and wait. */
int process_stop(struct process *process);

/* "<id>@127.0.0.1:<port>", once it has become a member (process_says() "member-of"). */
const char *process_address(const struct process *process);
