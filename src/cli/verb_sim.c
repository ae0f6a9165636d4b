/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The simulator is a program of its own, so that no machine has to carry it: it is looked for
 * beside this one, and takes over this process with the arguments as they are.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"

#define SIMULATOR "magik-sim"

enum {
	SIMULATOR_PATH_MAX = 2048,
};

/* "DIRECTORY/magik-sim" of where @program lies. */
static void beside(const char *program, char path[SIMULATOR_PATH_MAX])
{
	const char *slash = strrchr(program, '/');

	(void)snprintf(path, SIMULATOR_PATH_MAX, "%.*s/%s", (int)(slash - program), program,
		       SIMULATOR);
}

/* As it was called, which may be through a link, and where it truly lies. */
static bool find(char path[SIMULATOR_PATH_MAX])
{
	char self[SIMULATOR_PATH_MAX];
	ssize_t len;

	if (strchr(program_invocation_name, '/')) {
		beside(program_invocation_name, path);
		if (access(path, X_OK) == 0)
			return true;
	}
	len = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (len <= 0)
		return false;
	self[len] = 0;
	beside(self, path);
	return access(path, X_OK) == 0;
}

static int run(int argc, char **argv)
{
	char path[SIMULATOR_PATH_MAX];
	struct err err;

	if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0))
		return cli_usage(&verb_sim, true);
	if (argc < 2)
		return cli_usage(&verb_sim, false);
	if (!find(path)) {
		(void)err_set(&err, -ENOENT,
			      "the simulator, " SIMULATOR ", is not installed beside this program");
		return cli_fail(&err);
	}
	(void)execv(path, argv);
	(void)err_set(&err, -errno, "%s cannot be run: %s", path, strerror(errno));
	return cli_fail(&err);
}

const struct cli_verb verb_sim = {
	"sim",
	"magik sim run [--machines N] [--seed S] [--scenario NAME|FILE]\n"
	"              [--set NAME=VALUE]... [--json] [--story] [--bug NAME]\n"
	"magik sim list [--scenarios|--bugs|--params]\n"
	"\n"
	"Simulate a fabric: many machines in one process on a virtual clock and network,\n"
	"with the protocols as the daemon runs them. The same arguments give the same\n"
	"output.\n"
	"\n"
	"  --machines   how many (default: as the scenario says)\n"
	"  --seed       of everything random (default 1)\n"
	"  --scenario   what happens: one that `list` names, or a file\n"
	"  --set        change a parameter; `list --params` names them\n"
	"  --json       print one JSON object and nothing else\n"
	"  --story      print all that happened\n"
	"  --bug        run with a known fault, to see that it is found\n"
	"\n"
	"Exit status: 0 all invariants held, 1 one was violated, 2 wrong arguments.\n"
	"The simulator is the program magik-sim, installed beside this one.\n",
	run,
};
