/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/image_user.h"

#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/openat2.h>

#include "base/bytes.h"

enum {
	NAME_MAX_LEN = 64,
	FIELDS_MAX = 8,
};

/* The content of a regular file inside @rootfs, empty if there is none. */
static void read_inside(const char *rootfs, const char *name, struct buf *out)
{
	struct open_how how = {
		.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};
	int root = open(rootfs, O_PATH | O_DIRECTORY | O_CLOEXEC), fd;
	struct stat info;

	if (root < 0)
		return;
	fd = (int)syscall(SYS_openat2, root, name, &how, sizeof(how));
	(void)close(root);
	if (fd < 0)
		return;
	if (fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && info.st_size <= IMAGE_USER_FILE_MAX) {
		buf_reserve(out, (size_t)info.st_size + 1);
		for (;;) {
			ssize_t got = read(fd, out->ptr + out->len, out->cap - out->len - 1);

			if (got <= 0)
				break;
			out->len += (size_t)got;
		}
	}
	(void)close(fd);
}

static bool parse_id(const char *text, uint32_t *ret)
{
	char *end;
	unsigned long value;

	if (text[0] < '0' || text[0] > '9')
		return false;
	value = strtoul(text, &end, 10);
	if (*end || value > INT32_MAX)
		return false;
	*ret = (uint32_t)value;
	return true;
}

/* Cut @line at its colons. Returns how many fields there are. */
static size_t split(char *line, char *fields[FIELDS_MAX])
{
	size_t count = 0;

	while (line && count < FIELDS_MAX)
		fields[count++] = strsep(&line, ":");
	return count;
}

/* name:password:uid:gid:... - by name, or by uid where @name is a number. */
static bool find_passwd(char *text, const char *name, struct image_user *user, char *ret_name)
{
	uint32_t wanted = 0;
	bool by_id = parse_id(name, &wanted);
	char *save = NULL;

	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *fields[FIELDS_MAX];
		uint32_t uid, gid;

		if (split(line, fields) < 4 || !parse_id(fields[2], &uid) ||
		    !parse_id(fields[3], &gid))
			continue;
		if (by_id ? uid != wanted : strcmp(fields[0], name) != 0)
			continue;
		user->uid = uid;
		user->gid = gid;
		(void)snprintf(ret_name, NAME_MAX_LEN, "%s", fields[0]);
		return true;
	}
	return false;
}

static bool is_member(const char *members, const char *name)
{
	size_t len = strlen(name);

	while (members && *members) {
		if (strncmp(members, name, len) == 0 &&
		    (members[len] == ',' || members[len] == '\0'))
			return true;
		members = strchr(members, ',');
		members = members ? members + 1 : NULL;
	}
	return false;
}

/* name:password:gid:members - the gid of @group (NULL: not asked), and all groups of @member. */
static bool scan_groups(char *text, const char *group, const char *member, struct image_user *user)
{
	bool found = false;
	char *save = NULL;

	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *fields[FIELDS_MAX];
		size_t count = split(line, fields);
		uint32_t gid;

		if (count < 3 || !parse_id(fields[2], &gid))
			continue;
		if (group && strcmp(fields[0], group) == 0) {
			user->gid = gid;
			found = true;
		}
		if (!group && count >= 4 && member[0] != '\0' && is_member(fields[3], member) &&
		    user->group_count < IMAGE_USER_GROUPS_MAX)
			user->groups[user->group_count++] = gid;
	}
	return found;
}

int image_user_resolve(const char *rootfs, const char *user, struct image_user *ret_user,
		       struct err *err)
{
	char name[NAME_MAX_LEN] = {0}, passwd_name[NAME_MAX_LEN] = {0};
	const char *group = strchr(user, ':');
	struct image_user found = {0};
	struct buf passwd = {0}, groups = {0};
	size_t len = group ? (size_t)(group - user) : strlen(user);
	bool known = true;

	if (len >= sizeof(name))
		return err_set(err, -ENOENT, "image user %.60s is too long", user);
	memcpy(name, user, len);
	group = group && group[1] != '\0' ? group + 1 : NULL;
	read_inside(rootfs, "etc/passwd", &passwd);
	read_inside(rootfs, "etc/group", &groups);
	if (!find_passwd((char *)(uintptr_t)buf_cstr(&passwd), len > 0 ? name : "0", &found,
			 passwd_name))
		known = len == 0 || parse_id(name, &found.uid);
	if (known && group)
		known = parse_id(group, &found.gid) ||
			scan_groups((char *)(uintptr_t)buf_cstr(&groups), group, "", &found);
	else if (known)
		(void)scan_groups((char *)(uintptr_t)buf_cstr(&groups), NULL, passwd_name, &found);
	buf_deinit(&passwd);
	buf_deinit(&groups);
	if (!known)
		return err_set(err, -ENOENT, "the image has no user %.60s", user);
	*ret_user = found;
	return 0;
}
