/*
 * parts.c - one statement as several: by its longest list, and by its fields.
 *
 * A list that is longer than a statement is cut where it stands as a condition of its own, f IN
 * (...), and is not part of an OR: then a row is in one of the parts, or in several if its value is
 * written in several ways, as text without case is.  Two such lists, and NOT IN, are left out of
 * the statement and checked here.
 */
#include "plan/plan_private.h"

#include "base/guc.h"
#include "plan/operators.h"

#include "lib/stringinfo.h"

/* What a part's list can have at least; more than any literal is. */
#define LEAST_ROOM (3 * AMPSF_MAX_LITERAL)

List *
ampsf_deparse_parts(const AmpsfSelect *select, AmpsfBind *bind)
{
	AmpsfSelect with = *select;
	const AmpsfOperator *op;
	const char *field, *last = NULL;
	char *head;
	size_t room;
	List *literals;
	List *parts = NIL;
	StringInfoData part;
	ListCell *lc;

	if (bind->left_out != 1 || !list_member_ptr(select->quals, bind->left_tree) ||
		select->from_key || select->bounds != NIL || *select->order || *select->group_by)
		return NIL;
	op = &ampsf_operators[intVal(lsecond(bind->left_tree))];
	field = strVal(lthird(bind->left_tree));
	literals = bind->left_literals;
	if (op->form != AMPSF_FORM_ANY || op->not_null)
		return NIL;

	/* The condition that is added comes last in a statement without order and bounds. */
	with.from_key = " ";
	bind->list_bytes = 0;
	head = ampsf_deparse_select(&with, bind, NULL);
	if (!head || strlen(head) + strlen(field) + LEAST_ROOM > (size_t) ampsf_max_soql_length)
		return NIL;
	/* A blank of its own is behind WHERE and AND. */
	head[strlen(head) - 1] = '\0';
	room = ampsf_max_soql_length - strlen(head) - strlen(field) - strlen(op->soql) - 10;

	part.data = NULL;
	foreach (lc, literals)
	{
		const char *literal = lfirst(lc);

		if (last && strcmp(last, literal) == 0)
			continue;
		last = literal;
		if (part.data && part.len - strlen(head) + strlen(literal) + 2 > room)
		{
			appendStringInfoChar(&part, ')');
			parts = lappend(parts, part.data);
			part.data = NULL;
		}
		if (part.data)
			appendStringInfo(&part, ", %s", literal);
		else
		{
			initStringInfo(&part);
			appendStringInfo(&part, "%s%s %s (%s", head, field, op->soql, literal);
		}
	}
	appendStringInfoChar(&part, ')');
	bind->must_recheck = false;
	return lappend(parts, part.data);
}

List *
ampsf_split_fields(List *fields)
{
	List *split = NIL;
	List *part = NIL;
	size_t max = AMPSF_MAX_FIELD_LIST;
	size_t all = 0, len = 0;
	ListCell *lc;

	foreach (lc, fields)
		all += strlen(strVal(lfirst(lc))) + 2;
	if (all <= max)
		return NIL;
	foreach (lc, fields)
	{
		const char *field = strVal(lfirst(lc));

		if (pg_strcasecmp(field, "Id") == 0)
			continue;
		if (part && len + strlen(field) + 2 > max)
		{
			split = lappend(split, part);
			part = NIL;
		}
		if (!part)
		{
			part = list_make1(makeString(pstrdup("Id")));
			len = strlen("Id");
		}
		part = lappend(part, lfirst(lc));
		len += strlen(field) + 2;
	}
	return lappend(split, part);
}
