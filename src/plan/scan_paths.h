/*
 * scan_paths.h - the planner's callbacks for base relations.
 */
#ifndef AMPSF_SCAN_PATHS_H
#define AMPSF_SCAN_PATHS_H

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

extern void ampsfGetForeignRelSize(PlannerInfo *root, RelOptInfo *rel, Oid relid);
extern void ampsfGetForeignPaths(PlannerInfo *root, RelOptInfo *rel, Oid relid);
extern ForeignScan *ampsfGetForeignPlan(PlannerInfo *root, RelOptInfo *rel, Oid relid,
										ForeignPath *path, List *tlist, List *scan_clauses,
										Plan *outer_plan);

/* May it be one of several that an Append asks at the same time? */
extern bool ampsfIsForeignPathAsyncCapable(ForeignPath *path);

/* May workers read the table? */
extern bool ampsfIsForeignScanParallelSafe(PlannerInfo *root, RelOptInfo *rel, RangeTblEntry *rte);
/*
 * Adds a path that reads a statement's result alone.  No worker runs it: a result that each worker
 * reads for itself costs its calls as many times.
 */
extern void ampsf_add_path(RelOptInfo *rel, ForeignPath *path);
/*
 * Adds, where it may pay, the path of several processes that share the pages of the result of
 * info's statement; alone is the one of one process, which is to be added afterwards (and may be
 * freed then).
 */
extern void ampsf_add_partial_path(PlannerInfo *root, RelOptInfo *rel, AmpsfRelInfo *info,
								   const ForeignPath *alone);

/* Is there a comparison with a list in the condition tree, or an OR of very many? */
extern bool ampsf_has_list(List *tree);

/* param_paths.c: paths of a base relation whose conditions hold values of others. */
extern void ampsf_add_param_paths(PlannerInfo *root, RelOptInfo *rel);
/*
 * What is to be planned for a path of a table or a join: rel's info, with what the path adds to it.
 */
extern AmpsfRelInfo *ampsf_path_info(RelOptInfo *rel, ForeignPath *path, List *scan_clauses);

/* join.c: joins along lookups, in one statement; the plan of a path that it made. */
extern void ampsfGetForeignJoinPaths(PlannerInfo *root, RelOptInfo *joinrel, RelOptInfo *outerrel,
									 RelOptInfo *innerrel, JoinType jointype,
									 JoinPathExtraData *extra);
extern ForeignScan *ampsf_join_plan(RelOptInfo *rel, AmpsfRelInfo *info, List *tlist,
									Plan *outer_plan);

/* upper.c: what is computed above a scan, and the plan of a path that it made. */
extern void ampsfGetForeignUpperPaths(PlannerInfo *root, UpperRelationKind stage,
									  RelOptInfo *input_rel, RelOptInfo *output_rel, void *extra);
extern ForeignScan *ampsf_upper_plan(ForeignPath *path, List *tlist, Plan *outer_plan);
/* Is the path, of any relation, one of groups? */
extern bool ampsf_upper_is_grouped(ForeignPath *path);
/*
 * Appends a sort key that is the column (which may be NULL) to ORDER BY's list; false if Salesforce
 * sorts it otherwise than SQL.
 */
extern bool ampsf_append_sort_key(StringInfo order, PathKey *key, EquivalenceMember *em,
								  const AmpsfColumn *col);

/*
 * append_limit.c: LIMIT below an Append; and the bounds and order of a path that it made, else NIL.
 */
extern void ampsf_add_append_limit_path(PlannerInfo *root, RelOptInfo *rel);
extern List *ampsf_append_limit(ForeignPath *path, const char **order);

/* estimate.c: fills rel->tuples, rel->rows and info->remote_rows of a base relation. */
extern void ampsf_estimate_size(PlannerInfo *root, RelOptInfo *rel, AmpsfRelInfo *info);
/* Once: lets the planner know which columns name a row. */
extern void ampsf_estimate_init(void);

/* cost.c: cost of fetching that many rows of that width in pages. */
extern void ampsf_cost_scan(const AmpsfServerOptions *server, int page_size, double remote_rows,
							Cost *startup, Cost *total);

#endif
