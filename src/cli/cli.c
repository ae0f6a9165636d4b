/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "identity/issue.h"
#include "io/file.h"

enum {
	LIST_ITEM_MAX = 128,
	LIFE_DAYS_MAX = 365, /* longer than the machine certificates it leads to */
};

int cli_fail(const struct err *err)
{
	(void)fprintf(stderr, "magik: %s\n", err->text);
	return CLI_FAILED;
}

int cli_usage(const struct cli_verb *verb, bool asked)
{
	(void)fprintf(asked ? stdout : stderr, "usage: %s", verb->usage);
	return asked ? CLI_OK : CLI_USAGE;
}

static int read_file(const char *state_dir, const char *name, struct credentials_files *files,
		     struct err *err)
{
	struct buf content = {0};
	char path[PATH_MAX];
	int r;

	(void)snprintf(path, sizeof(path), "%s/" CREDENTIALS_DIR "/%s", state_dir, name);
	r = file_read(path, CREDENTIALS_FILE_LEN_MAX, &content);
	if (r == -ENOENT)
		return 0;
	if (r)
		return err_set(err, r, "%s: %s", path, strerror(-r));
	credentials_files_add(files, name, &content);
	return 0;
}

int cli_credentials(const char *state_dir, struct credentials *ret_credentials, struct err *err)
{
	struct credentials_files files = {0};
	int r = 0;

	for (size_t i = 0; r == 0 && credentials_names[i]; i++)
		r = read_file(state_dir, credentials_names[i], &files, err);
	if (r == 0 && files.count == 0)
		r = err_set(err, -ENOENT, "%s is no machine's state directory: no daemon made one",
			    state_dir);
	if (r == 0)
		r = credentials_load(&files, ret_credentials, err);
	credentials_files_deinit(&files);
	return r;
}

int64_t cli_duration_ms(const char *text)
{
	static const struct {
		char unit;
		int64_t ms;
	} units[] = {{'s', 1000}, {'m', 60 * 1000}, {'h', CERT_HOUR_MS}, {'d', CERT_DAY_MS}};
	int64_t count = 0;
	size_t at = 0;

	while (text[at] >= '0' && text[at] <= '9' && count <= LIFE_DAYS_MAX * CERT_DAY_MS)
		count = count * 10 + (text[at++] - '0');
	for (size_t i = 0; at > 0 && i < ARRAY_LEN(units); i++) {
		if (text[at] == units[i].unit && text[at + 1] == 0 &&
		    count <= LIFE_DAYS_MAX * CERT_DAY_MS / units[i].ms)
			return count * units[i].ms;
	}
	return 0;
}

/* The next item of a list with commas into @item; false at its end. */
static bool list_next(const char **list, char item[LIST_ITEM_MAX])
{
	size_t len = strcspn(*list, ",");

	if (**list == 0)
		return false;
	(void)snprintf(item, LIST_ITEM_MAX, "%.*s", (int)len, *list);
	*list += len + ((*list)[len] == ',');
	return true;
}

bool cli_add_roles(struct grant *grant, const char *list, struct err *err)
{
	char item[LIST_ITEM_MAX];

	while (list_next(&list, item)) {
		uint32_t role = role_parse(item);

		if (!role) {
			(void)err_set(err, -EINVAL,
				      "--role: %s is none of worker, steward, admit, relay", item);
			return false;
		}
		grant->roles |= role;
	}
	return true;
}

bool cli_add_namespaces(struct grant *grant, const char *list, struct err *err)
{
	char item[LIST_ITEM_MAX];

	while (list_next(&list, item)) {
		if (!grant_add_namespace(grant, bytes_str(item))) {
			(void)err_set(err, -EINVAL,
				      "--namespace: %s is no namespace, or one too many", item);
			return false;
		}
	}
	return true;
}

bool cli_grant_complete(struct grant *grant)
{
	if (grant->roles == 0)
		grant->roles = ROLE_PLAIN;
	grant->all_namespaces = grant_has(grant, ROLE_STEWARD) && grant->namespace_count == 0;
	return grant->namespace_count == 0 || grant_has(grant, ROLE_STEWARD);
}

int cli_put(const char *file, struct bytes text, mode_t mode, struct err *err)
{
	int r = 0;

	if (file)
		r = file_write(file, text, mode);
	else if (fwrite(text.ptr, 1, text.len, stdout) != text.len || fflush(stdout) != 0)
		r = -EIO;
	return r ? err_set(err, r, "%s: %s", file ? file : "standard output", strerror(-r)) : 0;
}
