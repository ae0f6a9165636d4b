/* SPDX-License-Identifier: Apache-2.0 */
/* magik policy check: would the daemon take this file? */
#include <stdio.h>

#include "cli/cli.h"
#include "runtime/policy.h"

static int run(int argc, char **argv)
{
	struct policy policy;
	struct err err = {0};

	if (argc != 2 || argv[1][0] == '-')
		return cli_usage(&verb_policy_check, argc == 2 && argv[1][1] != 0);
	if (policy_load(argv[1], &policy, &err) < 0)
		return cli_fail(&err);
	(void)printf("%s is sound\n", argv[1]);
	policy_deinit(&policy);
	return CLI_OK;
}

const struct cli_verb verb_policy_check = {
	"check",
	"magik policy check FILE\n"
	"\n"
	"Tell whether machineplane --policy-file FILE would take the file, or the line that\n"
	"is wrong. A running daemon reads its policy again when its host process gets\n"
	"SIGHUP, and keeps the one before if it is wrong.\n",
	run,
};
