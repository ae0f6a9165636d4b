/* SPDX-License-Identifier: Apache-2.0 */
/*
 * magik: the operator's command.
 *
 *	main.c            finds the verb; the help
 *	verb_*.c          one verb each: its options, its usage, what it does
 *	control.c         asks the running daemon over a socket in its run directory
 *	cli.c             reads the state directory; small parsers
 */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

/* @group is the word before the verb's name, or NULL. */
static const struct {
	const char *group;
	const struct cli_verb *verb;
	const char *summary;
} verbs[] = {
	{"fabric", &verb_fabric_token, "print a token with which other machines join"},
	{"fabric", &verb_fabric_request, "ask for membership where no connection leads"},
	{"fabric", &verb_fabric_admit, "sign such a request"},
	{"fabric", &verb_fabric_pod, "certify a pod's agent that is run by hand"},
	{"fabric", &verb_fabric_show, "tell which fabric this machine belongs to"},
	{"fabric", &verb_fabric_revoke, "shut a machine, a user or a certificate out"},
	{"fabric", &verb_fabric_revocations, "list what has been revoked"},
	{"policy", &verb_policy_check, "tell whether a policy file is sound"},
	{"fabric", &verb_fabric_root, "move the fabric's root keys off this machine, or back"},
	{NULL, &verb_kubeconfig, "print the administrator's kubeconfig"},
	{NULL, &verb_image, "load, list and remove images on this machine"},
	{NULL, &verb_status, "how the daemon on this machine is doing"},
	{NULL, &verb_sim, "simulate a fabric of many machines"},
	{NULL, &verb_version, "the version of this command"},
};

static void help(FILE *out)
{
	(void)fputs("usage: magik VERB [OPTIONS]\n\n", out);
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
		(void)fprintf(out, "  %s%s%-*s %s\n", verbs[i].group ? verbs[i].group : "",
			      verbs[i].group ? " " : "",
			      verbs[i].group ? 13 - (int)strlen(verbs[i].group) : 14,
			      verbs[i].verb->name, verbs[i].summary);
	(void)fputs("\nmagik VERB --help tells more.\n", out);
}

static bool verb_is(size_t index, int argc, char **argv)
{
	const char *group = verbs[index].group;

	if (!group)
		return strcmp(argv[1], verbs[index].verb->name) == 0;
	return argc > 2 && strcmp(argv[1], group) == 0 &&
	       strcmp(argv[2], verbs[index].verb->name) == 0;
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		help(stderr);
		return CLI_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
	    strcmp(argv[1], "help") == 0) {
		help(stdout);
		return CLI_OK;
	}
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
		int words = verbs[i].group ? 2 : 1;

		if (verb_is(i, argc, argv))
			return verbs[i].verb->run(argc - words, argv + words);
	}
	(void)fprintf(stderr, "magik: there is no verb %s%s%s; magik --help lists them\n", argv[1],
		      argc > 2 && strcmp(argv[1], "fabric") == 0 ? " " : "",
		      argc > 2 && strcmp(argv[1], "fabric") == 0 ? argv[2] : "");
	return CLI_USAGE;
}
