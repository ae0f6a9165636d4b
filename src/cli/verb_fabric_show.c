/* SPDX-License-Identifier: Apache-2.0 */
/* magik fabric show: the fabric this machine belongs to, from its state directory alone. */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"

static const struct option options[] = {
	{"state-dir", required_argument, NULL, 'd'},
	{"help", no_argument, NULL, 'h'},
	{0},
};

static void print_time(const char *what, struct wall at)
{
	time_t seconds = (time_t)(at.ms / MS_PER_S);
	char text[64] = "";
	struct tm tm;

	if (gmtime_r(&seconds, &tm))
		(void)strftime(text, sizeof(text), "%Y-%m-%d %H:%M UTC", &tm);
	(void)printf("%-12s %s\n", what, text);
}

/* Whoever may not look into D/root is told nothing about it. */
static bool root_is_here(const char *state_dir)
{
	char path[4096];

	(void)snprintf(path, sizeof(path), "%s/" CREDENTIALS_ROOT_DIR "/%s", state_dir,
		       root_keys_names[0]);
	return access(path, F_OK) == 0;
}

static void show(const char *state_dir, const struct credentials *own)
{
	const struct cert *machine = &own->machine;
	struct buf roles = {0};

	grant_format(&machine->grant, &roles);
	(void)printf("%-12s %s\n", "fabric", machine->fabric);
	(void)printf("%-12s api.%s.magik\n", "REST name", machine->fabric);
	(void)printf("%-12s %s\n", "machine", machine->name);
	(void)printf("%-12s %s\n", "identity", node_id_text(&machine->key).text);
	(void)printf("%-12s %s\n", "roles", buf_cstr(&roles));
	(void)printf("%-12s %s\n", "admits", credentials_is_admitter(own) ? "yes" : "no");
	print_time("valid until", machine->not_after);
	if (root_is_here(state_dir))
		(void)printf("%-12s on this machine\n", "root keys");
	buf_deinit(&roles);
}

static int run(int argc, char **argv)
{
	const char *state_dir = CLI_STATE_DIR;
	struct credentials own;
	struct err err = {0};
	int option;

	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (option == 'h' || option == '?')
			return cli_usage(&verb_fabric_show, option == 'h');
		state_dir = optarg;
	}
	if (optind != argc)
		return cli_usage(&verb_fabric_show, false);
	if (cli_credentials(state_dir, &own, &err) != 0)
		return cli_fail(&err);
	show(state_dir, &own);
	credentials_deinit(&own);
	return CLI_OK;
}

const struct cli_verb verb_fabric_show = {
	"show",
	"magik fabric show [--state-dir DIR]\n"
	"\n"
	"Tell which fabric this machine belongs to, and as what. The daemon need not run.\n"
	"\n"
	"  --state-dir  " CLI_STATE_DIR " by default\n",
	run,
};
