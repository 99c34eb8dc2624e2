/*
 * rules_org.c - duplicate rules and assignment rules.
 *
 * Owns: the list of them.  Must not know: HTTP, SOQL.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "rules_org.h"

#define MAX_FIELDS 4

typedef enum Action
{
	BLOCK,
	ALERT,
	REPORT
} Action;

typedef struct Rule
{
	char *line;
	const Object *object;
	/* duplicates */
	const Field *fields[MAX_FIELDS];
	int n_fields; /* 0: an assignment rule */
	Action action;
	/* assignment */
	char id[SF_ID_LEN + 1];
	char *user;
	bool inactive;
} Rule;

static Rule rules[MAX_RULES];
static int n_rules;
static WriteHeaders headers;

void
rules_headers(const WriteHeaders *h)
{
	headers = *h;
}

bool
rules_details(void)
{
	return headers.details;
}

static void
rule_free(Rule *r)
{
	free(r->line);
	free(r->user);
	memset(r, 0, sizeof(*r));
}

void
rules_clear(void)
{
	while (n_rules > 0)
		rule_free(&rules[--n_rules]);
}

static bool
read_fields(Rule *r, char *names)
{
	char *save = NULL;

	for (char *p = strtok_r(names, ",", &save); p; p = strtok_r(NULL, ",", &save))
	{
		const Field *f = schema_field(r->object, p, strlen(p));

		if (f == NULL || !f->filterable || r->n_fields == MAX_FIELDS)
			return false;
		r->fields[r->n_fields++] = f;
	}
	return r->n_fields > 0;
}

static bool
read_action(Rule *r, const char *word)
{
	static const char *const words[] = {"block", "alert", "report"};

	for (int i = 0; word != NULL && i < 3; i++)
		if (strcmp(words[i], word) == 0)
		{
			r->action = (Action) i;
			return true;
		}
	return false;
}

/* Only leads and cases have owners that a rule can choose. */
static bool
read_assignment(Rule *r, const char *user, const char *more)
{
	if (strcmp(r->object->name, "Lead") != 0 && strcmp(r->object->name, "Case") != 0)
		return false;
	store_make_id("01Q", n_rules + 1, r->id);
	r->user = strdup(user);
	r->inactive = more != NULL;
	return more == NULL || strcmp(more, "inactive") == 0;
}

bool
rules_add(const char *line)
{
	char *text = strdup(line);
	char *save = NULL;
	char *words[5] = {0};
	Rule *r = &rules[n_rules];
	bool good;
	int n = 0;

	for (char *p = strtok_r(text, " ", &save); p && n < 5; p = strtok_r(NULL, " ", &save))
		words[n++] = p;
	good = n_rules < MAX_RULES && n >= 3 && n <= 4;
	if (good)
	{
		memset(r, 0, sizeof(*r));
		r->object = schema_find(words[1], strlen(words[1]));
		r->line = strdup(line);
		if (r->object == NULL)
			good = false;
		else if (strcmp(words[0], "duplicate") == 0)
			good = read_action(r, words[3]) && read_fields(r, words[2]);
		else
			good = strcmp(words[0], "assign") == 0 && read_assignment(r, words[2], words[3]);
		if (good)
			n_rules++;
		else
			rule_free(r);
	}
	free(text);
	return good;
}

void
rules_list(Buf *out)
{
	buf_adds(out, "{\"rules\":[");
	for (int i = 0; i < n_rules; i++)
	{
		buf_adds(out, i ? ",{\"rule\":" : "{\"rule\":");
		buf_jsons(out, rules[i].line);
		if (rules[i].id[0])
			buf_addf(out, ",\"id\":\"%s\"", rules[i].id);
		buf_addc(out, '}');
	}
	buf_adds(out, "]}");
}

/* ---- assignment ---- */

static const Rule *
assignment(const Object *o, const char *id)
{
	for (int i = 0; i < n_rules; i++)
		if (rules[i].object == o && rules[i].user != NULL &&
			(id ? strcmp(rules[i].id, id) == 0 : !rules[i].inactive))
			return &rules[i];
	return NULL;
}

bool
rules_is_assignment(const Object *o, const char *id)
{
	char full[SF_ID_LEN + 1];

	return store_canonical_id(id, strlen(id), full) && assignment(o, full) != NULL;
}

static void
give_to(Row *r, const char *username)
{
	const Object *o = schema_find("User", 4);
	char *ids = NULL;

	if (store_find(o, schema_field(o, "Username", 8), username, &ids) == 1)
		row_set_text(r, "OwnerId", ids);
	free(ids);
}

bool
rules_assign(Row *r, const Row *old, StoreError *e)
{
	bool other = strcmp(r->o->name, "Lead") != 0 && strcmp(r->o->name, "Case") != 0;
	char full[SF_ID_LEN + 1];
	const Rule *rule;

	if (other || headers.no_assignment)
		return true;
	if (headers.assignment == NULL)
		rule = assignment(r->o, NULL);
	else if (!store_canonical_id(headers.assignment, strlen(headers.assignment), full))
	{
		store_error_set(e, 400, "MALFORMED_ID", "malformed id %s", headers.assignment);
		return false;
	}
	else if ((rule = assignment(r->o, full)) == NULL)
	{
		store_error_set(e, 400, "INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id");
		return false;
	}
	/* a rule that is named is for rows that are created */
	else if (old != NULL)
		return true;
	if (rule != NULL)
		give_to(r, rule->user);
	return true;
}

/* ---- duplicates ---- */

/* A rule is looked at where one of its fields is new. */
static bool
concerns(const Rule *rule, const Row *r, const Row *old)
{
	bool changed = old == NULL;

	for (int i = 0; i < rule->n_fields; i++)
	{
		const Value *v = &r->v[rule->fields[i]->index];

		if (v->kind == V_NULL)
			return false;
		changed |= old != NULL && !value_same(v, &old->v[rule->fields[i]->index]);
	}
	return changed;
}

/* Ids of live rows that are the same in the rule's fields, 19 bytes each, malloc'ed. */
static char *
matches(const Rule *rule, const Row *r)
{
	const char *own = row_text(r, "Id");
	sqlite3_stmt *st;
	Buf sql, ids;

	buf_init(&sql);
	buf_init(&ids);
	buf_addf(&sql, "SELECT \"Id\" FROM \"%s\" WHERE \"IsDeleted\" = 0 AND \"Id\" <> ?1",
			 r->o->name);
	for (int i = 0; i < rule->n_fields; i++)
		buf_addf(&sql, " AND \"%s\" = ?%d", rule->fields[i]->name, i + 2);
	buf_adds(&sql, " ORDER BY rowid LIMIT 5");
	st = store_prepare(sql.data);
	sqlite3_bind_text(st, 1, own ? own : "", -1, SQLITE_STATIC);
	for (int i = 0; i < rule->n_fields; i++)
	{
		const Value *v = &r->v[rule->fields[i]->index];

		if (v->kind == V_TEXT)
			sqlite3_bind_text(st, i + 2, v->s, -1, SQLITE_STATIC);
		else if (v->kind == V_INT)
			sqlite3_bind_int64(st, i + 2, v->i);
		else
			sqlite3_bind_double(st, i + 2, v->d);
	}
	while (sqlite3_step(st) == SQLITE_ROW)
		buf_add(&ids, (const char *) sqlite3_column_text(st, 0), SF_ID_LEN + 1);
	sqlite3_finalize(st);
	buf_free(&sql);
	if (ids.len == 0)
	{
		buf_free(&ids);
		return NULL;
	}
	buf_addc(&ids, '\0'); /* no Id follows */
	return buf_detach(&ids);
}

bool
rules_duplicates(const Row *r, const Row *old, StoreError *e)
{
	for (int i = 0; i < n_rules; i++)
	{
		const Rule *rule = &rules[i];
		char *ids;

		if (rule->n_fields == 0 || rule->object != r->o || rule->action == REPORT ||
			(rule->action == ALERT && headers.allow_save) || !concerns(rule, r, old))
			continue;
		ids = matches(rule, r);
		if (ids == NULL)
			continue;
		store_error_set(e, 400, "DUPLICATES_DETECTED", "Use one of these records?");
		e->duplicates = ids;
		e->rule = i;
		return false;
	}
	return true;
}

void
rules_duplicate_of(const StoreError *e, char name[120], bool *allow_save, char match[120])
{
	const Rule *rule = &rules[e->rule];

	snprintf(name, 120, "%s_%s_Duplicate_Rule", rule->object->name, rule->fields[0]->name);
	snprintf(match, 120, "%s_%s_Matching_Rule", rule->object->name, rule->fields[0]->name);
	*allow_save = rule->action == ALERT;
}
