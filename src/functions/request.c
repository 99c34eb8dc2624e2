/*
 * request.c - ampsf.request(): any REST call of the org, with the session's login.
 *
 * Owns: what a caller may say of a request, so that the token goes to the server's host and nowhere
 * else, and the answer as SQL values.  Must not know: what a path means.
 */
#include "postgres.h"

#include "access/xact.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"

#include "base/ampsf.h"
#include "base/error.h"
#include "functions/server_arg.h"
#include "net/session.h"
#include "wire/text.h"

PG_FUNCTION_INFO_V1(ampsf_sql_request);

typedef struct Asked
{
	const char *method;
	bool safe; /* GET or HEAD */
	char *path;
	const char *content_type; /* NULL: not said */
	const char **headers;	  /* "Name: value", NULL-terminated */
	int nheaders;
} Asked;

static void
refuse(const char *what, const char *detail, const char *hint)
{
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg_internal("%s", what),
					detail ? errdetail_internal("%s", detail) : 0, hint ? errhint("%s", hint) : 0));
}

static void
read_method(Asked *asked, char *method)
{
	static const char *const known[] = {"GET", "HEAD", "POST", "PATCH", "PUT", "DELETE"};

	for (size_t i = 0; i < lengthof(known); i++)
		if (pg_strcasecmp(method, known[i]) == 0)
			asked->method = known[i];
	if (!asked->method)
		refuse("invalid HTTP method", NULL, "It is GET, HEAD, POST, PATCH, PUT or DELETE.");
	asked->safe = strcmp(asked->method, "GET") == 0 || strcmp(asked->method, "HEAD") == 0;
}

/* -------- the path -------- */

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = pg_ascii_tolower((unsigned char) c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* A part of a path as the other side will read it. */
static char *
decode(const char *s, size_t len)
{
	char *out = palloc(len + 1);
	size_t n = 0;

	for (size_t i = 0; i < len; i++)
	{
		if (s[i] == '%' && i + 2 < len && hex_value(s[i + 1]) >= 0 && hex_value(s[i + 2]) >= 0)
		{
			out[n++] = (char) (hex_value(s[i + 1]) * 16 + hex_value(s[i + 2]));
			i += 2;
		}
		else
			out[n++] = s[i];
	}
	out[n] = '\0';
	return out;
}

#define PATH_HINT                                                                                  \
	"It is relative to the API's version, as \"sobjects/Account\", or begins with a slash, as "    \
	"\"/services/apexrest/...\"; what is special in it is percent-encoded."

/*
 * The login has an interface of its own: what it answers are tokens, and some of its resources turn
 * a token into a browser's session.
 */
static void
check_root(char **segments, int n)
{
	if (n >= 1 && strcmp(segments[0], "id") == 0)
		return;
	if (n < 1 || strcmp(segments[0], "services") != 0)
		refuse("path of the request is not one of an API", "It begins with a slash.", PATH_HINT);
	if (n >= 2 && pg_strcasecmp(segments[1], "oauth2") == 0 &&
		!(n == 3 && strcmp(segments[2], "userinfo") == 0))
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("path of the request belongs to the login"),
						errdetail("Of /services/oauth2/ only userinfo can be asked for.")));
}

/* The part before the question mark. */
static void
check_path(const char *path, size_t len, bool engagement)
{
	char *segments[64];
	int n = 0;
	size_t colon = strcspn(path, ":/?");

	for (size_t i = 0; i < len; i++)
	{
		if (path[i] == '\\' || path[i] == '@' || path[i] == '#')
			refuse(psprintf("path of the request holds \"%c\"", path[i]), NULL, PATH_HINT);
		/* What is behind it would not be seen below. */
		if (strncmp(path + i, "%00", 3) == 0)
			refuse("path of the request holds a control character", NULL, PATH_HINT);
	}
	if (len == 0)
		refuse("path of the request is empty", NULL, PATH_HINT);
	if (colon < len && path[colon] == ':')
		refuse("path of the request looks like an address of its own",
			   "Requests go to the server's host, and to no other.", PATH_HINT);

	for (size_t at = path[0] == '/' ? 1 : 0; at <= len;)
	{
		size_t end = at;
		char *segment;

		while (end < len && path[end] != '/')
			end++;
		segment = decode(path + at, end - at);
		if (end == at && end < len)
			refuse("path of the request holds two slashes in a row", NULL, PATH_HINT);
		if (strcmp(segment, ".") == 0 || strcmp(segment, "..") == 0)
			refuse("path of the request leads upward", NULL, PATH_HINT);
		for (const char *p = segment; *p; p++)
			if ((unsigned char) *p < ' ' || *p == '\\' || *p == 0x7f)
				refuse("path of the request holds a control character or a backslash", NULL,
					   PATH_HINT);
		if (n < (int) lengthof(segments))
			segments[n++] = segment;
		at = end + 1;
	}
	/* Account Engagement's own begins with /api/v5. */
	if (path[0] == '/' && !(engagement && strncmp(path, "/api/v5/", 8) == 0))
		check_root(segments, n);
}

/*
 * Salesforce takes ?_HttpMethod=PATCH for the method itself, which would be a way around what is
 * said of methods.
 */
static void
check_parameters(const char *query)
{
	while (*query)
	{
		size_t len = strcspn(query, "&");
		size_t name = strcspn(query, "=&");

		if (pg_strcasecmp(decode(query, name), "_HttpMethod") == 0)
			refuse("path of the request overrides the method", NULL,
				   "Say PATCH or DELETE as the method.");
		query += len + (query[len] == '&');
	}
}

/* What has no place in an address is encoded; what is there encoded stays. */
static void
append_encoded(StringInfo out, const char *s, size_t len)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
								"-._~/%!$&'()*+,;=:?";

	for (size_t i = 0; i < len; i++)
	{
		if (s[i] && strchr(plain, s[i]))
			appendStringInfoChar(out, s[i]);
		else
			appendStringInfo(out, "%%%02X", (unsigned char) s[i]);
	}
}

static void
read_path(Asked *asked, char *path, bool engagement)
{
	StringInfoData out;
	size_t len;

	path = pg_server_to_any(path, strlen(path), PG_UTF8);
	for (const char *p = path; *p; p++)
		if ((unsigned char) *p < ' ' || *p == 0x7f)
			refuse("path of the request holds a control character", NULL, PATH_HINT);
	len = strcspn(path, "?");
	check_path(path, len, engagement);
	if (path[len])
		check_parameters(path + len + 1);

	initStringInfo(&out);
	append_encoded(&out, path, strlen(path));
	asked->path = out.data;
}

/* -------- headers and body -------- */

/* A scalar as text; an error for what has members. */
static char *
scalar_text(const JsonbValue *v, const char *name)
{
	switch (v->type)
	{
		case jbvString:
			return pnstrdup(v->val.string.val, v->val.string.len);
		case jbvNumeric:
			return DatumGetCString(
				DirectFunctionCall1(numeric_out, NumericGetDatum(v->val.numeric)));
		case jbvBool:
			return pstrdup(v->val.boolean ? "true" : "false");
		default:
			refuse(psprintf("header \"%s\" of the request has no text as its value", name), NULL,
				   "Headers are given as {\"Name\": \"value\"}.");
	}
	return NULL;
}

static void
check_header(const char *name, const char *value)
{
	/* What the login, libcurl or this extension sets, or what would set something else than it
	 * says. */
	static const char *const reserved[] = {"Authorization",
										   "Host",
										   "Content-Length",
										   "Transfer-Encoding",
										   "Connection",
										   "Cookie",
										   "Expect",
										   "Keep-Alive",
										   "TE",
										   "Trailer",
										   "Upgrade",
										   "Accept-Encoding",
										   "Content-Encoding",
										   "User-Agent",
										   "X-HTTP-Method-Override",
										   "X-HTTP-Method",
										   "X-Method-Override"};

	if (*name == '\0' || strlen(name) > 100)
		refuse("a header of the request has no usable name", NULL, NULL);
	for (const char *p = name; *p; p++)
		if (!isalnum((unsigned char) *p) && *p != '-' && *p != '_')
			refuse(
				"the name of a header of the request holds other than letters, digits and hyphens",
				NULL, NULL);
	for (const char *p = value; *p; p++)
		if (*p < ' ' || *p > '~')
			refuse(
				psprintf("value of header \"%s\" of the request holds other than printable ASCII",
						 name),
				NULL, NULL);
	for (size_t i = 0; i < lengthof(reserved); i++)
		if (pg_strcasecmp(name, reserved[i]) == 0)
			ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
							errmsg("header \"%s\" of the request cannot be set", reserved[i])));
	if (pg_strncasecmp(name, "Proxy-", 6) == 0)
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("header \"%s\" of the request cannot be set", name)));
}

static void
read_headers(Asked *asked, Jsonb *headers)
{
	JsonbIterator *it;
	JsonbIteratorToken token;
	JsonbValue v;
	int n = 0;

	if (!JB_ROOT_IS_OBJECT(headers))
		refuse("headers of the request are no object", NULL,
			   "Headers are given as {\"Name\": \"value\"}.");
	asked->headers = palloc0(sizeof(char *) * (JB_ROOT_COUNT(headers) + 1));
	it = JsonbIteratorInit(&headers->root);
	while ((token = JsonbIteratorNext(&it, &v, true)) != WJB_DONE)
	{
		char *name;
		char *value;

		if (token != WJB_KEY)
			continue;
		name = pnstrdup(v.val.string.val, v.val.string.len);
		(void) JsonbIteratorNext(&it, &v, true);
		if (v.type == jbvNull)
			continue;
		value = scalar_text(&v, name);
		check_header(name, value);
		if (pg_strcasecmp(name, "Content-Type") == 0)
			asked->content_type = value;
		else
			asked->headers[n++] = psprintf("%s: %s", name, value);
	}
	asked->nheaders = n;
}

static bool
is_json_type(const char *type)
{
	size_t len = strcspn(type, "; \t");

	return (len == 16 && pg_strncasecmp(type, "application/json", 16) == 0) ||
		   (len > 5 && pg_strncasecmp(type + len - 5, "+json", 5) == 0);
}

/*
 * The bytes to send, in UTF-8.  Under a media type other than JSON a string stands for its text: so
 * CSV and the like go through a jsonb parameter.
 */
static char *
body_text(Jsonb *body, const char *content_type)
{
	JsonbValue v;
	char *text;

	if (content_type && !is_json_type(content_type))
	{
		if (!JsonbExtractScalar(&body->root, &v) || v.type != jbvString)
			refuse("body of the request is no text",
				   psprintf("Its media type is %s.", content_type),
				   "Give it as a JSON string: to_jsonb(text).");
		text = pnstrdup(v.val.string.val, v.val.string.len);
	}
	else
		text = JsonbToCString(NULL, &body->root, VARSIZE(body));
	return pg_server_to_any(text, strlen(text), PG_UTF8);
}

/* -------- the answer -------- */

static Datum
headers_datum(AmpsfCall *call)
{
	StringInfoData json;
	const char *line;
	List *seen = NIL;

	initStringInfo(&json);
	appendStringInfoChar(&json, '{');
	for (int i = 0; (line = ampsf_call_header_line(call, i)) != NULL; i++)
	{
		size_t len = strcspn(line, ":");
		const char *value = line + len + (line[len] == ':');
		char *name = pnstrdup(line, len);
		size_t size;
		char *clean;

		for (char *p = name; *p; p++)
			*p = pg_ascii_tolower((unsigned char) *p);
		/* A cookie is a session. */
		if (strcmp(name, "set-cookie") == 0 || list_member(seen, makeString(name)))
			continue;
		seen = lappend(seen, makeString(name));
		clean =
			ampsf_clean_text(value + strspn(value, " \t"), strlen(value + strspn(value, " \t")));
		appendStringInfoString(&json, json.len > 1 ? ", " : "");
		for (int k = 0; k < 2; k++)
		{
			const char *s = k ? clean : name;

			size = ampsf_quote_json(s, strlen(s), NULL);
			enlargeStringInfo(&json, size);
			json.len += ampsf_quote_json(s, strlen(s), json.data + json.len);
			json.data[json.len] = '\0';
			if (k == 0)
				appendStringInfoString(&json, ": ");
		}
	}
	appendStringInfoChar(&json, '}');
	return DirectFunctionCall1(jsonb_in, CStringGetDatum(json.data));
}

/*
 * JSON as jsonb; false for what jsonb cannot hold (bad JSON, bad UTF-8, the character NUL).  Input
 * functions hold no resources, so that an error in one needs no subtransaction.
 */
static bool
json_datum(const char *body, size_t len, Datum *datum)
{
	MemoryContext cxt = CurrentMemoryContext;
	bool ok = true;

	PG_TRY();
	{
		char *text = pg_any_to_server(pnstrdup(body, len), len, PG_UTF8);

		*datum = DirectFunctionCall1(jsonb_in, CStringGetDatum(text));
	}
	PG_CATCH();
	{
		ErrorData *error;

		MemoryContextSwitchTo(cxt);
		error = CopyErrorData();
		if (ERRCODE_TO_CATEGORY(error->sqlerrcode) != ERRCODE_DATA_EXCEPTION &&
			ERRCODE_TO_CATEGORY(error->sqlerrcode) != ERRCODE_PROGRAM_LIMIT_EXCEEDED)
			PG_RE_THROW();
		FlushErrorState();
		FreeErrorData(error);
		ok = false;
	}
	PG_END_TRY();
	return ok;
}

static Datum
answer(FunctionCallInfo fcinfo, AmpsfCall *call)
{
	TupleDesc desc;
	Datum values[4];
	bool nulls[4] = {false, false, true, true};
	const char *type = ampsf_call_header(call, "Content-Type");
	size_t len;
	const char *body = ampsf_call_body(call, &len);

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	desc = BlessTupleDesc(desc);
	values[0] = Int32GetDatum(ampsf_call_status(call));
	values[1] = headers_datum(call);
	if (len > 0 && type && is_json_type(type))
		nulls[2] = !json_datum(body, len, &values[2]);
	if (len > 0 && nulls[2])
	{
		values[3] = PointerGetDatum(cstring_to_text_with_len(body, len));
		nulls[3] = false;
	}
	return HeapTupleGetDatum(heap_form_tuple(desc, values, nulls));
}

Datum
ampsf_sql_request(PG_FUNCTION_ARGS)
{
	static const char *const names[] = {"server", "method", "path"};
	ForeignServer *server;
	Asked asked = {0};
	AmpsfCallSpec spec = {0};
	AmpsfSession *session;
	AmpsfCall *call;
	Datum result;

	for (int i = 0; i < 3; i++)
		if (PG_ARGISNULL(i))
			ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
							errmsg("%s of the request is null", names[i])));
	server = ampsf_server_arg(NameStr(*PG_GETARG_NAME(0)));
	read_method(&asked, text_to_cstring(PG_GETARG_TEXT_PP(1)));
	read_path(&asked, text_to_cstring(PG_GETARG_TEXT_PP(2)),
			  ampsf_server_options(server)->engagement);
	if (!PG_ARGISNULL(4))
		read_headers(&asked, PG_GETARG_JSONB_P(4));
	if (!asked.safe)
		PreventCommandIfReadOnly(psprintf("ampsf.request() with %s", asked.method));
	if (!PG_ARGISNULL(3))
	{
		if (asked.safe)
			refuse(psprintf("a %s request has no body", asked.method), NULL, NULL);
		spec.body = body_text(PG_GETARG_JSONB_P(3), asked.content_type);
		spec.body_len = strlen(spec.body);
		spec.content_type = asked.content_type;
	}

	spec.method = asked.method;
	spec.path = asked.path;
	spec.headers = asked.headers;
	spec.idempotent = asked.safe;
	session = ampsf_session_get(server->serverid, GetUserId());
	/* A server of Account Engagement has two hosts: its own, and the org's. */
	spec.engagement =
		ampsf_session_options(session)->engagement && strncmp(asked.path, "/api/v5/", 8) == 0;
	call = ampsf_call_start(session, &spec, CurrentMemoryContext);
	ampsf_call_wait(call);
	if (ampsf_call_status(call) == 0)
		ampsf_call_throw(
			call, psprintf("%s %.*s", asked.method, (int) strcspn(asked.path, "?"), asked.path),
			NULL);
	result = answer(fcinfo, call);
	ampsf_call_free(call);
	return result;
}
