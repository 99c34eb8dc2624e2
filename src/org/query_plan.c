/*
 * query_plan.c - how many rows Salesforce's optimizer expects of a statement (query?explain=).
 *
 * Owns: the call, reading its answer, and this backend's memory of them.  Must not know: the
 * planner.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "org/query_plan.h"
#include "wire/json_doc.h"
#include "wire/text.h"

#define PLAN_LIFETIME_MS (10 * 60 * 1000)
/* A backend that plans more statements than this starts to forget. */
#define PLAN_MAX_ENTRIES 1000
/* A statement that makes a longer address cannot be asked about: this resource has no body. */
#define PLAN_MAX_ADDRESS 15000

typedef struct PlanKey
{
	Oid serverid, userid;
	uint64 hash[2]; /* of the statement: 128 bits do not meet by chance */
} PlanKey;

typedef struct PlanEntry
{
	PlanKey key;
	bool known;
	AmpsfQueryPlan plan;
	TimestampTz at;
} PlanEntry;

static HTAB *plans = NULL;

static PlanEntry *
enter(const PlanKey *key, bool *found)
{
	if (plans && hash_get_num_entries(plans) >= PLAN_MAX_ENTRIES)
	{
		hash_destroy(plans);
		plans = NULL;
	}
	if (plans == NULL)
	{
		HASHCTL ctl = {0};

		ctl.keysize = sizeof(PlanKey);
		ctl.entrysize = sizeof(PlanEntry);
		ctl.hcxt = CacheMemoryContext;
		plans = hash_create("ampsf query plans", 64, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	return hash_search(plans, key, HASH_ENTER, found);
}

/*
 * The plans of an answer.  Each tells how many rows its leading operation finds, of which the
 * statement gives some or all: so the least is nearest.
 */
static bool
read_plans(AmpsfJson *doc, AmpsfQueryPlan *plan)
{
	AmpsfJson *list = ampsf_json_get(doc, "plans");
	int n = ampsf_json_array_length(list);

	plan->rows = plan->objects = -1;
	for (int i = 0; i < n; i++)
	{
		AmpsfJson *one = ampsf_json_array_get(list, i);
		int64 rows = ampsf_json_int(one, "cardinality", -1);

		if (rows >= 0 && (plan->rows < 0 || rows < plan->rows))
			plan->rows = rows;
		plan->objects = Max(plan->objects, ampsf_json_int(one, "sobjectCardinality", -1));
	}
	return plan->rows >= 0;
}

static bool
ask(AmpsfSession *session, const char *soql, MemoryContext cxt, AmpsfQueryPlan *plan)
{
	char *text = pg_server_to_any(soql, strlen(soql), PG_UTF8);
	size_t len = strlen(text);
	AmpsfCallSpec spec = {0};
	StringInfoData path;
	AmpsfCall *call;
	AmpsfJson *doc = NULL;
	int status;

	initStringInfo(&path);
	appendStringInfoString(&path, "query?explain=");
	enlargeStringInfo(&path, ampsf_quote_url(text, len, NULL));
	path.len += ampsf_quote_url(text, len, path.data + path.len);
	path.data[path.len] = '\0';
	if (path.len > PLAN_MAX_ADDRESS)
		return false;

	spec.method = "GET";
	spec.path = path.data;
	/* Not worth a second try: nothing but an estimate hangs on it. */
	spec.idempotent = false;
	spec.usage = ampsf_session_usage(session, NULL, "estimate");
	call = ampsf_call_start(session, &spec, cxt);
	ampsf_call_wait(call);
	status = ampsf_call_status(call);
	if (status >= 200 && status <= 299)
	{
		const char *body = ampsf_call_body(call, &len);

		doc = ampsf_json_parse(body, len, cxt);
	}
	ampsf_call_free(call);
	if (doc && read_plans(doc, plan))
		return true;
	ereport(DEBUG1,
			(errmsg_internal("Salesforce does not explain a statement, status %d", status)));
	return false;
}

bool
ampsf_query_plan(Oid serverid, Oid userid, const char *soql, AmpsfQueryPlan *plan)
{
	size_t len = strlen(soql);
	PlanKey key;
	PlanEntry *entry;
	MemoryContext cxt, old;
	bool known, found;

	memset(&key, 0, sizeof(key));
	key.serverid = serverid;
	key.userid = userid;
	key.hash[0] = hash_bytes_extended((const unsigned char *) soql, len, 0);
	key.hash[1] = hash_bytes_extended((const unsigned char *) soql, len, 1);
	entry = plans ? hash_search(plans, &key, HASH_FIND, NULL) : NULL;
	if (entry && !TimestampDifferenceExceeds(entry->at, GetCurrentTimestamp(), PLAN_LIFETIME_MS))
	{
		*plan = entry->plan;
		return entry->known;
	}

	cxt = AllocSetContextCreate(CurrentMemoryContext, "ampsf query plan", ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(cxt);
	known = ask(ampsf_session_get(serverid, userid), soql, cxt, plan);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(cxt);

	entry = enter(&key, &found);
	entry->known = known;
	entry->plan = *plan;
	entry->at = GetCurrentTimestamp();
	return known;
}
