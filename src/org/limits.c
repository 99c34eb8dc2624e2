/*
 * limits.c - how much of the org's quota is left, and roughly how many rows an object has.
 *
 * Owns: reading /limits and /limits/recordCount, and this backend's memory of row counts.  Must not
 * know: the planner, who is counted for.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "org/json_call.h"
#include "org/limits.h"

#define COUNT_LIFETIME_MS (10 * 60 * 1000)
#define COUNT_NAME_SIZE 128
/* Salesforce takes 16,384 bytes of URL and headers together; names need no escaping. */
#define COUNT_URL_BYTES 8000
/* A backend that looks at more objects than this starts to forget. */
#define COUNT_MAX_ENTRIES 10000

typedef struct CountKey
{
	Oid serverid, userid;
	char object[COUNT_NAME_SIZE]; /* lower case, zero-filled */
} CountKey;

typedef struct CountEntry
{
	CountKey key;
	int64 rows; /* -1: the org does not count it */
	TimestampTz at;
} CountEntry;

/* In CacheMemoryContext: outlives sessions, so that planning after a disconnect still knows. */
static HTAB *counts = NULL;

AmpsfJson *
ampsf_limits_fetch(AmpsfSession *session)
{
	return ampsf_json_call(session, "limits", NULL, "read the limits of the org",
						   CurrentMemoryContext);
}

static void
make_key(CountKey *key, Oid serverid, Oid userid, const char *object)
{
	memset(key, 0, sizeof(*key));
	key->serverid = serverid;
	key->userid = userid;
	for (int i = 0; object[i] && i < COUNT_NAME_SIZE - 1; i++)
		key->object[i] = pg_ascii_tolower((unsigned char) object[i]);
}

static CountEntry *
find_fresh(Oid serverid, Oid userid, const char *object)
{
	CountKey key;
	CountEntry *entry;

	if (counts == NULL)
		return NULL;
	make_key(&key, serverid, userid, object);
	entry = hash_search(counts, &key, HASH_FIND, NULL);
	if (entry && TimestampDifferenceExceeds(entry->at, GetCurrentTimestamp(), COUNT_LIFETIME_MS))
	{
		hash_search(counts, &key, HASH_REMOVE, NULL);
		entry = NULL;
	}
	return entry;
}

void
ampsf_record_count_note(Oid serverid, Oid userid, const char *object, int64 rows)
{
	CountKey key;
	CountEntry *entry;

	if (counts && hash_get_num_entries(counts) >= COUNT_MAX_ENTRIES)
	{
		hash_destroy(counts);
		counts = NULL;
	}
	if (counts == NULL)
	{
		HASHCTL ctl = {0};

		ctl.keysize = sizeof(CountKey);
		ctl.entrysize = sizeof(CountEntry);
		ctl.hcxt = CacheMemoryContext;
		counts = hash_create("ampsf row counts", 64, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	make_key(&key, serverid, userid, object);
	entry = hash_search(counts, &key, HASH_ENTER, NULL);
	entry->rows = rows;
	entry->at = GetCurrentTimestamp();
}

int64
ampsf_record_count_cached(Oid serverid, Oid userid, const char *object)
{
	CountEntry *entry = find_fresh(serverid, userid, object);

	return entry ? entry->rows : -1;
}

/* One call for the names first..last of the list, which path already holds. */
static void
fetch_counts(AmpsfSession *session, Oid serverid, Oid userid, const char *path)
{
	MemoryContext work =
		AllocSetContextCreate(CurrentMemoryContext, "ampsf record counts", ALLOCSET_DEFAULT_SIZES);
	int status;
	AmpsfJson *doc =
		ampsf_json_call_soft(session, path, "count the rows of objects", work, &status);

	if (doc == NULL)
		ereport(DEBUG1, (errmsg_internal("limits/recordCount was refused with status %d", status)));
	else
	{
		AmpsfJson *list = ampsf_json_get(doc, "sObjects");
		int n = ampsf_json_array_length(list);

		for (int i = 0; i < n; i++)
		{
			AmpsfJson *item = ampsf_json_array_get(list, i);
			const char *name = ampsf_json_string(item, "name");
			int64 rows = ampsf_json_int(item, "count", -1);

			if (name)
				ampsf_record_count_note(serverid, userid, name, rows);
		}
	}
	MemoryContextDelete(work);
}

void
ampsf_record_counts_fetch(AmpsfSession *session, Oid serverid, Oid userid, List *objects)
{
	StringInfoData path;
	ListCell *lc;
	bool any = false;

	/* The org leaves out what it does not count; that is an answer too, and not to be asked again.
	 */
	foreach (lc, objects)
		ampsf_record_count_note(serverid, userid, lfirst(lc), -1);

	initStringInfo(&path);
	foreach (lc, objects)
	{
		appendStringInfo(&path, "%s%s",
						 any ? "," : "limits/recordCount?sObjects=", (char *) lfirst(lc));
		any = true;
		if (path.len > COUNT_URL_BYTES || lnext(objects, lc) == NULL)
		{
			fetch_counts(session, serverid, userid, path.data);
			resetStringInfo(&path);
			any = false;
		}
	}
	pfree(path.data);
}
