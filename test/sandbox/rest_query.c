/*
 * rest_query.c - query, queryAll, their next pages, and explain.
 *
 * Runs under store_lock().  Must not know: libmicrohttpd, SQLite, the grammar of SOQL.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "config.h"
#include "cursors.h"
#include "pagecache.h"
#include "rest.h"
#include "soql_meta.h"
#include "store.h"

#define MAX_BATCH 2000
#define MIN_BATCH 200
/* Child rows count towards a batch, so a statement that has them gets fewer parents at a time. */
#define BATCH_WITH_CHILDREN 500

/* The batchSize of Sforce-Query-Options within its bounds; 0 if it is not given. */
static int
asked_batch(const Request *r)
{
	const char *h = req_header(r, "Sforce-Query-Options");
	const char *p = h ? strcasestr(h, "batchSize") : NULL;
	long n;

	if (p == NULL)
		return 0;
	p += strlen("batchSize");
	p += strspn(p, " \t");
	if (*p++ != '=')
		return 0;
	p += strspn(p, " \t");
	if (!isdigit((unsigned char) *p))
		return 0;
	n = strtol(p, NULL, 10);
	return n < MIN_BATCH ? MIN_BATCH : n > MAX_BATCH ? MAX_BATCH : (int) n;
}

static int
batch_for(const Result *res, int asked)
{
	int batch = asked ? asked : MAX_BATCH;

	if (soql_long_text_fields(res->cursor) >= 2 && batch > MIN_BATCH)
		batch = MIN_BATCH;
	if (soql_has_children(res->cursor) && batch > BATCH_WITH_CHILDREN)
		batch = BATCH_WITH_CHILDREN;
	return batch;
}

typedef struct ChildPages
{
	const Request *r;
	int batch;
} ChildPages;

static const char *
keep_children(void *arg, SoqlCursor *child)
{
	ChildPages *p = arg;

	return locator_open_child(child, p->r->version, p->r->user_id, p->batch)->id;
}

/*
 * Puts the records from first on into the answer, out of the cache where they are there.  A page
 * that names locators of child rows is the user's alone, and is not kept.
 */
static void
attach_page(Request *r, Result *res, int64_t first, int64_t count, int batch, Response *w)
{
	ChildPages children = {r, batch};
	PageKey key = {res->id, store_version(), first, count};
	Page *page = page_find(&key);

	if (page == NULL)
	{
		Buf text;

		buf_init(&text);
		/* the parent counts as one row of the batch */
		soql_page_children(res->cursor, batch - 1, keep_children, &children);
		soql_render(res->cursor, first, count, &text);
		buf_adds(&text, "]}");
		if (soql_paged_children(res->cursor))
		{
			buf_add(&w->body, text.data, text.len);
			buf_free(&text);
			return;
		}
		page = page_add(&key, &text);
	}
	w->cached = page_text(page, &w->cached_len);
	w->free_cb = page_release;
	w->gz_cb = page_deflated;
	w->free_arg = page;
}

/* "There is no guarantee that the requested batch size is the actual batch size": pages may be
 * short. */
static int64_t
page_size(int64_t total, int64_t first, int batch)
{
	int64_t left = total - first;

	if (left <= batch)
		return left;
	return config.short_pages ? batch - batch * (1 + first % 3) / 4 : batch;
}

static void
answer_page(Request *r, Result *res, Locator *loc, bool all, int64_t first, int batch, Response *w)
{
	int64_t total = soql_total(res->cursor);
	int64_t count = page_size(total, first, batch);
	bool done = loc == NULL || first + count >= total;

	w->status = 200;
	buf_addf(&w->body, "{\"totalSize\":%lld,\"done\":%s,", (long long) total,
			 done ? "true" : "false");
	if (!done)
		buf_addf(&w->body, "\"nextRecordsUrl\":\"/services/data/v%s/%s/%s-%lld\",", r->version,
				 all ? "queryAll" : "query", loc->id, (long long) (first + count));
	else if (loc != NULL)
		loc->finished = true;
	buf_adds(&w->body, "\"records\":[");
	if (count > 0)
		attach_page(r, res, first, count, batch, w);
	else
		buf_adds(&w->body, "]}");
}

static void
refuse(Response *w, SoqlError *e)
{
	res_error(w, 400, e->code, e->message);
	soql_error_free(e);
}

static void
first_page(Request *r, Response *w, const char *soql, bool all)
{
	SoqlOptions opt = {all, r->version, config.readings};
	SoqlError e = {0};
	MetaAnswer meta = soql_meta(soql, &opt, false, &w->body, &e);
	Result *res = meta == META_OTHER ? result_open(soql, &opt, &e) : NULL;
	Locator *loc = NULL;
	int batch;

	if (meta == META_ANSWERED)
	{
		w->status = 200;
		return;
	}
	if (res == NULL)
	{
		refuse(w, &e);
		return;
	}
	batch = batch_for(res, asked_batch(r));
	if (soql_is_count(res->cursor))
	{
		w->status = 200;
		buf_addf(&w->body, "{\"totalSize\":%lld,\"done\":true,\"records\":[]}",
				 (long long) soql_total(res->cursor));
	}
	else if (soql_is_aggregate(res->cursor) && soql_total(res->cursor) > batch)
		res_error(w, 400, SOQL_OVERFLOW_CODE(config.readings), SOQL_OVERFLOW_TEXT);
	else
	{
		if (soql_total(res->cursor) > batch && !soql_has_offset(res->cursor))
			loc = locator_open(res, r->user_id, batch);
		answer_page(r, res, loc, all, 0, batch, w);
	}
	result_done(res);
}

static void
next_page(Request *r, Response *w, const char *locator, bool all)
{
	const char *dash = strchr(locator, '-');
	char *id = req_own(r, strndup(locator, dash ? (size_t) (dash - locator) : strlen(locator)));
	Locator *loc = locator_find(id, r->user_id);
	char *end = NULL;
	long long first = dash ? strtoll(dash + 1, &end, 10) : 0;
	int asked = asked_batch(r);

	if (loc == NULL || (dash != NULL && (*end || !isdigit((unsigned char) dash[1]))) ||
		first >= soql_total(loc->result->cursor))
	{
		res_error(w, 400, "INVALID_QUERY_LOCATOR", "invalid query locator");
		return;
	}
	answer_page(r, loc->result, loc, all, first, asked ? batch_for(loc->result, asked) : loc->batch,
				w);
}

static void
explain(Request *r, Response *w, const char *soql)
{
	SoqlOptions opt = {false, r->version, config.readings};
	SoqlError e = {0};

	w->status = 200;
	if (!soql_explain(soql, strlen(soql), &opt, &w->body, &e))
		refuse(w, &e);
}

void
rest_query(Request *r, Response *w)
{
	bool all = strcmp(r->seg[0], "queryAll") == 0;
	const char *q;

	if (strcmp(r->method, "GET") != 0 && strcmp(r->method, "HEAD") != 0)
	{
		res_not_allowed(w, r, "HEAD,GET");
		return;
	}
	if (r->n_seg == 2)
	{
		next_page(r, w, r->seg[1], all);
		return;
	}
	if (r->n_seg > 2)
	{
		res_not_found(w);
		return;
	}
	if ((q = req_param(r, "explain")) != NULL)
	{
		r->soql = strdup(q);
		explain(r, w, q);
	}
	else if ((q = req_param(r, "q")) != NULL && *q)
	{
		r->soql = strdup(q);
		first_page(r, w, q, all);
	}
	else
		res_error(w, 400, "MALFORMED_QUERY", "A query string has to be specified");
}

void
rest_dead_locator(const char *path)
{
	const char *id = strstr(path, "/01g");

	if (id == NULL)
		return;
	store_lock();
	locator_kill(id + 1);
	store_unlock();
}
