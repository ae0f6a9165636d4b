/* SPDX-License-Identifier: Apache-2.0 */
/* The lines that machines send each other about streams of pods. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "machineplane/fabric.h"
#include "runtime/exec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* What was understood says the same when it is said again. */
static void check_again(const struct stream_question *question)
{
	const struct api_stream_request *request = &question->request;
	struct stream_question again;
	struct buf line = {0};

	assert(request->command_count <= EXEC_WORDS_MAX && request->container && request->user);
	stream_question_write(request, bytes_buf(&question->envelope), &line);
	assert(stream_question_parse(bytes_buf(&line), &again));
	assert(again.request.kind == request->kind && again.request.port == request->port &&
	       again.request.command_count == request->command_count &&
	       bytes_equal(bytes_buf(&again.envelope), bytes_buf(&question->envelope)));
	stream_question_deinit(&again);
	buf_deinit(&line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct stream_answer answer = stream_answer_parse(bytes_of(data, len));
	struct stream_question question;

	assert(answer.status == 200 || (answer.status >= 400 && answer.status < 600));
	assert(memchr(answer.error, 0, sizeof(answer.error)));
	if (stream_question_parse(bytes_of(data, len), &question)) {
		check_again(&question);
		stream_question_deinit(&question);
	}
	return 0;
}
