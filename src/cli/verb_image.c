/* SPDX-License-Identifier: Apache-2.0 */
/* magik image: what this machine has stored to run. */
#include <errno.h>
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
	{"help", no_argument, NULL, 'h'},
	{0},
};

static int ask(const char *state_dir, const char *verb, const char *source, json_t **ret_answer,
	       struct err *err)
{
	json_t *request = json_pack("{s:s, s:s*}", "verb", verb, "source", source);
	int r;

	if (!request)
		return err_set(err, -EINVAL, "%s: not UTF-8", source);
	r = control_ask(state_dir, CONTROL_HOST_SOCKET, request, CONTROL_IMAGE_TIMEOUT_S,
			ret_answer, err);
	json_decref(request);
	return r;
}

/* The daemon has another working directory, so that a file goes there by its full path. What looks
 * like a path and is not there is a mistake, not a reference. */
static int load(const char *state_dir, const char *source, json_t **ret_answer, struct err *err)
{
	char *path = realpath(source, NULL);
	int r;

	if (!path && (source[0] == '/' || source[0] == '.'))
		return err_set(err, -errno, "%s: %m", source);
	r = ask(state_dir, "image-load", path ? path : source, ret_answer, err);
	free(path);
	return r;
}

static void print_images(const json_t *answer)
{
	const json_t *images = json_object_get(answer, "images");

	for (size_t i = 0; i < json_array_size(images); i++) {
		const json_t *image = json_array_get(images, i);
		const char *digest = control_text(image, "digest");
		json_int_t size = json_integer_value(json_object_get(image, "size"));

		(void)printf("%-48s %.19s %8.1f MiB\n", control_text(image, "name"), digest,
			     (double)size / (1024 * 1024));
	}
}

static int perform(const char *state_dir, const char *verb, const char *source, struct err *err)
{
	json_t *answer = NULL;
	int r;

	if (strcmp(verb, "load") == 0)
		r = load(state_dir, source, &answer, err);
	else if (strcmp(verb, "rm") == 0)
		r = ask(state_dir, "image-rm", source, &answer, err);
	else
		r = ask(state_dir, "image-ls", NULL, &answer, err);
	if (r == 0 && strcmp(verb, "load") == 0)
		(void)printf("%s\n", control_text(answer, "image"));
	else if (r == 0 && strcmp(verb, "ls") == 0)
		print_images(answer);
	json_decref(answer);
	return r;
}

static int run(int argc, char **argv)
{
	const char *state_dir = CLI_STATE_DIR, *verb;
	struct err err = {0};
	int option;
	bool known;

	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (option != 'd')
			return cli_usage(&verb_image, option == 'h');
		state_dir = optarg;
	}
	verb = optind < argc ? argv[optind] : "";
	known = strcmp(verb, "ls") == 0 ? optind + 1 == argc
					: (strcmp(verb, "load") == 0 || strcmp(verb, "rm") == 0) &&
						  optind + 2 == argc;
	if (!known)
		return cli_usage(&verb_image, false);
	if (perform(state_dir, verb, argv[optind + 1], &err) != 0)
		return cli_fail(&err);
	return CLI_OK;
}

const struct cli_verb verb_image = {
	"image",
	"magik image load ARCHIVE|REF [--state-dir DIR]\n"
	"       magik image ls [--state-dir DIR]\n"
	"       magik image rm REF [--state-dir DIR]\n"
	"\n"
	"Load an image into this machine's store (from an OCI or docker archive, or from a\n"
	"registry), list what is there, remove one.\n"
	"\n"
	"  --state-dir  " CLI_STATE_DIR " by default\n",
	run,
};
