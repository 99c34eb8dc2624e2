/*
 * seed_big.c - as many contacts as are asked for, each with two dozen filled fields, by one statement.
 *
 * What is written obeys the rules, but none of them is run: this must take seconds for a million
 * rows.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store_internal.h"

#define ACCOUNTS 100

static const char *const first_names[] = {"Ada",	"Grace",   "Alan", "Edgar", "Barbara",
										  "Donald", "Frances", "John", "Marie", "Niklaus",
										  "Radia",	"Tim",	   "Zoë",  "Søren"};
static const char *const last_names[] = {"Lovelace", "Hopper", "Turing",  "Codd",  "Liskov",
										 "Knuth",	 "Allen",  "Backus",  "Curie", "Wirth",
										 "Perlman",	 "Müller", "Ångström"};
static const char *const cities[] = {"Berlin",	 "Paris",	  "London", "Tokyo",
									 "New York", "São Paulo", "Zürich"};
static const char *const states[] = {"Berlin", "Île-de-France", "England", "Tokyo", "NY", "SP",
									 "ZH"};
static const char *const countries[] = {"Germany",		 "France", "United Kingdom", "Japan",
										"United States", "Brazil", "Switzerland"};
static const char *const titles[] = {"Engineer", "Director", "Vice President", "Analyst", "Buyer"};
static const char *const departments[] = {"Research", "Sales", "Finance", "Operations"};
static const char *const sources[] = {"Web", "Phone Inquiry", "Partner Referral", "Purchased List",
									  "Other"};
static const char *const salutations[] = {"Mr.", "Ms.", "Mrs.", "Dr.", "Prof."};

#define PICK(list, n) list[(n) % (int64_t) (sizeof(list) / sizeof(list[0]))]

static void
bind_text(sqlite3_stmt *s, int col, const char *text)
{
	sqlite3_bind_text(s, col, text, -1, SQLITE_TRANSIENT);
}

static void
bind_place(sqlite3_stmt *s, int64_t n)
{
	char text[128];

	snprintf(text, sizeof(text), "%d Main Street", (int) (n % 9000 + 1));
	bind_text(s, 7, text);
	bind_text(s, 8, PICK(cities, n));
	bind_text(s, 9, PICK(states, n));
	snprintf(text, sizeof(text), "%05d", (int) (n * 7 % 100000));
	bind_text(s, 10, text);
	bind_text(s, 11, PICK(countries, n));
	sqlite3_bind_double(s, 21, (double) (n * 37 % 180000 - 90000) / 1000.0);
	sqlite3_bind_double(s, 22, (double) (n * 53 % 360000 - 180000) / 1000.0);
}

static void
bind_contact(sqlite3_stmt *s, int64_t n, const char (*accounts)[SF_ID_LEN + 1])
{
	const char *first = PICK(first_names, n);
	char last[64];
	char text[160];
	char id[SF_ID_LEN + 1];

	store_make_id("003", n, id);
	bind_text(s, 1, id);
	bind_text(s, 2, accounts[n % ACCOUNTS]);
	snprintf(last, sizeof(last), "%s %lld", PICK(last_names, n / 3), (long long) n);
	bind_text(s, 3, last);
	bind_text(s, 4, first);
	bind_text(s, 5, PICK(salutations, n));
	snprintf(text, sizeof(text), "%s %s", first, last);
	bind_text(s, 6, text);
	bind_place(s, n);
	snprintf(text, sizeof(text), "+1 555 %07d", (int) (n % 10000000));
	bind_text(s, 12, text);
	snprintf(text, sizeof(text), "+1 556 %07d", (int) (n % 10000000));
	bind_text(s, 13, text);
	snprintf(text, sizeof(text), "contact%lld@big.example", (long long) n);
	bind_text(s, 14, text);
	bind_text(s, 15, PICK(titles, n / 2));
	bind_text(s, 16, PICK(departments, n / 5));
	bind_text(s, 17, PICK(sources, n / 7));
	snprintf(text, sizeof(text), "%04d-%02d-%02d", (int) (1940 + n % 65), (int) (1 + n / 65 % 12),
			 (int) (1 + n % 28));
	bind_text(s, 18, text);
	snprintf(text, sizeof(text), "BIG-%lld", (long long) n);
	bind_text(s, 19, text);
	/* one row a minute's worth, wrapped within 2024 and 2025 */
	store_timestamp(1704067200 + n * 61 % 63072000, text);
	bind_text(s, 20, text);
}

void
seed_big(int64_t n)
{
	const Object *o = schema_find("Contact", 7);
	char accounts[ACCOUNTS][SF_ID_LEN + 1];
	sqlite3_stmt *s;
	Buf sql;
	int64_t i;

	if (!o)
		return;
	for (i = 0; i < ACCOUNTS; i++)
	{
		json_object *v = seed_row();

		seed_textf(v, "Name", "Big Account %03d", (int) i);
		seed_put("Account", v, accounts[i]);
	}
	buf_init(&sql);
	buf_addf(&sql,
			 "INSERT INTO \"Contact\" (\"Id\", \"AccountId\", \"LastName\", \"FirstName\", "
			 "\"Salutation\", \"Name\", \"MailingStreet\", \"MailingCity\", \"MailingState\", "
			 "\"MailingPostalCode\", \"MailingCountry\", \"Phone\", \"MobilePhone\", \"Email\", "
			 "\"Title\", \"Department\", \"LeadSource\", \"Birthdate\", \"Ext_Id__c\", "
			 "\"CreatedDate\", \"LastModifiedDate\", \"SystemModstamp\", \"CreatedById\", "
			 "\"LastModifiedById\", \"OwnerId\", \"MailingLatitude\", "
			 "\"MailingLongitude\") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, "
			 "?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?20, ?20, '%s', '%s', '%s', ?21, "
			 "?22)",
			 store_admin_id(), store_admin_id(), store_admin_id());
	store_index(o, false);
	s = store_prepare(sql.data);
	buf_free(&sql);
	for (i = 1; i <= n; i++)
	{
		bind_contact(s, i, (const char(*)[SF_ID_LEN + 1]) accounts);
		if (sqlite3_step(s) != SQLITE_DONE)
			schema_die("seed: %s", sqlite3_errmsg(store_db()));
		sqlite3_reset(s);
	}
	sqlite3_finalize(s);
	store_index(o, true);
	store_set_number(o, n);
}
