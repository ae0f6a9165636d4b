/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/http_parser.h"
#include "api/url.h"

#define HEAD "GET / HTTP/1.1\r\nHost: a\r\n"

struct refusal {
	const char *text;
	int outcome;
};

static int parse(const char *text, struct http_request *request, size_t *used)
{
	struct http_parser parser = {0};
	const char *why = NULL;
	int r = http_parse_head(&parser, bytes_str(text), request, used, &why);

	if (r && r != HTTP_E_MORE)
		assert_non_null(why);
	return r;
}

static void test_an_ordinary_request_is_understood(void **state)
{
	static const char text[] =
		"POST /api/v1/namespaces/default/pods?fieldManager=kubectl-create HTTP/1.1\r\n"
		"Host: 10.0.0.1:3000\r\n"
		"User-Agent: kubectl/v1.32.5\r\n"
		"Content-Length: 17\r\n"
		"Accept:application/json  \r\n"
		"\r\n{";
	struct http_request request;
	size_t used = 0;

	(void)state;
	assert_int_equal(parse(text, &request, &used), 0);
	assert_int_equal(used, strlen(text) - 1);
	assert_string_equal(request.method, "POST");
	assert_string_equal(request.path, "/api/v1/namespaces/default/pods");
	assert_string_equal(request.query, "fieldManager=kubectl-create");
	assert_string_equal(http_request_header(&request, "accept"), "application/json");
	assert_string_equal(http_request_header(&request, "user-agent"), "kubectl/v1.32.5");
	assert_null(http_request_header(&request, "authorization"));
	assert_int_equal(request.content_length, 17);
	assert_true(request.keep_alive);
	http_request_deinit(&request);
}

static void test_what_smugglers_send_is_refused(void **state)
{
	static const struct refusal refusals[] = {
		{HEAD "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", HTTP_E_MALFORMED},
		{HEAD "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", HTTP_E_MALFORMED},
		{HEAD "Transfer-Encoding: identity\r\nContent-Length: 5\r\n\r\n", HTTP_E_MALFORMED},
		{HEAD "Transfer-Encoding: gzip\r\n\r\n", HTTP_E_LENGTH_REQUIRED},
		{HEAD "Transfer-Encoding: gzip, chunked\r\n\r\n", HTTP_E_LENGTH_REQUIRED},
		{HEAD "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
		 HTTP_E_LENGTH_REQUIRED},
		{HEAD "Transfer-Encoding: xchunked\r\n\r\n", HTTP_E_LENGTH_REQUIRED},
		{HEAD "Transfer-Encoding : chunked\r\n\r\n", HTTP_E_MALFORMED},
		{HEAD "Transfer-Encoding\t: chunked\r\n\r\n", HTTP_E_MALFORMED},
		{HEAD " Transfer-Encoding: chunked\r\n\r\n", HTTP_E_MALFORMED},
		{HEAD "X: y\r\n folded\r\n\r\n", HTTP_E_MALFORMED},
		{HEAD "X: y\r\n\tfolded\r\n\r\n", HTTP_E_MALFORMED},
		{HEAD "Content-Length: 5\r\nContent-Length: 6\r\n\r\n", HTTP_E_MALFORMED},
		{HEAD "Content-Length: 5\r\nContent-Length: 5\r\n\r\n", HTTP_E_MALFORMED},
		{HEAD "Content-Length: 5, 5\r\n\r\n", HTTP_E_MALFORMED},
		{HEAD "Content-Length: +5\r\n\r\n", HTTP_E_MALFORMED},
		{HEAD "Content-Length: -5\r\n\r\n", HTTP_E_MALFORMED},
		{HEAD "Content-Length: 0x5\r\n\r\n", HTTP_E_MALFORMED},
		{HEAD "Content-Length: 5 5\r\n\r\n", HTTP_E_MALFORMED},
		{HEAD "Content-Length:\r\n\r\n", HTTP_E_MALFORMED},
		{HEAD "Content-Length: 99999999999999999999999\r\n\r\n", HTTP_E_MALFORMED},
		{HEAD "Content-Length: 99000000\r\n\r\n", HTTP_E_BODY_LARGE},
		{"GET / HTTP/1.1\r\n\r\n", HTTP_E_MALFORMED},
		{HEAD "Host: b\r\n\r\n", HTTP_E_MALFORMED},
		{HEAD "Host: a\r\n\r\n", HTTP_E_MALFORMED},
		{"GET / HTTP/1.1\r\nHost:\r\n\r\n", HTTP_E_MALFORMED},
		{"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", HTTP_E_MALFORMED},
		{"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", HTTP_E_MALFORMED},
		{"GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", HTTP_E_MALFORMED},
		{"GET / HTTP/1.1\nHost: a\n\n", HTTP_E_MALFORMED},
		{"GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n", HTTP_E_MALFORMED},
		{"GET / HTTP/1.1\r\nHost: a\rX: y\r\n\r\n", HTTP_E_MALFORMED},
		{"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", HTTP_E_MALFORMED},
		{"GET /  HTTP/1.1\r\nHost: a\r\n\r\n", HTTP_E_MALFORMED},
		{"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", HTTP_E_MALFORMED},
		{" GET / HTTP/1.1\r\nHost: a\r\n\r\n", HTTP_E_MALFORMED},
		{"GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", HTTP_E_MALFORMED},
		{"G@T / HTTP/1.1\r\nHost: a\r\n\r\n", HTTP_E_MALFORMED},
		{"GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n", HTTP_E_MALFORMED},
		{"GET * HTTP/1.1\r\nHost: a\r\n\r\n", HTTP_E_MALFORMED},
		{"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", HTTP_E_MALFORMED},
		{"GET /#x HTTP/1.1\r\nHost: a\r\n\r\n", HTTP_E_MALFORMED},
		{"GET /\x80 HTTP/1.1\r\nHost: a\r\n\r\n", HTTP_E_MALFORMED},
		{"GET / HTTP/1.10\r\nHost: a\r\n\r\n", HTTP_E_MALFORMED},
		{"GET / http/1.1\r\nHost: a\r\n\r\n", HTTP_E_MALFORMED},
		{"GET / HTTP/2.0\r\nHost: a\r\n\r\n", HTTP_E_VERSION},
		{"GET /\r\n\r\n", HTTP_E_MALFORMED},
		{"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", HTTP_E_VERSION},
		{HEAD "X\r\n\r\n", HTTP_E_MALFORMED},
		{HEAD ": y\r\n\r\n", HTTP_E_MALFORMED},
		{HEAD "X(: y\r\n\r\n", HTTP_E_MALFORMED},
		{HEAD "X: a\001b\r\n\r\n", HTTP_E_MALFORMED},
		{HEAD "X: a\177b\r\n\r\n", HTTP_E_MALFORMED},
		{HEAD "Expect: 200-ok\r\n\r\n", HTTP_E_EXPECTATION},
		{"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", HTTP_E_MALFORMED},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
		struct http_request request;
		size_t used;
		int r = parse(refusals[i].text, &request, &used);

		if (r != refusals[i].outcome)
			fail_msg("outcome %d instead of %d for: %s", r, refusals[i].outcome,
				 refusals[i].text);
	}
}

static void test_a_zero_byte_anywhere_is_refused(void **state)
{
	static const char text[] = "GET /a HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n";
	char copy[sizeof(text)];

	(void)state;
	for (size_t i = 0; i + 5 < sizeof(text); i++) {
		struct http_parser parser = {0};
		struct http_request request;
		const char *why;
		size_t used;
		int r;

		memcpy(copy, text, sizeof(text));
		copy[i] = 0;
		r = http_parse_head(&parser, bytes_of(copy, sizeof(text) - 1), &request, &used,
				    &why);
		assert_int_not_equal(r, 0);
		assert_int_not_equal(r, HTTP_E_MORE);
	}
}

static void test_bytes_may_come_one_by_one(void **state)
{
	static const char text[] = "\r\nGET /x HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n";
	struct http_parser parser = {0};
	struct http_request request;
	const char *why;
	size_t used;

	(void)state;
	for (size_t len = 0; len < sizeof(text) - 1; len++)
		assert_int_equal(
			http_parse_head(&parser, bytes_of(text, len), &request, &used, &why),
			HTTP_E_MORE);
	assert_int_equal(
		http_parse_head(&parser, bytes_of(text, sizeof(text) - 1), &request, &used, &why),
		0);
	assert_int_equal(used, sizeof(text) - 1);
	assert_string_equal(request.path, "/x");
	http_request_deinit(&request);
}

static void test_hopeless_beginnings_are_refused_at_once(void **state)
{
	static const char *const hopeless[] = {
		"\x16\x03\x01\x02", "(GET", "GET\r\n", "AVERYLONGMETHODNAME", "GET / HTTP/1.1\nH",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(hopeless); i++) {
		struct http_request request;
		size_t used;

		assert_int_equal(parse(hopeless[i], &request, &used), HTTP_E_MALFORMED);
	}
}

static void test_long_heads_are_refused_before_they_end(void **state)
{
	struct buf text = {0};
	struct http_request request;
	size_t used;

	(void)state;
	buf_append_str(&text, "GET /");
	while (text.len < HTTP_TARGET_MAX + 100)
		buf_append_str(&text, "aaaaaaaaaaaaaaaa");
	assert_int_equal(parse(buf_cstr(&text), &request, &used), HTTP_E_TARGET_LONG);
	buf_append_str(&text, " HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_int_equal(parse(buf_cstr(&text), &request, &used), HTTP_E_TARGET_LONG);

	buf_clear(&text);
	buf_append_str(&text, HEAD "X: ");
	while (text.len < HTTP_HEAD_MAX)
		buf_append_str(&text, "aaaaaaaaaaaaaaaa");
	assert_int_equal(parse(buf_cstr(&text), &request, &used), HTTP_E_HEAD_LARGE);
	buf_append_str(&text, "\r\n\r\n");
	assert_int_equal(parse(buf_cstr(&text), &request, &used), HTTP_E_HEAD_LARGE);

	buf_clear(&text);
	buf_append_str(&text, HEAD);
	for (int i = 0; i < HTTP_HEADERS_MAX; i++)
		buf_append_str(&text, "X: y\r\n");
	buf_append_str(&text, "\r\n");
	assert_int_equal(parse(buf_cstr(&text), &request, &used), HTTP_E_HEAD_LARGE);
	buf_deinit(&text);
}

static void test_the_connection_header_and_the_version_decide_about_keep_alive(void **state)
{
	static const struct {
		const char *text;
		bool keep_alive;
	} cases[] = {
		{HEAD "\r\n", true},
		{HEAD "Connection: close\r\n\r\n", false},
		{HEAD "Connection: x, Close\r\n\r\n", false},
		{HEAD "Connection: closed\r\n\r\n", true},
		{"GET / HTTP/1.0\r\n\r\n", false},
		{"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct http_request request;
		size_t used;

		assert_int_equal(parse(cases[i].text, &request, &used), 0);
		assert_int_equal(request.keep_alive, cases[i].keep_alive);
		http_request_deinit(&request);
	}
}

static void test_pipelined_requests_are_taken_one_at_a_time(void **state)
{
	static const char text[] = "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: "
				   "a\r\n\r\n";
	struct http_parser parser = {0};
	struct http_request request;
	struct bytes rest = bytes_str(text);
	const char *why;
	size_t used;

	(void)state;
	for (int i = 1; i <= 2; i++) {
		assert_int_equal(http_parse_head(&parser, rest, &request, &used, &why), 0);
		assert_int_equal(request.path[1], '0' + i);
		http_request_deinit(&request);
		rest = bytes_of(rest.ptr + used, rest.len - used);
	}
	assert_int_equal(rest.len, 0);
}

static void test_a_url_is_decoded_segment_by_segment(void **state)
{
	struct url url;

	(void)state;
	assert_int_equal(
		url_parse("/api/a%2Fb/c/", "labelSelector=app%3Dweb,x+y&watch&z=1&y=True", &url),
		0);
	assert_int_equal(url.segment_count, 3);
	assert_string_equal(url.segments[1], "a/b");
	assert_string_equal(url_param(&url, "labelSelector"), "app=web,x y");
	assert_string_equal(url_param(&url, "watch"), "");
	assert_true(url_flag(&url, "z"));
	assert_true(url_flag(&url, "y"));
	assert_false(url_flag(&url, "watch"));
	assert_null(url_param(&url, "nothing"));
	url_deinit(&url);
}

static void test_odd_urls_are_refused(void **state)
{
	static const char *const odd[] = {
		"/a//b", "/../etc", "/a/./b", "/%2e%2e/x", "/a%00",
		"/a%0a", "/%",      "/%4",    "/%zz",      "a",
	};
	static const char *const odd_queries[] = {"a=%", "a=%00", "%1f=1"};
	struct buf long_path = {0};
	struct url url;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(odd); i++)
		assert_int_equal(url_parse(odd[i], "", &url), URL_E_MALFORMED);
	for (size_t i = 0; i < ARRAY_LEN(odd_queries); i++)
		assert_int_equal(url_parse("/", odd_queries[i], &url), URL_E_MALFORMED);
	for (int i = 0; i <= URL_SEGMENTS_MAX; i++)
		buf_append_str(&long_path, "/x");
	assert_int_equal(url_parse(buf_cstr(&long_path), "", &url), URL_E_TOO_LONG);
	buf_deinit(&long_path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_ordinary_request_is_understood),
		cmocka_unit_test(test_what_smugglers_send_is_refused),
		cmocka_unit_test(test_a_zero_byte_anywhere_is_refused),
		cmocka_unit_test(test_bytes_may_come_one_by_one),
		cmocka_unit_test(test_hopeless_beginnings_are_refused_at_once),
		cmocka_unit_test(test_long_heads_are_refused_before_they_end),
		cmocka_unit_test(
			test_the_connection_header_and_the_version_decide_about_keep_alive),
		cmocka_unit_test(test_pipelined_requests_are_taken_one_at_a_time),
		cmocka_unit_test(test_a_url_is_decoded_segment_by_segment),
		cmocka_unit_test(test_odd_urls_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
