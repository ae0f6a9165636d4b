/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

_printf_(4, 0) static void err_fill(struct err *err, int code, uint16_t status, const char *format,
				    va_list args)
{
	err->code = code;
	err->status = status;
	(void)vsnprintf(err->text, sizeof(err->text), format, args);
}

int err_set(struct err *err, int code, const char *format, ...)
{
	va_list args;

	if (err) {
		va_start(args, format);
		err_fill(err, code, 0, format, args);
		va_end(args);
	}
	return code;
}

int err_set_status(struct err *err, int code, uint16_t status, const char *format, ...)
{
	va_list args;

	if (err) {
		va_start(args, format);
		err_fill(err, code, status, format, args);
		va_end(args);
	}
	return code;
}

int err_prefix(struct err *err, const char *format, ...)
{
	char old[ERR_TEXT_MAX];
	va_list args;
	size_t len;

	if (!err)
		return -EIO;
	memcpy(old, err->text, sizeof(old));
	va_start(args, format);
	(void)vsnprintf(err->text, sizeof(err->text), format, args);
	va_end(args);
	len = strlen(err->text);
	(void)snprintf(err->text + len, sizeof(err->text) - len, ": %s", old);
	return err->code;
}
