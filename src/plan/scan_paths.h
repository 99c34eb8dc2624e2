/*
 * scan_paths.h - the planner's callbacks for base relations.
 */
#ifndef AMPSF_SCAN_PATHS_H
#define AMPSF_SCAN_PATHS_H

#include "plan/plan_private.h"
#include "plan/classify.h"

/* rel->fdw_private while planning. */
typedef struct AmpsfRelInfo
{
	AmpsfTableOptions *table;
	AmpsfServerOptions *server;
	AmpsfClassify classify;
	/* In step: each RestrictInfo of baserestrictinfo, its class, tree and reason. */
	List *clauses;
	List *classes; /* IntList */
	List *trees;
	List *reasons; /* of const char *, may be NULL */
	Bitmapset *attrs_used; /* as pull_varattnos makes it */
	double remote_rows;	   /* that Salesforce will return */
} AmpsfRelInfo;

extern void ampsfGetForeignRelSize(PlannerInfo *root, RelOptInfo *rel, Oid relid);
extern void ampsfGetForeignPaths(PlannerInfo *root, RelOptInfo *rel, Oid relid);
extern ForeignScan *ampsfGetForeignPlan(PlannerInfo *root, RelOptInfo *rel, Oid relid, ForeignPath *path,
										List *tlist, List *scan_clauses, Plan *outer_plan);

/* Is there a comparison with a list in the condition tree? */
extern bool ampsf_has_list(List *tree);
/* The place of a field in a list of String; appended if it is new. */
extern int ampsf_place_of_field(List **fields, char *name);

/* upper.c: what is computed above a scan, and the plan of a path that it made. */
extern void ampsfGetForeignUpperPaths(PlannerInfo *root, UpperRelationKind stage, RelOptInfo *input_rel,
									  RelOptInfo *output_rel, void *extra);
extern ForeignScan *ampsf_upper_plan(ForeignPath *path, List *tlist, Plan *outer_plan);

/* cost.c: cost of fetching that many rows of that width in pages. */
extern void ampsf_cost_scan(const AmpsfServerOptions *server, int page_size, double remote_rows,
							Cost *startup, Cost *total);

#endif
