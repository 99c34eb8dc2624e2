/*
 * bulk_job.c - see bulk_job.h.
 *
 * A discarded job passes through up to two calls, abort and delete, that nobody waits for; before
 * them comes the answer to its creation, if that has not told its Id yet.  The
 * list of such jobs is malloc'ed: a job may be discarded while a failed statement's memory is being
 * freed, when nothing may be allocated or sent.  What was put off then begins at the end of the
 * transaction, and what is not through when the backend ends is given a moment there.
 */
#include "postgres.h"

#include "org/bulk_job.h"

#include "access/xact.h"
#include "lib/ilist.h"
#include "net/http.h"
#include "storage/ipc.h"
#include "utils/memutils.h"
#include "wire/json_doc.h"

/* Milliseconds that a backend's end may be put off. */
#define LAST_MOMENT 2000

typedef struct Discarded
{
	dlist_node node;
	AmpsfSession *session; /* held */
	char id[AMPSF_JOB_ID_SIZE];
	bool creating; /* call is the one that creates it, and there is no Id yet */
	bool ended;	   /* has been aborted or was through: to be deleted */
	bool ingest;
	bool keep; /* it is aborted only */
	bool deleting;
	MemoryContext cxt; /* of its call; NULL before the first */
	AmpsfCall *call;
} Discarded;

static dlist_head discarded = DLIST_STATIC_INIT(discarded);
static bool sweeping;

static void
forget(Discarded *d)
{
	dlist_delete(&d->node);
	if (d->cxt)
		MemoryContextDelete(d->cxt);
	ampsf_session_release(d->session);
	free(d);
}

bool
ampsf_job_id(AmpsfJson *answer, char id[AMPSF_JOB_ID_SIZE])
{
	const char *text = ampsf_json_string(answer, "id");

	if (!text || *text == '\0' || strlen(text) >= AMPSF_JOB_ID_SIZE ||
		strspn(text, "0123456789abcdefghijklmnopqrstuvwxyz"
					 "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != strlen(text))
		return false;
	strcpy(id, text);
	return true;
}

/* The call that creates it is through: is there a job? */
static bool
is_created(Discarded *d)
{
	int status = ampsf_call_status(d->call);
	size_t len;
	const char *text = ampsf_call_body(d->call, &len);
	AmpsfJson *answer = status >= 200 && status <= 299 ? ampsf_json_parse(text, len, d->cxt) : NULL;

	return answer && ampsf_job_id(answer, d->id);
}

/* One job as far as it goes without waiting. */
static void
step(Discarded *d)
{
	static const char abort_body[] = "{\"state\":\"Aborted\"}";
	AmpsfCallSpec spec = {.idempotent = true, .beyond_budget = true};
	char path[64];

	if (d->call)
	{
		if (!ampsf_call_look(d->call))
			return;
		/* A refusal to abort says that the job has ended, one to delete that it is gone. */
		if (d->deleting || d->keep || (d->creating && !is_created(d)))
		{
			forget(d);
			return;
		}
		d->ended = !d->creating;
		d->creating = false;
		ampsf_call_free(d->call);
		d->call = NULL;
	}
	if (!d->cxt)
		d->cxt =
			AllocSetContextCreate(TopMemoryContext, "ampsf discarded job", ALLOCSET_SMALL_SIZES);
	snprintf(path, sizeof(path), "jobs/%s/%s", d->ingest ? "ingest" : "query", d->id);
	spec.usage = ampsf_session_usage(d->session, NULL, "job cleanup");
	spec.path = path;
	spec.method = d->ended ? "DELETE" : "PATCH";
	if (!d->ended)
	{
		spec.body = abort_body;
		spec.body_len = strlen(abort_body);
	}
	d->deleting = d->ended;
	d->call = ampsf_call_start(d->session, &spec, d->cxt);
}

void
ampsf_bulk_sweep(void)
{
	dlist_mutable_iter iter;

	if (sweeping || dlist_is_empty(&discarded))
		return;
	sweeping = true;
	dlist_foreach_modify(iter, &discarded)
	{
		Discarded *volatile d = dlist_container(Discarded, node, iter.cur);
		MemoryContext old = CurrentMemoryContext;

		/* Out of memory or descriptors, a login that fails: the job is left to
		 * ampsf.jobs_cleanup(). */
		PG_TRY();
		{
			step(d);
		}
		PG_CATCH();
		{
			MemoryContextSwitchTo(old);
			FlushErrorState();
			forget(d);
		}
		PG_END_TRY();
	}
	sweeping = false;
}

static void
at_transaction_end(XactEvent event, void *arg)
{
	if (dlist_is_empty(&discarded))
		return;
	if (event == XACT_EVENT_ABORT || event == XACT_EVENT_COMMIT)
	{
		ampsf_call_drive();
		ampsf_bulk_sweep();
		/* So that it leaves this machine, though nobody will wait for the answer. */
		ampsf_call_drive();
	}
}

/* The last transaction has ended, and the process still has its latch. */
static void
at_exit(int code, Datum arg)
{
	AmpsfHttpAlarm alarm = {0};
	int64 end = ampsf_http_now() + LAST_MOMENT;

	if (dlist_is_empty(&discarded))
		return;
	sweeping = false;
	ampsf_http_alarm_set(&alarm, end);
	for (;;)
	{
		uint64 moves = ampsf_call_moves();

		ampsf_bulk_sweep();
		if (dlist_is_empty(&discarded) || ampsf_http_now() >= end)
			break;
		ampsf_call_drive();
		if (ampsf_call_moves() == moves)
			ampsf_call_sleep();
	}
	ampsf_http_alarm_unset(&alarm);
}

/* NULL when memory is out. */
static Discarded *
discard(AmpsfSession *session, const char *id, bool ended, bool ingest)
{
	static bool registered = false;
	Discarded *d = calloc(1, sizeof(Discarded));

	if (!d)
		return NULL;
	if (!registered)
	{
		RegisterXactCallback(at_transaction_end, NULL);
		on_shmem_exit(at_exit, (Datum) 0);
		registered = true;
	}
	d->session = session;
	ampsf_session_hold(session);
	strlcpy(d->id, id, sizeof(d->id));
	d->ended = ended;
	d->ingest = ingest;
	dlist_push_tail(&discarded, &d->node);
	return d;
}

static void
discard_created(AmpsfSession *session, AmpsfCall *call, MemoryContext cxt, bool ingest)
{
	Discarded *d = discard(session, "", false, ingest);

	if (!d)
	{
		MemoryContextDelete(cxt);
		return;
	}
	ampsf_call_disown(call);
	d->creating = true;
	d->call = call;
	d->cxt = cxt;
}

void
ampsf_bulk_discard_created(AmpsfSession *session, AmpsfCall *call, MemoryContext cxt)
{
	discard_created(session, call, cxt, false);
}

void
ampsf_ingest_discard_created(AmpsfSession *session, AmpsfCall *call, MemoryContext cxt)
{
	discard_created(session, call, cxt, true);
}

void
ampsf_bulk_discard(AmpsfSession *session, const char *id, bool ended)
{
	discard(session, id, ended, false);
}

void
ampsf_ingest_discard(AmpsfSession *session, const char *id, bool ended)
{
	discard(session, id, ended, true);
}

void
ampsf_ingest_abort(AmpsfSession *session, const char *id)
{
	Discarded *d = discard(session, id, false, true);

	if (d)
		d->keep = true;
}
