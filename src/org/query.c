/*
 * query.c - chooses between pages over REST and a job of Bulk API 2.0; implements row_source.h over
 * both.
 *
 * "auto" begins with REST, because most queries are small.  The first page says how many rows there
 * are; if that is many, a job is created, and when it has been accepted the page is thrown away. An
 * object that Bulk refuses is remembered for as long as the session lives, and read on by REST.
 *
 * Of several processes that share a result, the one that comes first chooses for all.
 */
#include "postgres.h"

#include "org/query.h"

#include "base/progress.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "org/compound.h"
#include "org/page_chain.h"
#include "utils/memutils.h"

typedef enum Choice
{
	CHOOSING, /* REST's first page is awaited */
	OFFERED,  /* the job has been sent, and is not yet accepted */
	CHOSEN
} Choice;

typedef struct Chooser
{
	AmpsfRowSource src; /* first */
	MemoryContext cxt;
	AmpsfQuerySpec spec;
	AmpsfTransportSpec transport;
	Choice choice;
	AmpsfRowSource *rest, *bulk; /* NULL: not, or no longer, there */

	/* Of the job: what is really asked for, and what becomes of it. */
	const char **fields;
	uint8 *kinds;
	int nfields;
	int *source; /* [spec.nfields] where a field's value is, -1: a compound */
	int ncompounds;
	AmpsfCompound *compounds;
	StringInfoData *texts; /* [ncompounds] */
	AmpsfValue *values;	   /* [nfields]; NULL if they are the reader's own */
} Chooser;

/* -------- what Bulk refused -------- */

static bool
is_refused(AmpsfSession *session, const char *object)
{
	List *list = *ampsf_session_slot(session, AMPSF_SLOT_NO_BULK);
	ListCell *lc;

	foreach (lc, list)
		if (pg_strcasecmp(lfirst(lc), object) == 0)
			return true;
	return false;
}

static void
note_refusal(AmpsfSession *session, const char *object)
{
	void **slot = ampsf_session_slot(session, AMPSF_SLOT_NO_BULK);
	MemoryContext old = MemoryContextSwitchTo(ampsf_session_context(session));

	*slot = lappend(*slot, pstrdup(object));
	MemoryContextSwitchTo(old);
}

/* -------- the job's statement -------- */

static uint8
kind_of_type(const char *type)
{
	static const char *const numbers[] = {"double", "currency", "percent", "int", "long"};

	for (size_t i = 0; i < lengthof(numbers); i++)
		if (strcmp(type, numbers[i]) == 0)
			return AMPSF_VALUE_NUMBER;
	return strcmp(type, "boolean") == 0 ? AMPSF_VALUE_TRUE : AMPSF_VALUE_STRING;
}

static int
add_field(Chooser *q, const char *name, uint8 kind)
{
	for (int i = 0; i < q->nfields; i++)
		if (pg_strcasecmp(q->fields[i], name) == 0)
			return i;
	q->fields = q->nfields ? repalloc(q->fields, sizeof(char *) * (q->nfields + 1))
						   : palloc(sizeof(char *));
	q->kinds = q->nfields ? repalloc(q->kinds, q->nfields + 1) : palloc(1);
	q->fields[q->nfields] = name;
	q->kinds[q->nfields] = kind;
	return q->nfields++;
}

/* The same statement with another list of fields. */
static char *
replace_fields(const Chooser *q)
{
	StringInfoData buf;
	size_t old = strlen("SELECT ");

	for (int i = 0; i < q->spec.nfields; i++)
		old += strlen(q->spec.fields[i]) + (i ? strlen(", ") : 0);
	Assert(strncmp(q->spec.soql + old, " FROM ", 6) == 0);
	initStringInfo(&buf);
	for (int i = 0; i < q->nfields; i++)
		appendStringInfo(&buf, "%s%s", i ? ", " : "SELECT ", q->fields[i]);
	appendStringInfoString(&buf, q->spec.soql + old);
	return buf.data;
}

/* False: the query has a field that no job can give. */
static bool
prepare_bulk(Chooser *q)
{
	int ncompounds = 0;

	for (int i = 0; i < q->spec.nfields; i++)
	{
		if (strcmp(q->transport.types[i], "base64") == 0)
			return false;
		ncompounds += ampsf_is_compound_type(q->transport.types[i]);
	}
	q->source = palloc(sizeof(int) * Max(q->spec.nfields, 1));
	q->compounds = palloc0(sizeof(AmpsfCompound) * Max(ncompounds, 1));
	for (int i = 0; i < q->spec.nfields; i++)
		if (!ampsf_is_compound_type(q->transport.types[i]))
			q->source[i] = add_field(q, q->spec.fields[i], kind_of_type(q->transport.types[i]));
	if (ncompounds == 0)
		return true;

	for (int i = 0; i < q->spec.nfields; i++)
	{
		AmpsfCompound *compound = &q->compounds[q->ncompounds];

		if (!ampsf_is_compound_type(q->transport.types[i]))
			continue;
		q->source[i] = -1;
		if (!ampsf_compound_find(q->spec.session, q->transport.object, q->spec.fields[i], compound))
			return false;
		compound->field = i;
		compound->parts = palloc(sizeof(int) * compound->n);
		for (int j = 0; j < compound->n; j++)
			compound->parts[j] = add_field(q, compound->names[j], AMPSF_VALUE_STRING);
		q->ncompounds++;
	}
	q->texts = palloc(sizeof(StringInfoData) * q->ncompounds);
	for (int i = 0; i < q->ncompounds; i++)
		initStringInfo(&q->texts[i]);
	q->values = palloc0(sizeof(AmpsfValue) * q->nfields);
	return true;
}

/* The job, not yet sent; false if there can be none. */
static bool
make_bulk(Chooser *q)
{
	AmpsfQuerySpec spec = q->spec;
	MemoryContext old = MemoryContextSwitchTo(q->cxt);

	if (!prepare_bulk(q))
	{
		MemoryContextSwitchTo(old);
		return false;
	}
	spec.fields = q->fields;
	spec.nfields = q->nfields;
	spec.kinds = q->kinds;
	if (q->ncompounds > 0)
		spec.soql = replace_fields(q);
	q->bulk = ampsf_bulk_query(&spec);
	MemoryContextSwitchTo(old);
	return true;
}

/* Sends the job; false if there can be none. */
static bool
offer_bulk(Chooser *q)
{
	if (!make_bulk(q))
		return false;
	q->bulk->ops->start(q->bulk);
	return true;
}

/* -------- choosing -------- */

static bool
may_pay(const Chooser *q)
{
	return q->transport.transport == AMPSF_TRANSPORT_AUTO && !q->transport.pages_only &&
		   (q->spec.limit < 0 || q->spec.limit >= q->transport.threshold) &&
		   !is_refused(q->spec.session, q->transport.object);
}

static void
start_rest(Chooser *q)
{
	MemoryContext old = MemoryContextSwitchTo(q->cxt);

	q->rest = ampsf_rest_query(&q->spec);
	q->rest->ops->start(q->rest);
	MemoryContextSwitchTo(old);
}

static void
drop(AmpsfRowSource **source)
{
	AmpsfRowSource *src = *source;

	*source = NULL;
	if (src)
		src->ops->close(src);
}

/* The first page of a shared result that this process reads: is the choice made?  False: no page is
 * left. */
static bool
join_shared(Chooser *q)
{
	AmpsfShare *share = q->spec.share;

	if (!ampsf_share_claim(share))
		return false;
	if (share->first)
		return true;
	q->choice = CHOSEN;
	if (*ampsf_share_job(share) == '\0')
		start_rest(q);
	else if (!make_bulk(q))
		elog(ERROR, "the processes of a parallel scan disagree on the fields of a job");
	return true;
}

/* Moves the choice as far as it goes without waiting; true when it is made. */
static bool
choose(Chooser *q)
{
	if (q->choice == CHOOSING)
	{
		if (q->rest->ops->poll(q->rest) == AMPSF_SOURCE_PENDING)
			return false;
		ampsf_progress_expected(q->spec.progress, q->rest->total);
		/* Once the others have heard of the pages after the first, it is too late. */
		if (q->rest->total >= q->transport.threshold &&
			(!q->spec.share || q->spec.share->claimed) && offer_bulk(q))
			q->choice = OFFERED;
		else
			q->choice = CHOSEN;
	}
	if (q->choice == OFFERED)
	{
		switch (ampsf_bulk_acceptance(q->bulk))
		{
			case AMPSF_BULK_ASKED:
				return false;
			case AMPSF_BULK_ACCEPTED:
				drop(&q->rest);
				break;
			case AMPSF_BULK_REFUSED:
				/* As it is asked for by name, the reason is told. */
				if (!q->rest)
					ampsf_bulk_throw(q->bulk);
				note_refusal(q->spec.session, q->transport.object);
				drop(&q->bulk);
				ampsf_progress_phase(q->spec.progress, AMPSF_PHASE_PAGES);
				break;
		}
		q->choice = CHOSEN;
	}
	return true;
}

/* -------- the row source -------- */

static AmpsfRowSource *
chosen(const Chooser *q)
{
	return q->bulk ? q->bulk : q->rest;
}

static void
query_start(AmpsfRowSource *src)
{
	Chooser *q = (Chooser *) src;

	if (q->rest || q->bulk)
		return;
	if (q->transport.transport == AMPSF_TRANSPORT_BULK && !q->transport.pages_only &&
		!is_refused(q->spec.session, q->transport.object) && offer_bulk(q))
		q->choice = OFFERED;
	else
	{
		q->choice = may_pay(q) ? CHOOSING : CHOSEN;
		start_rest(q);
	}
}

/* Nobody is made to wait by a start. */
static void
query_first_start(AmpsfRowSource *src)
{
	if (!((Chooser *) src)->spec.share)
		query_start(src);
}

static AmpsfSourceState
query_poll(AmpsfRowSource *src)
{
	Chooser *q = (Chooser *) src;
	AmpsfSourceState state;

	query_start(src);
	if (!choose(q))
		return AMPSF_SOURCE_PENDING;
	state = chosen(q)->ops->poll(chosen(q));
	src->total = chosen(q)->total;
	return state;
}

static bool
query_next(AmpsfRowSource *src, AmpsfValue *values)
{
	Chooser *q = (Chooser *) src;
	AmpsfRowSource *from;

	if (unlikely(q->choice != CHOSEN || !chosen(q)))
	{
		if (q->spec.share && !chosen(q) && !join_shared(q))
			return false;
		query_start(src);
		while (!choose(q))
		{
			uint64 moves = ampsf_call_moves();

			CHECK_FOR_INTERRUPTS();
			if (q->spec.share && ampsf_share_is_closed(q->spec.share))
				return false;
			ampsf_call_drive();
			if (ampsf_call_moves() == moves)
				ampsf_call_sleep();
		}
	}
	from = chosen(q);
	if (likely(!q->bulk || q->ncompounds == 0))
	{
		bool found = from->ops->next(from, values);

		src->total = from->total;
		return found;
	}
	if (!from->ops->next(from, q->values))
		return false;
	src->total = from->total;
	for (int i = 0; i < q->spec.nfields; i++)
		if (q->source[i] >= 0)
			values[i] = q->values[q->source[i]];
	for (int i = 0; i < q->ncompounds; i++)
		ampsf_compound_value(&q->compounds[i], q->values, &q->texts[i],
							 &values[q->compounds[i].field]);
	return true;
}

static bool
query_rewind(AmpsfRowSource *src)
{
	Chooser *q = (Chooser *) src;

	if (q->spec.share)
		return false;
	return q->choice != CHOSEN || !chosen(q) || chosen(q)->ops->rewind(chosen(q));
}

static void
query_close(AmpsfRowSource *src)
{
	Chooser *q = (Chooser *) src;

	drop(&q->rest);
	drop(&q->bulk);
	MemoryContextDelete(q->cxt);
}

static const AmpsfRowSourceOps query_ops = {
	.start = query_first_start,
	.poll = query_poll,
	.next = query_next,
	.rewind = query_rewind,
	.close = query_close,
};

AmpsfRowSource *
ampsf_query(const AmpsfQuerySpec *spec, const AmpsfTransportSpec *transport)
{
	MemoryContext cxt;
	MemoryContext old;
	Chooser *q;

	if (spec->share)
		spec->share->statement = string_hash(spec->soql, strlen(spec->soql) + 1);
	if (transport->transport == AMPSF_TRANSPORT_REST || transport->pages_only)
		return ampsf_rest_query(spec);

	cxt = AllocSetContextCreate(CurrentMemoryContext, "ampsf query", ALLOCSET_SMALL_SIZES);
	old = MemoryContextSwitchTo(cxt);
	q = palloc0(sizeof(Chooser));
	q->src.ops = &query_ops;
	q->src.total = -1;
	q->cxt = cxt;
	q->spec = *spec;
	q->spec.soql = pstrdup(spec->soql);
	q->transport = *transport;
	MemoryContextSwitchTo(old);
	return &q->src;
}
