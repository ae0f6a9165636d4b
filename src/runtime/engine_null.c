/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The null engine: it runs nothing. Pods given to it are said to run (pod_null.c), so that hundreds
 * of daemons, real in everything else, can be measured on one machine.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "runtime/engine.h"

struct engine_null {
	struct engine base;
	int64_t delay_ms;
};

static int null_probe(struct engine *engine, struct err *err)
{
	(void)engine;
	(void)err;
	return 0;
}

static const char *null_version(const struct engine *engine)
{
	(void)engine;
	return "none";
}

static int64_t null_pretend_ms(const struct engine *engine)
{
	return ((const struct engine_null *)engine)->delay_ms;
}

static int null_refuse(struct engine *engine, const struct engine_container *container,
		       struct err *err)
{
	(void)engine;
	(void)container;
	return err_set(err, -EOPNOTSUPP, "the null engine starts nothing");
}

static int null_exec(struct engine *engine, const struct engine_container *container,
		     struct engine_exec *exec, struct err *err)
{
	(void)exec;
	return null_refuse(engine, container, err);
}

static int null_exec_signal(struct engine *engine, const struct engine_container *container,
			    const char *name, int signal)
{
	(void)engine;
	(void)container;
	(void)name;
	(void)signal;
	return 0;
}

static int null_exec_end(struct engine *engine, const struct engine_container *container,
			 const char *name, struct err *err)
{
	(void)name;
	return null_refuse(engine, container, err);
}

static int null_attach(struct engine *engine, const struct engine_container *container,
		       struct engine_attach *ret_attach, struct err *err)
{
	(void)ret_attach;
	return null_refuse(engine, container, err);
}

static int null_stop(struct engine *engine, const struct engine_container *container, int signal,
		     struct err *err)
{
	(void)engine;
	(void)container;
	(void)signal;
	(void)err;
	return 0;
}

static int null_status(struct engine *engine, const struct engine_container *container,
		       struct engine_status *ret_status, struct err *err)
{
	(void)engine;
	(void)container;
	(void)err;
	*ret_status = (struct engine_status){.state = ENGINE_GONE};
	return 0;
}

static int null_remove(struct engine *engine, const struct engine_container *container,
		       struct err *err)
{
	(void)engine;
	(void)container;
	(void)err;
	return 0;
}

static int null_list(struct engine *engine, void (*found)(void *ctx, const char *id), void *ctx,
		     struct err *err)
{
	(void)engine;
	(void)found;
	(void)ctx;
	(void)err;
	return 0;
}

static struct engine *null_free(struct engine *engine)
{
	free(engine);
	return NULL;
}

static const struct engine_ops null_ops = {
	.name = "null",
	.probe = null_probe,
	.version = null_version,
	.pretend_ms = null_pretend_ms,
	.prepare = null_refuse,
	.start = null_refuse,
	.stop = null_stop,
	.status = null_status,
	.exec = null_exec,
	.exec_signal = null_exec_signal,
	.exec_end = null_exec_end,
	.attach = null_attach,
	.remove = null_remove,
	.list = null_list,
	.free = null_free,
};

struct engine *engine_null_new(int64_t delay_ms)
{
	struct engine_null *engine = mem_new(struct engine_null);

	engine->base.ops = &null_ops;
	engine->delay_ms = delay_ms;
	return &engine->base;
}
