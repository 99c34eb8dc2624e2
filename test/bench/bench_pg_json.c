/*
 * bench_pg_json.c - PostgreSQL's JSON parser for bench_decode.c: the fields of the records as they come.
 */
#include "postgres_fe.h"

#include "common/jsonapi.h"
#include "mb/pg_wchar.h"

extern int parse_with_pg(const char *page, size_t len, size_t *rows, size_t *values);

typedef struct Counts
{
	int depth; /* of objects */
	size_t rows, values;
} Counts;

#if PG_VERSION_NUM >= 160000
typedef JsonParseErrorType Done;
#define DONE return JSON_SUCCESS
#else
typedef void Done;
#define DONE return
#endif

static Done
on_object(void *arg)
{
	Counts *c = arg;

	if (++c->depth == 2)
		c->rows++;
	DONE;
}

static Done
on_object_end(void *arg)
{
	((Counts *) arg)->depth--;
	DONE;
}

static Done
on_scalar(void *arg, char *token, JsonTokenType type)
{
	Counts *c = arg;

	/* in a record, and not in its attributes */
	if (c->depth == 2 && type != JSON_TOKEN_NULL)
		c->values++;
	free(token);
	DONE;
}

int
parse_with_pg(const char *page, size_t len, size_t *rows, size_t *values)
{
	Counts counts = {0, 0, 0};
	JsonSemAction sem = {0};
	bool ok;
	JsonLexContext *lex;

	sem.semstate = &counts;
	sem.object_start = on_object;
	sem.object_end = on_object_end;
	sem.scalar = on_scalar;
#if PG_VERSION_NUM >= 170000
	lex = makeJsonLexContextCstringLen(NULL, page, len, PG_UTF8, true);
#else
	lex = makeJsonLexContextCstringLen((char *) page, (int) len, PG_UTF8, true);
#endif
	ok = pg_parse_json(lex, &sem) == JSON_SUCCESS;
#if PG_VERSION_NUM >= 170000
	freeJsonLexContext(lex);
#endif
	*rows += counts.rows;
	*values += counts.values;
	return ok;
}
