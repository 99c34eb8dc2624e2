/*
 * row_sink.h - the one face of everything that takes rows: rows go in, and of each of them the
 * outcome comes out, once.
 *
 * sObject Collections implement it (collections.c); a Bulk job or a queue that waits for the commit
 * can.  Must not know: PostgreSQL's executor.
 *
 * A sink is a struct that begins with AmpsfRowSink, made by the open function of its kind from an
 * AmpsfWriteSpec.  It lives in a child of the context in which it was opened and ends with it.
 */
#ifndef AMPSF_ROW_SINK_H
#define AMPSF_ROW_SINK_H

#include "postgres.h"
#include "lib/stringinfo.h"
#include "net/session.h"

typedef enum AmpsfWriteOp
{
	AMPSF_INSERT,
	AMPSF_UPDATE,
	AMPSF_DELETE,
	AMPSF_UPSERT /* an INSERT that updates the row with the same external id, if there is one */
} AmpsfWriteOp;

/* The length of a row with a file, for has_room(). */
#define AMPSF_FILE_ROW SIZE_MAX

typedef struct AmpsfWriteSpec
{
	AmpsfSession *session;
	AmpsfWriteOp op;
	const char *object;
	const char *key;			/* AMPSF_UPSERT: the external id's field */
	int max_rows;				/* of one call */
	const char *conditional;	/* a row is written only if this field is as the caller has read it:
								   see    AmpsfWriteRow.version; NULL: written anyhow */
	bool files;					/* rows may have files, see AmpsfWriteRow.file */
	bool all_or_none;			/* a call with a row that is refused writes none of its rows */
	const char *const *headers; /* "Name: value", NULL-terminated; may be NULL */
	bool hard_delete;			/* past the recycle bin, which only a Bulk job can */
	bool any_transport; /* of a Bulk sink: rows for which there can be no job go by collections */
	AmpsfStats *stats;
} AmpsfWriteSpec;

/* One row, as it is added.  All is copied. */
typedef struct AmpsfWriteRow
{
	int64 number;	/* the caller's: by it an outcome is matched to its row, whatever the order */
	const char *id; /* AMPSF_UPDATE and AMPSF_DELETE */
	const char
		*parent;   /* Id of a row that Salesforce locks along with it; NULL: none, or not known */
	int64 version; /* with spec.conditional: when it was changed, as it was read: microseconds since
					  2000 */
	const char *fields; /* the inside of a JSON object, without its braces and without "attributes":
						   "LastName":"Curie","Email":null; UTF-8.  Not for AMPSF_DELETE */
	size_t len;
	/*
	 * With spec.files: a file that is sent as it is, not in fields; NULL: none.  Such a row goes
	 * alone, so has_room() is asked with AMPSF_FILE_ROW.  Not for AMPSF_UPSERT.
	 */
	const char *file_field;
	const void *file;
	size_t file_len;
	uint32 flags; /* the caller's, given back with the outcome */
} AmpsfWriteRow;

typedef enum AmpsfOutcome
{
	AMPSF_WRITTEN,
	AMPSF_REFUSED,	/* not written, for the reason that code and message give */
	AMPSF_IN_DOUBT, /* sent, and nobody knows what became of it */
	AMPSF_NOT_SENT, /* not written, for something before it went wrong */
	AMPSF_QUEUED	/* to be written when the transaction commits */
} AmpsfOutcome;

/* What became of one row. */
typedef struct AmpsfWriteResult
{
	int64 number;
	uint32 flags;
	AmpsfOutcome outcome;
	bool created; /* false: an update, or an upsert that found the row there */
	char id[19];  /* of the row; empty where that is not known */
	char *code;	  /* Salesforce's statusCode; NULL where it has refused nothing */
	char *message;
	char *fields; /* comma-separated, or NULL */
	const char
		*row; /* as AmpsfWriteRow.fields, of rows that were not written; NULL if there are none */
	size_t row_len;
} AmpsfWriteResult;

typedef struct AmpsfRowSink AmpsfRowSink;

typedef struct AmpsfRowSinkOps
{
	const char *name; /* for EXPLAIN: "collections", "bulk" */

	/* Would a row of so many bytes still fit?  If not, the caller flushes before it adds. */
	bool (*has_room)(const AmpsfRowSink *sink, size_t len);
	void (*add)(AmpsfRowSink *sink, const AmpsfWriteRow *row);
	/*
	 * Sends what waits.  finish: and waits until the outcome of all that was ever added is known;
	 * else that may come later.  What goes wrong with Salesforce is told by the outcomes and by
	 * sink->failed, not raised; a cancel, for one, is raised.  Rows that were written are counted
	 * in stats->rows at once.
	 */
	void (*flush)(AmpsfRowSink *sink, bool finish);
	/*
	 * The next outcomes that are known, each handed out once: how many; 0 if there are none at
	 * present, after a flush that finishes: none any more.  Valid until the next call of the sink.
	 */
	int (*results)(AmpsfRowSink *sink, AmpsfWriteResult **results);
	/*
	 * Nothing more is sent: waits for what is on its way, and all rows without an outcome get one.
	 * NULL: there can be none after a flush.
	 */
	void (*stop)(AmpsfRowSink *sink);
	/*
	 * For a caller that has caught what flush raised: all rows without an outcome get one, which
	 * results() hands out.  Does not raise, does not wait.
	 */
	void (*abandon)(AmpsfRowSink *sink);
	/* ereport(ERROR): why sink->failed. */
	void (*raise)(AmpsfRowSink *sink) __attribute__((noreturn));
	void (*close)(AmpsfRowSink *sink);
} AmpsfRowSinkOps;

struct AmpsfRowSink
{
	const AmpsfRowSinkOps *ops;
	int waiting; /* rows that were added since the last flush */
	bool failed; /* a call came to nothing as a whole, or nobody knows to what; nothing more can be
					sent */
};

/* Up to 200 rows in each call; max_rows: 1..200. */
extern AmpsfRowSink *ampsf_collections_open(const AmpsfWriteSpec *spec);
/*
 * Bulk jobs: thousands of rows for a few calls.  Not with headers, all_or_none or versions.  Ids of
 * rows that were inserted are not told, nor whether an upsert has created its row.
 */
extern AmpsfRowSink *ampsf_ingest_open(const AmpsfWriteSpec *spec);

/*
 * The sink that fits: with AMPSF_WRITE_AUTO rows are kept back until there are threshold of them,
 * which go by Bulk, or no more come, or they take more than a few megabytes.
 */
extern AmpsfRowSink *ampsf_write_open(const AmpsfWriteSpec *spec, AmpsfWriteTransport transport,
									  int64 threshold);

/* Waits before a row that was locked is sent again, the attempt from 0; interrupts act at once. */
extern void ampsf_write_pause(int attempt);

/* "insert", and "an insert". */
extern const char *ampsf_write_verb(AmpsfWriteOp op);
extern const char *ampsf_write_noun(AmpsfWriteOp op);

#endif
