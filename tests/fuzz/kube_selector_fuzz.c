/* SPDX-License-Identifier: Apache-2.0 */
/* Selectors as query strings: whatever parses has bounded terms and can be matched. */
#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"
#include "kube/selector.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char *text = mem_copy(data, len);
	json_t *object =
		json_pack("{s:{s:s,s:{s:s}}}", "metadata", "name", "web", "labels", "app", "web");
	struct kube_selector selector;
	struct err err;

	assert(object);
	if (kube_label_selector_parse(text, &selector, &err) == 0) {
		assert(selector.term_count <= KUBE_SELECTOR_TERMS_MAX);
		(void)kube_label_selector_matches(&selector, object);
		kube_selector_deinit(&selector);
	}
	if (kube_field_selector_parse(text, kube_resource(KUBE_PODS), &selector, &err) == 0) {
		(void)kube_field_selector_matches(&selector, object);
		(void)kube_field_selector_name(&selector);
		kube_selector_deinit(&selector);
	}
	json_decref(object);
	free(text);
	return 0;
}
