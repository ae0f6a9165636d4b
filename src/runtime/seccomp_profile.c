/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/seccomp_profile.h"

#include <linux/sched.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"

static const char *const allowed[] = {
#define SYSTEM_CALL(name) #name,
#include "runtime/seccomp_allowed.def"
#undef SYSTEM_CALL
};

enum {
	/* Every flag of clone() that makes a namespace. */
	CLONE_NAMESPACES = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |
			   CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWCGROUP,
	FILTER_MAX = 256 * 1024,
};

/* Programs built for 32 bits run as well, under the same rules. */
static int add_architectures(scmp_filter_ctx filter)
{
#ifdef __x86_64__
	int r = seccomp_arch_add(filter, SCMP_ARCH_X86);

	if (r == 0)
		r = seccomp_arch_add(filter, SCMP_ARCH_X32);
	return r;
#elif defined(__aarch64__)
	return seccomp_arch_add(filter, SCMP_ARCH_ARM);
#else
	(void)filter;
	return 0;
#endif
}

static int add_conditional(scmp_filter_ctx filter)
{
	/* What uname claims (0, 8: Linux, with 32-bit and 64-bit layouts), and asking for it. */
	static const unsigned personalities[] = {0x0, 0x8, 0x20000, 0x20008, 0xffffffff};
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(personalities); i++)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(personality), 1,
				     SCMP_A0(SCMP_CMP_EQ, personalities[i]));
	if (r == 0)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
				     SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_NAMESPACES, 0));
	/* Without namespaces of its own a machine's hypervisor channel is all that vsock reaches.
	 */
	if (r == 0)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
				     SCMP_A0(SCMP_CMP_NE, AF_VSOCK));
	return r;
}

/* Refusals that mean "may not" rather than "does not exist", because programs tell them apart. */
static int add_refusals(scmp_filter_ctx filter)
{
	static const char *const refused[] = {"mount",  "umount2", "unshare",        "setns",
					      "ptrace", "keyctl",  "add_key",        "request_key",
					      "bpf",    "reboot",  "perf_event_open"};

	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		int number = seccomp_syscall_resolve_name(refused[i]);
		int r = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), number, 0);

		if (r < 0)
			return r;
	}
	return 0;
}

static int build(scmp_filter_ctx filter)
{
	int r = add_architectures(filter);

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(allowed); i++) {
		int number = seccomp_syscall_resolve_name(allowed[i]);

		/* Newer than this libseccomp: it stays refused. */
		if (number != __NR_SCMP_ERROR)
			r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, number, 0);
	}
	if (r == 0)
		r = add_conditional(filter);
	if (r == 0)
		r = add_refusals(filter);
	return r;
}

/* libseccomp writes to descriptors only. */
static int export(scmp_filter_ctx filter, struct buf *out)
{
	int fd = memfd_create("seccomp", MFD_CLOEXEC), r;
	uint8_t *code;
	ssize_t len;

	if (fd < 0)
		return err_origin(-errno);
	code = mem_alloc(1, FILTER_MAX);
	r = seccomp_export_bpf(filter, fd);
	len = r == 0 ? pread(fd, code, FILTER_MAX, 0) : -1;
	if (len > 0 && len < FILTER_MAX)
		base64_encode(bytes_of(code, (size_t)len), out);
	else if (r == 0)
		r = err_origin(-EIO);
	free(code);
	(void)close(fd);
	return r;
}

int seccomp_profile_compile(struct buf *out, struct err *err)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
	int r;

	if (!filter)
		return err_set(err, -ENOMEM, "seccomp filter: %s", strerror(ENOMEM));
	r = build(filter);
	if (r == 0)
		r = export(filter, out);
	seccomp_release(filter);
	return r < 0 ? err_set(err, r, "seccomp filter: %s", strerror(-r)) : 0;
}
