/*
 * plan_modify.h - the planner's callbacks for INSERT, UPDATE and DELETE, and what they leave for
 * execution.
 */
#ifndef AMPSF_PLAN_MODIFY_H
#define AMPSF_PLAN_MODIFY_H

#include "postgres.h"
#include "base/options.h"
#include "foreign/fdwapi.h"
#include "nodes/pathnodes.h"

/* Positions in the list that ampsfPlanForeignModify makes; every member can be copied. */
typedef enum AmpsfModifyPrivate
{
	AMPSF_MODIFY_TARGETS, /* IntList: the columns that are sent */
	AMPSF_MODIFY_FETCH,	  /* IntList: the columns that must be read back after a row was written */
	AMPSF_MODIFY_JOINED,  /* Integer: 1 if the same row may come more than once */
	AMPSF_MODIFY_NOTHING, /* Integer: 1 for ON CONFLICT DO NOTHING */
	AMPSF_MODIFY_LENGTH
} AmpsfModifyPrivate;

/* Positions in the list that ampsfPlanDirectModify appends to the scan's, as AMPSF_SCAN_DIRECT. */
typedef enum AmpsfDirectPrivate
{
	AMPSF_DIRECT_TARGETS, /* IntList: the columns that are set */
	AMPSF_DIRECT_VALUES,  /* Integer: where their values begin in fdw_exprs */
	AMPSF_DIRECT_SET_TAG, /* Integer: 1 if the rows count in the command's tag */
	AMPSF_DIRECT_LENGTH
} AmpsfDirectPrivate;

#define AMPSF_SCAN_DIRECT AMPSF_SCAN_LENGTH

extern void ampsfAddForeignUpdateTargets(PlannerInfo *root, Index rtindex,
										 RangeTblEntry *target_rte, Relation target_relation);
extern List *ampsfPlanForeignModify(PlannerInfo *root, ModifyTable *plan, Index resultRelation,
									int subplan_index);
extern int ampsfIsForeignRelUpdatable(Relation rel);
extern bool ampsfPlanDirectModify(PlannerInfo *root, ModifyTable *plan, Index resultRelation,
								  int subplan_index);
/* Do the table's options let rows be written that nobody has looked at? */
extern bool ampsf_may_modify_direct(const AmpsfTableOptions *table);

/* ERROR for an ON CONFLICT that cannot be had of that table. */
extern void ampsf_check_conflict(Relation rel, const ModifyTable *plan);

/* The column that shows the field Id; 0: there is none. */
extern AttrNumber ampsf_id_column(Relation rel);
/* The column that tells when the row last changed; 0: there is none. */
extern AttrNumber ampsf_version_column(Relation rel);
/* The name under which the Id of the row travels through the plan. palloc'ed. */
extern char *ampsf_id_junk_name(Relation rel, AttrNumber attno);

/* Why a column cannot be given a value by an INSERT (or UPDATE); NULL if it can.  palloc'ed. */
extern char *ampsf_column_refusal(const char *object, const AmpsfColumn *col, bool insert);
/* ereport(ERROR) with that reason. */
extern void ampsf_refuse_column(Relation rel, AttrNumber attno, bool insert, const char *reason)
	__attribute__((noreturn));

/*
 * All columns that an expression of the rows of relation rti needs; NULL entries for nothing.
 * IntList in column order, without those in skip and without the Id.
 */
extern List *ampsf_columns_to_fetch(Relation rel, Index rti, List *exprs, List *checks,
									bool whole_row, const Bitmapset *skip);

#endif
