/* SPDX-License-Identifier: Apache-2.0 */
/* magik status: what the daemon on this machine says of itself. */
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/control.h"

static const struct option options[] = {
	{"state-dir", required_argument, NULL, 'd'},
	{"output", required_argument, NULL, 'o'},
	{"help", no_argument, NULL, 'h'},
	{0},
};

static void print_text(const json_t *status, const char *title, const char *member)
{
	const char *text = control_text(status, member);

	if (text[0])
		(void)printf("%-10s %s\n", title, text);
}

static void print_machines(const json_t *status)
{
	const json_t *machines = json_object_get(status, "machines");

	for (size_t i = 0; i < json_array_size(machines); i++) {
		const json_t *machine = json_array_get(machines, i);

		(void)printf("%-10s %-20s %-8s %.16s\n", i == 0 ? "machines" : "",
			     control_text(machine, "name"), control_text(machine, "state"),
			     control_text(machine, "identity"));
	}
}

static void print_connections(const json_t *overlay)
{
	if (overlay)
		(void)printf("%-10s %" JSON_INTEGER_FORMAT
			     " to other machines; at most %" JSON_INTEGER_FORMAT " are kept\n",
			     "connected",
			     json_integer_value(json_object_get(overlay, "connections")),
			     json_integer_value(json_object_get(overlay, "pool")));
}

/* The daemon tells how it was when it started; the keys may have been taken away since. */
static bool roots_are_here(const json_t *status, const char *state_dir)
{
	char path[PATH_MAX];

	(void)snprintf(path, sizeof(path), "%s/" CREDENTIALS_ROOT_DIR "/%s", state_dir,
		       root_keys_names[0]);
	return json_is_true(json_object_get(status, "root_here")) && access(path, F_OK) == 0;
}

static void print_status(const json_t *status, const char *state_dir)
{
	print_text(status, "machine", "node");
	print_text(status, "identity", "identity");
	print_text(status, "fabric", "fabric");
	print_text(status, "roles", "roles");
	print_text(status, "REST", "rest");
	if (json_is_integer(json_object_get(status, "pods")))
		(void)printf("%-10s %" JSON_INTEGER_FORMAT "\n", "pods",
			     json_integer_value(json_object_get(status, "pods")));
	print_connections(json_object_get(status, "overlay"));
	if (strncmp(control_text(status, "runtime"), "null:", strlen("null:")) == 0)
		(void)printf("%-10s pods are not started: null engine\n", "runtime");
	else
		print_text(status, "runtime", "runtime");
	print_machines(status);
	if (roots_are_here(status, state_dir))
		(void)printf(
			"\nThe fabric's root keys are on this machine: move them to a safe place "
			"with magik fabric root export.\n");
}

static void print_json(json_t *status)
{
	char *text;

	(void)json_object_del(status, "done");
	text = json_dumps(status, JSON_INDENT(2));
	(void)printf("%s\n", text ? text : "{}");
	free(text);
}

static int run(int argc, char **argv)
{
	const char *state_dir = CLI_STATE_DIR, *output = "";
	json_t *status = NULL;
	struct err err = {0};
	int option;

	while ((option = getopt_long(argc, argv, "o:h", options, NULL)) != -1) {
		if (option == 'd')
			state_dir = optarg;
		else if (option == 'o')
			output = optarg;
		else
			return cli_usage(&verb_status, option == 'h');
	}
	if (optind != argc || (output[0] && strcmp(output, "json") != 0))
		return cli_usage(&verb_status, false);
	if (control_status(state_dir, &status, &err) != 0)
		return cli_fail(&err);
	if (output[0])
		print_json(status);
	else
		print_status(status, state_dir);
	json_decref(status);
	return CLI_OK;
}

const struct cli_verb verb_status = {
	"status",
	"magik status [-o json] [--state-dir DIR]\n"
	"\n"
	"Tell how the daemon on this machine is doing, and whom it sees.\n"
	"\n"
	"  -o json      everything, as one JSON object\n"
	"  --state-dir  " CLI_STATE_DIR " by default\n",
	run,
};
