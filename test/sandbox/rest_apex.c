/*
 * rest_apex.c - what is reached besides sObjects: Apex REST, a little of the Tooling and Connect
 * APIs.
 *
 * The org's Apex classes are: /echo/, which tells what it was sent; /text and /bytes, whose answers
 * are no JSON; /fail, which throws.  Must not know: libmicrohttpd, SQLite.
 */
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "rest.h"
#include "soql.h"
#include "soql_meta.h"
#include "tooling.h"

static void
echo(Request *r, Response *w)
{
	static const char *const shown[] = {"Accept", "Content-Type", "X-Custom",
										"Sforce-Call-Options"};
	Buf *b = &w->body;
	bool first = true;

	w->status = 200;
	buf_adds(b, "{\"method\":");
	buf_jsons(b, r->method);
	buf_adds(b, ",\"path\":");
	buf_jsons(b, r->path);
	buf_adds(b, ",\"query\":");
	buf_jsons(b, r->raw_query);
	buf_adds(b, ",\"headers\":{");
	for (int i = 0; i < 4; i++)
	{
		const char *v = req_header(r, shown[i]);

		if (v == NULL)
			continue;
		buf_addf(b, "%s\"%s\":", first ? "" : ",", shown[i]);
		buf_jsons(b, v);
		first = false;
	}
	buf_adds(b, "},\"body\":");
	buf_json(b, r->body, r->body_len);
	buf_addc(b, '}');
}

void
rest_apex(Request *r, Response *w)
{
	const char *name = r->path + strlen("/services/apexrest");

	if (strncmp(name, "/echo", 5) == 0 && (name[5] == '/' || name[5] == '\0'))
		echo(r, w);
	else if (strcmp(name, "/text") == 0)
	{
		w->status = 200;
		w->content_type = "text/csv;charset=UTF-8";
		buf_adds(&w->body, "a,b\r\n1,\"zwei, zwölf\"\r\n");
	}
	else if (strcmp(name, "/bytes") == 0)
	{
		w->status = 200;
		w->content_type = "application/octet-stream";
		buf_add(&w->body, "\0\1\2\377", 4);
	}
	else if (strcmp(name, "/nul") == 0)
	{
		w->status = 200;
		buf_adds(&w->body, "\"a\\u0000b\"");
	}
	else if (strcmp(name, "/away") == 0)
	{
		w->status = 302;
		res_header(w, "Location", "http://elsewhere.example/steal");
		res_header(w, "Set-Cookie", "sid=00D000000000001!cookie; path=/");
	}
	else if (strcmp(name, "/fail") == 0)
		res_error(w, 500, "APEX_ERROR",
				  "System.NullPointerException: Attempt to de-reference a null object");
	else
		res_errorf(w, 404, "NOT_FOUND", "Could not find a match for URL");
}

/* The same statements, in the Tooling API's envelope. */
static void
row_query(Request *r, Response *w)
{
	const char *q = req_param(r, "q");
	SoqlOptions opt = {false, r->version, config.readings};
	SoqlError e = {0};
	MetaAnswer meta = q ? soql_meta(q, &opt, true, &w->body, &e) : META_OTHER;
	SoqlCursor *c = q && meta == META_OTHER ? soql_open(q, strlen(q), &opt, &e) : NULL;

	if (meta != META_OTHER)
		r->soql = strdup(q);
	if (q == NULL)
		res_error(w, 400, "MALFORMED_QUERY", "SOQL query is required");
	else if (meta == META_ANSWERED)
		w->status = 200;
	else if (c == NULL)
	{
		res_error(w, 400, e.code, e.message);
		soql_error_free(&e);
	}
	else
	{
		long long n = (long long) soql_total(c);

		w->status = 200;
		buf_addf(&w->body,
				 "{\"size\":%lld,\"totalSize\":%lld,\"done\":true,\"queryLocator\":null,"
				 "\"entityTypeName\":\"%s\","
				 "\"records\":[",
				 n, n, soql_object(c)->name);
		if (n > 0 && !soql_is_count(c))
			soql_render(c, 0, n, &w->body);
		buf_adds(&w->body, "]}");
		soql_close(c);
	}
}

void
rest_tooling(Request *r, Response *w)
{
	const char *q = req_param(r, "q");

	if (r->n_seg > 1 && strcmp(r->seg[1], "sobjects") == 0)
		tooling_resource(r, w);
	else if (!is_get(r))
		res_not_allowed(w, r, "HEAD,GET");
	else if (r->n_seg == 1)
	{
		w->status = 200;
		buf_addf(&w->body,
				 "{\"tooling\":\"/services/data/v%s/tooling\",\"query\":\"/services/data/v%s/"
				 "tooling/query\"}",
				 r->version, r->version);
	}
	else if (r->n_seg == 2 && strcmp(r->seg[1], "query") == 0 && q && tooling_is_query(q))
		tooling_query(r, w, q);
	else if (r->n_seg == 2 && strcmp(r->seg[1], "query") == 0)
		row_query(r, w);
	else
		res_not_found(w);
}

void
rest_connect(Request *r, Response *w)
{
	if (r->n_seg != 2 || strcmp(r->seg[1], "organization") != 0)
		res_not_found(w);
	else if (!is_get(r))
		res_not_allowed(w, r, "HEAD,GET");
	else
	{
		w->status = 200;
		buf_addf(&w->body, "{\"accessTimeout\":30,\"name\":\"Sandbox org\",\"orgId\":\"%s\"}",
				 store_org_id());
	}
}
