/*
 * rel_info.h - what the planner knows of a relation that is one statement of ours, and what all who
 * plan such statements share.
 */
#ifndef AMPSF_REL_INFO_H
#define AMPSF_REL_INFO_H

#include "plan/plan_private.h"
#include "plan/classify.h"

/*
 * rel->fdw_private while planning, of a base relation or of a join that is one statement: the
 * statement that stands for it.  The first member of classify is the object that is queried.
 */
typedef struct AmpsfRelInfo
{
	AmpsfTableOptions *table; /* of the first member */
	AmpsfServerOptions *server;
	Oid relid;	/* of the first member */
	Oid userid; /* in whose name it is read */
	AmpsfClassify classify;
	/* In step: each RestrictInfo that the rows must pass, its class, tree and reason. */
	List *clauses;
	List *classes; /* IntList */
	List *trees;
	List *reasons; /* of const char *, may be NULL */
	/* Conditions that come of a join and not of a clause: always sent, always exact. */
	List *join_trees;
	List *joins;		   /* for EXPLAIN: of lists of JoinType (Integer) and clause */
	List *subquery_exprs;  /* for EXPLAIN: the clauses inside of semi- and anti-joins */
	Index rti;			   /* the smallest range table index of the relations */
	Bitmapset *attrs_used; /* of a base relation: as pull_varattnos makes it */
	double remote_rows;	   /* that Salesforce will return */
} AmpsfRelInfo;

/* What a statement gives and how it fills a slot: the lists of AmpsfScanPrivate, in the making. */
typedef struct AmpsfOutput
{
	List *fields, *keys;
	List *slots, *sources, *tables, *attnums;
} AmpsfOutput;

/* Adds a column of the slot (from 1): a field under its key, shown by a table's column (0: a
 * count). */
extern void ampsf_output_add(AmpsfOutput *out, int slot, char *field, char *key, Oid table,
							 int attnum);
/* The place of a field in the output's list; it is appended if it is new. */
extern int ampsf_output_field(AmpsfOutput *out, char *field, char *key);
/*
 * fdw_private.  classes and reasons: of the clauses that are checked here; quals: what is sent.
 * limit, order and bounds as in AmpsfScanPrivate.
 */
extern List *ampsf_scan_private(const AmpsfRelInfo *info, AmpsfOutput *out, List *quals,
								List *classes, List *reasons, int limit, const char *order,
								List *bounds);
/* The clauses of a plan, by what is done with them. */
typedef struct AmpsfScanClauses
{
	List *quals;   /* trees that are sent */
	List *exact;   /* expressions that are only sent */
	List *checked; /* expressions that are checked here */
	List *classes; /* IntList: of each of checked, its class */
	List *reasons; /* of String */
} AmpsfScanClauses;

/* scan_clauses: RestrictInfos; those that info knows have been classified, the others are local. */
extern void ampsf_split_clauses(const AmpsfRelInfo *info, List *scan_clauses,
								AmpsfScanClauses *split);
/* Classifies the clauses in the list (of RestrictInfo) and appends them to info. */
extern void ampsf_classify_clauses(AmpsfRelInfo *info, List *clauses);
/* Is every row that Salesforce will send one that is wanted, and none left out? */
extern bool ampsf_all_exact(const AmpsfRelInfo *info);
/*
 * The fields to ask for, and the columns that they fill.  Two columns may show the same field; SOQL
 * takes it once.
 */
extern void ampsf_choose_fields(AmpsfRelInfo *info, AmpsfOutput *out);
/* Is there a comparison with a list in the condition tree, or an OR of very many? */
extern bool ampsf_has_list(List *tree);

/*
 * Has the relation, of a query, such an info?  (An FDW's callbacks tell whose it is; this is the
 * one that they are told by.)
 */
extern bool ampsf_is_our_rel(const RelOptInfo *rel);
/* The callback: may workers read the table? */
extern bool ampsfIsForeignScanParallelSafe(PlannerInfo *root, RelOptInfo *rel, RangeTblEntry *rte);
/*
 * Adds a path that reads a statement's result alone.  No worker runs it: a result that each worker
 * reads for itself costs its calls as many times.
 */
extern void ampsf_add_path(RelOptInfo *rel, ForeignPath *path);

/* cost.c: cost of fetching that many rows of that width in pages. */
extern void ampsf_cost_scan(const AmpsfServerOptions *server, int page_size, double remote_rows,
							Cost *startup, Cost *total);

#endif
