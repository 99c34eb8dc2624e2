/*
 * soql_meta.c - queries about what there is and who may see it.
 *
 * EntityDefinition and EntityParticle know of every object and field, whoever asks;
 * FieldPermissions and ObjectPermissions of what a permission set gives: here each user has one of
 * their own, that of the profile.  All of them are only for who has View Setup and Configuration.
 * Must not know: HTTP.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <json-c/json.h>
#include <sqlite3.h>

#include "soql_ast.h"
#include "soql_meta.h"
#include "store.h"

/* The version since which permissions are kept from who may not see the setup. */
#define PERMISSIONS_GUARDED 49

typedef struct Kind
{
	const char *name;
	bool tooling;
	const char *const *reified; /* one of these must be filtered by; NULL: nothing must */
	const char *reified_text;
	void (*rows)(json_object *list);
} Kind;

static void
put(json_object *row, const char *key, const char *value)
{
	json_object_object_add(row, key, value ? json_object_new_string(value) : NULL);
}

static void
put_bool(json_object *row, const char *key, bool value)
{
	json_object_object_add(row, key, json_object_new_boolean(value));
}

/* acme__Region__c: acme, Region. */
static void
put_names(json_object *row, const char *name)
{
	const char *first = strstr(name, "__");
	const char *second = first ? strstr(first + 2, "__") : NULL;
	char text[100];

	snprintf(text, sizeof(text), "%.*s", second ? (int) (first - name) : 0, name);
	put(row, "NamespacePrefix", second ? text : NULL);
	if (second)
		snprintf(text, sizeof(text), "%.*s", (int) (second - first) - 2, first + 2);
	else
		snprintf(text, sizeof(text), "%.*s", first ? (int) (first - name) : 80, name);
	put(row, "DeveloperName", text);
	put(row, "QualifiedApiName", name);
}

static bool
customizable(const Object *o)
{
	static const char *const fixed[] = {"AccountHistory", "Attachment", "Organization",
										"RecordType"};

	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
		if (strcmp(fixed[i], o->name) == 0)
			return false;
	return true;
}

static json_object *
entity(const Object *o)
{
	json_object *row = json_object_new_object();

	put_names(row, o->name);
	put(row, "DurableId", o->name);
	put(row, "Label", o->label);
	put(row, "PluralLabel", o->label_plural);
	put(row, "KeyPrefix", o->key_prefix);
	put_bool(row, "IsCustomizable", customizable(o));
	put_bool(row, "IsCustomSetting", false);
	put_bool(row, "IsDeprecatedAndHidden", false);
	put_bool(row, "IsQueryable", o->queryable);
	put_bool(row, "IsEverCreatable", o->createable);
	put_bool(row, "IsEverUpdatable", o->updateable);
	put_bool(row, "IsEverDeletable", o->deletable);
	return row;
}

static void
entities(json_object *list)
{
	for (int i = 0; i < schema_count(); i++)
		json_object_array_add(list, entity(schema_object(i)));
}

static bool
describes(const Field *f, const char *key)
{
	json_object *list, *v;

	return json_object_object_get_ex(f->object->describe, "fields", &list) &&
		   json_object_object_get_ex(json_object_array_get_idx(list, (size_t) f->index), key, &v) &&
		   json_object_get_boolean(v);
}

static const char *
label(const Field *f)
{
	json_object *list, *v;

	return json_object_object_get_ex(f->object->describe, "fields", &list) &&
				   json_object_object_get_ex(json_object_array_get_idx(list, (size_t) f->index),
											 "label", &v)
			   ? json_object_get_string(v)
			   : NULL;
}

/* Has the field parts, or is it one of another? */
static bool
is_compound(const Field *f)
{
	return f->type == FT_ADDRESS || f->type == FT_LOCATION;
}

static bool
is_component(const Field *f)
{
	return f->compound != NULL && strcmp(f->compound, f->name) != 0;
}

/* Field-level security is given to an address as a whole. */
static bool
permissionable(const Field *f)
{
	return is_compound(f) || describes(f, "permissionable");
}

static void
particles(json_object *list)
{
	for (int i = 0; i < schema_count(); i++)
	{
		const Object *o = schema_object(i);

		for (int j = 0; j < o->n_fields; j++)
		{
			const Field *f = &o->fields[j];
			json_object *row;
			char id[180];

			if (f->gone)
				continue;
			row = json_object_new_object();
			snprintf(id, sizeof(id), "%s.%s", o->name, f->name);
			put_names(row, f->name);
			put(row, "DurableId", id);
			put(row, "FieldDefinitionId", id);
			put(row, "EntityDefinitionId", o->name);
			json_object_object_add(row, "EntityDefinition", entity(o));
			put(row, "Label", label(f));
			put(row, "DataType", f->type_name);
			json_object_object_add(row, "Length", json_object_new_int(f->length));
			json_object_object_add(row, "Precision", json_object_new_int(f->precision));
			json_object_object_add(row, "Scale", json_object_new_int(f->scale));
			put_bool(row, "IsCreatable", f->createable);
			put_bool(row, "IsUpdatable", f->updateable);
			put_bool(row, "IsPermissionable", permissionable(f));
			put_bool(row, "IsNillable", f->nillable);
			put_bool(row, "IsCalculated", f->calculated);
			put_bool(row, "IsNameField", f->name_field);
			put_bool(row, "IsCompound", is_compound(f));
			put_bool(row, "IsComponent", is_component(f));
			json_object_array_add(list, row);
		}
	}
}

/* A row for what each user may do, told by the hook, which sees as that user. */
static void
for_users(json_object *list, void (*put_rows)(json_object *list, const char *parent))
{
	char *asks = strdup(schema_viewer());
	sqlite3_stmt *s = NULL;
	char parent[SF_ID_LEN + 1];

	if (sqlite3_prepare_v2(store_db(), "SELECT Id FROM \"User\" ORDER BY Id", -1, &s, NULL) !=
		SQLITE_OK)
		abort();
	while (sqlite3_step(s) == SQLITE_ROW)
	{
		const char *user = (const char *) sqlite3_column_text(s, 0);

		/* the permission set of a profile of one's own */
		snprintf(parent, sizeof(parent), "0PS%s", user + 3);
		schema_set_viewer(user);
		put_rows(list, parent);
	}
	sqlite3_finalize(s);
	schema_set_viewer(asks);
	free(asks);
}

static void
put_field_permissions(json_object *list, const char *parent)
{
	for (int i = 0; i < schema_count(); i++)
	{
		const Object *o = schema_object(i);

		for (int j = 0; j < o->n_fields && schema_may(ACCESS_READ, o, NULL); j++)
		{
			const Field *f = &o->fields[j];
			json_object *row;
			char name[180];

			/* what belongs to an address goes by that of the address */
			if (!schema_seen(f) || !permissionable(f) || is_component(f))
				continue;
			row = json_object_new_object();
			snprintf(name, sizeof(name), "%s.%s", o->name, f->name);
			put(row, "ParentId", parent);
			put(row, "SobjectType", o->name);
			put(row, "Field", name);
			put_bool(row, "PermissionsRead", true);
			put_bool(row, "PermissionsEdit",
					 (f->createable || f->updateable || is_compound(f)) &&
						 schema_may(ACCESS_WRITE, o, f));
			json_object_array_add(list, row);
		}
	}
}

static void
field_permissions(json_object *list)
{
	for_users(list, put_field_permissions);
}

static void
put_object_permissions(json_object *list, const char *parent)
{
	for (int i = 0; i < schema_count(); i++)
	{
		const Object *o = schema_object(i);
		json_object *row;

		if (!customizable(o) || !schema_may(ACCESS_READ, o, NULL))
			continue;
		row = json_object_new_object();
		put(row, "ParentId", parent);
		put(row, "SobjectType", o->name);
		put_bool(row, "PermissionsRead", true);
		put_bool(row, "PermissionsCreate", schema_may(ACCESS_CREATE, o, NULL));
		put_bool(row, "PermissionsEdit", schema_may(ACCESS_EDIT, o, NULL));
		put_bool(row, "PermissionsDelete", schema_may(ACCESS_DELETE, o, NULL));
		json_object_array_add(list, row);
	}
}

static void
object_permissions(json_object *list)
{
	for_users(list, put_object_permissions);
}

static const char *const particle_filters[] = {"EntityDefinition.QualifiedApiName",
											   "EntityDefinitionId", "FieldDefinitionId",
											   "DurableId", NULL};

static const Kind kinds[] = {
	{"EntityDefinition", true, NULL, NULL, entities},
	{"EntityParticle", true, particle_filters, "EntityDefinitionId,FieldDefinitionId,DurableId",
	 particles},
	{"FieldPermissions", false, NULL, NULL, field_permissions},
	{"ObjectPermissions", false, NULL, NULL, object_permissions},
};

static const Kind *
kind_of(const Query *q, bool tooling)
{
	if (q->from.path.n == 1)
		for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
			if (kinds[i].tooling == tooling && slice_is(q->from.path.v[0], kinds[i].name))
				return &kinds[i];
	return NULL;
}

/* A look that costs nothing, as most statements are about rows. */
static bool
may_be(const char *text, bool tooling)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (kinds[i].tooling == tooling && strcasestr(text, kinds[i].name))
			return true;
	return false;
}

static const char *
dotted(Ctx *cx, const Expr *e)
{
	char *name = ctx_strndup(cx, e->path.v[0].p, e->path.v[0].n);

	for (int i = 1; i < e->path.n; i++)
		name = ctx_printf(cx, "%s.%.*s", name, (int) e->path.v[i].n, e->path.v[i].p);
	return name;
}

/* The name of the member as it is spelt, or NULL. */
static const char *
spelt(json_object *row, Slice name)
{
	json_object_object_foreach(row, key, v)
	{
		(void) v;
		if (slice_is(name, key))
			return key;
	}
	return NULL;
}

/* The value in the row; NULL: null.  A name that no row has is refused. */
static json_object *
value_of(Ctx *cx, const Kind *k, json_object *row, const Expr *e)
{
	json_object *v = row;

	for (int i = 0; i < e->path.n; i++)
	{
		const char *key = json_object_is_type(v, json_type_object) ? spelt(v, e->path.v[i]) : NULL;

		if (e->fn != FN_NONE || key == NULL ||
			(!json_object_object_get_ex(v, key, &v) && i + 1 < e->path.n))
			soql_fail(cx, "INVALID_FIELD", e->pos,
					  "No such column '%s' on entity '%s'. If you are attempting to use a custom "
					  "field, be sure to append the '__c' after the custom field name. Please "
					  "reference your WSDL or the describe call for the appropriate names.",
					  dotted(cx, e), k->name);
	}
	return v;
}

static bool
same(json_object *v, const Literal *l)
{
	const char *s = v ? json_object_get_string(v) : NULL;

	if (l->kind == LIT_NULL || s == NULL)
		return l->kind == LIT_NULL && s == NULL;
	if (l->kind == LIT_BOOL)
		return json_object_is_type(v, json_type_boolean) &&
			   json_object_get_boolean(v) == l->is_true;
	return strlen(s) == l->text.n && strncasecmp(s, l->text.p, l->text.n) == 0;
}

static bool
matches(Ctx *cx, const Kind *k, json_object *row, const Cond *c)
{
	bool any = false;

	switch (c->kind)
	{
		case COND_AND:
			for (int i = 0; i < c->args.n; i++)
				if (!matches(cx, k, row, c->args.v[i]))
					return false;
			return true;
		case COND_OR:
			for (int i = 0; i < c->args.n; i++)
				any = matches(cx, k, row, c->args.v[i]) || any;
			return any;
		case COND_NOT:
			return !matches(cx, k, row, c->args.v[0]);
		default:
			break;
	}
	for (int i = 0; i < c->values.n; i++)
		any = same(value_of(cx, k, row, c->left), &c->values.v[i]) || any;
	return c->op == OP_NE || c->op == OP_NOT_IN ? !any : any;
}

/* What such objects refuse in a condition; does it name one of those that are needed? */
static bool
check_filter(Ctx *cx, const Kind *k, const Cond *c)
{
	bool needed = k->reified == NULL;

	if (c == NULL)
		return needed;
	if (c->kind == COND_AND)
	{
		for (int i = 0; i < c->args.n; i++)
			needed = check_filter(cx, k, c->args.v[i]) || needed;
		return needed;
	}
	if (k->tooling && c->kind == COND_OR)
		soql_fail(cx, "EXTERNAL_OBJECT_UNSUPPORTED_EXCEPTION", -1, "Disjunctions not supported");
	if (c->kind != COND_COMPARE)
		return needed;
	if (c->op != OP_EQ && c->op != OP_IN && (k->tooling || (c->op != OP_NE && c->op != OP_NOT_IN)))
		soql_fail(cx, "EXTERNAL_OBJECT_UNSUPPORTED_EXCEPTION", -1,
				  "Only equals comparisons permitted");
	for (int i = 0; k->reified && k->reified[i]; i++)
		needed = strcasecmp(dotted(cx, c->left), k->reified[i]) == 0 || needed;
	return needed;
}

static void
check(Ctx *cx, const Kind *k, const Query *q)
{
	if (!schema_may(ACCESS_SETUP, NULL, NULL) &&
		(k->tooling || atoi(cx->opt->version) >= PERMISSIONS_GUARDED))
		soql_fail(cx, "INVALID_TYPE", -1, "sObject type '%s' is not supported.", k->name);
	if (k->tooling && q->grouped)
		soql_fail(cx, "EXTERNAL_OBJECT_UNSUPPORTED_EXCEPTION", -1,
				  "The requested operation is not yet supported by this SObject storage type, "
				  "contact salesforce.com support for more information.");
	if (!check_filter(cx, k, q->where))
		soql_fail(cx, "MALFORMED_QUERY", -1, "%s: a filter on a reified column is required [%s]",
				  k->name, k->reified_text);
	if (q->order.n > 0 || q->has_offset || q->having || (q->has_limit && !k->tooling))
		soql_fail(cx, "MALFORMED_QUERY", -1,
				  "the sandbox knows neither ORDER BY nor LIMIT nor OFFSET nor HAVING of %s",
				  k->name);
	for (int i = 0; i < q->items.n; i++)
	{
		const Item *item = &q->items.v[i];
		bool grouped = !q->grouped;

		if (item->kind != ITEM_EXPR)
			soql_fail(cx, "MALFORMED_QUERY", item->pos, "fields of %s are asked for by name",
					  k->name);
		for (int j = 0; j < q->group.n; j++)
			grouped |= strcasecmp(dotted(cx, q->group.v[j]), dotted(cx, item->expr)) == 0;
		if (!grouped)
			soql_fail(cx, "MALFORMED_QUERY", item->pos, "Field must be grouped or aggregated: %s",
					  dotted(cx, item->expr));
	}
}

/* Each of them: what joins conditions may not look at all. */
static void
check_where_names(Ctx *cx, const Kind *k, const Cond *c, json_object *row)
{
	for (int i = 0; i < c->args.n; i++)
		check_where_names(cx, k, c->args.v[i], row);
	if (c->kind == COND_COMPARE)
		value_of(cx, k, row, c->left);
	else if (c->kind == COND_SEMIJOIN)
		soql_fail(cx, "MALFORMED_QUERY", c->pos, "Semi join sub-selects are not allowed here");
}

/* Refuses what no row has, before anything is made that a refusal would leave behind. */
static void
check_names(Ctx *cx, const Kind *k, const Query *q, json_object *row)
{
	if (row == NULL)
		return;
	for (int i = 0; i < q->items.n; i++)
		value_of(cx, k, row, q->items.v[i].expr);
	if (q->where)
		check_where_names(cx, k, q->where, row);
}

static void
put_attributes(json_object *out, const char *type)
{
	json_object *attributes = json_object_new_object();

	put(attributes, "type", type);
	json_object_object_add(out, "attributes", attributes);
}

/* What is asked for, of one row; parents' values in an object of their own. */
static json_object *
record(Ctx *cx, const Kind *k, const Query *q, json_object *row)
{
	json_object *out = json_object_new_object();

	put_attributes(out, q->grouped ? "AggregateResult" : k->name);
	for (int i = 0; i < q->items.n; i++)
	{
		const Expr *e = q->items.v[i].expr;
		json_object *v = value_of(cx, k, row, e);
		json_object *from = row;
		json_object *to = out;
		int last = e->path.n - 1;

		for (int j = 0; j < last; j++)
		{
			const char *key = spelt(from, e->path.v[j]);
			json_object *inner;

			json_object_object_get_ex(from, key, &from);
			if (!json_object_object_get_ex(to, key, &inner))
			{
				inner = json_object_new_object();
				put_attributes(inner, key);
				json_object_object_add(to, key, inner);
			}
			to = inner;
		}
		json_object_object_add(to, spelt(from, e->path.v[last]), json_object_get(v));
	}
	return out;
}

/* The records, joined by commas; how many. */
static int
put_records(Ctx *cx, const Kind *k, const Query *q, json_object *all, Buf *out)
{
	json_object *seen = json_object_new_object();
	int n = 0;

	for (size_t i = 0; i < json_object_array_length(all); i++)
	{
		json_object *row = json_object_array_get_idx(all, i);
		json_object *o;
		const char *text;

		if (q->where && !matches(cx, k, row, q->where))
			continue;
		o = record(cx, k, q, row);
		text = json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN |
													 JSON_C_TO_STRING_NOSLASHESCAPE);
		if (!q->grouped || !json_object_object_get_ex(seen, text, NULL))
		{
			if (q->grouped)
				json_object_object_add(seen, text, json_object_new_boolean(true));
			if (!q->count_star)
			{
				buf_adds(out, n > 0 ? "," : "");
				buf_adds(out, text);
			}
			n++;
		}
		json_object_put(o);
	}
	json_object_put(seen);
	return n;
}

MetaAnswer
soql_meta(const char *text, const SoqlOptions *opt, bool tooling, Buf *out, SoqlError *e)
{
	const Kind *volatile k = NULL;
	json_object *volatile all = NULL;
	Ctx *cx;
	const Query *q;
	Buf records;
	int n;

	if (!may_be(text, tooling))
		return META_OTHER;
	cx = malloc(sizeof(*cx));
	if (cx == NULL)
		abort();
	ctx_init(cx, text, strlen(text), opt, e);
	buf_init(&records);
	if (setjmp(cx->env) != 0)
	{
		/* what cannot be parsed is refused by who answers all other statements */
		if (k == NULL)
			soql_error_free(e);
		json_object_put(all);
		buf_free(&records);
		ctx_free(cx);
		free(cx);
		return k ? META_REFUSED : META_OTHER;
	}
	lex_statement(cx);
	q = parse_statement(cx);
	k = kind_of(q, tooling);
	if (k)
	{
		check(cx, k, q);
		all = json_object_new_array();
		k->rows(all);
		check_names(cx, k, q, json_object_array_get_idx(all, 0));
		n = put_records(cx, k, q, all, &records);
		if (tooling)
			buf_addf(out, "{\"size\":%d,", n);
		else
			buf_adds(out, "{");
		buf_addf(out, "\"totalSize\":%d,\"done\":true,", n);
		if (tooling)
			buf_addf(out, "\"queryLocator\":null,\"entityTypeName\":\"%s\",", k->name);
		buf_addf(out, "\"records\":[%s]}", records.len > 0 ? records.data : "");
	}
	json_object_put(all);
	buf_free(&records);
	ctx_free(cx);
	free(cx);
	return k ? META_ANSWERED : META_OTHER;
}
