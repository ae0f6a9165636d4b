/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "base/version.h"
#include "cli/cli.h"

static int run(int argc, char **argv)
{
	(void)argv;
	if (argc != 1)
		return cli_usage(&verb_version, false);
	(void)printf("magik %s\n", MAGIK_VERSION);
	return CLI_OK;
}

const struct cli_verb verb_version = {
	"version",
	"magik version\n"
	"\n"
	"Print the version of this command.\n",
	run,
};
