/*
 * seed_push.c - an org of any size that tells a condition computed there from one computed here: nulls in every
 * lookup, texts that differ in case, blanks or accents only, sums that depend on how they are added, parents of
 * every kind and depth, and from 2,500 accounts on more than 2,000 distinct values in columns of each groupable
 * type.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store_internal.h"

#define USERS 4
#define DAY 86400
#define YEAR_2020 1577836800

#define PICK(list, n) list[(n) % (int) (sizeof(list) / sizeof(list[0]))]

typedef char Id[SF_ID_LEN + 1];

/* The rows of the org as far as others point at them; accounts: how many the seed was asked for. */
typedef struct Push
{
	int accounts;
	Id *account, *contact, *lead, *opportunity, *cases, *invoice;
	Id user[USERS];
	Id campaign[3];
} Push;

/* Equal or different, by who is asked: case, blanks at either end, composed and combining accents, ligatures. */
static const char *const texts[] = {"Alpha",
									"alpha",
									"ALPHA",
									"Alpha ",
									"alpha  ",
									" Alpha",
									"\xc3\x81lpha",
									"A\xcc\x81lpha",
									"alph\xc3\xa1",
									"stra\xc3\x9f"
									"e",
									"STRASSE",
									"i",
									"I",
									"\xc4\xb0",
									"\xc4\xb1",
									"\xc3\x85ngstr\xc3\xb6m",
									"Angstrom",
									"a_b%",
									"A\\B",
									"null",
									"0",
									"\xf0\x9f\x98\x80",
									"\xe2\x84\xa6"};
static const char *const cities[] = {"Paris", "paris", "PARIS ", "Z\xc3\xbcrich", "Zurich", NULL};
static const char *const industries[] = {"Banking", "Energy", "Technology", NULL};
static const char *const ratings[] = {"Hot", "Warm", "Cold", NULL};
static const char *const sources[] = {"Web", "Phone Inquiry", "Other", NULL};
static const char *const stages[] = {"Prospecting", "Qualification", "Closed Won", "Closed Lost"};
static const char *const statuses[] = {"Draft", "Sent", "Paid", "Overdue", "Void"};
static const char *const tags[] = {NULL,
								   "Urgent",
								   "Export;Urgent",
								   "Urgent;Export",
								   "Recurring",
								   "\xc3\x96ko & Fair;Recurring;Urgent",
								   "Urgent;Export;Recurring;Disputed;\xc3\x96ko & Fair"};

static Id *
ids_of(int n)
{
	Id *v = calloc((size_t) n + 1, sizeof(*v));

	if (!v)
		schema_die("out of memory");
	return v;
}

static void
set_date(json_object *v, const char *field, int days)
{
	char stamp[SF_STAMP_LEN + 1];

	store_timestamp((time_t) YEAR_2020 + (time_t) days * DAY, stamp);
	seed_textf(v, field, "%.10s", stamp);
}

/* A moment with that many milliseconds: they are dropped, unless the org keeps them. */
static void
set_moment(json_object *v, const char *field, long seconds, int millis)
{
	char stamp[SF_STAMP_LEN + 1];

	store_timestamp((time_t) YEAR_2020 + seconds, stamp);
	seed_textf(v, field, "%.19s.%03dZ", stamp, millis);
}

/* A text of the list, alone at first and then with a number that several rows have. */
static void
set_text(json_object *v, const char *field, int i, int share)
{
	int n = (int) (sizeof(texts) / sizeof(texts[0]));

	if (i < n)
		seed_text(v, field, texts[i]);
	else
		seed_textf(v, field, "%s %d", PICK(texts, i), i / share);
}

static void
push_users(Push *p)
{
	for (int i = 0; i < USERS; i++)
	{
		json_object *v = seed_row();

		seed_textf(v, "Username", "push%d@sandbox.example", i);
		seed_textf(v, "Email", "push%d@sandbox.example", i);
		seed_text(v, "FirstName", i == 3 ? NULL : "Push");
		seed_text(v, "LastName", PICK(texts, i));
		seed_textf(v, "Alias", "push%d", i);
		seed_text(v, "TimeZoneSidKey", "America/Los_Angeles");
		seed_text(v, "LocaleSidKey", "de_DE");
		seed_text(v, "LanguageLocaleKey", "de");
		seed_text(v, "EmailEncodingKey", "UTF-8");
		seed_text(v, "ProfileId", "00e5g000000Prf2");
		seed_text(v, "ManagerId", i ? p->user[i - 1] : NULL);
		seed_bool(v, "IsActive", i != 2);
		seed_put("User", v, p->user[i]);
	}
	for (int i = 0; i < 3; i++)
	{
		json_object *v = seed_row();

		seed_textf(v, "Name", "Campaign %d", i);
		seed_bool(v, "IsActive", i % 2);
		seed_text(v, "ParentId", i ? p->campaign[i - 1] : NULL);
		seed_put("Campaign", v, p->campaign[i]);
	}
}

static void
push_accounts(Push *p)
{
	for (int i = 0; i < p->accounts; i++)
	{
		json_object *v = seed_row();

		set_text(v, "Name", i, 13);
		seed_text(v, "Industry", PICK(industries, i));
		seed_text(v, "Rating", PICK(ratings, i / 3));
		seed_text(v, "BillingCity", PICK(cities, i / 2));
		seed_text(v, "OwnerId", p->user[i % USERS]);
		/* zero, nothing, and numbers that no two rows have */
		if (i % 7 != 3)
			seed_number(v, "NumberOfEmployees", i);
		/* tenths have no exact binary form: their sum shows how it was made */
		if (i % 5 != 0)
			seed_number(v, "AnnualRevenue", i % 500 * 0.1);
		/* a tree: from 64 accounts on some have more than five ancestors */
		if (i > 0 && i % 9 != 0)
			seed_text(v, "ParentId", p->account[i / 2]);
		seed_textf(v, "Ext_Id__c", "push-%d", i);
		seed_put("Account", v, p->account[i]);
	}
}

static void
push_contacts(Push *p)
{
	Id lost;
	int n = p->accounts;

	store_make_id("001", 99999999, lost);
	for (int i = 0; i < 2 * n; i++)
	{
		json_object *v = seed_row();

		set_text(v, "LastName", i, 31);
		seed_text(v, "FirstName", i % 3 ? PICK(texts, i / 7) : NULL);
		if (i % 6 != 5)
			seed_text(v, "AccountId", i % 41 == 40 ? lost : p->account[(int) ((long) i * 7 % n)]);
		if (i > 4 && i % 4 == 1)
			seed_text(v, "ReportsToId", p->contact[i - 3]);
		if (i % 4 != 2)
			seed_textf(v, "Email", "%s%d@push.example", i % 2 ? "person" : "Person", i / 2);
		seed_text(v, "LeadSource", PICK(sources, i));
		seed_bool(v, "DoNotCall", i % 3 == 0);
		seed_bool(v, "HasOptedOutOfEmail", i % 5 == 0);
		if (i % 4 != 3)
			set_date(v, "Birthdate", i * 3 - 20000);
		if (i % 11 == 0)
			set_moment(v, "EmailBouncedDate", i * 61L, i % 1000);
		seed_text(v, "OwnerId", p->user[i / 2 % USERS]);
		seed_textf(v, "Ext_Id__c", "push-%d", i);
		seed_put("Contact", v, p->contact[i]);
	}
}

static void
push_leads(Push *p)
{
	for (int i = 0; i < p->accounts / 4; i++)
	{
		json_object *v = seed_row();

		set_text(v, "LastName", i, 5);
		seed_text(v, "Company", PICK(texts, i / 3));
		seed_text(v, "Status", i % 2 ? "Open - Not Contacted" : "Working - Contacted");
		seed_text(v, "Rating", PICK(ratings, i));
		if (i % 3)
			seed_number(v, "NumberOfEmployees", i % 10);
		seed_text(v, "OwnerId", p->user[i % USERS]);
		seed_put("Lead", v, p->lead[i]);
	}
}

static void
push_opportunities(Push *p)
{
	int n = p->accounts;

	for (int i = 0; i < n; i++)
	{
		json_object *v = seed_row();

		set_text(v, "Name", i, 3);
		seed_text(v, "AccountId", i % 8 == 7 ? NULL : p->account[i / 2]);
		seed_text(v, "StageName", PICK(stages, i));
		set_date(v, "CloseDate", i);
		if (i % 4 != 1)
			seed_number(v, "Amount", i % 300 * 0.1 - (i % 17 == 0));
		seed_text(v, "CampaignId", i % 3 ? NULL : p->campaign[i % 3 + i % 2]);
		seed_text(v, "LeadSource", PICK(sources, i / 5));
		seed_text(v, "OwnerId", p->user[i % 3]);
		seed_put("Opportunity", v, p->opportunity[i]);
	}
	for (int i = 0; i < n / 2; i++)
	{
		json_object *v = seed_row();

		set_text(v, "Subject", i, 4);
		seed_text(v, "Status", i % 3 ? "New" : "Closed");
		seed_text(v, "Origin", i % 4 ? "Web" : NULL);
		seed_text(v, "Priority", i % 2 ? "High" : "Low");
		if (i % 3)
			seed_text(v, "AccountId", p->account[i]);
		if (i % 5)
			seed_text(v, "ContactId", p->contact[i * 2]);
		if (i > 10 && i % 7 == 0)
			seed_text(v, "ParentId", p->cases[i - 10]);
		seed_text(v, "OwnerId", p->user[i % USERS]);
		seed_put("Case", v, p->cases[i]);
	}
}

static void
push_invoices(Push *p)
{
	for (int i = 0; i < p->accounts; i++)
	{
		json_object *v = seed_row();

		seed_text(v, "Status__c", i % 10 == 9 ? NULL : PICK(statuses, i));
		/* two keys that only their case tells apart */
		seed_textf(v, "Case_Key__c", i % 2 ? "key-%d" : "KEY-%d", i / 2);
		seed_textf(v, "Ext_Id__c", "push-%d", i);
		if (i % 10 != 9)
		{
			seed_text(v, "Account__c", i % 5 == 4 ? NULL : p->account[(int) ((long) i * 3 % p->accounts)]);
			seed_text(v, "Parent_Invoice__c", i > 20 && i % 4 ? p->invoice[i - 20] : NULL);
			seed_number(v, "Amount__c", i % 100 * 0.1);
			seed_number(v, "Quantity__c", i % 50 - 10);
			seed_number(v, "Discount__c", i % 3 * 33.33);
			seed_bool(v, "Paid__c", i % 3 == 0);
			seed_text(v, "Tags__c", PICK(tags, i));
			set_text(v, "Short_Text__c", i, 50);
			if (i % 6)
				set_date(v, "Due_Date__c", i / 2);
			/* the same second several times, at 0, 1, 500 and 999 ms */
			if (i % 8)
				set_moment(v, "Paid_At__c", i / 4 * 3600L, (const int[]){0, 1, 500, 999}[i % 4]);
			seed_textf(v, "Cutoff_Time__c", "%02d:00:00.%03dZ", i % 24, i % 3 * 499);
		}
		seed_put("Invoice__c", v, p->invoice[i]);
	}
}

/* Who: a contact, a lead or nobody; what: an account, an opportunity, a case, an invoice, a campaign or nothing. */
static void
push_tasks(Push *p)
{
	int n = p->accounts;
	Id id;

	for (int i = 0; i < n; i++)
	{
		json_object *v = seed_row();
		bool lead = i % 4 == 1 && n >= 4;
		const char *what[] = {p->account[i], p->opportunity[i], n >= 2 ? p->cases[i % (n / 2)] : NULL,
							  p->invoice[i], p->campaign[i % 3], NULL};

		seed_text(v, "Subject", i % 3 ? "Call" : PICK(texts, i));
		seed_text(v, "Status", i % 2 ? "Completed" : "Not Started");
		seed_text(v, "Priority", "Normal");
		seed_text(v, "WhoId", lead ? p->lead[i % (n / 4)] : i % 4 == 3 ? NULL : p->contact[i]);
		seed_text(v, "WhatId", lead ? NULL : PICK(what, i));
		if (i % 5)
			set_date(v, "ActivityDate", i % 400);
		if (i % 3)
			seed_number(v, "CallDurationInSeconds", i);
		seed_text(v, "OwnerId", p->user[i % USERS]);
		seed_put("Task", v, id);
	}
}

static void
push_deletions(Push *p)
{
	for (int i = 36; i < p->accounts; i += 37)
	{
		seed_delete("Account", p->account[i]);
		seed_delete("Contact", p->contact[i]);
		seed_delete("Opportunity", p->opportunity[i]);
		seed_delete("Invoice__c", p->invoice[i]);
	}
}

void
seed_push(int accounts)
{
	Push p = {.accounts = accounts};

	p.account = ids_of(accounts);
	p.contact = ids_of(2 * accounts);
	p.lead = ids_of(accounts / 4);
	p.opportunity = ids_of(accounts);
	p.cases = ids_of(accounts / 2);
	p.invoice = ids_of(accounts);
	push_users(&p);
	push_accounts(&p);
	push_contacts(&p);
	push_leads(&p);
	push_opportunities(&p);
	push_invoices(&p);
	push_tasks(&p);
	push_deletions(&p);
	free(p.account);
	free(p.contact);
	free(p.lead);
	free(p.opportunity);
	free(p.cases);
	free(p.invoice);
}
