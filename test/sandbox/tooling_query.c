/*
 * tooling_query.c - queries about channels and their members.
 *
 * SELECT fields FROM type [WHERE expression] [ORDER BY field [ASC|DESC]] [LIMIT n].  Must not know:
 * how it is kept.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "event.h"
#include "tooling.h"

#define MAX_COLUMNS 30
#define MAX_ROWS 2000

/* What can be asked for: of all types, or of one. */
static const struct
{
	const char *name;
	int type; /* -1: all */
	const char *key;
	bool unfilterable;
} columns[] = {
	{"Id", -1, NULL, false},
	{"DeveloperName", -1, NULL, false},
	{"MasterLabel", -1, "label", false},
	{"FullName", -1, NULL, true},
	{"Metadata", -1, NULL, true},
	{"NamespacePrefix", -1, NULL, false},
	{"Language", -1, NULL, false},
	{"ManageableState", -1, NULL, false},
	{"CreatedDate", -1, NULL, false},
	{"CreatedById", -1, NULL, false},
	{"LastModifiedDate", -1, NULL, false},
	{"LastModifiedById", -1, NULL, false},
	{"ChannelType", TOOLING_CHANNEL, "channelType", false},
	{"EventChannel", TOOLING_MEMBER, NULL, false},
	{"SelectedEntity", TOOLING_MEMBER, NULL, false},
	{"FilterExpression", TOOLING_MEMBER, "filterExpression", true},
	{"Endpoint", TOOLING_CREDENTIAL, "endpoint", false},
	{"EventChannel", TOOLING_RELAY, "eventChannel", false},
	{"DestinationResourceName", TOOLING_RELAY, "destinationResourceName", false},
	{"State", TOOLING_RELAY, "state", false},
};
#define N_COLUMNS ((int) (sizeof(columns) / sizeof(columns[0])))

typedef struct Query
{
	ToolingType type;
	int list[MAX_COLUMNS];
	int n;
	bool count, single;
	char *where;
	int order; /* -1: as they were created */
	bool descending;
	long limit;
	Filter *filter;
} Query;

static int
column_of(ToolingType type, const char *name, size_t n)
{
	for (int i = 0; i < N_COLUMNS; i++)
		if ((columns[i].type < 0 || columns[i].type == (int) type) &&
			strlen(columns[i].name) == n && strncasecmp(columns[i].name, name, n) == 0)
			return i;
	return -1;
}

/* A custom object's events are told by an Id, those of a standard object by their name. */
static void
put_entity(Buf *out, const Tooling *t)
{
	const char *name = tooling_text(t, "selectedEntity");
	const Object *o = event_object(name);
	char id[SF_ID_LEN + 1];
	char fifteen[24];

	if (o == NULL || !o->custom)
	{
		buf_adds(out, name);
		return;
	}
	snprintf(fifteen, sizeof(fifteen), "01I5e%010u", (unsigned) o->index % 1000000 + 1);
	store_canonical_id(fifteen, 15, id);
	buf_adds(out, id);
}

/* The value as text; false: null.  Metadata is JSON, the others are plain. */
static bool
put_plain(Buf *out, const Tooling *t, int column)
{
	const char *name = columns[column].name;
	const char *text = NULL;
	Tooling channel;

	if (columns[column].key != NULL)
		text = tooling_text(t, columns[column].key);
	else if (strcmp(name, "Id") == 0)
		text = t->id;
	else if (strcmp(name, "DeveloperName") == 0)
		text = t->developer;
	else if (strcmp(name, "FullName") == 0)
		text = t->full;
	else if (strcmp(name, "Language") == 0)
		text = "en_US";
	else if (strcmp(name, "ManageableState") == 0)
		text = "unmanaged";
	else if (strcmp(name, "CreatedDate") == 0)
		text = t->created;
	else if (strcmp(name, "CreatedById") == 0)
		text = t->created_by;
	else if (strcmp(name, "LastModifiedDate") == 0)
		text = t->modified;
	else if (strcmp(name, "LastModifiedById") == 0)
		text = t->modified_by;
	else if (strcmp(name, "SelectedEntity") == 0)
	{
		put_entity(out, t);
		return true;
	}
	else if (strcmp(name, "EventChannel") == 0)
	{
		text = tooling_text(t, "eventChannel");
		if (tooling_channel(text, &channel))
		{
			buf_adds(out, channel.id);
			tooling_free(&channel);
			return true;
		}
	}
	if (text == NULL && strcmp(name, "MasterLabel") == 0)
		text = t->developer;
	if (text == NULL || *text == '\0')
		return false;
	buf_adds(out, text);
	return true;
}

static void
put_column(Buf *out, const Tooling *t, int column)
{
	Buf b;

	if (strcmp(columns[column].name, "Metadata") == 0)
	{
		buf_adds(out, json_object_to_json_string_ext(
						  t->metadata, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
		return;
	}
	buf_init(&b);
	if (put_plain(&b, t, column))
		buf_jsons(out, b.data);
	else
		buf_adds(out, "null");
	buf_free(&b);
}

static void
put_attributes(Buf *out, const Tooling *t, const char *version)
{
	const char *type = tooling_type_name(t->type);

	buf_addf(out,
			 "{\"attributes\":{\"type\":\"%s\",\"url\":\"/services/data/v%s/tooling/sobjects/%s/"
			 "%s\"}",
			 type, version, type, t->id);
}

void
tooling_put(Buf *out, const Tooling *t, const char *version)
{
	put_attributes(out, t, version);
	for (int i = 0; i < N_COLUMNS; i++)
	{
		if (columns[i].type >= 0 && columns[i].type != (int) t->type)
			continue;
		buf_addf(out, ",\"%s\":", columns[i].name);
		put_column(out, t, i);
	}
	buf_addc(out, '}');
}

/* The word that begins at p, and the place behind it and the blanks. */
static const char *
next_word(const char *p, const char **word, size_t *n)
{
	p += strspn(p, " \t\r\n");
	*word = p;
	*n = strcspn(p, " \t\r\n,()");
	p += *n;
	return p + strspn(p, " \t\r\n");
}

static bool
is_word(const char *word, size_t n, const char *is)
{
	return strlen(is) == n && strncasecmp(word, is, n) == 0;
}

/* Where a keyword stands outside of quotes; NULL if nowhere. */
static const char *
find_word(const char *p, const char *is)
{
	size_t n = strlen(is);
	bool quoted = false;

	for (const char *start = p; *p; p++)
	{
		if (*p == '\\' && quoted && p[1])
			p++;
		else if (*p == '\'')
			quoted = !quoted;
		else if (!quoted && strncasecmp(p, is, n) == 0 && p > start &&
				 isspace((unsigned char) p[-1]) && (p[n] == '\0' || isspace((unsigned char) p[n])))
			return p;
	}
	return NULL;
}

bool
tooling_is_query(const char *soql)
{
	const char *from = find_word(soql, "FROM");
	const char *word;
	char name[80];
	size_t n;

	if (from == NULL)
		return false;
	next_word(from + 4, &word, &n);
	if (n >= sizeof(name))
		return false;
	memcpy(name, word, n);
	name[n] = '\0';
	return tooling_type(name) != TOOLING_TYPES;
}

static bool
refuse(Response *w, const char *code, const char *fmt, int n, const char *text)
{
	res_errorf(w, 400, code, fmt, n, text);
	return false;
}

static bool
unexpected(Response *w, const char *p)
{
	return refuse(w, "MALFORMED_QUERY", "unexpected token: '%.*s'", (int) strcspn(p, " \t\r\n"), p);
}

static bool
parse_select(Query *q, const char *p, const char *from, Response *w)
{
	const char *word;
	size_t n;

	p = next_word(p, &word, &n);
	if (!is_word(word, n, "SELECT"))
		return unexpected(w, word);
	if (strncasecmp(p, "COUNT()", 7) == 0)
	{
		q->count = true;
		return true;
	}
	while (p < from)
	{
		p = next_word(p, &word, &n);
		if (n == 0 || word >= from)
			return unexpected(w, word);
		if (q->n == MAX_COLUMNS)
			return unexpected(w, word);
		q->list[q->n] = column_of(q->type, word, n);
		if (q->list[q->n] < 0)
		{
			res_errorf(w, 400, "INVALID_FIELD",
					   "\n%.*s\n^\nERROR at Row:1:Column:1\nNo such column '%.*s' on entity '%s'. "
					   "If you are attempting to use a custom field, be sure to append the '__c' "
					   "after the custom field name. Please reference your WSDL or the describe "
					   "call for the appropriate names.",
					   (int) n, word, (int) n, word, tooling_type_name(q->type));
			return false;
		}
		q->single |= strcmp(columns[q->list[q->n]].name, "Metadata") == 0 ||
					 strcmp(columns[q->list[q->n]].name, "FullName") == 0;
		q->n++;
		if (p < from && *p == ',')
			p++;
		else if (p < from)
			return unexpected(w, p);
	}
	return true;
}

static bool
parse_tail(Query *q, const char *p, Response *w)
{
	const char *word;
	size_t n;

	for (p = next_word(p, &word, &n); n > 0; p = next_word(p, &word, &n))
	{
		if (is_word(word, n, "LIMIT"))
		{
			p = next_word(p, &word, &n);
			q->limit = strtol(word, NULL, 10);
			if (n == 0 || !isdigit((unsigned char) *word))
				return unexpected(w, word);
		}
		else if (is_word(word, n, "ORDER") && q->order < 0)
		{
			p = next_word(p, &word, &n);
			if (!is_word(word, n, "BY"))
				return unexpected(w, word);
			p = next_word(p, &word, &n);
			q->order = column_of(q->type, word, n);
			if (q->order < 0 || columns[q->order].unfilterable)
				return refuse(w, "INVALID_FIELD", "field '%.*s' can not be sorted in a query call",
							  (int) n, word);
			next_word(p, &word, &n);
			if (is_word(word, n, "ASC") || is_word(word, n, "DESC"))
			{
				q->descending = is_word(word, n, "DESC");
				p = next_word(p, &word, &n);
			}
		}
		else
			return unexpected(w, word);
	}
	return *p == '\0' || unexpected(w, p);
}

static bool
query_field(void *arg, const char *name, FilterType *type, char **why)
{
	Query *q = arg;
	int c = column_of(q->type, name, strlen(name));

	*type = c >= 0 && strstr(columns[c].name, "Id") != NULL ? FILTER_EXACT : FILTER_TEXT;
	if (c >= 0 && strstr(columns[c].name, "Date") != NULL)
		*type = FILTER_DATETIME;
	if (c >= 0 && !columns[c].unfilterable)
		return true;
	if ((c < 0
			 ? asprintf(why, "No such column '%s' on entity '%s'", name, tooling_type_name(q->type))
			 : asprintf(why, "field '%s' can not be filtered in a query call", columns[c].name)) <
		0)
		abort();
	return false;
}

typedef struct Asked
{
	const Tooling *t;
	Buf b;
} Asked;

static FilterValue
query_value(void *arg, const char *name)
{
	Asked *a = arg;
	FilterValue v = {0};

	buf_clear(&a->b);
	buf_adds(&a->b, "");
	v.null = !put_plain(&a->b, a->t, column_of(a->t->type, name, strlen(name)));
	/* as a literal is */
	if (!v.null && strstr(name, "Date") != NULL && a->b.len == 28)
	{
		memcpy(a->b.data + 23, "Z", 2);
		a->b.len = 24;
	}
	v.text = a->b.data ? a->b.data : "";
	return v;
}

static bool
parse_query(Query *q, const char *soql, Response *w)
{
	const char *from = find_word(soql, "FROM");
	const char *where;
	const char *tail;
	const char *word;
	char *why = NULL;
	char name[80];
	size_t n;

	*q = (Query){.order = -1, .limit = MAX_ROWS};
	where = next_word(from + 4, &word, &n);
	snprintf(name, sizeof(name), "%.*s", (int) n, word);
	q->type = tooling_type(name);
	if (!parse_select(q, soql, from, w))
		return false;
	next_word(where, &word, &n);
	if (!is_word(word, n, "WHERE"))
		return parse_tail(q, where, w);
	tail = find_word(word + n, "ORDER");
	if (tail == NULL)
		tail = find_word(word + n, "LIMIT");
	if (tail == NULL)
		tail = word + strlen(word);
	q->where = strndup(word + n, (size_t) (tail - word) - n);
	q->filter = filter_parse(q->where, true, query_field, q, &why);
	if (q->filter == NULL)
	{
		bool field = why != NULL && (strncmp(why, "No such", 7) == 0 ||
									 strstr(why, "can not be filtered") != NULL);

		res_error(w, 400, field ? "INVALID_FIELD" : "MALFORMED_QUERY",
				  why ? why : "unexpected token: '<EOF>'");
		free(why);
		return false;
	}
	return parse_tail(q, tail, w);
}

static const Query *sorting;

static int
by_order(const void *a, const void *b)
{
	Buf x, y;
	int c;

	buf_init(&x);
	buf_init(&y);
	buf_adds(&x, "");
	buf_adds(&y, "");
	put_plain(&x, a, sorting->order);
	put_plain(&y, b, sorting->order);
	c = strcasecmp(x.data ? x.data : "", y.data ? y.data : "");
	buf_free(&x);
	buf_free(&y);
	return sorting->descending ? -c : c;
}

static Tooling *
matching(const Query *q, int *n)
{
	Tooling *list = NULL;
	Tooling *more;
	Asked a = {0};
	int64_t at = 0;
	Tooling t;

	*n = 0;
	while (tooling_next(q->type, &at, &t))
	{
		a.t = &t;
		if (!filter_match(q->filter, query_value, &a))
		{
			tooling_free(&t);
			continue;
		}
		more = realloc(list, sizeof(Tooling) * (size_t) (*n + 1));
		if (more == NULL)
			abort();
		list = more;
		list[(*n)++] = t;
	}
	buf_free(&a.b);
	/* under store_lock(), so one at a time */
	sorting = q;
	if (q->order >= 0 && *n > 1)
		qsort(list, (size_t) *n, sizeof(Tooling), by_order);
	return list;
}

static void
put_rows(Response *w, const Request *r, const Query *q, const Tooling *list, int n)
{
	Buf *b = &w->body;

	w->status = 200;
	buf_addf(b,
			 "{\"size\":%d,\"totalSize\":%d,\"done\":true,\"queryLocator\":null,"
			 "\"entityTypeName\":\"%s\",\"records\":[",
			 n, n, tooling_type_name(q->type));
	for (int i = 0; i < n && !q->count; i++)
	{
		if (i > 0)
			buf_addc(b, ',');
		put_attributes(b, &list[i], r->version);
		for (int c = 0; c < q->n; c++)
		{
			buf_addf(b, ",\"%s\":", columns[q->list[c]].name);
			put_column(b, &list[i], q->list[c]);
		}
		buf_addc(b, '}');
	}
	buf_adds(b, "]}");
}

void
tooling_query(Request *r, Response *w, const char *soql)
{
	Query q = {0};
	Tooling *list = NULL;
	int n = 0;

	if (parse_query(&q, soql, w))
	{
		list = matching(&q, &n);
		if (q.single && n > 1)
			res_error(
				w, 400, "MALFORMED_QUERY",
				"When retrieving results with Metadata or FullName fields, the query "
				"qualifications must specify no more than one row for retrieval. Result size: "
				"more than 1");
		else
			put_rows(w, r, &q, list, n < q.limit ? n : (int) q.limit);
	}
	for (int i = 0; i < n; i++)
		tooling_free(&list[i]);
	free(list);
	free(q.where);
	filter_free(q.filter);
}
