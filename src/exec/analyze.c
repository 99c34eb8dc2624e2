/*
 * analyze.c - ANALYZE of a foreign table: how many rows it has, and a sample of them.
 *
 * At most MAX_CALLS calls are spent, repeated requests not counted.  A table of so few rows that
 * their pages are no more calls than a sample would be is read as a whole.  Of a larger one,
 * stretches of neighbours are read in places that wire/strata.c chooses, a page at most for each.
 * Where a stretch stands for fewer rows of the table than another of the same length, some of its
 * rows are left out by chance, so that each row of the sample stands for about as many rows of the
 * table.
 *
 * The number of rows is that of limits/recordCount, which costs Salesforce nothing but is a little
 * old, and knows neither sharing nor what is deleted.  Who reads deleted rows too asks COUNT(), and
 * so does a sample whose density of Ids tells quite another number.
 *
 * Every column is read but those that no query of several rows may ask for: a column that were left
 * out would be all NULL to the planner.  Must not know: the planner, SOQL's conditions but on Id.
 */
#include "base/ampsf.h"
#include "exec/analyze.h"

#include <math.h>

#include "access/htup_details.h"
#include "base/stats.h"
#include "exec/convert.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "optimizer/plancat.h"
#include "org/limits.h"
#include "org/row_source.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/sampling.h"
#include "wire/strata.h"

/* Of one ANALYZE. */
#define MAX_CALLS 20
/* Rows of a page where no option says otherwise. */
#define DEFAULT_PAGE 2000
/* A stretch gives about that many rows, as long as the table is looked at in MIN_PLACES places. */
#define ROWS_A_STRETCH 1000
#define MIN_PLACES 6
/* What limits/recordCount says is wrong if the sample makes so many times less, or more, likely. */
#define DOUBTFUL 4
/* The least share of a stretch that is kept. */
#define MIN_SHARE (1.0 / 16)

typedef struct Sample
{
	Relation relation;
	AmpsfTableOptions *table;
	AmpsfSession *session;
	Oid serverid, userid;
	AmpsfStats stats; /* of its queries */
	bool exact;		  /* the number of rows is not hearsay */

	/* columns */
	int nfields;
	const char **fields;   /* [nfields] each once */
	char *field_list;	   /* the same as SOQL */
	int id_field;		   /* index of Id */
	bool sortable;		   /* by Id */
	int *sources;		   /* [natts] index of the column's field; -1: not read */
	AmpsfColumnConv *conv; /* [natts] */

	/* a row */
	AmpsfValue *record; /* [nfields] */
	Datum *values;		/* [natts] */
	bool *nulls;
	MemoryContext row_cxt;
	MemoryContext query_cxt;
	int64 row;	/* of the query, for error messages */
	int column; /* being converted; -1: none */

	/* out */
	MemoryContext tuple_cxt;
	HeapTuple *rows;
	int target;
	int nrows;
	AmpsfStrata strata;
} Sample;

static int
calls_left(const Sample *s)
{
	/* limits/recordCount has been one. */
	return MAX_CALLS - 1 - (int) (s->stats.calls - s->stats.retries);
}

/* -------- the number of rows -------- */

/* What limits/recordCount says, by a call if it has not been heard lately; -1 if the org does not
 * say. */
static int64
record_count(Oid serverid, Oid userid, const char *object)
{
	int64 rows = ampsf_record_count_cached(serverid, userid, object);

	if (rows < 0)
	{
		ampsf_record_counts_fetch(ampsf_session_get(serverid, userid), serverid, userid,
								  list_make1(unconstify(char *, object)));
		rows = ampsf_record_count_cached(serverid, userid, object);
	}
	return rows;
}

static AmpsfRowSource *
start_query(Sample *s, const char *soql, const char *const *fields, int nfields, int max_pages)
{
	AmpsfQuerySpec spec = {0};
	AmpsfRowSource *source;
	MemoryContext old = MemoryContextSwitchTo(s->query_cxt);

	spec.session = s->session;
	spec.soql = soql;
	spec.fields = fields;
	spec.nfields = nfields;
	spec.all_rows = s->table->include_deleted;
	spec.page_size = s->table->page_size;
	/* No page before it is wanted: it would be a call. */
	spec.limit = 1;
	spec.max_pages = max_pages;
	spec.stats = &s->stats;
	source = ampsf_rest_query(&spec);
	source->ops->start(source);
	MemoryContextSwitchTo(old);
	s->row = 0;
	return source;
}

static double
count_rows(Sample *s)
{
	static const char *const none[] = {"Id"};
	AmpsfRowSource *source =
		start_query(s, psprintf("SELECT COUNT() FROM %s", s->table->object), none, 1, 0);
	AmpsfValue value;
	double rows;

	while (source->ops->next(source, &value))
		;
	rows = source->total;
	source->ops->close(source);
	s->exact = true;
	return rows;
}

/* -------- rows -------- */

static int
field_index(Sample *s, const char *field)
{
	for (int i = 0; i < s->nfields; i++)
		if (pg_strcasecmp(s->fields[i], field) == 0)
			return i;
	s->fields[s->nfields] = field;
	return s->nfields++;
}

static void
prepare_columns(Sample *s)
{
	TupleDesc desc = RelationGetDescr(s->relation);
	StringInfoData list;

	s->fields = palloc0(sizeof(char *) * (desc->natts + 1));
	s->sources = palloc0(sizeof(int) * desc->natts);
	s->conv = palloc0(sizeof(AmpsfColumnConv) * desc->natts);
	s->values = palloc0(sizeof(Datum) * desc->natts);
	s->nulls = palloc0(sizeof(bool) * desc->natts);
	s->sortable = true;
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);
		AmpsfColumn *col;

		s->sources[i] = -1;
		s->nulls[i] = true;
		if (att->attisdropped)
			continue;
		col = ampsf_column(RelationGetRelid(s->relation), i + 1);
		/* Salesforce gives such a field only to a query for one row. */
		if (strcmp(col->type, "complexvalue") == 0 || strcmp(col->type, "base64") == 0 ||
			col->created)
			continue;
		s->sources[i] = field_index(s, col->field);
		ampsf_convert_init(&s->conv[i], att, col, CurrentMemoryContext);
		if (pg_strcasecmp(col->field, "Id") == 0)
			s->sortable = col->sortable && col->filterable;
	}
	s->id_field = field_index(s, "Id");
	s->record = palloc0(sizeof(AmpsfValue) * s->nfields);
	initStringInfo(&list);
	for (int i = 0; i < s->nfields; i++)
		appendStringInfo(&list, "%s%s", i ? ", " : "", s->fields[i]);
	s->field_list = list.data;
}

/* Names the column and the row of a value that does not fit. */
static void
conversion_context(void *arg)
{
	Sample *s = arg;

	if (s->column >= 0)
		errcontext("field %s, column \"%s\" of foreign table \"%s\", row " INT64_FORMAT
				   " of the sample",
				   s->fields[s->sources[s->column]],
				   NameStr(TupleDescAttr(RelationGetDescr(s->relation), s->column)->attname),
				   RelationGetRelationName(s->relation), s->row);
}

/* The record as a tuple of the table, which lives as long as the sample. */
static HeapTuple
form_tuple(Sample *s)
{
	TupleDesc desc = RelationGetDescr(s->relation);
	ErrorContextCallback context;
	HeapTuple tuple;
	MemoryContext old;

	context.callback = conversion_context;
	context.arg = s;
	context.previous = error_context_stack;
	error_context_stack = &context;
	MemoryContextReset(s->row_cxt);
	old = MemoryContextSwitchTo(s->row_cxt);
	for (int i = 0; i < desc->natts; i++)
	{
		if (s->sources[i] < 0)
			continue;
		s->column = i;
		s->values[i] = ampsf_convert(&s->conv[i], &s->record[s->sources[i]], &s->nulls[i]);
	}
	s->column = -1;
	error_context_stack = context.previous;
	MemoryContextSwitchTo(s->tuple_cxt);
	tuple = heap_form_tuple(desc, s->values, s->nulls);
	MemoryContextSwitchTo(old);
	return tuple;
}

static bool
next_record(Sample *s, AmpsfRowSource *source)
{
	if (!source->ops->next(source, s->record))
		return false;
	s->row++;
	return true;
}

static void
forget_rows(Sample *s)
{
	for (int i = 0; i < s->nrows; i++)
		heap_freetuple(s->rows[i]);
	s->nrows = 0;
}

/* -------- all of the table -------- */

static double
page_size(const Sample *s)
{
	return s->table->page_size > 0 ? s->table->page_size : DEFAULT_PAGE;
}

/*
 * Reads the table from its first row on, and keeps as many rows as are wanted, each with the same
 * chance. False, and nothing kept, if it turns out that its pages would be more than max_pages
 * calls, unless that is all that can be had (anyway).  *total: rows of the table.
 */
static bool
read_all(Sample *s, int max_pages, bool anyway, double *total)
{
	AmpsfRowSource *source =
		start_query(s, psprintf("SELECT %s FROM %s", s->field_list, s->table->object), s->fields,
					s->nfields, max_pages);
	ReservoirStateData reservoir;
	int64 pages_before = s->stats.pages;
	double page = page_size(s); /* at most */
	double skip = -1;
	bool fits = true;

	reservoir_init_selection_state(&reservoir, s->target);
	while (next_record(s, source))
	{
		int victim = s->nrows;

		/* Pages of wide rows are shorter. */
		if (s->stats.pages - pages_before == 2)
			page = Min(page, s->row - 1);
		fits = anyway || source->total <= page * max_pages;
		if (!fits)
			break;
		if (s->nrows < s->target)
			s->nrows++;
		else
		{
			if (skip < 0)
				skip = reservoir_get_next_S(&reservoir, s->row - 1, s->target);
			if (skip-- > 0)
				continue;
			victim = (int) (s->target * sampler_random_fract(&reservoir.randstate));
			heap_freetuple(s->rows[victim]);
		}
		s->rows[victim] = form_tuple(s);
	}
	*total = source->total;
	s->exact = true;
	source->ops->close(source);
	if (!fits)
		forget_rows(s);
	return fits;
}

/* -------- stretches of it -------- */

typedef struct Reading
{
	AmpsfStretch stretch;
	bool complete; /* there is no more where it was asked for */
	bool strange;  /* a row with an Id that does not belong to the others */
} Reading;

static void
read_stretch(Sample *s, const char *where, bool descending, int want, Reading *r)
{
	AmpsfRowSource *source =
		start_query(s,
					psprintf("SELECT %s FROM %s%s ORDER BY Id%s LIMIT %d", s->field_list,
							 s->table->object, where, descending ? " DESC" : "", want),
					s->fields, s->nfields, 1);

	memset(r, 0, sizeof(*r));
	r->stretch.start = s->nrows;
	while (s->nrows < s->target && next_record(s, source))
	{
		const AmpsfValue *id = &s->record[s->id_field];
		AmpsfIdPoint point;

		if (id->kind != AMPSF_VALUE_STRING ||
			!ampsf_strata_point(&s->strata, id->ptr, id->len, &point))
		{
			r->strange = true;
			break;
		}
		if (r->stretch.nrows == 0)
			r->stretch.first = r->stretch.last = point;
		else if (descending)
			r->stretch.first = point;
		else
			r->stretch.last = point;
		s->rows[s->nrows++] = form_tuple(s);
		r->stretch.nrows++;
	}
	r->complete = !r->strange && source->total < want && r->stretch.nrows == source->total;
	source->ops->close(source);
}

/* Leaves rows out of the stretches that stand for less of the table than others. */
static void
thin_out(Sample *s)
{
	AmpsfStrata *strata = &s->strata;
	ReservoirStateData random;
	double most = 0;
	int kept = 0;

	reservoir_init_selection_state(&random, s->target);
	ampsf_strata_weigh(strata);
	for (int i = 0; i < strata->nstretches; i++)
		most = Max(most, strata->stretches[i].mass / strata->stretches[i].nrows);
	/* They are in the order of their rows. */
	for (int i = 0; i < strata->nstretches; i++)
	{
		const AmpsfStretch *stretch = &strata->stretches[i];
		double share = Max(stretch->mass / stretch->nrows / most, MIN_SHARE);

		for (int k = stretch->start; k < stretch->start + stretch->nrows; k++)
		{
			if (share < 1 && sampler_random_fract(&random.randstate) > share)
				heap_freetuple(s->rows[k]);
			else
				s->rows[kept++] = s->rows[k];
		}
	}
	s->nrows = kept;
}

/* How many rows are there, now that a sample has been read? */
static double
revise_total(Sample *s, double total)
{
	double guess = ampsf_strata_guess(&s->strata);

	if (s->strata.ngaps == 0)
	{
		s->exact = true;
		return s->nrows;
	}
	if (!s->exact && (total < guess / DOUBTFUL || total > guess * DOUBTFUL) && calls_left(s) > 0)
		total = count_rows(s);
	return Max(total, s->nrows);
}

/*
 * Reads stretches in so many places.  False, with nothing kept, if the table's Ids cannot be
 * reckoned with. *total: rows of the table as far as they are known; revised by what is found.
 */
static bool
read_stretches(Sample *s, int places, double *total)
{
	int want = (int) Min(s->target / places, page_size(s));
	Reading first, r;
	AmpsfProbe probe;

	read_stretch(s, "", false, want, &first);
	r = first;
	if (!first.strange && first.stretch.nrows > 0)
	{
		if (!first.complete)
		{
			char id[AMPSF_ID_SHORT + 1];

			ampsf_strata_id(&s->strata, first.stretch.last, id);
			read_stretch(s, psprintf(" WHERE Id > '%s'", id), true, want, &r);
		}
		ampsf_strata_begin(&s->strata, &first.stretch,
						   !first.complete && r.stretch.nrows > 0 ? &r.stretch : NULL, r.complete);
	}
	if (first.strange || r.strange)
	{
		forget_rows(s);
		return false;
	}
	/* One call remains for COUNT(). */
	while (s->strata.nstretches < places && calls_left(s) > 1 &&
		   ampsf_strata_next(&s->strata, &probe))
	{
		read_stretch(s, psprintf(" WHERE Id >= '%s' AND Id < '%s'", probe.from, probe.to),
					 probe.descending, want, &r);
		ampsf_strata_found(&s->strata, &probe, r.stretch.nrows > 0 ? &r.stretch : NULL, r.complete);
	}
	*total = revise_total(s, *total);
	thin_out(s);
	return true;
}

/* -------- the callbacks -------- */

/* Fills s->rows; returns the rows of the table. */
static double
acquire(Sample *s)
{
	double total = -1;
	int places;

	if (!s->table->include_deleted)
		total = record_count(s->serverid, s->userid, s->table->object);
	if (total < 0)
		total = count_rows(s);
	places = Min(Max(s->target / ROWS_A_STRETCH, MIN_PLACES), s->target);
	places = Min(places, Min(calls_left(s) - 1, AMPSF_MAX_STRETCHES));
	if (ceil(total / page_size(s)) <= places && read_all(s, places, false, &total))
		return total;
	if (s->sortable && read_stretches(s, Min(places, calls_left(s) - 1), &total))
		return total;
	/* Then it is the first rows, or none. */
	(void) read_all(s, calls_left(s), true, &total);
	return total;
}

/* An AcquireSampleRowsFunc. */
static int
acquire_sample(Relation relation, int elevel, HeapTuple *rows, int targrows, double *totalrows,
			   double *totaldeadrows)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext cxt = AllocSetContextCreate(caller, "ampsf_fdw sample", ALLOCSET_DEFAULT_SIZES);
	Sample *s;
	int nrows;

	MemoryContextSwitchTo(cxt);
	s = palloc0(sizeof(Sample));
	s->relation = relation;
	s->table = ampsf_table_options(RelationGetRelid(relation));
	s->serverid = GetForeignTable(RelationGetRelid(relation))->serverid;
	s->userid = relation->rd_rel->relowner;
	s->session = ampsf_session_get(s->serverid, s->userid);
	s->row_cxt = AllocSetContextCreate(cxt, "ampsf_fdw row", ALLOCSET_DEFAULT_SIZES);
	s->query_cxt = AllocSetContextCreate(cxt, "ampsf_fdw row source", ALLOCSET_DEFAULT_SIZES);
	s->tuple_cxt = caller;
	s->column = -1;
	s->rows = rows;
	s->target = targrows;
	prepare_columns(s);

	*totalrows = acquire(s);
	*totaldeadrows = 0;
	nrows = s->nrows;
	if (s->exact && !s->table->include_deleted)
		ampsf_record_count_note(s->serverid, s->userid, s->table->object, (int64) *totalrows);
	ereport(elevel,
			(errmsg("\"%s\": table contains %.0f rows, %d rows in sample, read by " INT64_FORMAT
					" API calls",
					RelationGetRelationName(relation), *totalrows, nrows, s->stats.calls)));
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(cxt);
	return nrows;
}

/*
 * The pages are those that a local copy would have: of partitions that are analyzed together each
 * gives rows by its share.
 */
bool
ampsfAnalyzeForeignTable(Relation relation, AcquireSampleRowsFunc *func, BlockNumber *totalpages)
{
	AmpsfTableOptions *table = ampsf_table_options(RelationGetRelid(relation));
	Oid serverid = GetForeignTable(RelationGetRelid(relation))->serverid;
	double rows =
		table->engagement ? -1 : record_count(serverid, relation->rd_rel->relowner, table->object);
	double pages;

	/* Account Engagement tells neither a number of rows nor what lies in between. */
	if (table->engagement)
		return false;
	if (rows < 0)
		rows = Max(relation->rd_rel->reltuples, table->rows);
	pages = ceil(
		rows * (get_relation_data_width(RelationGetRelid(relation), NULL) + SizeofHeapTupleHeader) /
		BLCKSZ);
	*totalpages = (BlockNumber) Min(Max(pages, 1), MaxBlockNumber);
	*func = acquire_sample;
	return true;
}
