/*
 * rest_query.c - a SOQL query over REST, page by page; implements row_source.h.
 *
 * A page is handed out only when it has arrived as a whole, so the call that fetches it can be
 * repeated. While one page is read the next is on its way: two pages of memory at most, however
 * long the result. Where the page after it is stands at its start: who waits for the rest of a page
 * has asked for the next already. An end that is not announced as the end, or comes at the wrong
 * count of rows, is an error.
 *
 * Where several processes share the result, each reads the pages that it claims, see page_chain.h.
 * Must not know: PostgreSQL's executor, what the fields mean.
 */
#include "org/row_source.h"

#include <ctype.h>

#include "base/error.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "net/usage.h"
#include "org/page_chain.h"
#include "utils/memutils.h"
#include "wire/json_member.h"
#include "wire/soql_object.h"
#include "wire/text.h"
#include "wire/utf8.h"

/* Rows of a page that Salesforce makes when nothing else is asked for. */
#define DEFAULT_PAGE_SIZE 2000
/*
 * The page that is on its way moves only while somebody drives the network: once in so many rows of
 * the page that is being read.
 */
#define ROWS_A_DRIVE 25
/*
 * A query whose address is longer goes into the body of a composite request.  The limit is 16,384
 * bytes together with the headers.
 */
#define ADDRESS_MAX 15000

typedef struct RestQuery
{
	AmpsfRowSource src; /* first: the rest of the world sees this */
	MemoryContext cxt;
	MemoryContextCallback on_reset;
	AmpsfSession *session;
	AmpsfStats *stats;
	AmpsfUsage *usage;
	char *soql;
	bool all_rows;
	int page_size;
	int64 limit;
	int max_pages;
	bool *too_many_groups;
	int nfields;
	AmpsfShare *share; /* NULL: all pages are ours */

	AmpsfJsonScan *scan; /* of the page that is being read */
	AmpsfJsonScan *head; /* what a page says before its records */
	AmpsfCall *page;	 /* its call; NULL: none is being read */
	AmpsfCall *next;	 /* the call for the page after it; NULL: not asked for yet */
	bool next_composite; /* it is a query within a composite request */
	bool next_first;	 /* it is the query, and not a page of its result */
	bool next_seen;		 /* it has told where the page after it is, or that there is none */
	AmpsfCall *after;	 /* the call for that one; NULL: not asked for yet */
	const char *text;	 /* of the page */
	size_t len, pos;
	bool page_done;		/* all of it has been read */
	int page_no;		/* of the page that is being read, from 1 */
	int64 page_rows;	/* rows given from it */
	int64 earlier_rows; /* rows of the pages before it */
	int64 last_page;	/* rows of the page before it */
	int64 counted;		/* rows that the statistics know of: a rewind reads some again */
	AmpsfValue *peeked; /* a record that poll() has read ahead */
	bool has_peeked;
	bool at_end;
} RestQuery;

static void
forget_query(void *arg)
{
	RestQuery *q = arg;

	ampsf_json_scan_free(q->scan);
	ampsf_json_scan_free(q->head);
	q->scan = q->head = NULL;
}

static void
throw_reply(RestQuery *q, const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_FDW_UNABLE_TO_CREATE_REPLY),
			 errmsg("could not read query result from Salesforce"),
			 errdetail("Page %d: %s.", q->page_no, detail),
			 errcontext("SOQL: %.*s", pg_mbcliplen(q->soql, strlen(q->soql), 4000), q->soql)));
}

/* -------- asking -------- */

/* SOQL is UTF-8 on the wire, whatever the database's encoding. */
static char *
to_wire(const char *soql)
{
	return pg_server_to_any(soql, strlen(soql), PG_UTF8);
}

static void
append_json(StringInfo buf, const char *s)
{
	size_t len = strlen(s);

	enlargeStringInfo(buf, ampsf_quote_json(s, len, NULL));
	buf->len += ampsf_quote_json(s, len, buf->data + buf->len);
	buf->data[buf->len] = '\0';
}

/* The query as the only subrequest of a composite request. */
static char *
composite_body(RestQuery *q, const char *path)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfoString(&buf, "{\"compositeRequest\":[{\"method\":\"GET\",\"url\":");
	append_json(&buf, psprintf("/services/data/v%s/%s", ampsf_session_version(q->session), path));
	if (q->page_size > 0)
		appendStringInfo(&buf, ",\"httpHeaders\":{\"Sforce-Query-Options\":\"batchSize=%d\"}",
						 q->page_size);
	appendStringInfoString(&buf, ",\"referenceId\":\"q\"}]}");
	return buf.data;
}

/* Asks for a page: the first with the query, a later one by the address that the one before gave.
 */
static AmpsfCall *
send_request(RestQuery *q, const char *next_url)
{
	MemoryContext tmp = AllocSetContextCreate(q->cxt, "ampsf query text", ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(tmp);
	AmpsfCallSpec spec = {0};
	AmpsfCall *call;
	const char *headers[2] = {NULL, NULL};

	if (q->page_size > 0)
		headers[0] = psprintf("Sforce-Query-Options: batchSize=%d", q->page_size);
	spec.method = "GET";
	spec.headers = headers;
	spec.idempotent = true;
	/* The query itself, if it must be repeated, has another result. */
	spec.early = next_url != NULL;
	spec.stats = q->stats;
	spec.usage = q->usage;
	if (next_url)
		spec.path = next_url;
	else
	{
		char *soql = to_wire(q->soql);
		size_t len = strlen(soql);
		StringInfoData path;

		initStringInfo(&path);
		appendStringInfo(&path, "%s?q=", q->all_rows ? "queryAll" : "query");
		enlargeStringInfo(&path, ampsf_quote_url(soql, len, NULL));
		path.len += ampsf_quote_url(soql, len, path.data + path.len);
		path.data[path.len] = '\0';
		spec.path = path.data;
		if (path.len + strlen(ampsf_session_instance_url(q->session)) > ADDRESS_MAX)
		{
			q->next_composite = true;
			spec.method = "POST";
			spec.path = "composite";
			spec.body = composite_body(q, path.data);
			spec.body_len = strlen(spec.body);
			spec.headers = NULL;
		}
	}
	call = ampsf_call_start(q->session, &spec, q->cxt);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(tmp);
	return call;
}

static void
ask(RestQuery *q, const char *next_url)
{
	q->next_composite = q->next_seen = false;
	q->next_first = next_url == NULL;
	q->next = send_request(q, next_url);
}

/* Asks for a page that nobody else reads; false if there is none left. */
static bool
ask_shared(RestQuery *q)
{
	if (!ampsf_share_claim(q->share))
		return false;
	ask(q, q->share->first ? NULL : q->share->address);
	return true;
}

/* The first request that this process sends; false if others have asked for all there is. */
static bool
begin(RestQuery *q)
{
	if (q->page || q->next || q->at_end)
		return true;
	if (q->share)
		return ask_shared(q);
	ask(q, NULL);
	return true;
}

/* Rows that the page that is being read may have. */
static int64
guess_page(RestQuery *q)
{
	return q->last_page > 0 ? q->last_page : q->page_size > 0 ? q->page_size : DEFAULT_PAGE_SIZE;
}

/* Is the page that is being read the last that the reader wants? */
static bool
is_last_wanted(const RestQuery *q)
{
	return q->max_pages > 0 && q->page_no >= q->max_pages;
}

/* Is the page after this one worth asking for before it is needed? */
static bool
will_need_next(RestQuery *q)
{
	return !is_last_wanted(q) && (q->limit < 0 || q->earlier_rows + guess_page(q) < q->limit);
}

/* The same, of the page after the next. */
static bool
will_need_after(RestQuery *q)
{
	return !(q->max_pages > 0 && q->page_no + 1 >= q->max_pages) &&
		   (q->limit < 0 || q->earlier_rows + q->page_rows + guess_page(q) < q->limit);
}

/* -------- taking a page -------- */

/*
 * Is it the answer to a query with more groups than fit into a page, and does the reader know what
 * to do?  Then the query ends without rows.
 */
static bool
ends_for_groups(RestQuery *q, int status, const char *body, size_t len)
{
	AmpsfApiError err;

	if (!q->too_many_groups || status != 400)
		return false;
	ampsf_error_parse(status, body, len, &err);
	if (!err.code || (strcmp(err.code, "EXCEEDED_ID_LIMIT") != 0 &&
					  (strcmp(err.code, "MALFORMED_QUERY") != 0 || !err.message ||
					   !strstr(err.message, "queryMore"))))
		return false;
	*q->too_many_groups = true;
	q->at_end = true;
	return true;
}

/* Finds the page within the answer of a composite request; its subrequest's error is ours. */
static void
unwrap(RestQuery *q)
{
	const char *end = q->text + q->len;
	const char *list, *body, *status_text;
	size_t list_len, body_len, status_len;
	int status;

	if (!ampsf_json_member(q->text, end, "compositeResponse", &list, &list_len) || list_len < 2 ||
		*list != '[')
		throw_reply(q, "there is no compositeResponse in it");
	if (!ampsf_json_member(list + 1, list + list_len, "httpStatusCode", &status_text,
						   &status_len) ||
		!ampsf_json_member(list + 1, list + list_len, "body", &body, &body_len))
		throw_reply(q, "there is no body and status in the compositeResponse");
	status = atoi(status_text);
	if (status < 200 || status > 299)
	{
		AmpsfApiError err;

		if (ends_for_groups(q, status, body, body_len))
			return;
		ampsf_error_parse(status, body, body_len, &err);
		ampsf_error_throw(&err, "run query", q->soql);
	}
	q->text = body;
	q->len = body_len;
}

/*
 * What a page says of itself, of which len bytes have come; false if it has not said it yet.  Most
 * likely it stands before the records.
 */
static bool
read_head(RestQuery *q, const char *text, size_t len, bool whole)
{
	size_t pos = 0;
	AmpsfValue none;

	ampsf_json_scan_reset(q->head);
	for (;;)
	{
		AmpsfJsonResult r = ampsf_json_scan_next(q->head, text, len, &pos, whole, &none);

		if (ampsf_json_scan_next_url(q->head) || ampsf_json_scan_done(q->head))
			return true;
		if (r != AMPSF_JSON_RECORD || !whole)
			return false;
	}
}

static void
check_url(RestQuery *q, const char *url)
{
	if (url[0] != '/')
		throw_reply(q, "nextRecordsUrl is not a path");
}

/*
 * Has the next page come?  If not, and all rows before it have been given, what it says of the page
 * after it is made use of.
 */
static bool
look_at_next(RestQuery *q)
{
	const char *url, *text;
	size_t len;

	if (ampsf_call_look(q->next))
		return true;
	if (q->next_first || q->next_seen || q->page || !ampsf_call_begun(q->next))
		return false;
	text = ampsf_call_part(q->next, &len);
	if (!read_head(q, text, len, false))
		return false;
	q->next_seen = true;
	url = ampsf_json_scan_next_url(q->head);
	if (url)
		check_url(q, url);
	if (q->share)
		ampsf_share_tell(q->share, url);
	else if (url && will_need_after(q))
		q->after = send_request(q, url);
	return false;
}

/* Waits for the next page; false if it is wanted no longer. */
static bool
await_next(RestQuery *q)
{
	for (;;)
	{
		ampsf_call_drive();
		if (look_at_next(q))
			return true;
		if (q->share && ampsf_share_is_closed(q->share))
			return false;
		ampsf_call_sleep();
	}
}

/* The page that was asked for has come: from now on it is read. */
static void
take_page(RestQuery *q)
{
	AmpsfCall *call = q->next;
	const char *type;
	int status = ampsf_call_status(call);
	const AmpsfStats arrived = {.pages = 1};

	if (status < 200 || status > 299)
	{
		q->text = ampsf_call_body(call, &q->len);
		if (ends_for_groups(q, status, q->text, q->len))
			return;
		ampsf_call_throw(call, q->next_first ? "run query" : "read next page of query result",
						 q->soql);
	}
	q->page = call;
	q->page_done = false;
	q->next = q->after;
	q->after = NULL;
	q->page_no = q->share ? q->share->page_no : q->page_no + 1;
	q->last_page = q->page_rows;
	q->earlier_rows += q->page_rows;
	q->page_rows = 0;
	q->pos = 0;
	q->text = ampsf_call_body(call, &q->len);

	type = ampsf_call_header(call, "Content-Type");
	if (!type || pg_strncasecmp(type, "application/json", 16) != 0)
		throw_reply(q, psprintf("it is not JSON but %s",
								type ? ampsf_clean_text(type, strlen(type)) : "of unknown type"));
	if (ampsf_utf8_valid(q->text, q->len) != q->len)
		throw_reply(q, "it is not UTF-8");
	if (q->next_composite)
		unwrap(q);
	q->next_composite = q->next_first = q->next_seen = false;
	if (q->at_end)
		return;
	ampsf_json_scan_reset(q->scan);
	ampsf_session_count(q->session, &arrived);
	if (q->stats)
		q->stats->pages++;
}

/* -------- reading -------- */

/* A word of the statement outside of string literals, without case. */
static bool
has_word(const char *soql, const char *word)
{
	size_t len = strlen(word);
	bool quoted = false;
	char before = ' ';

	for (const char *p = soql; *p; before = *p++)
	{
		if (quoted && *p == '\\' && p[1])
			p++;
		else if (*p == '\'')
			quoted = !quoted;
		else if (!quoted && !isalnum((unsigned char) before) && before != '_' && before != '.' &&
				 pg_strncasecmp(p, word, len) == 0 && !isalnum((unsigned char) p[len]) &&
				 p[len] != '_')
			return true;
	}
	return false;
}

/* SELECT COUNT() FROM ...: the count is totalSize, and there are no records. */
static bool
is_bare_count(const char *soql)
{
	const char *p = soql + strspn(soql, " \t\r\n");

	if (pg_strncasecmp(p, "select", 6) != 0)
		return false;
	p += 6;
	p += strspn(p, " \t\r\n");
	if (pg_strncasecmp(p, "count", 5) != 0)
		return false;
	p += 5;
	p += strspn(p, " \t\r\n");
	if (*p != '(')
		return false;
	p++;
	return p[strspn(p, " \t\r\n")] == ')';
}

/* The last page is through: did all come that was announced? */
static void
end_query(RestQuery *q)
{
	int64 rows = q->earlier_rows + q->page_rows;

	q->at_end = true;
	/* With OFFSET it is not documented what totalSize counts. */
	if (rows != q->src.total && !is_bare_count(q->soql) && !has_word(q->soql, "offset"))
		throw_reply(q, psprintf("the result ended after " INT64_FORMAT " rows, " INT64_FORMAT
								" were announced",
								rows, q->src.total));
}

static void
count_row(RestQuery *q)
{
	const AmpsfStats read = {.rows = 1};

	q->counted++;
	ampsf_session_count(q->session, &read);
	ampsf_usage_rows(q->usage, 1);
	if (q->stats)
		q->stats->rows++;
}

/* As soon as the address of the page after this one is known. */
static void
ask_ahead(RestQuery *q, bool needed)
{
	const char *url = ampsf_json_scan_next_url(q->scan);

	if (q->share || q->next || !url)
		return;
	check_url(q, url);
	if (needed || will_need_next(q))
		ask(q, url);
}

/* Before the first row of a page is given, those who share the result hear how it goes on. */
static void
tell_others(RestQuery *q)
{
	const char *url;

	if (!read_head(q, q->text, q->len, true))
		throw_reply(q, "it is not the last, and does not say where the next is");
	if (q->share->first)
	{
		if (ampsf_json_scan_total(q->head) < 0)
			throw_reply(q, "there is no totalSize in it");
		ampsf_share_set_total(q->share, ampsf_json_scan_total(q->head));
	}
	url = ampsf_json_scan_next_url(q->head);
	if (url)
		check_url(q, url);
	ampsf_share_tell(q->share, url);
}

/* A page of a shared result is through. */
static void
end_shared_page(RestQuery *q)
{
	int64 rows, total;

	/* It was read ahead, and is empty. */
	if (q->share->claimed)
		tell_others(q);
	if (!ampsf_share_page_done(q->share, q->page_rows, &rows, &total))
		throw_reply(q, psprintf("the result ended after " INT64_FORMAT " rows, " INT64_FORMAT
								" were announced",
								rows, total));
	ampsf_call_free(q->page);
	q->page = NULL;
	if (!ask_shared(q))
		q->at_end = true;
}

/*
 * One record of the page that is being read.  False when the page is through; then either the query
 * has ended, or the next page has been asked for.
 */
static bool
read_record(RestQuery *q, AmpsfValue *values)
{
	switch (ampsf_json_scan_next(q->scan, q->text, q->len, &q->pos, true, values))
	{
		case AMPSF_JSON_RECORD:
			if (q->page_rows++ == 0 && q->src.total < 0)
				q->src.total = ampsf_json_scan_total(q->scan);
			/* Many a reader wants the first rows only: not before it has read an eighth of the
			 * page. */
			if (q->page_rows == 1 + guess_page(q) / 8)
				ask_ahead(q, false);
			if (q->earlier_rows + q->page_rows > q->counted)
				count_row(q);
			return true;
		case AMPSF_JSON_END:
			break;
		case AMPSF_JSON_MORE:
		case AMPSF_JSON_BAD:
			throw_reply(q, ampsf_json_scan_error(q->scan));
	}
	if (ampsf_json_scan_total(q->scan) < 0)
		throw_reply(q, "there is no totalSize in it");
	q->page_done = true;
	if (q->src.total < 0)
		q->src.total = ampsf_json_scan_total(q->scan);
	if (q->share)
		end_shared_page(q);
	else if (ampsf_json_scan_done(q->scan))
		end_query(q);
	else if (is_last_wanted(q))
		q->at_end = true;
	else
	{
		if (!q->next && !ampsf_json_scan_next_url(q->scan))
			throw_reply(q, "it is not the last, and does not say where the next is");
		ask_ahead(q, true);
		/* What was cut from it has been used by now. */
		ampsf_call_free(q->page);
		q->page = NULL;
	}
	return false;
}

static void
query_start(AmpsfRowSource *src)
{
	RestQuery *q = (RestQuery *) src;

	if (!q->share)
		begin(q);
}

static AmpsfSourceState
query_poll(AmpsfRowSource *src)
{
	RestQuery *q = (RestQuery *) src;

	if (!begin(q))
		return AMPSF_SOURCE_END;
	for (;;)
	{
		if (q->has_peeked)
			return AMPSF_SOURCE_READY;
		if (q->at_end)
			return AMPSF_SOURCE_END;
		if (q->page && !q->page_done && read_record(q, q->peeked))
		{
			q->has_peeked = true;
			continue;
		}
		if (q->at_end)
			return AMPSF_SOURCE_END;
		if (!look_at_next(q))
			return AMPSF_SOURCE_PENDING;
		take_page(q);
	}
}

static bool
query_next(AmpsfRowSource *src, AmpsfValue *values)
{
	RestQuery *q = (RestQuery *) src;

	if (!begin(q))
		return false;
	for (;;)
	{
		CHECK_FOR_INTERRUPTS();
		if (q->share && q->share->claimed && q->page)
			tell_others(q);
		if (q->has_peeked)
		{
			memcpy(values, q->peeked, sizeof(AmpsfValue) * q->nfields);
			q->has_peeked = false;
			return true;
		}
		if (q->at_end)
			return false;
		if (q->page && !q->page_done && read_record(q, values))
		{
			if (q->next && q->page_rows % ROWS_A_DRIVE == 1)
				(void) ampsf_call_poll(q->next);
			return true;
		}
		if (q->at_end)
			return false;
		if (!await_next(q))
			return false;
		take_page(q);
	}
}

static bool
query_rewind(AmpsfRowSource *src)
{
	RestQuery *q = (RestQuery *) src;

	if (q->share)
		return false;
	/* Nothing read yet, or still on the first page, which holds all there was so far. */
	if (q->page_no > 1 || (q->page_no == 1 && !q->page))
		return false;
	if (q->page)
	{
		q->pos = 0;
		q->page_rows = 0;
		q->has_peeked = q->at_end = q->page_done = false;
		ampsf_json_scan_reset(q->scan);
	}
	return true;
}

static void
query_close(AmpsfRowSource *src)
{
	MemoryContextDelete(((RestQuery *) src)->cxt);
}

static const AmpsfRowSourceOps query_ops = {
	.start = query_start,
	.poll = query_poll,
	.next = query_next,
	.rewind = query_rewind,
	.close = query_close,
};

AmpsfRowSource *
ampsf_rest_query(const AmpsfQuerySpec *spec)
{
	MemoryContext cxt =
		AllocSetContextCreate(CurrentMemoryContext, "ampsf REST query", ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);
	RestQuery *q = palloc0(sizeof(RestQuery));
	char object[AMPSF_USAGE_OBJECT];

	q->src.ops = &query_ops;
	q->src.total = -1;
	q->cxt = cxt;
	q->session = spec->session;
	q->stats = spec->stats;
	q->soql = pstrdup(spec->soql);
	(void) ampsf_soql_object(q->soql, object, sizeof(object));
	q->usage = ampsf_session_usage(q->session, object, "query");
	q->all_rows = spec->all_rows;
	q->page_size = spec->page_size;
	q->share = spec->share;
	q->limit = q->share ? -1 : spec->limit;
	q->max_pages = q->share ? 0 : spec->max_pages;
	q->too_many_groups = spec->too_many_groups;
	q->nfields = spec->nfields;
	q->peeked = palloc0(sizeof(AmpsfValue) * Max(spec->nfields, 1));
	q->on_reset.func = forget_query;
	q->on_reset.arg = q;
	MemoryContextRegisterResetCallback(cxt, &q->on_reset);
	q->scan = ampsf_json_scan_create(spec->fields, spec->nfields);
	q->head = ampsf_json_scan_create(NULL, 0);
	if (!q->scan || !q->head)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	MemoryContextSwitchTo(old);
	return &q->src;
}
