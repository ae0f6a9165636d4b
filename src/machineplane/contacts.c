/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Contacts: where other members were last seen, in D/fabric/contacts, one "<id>@<ip>:<port>" a
 * line.
 *
 * After a power cut of everything nobody is there to be told of the others: each machine dials
 * whom it remembers.
 */
#include "machineplane/fabric.h"

#include <string.h>

#include "io/clock.h"
#include "io/file.h"

enum {
	CONTACTS_WAIT_MS = 1000, /* between writes: who comes within this time costs one together */
	CONTACTS_FILE_MAX = CONTACTS_MAX * ADDR_PEER_TEXT_MAX,
};

static void contacts_path(const struct fabric *fabric, struct buf *out)
{
	buf_append_format(out, "%s/%s/contacts", fabric->settings.options.state_dir,
			  CREDENTIALS_DIR);
}

size_t contacts_read(const struct fabric *fabric, struct addr_peer ret[CONTACTS_MAX])
{
	struct buf path = {0}, content = {0};
	size_t count = 0;
	char *rest, *line;

	contacts_path(fabric, &path);
	if (file_read(buf_cstr(&path), CONTACTS_FILE_MAX, &content) == 0) {
		(void)buf_cstr(&content);
		rest = (char *)content.ptr;
		while (count < CONTACTS_MAX && (line = strsep(&rest, "\n")) != NULL)
			count += addr_peer_parse(line, &ret[count]);
	}
	buf_deinit(&content);
	buf_deinit(&path);
	return count;
}

void contacts_dial(struct fabric *fabric)
{
	struct addr_peer contacts[CONTACTS_MAX];
	size_t count = contacts_read(fabric, contacts);

	for (size_t i = 0; i < count; i++)
		node_bootstrap(fabric->node, clock_mono(), &contacts[i].addr);
}

void contacts_changed(struct fabric *fabric)
{
	if (fabric->contacts_pending)
		return;
	fabric->contacts_pending = true;
	/* The first is written at once: a machine may lose its power as soon as it has joined. */
	loop_timer_set(fabric->contacts_timer,
		       fabric->contacts_saved.us
			       ? mono_add_ms(fabric->contacts_saved, CONTACTS_WAIT_MS)
			       : clock_mono());
}

void contacts_save(void *user)
{
	struct fabric *fabric = user;
	struct buf path = {0}, content = {0};
	struct overlay_peer peer;
	size_t position = 0;
	int result;

	fabric->contacts_pending = false;
	fabric->contacts_saved = clock_mono();
	while (content.len + ADDR_PEER_TEXT_MAX <= CONTACTS_FILE_MAX &&
	       overlay_next_peer(node_overlay(fabric->node), &position, &peer)) {
		struct addr_peer contact = {.id = peer.member->id, .addr = peer.member->addr};

		if (peer.state != MEMBER_LEFT && !addr_is_none(&contact.addr))
			buf_append_format(&content, "%s\n", addr_peer_text(&contact).text);
	}
	contacts_path(fabric, &path);
	result = content.len ? file_write(buf_cstr(&path), bytes_buf(&content), 0600) : 0;
	if (result)
		log_event(LOG_LEVEL_WARN, "contacts-not-written", "%s: %s", buf_cstr(&path),
			  strerror(-result));
	buf_deinit(&content);
	buf_deinit(&path);
}
