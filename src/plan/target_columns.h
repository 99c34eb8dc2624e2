/*
 * target_columns.h - the columns that a plan needs of a table's rows for what it gives.
 */
#ifndef AMPSF_TARGET_COLUMNS_H
#define AMPSF_TARGET_COLUMNS_H

#include "postgres.h"
#include "nodes/pathnodes.h"

/*
 * UPDATE makes the executor ask for the whole old row, though it needs few columns of it.  Adds to
 * *used what the target list of rel needs (offset as in pull_varattnos), with the old row narrowed
 * to what will be looked at; columns left out may be NULL in it.
 */
extern void ampsf_pull_target_columns(PlannerInfo *root, RelOptInfo *rel, Bitmapset **used);

#endif
