/*
 * rest_rows.c - one row at a time: create, read, update, upsert, delete, blobs.
 *
 * The rules of writing are the store's; here is only what REST adds.  Must not know: libmicrohttpd.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <openssl/evp.h>

#include "admin.h"
#include "config.h"
#include "multipart.h"
#include "rest.h"
#include "rules_org.h"
#include "soql.h"
#include "store_internal.h"

#define MAX_FIELDS 1000

static void
add_fields(Buf *b, const StoreError *e)
{
	buf_addc(b, '[');
	for (int i = 0; i < e->n_fields; i++)
	{
		if (i > 0)
			buf_addc(b, ',');
		buf_jsons(b, e->fields[i]);
	}
	buf_addc(b, ']');
}

/* The rows that a rule about duplicates has found, as matchRecords shows them; how many. */
static int
add_matches(Buf *b, const char *ids, const char *version)
{
	const Object *o = schema_by_prefix(ids);
	int n = 0;

	for (; *ids; ids += SF_ID_LEN + 1, n++)
	{
		buf_adds(b, n ? "," : "");
		buf_adds(b, "{\"additionalInformation\":[],\"fieldDiffs\":[],\"matchConfidence\":100.0,"
					"\"record\":");
		if (!rules_details() || !soql_render_row(o, ids, NULL, 0, version, b))
			buf_addf(
				b,
				"{\"attributes\":{\"type\":\"%s\",\"url\":\"/services/data/v%s/sobjects/%s/%s\"},"
				"\"Id\":\"%s\"}",
				o->name, version, o->name, ids, ids);
		buf_addc(b, '}');
	}
	return n;
}

/* Its name is misspelt in real answers; not in those of the documents. */
static void
add_duplicates(Buf *b, const StoreError *e, const char *version)
{
	const Object *o = schema_by_prefix(e->duplicates);
	char rule[120], match[120];
	bool allow_save;
	int n;

	rules_duplicate_of(e, rule, &allow_save, match);
	buf_addf(b,
			 "\"%s\":{\"allowSave\":%s,\"duplicateRule\":\"%s\",\"duplicateRuleEntityType\":\"%s\","
			 "\"errorMessage\":",
			 config.duplicate_result ? "duplicateResult" : "duplicateResut",
			 allow_save ? "true" : "false", rule, o->name);
	buf_jsons(b, e->message);
	buf_addf(b,
			 ",\"matchResults\":[{\"entityType\":\"%s\",\"errors\":[],\"matchEngine\":"
			 "\"ExactMatchEngine\",\"matchRecords\":[",
			 o->name);
	n = add_matches(b, e->duplicates, version);
	buf_addf(b, "],\"rule\":\"%s\",\"size\":%d,\"success\":true}]},", match, n);
}

void
rest_store_error(const Request *r, Response *w, StoreError *e)
{
	w->status = e->http ? e->http : 400;
	buf_clear(&w->body);
	buf_adds(&w->body, "[{");
	if (e->duplicates != NULL)
		add_duplicates(&w->body, e, r->version);
	buf_adds(&w->body, "\"message\":");
	buf_jsons(&w->body, e->message);
	buf_adds(&w->body, ",\"errorCode\":");
	buf_jsons(&w->body, e->code);
	if (e->duplicates == NULL)
	{
		buf_adds(&w->body, ",\"fields\":");
		add_fields(&w->body, e);
	}
	buf_adds(&w->body, "}]");
	store_error_free(e);
}

void
rest_error_item(Buf *out, const StoreError *e)
{
	buf_adds(out, "{\"statusCode\":");
	buf_jsons(out, e->code);
	buf_adds(out, ",\"message\":");
	buf_jsons(out, e->message);
	buf_adds(out, ",\"fields\":");
	add_fields(out, e);
	buf_addc(out, '}');
}

static bool
locked(Request *r, Response *w, const char *id)
{
	StoreError e = {0};

	if (!req_take_lock(r))
		return false;
	rules_lock_error(&e, id);
	rest_store_error(r, w, &e);
	return true;
}

const Field **
rest_fields(Request *r, Response *w, const Object *o, const char *names, int *n)
{
	const Field **out = calloc(MAX_FIELDS, sizeof(Field *));

	*n = 0;
	(void) r;
	for (const char *p = names; *p;)
	{
		size_t len = strcspn(p, ",");
		size_t lead = strspn(p, " ");
		size_t use = len;
		const Field *f;

		while (use > lead && p[use - 1] == ' ')
			use--;
		f = lead < use ? schema_seen_field(o, p + lead, use - lead) : NULL;
		if (f == NULL || *n == MAX_FIELDS)
		{
			res_errorf(w, 400, "INVALID_FIELD", "No such column '%.*s' on sobject of type %s",
					   (int) (lead < use ? use - lead : 0), p + lead, o->name);
			free(out);
			return NULL;
		}
		out[(*n)++] = f;
		p += len;
		if (*p == ',')
			p++;
	}
	return out;
}

static void
created_answer(Request *r, Response *w, const Object *o, const char *id, const char *more)
{
	char url[200];

	snprintf(url, sizeof(url), "/services/data/v%s/sobjects/%s/%s", r->version, o->name, id);
	res_header(w, "Location", url);
	w->status = 201;
	buf_addf(&w->body, "{\"id\":\"%s\",\"success\":true,\"errors\":[]%s}", id, more);
}

void
rest_create(Request *r, Response *w, const Object *o)
{
	json_object *values = multipart_rows(r, w, o);
	StoreError e = {0};
	char id[SF_ID_LEN + 1];

	if (values == NULL)
		return;
	if (locked(r, w, ""))
		;
	else if (store_insert(o, values, id, &e))
		created_answer(r, w, o, id, "");
	else
		rest_store_error(r, w, &e);
	json_object_put(values);
}

/* When somebody last changed the row; false if it cannot be told. */
static bool
row_time(const Object *o, const char *id, time_t *t)
{
	bool stamp = config.rows_by_modstamp || schema_field(o, "LastModifiedDate", 16) == NULL;
	const char *column = stamp ? "SystemModstamp" : "LastModifiedDate";
	char *text;
	bool found;

	if (schema_field(o, column, strlen(column)) == NULL)
		return false;
	text = lookup_text(o->name, id, column);
	found = text != NULL && parse_iso_time(text, t);
	free(text);
	return found;
}

/* 304, 412 or 400 as the conditional headers say; false when the request goes on. */
static bool
condition(Request *r, Response *w, const Object *o, const char *id)
{
	bool tagged = strcmp(o->name, "Account") == 0;
	char etag[64];
	time_t t;

	if (!row_time(o, id, &t))
		return false;
	snprintf(etag, sizeof(etag), "\"%.18s-%lx\"", id, (long) t);
	return rest_precondition(r, w, t, tagged ? etag : NULL);
}

static void
read_row(Request *r, Response *w, const Object *o, const char *id)
{
	const char *names = req_param(r, "fields");
	const Field **fields = NULL;
	int n = 0;

	if (names != NULL && *names && (fields = rest_fields(r, w, o, names, &n)) == NULL)
		return;
	if (store_row_state(o, id) != 1)
		res_not_found(w);
	else if (!condition(r, w, o, id))
	{
		w->status = 200;
		if (!soql_render_row(o, id, fields, n, r->version, &w->body))
			res_not_found(w);
	}
	free(fields);
}

/* True if the JSON names that field, without regard to case; then the answer says that it may not.
 */
static bool
names_key(Response *w, json_object *values, const char *name)
{
	json_object_object_foreach(values, key, val)
	{
		(void) val;
		if (strcasecmp(key, name) == 0)
		{
			res_errorf(w, 400, "INVALID_FIELD",
					   "The %s field should not be specified in the sobject data.", name);
			return true;
		}
	}
	return false;
}

static void
update_row(Request *r, Response *w, const Object *o, const char *id)
{
	json_object *values = multipart_rows(r, w, o);
	StoreError e = {0};

	if (values == NULL)
		return;
	if (names_key(w, values, "Id") || locked(r, w, id))
		;
	else if (store_row_state(o, id) == 1 && condition(r, w, o, id))
		;
	else
	{
		buf_clear(&w->body);
		if (store_update(o, id, values, &e))
			w->status = 204;
		else
			rest_store_error(r, w, &e);
	}
	json_object_put(values);
}

static void
delete_row(Request *r, Response *w, const Object *o, const char *id)
{
	StoreError e = {0};

	if (locked(r, w, id))
		return;
	/* a delete has no conditions, as the current documents say */
	if (config.deletes_by_condition && store_row_state(o, id) == 1 && condition(r, w, o, id))
		return;
	buf_clear(&w->body);
	if (store_delete(o, id, &e))
		w->status = 204;
	else
		rest_store_error(r, w, &e);
}

void
rest_row(Request *r, Response *w, const Object *o, const char *id)
{
	char full[SF_ID_LEN + 1];
	bool fits = store_canonical_id(id, strlen(id), full) &&
				(o->key_prefix == NULL || strncmp(full, o->key_prefix, 3) == 0);
	bool patch = strcmp(r->method, "PATCH") == 0;

	if (!is_get(r) && !patch && strcmp(r->method, "DELETE") != 0)
		res_not_allowed(w, r, "DELETE,GET,HEAD,PATCH");
	else if (!fits)
		res_errorf(w, 404, "NOT_FOUND",
				   "Provided external ID field does not exist or is not accessible: %s", id);
	else if (is_get(r))
		read_row(r, w, o, full);
	else if (patch)
		update_row(r, w, o, full);
	else
		delete_row(r, w, o, full);
}

/* 300: the URLs of all rows that have the key; ids are 19 bytes each. */
static void
ambiguous(Request *r, Response *w, const Object *o, const char *ids, int n)
{
	w->status = 300;
	buf_clear(&w->body);
	for (int i = 0; i < n; i++)
		buf_addf(&w->body, "%c\"/services/data/v%s/sobjects/%s/%s\"", i ? ',' : '[', r->version,
				 o->name, ids + i * 19);
	buf_addc(&w->body, ']');
}

static void
upsert_row(Request *r, Response *w, const Object *o, const Field *key, const char *value)
{
	json_object *values = req_json(r, w);
	StoreError e = {0};
	char id[SF_ID_LEN + 1] = "";
	char *ids = NULL;
	bool created = false;
	int matches = 0;

	if (values == NULL)
		return;
	if (names_key(w, values, key->name) || locked(r, w, value))
		;
	else if (store_upsert(o, key, value, values, id, &created, &matches, &ids, &e))
	{
		if (created)
			created_answer(r, w, o, id, atoi(r->version) >= 46 ? ",\"created\":true" : "");
		else if (atoi(r->version) >= 46)
		{
			w->status = 200;
			buf_addf(&w->body, "{\"id\":\"%s\",\"success\":true,\"errors\":[],\"created\":false}",
					 id);
		}
		else
			w->status = 204;
	}
	else if (matches > 1)
	{
		ambiguous(r, w, o, ids, matches);
		store_error_free(&e);
	}
	else
		rest_store_error(r, w, &e);
	free(ids);
	json_object_put(values);
}

/* POST sobjects/X/Id: an upsert that has no Id yet. */
static void
upsert_new(Request *r, Response *w, const Object *o)
{
	json_object *values = req_json(r, w);
	StoreError e = {0};
	char id[SF_ID_LEN + 1];

	if (values == NULL)
		return;
	if (locked(r, w, ""))
		;
	else if (store_insert(o, values, id, &e))
		created_answer(r, w, o, id, ",\"created\":true");
	else
		rest_store_error(r, w, &e);
	json_object_put(values);
}

void
rest_row_by_key(Request *r, Response *w, const Object *o, const char *field, const char *value)
{
	const Field *f = schema_seen_field(o, field, strlen(field));
	char *ids = NULL;
	int n;

	if (value == NULL)
	{
		upsert_new(r, w, o);
		return;
	}
	if (f == NULL || (!f->external_id && !f->id_lookup))
	{
		res_errorf(w, 404, "NOT_FOUND",
				   "Provided external ID field does not exist or is not accessible: %s", field);
		return;
	}
	if (f->type == FT_ID)
	{
		rest_row(r, w, o, value);
		return;
	}
	if (strcmp(r->method, "PATCH") == 0)
	{
		upsert_row(r, w, o, f, value);
		return;
	}
	if (!is_get(r) && strcmp(r->method, "DELETE") != 0)
	{
		res_not_allowed(w, r, "DELETE,GET,HEAD,PATCH");
		return;
	}
	n = *value ? store_find(o, f, value, &ids) : 0;
	if (n > 1)
		ambiguous(r, w, o, ids, n);
	else if (n < 1)
		res_not_found(w);
	else
		rest_row(r, w, o, ids);
	free(ids);
}

void
rest_blob(Request *r, Response *w, const Object *o, const char *id, const Field *f)
{
	char full[SF_ID_LEN + 1];
	sqlite3_stmt *s = NULL;
	char sql[200];

	if (!is_get(r))
	{
		res_not_allowed(w, r, "HEAD,GET");
		return;
	}
	if (!store_canonical_id(id, strlen(id), full) || store_row_state(o, full) != 1 || !f->stored)
	{
		res_not_found(w);
		return;
	}
	snprintf(sql, sizeof(sql), "SELECT \"%s\" FROM \"%s\" WHERE \"Id\" = ?1", f->name, o->name);
	if (sqlite3_prepare_v2(store_db(), sql, -1, &s, NULL) != SQLITE_OK)
	{
		res_error(w, 500, "UNKNOWN_EXCEPTION", sqlite3_errmsg(store_db()));
		return;
	}
	sqlite3_bind_text(s, 1, full, -1, SQLITE_STATIC);
	w->status = 200;
	w->content_type = "application/octetstream";
	if (sqlite3_step(s) == SQLITE_ROW && sqlite3_column_text(s, 0) != NULL)
	{
		/* Kept as the base64 text in which it came. */
		const unsigned char *text = sqlite3_column_text(s, 0);
		int n = sqlite3_column_bytes(s, 0);
		int len;

		buf_reserve(&w->body, (size_t) n + 4);
		len = EVP_DecodeBlock((unsigned char *) w->body.data, text, n);
		while (len > 0 && n > 0 && text[n - 1] == '=')
		{
			len--;
			n--;
		}
		w->body.len = len > 0 ? (size_t) len : 0;
	}
	sqlite3_finalize(s);
}
