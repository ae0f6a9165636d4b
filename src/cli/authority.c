/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/authority.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "identity/keyring.h"
#include "io/clock.h"
#include "io/entropy.h"
#include "io/file.h"

int root_file_read(const char *file, struct root_keys *ret_roots, struct err *err)
{
	struct buf text = {0};
	int r = file_read(file, KEYRING_LEN_MAX, &text);

	if (r == -EFBIG)
		r = err_set(err, r, "%s: longer than the keys of a fabric's roots", file);
	else if (r)
		r = err_set(err, r, "%s: %s", file, strerror(-r));
	else if (keyring_read(bytes_buf(&text), root_keys_names, ret_roots->key, err) != 0)
		r = err_prefix(err, "%s: these are not the keys of a fabric's roots", file);
	if (text.len > 0)
		secret_wipe(text.ptr, text.len);
	buf_deinit(&text);
	return r;
}

/* The three keys in D/root, if they are there and may be read. */
static bool roots_here(const char *state_dir, struct root_keys *roots)
{
	struct credentials_files files = {0};
	bool sound;

	for (size_t i = 0; root_keys_names[i]; i++) {
		struct buf content = {0};
		char path[PATH_MAX];

		(void)snprintf(path, sizeof(path), "%s/" CREDENTIALS_ROOT_DIR "/%s", state_dir,
			       root_keys_names[i]);
		if (file_read(path, CREDENTIALS_FILE_LEN_MAX, &content) == 0)
			credentials_files_add(&files, root_keys_names[i], &content);
	}
	sound = root_keys_load(&files, roots, NULL) == 0;
	credentials_files_deinit(&files);
	return sound;
}

static int certify_roots(const struct authority *authority, struct buf certs[CERT_FAMILY_COUNT],
			 struct err *err)
{
	uint8_t serials[CERT_FAMILY_COUNT][CERT_SERIAL_LEN];
	int r;

	entropy_fill(serials, sizeof(serials));
	r = root_certs_make(&authority->roots, authority->now, serials, certs, err);
	return r > 0 ? -EPERM : r;
}

int authority_admitter(const struct authority *authority, const struct node_id *holder,
		       const struct node_id admit[CERT_FAMILY_COUNT],
		       struct join_intermediates *ret_made, struct err *err)
{
	struct join_roots roots = {
		.keys = &authority->roots, .holder = *holder, .now = authority->now};
	int r;

	if (!authority->has_roots)
		return err_set(
			err, -EPERM,
			"an admitter is made by the fabric's roots, and they are not on this "
			"machine: --root FILE names the file they were exported to");
	for (size_t i = 0; i < CERT_FAMILY_COUNT; i++)
		roots.cert[i] = bytes_buf(&authority->own.root[i]);
	entropy_fill(roots.serials, sizeof(roots.serials));
	r = join_issue_intermediates(&roots, admit, ret_made, err);
	return r > 0 ? -EPERM : r;
}

/* Intermediates of the roots in @file, for this once. */
static int sign_with_file(const char *file, const struct node_id *holder,
			  struct authority *authority, struct err *err)
{
	struct join_intermediates made = {0};
	struct node_id admit[CERT_FAMILY_COUNT];
	struct credentials *own = &authority->own;
	int r = root_file_read(file, &authority->roots, err);

	authority->has_roots = r == 0;
	if (r == 0)
		r = certify_roots(authority, own->root, err);
	for (size_t i = 0; r == 0 && i < CERT_FAMILY_COUNT; i++) {
		uint8_t seed[KEY_SEED_LEN];

		entropy_fill(seed, sizeof(seed));
		own->admit_key[i] = key_from_seed(seed);
		admit[i] = own->admit_key[i].public_key;
		secret_wipe(seed, sizeof(seed));
	}
	if (r == 0)
		r = authority_admitter(authority, holder, admit, &made, err);
	for (size_t i = 0; r == 0 && i < CERT_FAMILY_COUNT; i++) {
		own->admit_cert[i] = made.cert[i];
		made.cert[i] = (struct buf){0};
	}
	join_intermediates_deinit(&made);
	return r;
}

static int sign_as_machine(const char *state_dir, struct authority *authority, struct err *err)
{
	int r = cli_credentials(state_dir, &authority->own, err);

	if (r)
		return r;
	if (!credentials_is_admitter(&authority->own))
		return err_set(err, -EPERM,
			       "%s is no admitter and certifies nobody; ask one that is, or give "
			       "the fabric's roots with --root FILE",
			       authority->own.machine.name);
	authority->has_roots = roots_here(state_dir, &authority->roots);
	return 0;
}

static int read_time(const char *state_dir, bool needed, struct authority *authority,
		     struct err *err)
{
	struct err none = {0};
	int r = control_status(state_dir, &authority->status, needed ? err : &none);

	if (r) {
		authority->now = clock_wall();
		return needed ? r : 0;
	}
	authority->now.ms =
		json_integer_value(json_object_get(authority->status, "fabric_time_ms"));
	return authority->now.ms > 0
		       ? 0
		       : err_set(err, -EBADMSG, "the daemon does not say what time it is");
}

int authority_open(const char *state_dir, const char *root_file, const struct node_id *holder,
		   struct authority *ret_authority, struct err *err)
{
	int r;

	*ret_authority = (struct authority){0};
	r = read_time(state_dir, root_file == NULL, ret_authority, err);
	if (r)
		return r;
	return root_file ? sign_with_file(root_file, holder, ret_authority, err)
			 : sign_as_machine(state_dir, ret_authority, err);
}

void authority_close(struct authority *authority)
{
	json_decref(authority->status);
	credentials_deinit(&authority->own);
	root_keys_wipe(&authority->roots);
}
