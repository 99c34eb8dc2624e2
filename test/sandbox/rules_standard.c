/*
 * rules_standard.c - what the standard objects compute from a row's own values and its parents, and
 * what they refuse beyond the rules that every object has.
 *
 * A table at the end says which function belongs to which object.  Must not know: HTTP, SOQL.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <openssl/evp.h>

#include "store_internal.h"

static bool
changed(const Row *r, const Row *old, const char *field)
{
	const Value *v = row_value(r, field);

	return v && (!old || !value_same(v, row_value(old, field)));
}

/* When this write happens, as the row itself says: a seed's rows have their own time. */
static const char *
write_time(const Row *r)
{
	return row_text(r, "LastModifiedDate");
}

/* What a picklist value implies: the member of "values" in the field's file, or NULL. */
static json_object *
implied(const Row *r, const char *field, const char *what)
{
	const Field *f = schema_field(r->o, field, strlen(field));
	const char *value = row_text(r, field);
	json_object *values = NULL;
	json_object *entry = NULL;
	json_object *out = NULL;

	if (f && value && json_object_object_get_ex(schema_sandbox(f), "values", &values) &&
		json_object_object_get_ex(values, value, &entry))
		json_object_object_get_ex(entry, what, &out);
	return out;
}

static bool
refuse(StoreError *e, const char *code, const char *message, const char *field)
{
	store_error_set(e, 400, code, "%s", message);
	if (field)
		store_error_field(e, field);
	return false;
}

static void
copy_parent_text(Row *r, const char *field, const char *object, const char *id, const char *from)
{
	char *s = lookup_text(object, id, from);

	row_set_text(r, field, s);
	free(s);
}

static bool
person(Row *r, const Row *old, StoreError *e)
{
	const char *first = row_text(r, "FirstName");
	const char *last = row_text(r, "LastName");
	Buf b;

	buf_init(&b);
	if (first)
		buf_adds(&b, first);
	if (first && last)
		buf_addc(&b, ' ');
	if (last)
		buf_adds(&b, last);
	row_set_text(r, "Name", b.data);
	buf_free(&b);
	row_set_int(r, "IsEmailBounced", !row_null(r, "EmailBouncedDate"));
	return true;
}

static bool
user(Row *r, const Row *old, StoreError *e)
{
	const char *name = row_text(r, "Username");
	const char *at = name ? strchr(name, '@') : NULL;

	if (name && (!at || at == name || !strchr(at, '.')))
		return refuse(e, "INVALID_EMAIL_ADDRESS",
					  "Username: must be in the form of an email address (for example: "
					  "john@example.com)",
					  "Username");
	if (row_null(r, "UserType"))
		row_set_text(r, "UserType", "Standard");
	if (row_null(r, "CommunityNickname") && at)
	{
		char nick[41];

		snprintf(nick, sizeof(nick), "%.*s", (int) (at - name), name);
		row_set_text(r, "CommunityNickname", nick);
	}
	return person(r, old, e);
}

/* Whole months between two dates yyyy-mm-dd. */
static int
months_later(const char *from, const char *to)
{
	return (atoi(to) * 12 + atoi(to + 5)) - (atoi(from) * 12 + atoi(from + 5));
}

static void
opportunity_dates(Row *r, const Row *old)
{
	const char *close = row_text(r, "CloseDate");
	const char *before = old ? row_text(old, "CloseDate") : NULL;
	char fiscal[8];
	int quarter;

	if (!close)
		return;
	quarter = (atoi(close + 5) + 2) / 3;
	row_set_int(r, "FiscalYear", atoi(close));
	row_set_int(r, "FiscalQuarter", quarter);
	snprintf(fiscal, sizeof(fiscal), "%.4s %d", close, quarter % 10);
	row_set_text(r, "Fiscal", fiscal);
	if (before && months_later(before, close) > 0)
		row_set_int(r, "PushCount", (int64_t) row_real(r, "PushCount", 0) + 1);
	else if (!old)
		row_set_int(r, "PushCount", 0);
}

static void
forecast_name(Row *r, const char *value)
{
	const Field *f = schema_field(r->o, "ForecastCategory", 16);
	int i;

	for (i = 0; f && i < f->n_picklist; i++)
		if (strcmp(f->picklist[i].value, value) == 0)
			row_set_text(r, "ForecastCategoryName", f->picklist[i].label);
}

static bool
opportunity(Row *r, const Row *old, StoreError *e)
{
	if (changed(r, old, "StageName"))
	{
		json_object *probability = implied(r, "StageName", "probability");
		json_object *forecast = implied(r, "StageName", "forecast");
		const char *category = forecast ? json_object_get_string(forecast) : "Pipeline";

		row_set_int(r, "IsClosed", json_object_get_boolean(implied(r, "StageName", "closed")));
		row_set_int(r, "IsWon", json_object_get_boolean(implied(r, "StageName", "won")));
		if (!row_given(r, "Probability"))
			row_set_real(r, "Probability", probability ? json_object_get_double(probability) : 10);
		row_set_text(r, "ForecastCategory", category);
		if (!row_given(r, "ForecastCategoryName"))
			forecast_name(r, category);
		if (old)
			row_set_text(r, "LastStageChangeDate", write_time(r));
	}
	if (row_null(r, "Amount"))
		row_set_null(r, "ExpectedRevenue");
	else
		row_set_real(r, "ExpectedRevenue",
					 round(row_real(r, "Amount", 0) * row_real(r, "Probability", 0)) / 100);
	opportunity_dates(r, old);
	return true;
}

static bool
line_item(Row *r, const Row *old, StoreError *e)
{
	const char *entry = row_text(r, "PricebookEntryId");
	char *price = lookup_text("PricebookEntry", entry, "UnitPrice");
	char *opportunity_name = lookup_text("Opportunity", row_text(r, "OpportunityId"), "Name");
	const char *product;
	double quantity = row_real(r, "Quantity", 0);
	char *product_name;
	Buf b;

	copy_parent_text(r, "Product2Id", "PricebookEntry", entry, "Product2Id");
	product = row_text(r, "Product2Id");
	copy_parent_text(r, "ProductCode", "Product2", product, "ProductCode");
	product_name = lookup_text("Product2", product, "Name");
	buf_init(&b);
	buf_addf(&b, "%s %s", opportunity_name ? opportunity_name : "",
			 product_name ? product_name : "");
	row_set_text(r, "Name", b.data);
	buf_free(&b);
	if (price)
		row_set_real(r, "ListPrice", atof(price));
	free(price);
	free(opportunity_name);
	free(product_name);
	if (row_given(r, "UnitPrice") && row_given(r, "TotalPrice") && !row_null(r, "UnitPrice") &&
		!row_null(r, "TotalPrice"))
		return refuse(e, "FIELD_INTEGRITY_EXCEPTION",
					  "field integrity exception: UnitPrice, TotalPrice (cannot specify both unit "
					  "price and total price)",
					  "UnitPrice");
	if (row_given(r, "TotalPrice") && !row_null(r, "TotalPrice") && quantity != 0)
		row_set_real(r, "UnitPrice", round(row_real(r, "TotalPrice", 0) / quantity * 100) / 100);
	else
	{
		if (row_null(r, "UnitPrice"))
			row_set_real(r, "UnitPrice", row_real(r, "ListPrice", 0));
		row_set_real(r, "TotalPrice", round(quantity * row_real(r, "UnitPrice", 0) * 100) / 100);
	}
	return true;
}

static bool
support_case(Row *r, const Row *old, StoreError *e)
{
	const char *contact = row_text(r, "ContactId");
	bool closed = json_object_get_boolean(implied(r, "Status", "closed"));

	if (changed(r, old, "ContactId"))
	{
		copy_parent_text(r, "ContactPhone", "Contact", contact, "Phone");
		copy_parent_text(r, "ContactMobile", "Contact", contact, "MobilePhone");
		copy_parent_text(r, "ContactEmail", "Contact", contact, "Email");
		copy_parent_text(r, "ContactFax", "Contact", contact, "Fax");
		if (contact && row_null(r, "AccountId") && !row_given(r, "AccountId"))
			copy_parent_text(r, "AccountId", "Contact", contact, "AccountId");
	}
	row_set_int(r, "IsClosed", closed);
	if (!closed)
		row_set_null(r, "ClosedDate");
	else if (row_null(r, "ClosedDate"))
		row_set_text(r, "ClosedDate", write_time(r));
	return true;
}

/* The account that an activity belongs to, through what it is about or whom. */
static void
activity_account(Row *r)
{
	const char *what = row_text(r, "WhatId");
	const char *who = row_text(r, "WhoId");
	char *account = NULL;

	if (what && strncmp(what, "001", 3) == 0)
		account = strdup(what);
	else if (what && strncmp(what, "006", 3) == 0)
		account = lookup_text("Opportunity", what, "AccountId");
	else if (what && strncmp(what, "500", 3) == 0)
		account = lookup_text("Case", what, "AccountId");
	else if (who && strncmp(who, "003", 3) == 0)
		account = lookup_text("Contact", who, "AccountId");
	row_set_text(r, "AccountId", account);
	free(account);
}

static bool
task(Row *r, const Row *old, StoreError *e)
{
	const char *priority = row_text(r, "Priority");
	bool closed = json_object_get_boolean(implied(r, "Status", "closed"));

	row_set_int(r, "IsClosed", closed);
	row_set_int(r, "IsHighPriority", priority && strcmp(priority, "High") == 0);
	if (!closed)
		row_set_null(r, "CompletedDateTime");
	else if (row_null(r, "CompletedDateTime"))
		row_set_text(r, "CompletedDateTime", write_time(r));
	activity_account(r);
	return true;
}

static time_t
parse_stamp(const char *s)
{
	struct tm tm = {0};

	tm.tm_year = atoi(s) - 1900;
	tm.tm_mon = atoi(s + 5) - 1;
	tm.tm_mday = atoi(s + 8);
	if (strlen(s) > 10)
	{
		tm.tm_hour = atoi(s + 11);
		tm.tm_min = atoi(s + 14);
		tm.tm_sec = atoi(s + 17);
	}
	return timegm(&tm);
}

static void
set_date(Row *r, const char *field, const char *stamp)
{
	char date[11];

	snprintf(date, sizeof(date), "%.10s", stamp);
	row_set_text(r, field, date);
}

/* An event has a start and a length or an end; each of the five fields follows from the others. */
static bool
event(Row *r, const Row *old, StoreError *e)
{
	bool by_start = row_given(r, "StartDateTime") || !row_given(r, "ActivityDateTime");
	const char *start = row_text(r, by_start ? "StartDateTime" : "ActivityDateTime");
	char stamp[SF_STAMP_LEN + 1];
	time_t begin;

	activity_account(r);
	if (!start && row_true(r, "IsAllDayEvent") && !row_null(r, "ActivityDate"))
		start = row_text(r, "ActivityDate");
	if (!start)
		return refuse(e, "REQUIRED_FIELD_MISSING",
					  "Required fields are missing: [StartDateTime, ActivityDateTime]",
					  "StartDateTime");
	begin = parse_stamp(start);
	if (row_given(r, "EndDateTime") && !row_null(r, "EndDateTime"))
		row_set_int(r, "DurationInMinutes", (parse_stamp(row_text(r, "EndDateTime")) - begin) / 60);
	else if (row_null(r, "DurationInMinutes"))
	{
		if (!row_true(r, "IsAllDayEvent"))
			return refuse(e, "REQUIRED_FIELD_MISSING",
						  "Required fields are missing: [EndDateTime, DurationInMinutes]",
						  "EndDateTime");
		row_set_int(r, "DurationInMinutes", 1440);
	}
	if (row_real(r, "DurationInMinutes", 0) < 0 || row_real(r, "DurationInMinutes", 0) > 20160)
		return refuse(e, "FIELD_INTEGRITY_EXCEPTION",
					  "Event duration must be between 0 minutes and 14 days", "DurationInMinutes");
	store_timestamp(begin, stamp);
	row_set_text(r, "StartDateTime", stamp);
	row_set_text(r, "ActivityDateTime", stamp);
	set_date(r, "ActivityDate", stamp);
	store_timestamp(begin + (time_t) row_real(r, "DurationInMinutes", 0) * 60, stamp);
	row_set_text(r, "EndDateTime", stamp);
	set_date(r, "EndDate", stamp);
	row_set_text(r, "GroupEventType", "0");
	return true;
}

static bool
is_member(const Row *r, const char *field)
{
	char sql[256];
	sqlite3_stmt *s;
	bool found;

	if (row_null(r, field))
		return false;
	snprintf(sql, sizeof(sql),
			 "SELECT 1 FROM \"CampaignMember\" WHERE \"CampaignId\" = ?1 AND \"%s\" = ?2 AND "
			 "\"IsDeleted\" = 0",
			 field);
	s = store_prepare(sql);
	sqlite3_bind_text(s, 1, row_text(r, "CampaignId"), -1, SQLITE_STATIC);
	sqlite3_bind_text(s, 2, row_text(r, field), -1, SQLITE_STATIC);
	found = sqlite3_step(s) == SQLITE_ROW;
	sqlite3_finalize(s);
	return found;
}

static bool
campaign_member(Row *r, const Row *old, StoreError *e)
{
	static const char *const copied[] = {"Salutation", "Name",	"FirstName",
										 "LastName",   "Title", "Email"};
	const char *lead = row_text(r, "LeadId");
	const char *contact = row_text(r, "ContactId");
	const char *object = contact ? "Contact" : "Lead";
	const char *id = contact ? contact : lead;
	bool responded = json_object_get_boolean(implied(r, "Status", "responded"));
	size_t i;

	if (!id)
		return refuse(e, "FIELD_INTEGRITY_EXCEPTION",
					  "Campaign member must be associated with a lead or contact", "LeadId");
	if (!old && (is_member(r, "ContactId") || is_member(r, "LeadId")))
		return refuse(e, "DUPLICATE_VALUE", "Already a campaign member.", NULL);
	for (i = 0; i < sizeof(copied) / sizeof(copied[0]); i++)
		copy_parent_text(r, copied[i], object, id, copied[i]);
	row_set_text(r, "Type", object);
	row_set_text(r, "LeadOrContactId", id);
	if (contact)
	{
		char *account = lookup_text("Contact", contact, "AccountId");

		copy_parent_text(r, "CompanyOrAccount", "Account", account, "Name");
		free(account);
	}
	else
		copy_parent_text(r, "CompanyOrAccount", "Lead", lead, "Company");
	row_set_int(r, "HasResponded", responded);
	if (responded && row_null(r, "FirstRespondedDate"))
		set_date(r, "FirstRespondedDate", write_time(r));
	return true;
}

static bool
campaign(Row *r, const Row *old, StoreError *e)
{
	const char *start = row_text(r, "StartDate");
	const char *end = row_text(r, "EndDate");

	if (start && end && strcmp(end, start) < 0)
		return refuse(e, "FIELD_INTEGRITY_EXCEPTION",
					  "Campaign end date must be on or after the start date", "EndDate");
	return true;
}

/* How many live entries the product has in that price book, or in the standard one where book is
 * NULL. */
static int
price_entries(const char *product, const char *book)
{
	sqlite3_stmt *s = store_prepare(
		"SELECT count(*) FROM \"PricebookEntry\" e JOIN \"Pricebook2\" b ON b.\"Id\" = "
		"e.\"Pricebook2Id\" WHERE e.\"Product2Id\" = ?1 AND e.\"IsDeleted\" = 0 AND "
		"CASE WHEN ?2 IS NULL THEN b.\"IsStandard\" = 1 ELSE b.\"Id\" = ?2 END");
	int n = 0;

	sqlite3_bind_text(s, 1, product, -1, SQLITE_STATIC);
	sqlite3_bind_text(s, 2, book, -1, SQLITE_STATIC);
	if (sqlite3_step(s) == SQLITE_ROW)
		n = sqlite3_column_int(s, 0);
	sqlite3_finalize(s);
	return n;
}

static bool
pricebook_entry(Row *r, const Row *old, StoreError *e)
{
	const char *product = row_text(r, "Product2Id");
	const char *book = row_text(r, "Pricebook2Id");
	char *standard = lookup_text("Pricebook2", book, "IsStandard");
	bool is_standard = standard && strcmp(standard, "1") == 0;

	free(standard);
	copy_parent_text(r, "Name", "Product2", product, "Name");
	copy_parent_text(r, "ProductCode", "Product2", product, "ProductCode");
	if (old || !product || !book)
		return true;
	if (!is_standard && price_entries(product, NULL) == 0)
		return refuse(e, "STANDARD_PRICE_NOT_DEFINED", "No standard price defined for this product",
					  NULL);
	if (price_entries(product, book) > 0)
		return refuse(e, "DUPLICATE_VALUE",
					  "This price definition already exists in this price book", NULL);
	return true;
}

static void
set_checksum(Row *r, const char *base64)
{
	size_t n = strlen(base64);
	unsigned char *raw = malloc(n + 1);
	unsigned char md[EVP_MAX_MD_SIZE];
	unsigned int md_len = 0;
	char hex[2 * EVP_MAX_MD_SIZE + 1];
	unsigned int i;
	int len;

	if (!raw)
		schema_die("out of memory");
	len = EVP_DecodeBlock(raw, (const unsigned char *) base64, n);
	while (len > 0 && n > 0 && base64[n - 1] == '=')
	{
		len--;
		n--;
	}
	if (len < 0)
		len = 0;
	EVP_Digest(raw, len, md, &md_len, EVP_md5(), NULL);
	for (i = 0; i < md_len; i++)
		snprintf(hex + 2 * i, 3, "%02x", md[i]);
	row_set_text(r, "Checksum", hex);
	row_set_int(r, "ContentSize", len);
	free(raw);
}

static void
file_type(Row *r)
{
	const char *path = row_text(r, "PathOnClient");
	const char *dot = path ? strrchr(path, '.') : NULL;
	char type[21];
	size_t i;

	if (!dot || !dot[1])
	{
		row_set_text(r, "FileType", row_null(r, "ContentUrl") ? "UNKNOWN" : "LINK");
		return;
	}
	row_set_text(r, "FileExtension", dot + 1);
	for (i = 0; dot[i + 1] && i < sizeof(type) - 1; i++)
		type[i] = dot[i + 1] >= 'a' && dot[i + 1] <= 'z' ? dot[i + 1] - 32 : dot[i + 1];
	type[i] = '\0';
	row_set_text(r, "FileType", strcmp(type, "TXT") == 0 ? "TEXT" : type);
}

static bool
content_version(Row *r, const Row *old, StoreError *e)
{
	const char *data = row_text(r, "VersionData");
	const char *document = row_text(r, "ContentDocumentId");
	char number[24];
	char *last = NULL;
	char id[SF_ID_LEN + 1];
	const char *path = row_text(r, "PathOnClient");

	if (old)
		return true;
	if (!data && row_null(r, "ContentUrl"))
		return refuse(e, "REQUIRED_FIELD_MISSING", "Required fields are missing: [VersionData]",
					  "VersionData");
	if (data && !path)
		return refuse(e, "REQUIRED_FIELD_MISSING", "Required fields are missing: [PathOnClient]",
					  "PathOnClient");
	if (row_null(r, "Title") && path)
	{
		const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
		const char *dot = strrchr(name, '.');
		char title[256];

		snprintf(title, sizeof(title), "%.*s", dot ? (int) (dot - name) : 255, name);
		row_set_text(r, "Title", title);
	}
	if (document)
	{
		sqlite3_stmt *s = store_prepare("SELECT max(CAST(\"VersionNumber\" AS INTEGER)) FROM "
										"\"ContentVersion\" WHERE \"ContentDocumentId\" = ?1");

		sqlite3_bind_text(s, 1, document, -1, SQLITE_STATIC);
		if (sqlite3_step(s) == SQLITE_ROW && sqlite3_column_type(s, 0) != SQLITE_NULL)
			last = strdup((const char *) sqlite3_column_text(s, 0));
		sqlite3_finalize(s);
		if (!last)
			return refuse(e, "INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id", NULL);
	}
	else
	{
		/* one document per first version: the counter of the version serves both */
		store_make_id("069", store_id_number(row_text(r, "Id")), id);
		row_set_text(r, "ContentDocumentId", id);
	}
	snprintf(number, sizeof(number), "%d", last ? atoi(last) + 1 : 1);
	free(last);
	row_set_text(r, "VersionNumber", number);
	row_set_int(r, "IsLatest", 1);
	row_set_text(r, "PublishStatus", "P");
	row_set_text(r, "ContentModifiedDate", write_time(r));
	row_set_text(r, "ContentModifiedById", row_text(r, "LastModifiedById"));
	file_type(r);
	if (data)
		set_checksum(r, data);
	return true;
}

static bool
attachment(Row *r, const Row *old, StoreError *e)
{
	const char *data = row_text(r, "Body");
	size_t n = data ? strlen(data) : 0;

	/* of what the base64 stands for */
	row_set_int(r, "BodyLength",
				(int64_t) (n / 4 * 3) - (n > 1 && data[n - 1] == '=') -
					(n > 1 && data[n - 2] == '='));
	return true;
}

static const struct
{
	const char *object;
	bool (*compute)(Row *r, const Row *old, StoreError *e);
} rules[] = {
	{"Attachment", attachment},
	{"Contact", person},
	{"Lead", person},
	{"User", user},
	{"Opportunity", opportunity},
	{"OpportunityLineItem", line_item},
	{"Case", support_case},
	{"Task", task},
	{"Event", event},
	{"Campaign", campaign},
	{"CampaignMember", campaign_member},
	{"PricebookEntry", pricebook_entry},
	{"ContentVersion", content_version},
};

bool
rules_compute(Row *r, const Row *old, WriteMode mode, StoreError *e)
{
	size_t i;

	for (i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
		if (strcmp(rules[i].object, r->o->name) == 0)
		{
			bool ok = rules[i].compute(r, old, e);

			if (!ok && mode == WRITE_SEED)
				schema_die("seed: %s: %s", r->o->name, e->message);
			return ok;
		}
	return true;
}
