/*
 * rules_effects.c - what a write of one row means for other rows: history, counters, totals, latest
 * version.
 *
 * Runs inside the transaction of the write.  Must not know: HTTP, SOQL.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "event.h"
#include "rules_rollup.h"

/* An update of other rows that takes one Id: of the row of that object, or of several. */
static void
run1(const char *object, const char *sql, const char *id)
{
	sqlite3_stmt *s;

	if (!id)
		return;
	if (object)
		event_touch(schema_find(object, strlen(object)), id);
	s = store_prepare(sql);
	sqlite3_bind_text(s, 1, id, -1, SQLITE_STATIC);
	if (sqlite3_step(s) != SQLITE_DONE)
		schema_die("%s\n%s", sqlite3_errmsg(store_db()), sql);
	sqlite3_finalize(s);
	store_changed();
}

static void
add_history(const Row *r, const char *field, const char *type, const Value *before,
			const Value *after)
{
	const Object *o = schema_find("AccountHistory", 14);
	Row *h;

	if (!o)
		return;
	h = row_new(o);
	row_set_text(h, "AccountId", row_text(r, "Id"));
	row_set_text(h, "CreatedDate", row_text(r, "LastModifiedDate"));
	row_set_text(h, "CreatedById", row_text(r, "LastModifiedById"));
	row_set_text(h, "Field", field);
	row_set_text(h, "DataType", type);
	if (before)
		value_copy(row_value(h, "OldValue"), before);
	if (after)
		value_copy(row_value(h, "NewValue"), after);
	store_insert_row(h);
	row_free(h);
}

static const char *
history_type(const Field *f)
{
	switch (f->type)
	{
		case FT_PICKLIST:
			return "DynamicEnum";
		case FT_PHONE:
			return "Phone";
		case FT_URL:
			return "Url";
		case FT_CURRENCY:
			return "Currency";
		default:
			return "Text";
	}
}

/* A changed owner is two rows: the names and the Ids. */
static void
owner_history(const Row *r, const Value *before, const Value *after)
{
	Value a = {.kind = V_TEXT};
	Value b = {.kind = V_TEXT};

	a.s = lookup_text("User", before->s, "Name");
	b.s = lookup_text("User", after->s, "Name");
	if (a.s && b.s)
		add_history(r, "Owner", "Text", &a, &b);
	add_history(r, "Owner", "EntityId", before, after);
	free(a.s);
	free(b.s);
}

static void
account(const Row *r, const Row *old)
{
	int i;

	if (!r)
		return;
	if (!old)
	{
		add_history(r, "created", "Text", NULL, NULL);
		return;
	}
	for (i = 0; i < r->o->n_fields; i++)
	{
		const Field *f = &r->o->fields[i];
		json_object *tracked;

		if (!json_object_object_get_ex(schema_sandbox(f), "history", &tracked) ||
			value_same(&r->v[i], &old->v[i]))
			continue;
		if (f->type == FT_REFERENCE)
			owner_history(r, &old->v[i], &r->v[i]);
		else
			add_history(r, f->name, history_type(f), &old->v[i], &r->v[i]);
	}
}

static void
count_members(const char *id)
{
	run1("Campaign", "UPDATE \"Campaign\" SET (\"NumberOfContacts\", \"NumberOfLeads\", \"NumberOfResponses\") "
		 "= "
		 "(SELECT count(\"ContactId\"), count(\"LeadId\"), coalesce(sum(\"HasResponded\"), 0) FROM "
		 "\"CampaignMember\" WHERE \"CampaignId\" = ?1 AND \"IsDeleted\" = 0) WHERE \"Id\" = ?1",
		 id);
}

static void
campaign_member(const Row *r, const Row *old)
{
	count_members(row_text(r ? r : old, "CampaignId"));
}

static void
count_opportunities(const char *id)
{
	run1("Campaign", "UPDATE \"Campaign\" SET (\"NumberOfOpportunities\", \"NumberOfWonOpportunities\", "
		 "\"AmountAllOpportunities\", \"AmountWonOpportunities\") = (SELECT count(*), "
		 "coalesce(sum(\"IsWon\"), 0), coalesce(round(sum(\"Amount\")), 0), "
		 "coalesce(round(sum(\"Amount\" * \"IsWon\")), 0) FROM \"Opportunity\" WHERE "
		 "\"CampaignId\" = ?1 AND \"IsDeleted\" = 0) WHERE \"Id\" = ?1",
		 id);
}

static void
opportunity(const Row *r, const Row *old)
{
	if (r)
		count_opportunities(row_text(r, "CampaignId"));
	if (old)
		count_opportunities(row_text(old, "CampaignId"));
}

/* Line items make the amount; the last one to go leaves it as it was. */
static void
line_item(const Row *r, const Row *old)
{
	const char *id = row_text(r ? r : old, "OpportunityId");

	run1("Opportunity", "UPDATE \"Opportunity\" SET \"HasOpportunityLineItem\" = EXISTS (SELECT 1 FROM "
		 "\"OpportunityLineItem\" WHERE \"OpportunityId\" = ?1 AND \"IsDeleted\" = 0) WHERE "
		 "\"Id\" = ?1",
		 id);
	run1("Opportunity", "UPDATE \"Opportunity\" SET \"Amount\" = (SELECT round(sum(\"TotalPrice\"), 2) FROM "
		 "\"OpportunityLineItem\" WHERE \"OpportunityId\" = ?1 AND \"IsDeleted\" = 0) WHERE "
		 "\"Id\" = ?1 AND \"HasOpportunityLineItem\" = 1",
		 id);
	run1("Opportunity", "UPDATE \"Opportunity\" SET \"ExpectedRevenue\" = round(\"Amount\" * \"Probability\") / "
		 "100 "
		 "WHERE \"Id\" = ?1 AND \"HasOpportunityLineItem\" = 1",
		 id);
}

static void
content_version(const Row *r, const Row *old)
{
	char sql[256];

	if (!r || old)
		return;
	snprintf(sql, sizeof(sql),
			 "UPDATE \"ContentVersion\" SET \"IsLatest\" = 0 WHERE \"ContentDocumentId\" = ?1 AND "
			 "\"Id\" <> '%s'",
			 row_text(r, "Id"));
	run1(NULL, sql, row_text(r, "ContentDocumentId"));
}

static const struct
{
	const char *object;
	void (*apply)(const Row *r, const Row *old);
} effects[] = {
	{"Account", account},
	{"CampaignMember", campaign_member},
	{"ContentVersion", content_version},
	{"Opportunity", opportunity},
	{"OpportunityLineItem", line_item},
};

void
rules_effects(const Row *r, const Row *old)
{
	const Object *o = r ? r->o : old->o;
	size_t i;

	for (i = 0; i < sizeof(effects) / sizeof(effects[0]); i++)
		if (strcmp(effects[i].object, o->name) == 0)
			effects[i].apply(r, old);
	rollup_effects(r, old);
}
