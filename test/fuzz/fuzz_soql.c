/*
 * fuzz_soql.c - the sandbox's SOQL lexer and parser against any bytes.
 *
 * Built and run by the Makefile here (soql.mk); seeds are in corpus/soql.
 */
#include <stdlib.h>
#include "soql_ast.h"
#include "store.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The only thing that the parser's files want of the store: a clock. */
time_t
store_now(void)
{
	return 1718454896;
}

static void
parse(Ctx *cx)
{
	if (setjmp(cx->env) != 0)
		return;
	lex_statement(cx);
	parse_statement(cx);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const SoqlOptions opt = {.version = "62.0"};
	SoqlError e = {{0}, NULL};
	Ctx cx;
	char *text = malloc(size + 1);

	if (text == NULL)
		abort();
	/* no terminator within reach: reading past the end is a fault that the sanitizer sees */
	memcpy(text, data, size);
	text = realloc(text, size ? size : 1);
	ctx_init(&cx, text, size, &opt, &e);
	parse(&cx);
	ctx_free(&cx);
	soql_error_free(&e);
	free(text);
	return 0;
}
