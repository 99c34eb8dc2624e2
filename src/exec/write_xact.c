/*
 * write_xact.c - see write_xact.h.
 *
 * Every (sub)transaction that writes or queues something has a frame: where the queue stood when it
 * began, and how many rows were written in it.  A rollback cuts the queue back to there; what was
 * written stays, of which a WARNING tells: one when the transaction is rolled back, and one for the
 * first subtransaction that is, since a loop may have thousands of them.
 *
 * PRE_COMMIT comes after deferred triggers and after the rows of holdable cursors were read, so
 * what those change is sent as well.  What can still fail behind it is little (a serialization
 * failure, NOTIFY's queue, the commit of another extension, a crash); the WARNING says then that
 * the changes are made.
 */
#include "base/ampsf.h"
#include "exec/write_xact.h"

#include "access/xact.h"
#include "base/error.h"
#include "exec/modify_state.h"
#include "exec/write_error.h"
#include "exec/write_queue.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "net/session.h"
#include "org/graph.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

typedef struct Frame
{
	int level; /* of the (sub)transaction */
	AmpsfQueueMark mark;
	int64 written;
} Frame;

/* Rows by table, for the warning; tables beyond these are counted only. */
#define MAX_TALLIES 8

typedef struct Tally
{
	NameData table;
	int64 rows[AMPSF_UPSERT + 1];
} Tally;

static dlist_head writers = DLIST_STATIC_INIT(writers);

static struct
{
	bool sent;	   /* anything at all, be it in vain */
	bool warned;   /* of a subtransaction */
	bool sent_all; /* the commit's changes have all been sent */
	int64 written; /* rows */
	int64 told;	   /* of these, as many as the last error itself speaks of */
	Frame *frames; /* in TopTransactionContext */
	int nframes, max_frames;
	Tally tallies[MAX_TALLIES];
	int ntallies;
} xact;

static void
forget(void)
{
	memset(&xact, 0, sizeof(xact));
	ampsf_queue_forget();
}

/* The frame of the current (sub)transaction. */
static Frame *
current_frame(void)
{
	int level = GetCurrentTransactionNestLevel();
	Frame *frame;

	if (xact.nframes > 0 && xact.frames[xact.nframes - 1].level >= level)
		return &xact.frames[xact.nframes - 1];
	if (xact.nframes == xact.max_frames)
	{
		int max = Max(xact.max_frames * 2, 8);

		if (xact.frames == NULL)
			xact.frames = MemoryContextAlloc(TopTransactionContext, sizeof(Frame) * max);
		else
			xact.frames = repalloc(xact.frames, sizeof(Frame) * max);
		xact.max_frames = max;
	}
	frame = &xact.frames[xact.nframes++];
	frame->level = level;
	frame->written = 0;
	ampsf_queue_mark(&frame->mark);
	return frame;
}

/* The current subtransaction is about to add to the queue: it must be possible to take that back.
 */
static void
join(void)
{
	(void) current_frame();
}

/* -------- what was written -------- */

static void
tally(const char *table, AmpsfWriteOp op, int64 rows)
{
	int i = 0;

	while (i < xact.ntallies && strcmp(NameStr(xact.tallies[i].table), table) != 0)
		i++;
	if (i == MAX_TALLIES)
		return;
	if (i == xact.ntallies)
		namestrcpy(&xact.tallies[xact.ntallies++].table, table);
	xact.tallies[i].rows[op] += rows;
}

static void
settle(AmpsfXactWriter *writer)
{
	int64 rows = writer->stats->rows - writer->settled;

	if (rows <= 0)
		return;
	writer->settled += rows;
	xact.written += rows;
	tally(NameStr(writer->table), writer->op, rows);
	/* The writer's own level may be gone: then its rows are the surrounding one's. */
	for (int i = xact.nframes - 1; i >= 0; i--)
	{
		if (xact.frames[i].level <= writer->level || i == 0)
		{
			xact.frames[i].written += rows;
			break;
		}
	}
}

static void
settle_from(int level)
{
	dlist_iter iter;

	dlist_foreach(iter, &writers)
	{
		AmpsfXactWriter *writer = dlist_container(AmpsfXactWriter, node, iter.cur);

		if (writer->level >= level)
			settle(writer);
	}
}

void
ampsf_xact_writer_open(AmpsfXactWriter *writer, const AmpsfStats *stats, AmpsfWriteOp op,
					   const char *table)
{
	writer->stats = stats;
	writer->settled = stats->rows;
	writer->level = current_frame()->level;
	writer->op = op;
	namestrcpy(&writer->table, table);
	dlist_push_tail(&writers, &writer->node);
	writer->listed = true;
}

void
ampsf_xact_writer_close(AmpsfXactWriter *writer)
{
	if (!writer->listed)
		return;
	settle(writer);
	dlist_delete(&writer->node);
	writer->listed = false;
}

void
ampsf_xact_writing(void)
{
	xact.sent = true;
}

void
ampsf_xact_told(int64 rows)
{
	xact.told += rows;
}

static char *
what_was_written(void)
{
	static const char *const done[] = {"inserted", "updated", "deleted", "upserted"};
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = 0; i < xact.ntallies; i++)
	{
		bool first = true;

		appendStringInfo(&buf, "%s%s: ", i > 0 ? "; " : "", NameStr(xact.tallies[i].table));
		for (int op = 0; op <= AMPSF_UPSERT; op++)
		{
			if (xact.tallies[i].rows[op] == 0)
				continue;
			appendStringInfo(&buf, "%s" INT64_FORMAT " %s", first ? "" : ", ",
							 xact.tallies[i].rows[op], done[op]);
			first = false;
		}
	}
	appendStringInfoString(&buf, xact.ntallies == MAX_TALLIES ? "; ..." : ".");
	return buf.data;
}

static void
warn(int64 rows, bool sub)
{
	MemoryContext cxt =
		AllocSetContextCreate(CurrentMemoryContext, "ampsf warning", ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);

	ereport(WARNING,
			(errmsg(INT64_FORMAT " %s written to Salesforce %s written though the %s rolled back",
					rows, rows == 1 ? "row" : "rows", rows == 1 ? "stays" : "stay",
					sub ? "subtransaction is" : "transaction is"),
			 sub ? 0
				 : errdetail_internal(
					   "%s%s", what_was_written(),
					   xact.sent_all ? " The commit failed after Salesforce had made the changes."
									 : ""),
			 xact.sent_all
				 ? 0
				 : errhint("Option write_at 'commit' of a table keeps its changes back until the "
						   "transaction commits.")));
	MemoryContextSwitchTo(old);
	MemoryContextDelete(cxt);
}

/* -------- the commit -------- */

/* What an error under way was about. */
static void
commit_context(void *arg)
{
	errcontext("commit of " INT64_FORMAT " %s that waited for it (write_at 'commit')",
			   ampsf_queue_changes(), ampsf_queue_changes() == 1 ? "change" : "changes");
}

static const char *
state_of_rest(int64 before)
{
	if (before == 0)
		return "Nothing of the transaction was written to Salesforce.";
	return psprintf(INT64_FORMAT " earlier %s of the transaction %s made and %s.", before,
					before == 1 ? "change" : "changes", before == 1 ? "was" : "were",
					before == 1 ? "stays" : "stay");
}

static void
throw_refusal(const AmpsfQueued *change, int64 position, int64 before,
			  const AmpsfGraphRefusal *refusal)
{
	AmpsfApiError err = {
		.code = refusal->code, .message = refusal->message, .fields = refusal->fields};
	const AmpsfQueueTarget *t = change->target;
	const char *hint = ampsf_error_hint(&err);
	StringInfoData detail;

	if (t->op == AMPSF_UPDATE && refusal->fields == NULL &&
		(change->flags & AMPSF_ROW_REFERS) == 0 &&
		(strcmp(refusal->code, "ENTITY_IS_DELETED") == 0 ||
		 strcmp(refusal->code, "NOT_FOUND") == 0))
		ereport(
			ERROR,
			(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
			 errmsg("row to be updated (Id %s) in foreign table \"%s\" no longer existed at commit",
					change->id, t->table),
			 errdetail_internal("%s", state_of_rest(before)),
			 errhint("The transaction can be repeated.")));
	ampsf_xact_told(before);
	initStringInfo(&detail);
	appendStringInfoString(&detail, ampsf_clean_text(refusal->code, strlen(refusal->code)));
	if (refusal->message != NULL)
		appendStringInfo(&detail, ": %s",
						 ampsf_clean_text(refusal->message, strlen(refusal->message)));
	if (refusal->fields != NULL)
		appendStringInfo(&detail, " (fields: %s)",
						 ampsf_clean_text(refusal->fields, strlen(refusal->fields)));
	appendStringInfo(&detail,
					 "\nIt was change " INT64_FORMAT " of " INT64_FORMAT ", row " INT64_FORMAT
					 " of its statement. %s",
					 position, ampsf_queue_changes(), change->number, state_of_rest(before));
	ereport(ERROR,
			(errcode(ampsf_error_sqlstate(&err)),
			 t->op == AMPSF_UPDATE
				 ? errmsg("could not update a row (Id %s) of foreign table \"%s\" at commit",
						  change->id, t->table)
			 : t->op == AMPSF_DELETE
				 ? errmsg("could not delete a row (Id %s) from foreign table \"%s\" at commit",
						  change->id, t->table)
				 : errmsg("could not insert a row into foreign table \"%s\" at commit", t->table),
			 errdetail_internal("%s", detail.data), hint != NULL ? errhint("%s", hint) : 0));
}

/* The change at that position, from 1, is what was refused. */
static void
throw_change(int64 position, int64 before, const AmpsfGraphRefusal *refusal)
{
	AmpsfQueued change = {0};

	ampsf_queue_rewind();
	for (int64 i = 0; i < position; i++)
		(void) ampsf_queue_next(&change);
	throw_refusal(&change, position, before, refusal);
}

/* One graph of changes that follow each other in the queue. */
typedef struct Sending
{
	AmpsfGraph *graph;
	AmpsfStats stats;
	int n;
	const AmpsfQueueTarget *targets[AMPSF_MAX_GRAPH]; /* of each change */
	int64 numbers[AMPSF_MAX_GRAPH];
	AmpsfWriteErrors *logs[AMPSF_MAX_GRAPH]; /* at the first change of each target */
} Sending;

/* While the catalogs can be read. */
static void
open_log(Sending *s, MemoryContext cxt)
{
	const AmpsfQueueTarget *t = s->targets[s->n - 1];
	AmpsfWriteErrorHead head = {0};

	s->logs[s->n - 1] = NULL;
	for (int i = 0; i < s->n - 1; i++)
		if (s->targets[i] == t)
			return;
	head.server = GetForeignServer(t->serverid)->servername;
	head.relation = t->relation;
	head.object = t->object;
	head.operation = ampsf_write_verb(t->op);
	s->logs[s->n - 1] = ampsf_write_errors_open(&head, cxt);
}

/* The changes of which nobody knows go into ampsf.write_error. */
static void
keep_doubts(Sending *s)
{
	AmpsfWriteResult *results = palloc(sizeof(AmpsfWriteResult) * s->n);

	for (int first = 0; first < s->n; first++)
	{
		int n = 0;

		if (s->logs[first] == NULL)
			continue;
		for (int i = first; i < s->n; i++)
		{
			AmpsfWriteResult *res = &results[n];
			AmpsfGraphNode node;

			if (s->targets[i] != s->targets[first])
				continue;
			ampsf_graph_change(s->graph, i, &node);
			memset(res, 0, sizeof(*res));
			res->number = s->numbers[i];
			res->outcome = AMPSF_IN_DOUBT;
			if (node.id != NULL)
				strlcpy(res->id, node.id, sizeof(res->id));
			res->row = node.op == AMPSF_DELETE ? NULL : node.fields;
			res->row_len = node.len;
			n++;
		}
		(void) ampsf_write_errors_keep(s->logs[first], results, n, NULL);
	}
}

/* position: changes before the graph's. */
static void
send_graph(Sending *s, int64 position)
{
	AmpsfGraphRefusal refusal;
	volatile bool done = false;

	xact.sent = true;
	PG_TRY();
	{
		done = ampsf_graph_send(s->graph, &refusal);
	}
	PG_CATCH();
	{
		if (ampsf_graph_in_doubt(s->graph))
			keep_doubts(s);
		PG_RE_THROW();
	}
	PG_END_TRY();
	if (done)
		return;
	if (refusal.node >= 0)
		throw_change(position + refusal.node + 1, xact.written, &refusal);
	else
	{
		AmpsfApiError err = {.http = refusal.status,
							 .code = refusal.code,
							 .message = refusal.message,
							 .fields = refusal.fields};

		ampsf_error_throw(&err, "write the changes of the transaction", NULL);
	}
}

/* Sends all that waits, in as few graphs as that takes; with commit_overflow 'refuse' in one. */
static void
send_queue(void)
{
	MemoryContext cxt =
		AllocSetContextCreate(TopTransactionContext, "ampsf commit", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);
	ErrorContextCallback errcb = {error_context_stack, commit_context, NULL};
	AmpsfQueued change;
	int64 position = 0;
	bool more;

	error_context_stack = &errcb;
	ampsf_queue_rewind();
	more = ampsf_queue_next(&change);
	while (more)
	{
		Oid serverid = change.target->serverid, userid = change.target->userid;
		AmpsfSession *session = ampsf_session_get(serverid, userid);
		Sending *s = palloc0(sizeof(Sending));

		s->graph = ampsf_graph_open(session, &s->stats);
		while (more && change.target->serverid == serverid && change.target->userid == userid &&
			   ampsf_graph_has_room(s->graph, change.target->op, change.target->object))
		{
			const AmpsfQueueTarget *t = change.target;
			AmpsfGraphNode node = {0};

			node.op = t->op;
			node.object = t->object;
			node.key = t->key;
			node.id = change.id[0] ? change.id : NULL;
			node.fields = change.fields;
			node.len = change.len;
			node.headers = t->headers;
			ampsf_graph_add(s->graph, &node);
			s->targets[s->n] = t;
			s->numbers[s->n++] = change.number;
			open_log(s, cxt);
			more = ampsf_queue_next(&change);
		}
		send_graph(s, position);
		position += s->n;
		xact.written += s->stats.rows;
		for (int i = 0; i < s->n; i++)
			tally(s->targets[i]->table, s->targets[i]->op, 1);
		ampsf_session_count(session, &(AmpsfStats){.rows = s->stats.rows});
		MemoryContextReset(cxt);
	}
	xact.sent_all = true;
	error_context_stack = errcb.previous;
	MemoryContextSwitchTo(old);
	MemoryContextDelete(cxt);
}

/* -------- callbacks -------- */

static void
refuse_prepare(void)
{
	if (xact.sent)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot PREPARE a transaction that has written to Salesforce"),
				 errdetail("What was written is in effect already and cannot be rolled back.")));
	if (ampsf_queue_changes() > 0)
		ereport(
			ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("cannot PREPARE a transaction that will write to Salesforce when it commits"),
			 errdetail("Salesforce cannot promise that a later COMMIT PREPARED will succeed.")));
}

static void
xact_event(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_PREPARE:
			refuse_prepare();
			ampsf_queue_close();
			break;
		case XACT_EVENT_PRE_COMMIT:
			if (ampsf_queue_changes() > 0)
				send_queue();
			ampsf_queue_close();
			break;
		case XACT_EVENT_ABORT:
			settle_from(0);
			if (xact.written > xact.told)
				warn(xact.written, false);
			forget();
			break;
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_PREPARE:
			forget();
			break;
		default:
			break;
	}
}

static void
subxact_event(SubXactEvent event, SubTransactionId id, SubTransactionId parent, void *arg)
{
	int level = GetCurrentTransactionNestLevel();
	Frame *frame;

	if (event != SUBXACT_EVENT_COMMIT_SUB && event != SUBXACT_EVENT_ABORT_SUB)
		return;
	if (xact.nframes == 0)
		return;
	settle_from(level);
	frame = &xact.frames[xact.nframes - 1];
	if (event == SUBXACT_EVENT_ABORT_SUB)
		xact.told = 0; /* somebody has caught the error */
	if (frame->level < level)
		return;
	if (event == SUBXACT_EVENT_COMMIT_SUB)
	{
		/* It becomes part of the one around it, or all of that one. */
		if (xact.nframes > 1 && frame[-1].level == level - 1)
		{
			frame[-1].written += frame->written;
			xact.nframes--;
		}
		else
			frame->level = level - 1;
		return;
	}
	ampsf_queue_cut(&frame->mark);
	xact.nframes--;
	if (frame->written > 0 && !xact.warned)
	{
		xact.warned = true;
		warn(frame->written, true);
	}
}

void
ampsf_xact_init(void)
{
	ampsf_queue_init(join);
	RegisterXactCallback(xact_event, NULL);
	RegisterSubXactCallback(subxact_event, NULL);
}
