/*
 * event_schema.c - the Avro schemas of change events, as far as their fields go.
 *
 * sobjects/AccountChangeEvent/eventSchema and event/eventSchema/ID.  Those of the two payload
 * formats are the same here: what CometD sends does not depend on them.  Must not know: the log.
 */
#include <stdio.h>
#include <string.h>

#include "event.h"
#include "rest.h"

static const char header_fields[] =
	"{\"name\":\"entityName\",\"type\":\"string\"},"
	"{\"name\":\"recordIds\",\"type\":{\"type\":\"array\",\"items\":\"string\"}},"
	"{\"name\":\"changeType\",\"type\":{\"type\":\"enum\",\"name\":\"ChangeType\",\"symbols\":["
	"\"CREATE\",\"UPDATE\",\"DELETE\",\"UNDELETE\",\"GAP_CREATE\",\"GAP_UPDATE\",\"GAP_DELETE\","
	"\"GAP_UNDELETE\",\"GAP_OVERFLOW\",\"SNAPSHOT\"]}},"
	"{\"name\":\"changeOrigin\",\"type\":\"string\"},"
	"{\"name\":\"transactionKey\",\"type\":\"string\"},"
	"{\"name\":\"sequenceNumber\",\"type\":\"int\"},"
	"{\"name\":\"commitTimestamp\",\"type\":\"long\"},"
	"{\"name\":\"commitNumber\",\"type\":\"long\"},"
	"{\"name\":\"commitUser\",\"type\":\"string\"},"
	"{\"name\":\"changedFields\",\"type\":{\"type\":\"array\",\"items\":\"string\"}}";

static const char *
avro_type(const Field *f)
{
	switch (f->type)
	{
		case FT_BOOLEAN:
			return "boolean";
		case FT_INT:
			return "int";
		case FT_LONG:
			return "long";
		case FT_DOUBLE:
		case FT_CURRENCY:
		case FT_PERCENT:
			return "double";
		default:
			return "string";
	}
}

static void
put_field(Buf *b, const char *comma, const char *name, const Field *f)
{
	buf_addf(b, "%s{\"name\":\"%s\",\"type\":[\"null\",\"%s\"],\"default\":null}", comma, name,
			 avro_type(f));
}

static bool
is_told(const Field *f, const Field *compound)
{
	return event_compound(f) == compound && event_field_told(f);
}

/* A compound is a record of its parts. */
static void
put_compound(Buf *b, const Object *o, const Field *compound)
{
	const char *comma = "";
	Buf name;

	buf_addf(b,
			 ",{\"name\":\"%s\",\"type\":[\"null\",{\"type\":\"record\",\"name\":\"%s_%s\","
			 "\"fields\":[",
			 compound->name, o->name, compound->name);
	for (int i = 0; i < o->n_fields; i++)
	{
		if (!is_told(&o->fields[i], compound))
			continue;
		buf_init(&name);
		event_put_name(&name, &o->fields[i]);
		put_field(b, comma, name.data + strlen(compound->name) + 1, &o->fields[i]);
		comma = ",";
		buf_free(&name);
	}
	buf_adds(b, "]}],\"default\":null}");
}

static bool
begins_compound(const Object *o, int i)
{
	for (int k = 0; k < i; k++)
		if (is_told(&o->fields[k], event_compound(&o->fields[i])))
			return false;
	return true;
}

static void
put_schema(Response *w, const Object *o)
{
	Buf *b = &w->body;
	char name[128];
	char id[23];

	event_name(o, name);
	event_schema_id(o, id);
	w->status = 200;
	buf_addf(b,
			 "{\"name\":\"%s\",\"namespace\":\"com.sforce.eventbus\",\"type\":\"record\","
			 "\"fields\":[{\"name\":\"ChangeEventHeader\",\"type\":{\"type\":\"record\",\"name\":"
			 "\"ChangeEventHeader\",\"fields\":[%s]}}",
			 name, header_fields);
	for (int i = 0; i < o->n_fields; i++)
	{
		const Field *f = &o->fields[i];

		if (!event_field_told(f))
			continue;
		if (event_compound(f) == NULL)
			put_field(b, ",", f->name, f);
		else if (begins_compound(o, i))
			put_compound(b, o, event_compound(f));
	}
	buf_addf(b, "],\"uuid\":\"%s\"}", id);
}

static const Object *
object_of_schema(const char *id)
{
	char own[23];

	for (int i = 0; i < schema_count(); i++)
	{
		if (!event_supported(schema_object(i)))
			continue;
		event_schema_id(schema_object(i), own);
		if (strcmp(own, id) == 0)
			return schema_object(i);
	}
	return NULL;
}

void
event_schema_resource(Request *r, Response *w)
{
	const char *format = req_param(r, "payloadFormat");
	const Object *o = NULL;

	if (r->n_seg != 3)
		res_not_found(w);
	else if (!is_get(r))
		res_not_allowed(w, r, "HEAD,GET");
	else if (format != NULL && strcmp(format, "COMPACT") != 0 && strcmp(format, "EXPANDED") != 0)
		res_error(w, 400, "INVALID_QUERY_VALUE", "payloadFormat must be EXPANDED or COMPACT");
	else
	{
		if (strcmp(r->seg[0], "sobjects") == 0 && strcmp(r->seg[2], "eventSchema") == 0)
			o = event_object(r->seg[1]);
		else if (strcmp(r->seg[0], "event") == 0 && strcmp(r->seg[1], "eventSchema") == 0)
			o = object_of_schema(r->seg[2]);
		if (o == NULL)
			res_not_found(w);
		else
			put_schema(w, o);
	}
}
