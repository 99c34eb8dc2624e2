/*
 * bulk_apply.h - what the files that do the work of an ingest job share: bulk_columns.c,
 * bulk_apply.c.
 */
#ifndef SANDBOX_BULK_APPLY_H
#define SANDBOX_BULK_APPLY_H

#include "bulk.h"
#include "bulk_csv.h"

/* Rows that are one transaction: those that fail leave the others alone. */
#define CHUNK 200

typedef struct Column
{
	char *name;			  /* as it was written */
	const Field *field;	  /* that is set; of a parent's key: the lookup */
	const Object *parent; /* whose key it is, or NULL */
	const Field *key;
} Column;

/* Rows of a result that are kept until their batch has ended, since results have another order. */
typedef struct Pile
{
	BulkResult *result;
	Buf text;
	uint32_t *lengths;
	int64_t n, cap;
} Pile;

typedef struct Apply
{
	BulkJob *job;
	CsvReader csv;
	CsvRow row;
	Column *columns;
	int n;
	int id;	 /* the column of the Id, -1: none */
	int key; /* of the external id of an upsert */
	Pile done, refused;
	uint64_t keys[CHUNK]; /* what tells the rows of the chunk apart; 0: nothing does */
	int n_keys;
	uint64_t random;
	bool locked; /* the next row is: a fault */
} Apply;

/* bulk_columns.c; all of them: false with the reason why the whole job fails */
bool bulk_check_content(const BulkJob *j, char **error);
bool bulk_read_header(Apply *a, char **error); /* the names of the first row */
bool bulk_check_header(Apply *a, char **error);

#endif
