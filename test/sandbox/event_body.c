/*
 * event_body.c - what a change event tells of a row: which fields, under which names, in which
 * form.
 *
 * Must not know: channels, the log.
 */
#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>

#include "event.h"
#include "oauth.h"
#include "store_internal.h"

/* Those of the sandbox's objects for which Salesforce has change events; and all custom ones. */
static const char *const standard[] = {"Account",	 "Campaign", "CampaignMember", "Case",
									   "Contact",	 "Event",	 "Lead",		   "Opportunity",
									   "Pricebook2", "Product2", "Task",		   "User"};

/* Derived from other records, or the user's own: no part of the record that changes. */
static const char *const derived[] = {"Id",
									  "IsDeleted",
									  "SystemModstamp",
									  "MasterRecordId",
									  "LastActivityDate",
									  "LastViewedDate",
									  "LastReferencedDate",
									  "LastLoginDate",
									  "PhotoUrl",
									  "FullPhotoUrl",
									  "SmallPhotoUrl",
									  "IsEmailBounced"};

bool event_parts_absent;
bool event_rollups_silent;

bool
event_supported(const Object *o)
{
	size_t n = strlen(o->name);

	if (o->custom)
		return n > 3 && strcmp(o->name + n - 3, "__c") == 0;
	for (size_t i = 0; i < sizeof(standard) / sizeof(standard[0]); i++)
		if (strcmp(standard[i], o->name) == 0)
			return true;
	return false;
}

void
event_name(const Object *o, char out[128])
{
	size_t n = strlen(o->name);

	if (o->custom)
		snprintf(out, 128, "%.*s__ChangeEvent", (int) (n - 3), o->name);
	else
		snprintf(out, 128, "%sChangeEvent", o->name);
}

const Object *
event_object(const char *name)
{
	char own[128];

	for (int i = 0; i < schema_count(); i++)
	{
		const Object *o = schema_object(i);

		if (!event_supported(o))
			continue;
		event_name(o, own);
		if (strcmp(own, name) == 0)
			return o;
	}
	return NULL;
}

const Field *
event_compound(const Field *f)
{
	const Field *c = f->compound ? schema_field(f->object, f->compound, strlen(f->compound)) : NULL;

	return c == f ? NULL : c;
}

/* Told by its parts. */
static bool
is_compound(const Field *f)
{
	return f->type == FT_ADDRESS || f->type == FT_LOCATION ||
		   (strcmp(f->name, "Name") == 0 && schema_field(f->object, "LastName", 8) != NULL);
}

bool
event_field_told(const Field *f)
{
	for (size_t i = 0; i < sizeof(derived) / sizeof(derived[0]); i++)
		if (strcmp(derived[i], f->name) == 0)
			return false;
	/* roll-ups are, formulas are not */
	return f->stored && !f->gone && !f->formula_sql && f->type != FT_BASE64 &&
		   f->type != FT_ENCRYPTED && !is_compound(f);
}

/* Street of BillingStreet in BillingAddress, Latitude of Location__Latitude__s in Location__c. */
static void
part_name(Buf *out, const Field *f, const Field *compound)
{
	const char *name = f->name;
	size_t n = strlen(name);
	size_t stem = strlen(compound->name);

	if (n > 3 && strcmp(name + n - 3, "__s") == 0)
	{
		/* Location__ */
		if (strncmp(name, compound->name, stem - 1) == 0)
		{
			name += stem - 1;
			n -= stem - 1;
		}
		n -= 3;
	}
	else if (compound->type == FT_ADDRESS && stem > 7 &&
			 strcmp(compound->name + stem - 7, "Address") == 0 &&
			 strncmp(name, compound->name, stem - 7) == 0)
	{
		name += stem - 7;
		n -= stem - 7;
	}
	buf_add(out, name, n);
}

void
event_put_name(Buf *out, const Field *f)
{
	const Field *compound = event_compound(f);

	if (compound == NULL)
	{
		buf_adds(out, f->name);
		return;
	}
	buf_addf(out, "%s.", compound->name);
	part_name(out, f, compound);
}

static void
put_value(Buf *out, const Field *f, const Value *v)
{
	switch (v->kind)
	{
		case V_INT:
			if (f->type == FT_BOOLEAN)
				buf_adds(out, v->i ? "true" : "false");
			else if (f->type == FT_DOUBLE || f->type == FT_CURRENCY || f->type == FT_PERCENT)
				buf_json_double(out, (double) v->i);
			else
				buf_addf(out, "%lld", (long long) v->i);
			break;
		case V_REAL:
			buf_json_double(out, v->d);
			break;
		case V_TEXT:
			/* ...000+0000 is ...000Z here */
			if (f->type == FT_DATETIME && strlen(v->s) == SF_STAMP_LEN)
				buf_addf(out, "\"%.23sZ\"", v->s);
			else
				buf_jsons(out, v->s);
			break;
		default:
			buf_adds(out, f->type == FT_BOOLEAN ? "false" : "null");
	}
}

static bool
is_told(const Row *r, const bool *told, bool nulls, int i)
{
	const Field *f = &r->o->fields[i];

	if (!told[i] || !event_field_told(f))
		return false;
	return nulls || r->v[i].kind != V_NULL;
}

static void
put_compound(Buf *out, const Row *r, const bool *told, bool nulls, const Field *compound)
{
	bool first = true;

	buf_addf(out, "\"%s\":{", compound->name);
	for (int i = 0; i < r->o->n_fields; i++)
	{
		const Field *f = &r->o->fields[i];

		if (event_compound(f) != compound || !is_told(r, told, nulls, i))
			continue;
		buf_adds(out, first ? "\"" : ",\"");
		part_name(out, f, compound);
		buf_adds(out, "\":");
		put_value(out, f, &r->v[i]);
		first = false;
	}
	buf_adds(out, "},");
}

/* Whether a part that is told stands before this one: then the compound is there already. */
static bool
compound_begun(const Row *r, const bool *told, bool nulls, const Field *compound, int i)
{
	while (--i >= 0)
		if (event_compound(&r->o->fields[i]) == compound && is_told(r, told, nulls, i))
			return true;
	return false;
}

void
event_put_fields(Buf *out, const Row *r, const bool *told, bool nulls)
{
	bool part_nulls = nulls && !event_parts_absent;

	for (int i = 0; i < r->o->n_fields; i++)
	{
		const Field *f = &r->o->fields[i];
		const Field *compound = event_compound(f);

		if (!is_told(r, told, compound ? part_nulls : nulls, i))
			continue;
		if (compound == NULL)
		{
			buf_addf(out, "\"%s\":", f->name);
			put_value(out, f, &r->v[i]);
			buf_addc(out, ',');
		}
		else if (!compound_begun(r, told, part_nulls, compound, i))
			put_compound(out, r, told, part_nulls, compound);
	}
}

void
event_schema_id(const Object *o, char out[23])
{
	unsigned char digest[SHA256_DIGEST_LENGTH];
	Buf b;
	Buf text;

	buf_init(&b);
	buf_init(&text);
	buf_adds(&b, o->name);
	for (int i = 0; i < o->n_fields; i++)
		if (event_field_told(&o->fields[i]))
			buf_addf(&b, ",%s:%s", o->fields[i].name, o->fields[i].type_name);
	SHA256((const unsigned char *) b.data, b.len, digest);
	base64url(&text, digest, 16);
	snprintf(out, 23, "%.22s", text.data);
	buf_free(&b);
	buf_free(&text);
}
