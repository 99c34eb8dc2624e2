/*
 * seed_demo.c - an org of about a thousand rows, always the same, with the values that break
 * clients.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store_internal.h"

#define ACCOUNTS 100
#define CONTACTS 180
#define LEADS 80
#define OPPORTUNITIES 120
#define PRODUCTS 20
#define CASES 80
#define CAMPAIGNS 10

#define PICK(list, n) list[(n) % (int) (sizeof(list) / sizeof(list[0]))]

typedef char Id[SF_ID_LEN + 1];

static Id users[5];
static Id accounts[ACCOUNTS];
static Id contacts[CONTACTS];
static Id leads[LEADS];
static Id opportunities[OPPORTUNITIES];
static Id entries[PRODUCTS];
static Id products[PRODUCTS];
static Id campaigns[CAMPAIGNS];
static Id cases[CASES];

/* Names that differ only by case, that need quoting somewhere, or that are not what they look like.
 */
static const char *const odd_names[] = {
	"ACME",
	"acme",
	"Acme",
	"O'Brien & Söhne \"GmbH\"",
	"back\\slash \\n is no newline",
	"100% _wild_ %cards%",
	"日本語株式会社",
	"Ελληνική Εταιρεία ΑΕ",
	"شركة عربية",
	"Ракета ООО",
	"Rocket \xf0\x9f\x9a\x80 "
	"\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x91\xa7 Family",
	"İstanbul Işık",
	"ISTANBUL ISIK",
	"straße",
	"STRASSE",
	"e\xcc\x81"
	"clair (combining)",
	"\xc3\xa9"
	"clair (composed)",
	"comma, semicolon; pipe| caret^ backquote`",
	"<b>html</b> &amp; entities",
	"null",
	"NULL",
	"'; DROP TABLE account; --",
	"{\"json\": [1, 2]}",
	"tab\there",
	"  spaces around  ",
	"#N/A",
	"zero\xe2\x80\x8bwidth and\xc2\xa0no-break",
	"line\xe2\x80\xa8separator",
};

static const char *const odd_texts[] = {
	"one line",
	"first\nsecond\r\nthird\rfourth",
	"\ttab\t\ttabs",
	"quote \" apostrophe ' backslash \\ slash /",
	"\x7f delete and \x1f unit separator",
	"多行\n文字 😀",
	"ends with a backslash\\",
	"\\u0041 is no A",
	"\"quoted\",\"like\",\"csv\"\r\n\"second\",\"row\",\"\"",
	NULL,
};

static const char *const first_names[] = {"Ada",  "Grace", "Alan",	  "Zoë", "Søren",
										  "José", "美咲",  "Алексей", NULL};
static const char *const last_names[] = {
	"Lovelace", "HOPPER", "hopper",		 "Hopper", "O'Neill", "D’Arcy", "van der Berg",
	"Ñandú",	"山田",	  "Smith-Jones", "Müller", "MÜLLER",  "müller"};
static const char *const cities[] = {"Berlin", "São Paulo", "Zürich", "東京", "New York", NULL};
static const char *const countries[] = {"Germany", "Brazil",		"Switzerland",
										"Japan",   "United States", NULL};
static const char *const industries[] = {"Banking", "Energy", "Food & Beverage", "Technology",
										 NULL};
static const char *const types[] = {"Prospect", "Customer - Direct", "Technology Partner", NULL};
static const char *const stages[] = {"Prospecting",		   "Qualification", "Proposal/Price Quote",
									 "Negotiation/Review", "Closed Won",	"Closed Lost"};
static const char *const sources[] = {"Web", "Phone Inquiry", "Other", NULL};
static const char *const ratings[] = {"Hot", "Warm", "Cold", NULL};

/* A row that was never there, as a lookup sees it. */
static void
missing_id(const char *prefix, Id out)
{
	store_make_id(prefix, 99999999, out);
}

static void
demo_users(void)
{
	static const char *const names[][2] = {{"Grace", "Hopper"},
										   {"Søren", "Kierkegaard"},
										   {"美咲", "山田"},
										   {"Inactive", "O'User"},
										   {NULL, "Integration"}};
	int i;

	for (i = 0; i < 5; i++)
	{
		json_object *v = seed_row();

		seed_textf(v, "Username", "user%d@sandbox.example", i + 1);
		seed_textf(v, "Email", "user%d@sandbox.example", i + 1);
		seed_text(v, "FirstName", names[i][0]);
		seed_text(v, "LastName", names[i][1]);
		seed_textf(v, "Alias", "user%d", i + 1);
		seed_text(v, "TimeZoneSidKey", i == 2 ? "Asia/Tokyo" : "Europe/Berlin");
		seed_text(v, "LocaleSidKey", i == 2 ? "ja_JP" : "de_DE");
		seed_text(v, "LanguageLocaleKey", i == 2 ? "ja" : "de");
		seed_text(v, "EmailEncodingKey", "UTF-8");
		seed_text(v, "ProfileId", "00e5g000000Prf2");
		seed_text(v, "ManagerId", i ? users[0] : store_admin_id());
		seed_bool(v, "IsActive", i != 3);
		seed_put("User", v, users[i]);
	}
}

static void
seed_address(json_object *v, const char *prefix, int i)
{
	char field[64];

	if (i % 4 == 3)
		return;
#define FIELD(name) (snprintf(field, sizeof(field), "%s%s", prefix, name), field)
	if (i % 3 == 0)
		seed_textf(v, FIELD("Street"), "%d Main St\nFloor %d", i + 1, i % 9);
	seed_text(v, FIELD("City"), PICK(cities, i));
	seed_text(v, FIELD("Country"), PICK(countries, i));
	seed_textf(v, FIELD("PostalCode"), "%05d", i * 37 % 100000);
	if (i % 5 == 0)
	{
		seed_number(v, FIELD("Latitude"), -90 + i % 150 * 1.123456789012345);
		seed_number(v, FIELD("Longitude"), 180 - i % 140 * 2.5);
		seed_text(v, FIELD("GeocodeAccuracy"), "Address");
	}
#undef FIELD
}

static void
demo_accounts(void)
{
	int odd = sizeof(odd_names) / sizeof(odd_names[0]);
	int i;

	for (i = 0; i < ACCOUNTS; i++)
	{
		json_object *v = seed_row();

		if (i < odd)
			seed_text(v, "Name", odd_names[i]);
		else
			seed_textf(v, "Name", "Account %03d", i);
		seed_textf(v, "Ext_Id__c", i % 2 ? "Acc-%03d" : "ACC-%03d", i);
		/* the last two rows have nothing but what they must */
		if (i < ACCOUNTS - 2)
		{
			seed_text(v, "Type", PICK(types, i));
			seed_text(v, "Industry", PICK(industries, i));
			seed_text(v, "Rating", PICK(ratings, i));
			seed_text(v, "Description", PICK(odd_texts, i));
			seed_address(v, "Billing", i);
			seed_address(v, "Shipping", i + 1);
			seed_textf(v, "Phone", "+49 30 %07d", i * 7919);
			seed_text(v, "Website", i % 3 ? "https://example.com/?a=1&b=%20\"" : NULL);
			seed_text(v, "OwnerId", users[i % 5]);
			if (i % 6 != 5)
				seed_number(v, "NumberOfEmployees", i == 7 ? 99999999 : i * i);
		}
		if (i % 4 != 1)
			seed_number(v, "AnnualRevenue",
						i == 8	 ? 123456789012345678.0
						: i == 9 ? -1.0
								 : i * 100000.0);
		if (i >= 50)
			seed_text(v, "ParentId", accounts[i - 50]);
		if (i % 3 == 0)
			seed_text(v, "RecordTypeId", "0125g000000Rt02");
		seed_put("Account", v, accounts[i]);
	}
}

static void
demo_contacts(void)
{
	Id lost;
	int i;

	missing_id("001", lost);
	for (i = 0; i < CONTACTS; i++)
	{
		json_object *v = seed_row();

		seed_text(v, "FirstName", PICK(first_names, i));
		seed_text(v, "LastName", PICK(last_names, i));
		if (i < CONTACTS - 2)
		{
			/* account 90 and following will be in the recycle bin */
			if (i % 10 != 9)
				seed_text(v, "AccountId", i == 20 ? lost : accounts[i % ACCOUNTS]);
			seed_text(v, "Email", NULL);
			if (i % 4)
				seed_textf(v, "Email", "person%d@%s.example", i % 90, i % 2 ? "Mail" : "mail");
			seed_text(v, "Title", i % 3 ? "Head of \"Everything\"" : NULL);
			seed_text(v, "LeadSource", PICK(sources, i));
			seed_text(v, "Description", PICK(odd_texts, i + 3));
			seed_address(v, "Mailing", i);
			seed_text(v, "Salutation", i % 2 ? "Dr." : NULL);
			seed_textf(v, "Phone", "(%03d) 555-%04d", i, i * 31);
			seed_bool(v, "HasOptedOutOfEmail", i % 3 == 0);
			seed_bool(v, "DoNotCall", i % 2 == 0);
			seed_text(v, "OwnerId", users[i % 5]);
			if (i % 5 == 0)
				seed_textf(v, "Birthdate", "%04d-%02d-%02d", 1930 + i % 75, i % 12 + 1, i % 28 + 1);
			if (i == 1 || i == 2 || i == 3)
				seed_text(v, "Birthdate",
						  i == 1   ? "1700-01-01"
						  : i == 2 ? "4000-12-31"
								   : "2024-02-29");
			if (i >= 10 && i % 7 == 0)
				seed_text(v, "ReportsToId", contacts[i - 10]);
			if (i % 25 == 0)
				seed_text(v, "EmailBouncedDate", "2025-05-05T05:05:05.000+0000");
		}
		seed_textf(v, "Ext_Id__c", "CON-%04d", i);
		seed_put("Contact", v, contacts[i]);
	}
}

static void
demo_leads(void)
{
	static const char *const statuses[] = {"Open - Not Contacted", "Working - Contacted",
										   "Closed - Not Converted"};
	int i;

	for (i = 0; i < LEADS; i++)
	{
		json_object *v = seed_row();

		seed_text(v, "FirstName", PICK(first_names, i + 2));
		seed_text(v, "LastName", PICK(last_names, i + 5));
		seed_text(v, "Company", PICK(odd_names, i));
		seed_text(v, "Status", PICK(statuses, i));
		if (i % 3)
		{
			seed_textf(v, "Email", "lead%d@leads.example", i);
			seed_address(v, "", i);
			seed_number(v, "AnnualRevenue", i * 12345);
			seed_text(v, "Rating", PICK(ratings, i));
			seed_text(v, "LeadSource", PICK(sources, i));
			seed_text(v, "Description", PICK(odd_texts, i));
		}
		seed_text(v, "OwnerId", users[i % 5]);
		if (i % 20 == 7)
		{
			seed_text(v, "Status", "Closed - Converted");
			seed_bool(v, "IsConverted", true);
			seed_text(v, "ConvertedDate", "2025-03-01");
			seed_text(v, "ConvertedAccountId", accounts[i % ACCOUNTS]);
			seed_text(v, "ConvertedContactId", contacts[i % CONTACTS]);
		}
		seed_put("Lead", v, leads[i]);
	}
}

static void
demo_campaigns(void)
{
	int i;

	for (i = 0; i < CAMPAIGNS; i++)
	{
		json_object *v = seed_row();

		seed_textf(v, "Name", "%s Campaign %d", i % 2 ? "Spring" : "Öffentliche", i);
		seed_text(v, "Type", i % 3 ? "Webinar" : NULL);
		seed_text(v, "Status", i % 2 ? "In Progress" : "Planned");
		seed_bool(v, "IsActive", i % 2);
		if (i > 2)
		{
			seed_textf(v, "StartDate", "2025-%02d-01", i);
			seed_textf(v, "EndDate", "2025-%02d-28", i);
			seed_number(v, "BudgetedCost", i * 1000);
			seed_number(v, "ExpectedResponse", i * 1.25);
			seed_text(v, "ParentId", campaigns[0]);
		}
		seed_put("Campaign", v, campaigns[i]);
	}
	for (i = 0; i < 40; i++)
	{
		json_object *v = seed_row();
		Id id;

		seed_text(v, "CampaignId", campaigns[i % CAMPAIGNS]);
		if (i % 2)
			seed_text(v, "LeadId", leads[i]);
		else
			seed_text(v, "ContactId", contacts[i]);
		seed_text(v, "Status", i % 3 ? "Sent" : "Responded");
		seed_put("CampaignMember", v, id);
	}
}

static void
demo_products(void)
{
	static const char *const families[] = {"Hardware", "Software", "Services", NULL};
	json_object *v = seed_row();
	Id book;
	Id id;
	int i;

	seed_text(v, "Name", "Partner \"Gold\" Prices");
	seed_bool(v, "IsActive", true);
	seed_put("Pricebook2", v, book);
	for (i = 0; i < PRODUCTS; i++)
	{
		v = seed_row();
		seed_textf(v, "Name", "%s %d", i % 2 ? "Gadget" : "Größe", i);
		seed_textf(v, "ProductCode", "P-%04d", i);
		seed_text(v, "Family", PICK(families, i));
		seed_bool(v, "IsActive", i != 19);
		seed_text(v, "Description", PICK(odd_texts, i));
		seed_put("Product2", v, products[i]);
		v = seed_row();
		seed_text(v, "Pricebook2Id", seed_standard_book());
		seed_text(v, "Product2Id", products[i]);
		seed_number(v, "UnitPrice", i == 3 ? 0.01 : i == 4 ? 99999999999999.0 : i * 19.99);
		seed_bool(v, "IsActive", true);
		seed_put("PricebookEntry", v, entries[i]);
		v = seed_row();
		seed_text(v, "Pricebook2Id", book);
		seed_text(v, "Product2Id", products[i]);
		seed_number(v, "UnitPrice", i * 15.5);
		seed_bool(v, "IsActive", i % 2);
		seed_put("PricebookEntry", v, id);
	}
}

static void
demo_opportunities(void)
{
	Id id;
	int i;

	for (i = 0; i < OPPORTUNITIES; i++)
	{
		json_object *v = seed_row();

		seed_textf(v, "Name", "Deal %03d %s", i, i % 11 == 0 ? "\"quoted\"" : "renewal");
		seed_text(v, "AccountId", i % 15 == 14 ? NULL : accounts[i % 90]);
		seed_text(v, "StageName", PICK(stages, i));
		seed_textf(v, "CloseDate", "%04d-%02d-%02d", 2024 + i % 3, i % 12 + 1, i % 28 + 1);
		if (i < 3)
			seed_text(v, "CloseDate", i == 0 ? "1700-01-01" : i == 1 ? "4000-12-31" : "2024-02-29");
		if (i % 8 != 7)
			seed_number(v, "Amount", i == 5 ? 9999999999999.99 : i == 6 ? -0.01 : i * 1000.25);
		seed_text(v, "LeadSource", PICK(sources, i));
		seed_text(v, "NextStep", PICK(odd_texts, i));
		seed_text(v, "CampaignId", i % 4 == 0 ? campaigns[i % CAMPAIGNS] : NULL);
		seed_text(v, "OwnerId", users[i % 5]);
		if (i % 2 == 0)
			seed_text(v, "Pricebook2Id", seed_standard_book());
		seed_put("Opportunity", v, opportunities[i]);
	}
	for (i = 0; i < 80; i++)
	{
		json_object *v = seed_row();

		seed_text(v, "OpportunityId", opportunities[i / 2 * 2]);
		seed_text(v, "PricebookEntryId", entries[i % 3 + 5]);
		seed_number(v, "Quantity", i % 7 + 1);
		if (i % 2)
			seed_number(v, "UnitPrice", i * 3.33);
		seed_text(v, "ServiceDate", i % 5 ? NULL : "2026-01-31");
		seed_put("OpportunityLineItem", v, id);
	}
}

static void
demo_cases(void)
{
	static const char *const statuses[] = {"New", "Working", "Escalated", "Closed"};
	static const char *const origins[] = {"Phone", "Email", "Web", NULL};
	int i;

	for (i = 0; i < CASES; i++)
	{
		json_object *v = seed_row();

		seed_textf(v, "Subject", "Case about %s", PICK(odd_names, i));
		seed_text(v, "Description", PICK(odd_texts, i));
		seed_text(v, "Status", PICK(statuses, i));
		seed_text(v, "Origin", PICK(origins, i));
		seed_text(v, "Priority", i % 3 ? "High" : "Low");
		/* accounts 80 to 89 have no cases, so that they may be deleted */
		if (i % 6 != 5)
			seed_text(v, "AccountId", accounts[i % 80]);
		if (i % 4 == 0)
			seed_text(v, "ContactId", contacts[i]);
		if (i > 40 && i % 9 == 0)
			seed_text(v, "ParentId", cases[i - 40]);
		seed_text(v, "SuppliedEmail", i % 10 ? NULL : "someone@web.example");
		seed_put("Case", v, cases[i]);
	}
}

static void
demo_activities(void)
{
	static const char *const statuses[] = {"Not Started", "In Progress", "Completed", "Deferred"};
	Id id;
	int i;

	for (i = 0; i < 80; i++)
	{
		json_object *v = seed_row();

		seed_text(v, "Subject", i % 9 ? "Call" : "Send \"Letter\"\\Quote");
		seed_text(v, "Status", PICK(statuses, i));
		seed_text(v, "Priority", i % 4 ? "Normal" : "High");
		seed_text(v, "WhoId", i % 5 == 4 ? NULL : i % 2 ? contacts[i] : leads[i]);
		if (i % 2 == 1)
			seed_text(v, "WhatId", i % 3 ? opportunities[i] : accounts[i]);
		seed_text(v, "ActivityDate", i % 7 ? "2026-02-28" : NULL);
		seed_text(v, "Description", PICK(odd_texts, i));
		seed_text(v, "OwnerId", users[i % 5]);
		seed_put("Task", v, id);
	}
	for (i = 0; i < 40; i++)
	{
		json_object *v = seed_row();

		seed_text(v, "Subject", i % 4 ? "Meeting" : "Besprechung über Öl");
		seed_textf(v, "StartDateTime", "2026-%02d-%02dT%02d:30:00Z", i % 6 + 1, i % 28 + 1, i % 24);
		seed_number(v, "DurationInMinutes", i % 3 ? 60 : 0);
		seed_text(v, "Location", PICK(cities, i));
		seed_text(v, "WhoId", i % 3 ? contacts[i * 2] : NULL);
		if (i % 3)
			seed_text(v, "WhatId", i % 2 ? cases[i] : accounts[i]);
		seed_bool(v, "IsPrivate", i % 10 == 0);
		seed_put("Event", v, id);
	}
}

static void
demo_files(void)
{
	Id id;
	int i;

	for (i = 0; i < 10; i++)
	{
		json_object *v = seed_row();
		char *document = i % 4 == 3 ? lookup_text("ContentVersion", id, "ContentDocumentId") : NULL;

		seed_textf(v, "Title", "Document %d \"ä\"", i);
		seed_textf(v, "PathOnClient", "folder\\doc%d.%s", i, i % 2 ? "txt" : "PDF");
		seed_text(v, "VersionData", i % 3 ? "aGVsbG8sIHdvcmxkCg==" : "AAECAwT//v38");
		if (document)
			seed_text(v, "ContentDocumentId", document);
		seed_text(v, "FirstPublishLocationId", accounts[i]);
		seed_put("ContentVersion", v, id);
		free(document);
	}
}

/* The last rows of all, so that the times of the others do not depend on them. */
static void
demo_attachments(void)
{
	Id id;
	int i;

	for (i = 0; i < 6; i++)
	{
		json_object *v = seed_row();

		seed_textf(v, "Name", "attached %d.%s", i, i % 2 ? "txt" : "bin");
		seed_text(v, "ContentType", i % 2 ? "text/plain" : NULL);
		seed_text(v, "Body", i % 2 ? "aGVsbG8sIHdvcmxkCg==" : "AAECAwT//v38");
		seed_text(v, "ParentId", accounts[i]);
		seed_put("Attachment", v, id);
	}
}

/* Some rows of each kind lie in the recycle bin, some of them with live rows that still point at
 * them. */
static void
demo_deletions(void)
{
	int i;

	for (i = 90; i < 96; i++)
		seed_delete("Account", accounts[i]);
	for (i = 150; i < 160; i++)
		seed_delete("Contact", contacts[i]);
	for (i = 0; i < 4; i++)
	{
		seed_delete("Lead", leads[70 + i]);
		seed_delete("Opportunity", opportunities[100 + i]);
		seed_delete("Case", cases[60 + i]);
	}
	seed_delete("Campaign", campaigns[9]);
	seed_delete("Product2", products[18]);
}

/* Changes through the front door, at fixed times, so that there is history to read. */
static void
demo_history(void)
{
	static const char *const changes[] = {"{\"Industry\":\"Energy\"}", "{\"AnnualRevenue\":4321}",
										  "{\"Phone\":null}",
										  "{\"Name\":\"Renamed \\\"Account\\\"\"}"};
	const Object *o = schema_find("Account", 7);
	int i;

	if (!o)
		return;
	for (i = 0; i < 20; i++)
	{
		json_object *v = json_tokener_parse(PICK(changes, i));
		StoreError e = {0};

		store_set_clock(1735689600 + i * 86400 * 20 + i);
		if (i % 4 == 0)
			seed_text(v, "OwnerId", users[(i + 2) % 5]);
		if (!store_update(o, accounts[40 + i], v, &e))
			schema_die("seed: %s", e.message);
		json_object_put(v);
	}
}

void
seed_demo(void)
{
	time_t fixed = store_fixed_clock();

	demo_users();
	demo_accounts();
	demo_contacts();
	demo_leads();
	demo_campaigns();
	demo_products();
	demo_opportunities();
	demo_cases();
	demo_activities();
	demo_files();
	seed_invoices((const char(*)[SF_ID_LEN + 1]) accounts, ACCOUNTS);
	demo_deletions();
	demo_history();
	demo_attachments();
	store_set_clock(fixed);
}
