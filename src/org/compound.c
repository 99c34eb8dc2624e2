/*
 * compound.c - see compound.h.  Addresses and locations are the compound fields of which a query
 * can show the whole; a component's name is the compound's with another end: BillingAddress,
 * BillingCity; Site__c, Site__City__s; Address, City.
 */
#include "postgres.h"

#include "org/compound.h"

#include "lib/stringinfo.h"
#include "org/describe.h"
#include "wire/csv_scan.h"
#include "wire/text.h"

bool
ampsf_is_compound_type(const char *type)
{
	return strcmp(type, "address") == 0 || strcmp(type, "location") == 0;
}

/* The key of a component in the JSON object: what its name adds to the compound's, as camelCase. */
static char *
component_key(const char *compound, const char *component)
{
	size_t stem = strlen(compound);
	char *key;
	size_t len;

	if (stem > 3 && pg_strcasecmp(compound + stem - 3, "__c") == 0)
		stem -= 1; /* Site__c: Site__ */
	else if (stem >= 7 && pg_strcasecmp(compound + stem - 7, "Address") == 0)
		stem -= 7;
	if (strlen(component) <= stem || pg_strncasecmp(component, compound, stem) != 0)
		return NULL;
	key = pstrdup(component + stem);
	len = strlen(key);
	if (len > 3 && pg_strcasecmp(key + len - 3, "__s") == 0)
		key[len - 3] = '\0';
	key[0] = pg_ascii_tolower((unsigned char) key[0]);
	return key;
}

typedef struct Component
{
	char *name, *key;
	bool number;
} Component;

static int
compare_components(const void *a, const void *b)
{
	return strcmp(((const Component *) a)->key, ((const Component *) b)->key);
}

bool
ampsf_compound_find(AmpsfSession *session, const char *object, const char *field,
					AmpsfCompound *compound)
{
	AmpsfObject *described = linitial(ampsf_describe_objects(session, list_make1(pstrdup(object))));
	Component *found;
	int n = 0;
	ListCell *lc;

	if (!described || strchr(field, '.'))
		return false;
	found = palloc(sizeof(Component) * (list_length(described->fields) + 1));
	foreach (lc, described->fields)
	{
		const AmpsfField *f = lfirst(lc);
		char *key;

		if (!f->compound || pg_strcasecmp(f->compound, field) != 0 ||
			pg_strcasecmp(f->name, field) == 0)
			continue;
		key = component_key(field, f->name);
		if (!key)
			return false;
		found[n].name = pstrdup(f->name);
		found[n].key = key;
		found[n++].number = strcmp(f->type, "double") == 0;
	}
	if (n == 0)
		return false;
	qsort(found, n, sizeof(Component), compare_components);
	compound->n = n;
	compound->names = palloc(sizeof(char *) * n);
	compound->keys = palloc(sizeof(char *) * n);
	compound->numbers = palloc(sizeof(bool) * n);
	for (int i = 0; i < n; i++)
	{
		compound->names[i] = found[i].name;
		compound->keys[i] = found[i].key;
		compound->numbers[i] = found[i].number;
	}
	return true;
}

static void
append_string(StringInfo buf, const AmpsfValue *v)
{
	const char *text = v->ptr;
	size_t len = v->len;
	char *decoded = NULL;

	if (v->kind == AMPSF_VALUE_DOUBLED)
	{
		decoded = palloc(len);
		len = ampsf_csv_unquote(v->ptr, v->len, decoded);
		text = decoded;
	}
	enlargeStringInfo(buf, ampsf_quote_json(text, len, NULL));
	buf->len += ampsf_quote_json(text, len, buf->data + buf->len);
	buf->data[buf->len] = '\0';
	if (decoded)
		pfree(decoded);
}

void
ampsf_compound_value(const AmpsfCompound *compound, const AmpsfValue *values, StringInfo buf,
					 AmpsfValue *value)
{
	bool any = false;

	resetStringInfo(buf);
	for (int i = 0; i < compound->n; i++)
	{
		const AmpsfValue *v = &values[compound->parts[i]];

		appendStringInfo(buf, "%c\"%s\":", i ? ',' : '{', compound->keys[i]);
		if (v->kind == AMPSF_VALUE_NULL)
			appendStringInfoString(buf, "null");
		else if (compound->numbers[i])
			appendBinaryStringInfo(buf, v->ptr, (int) v->len);
		else
			append_string(buf, v);
		any |= v->kind != AMPSF_VALUE_NULL;
	}
	appendStringInfoChar(buf, '}');
	value->kind = any ? AMPSF_VALUE_JSON : AMPSF_VALUE_NULL;
	value->ptr = buf->data;
	value->len = (uint32) buf->len;
}
