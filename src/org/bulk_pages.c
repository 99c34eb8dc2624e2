/*
 * bulk_pages.c - see bulk_pages.h.
 */
#include "postgres.h"

#include "org/bulk_pages.h"

#include "lib/stringinfo.h"
#include "org/row_source.h"
#include "utils/memutils.h"
#include "wire/json_doc.h"
#include "wire/text.h"

/* Bytes of a page that are kept for who reads slower than they come; there are four such pages. */
#define WINDOW ((size_t) 256 * 1024)
/* A list is a call and a latency of its own: two pages (an org makes them of 50,000 rows) come as
 * soon without. */
#define LISTING_PAYS 100000
/* The next list is asked for when fewer addresses are left: as many as one has. */
#define FEW_ADDRESSES 5
/* Orgs before it know no lists. */
#define OLDEST_VERSION 58

/* -------- calls -------- */

static void
append_locator(StringInfo path, const char *locator)
{
	size_t len = strlen(locator);

	appendStringInfoString(path, "?locator=");
	enlargeStringInfo(path, ampsf_quote_url(locator, len, NULL));
	path->len += ampsf_quote_url(locator, len, path->data + path->len);
	path->data[path->len] = '\0';
}

static AmpsfCall *
get(AmpsfBulkPages *p, const char *what, const char *locator, bool csv)
{
	static const char *const accept_csv[] = {"Accept: text/csv", NULL};
	StringInfoData path;
	AmpsfCallSpec spec = {0};
	AmpsfCall *call;

	initStringInfo(&path);
	appendStringInfo(&path, "jobs/query/%s/%s", p->id, what);
	if (locator)
		append_locator(&path, locator);
	spec.method = "GET";
	spec.path = path.data;
	spec.stats = p->stats;
	spec.usage = p->usage;
	if (csv)
	{
		spec.idempotent = true;
		spec.headers = accept_csv;
		spec.window = WINDOW;
	}
	/* A list is not repeated: the headers say the same sooner. */
	call = ampsf_call_start(p->session, &spec, p->cxt);
	pfree(path.data);
	return call;
}

static void
ask_page(AmpsfBulkPages *p, AmpsfBulkPage *page)
{
	page->call = get(p, "results", page->locator, true);
}

static void
drop_page(AmpsfBulkPage *page)
{
	ampsf_call_free(page->call);
	if (page->locator)
		pfree(page->locator);
	*page = (AmpsfBulkPage){NULL, NULL};
}

/* locator is ours to keep */
static void
ask_ahead(AmpsfBulkPages *p, char *locator)
{
	AmpsfBulkPage *page = &p->ahead[p->nahead];

	page->locator = locator;
	ask_page(p, page);
	p->nahead++;
}

static void
ask_listed(AmpsfBulkPages *p)
{
	char *locator = linitial(p->listed);

	p->listed = list_delete_first(p->listed);
	ask_ahead(p, locator);
}

/* -------- lists -------- */

static void
forget_lists(AmpsfBulkPages *p)
{
	p->more = false;
	ampsf_call_free(p->list);
	p->list = NULL;
	if (p->more_locator)
		pfree(p->more_locator);
	p->more_locator = NULL;
	p->unlisted = 0;
}

/* The headers are followed alone from now on; lasting: by the session's later jobs too. */
static void
give_up_lists(AmpsfBulkPages *p, const char *why, bool lasting)
{
	static const char given_up[] = "no lists";

	ereport(DEBUG1, (errmsg_internal(
						"Bulk job %s: pages are found by their headers, as the list of them %s",
						p->id, why)));
	forget_lists(p);
	if (lasting)
		*ampsf_session_slot(p->session, AMPSF_SLOT_NO_PAGE_LISTS) = (void *) given_up;
}

static void
ask_list(AmpsfBulkPages *p)
{
	p->list = get(p, "resultPages", p->more_locator, false);
}

static int
hex_digit(char c)
{
	return c >= '0' && c <= '9'	  ? c - '0'
		   : c >= 'a' && c <= 'f' ? c - 'a' + 10
		   : c >= 'A' && c <= 'F' ? c - 'A' + 10
								  : -1;
}

/* The value of a URL's only parameter; NULL if it is none. */
static char *
unquote(const char *s)
{
	char *value = palloc(strlen(s) + 1);
	char *out = value;

	for (; *s; s++)
	{
		char c = *s;

		if (c == '%')
		{
			int high = hex_digit(s[1]);
			int low = high < 0 ? -1 : hex_digit(s[2]);

			if (low < 0)
				return NULL;
			c = (char) (high << 4 | low);
			s += 2;
		}
		else if (c == '&' || c == '#')
			return NULL;
		if (c <= ' ' || c > '~')
			return NULL;
		*out++ = c;
	}
	*out = '\0';
	return out == value ? NULL : value;
}

/*
 * The locator of an address of this job, "" if it has none.  NULL: it is another address.  Only the
 * locator is taken over, so nothing that a list says leads to another host or job.
 */
static char *
locator_of(AmpsfBulkPages *p, const char *url, const char *what)
{
	const char *job =
		psprintf("/services/data/v%s/jobs/query/%s/", ampsf_session_version(p->session), p->id);

	if (!url || strncmp(url, job, strlen(job)) != 0)
		return NULL;
	url += strlen(job);
	/* Salesforce spells it in two ways. */
	if (pg_strncasecmp(url, what, strlen(what)) != 0)
		return NULL;
	url += strlen(what);
	if (*url == '\0')
		return pstrdup("");
	return strncmp(url, "?locator=", 9) == 0 ? unquote(url + 9) : NULL;
}

/* Takes over what the list says; else what is wrong with it. */
static const char *
read_list(AmpsfBulkPages *p, MemoryContext tmp)
{
	bool first = !p->more_locator;
	int skip = p->unlisted;
	List *listed = NIL;
	const char *text, *next;
	char *more = NULL;
	size_t len;
	AmpsfJson *doc, *pages;
	int n;

	text = ampsf_call_body(p->list, &len);
	doc = ampsf_json_parse(text, len, tmp);
	pages = doc ? ampsf_json_get(doc, "resultPages") : NULL;
	n = ampsf_json_array_length(pages);
	if (n == 0)
		return "names no page";
	for (int i = 0; i < n; i++)
	{
		const char *url = ampsf_json_string(ampsf_json_array_get(pages, i), "resultUrl");
		char *locator = locator_of(p, url, "results");

		if (!locator || (*locator == '\0' && !(first && i == 0)))
			return "names something else";
		listed = lappend(listed, locator);
	}
	/* The documentation calls it so and so. */
	next = ampsf_json_string(doc, "nextRecordsUrl");
	if (!next)
		next = ampsf_json_string(doc, "nextRecordUrl");
	if (next && !ampsf_json_bool(doc, "done", false))
	{
		more = locator_of(p, next, "resultpages");
		if (!more || *more == '\0')
			return "goes on somewhere else";
	}
	/* What the headers have named meanwhile was asked for: does the list name it too? */
	if (skip > 0)
	{
		const char *last = p->nahead > 0 ? p->ahead[p->nahead - 1].locator : p->page.locator;

		if (skip > n || strcmp(list_nth(listed, skip - 1), last) != 0)
			return "disagrees with the headers";
	}
	forget_lists(p);
	MemoryContextSwitchTo(p->cxt);
	for (int i = skip; i < n; i++)
		p->listed = lappend(p->listed, pstrdup(list_nth(listed, i)));
	p->more = more != NULL;
	p->more_locator = more ? pstrdup(more) : NULL;
	return NULL;
}

/* Looks at the list that was asked for, if it is there. */
static void
take_list(AmpsfBulkPages *p)
{
	MemoryContext tmp, old;
	const char *why;
	int status;

	if (likely(!p->list) || !ampsf_call_look(p->list))
		return;
	status = ampsf_call_status(p->list);
	/* What is wrong with the session or the job is for the page to tell. */
	if (status != 200)
	{
		give_up_lists(p, "was refused", status >= 400 && status <= 499);
		return;
	}
	tmp = AllocSetContextCreate(p->cxt, "ampsf page list", ALLOCSET_SMALL_SIZES);
	old = MemoryContextSwitchTo(tmp);
	why = read_list(p, tmp);
	MemoryContextSwitchTo(old);
	if (why)
		give_up_lists(p, why, true);
	MemoryContextDelete(tmp);
}

static void
forget_ahead(AmpsfBulkPages *p)
{
	forget_lists(p);
	while (p->nahead > 0)
		drop_page(&p->ahead[--p->nahead]);
	list_free_deep(p->listed);
	p->listed = NIL;
}

/* -------- pages -------- */

void
ampsf_bulk_pages_start(AmpsfBulkPages *p, int64 rows)
{
	ampsf_bulk_pages_forget(p);
	if (rows > LISTING_PAYS && atoi(ampsf_session_version(p->session)) >= OLDEST_VERSION &&
		!*ampsf_session_slot(p->session, AMPSF_SLOT_NO_PAGE_LISTS))
		ask_list(p);
	else
		ask_page(p, &p->page);
}

bool
ampsf_bulk_pages_started(AmpsfBulkPages *p)
{
	if (p->page.call)
		return true;
	take_list(p);
	if (p->list)
		return false;
	if (p->listed)
	{
		p->page.locator = linitial(p->listed);
		p->listed = list_delete_first(p->listed);
		if (*p->page.locator == '\0')
		{
			pfree(p->page.locator);
			p->page.locator = NULL;
		}
	}
	ask_page(p, &p->page);
	/* The next one is known already. */
	if (p->listed)
		ask_listed(p);
	return true;
}

void
ampsf_bulk_pages_ask(AmpsfBulkPages *p, const char *locator)
{
	p->page.locator = locator ? MemoryContextStrdup(p->cxt, locator) : NULL;
	ask_page(p, &p->page);
}

void
ampsf_bulk_pages_ask_again(AmpsfBulkPages *p)
{
	ask_page(p, &p->page);
}

bool
ampsf_bulk_pages_ask_unlisted(AmpsfBulkPages *p)
{
	if (!p->page.locator)
		return false;
	give_up_lists(p, "names a first page that there is not", true);
	ampsf_bulk_pages_forget(p);
	ask_page(p, &p->page);
	return true;
}

void
ampsf_bulk_pages_follow(AmpsfBulkPages *p, const char *locator)
{
	const char *known;

	take_list(p);
	if (!locator)
	{
		forget_ahead(p);
		return;
	}
	known = p->nahead > 0 ? p->ahead[0].locator : p->listed ? linitial(p->listed) : NULL;
	if (known && strcmp(known, locator) != 0)
	{
		give_up_lists(p, "disagrees with the headers", true);
		forget_ahead(p);
		known = NULL;
	}
	if (!known)
	{
		ask_ahead(p, MemoryContextStrdup(p->cxt, locator));
		if (p->more)
			p->unlisted++;
	}
	else if (p->nahead == 0)
		ask_listed(p);
}

void
ampsf_bulk_pages_ahead(AmpsfBulkPages *p)
{
	take_list(p);
	while (p->listed && p->nahead < AMPSF_PAGES_AHEAD)
		ask_listed(p);
	if (p->more && !p->list && list_length(p->listed) < FEW_ADDRESSES)
		ask_list(p);
}

void
ampsf_bulk_pages_turn(AmpsfBulkPages *p)
{
	drop_page(&p->page);
	if (p->nahead == 0)
		return;
	p->page = p->ahead[0];
	p->nahead--;
	memmove(p->ahead, p->ahead + 1, sizeof(p->ahead[0]) * p->nahead);
	ampsf_bulk_pages_ahead(p);
}

void
ampsf_bulk_pages_forget(AmpsfBulkPages *p)
{
	forget_ahead(p);
	drop_page(&p->page);
}
