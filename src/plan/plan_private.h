/*
 * plan_private.h - what planning leaves for execution: the layout of fdw_private, and the tree of
 * conditions that is printed as SOQL once parameters have their values.
 *
 * The only header of this floor that the executor includes.
 */
#ifndef AMPSF_PLAN_PRIVATE_H
#define AMPSF_PLAN_PRIVATE_H

#include "postgres.h"
#include "foreign/fdwapi.h"
#include "lib/stringinfo.h"
#include "nodes/pathnodes.h"
#include "nodes/pg_list.h"

/* Positions in ForeignScan.fdw_private; every member can be copied. */
typedef enum AmpsfScanPrivate
{
	AMPSF_SCAN_RELID,	/* Integer: Oid of the foreign table whose object is queried */
	AMPSF_SCAN_OBJECT,	/* String: API name */
	AMPSF_SCAN_FIELDS,	/* List of String: the field list of the statement, each field once */
	AMPSF_SCAN_KEYS,	/* List of String: the key of each in a record: its alias, or itself */
	AMPSF_SCAN_SLOTS,	/* IntList: the columns of the slot that are filled, from 1 */
	AMPSF_SCAN_SOURCES, /* IntList: for each of them the index of its field */
	AMPSF_SCAN_TABLES,	/* OidList: for each of them the table it is from: the object's, or a
						   parent's */
	AMPSF_SCAN_ATTNUMS, /* IntList: and the table's column that it is converted as; 0: a count;
						   below: a sum */
	AMPSF_SCAN_QUALS,	/* List of condition trees, to be ANDed */
	AMPSF_SCAN_CLASSES, /* IntList: AmpsfPushClass of each of plan.qual, in order */
	AMPSF_SCAN_REASONS, /* List of String: why it is not pushed exactly; "" if there is nothing to
						   say */
	AMPSF_SCAN_LIMIT,	/* Integer: rows that can be needed at most, as a hint; -1: unknown */
	AMPSF_SCAN_ORDER,	/* String: ORDER BY's list; "" if there is none */
	AMPSF_SCAN_BOUNDS,	/* List of two operands or NULLs: LIMIT and OFFSET; NIL if they are not
						   pushed */
	AMPSF_SCAN_JOINS,	/* List of pairs, for EXPLAIN: JoinType, the clause that joins; as
						   AMPSF_SCAN_EXACT */
	AMPSF_SCAN_EXACT,	/* List of the clauses that are only sent, for EXPLAIN: with the planner's
						   numbers ... */
	AMPSF_SCAN_RTI,		/* Integer: ... of which this is the smallest of the relations scanned */
	AMPSF_SCAN_ROWS,	/* Float: rows expected of Salesforce, before clauses are checked here */
	AMPSF_SCAN_GROUPS,	/* List, see AmpsfGroupsPrivate; NIL if the statement does not group */
	AMPSF_SCAN_LENGTH	/* and behind it what plan_direct.c appends */
} AmpsfScanPrivate;

/*
 * Positions in AMPSF_SCAN_GROUPS.  Salesforce gives 2,000 groups and no more, and a statement that
 * asks for as many tells by a full answer that there may be others.  Then, if one of the keys can
 * be paged by, groups are asked for from the last key on; if that fails too, the plan below the
 * scan groups the rows.
 */
typedef enum AmpsfGroupsPrivate
{
	AMPSF_GROUPS_BY,	 /* String: GROUP BY's list */
	AMPSF_GROUPS_HAVING, /* List of condition trees, to be ANDed; all are checked again here */
	AMPSF_GROUPS_FEW,	 /* Integer: are there at most AMPSF_SURE_GROUPS, or does LIMIT say so? */
	AMPSF_GROUPS_KEY,	 /* Integer: index of the field by which to page, and to sort; -1: none */
	AMPSF_GROUPS_NAME,	 /* String: its name in conditions */
	AMPSF_GROUPS_CLASS,	 /* Integer: its AmpsfFieldClass */
	AMPSF_GROUPS_COUNT,	 /* Integer: the index of a COUNT(Id) that proves pages complete; -1: needs
							no proof */
	AMPSF_GROUPS_LENGTH
} AmpsfGroupsPrivate;

#define AMPSF_MAX_GROUPS 2000
/* The smallest page that Salesforce makes: so many groups always fit into one. */
#define AMPSF_SURE_GROUPS 200

/* The entry in AMPSF_SCAN_ATTNUMS for a sum or an average of that type. */
#define AMPSF_ATTNUM_OF_SUM(typid) (-(int) (typid))

/* May Salesforce evaluate a clause, and can its answer be trusted? */
typedef enum AmpsfPushClass
{
	AMPSF_LOCAL,	/* not sent */
	AMPSF_SUPERSET, /* sent, and checked again: Salesforce returns every row that SQL wants, and
					   maybe more */
	AMPSF_EXACT		/* sent, and trusted */
} AmpsfPushClass;

extern const char *ampsf_push_class_name(AmpsfPushClass c);

/* What SOQL takes a field for; decided by the column options "type" and "case_sensitive". */
typedef enum AmpsfFieldClass
{
	AMPSF_CLASS_NONE, /* nothing can be pushed but what does not look at the value */
	AMPSF_CLASS_TEXT, /* compared without case */
	AMPSF_CLASS_TEXT_CS,
	AMPSF_CLASS_ID,
	AMPSF_CLASS_BOOLEAN,
	AMPSF_CLASS_NUMBER,
	AMPSF_CLASS_DATE,
	AMPSF_CLASS_DATETIME,
	AMPSF_CLASS_MULTI,		/* a multi-select list as an array */
	AMPSF_CLASS_MULTI_TEXT, /* as one text */
	AMPSF_CLASS_WHOLE,		/* a NUMBER without fraction, where its value is printed */
	AMPSF_N_CLASSES
} AmpsfFieldClass;

extern const char *ampsf_field_class_name(AmpsfFieldClass c);

/*
 * A condition tree is a List that begins with an Integer, its kind:
 *   AND, OR     then the children
 *   COMPARE     Integer (index into ampsf_operators), String (field), operand, and an Integer if
 * the field takes whole numbers only NULL_TEST   Integer (1: is null, 0: is not null), String
 * (field) BOOLEAN     Integer (1: true, 0: false), String (field) SEMI        Integer (1: not in),
 * String (field), String (object), String (its field), List of trees RANGE       Integer
 * (AmpsfOperatorForm), Integer (Oid of the operator), String (field), operand, Expr: what is
 * computed of the field, which a CaseTestExpr stands for FIXED       operand: a boolean that is the
 * same for every row NEVER       no row passes An operand is a Const, or an Integer: the index of a
 * parameter in fdw_exprs.
 */
typedef enum AmpsfQualKind
{
	AMPSF_QUAL_AND,
	AMPSF_QUAL_OR,
	AMPSF_QUAL_COMPARE,
	AMPSF_QUAL_NULL_TEST,
	AMPSF_QUAL_BOOLEAN,
	AMPSF_QUAL_SEMI,
	AMPSF_QUAL_RANGE,
	AMPSF_QUAL_FIXED,
	AMPSF_QUAL_NEVER
} AmpsfQualKind;

/*
 * The parameters while a tree is printed: their values, or (values NULL) labels to stand for them.
 */
typedef struct AmpsfBind
{
	int nparams;
	List *labels; /* of char * */
	const Oid *types;
	const Datum *values;
	const bool *nulls;
	int list_room;	/* what they can have; set for each statement */
	int list_bytes; /* what the lists have taken of the statement so far; 0 to begin with */
	/*
	 * Out: a list, or an OR, was too long for a statement and has been left out, so that every
	 * clause must be checked again.
	 */
	bool must_recheck;
	int left_out;	 /* how many such there are */
	List *left_tree; /* the last of them: tree, and of a list its literals (of char *), in order */
	List *left_literals;
} AmpsfBind;

/* What is printed as a statement. */
typedef struct AmpsfSelect
{
	const char *object;
	List *fields;		  /* of String */
	List *quals;		  /* of trees */
	const char *order;	  /* "" if none */
	List *bounds;		  /* as AMPSF_SCAN_BOUNDS */
	const char *group_by; /* "" if none */
	List *having;		  /* of trees */
	int max_groups;		  /* LIMIT where bounds has none; 0: none */
	const char *from_key; /* one more condition of WHERE, as text; NULL: none */
} AmpsfSelect;

/* From fdw_private. */
extern void ampsf_read_select(List *fdw_private, AmpsfSelect *select);
/*
 * The whole statement; NULL if no row can pass, so that there is nothing to ask.  palloc'ed. *skip:
 * how many of the rows that come are OFFSET's; LIMIT has been raised by as many.  May be NULL for
 * EXPLAIN.
 */
extern char *ampsf_deparse_select(const AmpsfSelect *select, AmpsfBind *bind, int64 *skip);

/*
 * The statements that together give the rows of one whose list was left out: each has a part of the
 * list.  select and bind as they were for the statement; NIL if it cannot be cut, and everything
 * must be checked.
 */
extern List *ampsf_deparse_parts(const AmpsfSelect *select, AmpsfBind *bind);
/*
 * Lists of fields (of String), each short enough for a statement and each beginning with Id; NIL if
 * that of the statement is short enough itself.
 */
extern List *ampsf_split_fields(List *fields);

/* Calls that so many rows are, each a page of so many (0: Salesforce's default). */
extern double ampsf_pages(int page_size, double rows);

/* Of the longest statement, what a list of fields may take. */
#define AMPSF_MAX_FIELD_LIST (ampsf_max_soql_length / 5 * 3)
/* An OR of more members than this may turn out too long for a statement. */
#define AMPSF_LONG_OR 200
/* The longest text literal in a condition, in characters. */
#define AMPSF_MAX_LITERAL 4000

#endif
