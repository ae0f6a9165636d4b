/* SPDX-License-Identifier: Apache-2.0 */
/* magik fabric root: the fabric's root keys leave this machine for the operator's disk, and come
 * back. */
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/authority.h"
#include "cli/cli.h"
#include "identity/keyring.h"
#include "io/clock.h"
#include "io/entropy.h"
#include "io/file.h"

enum {
	TRUST_LEN_MAX = 1024, /* three lines of hex */
	KEY_HEX_LEN = 2 * ID_LEN,
};

static const struct option options[] = {
	{"state-dir", required_argument, NULL, 'd'},
	{"help", no_argument, NULL, 'h'},
	{0},
};

static void root_path(const char *state_dir, const char *name, char path[PATH_MAX])
{
	(void)snprintf(path, PATH_MAX, "%s/" CREDENTIALS_ROOT_DIR "/%s", state_dir, name);
}

/* All keys behind one another, each under a line with the name of its file (identity/keyring.h). */
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

/* Where a fabric is known already, its roots and no others. */
static int check_trust(const char *state_dir, const struct root_keys *roots, struct err *err)
{
	char path[PATH_MAX];
	struct buf trust = {0};
	const char *rest;
	int r;

	root_path(state_dir, "trust", path);
	r = file_read(path, TRUST_LEN_MAX, &trust);
	rest = buf_cstr(&trust);
	for (size_t i = 0; r == 0 && i < CERT_FAMILY_COUNT; i++) {
		const struct node_id *key = &roots->key[i].public_key;

		if (strncmp(rest, node_id_text(key).text, KEY_HEX_LEN) != 0)
			r = err_set(err, -EACCES,
				    "these are the roots of another fabric than the one that "
				    "this machine belongs to: %s names its roots",
				    path);
		else
			rest += strcspn(rest, "\n") + 1;
	}
	if (r < 0 && r != -ENOENT && r != -EACCES)
		(void)err_set(err, r, "%s: %s", path, strerror(-r));
	buf_deinit(&trust);
	return r == -ENOENT ? 0 : r;
}

static bool is_there(const char *state_dir, const char *name)
{
	char path[PATH_MAX];

	root_path(state_dir, name, path);
	return access(path, F_OK) == 0;
}

static int put_file(const char *state_dir, const char *name, const struct buf *content, mode_t mode,
		    struct err *err)
{
	char path[PATH_MAX];
	int r;

	root_path(state_dir, name, path);
	r = file_write(path, bytes_of(content->ptr, content->len), mode);
	return r ? err_set(err, r, "%s: %s", path, strerror(-r)) : 0;
}

static int make_dir(const char *state_dir, struct err *err)
{
	char path[PATH_MAX];
	int r;

	root_path(state_dir, "", path);
	r = file_make_dir(path, 0700);
	return r ? err_set(err, r, "%s: %s", path, strerror(-r)) : 0;
}

/* Certificates of the roots, where none lie beside their keys: only the machine that made the
 * fabric has them there. */
static int put_certs(const char *state_dir, const struct root_keys *roots, struct err *err)
{
	static const char *const names[CERT_FAMILY_COUNT] = {"root-machine.pem",
							     "root-workload.pem", "root-api.pem"};
	uint8_t serials[CERT_FAMILY_COUNT][CERT_SERIAL_LEN];
	struct buf certs[CERT_FAMILY_COUNT] = {0};
	int r;

	entropy_fill(serials, sizeof(serials));
	r = root_certs_make(roots, clock_wall(), serials, certs, err);
	for (size_t i = 0; i < CERT_FAMILY_COUNT; i++) {
		struct buf pem = {0};

		if (r == 0 && !is_there(state_dir, names[i])) {
			chain_to_pem(bytes_buf(&certs[i]), &pem);
			r = put_file(state_dir, names[i], &pem, 0644, err);
		}
		buf_deinit(&pem);
		buf_deinit(&certs[i]);
	}
	return r > 0 ? -EINVAL : r;
}

/* The last key is the one by which the daemon sees that roots are there. */
static int put_keys(const char *state_dir, const struct root_keys *roots, struct err *err)
{
	int r = 0;

	for (size_t i = CERT_FAMILY_COUNT; r == 0 && i-- > 0;) {
		struct buf pem = {0};

		key_export_pem(&roots->key[i], &pem);
		r = put_file(state_dir, root_keys_names[i], &pem, 0600, err);
		secret_wipe(pem.ptr, pem.len);
		buf_deinit(&pem);
	}
	return r;
}

static int import(const char *state_dir, const char *file, struct err *err)
{
	struct root_keys roots = {0};
	int r = root_file_read(file, &roots, err);

	if (r == 0 && is_there(state_dir, root_keys_names[0]))
		r = err_set(err, -EEXIST, "there are roots in %s/" CREDENTIALS_ROOT_DIR " already",
			    state_dir);
	if (r == 0)
		r = check_trust(state_dir, &roots, err);
	if (r == 0)
		r = make_dir(state_dir, err);
	if (r == 0)
		r = put_certs(state_dir, &roots, err);
	if (r == 0)
		r = put_keys(state_dir, &roots, err);
	root_keys_wipe(&roots);
	return r;
}

static int run(int argc, char **argv)
{
	const char *state_dir = CLI_STATE_DIR, *verb, *file;
	struct err err = {0};
	int option, r;

	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (option != 'd')
			return cli_usage(&verb_fabric_root, option == 'h');
		state_dir = optarg;
	}
	if (optind != argc - 2)
		return cli_usage(&verb_fabric_root, false);
	verb = argv[optind];
	file = argv[optind + 1];
	if (strcmp(verb, "export") != 0 && strcmp(verb, "import") != 0)
		return cli_usage(&verb_fabric_root, false);
	r = *verb == 'e' ? export(state_dir, file, &err) : import(state_dir, file, &err);
	if (r)
		return cli_fail(&err);
	if (*verb == 'e')
		(void)printf("the root keys are in %s now, and not on this machine any more\n",
			     file);
	else
		(void)printf("the root keys are on this machine now, and still in %s\n", file);
	return CLI_OK;
}

const struct cli_verb verb_fabric_root = {
	"root",
	"magik fabric root export FILE [--state-dir DIR]\n"
	"       magik fabric root import FILE [--state-dir DIR]\n"
	"\n"
	"export moves the fabric's root keys to FILE, on a disk that you take away: whoever\n"
	"has them can make machines, stewards and users of this fabric. They are needed again\n"
	"only to make another admitter (magik fabric admit --role admit --root FILE). Until\n"
	"then magik status reminds of them. Machines that admit go on admitting.\n"
	"\n"
	"import copies them back; or, before the first start of a machine, brings the roots\n"
	"of a fabric that has no admitter left, or keys that you made yourself: three Ed25519\n"
	"keys as openssl genpkey writes them, under the lines \"# machine.key\",\n"
	"\"# workload.key\" and \"# api.key\". The daemon then makes that fabric of one.\n"
	"\n"
	"  --state-dir  " CLI_STATE_DIR " by default\n",
	run,
};
