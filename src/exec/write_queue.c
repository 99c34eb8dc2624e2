/*
 * write_queue.c - see write_queue.h.
 */
#include "base/ampsf.h"
#include "exec/write_queue.h"

#include "commands/tablespace.h"
#include "miscadmin.h"
#include "org/graph.h"
#include "storage/buffile.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "wire/sfid.h"

/* A change as it is stored, with its fields behind it. */
typedef struct Entry
{
	int32 target;
	uint32 flags;
	int64 number;
	uint64 len;
	char id[AMPSF_SFID_LEN + 1];
} Entry;

typedef struct QueueSink
{
	AmpsfRowSink base;
	MemoryContext cxt;
	int target;
	int64 *rows;
} QueueSink;

static struct
{
	MemoryContext cxt; /* a child of TopTransactionContext; NULL: the queue is empty and new */
	AmpsfQueueTarget **targets;
	int ntargets;
	char *mem; /* what is stored, until there is a file */
	size_t mem_size;
	BufFile *file;
	int64 end; /* of what counts */
	int64 changes;
	bool mixed;					   /* they are for several logins */
	const AmpsfQueueTarget *first; /* of the first change */
	int64 read_pos;
	int64 file_pos; /* where the file stands; -1: nobody knows */
	char *fields;	/* of the change read last */
	size_t fields_size;
} queue;

static void (*before_add)(void);

void
ampsf_queue_init(void (*fn)(void))
{
	before_add = fn;
}

static void
start_queue(void)
{
	if (queue.cxt != NULL)
		return;
	memset(&queue, 0, sizeof(queue));
	queue.cxt =
		AllocSetContextCreate(TopTransactionContext, "ampsf write queue", ALLOCSET_DEFAULT_SIZES);
}

void
ampsf_queue_close(void)
{
	if (queue.file != NULL)
		BufFileClose(queue.file);
	queue.file = NULL;
	queue.end = queue.changes = 0;
}

void
ampsf_queue_forget(void)
{
	/* The memory ends with the transaction, and so does the file of one that was rolled back. */
	memset(&queue, 0, sizeof(queue));
}

int64
ampsf_queue_changes(void)
{
	return queue.changes;
}

void
ampsf_queue_mark(AmpsfQueueMark *mark)
{
	mark->end = queue.end;
	mark->changes = queue.changes;
	mark->mixed = queue.mixed;
}

void
ampsf_queue_cut(const AmpsfQueueMark *mark)
{
	queue.end = mark->end;
	queue.changes = mark->changes;
	queue.mixed = mark->mixed;
	for (int i = 0; i < queue.ntargets; i++)
		if (queue.targets[i]->first >= queue.end)
			queue.targets[i]->first = -1;
}

/* -------- bytes -------- */

static void
seek(int64 pos)
{
	if (queue.file_pos == pos)
		return;
	queue.file_pos = -1;
	if (BufFileSeek(queue.file, 0, (off_t) pos, SEEK_SET) != 0)
		ereport(ERROR, (errcode_for_file_access(),
						errmsg("could not seek in the temporary file of changes for Salesforce")));
	queue.file_pos = pos;
}

static void
write_file(const void *data, size_t len, int64 pos)
{
	seek(pos);
	queue.file_pos = -1;
	BufFileWrite(queue.file, (void *) data, len);
	queue.file_pos = pos + (int64) len;
}

/* From now on it is in a file, the first len bytes too.  It must outlive subtransactions that are
 * rolled back. */
static void
open_file(int64 len)
{
	ResourceOwner owner = CurrentResourceOwner;
	MemoryContext old = MemoryContextSwitchTo(queue.cxt);
	BufFile *file;

	CurrentResourceOwner = TopTransactionResourceOwner;
	PG_TRY();
	{
		PrepareTempTablespaces();
		file = BufFileCreateTemp(false);
	}
	PG_FINALLY();
	{
		CurrentResourceOwner = owner;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);
	queue.file = file;
	queue.file_pos = 0;
	write_file(queue.mem, (size_t) len, 0);
	pfree(queue.mem);
	queue.mem = NULL;
}

static void
put(const void *data, size_t len, int64 pos)
{
	size_t need = (size_t) pos + len;

	if (queue.file == NULL && need > queue.mem_size)
	{
		size_t size = Max(queue.mem_size * 2, 8192);

		while (size < need)
			size *= 2;
		if (need > (size_t) work_mem * 1024)
			open_file(pos);
		else if (queue.mem == NULL)
			queue.mem = MemoryContextAllocHuge(queue.cxt, size);
		else
			queue.mem = repalloc_huge(queue.mem, size);
		queue.mem_size = size;
	}
	if (queue.file != NULL)
		write_file(data, len, pos);
	else if (len > 0)
		memcpy(queue.mem + pos, data, len);
}

static void
fetch(void *data, size_t len, int64 pos)
{
	if (queue.file == NULL)
	{
		memcpy(data, queue.mem + pos, len);
		return;
	}
	seek(pos);
	queue.file_pos = -1;
	if (BufFileRead(queue.file, data, len) != len)
		ereport(ERROR, (errcode_for_file_access(),
						errmsg("could not read the temporary file of changes for Salesforce")));
	queue.file_pos = pos + (int64) len;
}

/* -------- the sink -------- */

static bool
same_session(const AmpsfQueueTarget *a, const AmpsfQueueTarget *b)
{
	return a->serverid == b->serverid && a->userid == b->userid;
}

/* How many kinds of changes there are with one more of the target. */
static int
count_kinds(const AmpsfQueueTarget *target)
{
	int n = 1;

	for (int i = 0; i < queue.ntargets; i++)
	{
		const AmpsfQueueTarget *t = queue.targets[i];
		bool counted =
			t->first < 0 || ampsf_graph_same_kind(t->op, t->object, target->op, target->object);

		for (int k = 0; k < i && !counted; k++)
			counted = queue.targets[k]->first >= 0 &&
					  ampsf_graph_same_kind(t->op, t->object, queue.targets[k]->op,
											queue.targets[k]->object);
		n += !counted;
	}
	return n;
}

/* ERROR if one more change would be more than one graph, and that is not wanted. */
static void
check_room(const AmpsfQueueTarget *target, bool mixed)
{
	if (target->batches)
		return;
	if (queue.changes >= AMPSF_MAX_GRAPH)
		ereport(
			ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("transaction has more than %d changes for Salesforce", AMPSF_MAX_GRAPH),
			 errdetail("Changes of foreign table \"%s\" wait for the commit, and Salesforce makes "
					   "no more than that all together or none.",
					   target->table),
			 errhint("Commit more often, or set option commit_overflow 'batches' and lose that "
					 "promise.")));
	if (target->first < 0 && count_kinds(target) > AMPSF_MAX_GRAPH_KINDS)
		ereport(
			ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("transaction has more than %d kinds of changes for Salesforce",
					AMPSF_MAX_GRAPH_KINDS),
			 errdetail("Inserts, updates or deletes of one object are a kind, and Salesforce makes "
					   "no more than that all together or none."),
			 errhint("Use two transactions, or set option commit_overflow 'batches' and lose that "
					 "promise.")));
	if (mixed)
		ereport(
			ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("transaction has changes for more than one login at Salesforce"),
			 errdetail("Changes of foreign table \"%s\" wait for the commit, and those of two "
					   "logins cannot be made all together or none.",
					   target->table),
			 errhint("Use two transactions, or set option commit_overflow 'batches' and lose that "
					 "promise.")));
}

static bool
has_room(const AmpsfRowSink *base, size_t len)
{
	return true;
}

static void
add(AmpsfRowSink *base, const AmpsfWriteRow *row)
{
	QueueSink *sink = (QueueSink *) base;
	Entry entry;
	AmpsfQueueTarget *target = queue.targets[sink->target];
	bool mixed;

	if (queue.changes == 0)
		queue.first = target;
	mixed = queue.mixed || !same_session(target, queue.first);
	check_room(target, mixed);
	before_add();
	memset(&entry, 0, sizeof(entry));
	entry.target = sink->target;
	entry.flags = row->flags;
	entry.number = row->number;
	entry.len = row->fields != NULL ? row->len : 0;
	if (row->id != NULL && !ampsf_sfid_canonicalize(row->id, strlen(row->id), entry.id))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("invalid Salesforce Id: \"%s\"", row->id)));
	put(&entry, sizeof(entry), queue.end);
	put(row->fields, entry.len, queue.end + (int64) sizeof(entry));
	/* Only now does it count. */
	if (target->first < 0)
		target->first = queue.end;
	queue.end += sizeof(entry) + (int64) entry.len;
	queue.changes++;
	queue.mixed = mixed;
	(*sink->rows)++;
}

static void
flush(AmpsfRowSink *base, bool finish)
{
}

static int
results(AmpsfRowSink *base, AmpsfWriteResult **res)
{
	return 0;
}

static void
abandon(AmpsfRowSink *base)
{
}

static void raise_nothing(AmpsfRowSink *base) __attribute__((noreturn));

static void
raise_nothing(AmpsfRowSink *base)
{
	elog(ERROR, "the queue of changes has not failed");
}

static void
close_sink(AmpsfRowSink *base)
{
	MemoryContextDelete(((QueueSink *) base)->cxt);
}

static const AmpsfRowSinkOps queue_ops = {
	.name = "at commit",
	.has_room = has_room,
	.add = add,
	.flush = flush,
	.results = results,
	.abandon = abandon,
	.raise = raise_nothing,
	.close = close_sink,
};

static char *
copy(const char *s)
{
	return s ? MemoryContextStrdup(queue.cxt, s) : NULL;
}

static bool
same_text(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool
same_headers(const char *const *a, const char *const *b)
{
	for (int i = 0; a != NULL && b != NULL; i++)
	{
		if (a[i] == NULL || b[i] == NULL)
			return a[i] == b[i];
		if (strcmp(a[i], b[i]) != 0)
			return false;
	}
	return a == b;
}

static const char *const *
copy_headers(const char *const *headers)
{
	const char **to;
	int n = 0;

	if (headers == NULL)
		return NULL;
	while (headers[n] != NULL)
		n++;
	to = MemoryContextAllocZero(queue.cxt, sizeof(char *) * (n + 1));
	for (int i = 0; i < n; i++)
		to[i] = copy(headers[i]);
	return (const char *const *) to;
}

/* The number of such a target, which may be one that was used before. */
static int
find_target(const AmpsfQueueTarget *wanted)
{
	AmpsfQueueTarget *t;

	for (int i = 0; i < queue.ntargets; i++)
	{
		t = queue.targets[i];
		if (same_session(t, wanted) && t->op == wanted->op && t->batches == wanted->batches &&
			same_text(t->relation, wanted->relation) && same_headers(t->headers, wanted->headers) &&
			same_text(t->object, wanted->object) && same_text(t->key, wanted->key))
			return i;
	}
	t = MemoryContextAlloc(queue.cxt, sizeof(AmpsfQueueTarget));
	*t = *wanted;
	t->table = copy(wanted->table);
	t->relation = copy(wanted->relation);
	t->object = copy(wanted->object);
	t->key = copy(wanted->key);
	t->headers = copy_headers(wanted->headers);
	t->first = -1;
	if (queue.targets == NULL)
		queue.targets = MemoryContextAlloc(queue.cxt, sizeof(AmpsfQueueTarget *) * 8);
	else if (queue.ntargets >= 8 && (queue.ntargets & (queue.ntargets - 1)) == 0)
		queue.targets = repalloc(queue.targets, sizeof(AmpsfQueueTarget *) * queue.ntargets * 2);
	queue.targets[queue.ntargets] = t;
	return queue.ntargets++;
}

AmpsfRowSink *
ampsf_queue_open(Relation rel, const AmpsfTableOptions *table, Oid serverid, Oid userid,
				 const AmpsfWriteSpec *spec, int64 *rows)
{
	MemoryContext cxt =
		AllocSetContextCreate(CurrentMemoryContext, "ampsf queue sink", ALLOCSET_SMALL_SIZES);
	QueueSink *sink = MemoryContextAllocZero(cxt, sizeof(QueueSink));
	AmpsfQueueTarget target = {0};

	start_queue();
	target.serverid = serverid;
	target.userid = userid;
	target.op = spec->op;
	target.table = RelationGetRelationName(rel);
	target.relation = quote_qualified_identifier(get_namespace_name(RelationGetNamespace(rel)),
												 RelationGetRelationName(rel));
	target.object = unconstify(char *, spec->object);
	target.key = unconstify(char *, spec->key);
	target.headers = spec->headers != NULL && spec->headers[0] != NULL ? spec->headers : NULL;
	target.batches = table->commit_batches;
	sink->base.ops = &queue_ops;
	sink->cxt = cxt;
	sink->rows = rows;
	sink->target = find_target(&target);
	return &sink->base;
}

/* -------- reading -------- */

void
ampsf_queue_rewind(void)
{
	queue.read_pos = 0;
}

bool
ampsf_queue_next(AmpsfQueued *change)
{
	Entry entry;

	if (queue.read_pos >= queue.end)
		return false;
	fetch(&entry, sizeof(entry), queue.read_pos);
	if (queue.fields == NULL || entry.len + 1 > queue.fields_size)
	{
		size_t size = Max(entry.len + 1, 1024);

		if (queue.fields)
			pfree(queue.fields);
		queue.fields = NULL;
		queue.fields = MemoryContextAllocHuge(queue.cxt, size);
		queue.fields_size = size;
	}
	fetch(queue.fields, entry.len, queue.read_pos + (int64) sizeof(entry));
	queue.fields[entry.len] = '\0';
	queue.read_pos += sizeof(entry) + (int64) entry.len;
	change->target = queue.targets[entry.target];
	change->number = entry.number;
	change->flags = entry.flags;
	strlcpy(change->id, entry.id, sizeof(change->id));
	change->fields = queue.fields;
	change->len = entry.len;
	return true;
}
