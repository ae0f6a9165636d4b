/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Archive: what has been written in a large fabric, and who should have it.
 *
 * Records without pods are written, changed and deleted by random machines, and read by others. The
 * archive knows what was acknowledged, and so what a read must find. At the end it looks at all
 * machines: each record is with the K stewards to which it truly falls, a deleted one with nobody.
 */
#pragma once

#include "world.h"

struct archive;

void archive_free(struct archive *archive);

/* params.records are written between @at_ms and @at_ms + @for_ms. */
void archive_write(struct world *world, int64_t at_ms, int64_t for_ms);

/* Instead: they lie on the disks of those to whom they fall, before any machine is started. */
void archive_place(struct world *world);

/* And when all have just been started: their names lie in the index, as if for long. */
void archive_place_index(struct world *world);

/* A disk is given a record, one that it had not (@anew) or a newer version; or is told to forget
 * it. The last copy of what lives must not go, unless all who had it failed within one repair
 * interval: that is counted. */
void archive_kept(struct world *world, const struct record_key *key, bool anew);
void archive_dropped(struct world *world, const struct sim_machine *machine,
		     const struct record_key *key);
/* The machine is off, and comes back without what is on its disk. */
void archive_disk_lost(struct world *world, const struct sim_machine *machine);

/* One in twenty is written again, and one in twenty deleted. */
void archive_change(struct world *world, int64_t at_ms, int64_t for_ms);

/* @count of them are read. @strict: each must be found. */
void archive_read(struct world *world, int64_t at_ms, int64_t for_ms, int64_t count, bool strict);

/* @count of them are looked up by name, and all are listed a few times: each must be right. */
void archive_look(struct world *world, int64_t at_ms, int64_t for_ms, int64_t count);
void archive_refreshed(struct world *world, const struct sim_machine *machine,
		       const struct node_effect *effect);

/* A write or a read of @machine has ended. */
void archive_put_done(struct world *world, const struct sim_machine *machine,
		      const struct node_effect *effect);
void archive_fetched(struct world *world, const struct sim_machine *machine,
		     const struct node_effect *effect);

/* All that must be true when the world is quiet. */
void archive_check(struct world *world);

/* What was measured, as lines of text; nothing if nothing was written. */
void archive_text(struct world *world, struct buf *out);
void archive_json(struct world *world, struct buf *out);
