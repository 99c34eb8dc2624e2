/*
 * schema_access.c - what users may not do: with objects, with fields that they see, and with what
 * tells of all objects.
 *
 * Rules that take away, of one user or of everybody.  The org itself may do everything.
 */
#include <stdlib.h>
#include <string.h>

#include "schema_change.h"
#include "store.h"

typedef struct Rule
{
	Access what;
	const Object *object;	  /* NULL: none */
	int field;				  /* its place; -1: none */
	char user[SF_ID_LEN + 1]; /* "": everybody */
} Rule;

static Rule *rules;
static int n_rules;

static int
rule_at(Access what, const Object *o, const Field *f, const char *user_id)
{
	for (int i = 0; i < n_rules; i++)
		if (rules[i].what == what && rules[i].object == o &&
			rules[i].field == (f ? f->index : -1) && strcmp(rules[i].user, user_id) == 0)
			return i;
	return -1;
}

bool
schema_may(Access what, const Object *o, const Field *f)
{
	const char *viewer = schema_viewer();

	return n_rules == 0 || *viewer == '\0' ||
		   (rule_at(what, o, f, "") < 0 && rule_at(what, o, f, viewer) < 0);
}

bool
schema_may_write(const Field *f, bool insert)
{
	return (insert ? f->createable : f->updateable) && schema_may(ACCESS_WRITE, f->object, f);
}

void
schema_forbid(Access what, const Object *o, const Field *f, const char *user_id)
{
	Rule *r;

	if (rule_at(what, o, f, user_id) >= 0)
		return;
	rules = realloc(rules, sizeof(Rule) * (size_t) (n_rules + 1));
	if (rules == NULL)
		schema_die("out of memory");
	r = &rules[n_rules++];
	memset(r, 0, sizeof(*r));
	r->what = what;
	r->object = o;
	r->field = f ? f->index : -1;
	strncpy(r->user, user_id, SF_ID_LEN);
	schema_access_changed(1);
}

void
schema_allow(Access what, const Object *o, const Field *f, const char *user_id)
{
	int i = rule_at(what, o, f, user_id);

	if (i < 0)
		return;
	rules[i] = rules[--n_rules];
	schema_access_changed(-1);
}

void
schema_allow_all(void)
{
	while (n_rules > 0)
	{
		n_rules--;
		schema_access_changed(-1);
	}
}
