/*
 * write_transport.c - rows by collections or by Bulk jobs: a sink that keeps rows back until it can
 * tell.
 *
 * Collections are 200 rows a call and tell at once; a Bulk job is about eight calls for up to
 * 100,000 rows, and takes its time.  Rows that are kept back are handed over when outcomes are
 * asked for, since collections tell of one call's rows at a time.
 */
#include "postgres.h"

#include "org/row_sink.h"
#include "utils/memutils.h"

/* Bytes of rows that are kept back. */
#define MOST_KEPT (8 * 1024 * 1024)

typedef struct Chooser
{
	AmpsfRowSink base;
	MemoryContext cxt;
	MemoryContext kept_cxt; /* of the rows that are kept back */
	AmpsfWriteSpec spec;
	int64 threshold, seen;
	AmpsfRowSink *sink; /* that gets them; NULL: none has been sent */
	bool bulk;			/* it is the last, and gets rows as they come */
	AmpsfWriteRow *kept;
	int nkept, next; /* next: to be handed over */
	size_t bytes;
	bool sending;
	bool finish; /* no row will come */
	bool stopped;
} Chooser;

static bool
has_room(const AmpsfRowSink *base, size_t len)
{
	const Chooser *c = (const Chooser *) base;

	if (c->bulk)
		return c->sink->ops->has_room(c->sink, len);
	return c->nkept == 0 || (c->nkept < c->threshold && c->bytes + len <= MOST_KEPT);
}

static char *
copy_text(const char *text)
{
	return text ? pstrdup(text) : NULL;
}

static void
add(AmpsfRowSink *base, const AmpsfWriteRow *row)
{
	Chooser *c = (Chooser *) base;
	MemoryContext old;
	AmpsfWriteRow *to;

	c->seen++;
	if (c->bulk)
	{
		c->sink->ops->add(c->sink, row);
		base->waiting = c->sink->waiting;
		return;
	}
	old = MemoryContextSwitchTo(c->kept_cxt);
	if (c->nkept == 0)
		c->kept = palloc(sizeof(AmpsfWriteRow) * 256);
	else if (c->nkept >= 256 && (c->nkept & (c->nkept - 1)) == 0)
		c->kept = repalloc(c->kept, sizeof(AmpsfWriteRow) * c->nkept * 2);
	to = &c->kept[c->nkept++];
	*to = *row;
	to->id = copy_text(row->id);
	to->parent = copy_text(row->parent);
	if (row->fields)
	{
		char *fields = palloc(row->len + 1);

		memcpy(fields, row->fields, row->len);
		fields[row->len] = '\0';
		to->fields = fields;
	}
	c->bytes += row->len + sizeof(AmpsfWriteRow) + 64;
	MemoryContextSwitchTo(old);
	base->waiting = c->nkept;
}

static void
open_sink(Chooser *c, bool bulk)
{
	MemoryContext old = MemoryContextSwitchTo(c->cxt);

	if (c->sink)
		c->sink->ops->close(c->sink);
	c->sink = bulk ? ampsf_ingest_open(&c->spec) : ampsf_collections_open(&c->spec);
	c->bulk = bulk;
	MemoryContextSwitchTo(old);
}

static void
flush(AmpsfRowSink *base, bool finish)
{
	Chooser *c = (Chooser *) base;

	base->waiting = 0;
	c->finish = finish;
	if (c->bulk)
	{
		c->sink->ops->flush(c->sink, finish);
		base->waiting = c->sink->waiting;
		base->failed = c->sink->failed;
		return;
	}
	if (!c->sink || c->seen >= c->threshold)
		open_sink(c, c->seen >= c->threshold);
	c->sending = c->nkept > 0;
	c->next = 0;
	if (c->bulk)
	{
		while (c->next < c->nkept && c->sink->ops->has_room(c->sink, c->kept[c->next].len))
		{
			c->sink->ops->add(c->sink, &c->kept[c->next]);
			c->next++;
		}
		if (c->next == c->nkept)
		{
			c->sending = false;
			c->nkept = 0;
			c->bytes = 0;
			MemoryContextReset(c->kept_cxt);
			if (finish)
				c->sink->ops->flush(c->sink, true);
			base->waiting = c->sink->waiting;
			base->failed = c->sink->failed;
		}
	}
}

/* Hands over as many of the rows that are kept back as there is room for. */
static void
hand_over(Chooser *c)
{
	while (c->next < c->nkept && c->sink->ops->has_room(c->sink, c->kept[c->next].len))
		c->sink->ops->add(c->sink, &c->kept[c->next++]);
	c->sink->ops->flush(c->sink, c->next == c->nkept ? c->finish || !c->bulk : !c->bulk);
	if (c->next == c->nkept)
	{
		c->sending = false;
		c->nkept = 0;
		c->bytes = 0;
		MemoryContextReset(c->kept_cxt);
	}
}

/* Rows that were kept back and will not be handed over. */
static int
tell_not_sent(Chooser *c, AmpsfWriteResult **out)
{
	int n = c->nkept - c->next;
	AmpsfWriteResult *results =
		MemoryContextAllocZero(c->cxt, sizeof(AmpsfWriteResult) * Max(n, 1));

	for (int i = 0; i < n; i++)
	{
		const AmpsfWriteRow *row = &c->kept[c->next + i];

		results[i].number = row->number;
		results[i].flags = row->flags;
		results[i].outcome = AMPSF_NOT_SENT;
		if (row->id)
			strlcpy(results[i].id, row->id, sizeof(results[i].id));
		results[i].row = row->fields;
		results[i].row_len = row->len;
	}
	c->next = c->nkept;
	c->sending = false;
	*out = results;
	return n;
}

static int
results(AmpsfRowSink *base, AmpsfWriteResult **out)
{
	Chooser *c = (Chooser *) base;
	int n = 0;

	if (!c->sink)
		return 0;
	for (;;)
	{
		n = c->sink->ops->results(c->sink, out);
		base->failed = c->sink->failed;
		if (n > 0 || !c->sending)
			break;
		if (base->failed || c->stopped)
		{
			n = tell_not_sent(c, out);
			break;
		}
		hand_over(c);
	}
	if (c->bulk)
		base->waiting = c->sink->waiting;
	return n;
}

static void
stop(AmpsfRowSink *base)
{
	Chooser *c = (Chooser *) base;

	if (c->sink && c->sink->ops->stop)
		c->sink->ops->stop(c->sink);
	/* Those that are kept back are told of when failed is seen. */
	base->waiting = 0;
	c->stopped = true;
}

static void
abandon(AmpsfRowSink *base)
{
	Chooser *c = (Chooser *) base;

	if (c->sink)
		c->sink->ops->abandon(c->sink);
	else
		open_sink(c, false);
	if (c->nkept > c->next)
	{
		c->sending = true;
		base->failed = c->sink->failed = true;
	}
	base->waiting = 0;
}

static void throw_failure(AmpsfRowSink *base) __attribute__((noreturn));

static void
throw_failure(AmpsfRowSink *base)
{
	Chooser *c = (Chooser *) base;

	c->sink->ops->raise(c->sink);
}

static void
close_sink(AmpsfRowSink *base)
{
	Chooser *c = (Chooser *) base;

	if (c->sink)
		c->sink->ops->close(c->sink);
	MemoryContextDelete(c->cxt);
}

static const AmpsfRowSinkOps chooser_ops = {
	.name = "auto",
	.has_room = has_room,
	.add = add,
	.flush = flush,
	.results = results,
	.stop = stop,
	.abandon = abandon,
	.raise = throw_failure,
	.close = close_sink,
};

AmpsfRowSink *
ampsf_write_open(const AmpsfWriteSpec *spec, AmpsfWriteTransport transport, int64 threshold)
{
	MemoryContext cxt, old;
	Chooser *c;

	if (spec->hard_delete && spec->op == AMPSF_DELETE)
		return ampsf_ingest_open(spec);
	if (transport == AMPSF_WRITE_COLLECTIONS || spec->all_or_none || spec->conditional ||
		spec->files || (spec->headers && *spec->headers))
		return ampsf_collections_open(spec);
	if (transport == AMPSF_WRITE_BULK)
		return ampsf_ingest_open(spec);
	cxt = AllocSetContextCreate(CurrentMemoryContext, "ampsf write", ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(cxt);
	c = palloc0(sizeof(Chooser));
	c->base.ops = &chooser_ops;
	c->cxt = cxt;
	c->kept_cxt = AllocSetContextCreate(cxt, "ampsf rows kept back", ALLOCSET_DEFAULT_SIZES);
	c->spec = *spec;
	c->spec.any_transport = true;
	c->spec.object = pstrdup(spec->object);
	c->spec.key = spec->key ? pstrdup(spec->key) : NULL;
	c->threshold = threshold;
	MemoryContextSwitchTo(old);
	return &c->base;
}
