/*
 * soql_run.h - a running statement, between soql_run.c, soql_render.c and soql_explain.c.
 */
#ifndef SANDBOX_SOQL_RUN_H
#define SANDBOX_SOQL_RUN_H

#include <sqlite3.h>
#include "soql_ast.h"

struct SoqlCursor
{
	Ctx cx; /* owns the tree, which lives as long as the cursor */
	char *text;
	SoqlOptions opt;
	char version[16];
	Query *q;
	int64_t total;
	int64_t *rowids; /* of plain queries */
	Buf rows;		 /* of aggregate queries: the records, rendered */
	size_t *ends;	 /* where each of them ends */
	int child_batch; /* soql_page_children() */
	SoqlChildHook child_hook;
	void *child_arg;
	bool paged_children;
};

/* Text to checked tree: false with the error filled. */
bool statement_prepare(Ctx *cx, Query **q);
sqlite3_stmt *statement_compile(Ctx *cx, const char *sql);
/* Steps; fails the statement where SQLite does. */
bool statement_step(Ctx *cx, sqlite3_stmt *st);
void render_prepare(Ctx *cx, Query *q);
/* A cursor over the rows of the parent's out-th column, a child subquery; it takes the rowids. */
SoqlCursor *open_child(const SoqlCursor *parent, int out, int64_t *rowids, int64_t n);
void render_value(Buf *b, OutKind kind, sqlite3_stmt *st, int column);

#endif
