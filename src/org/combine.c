/*
 * combine.c - see combine.h.
 *
 * The statement after the one that is being read is sent ahead, so that its first page is there
 * when it is wanted.
 */
#include "postgres.h"

#include "org/combine.h"

#include "miscadmin.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

/* An Id as it comes: 18 characters, and nothing behind. */
#define ID_SIZE 18

/* -------- one after the other -------- */

typedef struct Union
{
	AmpsfRowSource src; /* first */
	MemoryContext cxt;
	AmpsfQuerySpec spec;
	char **statements;
	int n, id;
	int current;			  /* being read */
	AmpsfRowSource **sources; /* [n] NULL: not begun, or done with */
	HTAB *seen;				  /* Ids so far */
	AmpsfValue *peeked;
	bool has_peeked;
} Union;

static void
begin_statement(Union *u, int i)
{
	MemoryContext old;

	if (i >= u->n || u->sources[i])
		return;
	old = MemoryContextSwitchTo(u->cxt);
	u->spec.soql = u->statements[i];
	u->sources[i] = ampsf_rest_query(&u->spec);
	u->sources[i]->ops->start(u->sources[i]);
	MemoryContextSwitchTo(old);
}

/* Is it the first time that this row comes? */
static bool
is_new(Union *u, const AmpsfValue *values)
{
	const AmpsfValue *id = &values[u->id];
	char key[ID_SIZE] = {0};
	bool found;

	memcpy(key, id->ptr, Min(id->len, ID_SIZE));
	hash_search(u->seen, key, HASH_ENTER, &found);
	return !found;
}

static void
union_start(AmpsfRowSource *src)
{
	begin_statement((Union *) src, 0);
}

/* Done with the current statement. */
static void
end_statement(Union *u)
{
	u->sources[u->current]->ops->close(u->sources[u->current]);
	u->sources[u->current] = NULL;
	u->current++;
}

static AmpsfSourceState
union_poll(AmpsfRowSource *src)
{
	Union *u = (Union *) src;

	while (!u->has_peeked && u->current < u->n)
	{
		AmpsfRowSource *from;

		begin_statement(u, u->current);
		from = u->sources[u->current];
		switch (from->ops->poll(from))
		{
			case AMPSF_SOURCE_PENDING:
				return AMPSF_SOURCE_PENDING;
			case AMPSF_SOURCE_END:
				end_statement(u);
				break;
			case AMPSF_SOURCE_READY:
				begin_statement(u, u->current + 1);
				u->has_peeked = from->ops->next(from, u->peeked) && is_new(u, u->peeked);
				break;
		}
	}
	return u->has_peeked ? AMPSF_SOURCE_READY : AMPSF_SOURCE_END;
}

static bool
union_next(AmpsfRowSource *src, AmpsfValue *values)
{
	Union *u = (Union *) src;

	if (u->has_peeked)
	{
		memcpy(values, u->peeked, sizeof(AmpsfValue) * u->spec.nfields);
		u->has_peeked = false;
		return true;
	}
	for (; u->current < u->n; end_statement(u))
	{
		AmpsfRowSource *from;

		begin_statement(u, u->current);
		from = u->sources[u->current];
		while (from->ops->next(from, values))
		{
			begin_statement(u, u->current + 1);
			if (is_new(u, values))
				return true;
			CHECK_FOR_INTERRUPTS();
		}
	}
	return false;
}

static bool
union_rewind(AmpsfRowSource *src)
{
	Union *u = (Union *) src;

	return u->current == 0 && hash_get_num_entries(u->seen) == 0;
}

static void
union_close(AmpsfRowSource *src)
{
	MemoryContextDelete(((Union *) src)->cxt);
}

static const AmpsfRowSourceOps union_ops = {
	.start = union_start,
	.poll = union_poll,
	.next = union_next,
	.rewind = union_rewind,
	.close = union_close,
};

AmpsfRowSource *
ampsf_union_query(const AmpsfQuerySpec *spec, char *const *statements, int n, int id)
{
	MemoryContext cxt =
		AllocSetContextCreate(CurrentMemoryContext, "ampsf union", ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);
	Union *u = palloc0(sizeof(Union));
	HASHCTL ctl = {.keysize = ID_SIZE, .entrysize = ID_SIZE, .hcxt = cxt};

	u->src.ops = &union_ops;
	u->src.total = -1;
	u->cxt = cxt;
	u->spec = *spec;
	u->n = n;
	u->id = id;
	u->statements = palloc(sizeof(char *) * n);
	for (int i = 0; i < n; i++)
		u->statements[i] = pstrdup(statements[i]);
	u->sources = palloc0(sizeof(AmpsfRowSource *) * n);
	u->peeked = palloc0(sizeof(AmpsfValue) * spec->nfields);
	u->seen = hash_create("ampsf Ids", 1024, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	MemoryContextSwitchTo(old);
	return &u->src;
}

/* -------- side by side -------- */

typedef struct Wide
{
	AmpsfRowSource src; /* first */
	MemoryContext cxt;
	int n, nfields;
	AmpsfRowSource **sources; /* [n] */
	AmpsfValue **values;	  /* [n] of each its current row; the first is its Id */
	bool *has_row;			  /* [n] */
	char (*last_id)[ID_SIZE]; /* [n] of the row before it */
	int *from, *place;		  /* [nfields] which statement has it, and where */
	bool at_end;
} Wide;

static void
wide_start(AmpsfRowSource *src)
{
	Wide *w = (Wide *) src;

	for (int i = 0; i < w->n; i++)
		w->sources[i]->ops->start(w->sources[i]);
}

static int
compare_ids(const AmpsfValue *a, const AmpsfValue *b)
{
	int cmp = memcmp(a->ptr, b->ptr, Min(a->len, b->len));

	return cmp ? cmp : (int) a->len - (int) b->len;
}

/*
 * Rows that come or go between the statements are told from those that are there by the order of
 * Ids, that of their bytes.  A row would be lost if it were another one.
 */
static void
check_order(Wide *w, int i)
{
	const AmpsfValue *id = &w->values[i][0];

	if (id->len != ID_SIZE || memcmp(w->last_id[i], id->ptr, ID_SIZE) >= 0)
		ereport(ERROR, (errcode(ERRCODE_FDW_UNABLE_TO_CREATE_REPLY),
						errmsg("the rows of a statement that is read in parts did not come in the "
							   "order of their Ids"),
						errhint("Select fewer columns, or columns with shorter names.")));
	memcpy(w->last_id[i], id->ptr, ID_SIZE);
}

static AmpsfSourceState
wide_poll(AmpsfRowSource *src)
{
	Wide *w = (Wide *) src;

	if (w->at_end)
		return AMPSF_SOURCE_END;
	for (int i = 0; i < w->n; i++)
		if (!w->has_row[i] && w->sources[i]->ops->poll(w->sources[i]) == AMPSF_SOURCE_PENDING)
			return AMPSF_SOURCE_PENDING;
	/* Where rows have come or gone, next() may have to wait all the same. */
	return AMPSF_SOURCE_READY;
}

static bool
wide_next(AmpsfRowSource *src, AmpsfValue *values)
{
	Wide *w = (Wide *) src;
	int ahead = 0;
	bool same = false;

	if (w->at_end)
		return false;
	while (!same)
	{
		CHECK_FOR_INTERRUPTS();
		for (int i = 0; i < w->n; i++)
		{
			if (!w->has_row[i] && !w->sources[i]->ops->next(w->sources[i], w->values[i]))
			{
				w->at_end = true;
				return false;
			}
			w->has_row[i] = true;
			check_order(w, i);
			if (compare_ids(&w->values[i][0], &w->values[ahead][0]) > 0)
				ahead = i;
		}
		same = true;
		for (int i = 0; i < w->n; i++)
			if (compare_ids(&w->values[i][0], &w->values[ahead][0]) != 0)
				same = w->has_row[i] = false;
	}
	for (int i = 0; i < w->nfields; i++)
		values[i] = w->values[w->from[i]][w->place[i]];
	memset(w->has_row, false, sizeof(bool) * w->n);
	return true;
}

static bool
wide_rewind(AmpsfRowSource *src)
{
	return false;
}

static void
wide_close(AmpsfRowSource *src)
{
	MemoryContextDelete(((Wide *) src)->cxt);
}

static const AmpsfRowSourceOps wide_ops = {
	.start = wide_start,
	.poll = wide_poll,
	.next = wide_next,
	.rewind = wide_rewind,
	.close = wide_close,
};

AmpsfRowSource *
ampsf_wide_query(const AmpsfQuerySpec *spec, char *const *statements,
				 const char *const *const *parts, const int *nparts, int n)
{
	MemoryContext cxt =
		AllocSetContextCreate(CurrentMemoryContext, "ampsf wide query", ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);
	Wide *w = palloc0(sizeof(Wide));

	w->src.ops = &wide_ops;
	w->src.total = -1;
	w->cxt = cxt;
	w->n = n;
	w->nfields = spec->nfields;
	w->sources = palloc(sizeof(AmpsfRowSource *) * n);
	w->values = palloc(sizeof(AmpsfValue *) * n);
	w->has_row = palloc0(sizeof(bool) * n);
	w->last_id = palloc0(sizeof(*w->last_id) * n);
	w->from = palloc0(sizeof(int) * spec->nfields);
	w->place = palloc0(sizeof(int) * spec->nfields);
	for (int i = 0; i < n; i++)
	{
		AmpsfQuerySpec one = *spec;

		one.soql = statements[i];
		one.fields = parts[i];
		one.nfields = nparts[i];
		w->sources[i] = ampsf_rest_query(&one);
		w->values[i] = palloc0(sizeof(AmpsfValue) * nparts[i]);
		for (int j = 0; j < nparts[i]; j++)
			for (int k = 0; k < spec->nfields; k++)
				if (pg_strcasecmp(parts[i][j], spec->fields[k]) == 0)
				{
					w->from[k] = i;
					w->place[k] = j;
				}
	}
	MemoryContextSwitchTo(old);
	return &w->src;
}
