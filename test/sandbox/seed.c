/*
 * seed.c - what every seed shares: the organization, its administrator, record types, the price
 * book; and the writing of rows whose times do not depend on the clock.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store_internal.h"

#define FIRST_TIME 1704067200 /* 2024-01-01T00:00:00Z */
#define LAST_TIME 1782863999  /* 2026-06-30T23:59:59Z */
#define STEP 67003			  /* so that about 1,000 rows fill the span */

static int written;
static char standard_book[SF_ID_LEN + 1];

json_object *
seed_row(void)
{
	return json_object_new_object();
}

void
seed_text(json_object *v, const char *field, const char *s)
{
	json_object_object_add(v, field, s ? json_object_new_string(s) : NULL);
}

void
seed_textf(json_object *v, const char *field, const char *fmt, ...)
{
	va_list ap;
	char *s = NULL;

	va_start(ap, fmt);
	if (vasprintf(&s, fmt, ap) < 0)
		schema_die("out of memory");
	va_end(ap);
	seed_text(v, field, s);
	free(s);
}

void
seed_number(json_object *v, const char *field, double d)
{
	json_object_object_add(v, field, json_object_new_double(d));
}

void
seed_bool(json_object *v, const char *field, bool b)
{
	json_object_object_add(v, field, json_object_new_boolean(b));
}

static void
seed_time(const Object *o, json_object *v, const char *field, time_t t)
{
	char stamp[SF_STAMP_LEN + 1];
	json_object *given;

	if (!schema_field(o, field, strlen(field)) || json_object_object_get_ex(v, field, &given))
		return;
	store_timestamp(t > LAST_TIME ? LAST_TIME : t, stamp);
	seed_text(v, field, stamp);
}

void
seed_put(const char *object, json_object *v, char id[SF_ID_LEN + 1])
{
	const Object *o = schema_find(object, strlen(object));
	StoreError e = {0};
	time_t t = FIRST_TIME + (time_t) (written % 1170) * STEP;

	id[0] = '\0';
	if (!o)
	{
		/* an org made of other objects than ours has no such rows */
		json_object_put(v);
		return;
	}
	seed_time(o, v, "CreatedDate", t);
	seed_time(o, v, "LastModifiedDate", t + (written % 5) * 90061);
	/* now and then an automated change came after the last user's */
	seed_time(o, v, "SystemModstamp", t + (written % 5) * 90061 + (written % 7 == 0) * 3600);
	written++;
	if (!store_insert_mode(o, v, WRITE_SEED, id, &e))
		schema_die("seed: %s: %s", object, e.message);
	json_object_put(v);
}

void
seed_delete(const char *object, const char *id)
{
	char sql[400];
	char stamp[SF_STAMP_LEN + 1];

	if (!*id)
		return;
	store_timestamp(FIRST_TIME + (time_t) (written % 1170) * STEP + 600, stamp);
	snprintf(
		sql, sizeof(sql),
		"UPDATE \"%s\" SET \"IsDeleted\" = 1, \"%s\" = '%s', \"%s\" = '%s' WHERE \"Id\" = '%s'",
		object, STORE_DELETED_DATE, stamp, STORE_DELETED_WITH, id, id);
	store_exec(sql);
}

const char *
seed_standard_book(void)
{
	return standard_book;
}

static void
organization(void)
{
	json_object *v = seed_row();
	char id[SF_ID_LEN + 1];

	seed_text(v, "Name", "Sandbox Org");
	seed_text(v, "OrganizationType", "Developer Edition");
	seed_text(v, "DefaultLocaleSidKey", "en_US");
	seed_text(v, "LanguageLocaleKey", "en_US");
	seed_text(v, "TimeZoneSidKey", "GMT");
	seed_text(v, "InstanceName", "SBX1");
	seed_text(v, "PrimaryContact", "Admin User");
	seed_text(v, "Country", "US");
	seed_number(v, "FiscalYearStartMonth", 1);
	seed_bool(v, "IsSandbox", true);
	seed_put("Organization", v, id);
}

static void
administrator(void)
{
	json_object *v = seed_row();
	char id[SF_ID_LEN + 1];

	seed_text(v, "Username", "admin@sandbox.example");
	seed_text(v, "Email", "admin@sandbox.example");
	seed_text(v, "FirstName", "Admin");
	seed_text(v, "LastName", "User");
	seed_text(v, "Alias", "admin");
	seed_text(v, "CompanyName", "Sandbox Org");
	seed_text(v, "TimeZoneSidKey", "GMT");
	seed_text(v, "LocaleSidKey", "en_US");
	seed_text(v, "EmailEncodingKey", "UTF-8");
	seed_text(v, "LanguageLocaleKey", "en_US");
	seed_text(v, "ProfileId", "00e5g000000Prf1");
	seed_bool(v, "IsActive", true);
	seed_put("User", v, id);
}

/* A RecordType row for every record type that an object's describe names. */
static void
record_types(const Object *o)
{
	json_object *list = NULL;
	size_t i;

	json_object_object_get_ex(o->describe, "recordTypeInfos", &list);
	for (i = 0; list && i < json_object_array_length(list); i++)
	{
		json_object *info = json_object_array_get_idx(list, i);
		json_object *x = NULL;
		json_object *v;
		char id[SF_ID_LEN + 1];

		json_object_object_get_ex(info, "master", &x);
		if (json_object_get_boolean(x))
			continue;
		v = seed_row();
		json_object_object_get_ex(info, "recordTypeId", &x);
		seed_text(v, "Id", json_object_get_string(x));
		json_object_object_get_ex(info, "name", &x);
		seed_text(v, "Name", json_object_get_string(x));
		json_object_object_get_ex(info, "developerName", &x);
		seed_text(v, "DeveloperName", json_object_get_string(x));
		seed_text(v, "SobjectType", o->name);
		seed_bool(v, "IsActive", true);
		seed_put("RecordType", v, id);
	}
}

void
seed_org(void)
{
	json_object *v = seed_row();
	int i;

	written = 0;
	organization();
	administrator();
	for (i = 0; i < schema_count(); i++)
		record_types(schema_object(i));
	seed_text(v, "Name", "Standard Price Book");
	seed_bool(v, "IsActive", true);
	seed_bool(v, "IsStandard", true);
	seed_put("Pricebook2", v, standard_book);
}
