/*
 * channel.c - ampsf.channel_call(): the objects of the Tooling API of which a channel of change
 * events is made, and what else a subscription asks of the org.
 *
 * What is made in the org follows the transaction: should it, or the savepoint, be rolled back, it
 * is removed again, as far as the org can be reached; the next subscription looks for what was
 * left. Must not know: subscriptions, which are SQL in the extension's script.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_proc.h"
#include "fmgr.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/catcache.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "base/ampsf.h"
#include "functions/server_arg.h"
#include "net/session.h"
#include "org/describe.h"
#include "org/limits.h"
#include "wire/text.h"

PG_FUNCTION_INFO_V1(ampsf_sql_channel_call);

/* How long a rollback waits for each of what it removes, milliseconds. */
#define REMOVE_TIMEOUT 5000

/* -------- what is removed should the transaction not be committed -------- */

typedef struct Made
{
	struct Made *next; /* older */
	AmpsfSession *session;
	int level; /* of the transaction that it belongs to */
	char *path;
} Made;

static Made *made = NULL; /* in TopMemoryContext, which a rollback leaves alone */

static void
forget(Made *m)
{
	ampsf_session_release(m->session);
	pfree(m->path);
	pfree(m);
}

/* No error leaves this: a transaction is being rolled back. */
static void
remove_from_org(const Made *m)
{
	MemoryContext cxt =
		AllocSetContextCreate(TopMemoryContext, "ampsf removal", ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);

	PG_TRY();
	{
		AmpsfCallSpec spec = {0};
		AmpsfCall *call;

		spec.method = "DELETE";
		spec.path = m->path;
		spec.once = true;
		spec.timeout = REMOVE_TIMEOUT;
		spec.beyond_budget = true;
		call = ampsf_call_start(m->session, &spec, cxt);
		while (!ampsf_call_poll(call))
			ampsf_call_sleep();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(cxt);
		FlushErrorState();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);
	MemoryContextDelete(cxt);
}

/* Removes what is of that level or a deeper one, the newest first. */
static void
remove_from(int level)
{
	while (made && made->level >= level)
	{
		Made *m = made;

		made = m->next;
		/* A process that ends must not meet an error. */
		if (!proc_exit_inprogress)
			remove_from_org(m);
		forget(m);
	}
}

static void
xact_event(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_ABORT)
		remove_from(0);
	else if (event == XACT_EVENT_COMMIT)
		while (made)
		{
			Made *m = made;

			made = m->next;
			forget(m);
		}
	else if (event == XACT_EVENT_PRE_PREPARE && made)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("cannot prepare a transaction that has made a channel in the org")));
}

static void
subxact_event(SubXactEvent event, SubTransactionId id, SubTransactionId parent, void *arg)
{
	int level = GetCurrentTransactionNestLevel();

	if (event == SUBXACT_EVENT_ABORT_SUB)
		remove_from(level);
	else if (event == SUBXACT_EVENT_COMMIT_SUB)
		for (Made *m = made; m && m->level >= level; m = m->next)
			m->level = level - 1;
}

static void
remember(AmpsfSession *session, const char *path)
{
	static bool registered = false;
	Made *m;

	if (!registered)
	{
		RegisterXactCallback(xact_event, NULL);
		RegisterSubXactCallback(subxact_event, NULL);
		registered = true;
	}
	m = MemoryContextAllocZero(TopMemoryContext, sizeof(Made));
	m->path = MemoryContextStrdup(TopMemoryContext, path);
	m->session = session;
	m->level = GetCurrentTransactionNestLevel();
	ampsf_session_hold(session);
	m->next = made;
	made = m;
}

/* -------- calls -------- */

/* The org's channels are for whoever may subscribe. */
static void
check_caller(Oid self)
{
	Oid space = get_func_namespace(self);
	CatCList *list = SearchSysCacheList1(PROCNAMEARGSNSP, CStringGetDatum("subscribe"));
	bool allowed = false;

	for (int i = 0; i < list->n_members; i++)
	{
		Form_pg_proc proc = (Form_pg_proc) GETSTRUCT(&list->members[i]->tuple);

		if (proc->pronamespace == space &&
			DatumGetBool(DirectFunctionCall2(has_function_privilege_id, ObjectIdGetDatum(proc->oid),
											 CStringGetTextDatum("EXECUTE"))))
			allowed = true;
	}
	ReleaseSysCacheList(list);
	if (!allowed)
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("permission denied for function subscribe"),
						errhint("GRANT EXECUTE ON FUNCTION ampsf.subscribe TO the role.")));
}

static const char *
url_quoted(const char *text)
{
	size_t len = ampsf_quote_url(text, strlen(text), NULL);
	char *out = palloc(len + 1);

	ampsf_quote_url(text, strlen(text), out);
	out[len] = '\0';
	return out;
}

/* A text, or the pattern of those that begin so: an underscore stands for any character there. */
static const char *
soql_quoted(const char *text, bool begins)
{
	const char *value = begins ? psprintf("%s%%", text) : text;
	size_t len = begins ? ampsf_quote_soql_like(value, strlen(value), NULL)
						: ampsf_quote_soql(value, strlen(value), NULL);
	char *out = palloc(len + 1);

	if (begins)
		ampsf_quote_soql_like(value, strlen(value), out);
	else
		ampsf_quote_soql(value, strlen(value), out);
	out[len] = '\0';
	return out;
}

static Datum
json_datum(const char *text, size_t len)
{
	return DirectFunctionCall1(
		jsonb_in, CStringGetDatum(pg_any_to_server(pnstrdup(text, len), len, PG_UTF8)));
}

static const char *
string_json(const char *s)
{
	size_t len = ampsf_quote_json(s, strlen(s), NULL);
	char *out = palloc(len + 1);

	ampsf_quote_json(s, strlen(s), out);
	out[len] = '\0';
	return out;
}

/* One call of the Tooling API; its answer as it is, whatever the status. */
static int
tooling(AmpsfSession *session, const char *method, const char *path, Jsonb *body, Datum *answer,
		bool *isnull)
{
	AmpsfCallSpec spec = {0};
	AmpsfCall *call;
	const char *text;
	size_t len;
	int status;

	spec.method = method;
	spec.path = path;
	if (body)
	{
		char *json = JsonbToCString(NULL, &body->root, VARSIZE(body));

		spec.body = pg_server_to_any(json, strlen(json), PG_UTF8);
		spec.body_len = strlen(spec.body);
	}
	/* To remove something twice is to remove it. */
	spec.idempotent = strcmp(method, "POST") != 0;
	spec.usage = ampsf_session_usage(session, NULL, "events");
	call = ampsf_call_start(session, &spec, CurrentMemoryContext);
	ampsf_call_wait(call);
	status = ampsf_call_status(call);
	if (status == 0 || status == 401 || status >= 500)
		ampsf_call_throw(call, "change the channels of the org", NULL);
	text = ampsf_call_body(call, &len);
	*isnull = len == 0;
	if (len > 0 && !ampsf_json_parse(text, len, CurrentMemoryContext))
		ereport(ERROR,
				(errcode(ERRCODE_FDW_UNABLE_TO_CREATE_REPLY),
				 errmsg("could not change the channels of the org"),
				 errdetail("The answer, of status %d, is not JSON (%zu bytes).", status, len)));
	if (len > 0)
		*answer = json_datum(text, len);
	ampsf_call_free(call);
	return status;
}

static int
create(AmpsfSession *session, const char *kind, Jsonb *body, Datum *answer, bool *isnull)
{
	int status =
		tooling(session, "POST", psprintf("tooling/sobjects/%s", kind), body, answer, isnull);
	JsonbValue *id;
	JsonbValue buf;

	if (status < 200 || status > 299 || *isnull || !JB_ROOT_IS_OBJECT(DatumGetJsonbP(*answer)))
		return status;
	id = getKeyJsonValueFromContainer(&DatumGetJsonbP(*answer)->root, "id", 2, &buf);
	if (id && id->type == jbvString)
		remember(session, psprintf("tooling/sobjects/%s/%s", kind,
								   url_quoted(pnstrdup(id->val.string.val, id->val.string.len))));
	return status;
}

static const AmpsfObject *
find_object(AmpsfSession *session, const char *name)
{
	ListCell *lc;

	foreach (lc, ampsf_describe_global(session))
	{
		AmpsfObject *object = lfirst(lc);

		if (pg_strcasecmp(object->name, name) == 0)
			return object;
	}
	return NULL;
}

static int
run(AmpsfSession *session, const char *operation, const char *kind, const char *key, Jsonb *body,
	Datum *answer, bool *isnull)
{
	if (strcmp(operation, "create") == 0 && body)
		return create(session, kind, body, answer, isnull);
	if (key == NULL)
		elog(ERROR, "no key");
	if (strcmp(operation, "delete") == 0)
		return tooling(session, "DELETE", psprintf("tooling/sobjects/%s/%s", kind, url_quoted(key)),
					   NULL, answer, isnull);
	if (strcmp(operation, "read") == 0)
		return tooling(session, "GET", psprintf("tooling/sobjects/%s/%s", kind, url_quoted(key)),
					   NULL, answer, isnull);
	if (strcmp(operation, "find") == 0 || strcmp(operation, "like") == 0)
	{
		bool begins = operation[0] == 'l';

		return tooling(session, "GET",
					   psprintf("tooling/query?q=%s",
								url_quoted(psprintf(
									"SELECT Id, DeveloperName FROM %s WHERE DeveloperName %s %s",
									kind, begins ? "LIKE" : "=", soql_quoted(key, begins)))),
					   NULL, answer, isnull);
	}
	elog(ERROR, "unknown operation \"%s\"", operation);
	return 0;
}

/*
 * check: may the server be asked at all?  object: an object's name as the org writes it.  limit:
 * one of the org's limits.  create, read, delete, find (by name) and like (whose names begin so)
 * are of the Tooling API.
 */
Datum
ampsf_sql_channel_call(PG_FUNCTION_ARGS)
{
	static const char *const kinds[] = {"PlatformEventChannel", "PlatformEventChannelMember"};
	TupleDesc desc;
	Datum values[2] = {Int32GetDatum(200), (Datum) 0};
	bool nulls[2] = {false, true};
	ForeignServer *server;
	AmpsfServerOptions *options;
	AmpsfSession *session;
	const char *operation;
	const char *kind = NULL;
	const char *key = PG_ARGISNULL(3) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(3));

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		elog(ERROR, "no server, or no operation");
	check_caller(fcinfo->flinfo->fn_oid);
	operation = text_to_cstring(PG_GETARG_TEXT_PP(1));
	PreventCommandIfReadOnly(strcmp(operation, "delete") == 0 ? "ampsf.unsubscribe()"
															  : "ampsf.subscribe()");
	server = ampsf_server_arg(NameStr(*PG_GETARG_NAME(0)));
	options = ampsf_server_options(server);
	if (options->ampersand)
		ereport(
			ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("server \"%s\" is reached through Ampersand, which has change events of its "
					"own",
					server->servername),
			 errhint("Ampersand's Subscribe action sends them: see ampsf.manifest() and "
					 "ampsf.webhook().")));
	if (options->engagement)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("server \"%s\" is one of Account Engagement, which has no change events",
						server->servername)));
	session = ampsf_session_get(server->serverid, GetUserId());

	if (!PG_ARGISNULL(2))
	{
		char *wanted = text_to_cstring(PG_GETARG_TEXT_PP(2));

		for (size_t i = 0; i < lengthof(kinds); i++)
			if (strcmp(wanted, kinds[i]) == 0)
				kind = kinds[i];
	}
	if (strcmp(operation, "check") == 0)
		;
	else if (strcmp(operation, "object") == 0 && key)
	{
		const AmpsfObject *object = find_object(session, key);

		nulls[1] = object == NULL;
		if (object)
			values[1] = json_datum(string_json(object->name), strlen(string_json(object->name)));
	}
	else if (strcmp(operation, "limit") == 0 && key)
	{
		AmpsfJson *limit = ampsf_json_get(ampsf_limits_fetch(session), key);

		nulls[1] = limit == NULL;
		if (limit)
			values[1] = json_datum(ampsf_json_print(limit), strlen(ampsf_json_print(limit)));
	}
	else if (kind)
		values[0] = Int32GetDatum(run(session, operation, kind, key,
									  PG_ARGISNULL(4) ? NULL : PG_GETARG_JSONB_P(4), &values[1],
									  &nulls[1]));
	else
		elog(ERROR, "unknown operation \"%s\"", operation);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}
