/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/job.h"

#include <assert.h>
#include <stdlib.h>

#include <uv.h>

#include "base/mem.h"

struct job {
	uv_work_t work;
	void (*run)(void *arg);
	void (*done)(void *arg);
	void *arg;
};

static void on_work(uv_work_t *work)
{
	struct job *job = work->data;

	job->run(job->arg);
}

static void on_done(uv_work_t *work, int status)
{
	struct job *job = work->data;
	void (*done)(void *arg) = job->done;
	void *arg = job->arg;

	/* Nothing cancels jobs. */
	assert(status == 0);
	free(job);
	done(arg);
}

void job_run(struct loop *loop, void (*work)(void *arg), void (*done)(void *arg), void *arg)
{
	struct job *job = mem_new(struct job);
	int r;

	job->work.data = job;
	job->run = work;
	job->done = done;
	job->arg = arg;
	r = uv_queue_work(loop_uv(loop), &job->work, on_work, on_done);
	assert(r == 0);
	(void)r;
}
