/*
 * ingest_part.h - the rows of one ingest job: a CSV file of ours, and by it which row a result
 * speaks of.
 *
 * A part takes rows as they are given to a sink, until it is full or a row has a field that it has
 * no column for.  Then it is sealed and sent.  A result names no row and comes in any order, but
 * repeats what was sent: an Id or an external id, or else all values.  Rows that are alike in all
 * of them are interchangeable.
 *
 * Must not know: jobs, the network.
 */
#ifndef AMPSF_INGEST_PART_H
#define AMPSF_INGEST_PART_H

#include "postgres.h"
#include "org/row_sink.h"
#include "wire/json_scan.h"

/* The delimiter of what we send and get, and its name, as for queries. */
#define AMPSF_INGEST_DELIMITER '^'
/* Characters that a value may have, and a row. */
#define AMPSF_INGEST_MAX_VALUE 32000
#define AMPSF_INGEST_MAX_ROW 400000

/* The columns of parts; they grow while rows come, and a part has those of the moment it was begun.
 */
typedef struct AmpsfIngestColumns
{
	AmpsfWriteOp op;
	const char *key; /* AMPSF_UPSERT */
	MemoryContext cxt;
	int n;
	char **names; /* of an update or delete, the first is Id */
} AmpsfIngestColumns;

typedef struct AmpsfIngestPart AmpsfIngestPart;

extern AmpsfIngestColumns *ampsf_ingest_columns(AmpsfWriteOp op, const char *key,
												MemoryContext cxt);

/*
 * Can it be told in CSV?  Not a text that reads #N/A, which means null there, nor one that is too
 * long, nor a parent by a key together with its type, or in some rows by a key and in others by its
 * Id.
 */
extern bool ampsf_ingest_expressible(const AmpsfIngestColumns *columns, const AmpsfWriteRow *row);
/* Makes columns for all its fields; false if they were there already. */
extern bool ampsf_ingest_widen(AmpsfIngestColumns *columns, const AmpsfWriteRow *row);

/* A part lives in a child of the current context; its temporary file ends with that, or the
 * transaction. */
extern AmpsfIngestPart *ampsf_part_open(AmpsfIngestColumns *columns);
extern void ampsf_part_free(AmpsfIngestPart *part);
/* row has columns for all its fields. */
extern void ampsf_part_add(AmpsfIngestPart *part, const AmpsfWriteRow *row);
extern int ampsf_part_rows(const AmpsfIngestPart *part);
extern size_t ampsf_part_bytes(const AmpsfIngestPart *part);
/* No row comes any more: the file and its length, for reading; open as long as the part. */
extern int ampsf_part_seal(AmpsfIngestPart *part, size_t *len);

/* The columns that results repeat. */
extern int ampsf_part_columns(const AmpsfIngestPart *part, const char *const **names);
/*
 * The row that a result repeats; each row once.  values: of the columns, as cut by csv_scan.  -1 if
 * there is none like that.  *certain: it can be no other one, or one that says the same.
 */
extern int ampsf_part_find(AmpsfIngestPart *part, const AmpsfValue *values, bool *certain);
/* Some row that was not found, from position from on; -1: all were. */
extern int ampsf_part_rest(AmpsfIngestPart *part, int from);
/* Counts row as found. */
extern void ampsf_part_take(AmpsfIngestPart *part, int row);
/* What the caller gave with it; fields are read back (in the current context), unless out->fields
 * is not wanted. */
extern void ampsf_part_row(AmpsfIngestPart *part, int row, bool with_fields, AmpsfWriteRow *out);

#endif
