/* SPDX-License-Identifier: Apache-2.0 */
/* The story: what happened, in words, for whoever has to understand a violation. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "world.h"

void world_tell(struct world *world, const struct uid *uid, const char *format, ...)
{
	struct sim_story_line *line = &world->story[world->story_count++ % SIM_STORY_MAX];
	struct buf text = {0};
	char part[300];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(part, sizeof(part), format, args);
	va_end(args);
	buf_append_str(&text, part);
	free(line->text);
	line->text = buf_steal(&text);
	line->at_us = world->now_us;
	line->uid = uid ? *uid : (struct uid){0};
}

void world_violate(struct world *world, const struct uid *uid, const char *format, ...)
{
	va_list args;

	if (world->violation[0])
		return; /* the first one is the interesting one */
	va_start(args, format);
	(void)vsnprintf(world->violation, sizeof(world->violation), format, args);
	va_end(args);
	world->violation_uid = uid ? *uid : (struct uid){0};
}
