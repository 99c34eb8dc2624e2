/*
 * engagement_scan.h - plans scans of Account Engagement's objects, which know neither SOQL nor
 * joins: a few filters, and an order.
 *
 * fdw_private has the layout of AmpsfScanPrivate.  A condition tree is here a List of three:
 * whether it is about the datetime (1) or about id (0), the B-tree strategy, or 0 for = ANY, and an
 * operand.
 */
#ifndef AMPSF_ENGAGEMENT_SCAN_H
#define AMPSF_ENGAGEMENT_SCAN_H

#include "org/engagement.h"
#include "plan/rel_info.h"

/* In place of what scan_paths.c does for objects of the CRM; info has its first members and no
 * more. */
extern void ampsf_engagement_rel_size(PlannerInfo *root, RelOptInfo *rel, AmpsfRelInfo *info);
extern void ampsf_engagement_paths(PlannerInfo *root, RelOptInfo *rel);
extern ForeignScan *ampsf_engagement_plan(PlannerInfo *root, RelOptInfo *rel, ForeignPath *path,
										  List *tlist, List *scan_clauses, Plan *outer_plan);

/*
 * The request of a scan, but for its fields; false if no row can pass.  Without values in bind:
 * what is known without them, and the other conditions, by the labels, as texts in *open.
 */
extern bool ampsf_engagement_request(const AmpsfSelect *select, const AmpsfBind *bind,
									 AmpsfEngagementRequest *request, List **open);

/* The commands that the object of a table takes, as IsForeignRelUpdatable gives them. */
extern int ampsf_engagement_events(const AmpsfTableOptions *table);
/* ERROR for options of the table that writes cannot do justice to. */
extern void ampsf_engagement_check_options(Relation rel);
/* The same, and for columns that would have to be read back. */
extern void ampsf_engagement_check_write(Relation rel, List *fetch);

#endif
