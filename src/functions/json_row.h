/*
 * json_row.h - members of a small JSON document as columns of a row.
 */
#ifndef AMPSF_JSON_ROW_H
#define AMPSF_JSON_ROW_H

#include "postgres.h"
#include "fmgr.h"
#include "nodes/execnodes.h"

#include "wire/json_doc.h"

#define AMPSF_ROW_COLUMNS 20

/* A row in the making; begin it with the set's ReturnSetInfo, then add its columns from left to
 * right. */
typedef struct AmpsfRow
{
	ReturnSetInfo *rsinfo;
	int n;
	Datum values[AMPSF_ROW_COLUMNS];
	bool nulls[AMPSF_ROW_COLUMNS];
} AmpsfRow;

extern void ampsf_row_begin(AmpsfRow *row, ReturnSetInfo *rsinfo);
extern void ampsf_row_null(AmpsfRow *row);
/* UTF-8 or NULL */
extern void ampsf_row_text(AmpsfRow *row, const char *utf8);
extern void ampsf_row_int(AmpsfRow *row, int64 value); /* an integer column */
extern void ampsf_row_bool(AmpsfRow *row, bool value);
/* Members of j: what is absent is null, of booleans false. */
extern void ampsf_row_texts(AmpsfRow *row, AmpsfJson *j, const char *const *keys, int n);
extern void ampsf_row_bools(AmpsfRow *row, AmpsfJson *j, const char *const *keys, int n);
extern void ampsf_row_ints(AmpsfRow *row, AmpsfJson *j, const char *const *keys, int n);
/* A JSON array of texts as text[]; null where it is absent or empty. */
extern void ampsf_row_array(AmpsfRow *row, AmpsfJson *list);
/* jsonb; null for NULL */
extern void ampsf_row_json(AmpsfRow *row, AmpsfJson *j);
extern void ampsf_row_json_text(AmpsfRow *row, const char *utf8);
extern void ampsf_row_put(AmpsfRow *row);

/* An API name as a part of a path; ERROR if it is none.  palloc'ed. */
extern char *ampsf_name_in_path(const char *name, const char *what);

#endif
