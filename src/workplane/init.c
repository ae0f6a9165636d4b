/* SPDX-License-Identifier: Apache-2.0 */
#include "workplane/init.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* Signals that mean something to this process itself: a fault of its own, and what comes of a
 * terminal that it reads from in the background. */
static const int own_signals[] = {SIGFPE,  SIGILL, SIGSEGV, SIGBUS, SIGABRT,
				  SIGTRAP, SIGSYS, SIGTTIN, SIGTTOU};

static void signals_to_take(sigset_t *set)
{
	(void)sigfillset(set);
	for (size_t i = 0; i < ARRAY_LEN(own_signals); i++)
		(void)sigdelset(set, own_signals[i]);
}

/* The application: in a group of its own, which has the terminal, with the signals as they were. */
static _Noreturn void become(char *const *command, const sigset_t *mask)
{
	(void)setpgid(0, 0);
	(void)signal(SIGTTOU, SIG_IGN);
	(void)tcsetpgrp(STDIN_FILENO, getpgrp()); /* fails where there is no terminal */
	(void)signal(SIGTTOU, SIG_DFL);
	(void)sigprocmask(SIG_SETMASK, mask, NULL);
	(void)execvp(command[0], command);
	(void)fprintf(stderr, "workplane: %s: %s\n", command[0], strerror(errno));
	_exit(errno == ENOENT ? INIT_NOT_FOUND : INIT_NOT_RUN);
}

static int status_of(int status)
{
	return WIFSIGNALED(status) ? INIT_SIGNALLED + WTERMSIG(status) : WEXITSTATUS(status);
}

/* Reap all that have ended. True when the application is among them. */
static bool reap(pid_t application, int *ret_status)
{
	bool is_over = false;
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid != application)
			continue;
		is_over = true;
		*ret_status = status_of(status);
	}
	return is_over;
}

static int look_after(pid_t application, const sigset_t *signals)
{
	int status = 0;

	for (;;) {
		int signal = sigwaitinfo(signals, NULL);

		if (signal < 0)
			continue; /* EINTR: stopped and continued */
		if (signal != SIGCHLD)
			(void)kill(application, signal);
		else if (reap(application, &status))
			return status;
	}
}

int init_run(char *const *command, int *ret_status, struct err *err)
{
	sigset_t signals, before;
	pid_t application;

	/* As first process it is that anyway; elsewhere orphans come here as well. */
	if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
		return err_set(err, -errno, "become the reaper: %s", strerror(errno));
	signals_to_take(&signals);
	(void)sigprocmask(SIG_BLOCK, &signals, &before);
	application = fork();
	if (application < 0)
		return err_set(err, -errno, "fork: %s", strerror(errno));
	if (application == 0)
		become(command, &before);
	*ret_status = look_after(application, &signals);
	return 0;
}
