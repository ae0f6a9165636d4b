/* SPDX-License-Identifier: Apache-2.0 */
/* The sandbox as those find it who have taken over the process inside. */
#include "machineplane/fabric.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "machineplane/state.h"

enum {
	INSIDE = 100, /* first exit status that says how an attempt ended */
};

/* Try @attempt inside: the status it returns, or negative the signal that killed it. */
static int inside(int (*attempt)(void))
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		struct err err;

		_exit(sandbox_enter(STATE_FABRIC_UID, &err) == 0 ? INSIDE + attempt() : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status) - INSIDE;
}

static int type_into_terminal(void)
{
	return ioctl(STDIN_FILENO, TIOCSTI, "x") == 0 ? 0 : errno;
}

static int take_terminal(void)
{
	return ioctl(STDERR_FILENO, TIOCSCTTY, 1) == 0 ? 0 : errno;
}

static int make_unblocking(void)
{
	int yes = 1, fds[2];

	/* pipe() itself is not needed by anyone inside. */
	if (pipe2(fds, 0) != 0)
		return errno;
	return ioctl(fds[0], FIONBIO, &yes) == 0 ? 0 : errno;
}

static int run_a_program(void)
{
	(void)execl("/bin/true", "true", NULL);
	return errno;
}

static int become_root(void)
{
	return setuid(0) == 0 ? 0 : errno;
}

static void test_nothing_is_typed_into_the_terminal_of_root(void **state)
{
	(void)state;
	assert_int_equal(inside(type_into_terminal), EPERM);
	assert_int_equal(inside(take_terminal), EPERM);
	assert_int_equal(inside(make_unblocking), 0);
}

static void test_other_programs_and_users_are_deadly(void **state)
{
	(void)state;
	assert_int_equal(inside(run_a_program), -SIGSYS);
	assert_int_equal(inside(become_root), -SIGSYS);
}

#if !defined(__SANITIZE_ADDRESS__)
static int make_a_process(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	return pid > 0 ? 0 : errno;
}

static void test_no_process_is_made_that_could_stay(void **state)
{
	(void)state;
	assert_int_equal(inside(make_a_process), EPERM);
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_is_typed_into_the_terminal_of_root),
		cmocka_unit_test(test_other_programs_and_users_are_deadly),
#if !defined(__SANITIZE_ADDRESS__)
		cmocka_unit_test(test_no_process_is_made_that_could_stay),
#endif
	};

	if (geteuid() != 0)
		return 77; /* skipped: there is nothing to give up */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
