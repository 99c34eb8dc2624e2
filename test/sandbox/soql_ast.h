/*
 * soql_ast.h - what a SOQL statement becomes on its way to SQLite: tokens, tree, joins.
 *
 * Internal to soql_*.c.  Owns: the shape of the tree and the memory it lives in (one arena a
 * statement). Must not know: HTTP.  Only soql_run.c, soql_render.c, soql_func.c and soql_explain.c
 * know SQLite.
 */
#ifndef SANDBOX_SOQL_AST_H
#define SANDBOX_SOQL_AST_H

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include "buf.h"
#include "schema.h"
#include "soql.h"

#define SOQL_MAX_TEXT 100000 /* characters of a statement */
#define SOQL_MAX_STRING 4000 /* characters of one literal in WHERE */
#define SOQL_MAX_OFFSET 2000
#define SOQL_MAX_GROUPS 2000
#define SOQL_MAX_DEPTH 200 /* nesting of parentheses: protects the stack, no rule of Salesforce's  \
							*/
#define SOQL_MAX_LEVELS 5  /* of a parent path */
#define SOQL_MAX_PARENTS 55
#define SOQL_MAX_CHILDREN 20
#define SOQL_MAX_SEMIJOINS 2
#define SOQL_MAX_FIELDS_LIMIT 200
#define SOQL_MAX_ORDER 32

/* ---- memory and errors ---- */

typedef struct ArenaChunk ArenaChunk;

typedef struct Slice
{
	const char *p;
	size_t n;
} Slice;

typedef enum TokenKind
{
	TK_EOF,
	TK_NAME,
	TK_STRING, /* with its quotes, escapes not yet decoded */
	TK_INT,
	TK_DECIMAL,
	TK_DATE,
	TK_DATETIME,
	TK_TIME,
	TK_PUNCT /* ( ) , . : + - = != <> < <= > >= */
} TokenKind;

typedef struct Token
{
	TokenKind kind;
	int pos, len;
} Token;

/* One statement being worked on.  soql_fail() jumps to env; all its memory is the arena's. */
typedef struct Ctx
{
	const char *text;
	int len;
	const SoqlOptions *opt;
	SoqlError *err;
	jmp_buf env;
	ArenaChunk *arena;
	Token *tokens;
	int n_tokens, at; /* the parser's position */
	int depth;
	int n_aliases; /* numbers the SQL aliases of all joins of the statement */
	int n_semijoins;
	struct Query
		*rolled; /* while an arm of ROLLUP or CUBE is written: fields not in the mask are NULL */
	unsigned rolled_mask;
} Ctx;

void ctx_init(Ctx *cx, const char *text, size_t len, const SoqlOptions *opt, SoqlError *err);
void ctx_free(Ctx *cx);
void *ctx_alloc(Ctx *cx, size_t n); /* zeroed, lives as long as the context */
char *ctx_printf(Ctx *cx, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
char *ctx_strndup(Ctx *cx, const char *s, size_t n);
/* pos >= 0: the message gets the excerpt with the ^ marker in front.  Does not return. */
void soql_fail(Ctx *cx, const char *code, int pos, const char *fmt, ...)
	__attribute__((format(printf, 4, 5), noreturn));
/* Grows an arena vector by one and returns its new, zeroed element. */
void *vec_push(Ctx *cx, void *vec, size_t item);

#define VEC(T)                                                                                     \
	struct                                                                                         \
	{                                                                                              \
		T *v;                                                                                      \
		int n, cap;                                                                                \
	}
#define PUSH(cx, vec) ((__typeof__((vec).v)) vec_push((cx), &(vec), sizeof(*(vec).v)))

static inline bool
slice_is(Slice s, const char *word)
{
	return s.n == strlen(word) && strncasecmp(s.p, word, s.n) == 0;
}

/* ---- the tree ---- */

typedef enum Func
{
	FN_NONE,
	FN_AVG,
	FN_COUNT,
	FN_COUNT_DISTINCT,
	FN_MIN,
	FN_MAX,
	FN_SUM, /* the aggregates end here */
	FN_GROUPING,
	FN_CALENDAR_MONTH,
	FN_CALENDAR_QUARTER,
	FN_CALENDAR_YEAR,
	FN_DAY_IN_MONTH,
	FN_DAY_IN_WEEK,
	FN_DAY_IN_YEAR,
	FN_DAY_ONLY,
	FN_FISCAL_MONTH,
	FN_FISCAL_QUARTER,
	FN_FISCAL_YEAR,
	FN_HOUR_IN_DAY,
	FN_WEEK_IN_MONTH,
	FN_WEEK_IN_YEAR, /* the date functions end here */
	FN_CONVERT_TIMEZONE,
	FN_TOLABEL,
	FN_FORMAT,
	FN_CONVERT_CURRENCY,
	FN_DISTANCE
} Func;

#define FN_IS_AGGREGATE(f) ((f) >= FN_AVG && (f) <= FN_SUM)
#define FN_IS_DATE(f) ((f) >= FN_CALENDAR_MONTH && (f) <= FN_WEEK_IN_YEAR)

struct Join;
struct Query;

/* A field, perhaps by a path of parents, or a function of one. */
typedef struct Expr
{
	Func fn; /* FN_NONE: a path */
	int pos;
	struct Expr *arg; /* NULL for COUNT() */
	VEC(Slice) path;
	double latitude, longitude; /* DISTANCE */
	bool miles;
	/* set by the check */
	struct Join *join;
	const Field *field; /* of the innermost path */
	FieldType type;		/* of the value */
} Expr;

typedef enum LiteralKind
{
	LIT_NULL,
	LIT_BOOL,
	LIT_NUMBER,
	LIT_STRING,
	LIT_DATE,
	LIT_DATETIME,
	LIT_TIME,
	LIT_RANGE,	 /* TODAY, LAST_N_DAYS:5 ... */
	LIT_CURRENCY /* USD5000 */
} LiteralKind;

typedef struct Literal
{
	LiteralKind kind;
	int pos;
	bool is_true;
	bool is_int;
	Slice text; /* as written; for strings decoded, for LIKE with \ before what is literal */
	bool negative;
	int formula; /* LIT_RANGE: index of the date literal */
	long n;
	/* set by the check: the value as SQL; a range is lo <= x < hi */
	const char *sql, *hi;
} Literal;

typedef enum Op
{
	OP_EQ,
	OP_NE,
	OP_LT,
	OP_LE,
	OP_GT,
	OP_GE,
	OP_LIKE,
	OP_IN,
	OP_NOT_IN,
	OP_INCLUDES,
	OP_EXCLUDES
} Op;

typedef enum CondKind
{
	COND_AND,
	COND_OR,
	COND_NOT,
	COND_COMPARE,
	COND_SEMIJOIN
} CondKind;

typedef struct Cond
{
	CondKind kind;
	int pos;
	VEC(struct Cond *) args; /* AND, OR, NOT */
	Expr *left;
	Op op;
	VEC(Literal) values;
	struct Query *sub;
} Cond;

typedef struct TypeofBranch
{
	Slice type; /* empty for ELSE */
	int pos;
	VEC(Expr *) fields;
	struct Join *join; /* set by the check; NULL where the object does not exist here */
} TypeofBranch;

typedef enum ItemKind
{
	ITEM_EXPR,
	ITEM_FIELDS,
	ITEM_SUBQUERY,
	ITEM_TYPEOF
} ItemKind;

typedef struct Item
{
	ItemKind kind;
	int pos;
	Expr *expr;
	Slice alias; /* p NULL: none */
	Slice word;	 /* FIELDS: ALL, STANDARD, CUSTOM; TYPEOF: the relationship */
	struct Query *sub;
	VEC(TypeofBranch) branches;
	const char *key; /* set by the check: the JSON key */
} Item;

typedef struct Order
{
	Expr *expr;
	bool desc, nulls_given, nulls_first;
} Order;

typedef struct FromAlias
{
	VEC(Slice) path;
	int pos;
	Slice alias;
} FromAlias;

typedef enum GroupKind
{
	GROUP_PLAIN,
	GROUP_ROLLUP,
	GROUP_CUBE
} GroupKind;

/* A row source of the SQL: the object of FROM, or a parent reached by a lookup (outer join). */
typedef struct Join
{
	int number;			  /* its alias is t<number>; a target of a polymorphic one t<number>_<i> */
	struct Join *parent;  /* NULL: the object of FROM */
	const Field *via;	  /* the lookup, in the parent */
	const Object *object; /* the Name pseudo-object for a polymorphic lookup */
	bool polymorphic;
	const Object **targets; /* where polymorphic */
	int n_targets;
	bool typeof_branch;
	bool in_where, in_select; /* which of the two statements need it */
} Join;

/* What a record shows, in order: the tree that the renderer walks. */
typedef enum OutKind
{
	OUT_TEXT,  /* escaped as JSON */
	OUT_PLAIN, /* text that needs no escaping: Ids, dates */
	OUT_INT,
	OUT_DOUBLE,
	OUT_BOOL,
	OUT_ANY,
	OUT_BASE64,
	OUT_COMPOUND,
	OUT_PARENT,
	OUT_TYPEOF,
	OUT_CHILD
} OutKind;

typedef struct OutVec
{
	struct Out *v;
	int n, cap;
} OutVec;

typedef struct Out
{
	OutKind kind;
	const char *key; /* as in the answer */
	char *lead;		 /* ,"key": */
	size_t lead_len;
	Expr *expr;
	const Object *object; /* OUT_BASE64, OUT_PARENT: whose row */
	const Field *field;
	Join *join;
	int column;	   /* of the render statement */
	int id_column; /* OUT_BASE64, OUT_CHILD, and where the row's own Id is needed */
	struct Query *sub;
	OutVec parts;	 /* OUT_COMPOUND, OUT_PARENT */
	OutVec branches; /* OUT_TYPEOF: OUT_PARENTs, the last for any other type */
} Out;

typedef struct Query
{
	struct Query *outer;
	VEC(Item) items;
	bool count_star;
	FromAlias from;
	VEC(FromAlias) from_more;
	Slice scope;
	int scope_pos;
	Cond *where;
	int category_pos; /* WITH DATA CATEGORY: its place, else -1 */
	bool grouped;
	GroupKind group_kind;
	VEC(Expr *) group;
	Cond *having;
	VEC(Order) order;
	bool has_limit, has_offset;
	int64_t limit, offset;
	int limit_pos, offset_pos;
	/* set by the check */
	const Object *object;
	const Field *child_field; /* child subquery: the lookup to the outer object */
	VEC(Join *) joins;
	bool aggregate;
	bool has_children;
	bool semijoin; /* is the inner query of one */
	int long_text;
	OutVec outs;
	const char *sql_rows;	/* child subquery: rowids for ?1 = the parent's Id */
	const char *sql_render; /* rows of the rowids ?1 .. ?2 */
	struct sqlite3_stmt *rows_stmt, *render_stmt; /* while a page is made */
	const char *prefix;							  /* {"attributes":{..."url":".../ */
	size_t prefix_len;
} Query;

/* ---- the steps ---- */

/* soql_lex.c */
void lex_statement(Ctx *cx);
Slice lex_decode(Ctx *cx, const Token *t, bool like);

/* soql_parse.c */
Query *parse_statement(Ctx *cx);

/* soql_date.c */
int date_formula(Slice word, bool *takes_n); /* -1: not a date literal */
/* yyyy-mm-dd, both ends */
void date_formula_range(int formula, long n, long today, char lo[11], char hi[11]);
long date_today(void);
/* The stored form of a literal; false if it is no date, or outside of 1700 .. 4000. */
bool date_literal(Slice s, char out[11]);
bool datetime_literal(Slice s, char out[29]);
bool time_literal(Slice s, char out[14]);

/* soql_bind.c */
void bind_expr(Ctx *cx, Query *q, Expr *e);
void bind_from(Ctx *cx, Query *q);
Join *bind_parent(Ctx *cx, Query *q, Join *from, const Field *via, const Object *target);
void join_in_where(Join *j); /* and its parents */
const Field *relationship_of(const Object *o, Slice name);
bool type_is_text(FieldType t);
bool type_is_number(FieldType t);
bool type_is_id(FieldType t);
const char *expr_name(Ctx *cx, const Expr *e);

/* soql_check.c */
void check_statement(Ctx *cx, Query *q);
bool expr_same(const Expr *a, const Expr *b);
/* soql_where.c */
void check_where(Ctx *cx, Query *q);
void check_having(Ctx *cx, Query *q);
/* soql_select.c */
void check_select(Ctx *cx, Query *q);
const char *path_name(Ctx *cx, const Expr *e, const Join *base);
bool is_grouped(const Query *q, const Expr *e);

/* soql_sql.c: statements as arena strings */
const char *sql_rowids(Ctx *cx, Query *q);
const char *sql_count(Ctx *cx, Query *q);
const char *sql_aggregate(Ctx *cx, Query *q);
void sql_render(Ctx *cx, Query *q); /* fills q->sql_render and the columns of the Outs */
/* soql_expr.c: pieces of it */
void sql_expr(Ctx *cx, Buf *b, const Expr *e);
void sql_from(Ctx *cx, Buf *b, const Query *q, bool for_select);
void sql_cond(Ctx *cx, Buf *b, Query *q, Cond *c);
void sql_ident(Buf *b, const char *name);
void sql_string(Buf *b, const char *s, size_t n);
void sql_collation(Buf *b,
				   const Expr *e); /* COLLATE SFCI where the expression has lost its column's */
void sql_distinct(const Ctx *cx, Buf *b, const Expr *e);
void sql_column(Buf *b, const Join *j, const Field *f);
void sql_where(Ctx *cx, Buf *b, Query *q);

/* soql_func.c */
struct sqlite3;
void func_register(struct sqlite3 *db);
int func_picklist_rank(const Field *f, const char *value, size_t n);

#endif
