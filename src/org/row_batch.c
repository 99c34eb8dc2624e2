/*
 * row_batch.c - rows that wait in memory for a flush, and what became of them.
 *
 * Must not know: how rows are sent.
 */
#include "postgres.h"

#include "org/row_batch.h"

#include "utils/memutils.h"

static const char *const verbs[] = {"insert", "update", "delete", "upsert"};
static const char *const nouns[] = {"an insert", "an update", "a delete", "an upsert"};

const char *
ampsf_write_verb(AmpsfWriteOp op)
{
	return verbs[op];
}

const char *
ampsf_write_noun(AmpsfWriteOp op)
{
	return nouns[op];
}

void *
ampsf_batch_create(Size size, const AmpsfRowSinkOps *ops, const AmpsfWriteSpec *spec, int max_rows,
				   size_t max_bytes)
{
	MemoryContext cxt =
		AllocSetContextCreate(CurrentMemoryContext, "ampsf write", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);
	AmpsfRowBatch *batch = palloc0(size);

	Assert(size >= sizeof(AmpsfRowBatch) && max_rows >= 1);
	batch->base.ops = ops;
	batch->session = spec->session;
	batch->op = spec->op;
	batch->max_rows = max_rows;
	batch->max_bytes = max_bytes;
	batch->stats = spec->stats;
	batch->usage = ampsf_session_usage(spec->session, spec->object, ampsf_write_verb(spec->op));
	batch->cxt = cxt;
	batch->call_cxt = AllocSetContextCreate(cxt, "ampsf write call", ALLOCSET_DEFAULT_SIZES);
	batch->result_cxt = AllocSetContextCreate(cxt, "ampsf write results", ALLOCSET_SMALL_SIZES);
	batch->rows = palloc(sizeof(AmpsfBatchRow) * max_rows);
	batch->results = palloc0(sizeof(AmpsfWriteResult) * max_rows);
	initStringInfo(&batch->text);
	MemoryContextSwitchTo(old);
	return batch;
}

bool
ampsf_batch_has_room(const AmpsfRowSink *base, size_t len)
{
	const AmpsfRowBatch *batch = (const AmpsfRowBatch *) base;

	return base->waiting < batch->max_rows &&
		   (base->waiting == 0 || (size_t) batch->text.len + len <= batch->max_bytes);
}

void
ampsf_batch_add(AmpsfRowSink *base, const AmpsfWriteRow *row)
{
	AmpsfRowBatch *batch = (AmpsfRowBatch *) base;
	AmpsfBatchRow *to;

	if (base->waiting >= batch->max_rows)
		elog(ERROR, "write batch of %d rows is full", batch->max_rows);
	if (base->waiting == 0)
	{
		batch->known = 0;
		resetStringInfo(&batch->text); /* of the rows before */
	}
	to = &batch->rows[base->waiting];
	memset(to, 0, sizeof(*to));
	to->number = row->number;
	to->flags = row->flags;
	if (row->id != NULL)
		strlcpy(to->id, row->id, sizeof(to->id));
	to->off = batch->text.len;
	if (batch->op != AMPSF_DELETE)
	{
		appendBinaryStringInfo(&batch->text, row->fields, (int) row->len);
		to->len = row->len;
	}
	base->waiting++;
}

int
ampsf_batch_begin(AmpsfRowBatch *batch)
{
	int n = batch->base.waiting;

	if (n == 0)
		return 0;
	MemoryContextReset(batch->result_cxt);
	for (int i = 0; i < n; i++)
	{
		AmpsfWriteResult *res = &batch->results[i];
		const AmpsfBatchRow *row = &batch->rows[i];

		memset(res, 0, sizeof(*res));
		res->number = row->number;
		res->flags = row->flags;
		res->outcome = AMPSF_NOT_SENT;
		strlcpy(res->id, row->id, sizeof(res->id));
		res->row = row->len > 0 ? batch->text.data + row->off : NULL;
		res->row_len = row->len;
	}
	batch->base.waiting = 0;
	batch->known = n;
	return n;
}

int
ampsf_batch_results(AmpsfRowSink *base, AmpsfWriteResult **results)
{
	AmpsfRowBatch *batch = (AmpsfRowBatch *) base;
	int n = batch->known;

	*results = batch->results;
	batch->known = 0;
	return n;
}

void
ampsf_batch_close(AmpsfRowSink *base)
{
	MemoryContextDelete(((AmpsfRowBatch *) base)->cxt);
}

void
ampsf_batch_written(AmpsfRowBatch *batch, AmpsfWriteResult *res, bool created)
{
	res->outcome = AMPSF_WRITTEN;
	res->created = created;
	res->code = res->message = res->fields = NULL;
	if (batch->stats != NULL)
		batch->stats->rows++;
	ampsf_usage_rows(batch->usage, 1);
}

void
ampsf_batch_wait(AmpsfCall **calls, int n)
{
	for (;;)
	{
		bool complete;

		ampsf_call_drive();
		complete = ampsf_call_look(calls[0]);
		for (int i = 1; i < n; i++)
			(void) ampsf_call_look(calls[i]);
		if (complete)
			return;
		ampsf_call_sleep();
	}
}
