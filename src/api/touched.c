/* SPDX-License-Identifier: Apache-2.0 */
#include "api/touched.h"

#include <stdlib.h>

#include "base/mem.h"

static struct bytes key_of(const struct uid *workload)
{
	return bytes_of(workload->byte, UID_LEN);
}

void touched_init(struct touched *touched)
{
	*touched = (struct touched){0};
	map_init(&touched->at, 1); /* uids are made by machines of the fabric */
}

void touched_deinit(struct touched *touched)
{
	free(touched->list);
	map_deinit(&touched->at);
	touched_init(touched);
}

bool touched_has(const struct touched *touched, const struct uid *workload)
{
	return touched->all || map_get(&touched->at, key_of(workload));
}

void touched_add(struct touched *touched, const struct uid *workload)
{
	if (touched_has(touched, workload))
		return;
	if (touched->count == TOUCHED_MAX) {
		touched_deinit(touched);
		touched->all = true;
		return;
	}
	if (touched->count == touched->cap) {
		touched->cap = touched->cap ? 2 * touched->cap : 16;
		touched->list = mem_resize(touched->list, touched->cap, sizeof(*touched->list));
	}
	touched->list[touched->count++] = *workload;
	(void)map_put(&touched->at, key_of(workload), touched);
}

void touched_add_all(struct touched *touched, const struct touched *others)
{
	for (size_t i = 0; i < others->count; i++)
		touched_add(touched, &others->list[i]);
	if (others->all) {
		touched_deinit(touched);
		touched->all = true;
	}
}

bool touched_any(const struct touched *touched)
{
	return touched->count || touched->all;
}

struct touched touched_take(struct touched *touched)
{
	struct touched taken = *touched;

	touched_init(touched);
	return taken;
}
