/* SPDX-License-Identifier: Apache-2.0 */
/* magik fabric root export: the fabric's root keys leave this machine for the operator's disk. */
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "io/file.h"

static const struct option options[] = {
	{"state-dir", required_argument, NULL, 'd'},
	{"help", no_argument, NULL, 'h'},
	{0},
};

static void root_path(const char *state_dir, const char *name, char path[PATH_MAX])
{
	(void)snprintf(path, PATH_MAX, "%s/" CREDENTIALS_ROOT_DIR "/%s", state_dir, name);
}

/* All keys behind one another, each under a line with the name of its file. */
static int read_keys(const char *state_dir, struct buf *bundle, struct err *err)
{
	for (size_t i = 0; root_keys_names[i]; i++) {
		char path[PATH_MAX];
		int r;

		root_path(state_dir, root_keys_names[i], path);
		buf_append_format(bundle, "# %s\n", root_keys_names[i]);
		r = file_read(path, CREDENTIALS_FILE_LEN_MAX, bundle);
		if (r == -ENOENT)
			return err_set(err, r, "%s is not there: the roots are not on this machine",
				       path);
		if (r)
			return err_set(err, r, "%s: %s", path, strerror(-r));
	}
	return 0;
}

/* The copy is read back before the originals go. */
static int write_bundle(const char *file, const struct buf *bundle, struct err *err)
{
	struct buf back = {0};
	int r;

	if (access(file, F_OK) == 0)
		return err_set(err, -EEXIST, "%s is there already", file);
	r = file_write(file, bytes_of(bundle->ptr, bundle->len), 0600);
	if (r == 0)
		r = file_read(file, bundle->len + 1, &back);
	if (r == 0 && !bytes_equal(bytes_buf(&back), bytes_of(bundle->ptr, bundle->len)))
		r = -EIO;
	secret_wipe(back.ptr, back.len);
	buf_deinit(&back);
	return r ? err_set(err, r, "%s: %s", file, strerror(-r)) : 0;
}

static int remove_keys(const char *state_dir, struct err *err)
{
	for (size_t i = 0; root_keys_names[i]; i++) {
		char path[PATH_MAX];

		root_path(state_dir, root_keys_names[i], path);
		if (unlink(path) != 0)
			return err_set(err, -errno, "%s: %s", path, strerror(errno));
	}
	return 0;
}

static int export(const char *state_dir, const char *file, struct err *err)
{
	struct buf bundle = {0};
	int r = read_keys(state_dir, &bundle, err);

	if (r == 0)
		r = write_bundle(file, &bundle, err);
	if (r == 0)
		r = remove_keys(state_dir, err);
	secret_wipe(bundle.ptr, bundle.len);
	buf_deinit(&bundle);
	return r;
}

static int run(int argc, char **argv)
{
	const char *state_dir = CLI_STATE_DIR;
	struct err err = {0};
	int option;

	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (option != 'd')
			return cli_usage(&verb_fabric_root, option == 'h');
		state_dir = optarg;
	}
	if (optind != argc - 2 || strcmp(argv[optind], "export") != 0)
		return cli_usage(&verb_fabric_root, false);
	if (export(state_dir, argv[optind + 1], &err) != 0)
		return cli_fail(&err);
	(void)printf("the root keys are in %s now, and not on this machine any more\n",
		     argv[optind + 1]);
	return CLI_OK;
}

const struct cli_verb verb_fabric_root = {
	"root",
	"magik fabric root export FILE [--state-dir DIR]\n"
	"\n"
	"Move the fabric's root keys to FILE, on a disk that you take away: whoever has them\n"
	"can make machines, stewards and users of this fabric. They are needed again only to\n"
	"make another admitter. Until then magik status reminds of them. Machines that admit\n"
	"go on admitting.\n"
	"\n"
	"  --state-dir  " CLI_STATE_DIR " by default\n",
	run,
};
