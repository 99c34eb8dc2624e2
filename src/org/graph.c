/*
 * graph.c - see graph.h.
 *
 * One graph, one node a change.  What may be repeated after a lost answer: updates and upserts, or
 * deletes, but not both in one graph, since a row that was updated and then deleted cannot be
 * updated again. Creates never.
 */
#include "postgres.h"

#include "org/graph.h"

#include "base/error.h"
#include "lib/stringinfo.h"
#include "net/usage.h"
#include "org/row_source.h"
#include "utils/memutils.h"
#include "wire/json_doc.h"
#include "wire/sfid.h"
#include "wire/text.h"

#define LOCK_RETRIES 3
/* How often rows that others delete meanwhile are taken out. */
#define GONE_RETRIES 10

typedef struct Change
{
	AmpsfWriteOp op;
	const char *object, *key;
	char id[AMPSF_SFID_LEN + 1];
	char *fields;
	size_t len;
	const char *const *headers;
	bool gone; /* to be deleted, and deleted already: not sent */
} Change;

struct AmpsfGraph
{
	MemoryContext cxt, call_cxt;
	AmpsfSession *session;
	AmpsfStats *stats;
	int kinds[AMPSF_MAX_GRAPH_KINDS]; /* the first node of each */
	int nkinds;
	AmpsfCall *call; /* the last; NULL: none, or it is over */
	bool in_doubt;
	int n;
	Change nodes[AMPSF_MAX_GRAPH];
};

AmpsfGraph *
ampsf_graph_open(AmpsfSession *session, AmpsfStats *stats)
{
	MemoryContext cxt =
		AllocSetContextCreate(CurrentMemoryContext, "ampsf graph", ALLOCSET_DEFAULT_SIZES);
	AmpsfGraph *graph = MemoryContextAllocZero(cxt, sizeof(AmpsfGraph));

	graph->cxt = cxt;
	graph->call_cxt = AllocSetContextCreate(cxt, "ampsf graph call", ALLOCSET_DEFAULT_SIZES);
	graph->session = session;
	graph->stats = stats;
	return graph;
}

void
ampsf_graph_close(AmpsfGraph *graph)
{
	MemoryContextDelete(graph->cxt);
}

bool
ampsf_graph_same_kind(AmpsfWriteOp op1, const char *object1, AmpsfWriteOp op2, const char *object2)
{
	if (op1 == AMPSF_UPSERT)
		op1 = AMPSF_UPDATE;
	if (op2 == AMPSF_UPSERT)
		op2 = AMPSF_UPDATE;
	return op1 == op2 && pg_strcasecmp(object1, object2) == 0;
}

/* The number of that kind, which may be one more than there are. */
static int
kind_of(const AmpsfGraph *graph, AmpsfWriteOp op, const char *object)
{
	int i = 0;

	while (i < graph->nkinds && !ampsf_graph_same_kind(op, object, graph->nodes[graph->kinds[i]].op,
													   graph->nodes[graph->kinds[i]].object))
		i++;
	return i;
}

bool
ampsf_graph_has_room(const AmpsfGraph *graph, AmpsfWriteOp op, const char *object)
{
	return graph->n < AMPSF_MAX_GRAPH && kind_of(graph, op, object) < AMPSF_MAX_GRAPH_KINDS;
}

void
ampsf_graph_add(AmpsfGraph *graph, const AmpsfGraphNode *node)
{
	MemoryContext old = MemoryContextSwitchTo(graph->cxt);
	Change *to = &graph->nodes[graph->n];

	int kind;

	if (!ampsf_graph_has_room(graph, node->op, node->object))
		elog(ERROR, "graph of %d changes is full", graph->n);
	kind = kind_of(graph, node->op, node->object);
	if (kind == graph->nkinds)
		graph->kinds[graph->nkinds++] = graph->n;
	to->op = node->op;
	to->object = pstrdup(node->object);
	to->key = node->key ? pstrdup(node->key) : NULL;
	if (node->id && !ampsf_sfid_canonicalize(node->id, strlen(node->id), to->id))
		elog(ERROR, "invalid Salesforce Id in a graph");
	to->fields = palloc(node->len + 1);
	if (node->len > 0)
		memcpy(to->fields, node->fields, node->len);
	to->fields[node->len] = '\0';
	to->len = node->len;
	to->headers = node->headers;
	graph->n++;
	MemoryContextSwitchTo(old);
}

/* -------- the request -------- */

static void
append_json(StringInfo buf, const char *s, size_t len)
{
	enlargeStringInfo(buf, (int) ampsf_quote_json(s, len, NULL));
	buf->len += (int) ampsf_quote_json(s, len, buf->data + buf->len);
	buf->data[buf->len] = '\0';
}

static void
append_url(StringInfo buf, const char *s)
{
	size_t len = strlen(s);

	enlargeStringInfo(buf, (int) ampsf_quote_url(s, len, NULL));
	buf->len += (int) ampsf_quote_url(s, len, buf->data + buf->len);
	buf->data[buf->len] = '\0';
}

static const char *
skip_string(const char *p)
{
	for (p++; *p && *p != '"'; p++)
		if (*p == '\\' && p[1])
			p++;
	return *p ? p + 1 : p;
}

/* Behind the value that begins at p. */
static const char *
skip_value(const char *p)
{
	int depth = 0;

	while (*p && (depth > 0 || *p != ','))
	{
		if (*p == '"')
		{
			p = skip_string(p);
			continue;
		}
		if (*p == '{' || *p == '[')
			depth++;
		else if (*p == '}' || *p == ']')
			depth--;
		p++;
	}
	return p;
}

/*
 * The fields of an upsert without the external id, which stands in the address.  fields:
 * "A":1,"B":"x" as we write them, without blanks.
 */
static void
append_without(StringInfo buf, const char *fields, const char *key)
{
	size_t len = strlen(key);
	const char *p = fields;
	bool first = true;

	while (*p == '"')
	{
		const char *name = p;
		const char *end = skip_string(p);
		const char *next = *end == ':' ? skip_value(end + 1) : end;

		if ((size_t) (end - name) != len + 2 || pg_strncasecmp(name + 1, key, len) != 0)
		{
			if (!first)
				appendStringInfoChar(buf, ',');
			appendBinaryStringInfo(buf, name, (int) (next - name));
			first = false;
		}
		p = *next == ',' ? next + 1 : next;
	}
}

typedef struct KeyValue
{
	const char *key, *value;
} KeyValue;

static void
find_key(const char *name, AmpsfJson *value, void *arg)
{
	KeyValue *kv = arg;

	if (pg_strcasecmp(name, kv->key) == 0 && value != NULL)
		kv->value = ampsf_json_text(value);
}

static void
append_address(AmpsfGraph *graph, const Change *node, StringInfo url)
{
	appendStringInfo(url, "/services/data/v%s/sobjects/%s", ampsf_session_version(graph->session),
					 node->object);
	if (node->op == AMPSF_UPDATE || node->op == AMPSF_DELETE)
		appendStringInfo(url, "/%s", node->id);
	else if (node->op == AMPSF_UPSERT)
	{
		char *text = psprintf("{%s}", node->fields);
		AmpsfJson *doc = ampsf_json_parse(text, strlen(text), graph->call_cxt);
		KeyValue kv = {node->key, NULL};

		ampsf_json_each(doc, find_key, &kv);
		if (kv.value == NULL || *kv.value == '\0')
			ereport(ERROR,
					(errcode(ERRCODE_NOT_NULL_VIOLATION),
					 errmsg("external id %s of a row of %s is missing", node->key, node->object)));
		appendStringInfo(url, "/%s/", node->key);
		append_url(url, kv.value);
	}
}

static void
append_node(AmpsfGraph *graph, int i, StringInfo buf)
{
	const Change *node = &graph->nodes[i];
	static const char *const methods[] = {"POST", "PATCH", "DELETE", "PATCH"};
	StringInfoData url;

	appendStringInfo(buf, "{\"referenceId\":\"c%d\",\"method\":\"%s\",\"url\":", i,
					 methods[node->op]);
	initStringInfo(&url);
	append_address(graph, node, &url);
	append_json(buf, url.data, url.len);
	pfree(url.data);
	for (const char *const *h = node->headers; h && *h; h++)
	{
		const char *colon = strchr(*h, ':');

		appendStringInfoString(buf, h == node->headers ? ",\"httpHeaders\":{" : ",");
		append_json(buf, *h, colon - *h);
		appendStringInfoChar(buf, ':');
		for (colon++; *colon == ' '; colon++)
			;
		append_json(buf, colon, strlen(colon));
		if (h[1] == NULL)
			appendStringInfoChar(buf, '}');
	}
	if (node->op != AMPSF_DELETE)
	{
		appendStringInfoString(buf, ",\"body\":{");
		if (node->op == AMPSF_UPSERT)
			append_without(buf, node->fields, node->key);
		else
			appendBinaryStringInfo(buf, node->fields, (int) node->len);
		appendStringInfoChar(buf, '}');
	}
	appendStringInfoChar(buf, '}');
}

/* How many changes are to be sent; *idempotent: may they be sent again? */
static int
to_send(const AmpsfGraph *graph, bool *idempotent)
{
	int n = 0;
	bool creates = false, deletes = false, updates = false;

	for (int i = 0; i < graph->n; i++)
	{
		const Change *node = &graph->nodes[i];

		if (node->gone)
			continue;
		n++;
		creates |= node->op == AMPSF_INSERT;
		deletes |= node->op == AMPSF_DELETE;
		updates |= node->op == AMPSF_UPDATE || node->op == AMPSF_UPSERT;
	}
	*idempotent = !creates && !(deletes && updates);
	return n;
}

static AmpsfCall *
send_nodes(AmpsfGraph *graph, bool idempotent)
{
	AmpsfCallSpec spec = {0};
	StringInfoData buf;
	AmpsfCall *call;
	bool first = true;

	initStringInfo(&buf);
	appendStringInfoString(&buf, "{\"graphs\":[{\"graphId\":\"t\",\"compositeRequest\":[");
	for (int i = 0; i < graph->n; i++)
	{
		if (graph->nodes[i].gone)
			continue;
		if (!first)
			appendStringInfoChar(&buf, ',');
		first = false;
		append_node(graph, i, &buf);
	}
	appendStringInfoString(&buf, "]}]}");
	spec.method = "POST";
	spec.path = "composite/graph";
	spec.body = buf.data;
	spec.body_len = buf.len;
	spec.idempotent = idempotent;
	spec.stats = graph->stats;
	spec.usage = ampsf_session_usage(graph->session, NULL, "graph");
	call = ampsf_call_start(graph->session, &spec, graph->call_cxt);
	pfree(buf.data);
	graph->call = call;
	ampsf_call_wait(call);
	graph->call = NULL;
	return call;
}

/* -------- the answer -------- */

static void
throw_unknown(AmpsfGraph *graph, int n, const char *why)
{
	graph->in_doubt = true;
	ereport(
		ERROR,
		(errcode(ERRCODE_TRANSACTION_RESOLUTION_UNKNOWN),
		 errmsg("the outcome at Salesforce is unknown: %d %s of the transaction in doubt", n,
				n == 1 ? "change" : "changes"),
		 errdetail("%s Either all of them were made or none; the transaction here is rolled back.",
				   why),
		 errhint("Look for one of them in Salesforce before the transaction is repeated; "
				 "ampsf.write_error holds them.")));
}

/* The first error of an array of errors. */
static void
read_error(AmpsfJson *body, int status, AmpsfGraphRefusal *refusal)
{
	AmpsfApiError err = {0};
	const char *text = body ? ampsf_json_print(body) : "";

	ampsf_error_parse(status, text, strlen(text), &err);
	refusal->status = status;
	refusal->code = pstrdup(err.code ? err.code : "UNKNOWN_EXCEPTION");
	refusal->message = err.message ? pstrdup(err.message) : NULL;
	refusal->fields = err.fields ? pstrdup(err.fields) : NULL;
}

/* Of an answer that can be read: was all written?  In the current context. */
static bool
read_answer(AmpsfGraph *graph, AmpsfCall *call, int n, AmpsfGraphRefusal *refusal)
{
	size_t len;
	const char *text = ampsf_call_body(call, &len);
	AmpsfJson *doc = ampsf_json_parse(text, len, graph->call_cxt);
	AmpsfJson *answer = ampsf_json_array_get(ampsf_json_get(doc, "graphs"), 0);
	AmpsfJson *list = ampsf_json_get(ampsf_json_get(answer, "graphResponse"), "compositeResponse");
	int good = 0;

	memset(refusal, 0, sizeof(*refusal));
	refusal->node = -1;
	if (doc == NULL || ampsf_json_get(answer, "isSuccessful") == NULL ||
		ampsf_json_array_length(list) != n)
		throw_unknown(graph, n, "Salesforce accepted the call, but its answer cannot be read.");
	for (int i = 0; i < n; i++)
	{
		AmpsfJson *item = ampsf_json_array_get(list, i);
		int64 status = ampsf_json_int(item, "httpStatusCode", 0);
		const char *ref = ampsf_json_string(item, "referenceId");
		AmpsfGraphRefusal one;

		if (status >= 200 && status <= 299)
		{
			good++;
			continue;
		}
		read_error(ampsf_json_get(item, "body"), (int) status, &one);
		if (refusal->code != NULL && strcmp(one.code, "PROCESSING_HALTED") == 0)
			continue;
		if (refusal->code != NULL && strcmp(refusal->code, "PROCESSING_HALTED") != 0)
			continue;
		*refusal = one;
		refusal->node = ref && ref[0] == 'c' ? atoi(ref + 1) : -1;
		if (refusal->node >= graph->n)
			refusal->node = -1;
	}
	if (ampsf_json_bool(answer, "isSuccessful", false) != (good == n))
		throw_unknown(graph, n, "Salesforce's answer contradicts itself.");
	return good == n;
}

static bool
says_gone(const AmpsfGraphRefusal *refusal)
{
	return strcmp(refusal->code, "ENTITY_IS_DELETED") == 0 ||
		   strcmp(refusal->code, "NOT_FOUND") == 0;
}

/* Asks which rows to be deleted of that object are still there; marks the others. */
static void
mark_gone(AmpsfGraph *graph, const char *object)
{
	static const char *const fields[] = {"Id"};
	AmpsfQuerySpec spec = {0};
	AmpsfRowSource *src;
	AmpsfValue id;
	StringInfoData soql;
	bool there[AMPSF_MAX_GRAPH] = {false};
	int n = 0;

	initStringInfo(&soql);
	appendStringInfo(&soql, "SELECT Id FROM %s WHERE Id IN (", object);
	for (int i = 0; i < graph->n; i++)
	{
		const Change *node = &graph->nodes[i];

		if (node->op == AMPSF_DELETE && !node->gone && strcmp(node->object, object) == 0)
			appendStringInfo(&soql, "%s'%s'", n++ > 0 ? "," : "", node->id);
	}
	if (n == 0)
		return;
	appendStringInfoChar(&soql, ')');
	spec.session = graph->session;
	spec.soql = soql.data;
	spec.fields = fields;
	spec.nfields = 1;
	spec.limit = -1;
	spec.stats = NULL;
	src = ampsf_rest_query(&spec);
	src->ops->start(src);
	while (src->ops->next(src, &id))
	{
		char canonical[AMPSF_SFID_LEN + 1];

		if (!ampsf_sfid_canonicalize(id.ptr, id.len, canonical))
			continue;
		for (int i = 0; i < graph->n; i++)
			there[i] |= strcmp(graph->nodes[i].id, canonical) == 0;
	}
	src->ops->close(src);
	for (int i = 0; i < graph->n; i++)
	{
		Change *node = &graph->nodes[i];

		if (node->op == AMPSF_DELETE && strcmp(node->object, object) == 0 && !there[i])
			node->gone = true;
	}
}

static void
count_rows(AmpsfGraph *graph)
{
	static const char *const kind = "graph";

	for (int i = 0; i < graph->n; i++)
	{
		if (graph->nodes[i].gone)
			continue;
		ampsf_usage_rows(ampsf_session_usage(graph->session, NULL, kind), 1);
		if (graph->stats)
			graph->stats->rows++;
	}
}

/* One call; as ampsf_graph_send(), without second tries. */
static bool
send_once(AmpsfGraph *graph, AmpsfGraphRefusal *refusal)
{
	bool idempotent;
	int n = to_send(graph, &idempotent);
	AmpsfApiError err = {0};
	AmpsfCall *call;
	const char *body;
	size_t len;
	int status;

	if (n == 0)
		return true;
	call = send_nodes(graph, idempotent);
	status = ampsf_call_status(call);
	if (status >= 200 && status <= 299)
		return read_answer(graph, call, n, refusal);
	if (ampsf_call_was_sent(call) || ampsf_call_unknown_outcome(call))
		throw_unknown(graph, n,
					  status == 0
						  ? "The connection was lost after the request had been sent."
						  : psprintf("The answer was HTTP status %d, from a gateway.", status));
	if (status >= 500)
	{
		/* Salesforce's own refusal says that nothing was done; a gateway's page does not. */
		body = ampsf_call_body(call, &len);
		ampsf_error_parse(status, body, len, &err);
		if (err.code == NULL)
			throw_unknown(
				graph, n,
				psprintf("The answer was HTTP status %d, without a word from Salesforce itself.",
						 status));
	}
	ampsf_call_throw(
		call, psprintf("write %d %s of the transaction", n, n == 1 ? "change" : "changes"), NULL);
}

bool
ampsf_graph_send(AmpsfGraph *graph, AmpsfGraphRefusal *refusal)
{
	int locked = 0, gone = 0;

	for (;;)
	{
		MemoryContext old;
		bool done;

		graph->call = NULL;
		MemoryContextReset(graph->call_cxt);
		old = MemoryContextSwitchTo(graph->call_cxt);
		done = send_once(graph, refusal);
		if (done)
			count_rows(graph);
		else if (strcmp(refusal->code, "UNABLE_TO_LOCK_ROW") == 0 && locked < LOCK_RETRIES)
			ampsf_write_pause(locked++);
		else if (refusal->node >= 0 && graph->nodes[refusal->node].op == AMPSF_DELETE &&
				 says_gone(refusal) && gone++ < GONE_RETRIES)
		{
			graph->nodes[refusal->node].gone = true;
			mark_gone(graph, graph->nodes[refusal->node].object);
		}
		else
		{
			MemoryContextSwitchTo(old);
			return false;
		}
		MemoryContextSwitchTo(old);
		if (done)
			return true;
		if (graph->stats)
			graph->stats->retries++;
	}
}

bool
ampsf_graph_in_doubt(const AmpsfGraph *graph)
{
	return graph->in_doubt || (graph->call != NULL && ampsf_call_in_flight(graph->call));
}

void
ampsf_graph_change(const AmpsfGraph *graph, int i, AmpsfGraphNode *node)
{
	const Change *from = &graph->nodes[i];

	memset(node, 0, sizeof(*node));
	node->op = from->op;
	node->object = from->object;
	node->key = from->key;
	node->id = from->id[0] ? from->id : NULL;
	node->fields = from->fields;
	node->len = from->len;
}
