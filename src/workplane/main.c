/* SPDX-License-Identifier: Apache-2.0 */
/*
 * workplane: the agent of one pod.
 *
 *   options.c   what it is told
 *   hold.c      the pod's namespaces
 *
 * It makes the namespaces, says "ready" to the host process that started it, and holds them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "workplane/hold.h"
#include "workplane/options.h"

static const char *environment(const char *name)
{
	return getenv(name);
}

static void print_line(const char *line)
{
	(void)puts(line);
}

/*
 * Tell whoever started us: on its socket, or on stderr when a person did. The host process answers
 * with one byte once it has written down who we are; if it dies before that, nobody would ever end
 * us, so we end ourselves.
 */
static bool report(const struct options *options, const char *text)
{
	int fd = (int)options->report_fd;
	char answer;
	bool kept;

	if (fd == OPTIONS_FD_NONE) {
		(void)fprintf(stderr, "workplane: %s\n", text);
		return true;
	}
	(void)!write(fd, text, strlen(text));
	(void)!write(fd, "\n", 1);
	kept = read(fd, &answer, 1) == 1;
	(void)close(fd);
	return kept;
}

int main(int argc, char **argv)
{
	struct options options = {.report_fd = OPTIONS_FD_NONE};
	struct err err = {0};
	int r = options_parse(argc, argv, environment, &options, &err);

	if (r == 0 && options.help) {
		print_line("usage: workplane [--OPTION VALUE]...\n");
		options_explain(print_line);
		return EXIT_SUCCESS;
	}
	if (r < 0) {
		(void)fprintf(stderr, "workplane: %s\n", err.text);
		return EXIT_FAILURE;
	}
	r = hold_enter(&options, &err);
	if (r == 0)
		r = hold_drop_privileges(&err);
	if (!report(&options, r < 0 ? err.text : "ready") || r < 0)
		return EXIT_FAILURE;
	hold_wait();
	return EXIT_SUCCESS;
}
