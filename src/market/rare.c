/* SPDX-License-Identifier: Apache-2.0 */
#include "market/rare.h"

#include <string.h>

#include "base/mem.h"

/* What the well-known labels name is shared by most machines or by none (hostname); a set of half
 * the fabric finds nobody faster than a random sample, and burdens its keepers. */
static bool is_rare_label(const char *key)
{
	static const char *const common[] = {
		"kubernetes.io/",           "beta.kubernetes.io/",
		"topology.kubernetes.io/",  "failure-domain.beta.kubernetes.io/",
		"node-role.kubernetes.io/",
	};

	for (size_t i = 0; i < ARRAY_LEN(common); i++)
		if (strncmp(key, common[i], strlen(common[i])) == 0)
			return false;
	return true;
}

static bool is_rare_architecture(const char *architecture)
{
	return architecture && *architecture && strcmp(architecture, "amd64") != 0;
}

static bool is_rare_engine(const char *engine)
{
	return engine && *engine && strcmp(engine, "crun") != 0;
}

static char *text_of(const char *kind, const char *name, const char *value)
{
	struct buf text = {0};

	buf_append_format(&text, "%s %s", kind, name);
	if (value)
		buf_append_format(&text, "=%s", value);
	return buf_steal(&text);
}

size_t rare_texts(const struct market_machine *machine, char **ret_texts)
{
	size_t count = 0;

	for (size_t i = 0; i < machine->resource_count && count < RARE_TEXTS_MAX; i++)
		if (machine->resources[i].count > 0)
			ret_texts[count++] = text_of("resource", machine->resources[i].name, NULL);

	for (size_t i = 0; i < machine->label_count && count < RARE_TEXTS_MAX; i++)
		if (is_rare_label(machine->labels[i].key))
			ret_texts[count++] =
				text_of("label", machine->labels[i].key, machine->labels[i].value);
	if (count < RARE_TEXTS_MAX && is_rare_architecture(machine->architecture))
		ret_texts[count++] = text_of("arch", machine->architecture, NULL);
	for (size_t i = 0; i < machine->engine_count && count < RARE_TEXTS_MAX; i++)
		if (is_rare_engine(machine->engines[i]))
			ret_texts[count++] = text_of("engine", machine->engines[i], NULL);
	return count;
}

/* "One of these machines", as a label that must have one value. */
static const struct label_term *rare_selected(const struct term_sets *selector)
{
	if (selector->count != 1)
		return NULL;
	for (size_t i = 0; i < selector->list[0].term_count; i++) {
		const struct label_term *term = &selector->list[0].terms[i];

		if (term->operator== TERM_IN && term->value_count == 1 && is_rare_label(term->key))
			return term;
	}
	return NULL;
}

char *rare_term(const struct requirements *needs)
{
	const struct label_term *selected = rare_selected(&needs->selector);

	if (needs->resource_count > 0)
		return text_of("resource", needs->resources[0].name, NULL);
	for (size_t i = 0; i < needs->label_count; i++)
		if (is_rare_label(needs->labels[i].key))
			return text_of("label", needs->labels[i].key, needs->labels[i].value);
	if (selected)
		return text_of("label", selected->key, selected->values[0]);
	if (is_rare_architecture(needs->architecture))
		return text_of("arch", needs->architecture, NULL);
	if (is_rare_engine(needs->engine))
		return text_of("engine", needs->engine, NULL);
	return NULL;
}
