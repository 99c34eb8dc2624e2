/*
 * test_store.c - buf, schema and store by themselves: what is written, what is refused and in which
 * words.
 *
 * Prints every check that fails and, at the end, "N passed, N failed".
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store.h"

#define NOW 1767225600 /* 2026-01-01T00:00:00Z */

static int passed;
static int failed;
static char last_id[SF_ID_LEN + 1];

static void
check(bool ok, const char *what, const char *detail)
{
	if (ok)
		passed++;
	else
	{
		failed++;
		printf("FAIL %s: %s\n", what, detail ? detail : "");
	}
}

static void
same(const char *what, const char *got, const char *want)
{
	char detail[2000];

	snprintf(detail, sizeof(detail), "got <%s>, want <%s>", got ? got : "(null)",
			 want ? want : "(null)");
	check(got && want ? strcmp(got, want) == 0 : got == want, what, detail);
}

static Object *
object(const char *name)
{
	return schema_find(name, strlen(name));
}

static json_object *
parse(const char *text)
{
	json_object *v = json_tokener_parse(text);

	if (!v)
	{
		printf("bad JSON in a test: %s\n", text);
		exit(1);
	}
	return v;
}

/* The fields of an error, joined by commas. */
static char *
joined(const StoreError *e)
{
	Buf b;
	int i;

	buf_init(&b);
	buf_adds(&b, "");
	for (i = 0; i < e->n_fields; i++)
		buf_addf(&b, "%s%s", i ? "," : "", e->fields[i]);
	return buf_detach(&b);
}

static void
expect_error(const char *what, bool ok, StoreError *e, const char *code, const char *message,
			 const char *fields)
{
	char *f = joined(e);

	if (!code)
		check(ok, what, e->message);
	else
	{
		check(!ok, what, "was not refused");
		same(what, e->code, code);
		if (message)
			same(what, e->message, message);
		if (fields)
			same(what, f, fields);
	}
	free(f);
	store_error_free(e);
}

/* code NULL: must be written, and last_id says as what. */
static void
insert(const char *name, const char *json, const char *code, const char *message,
	   const char *fields)
{
	json_object *v = parse(json);
	StoreError e;
	bool ok = store_insert(object(name), v, last_id, &e);

	expect_error(json, ok, &e, code, message, fields);
	json_object_put(v);
}

static void
update(const char *name, const char *id, const char *json, const char *code, const char *message)
{
	json_object *v = parse(json);
	StoreError e;
	bool ok = store_update(object(name), id, v, &e);

	expect_error(json, ok, &e, code, message, NULL);
	json_object_put(v);
}

static void
remove_row(const char *name, const char *id, const char *code, const char *message)
{
	StoreError e;
	bool ok = store_delete(object(name), id, &e);

	expect_error(name, ok, &e, code, message, NULL);
}

/* The column of the last written or a given row, as text. */
static void
column(const char *name, const char *id, const char *field, const char *want)
{
	char sql[400];
	sqlite3_stmt *s = NULL;
	const char *got = NULL;

	snprintf(sql, sizeof(sql), "SELECT \"%s\" FROM \"%s\" WHERE \"Id\" = '%s'", field, name, id);
	if (sqlite3_prepare_v2(store_db(), sql, -1, &s, NULL) == SQLITE_OK &&
		sqlite3_step(s) == SQLITE_ROW)
		got = (const char *) sqlite3_column_text(s, 0);
	snprintf(sql, sizeof(sql), "%s.%s", name, field);
	same(sql, got, want);
	sqlite3_finalize(s);
}

static int64_t
number(const char *sql)
{
	sqlite3_stmt *s = NULL;
	int64_t n = -1;

	if (sqlite3_prepare_v2(store_db(), sql, -1, &s, NULL) == SQLITE_OK &&
		sqlite3_step(s) == SQLITE_ROW)
		n = sqlite3_column_int64(s, 0);
	else
		printf("%s\n%s\n", sqlite3_errmsg(store_db()), sql);
	sqlite3_finalize(s);
	return n;
}

static void
test_buf(void)
{
	static const struct
	{
		double v;
		const char *text;
	} doubles[] = {
		{0, "0.0"},
		{12.5, "12.5"},
		{100, "100.0"},
		{1e7, "1.0E7"},
		{-0.01, "-0.01"},
		{9999999.5, "9999999.5"},
		{1.23456789e-5, "1.23456789E-5"},
		{0.001, "0.001"},
		{0.000999, "9.99E-4"},
		{0.1 + 0.2, "0.30000000000000004"},
		{1e21, "1.0E21"},
		{912260031, "9.12260031E8"},
		{3.14159265358979, "3.14159265358979"},
	};
	Buf b;
	size_t i;

	buf_init(&b);
	for (i = 0; i < sizeof(doubles) / sizeof(doubles[0]); i++)
	{
		buf_clear(&b);
		buf_json_double(&b, doubles[i].v);
		same("buf_json_double", b.data, doubles[i].text);
	}
	buf_clear(&b);
	buf_jsons(&b, "\x01 \"q\" \\ \n\r\t\b\f \x7f é 😀");
	same("buf_json", b.data, "\"\\u0001 \\\"q\\\" \\\\ \\n\\r\\t\\b\\f \x7f é 😀\"");
	buf_clear(&b);
	buf_jsons(&b, NULL);
	same("buf_jsons", b.data, "null");
	buf_free(&b);
}

static void
test_ids(void)
{
	static const char *const vectors[][2] = {{"a01M00000062mPg", "a01M00000062mPgIAI"},
											 {"001M000000qfPyS", "001M000000qfPySIAU"},
											 {"AbCdEfGhIjKlMnO", "AbCdEfGhIjKlMnOVKV"},
											 {"aBcDEfgHIJKLMNO", "aBcDEfgHIJKLMNO025"},
											 {"001A000010khO8J", "001A000010khO8JIAU"}};
	char out[SF_ID_LEN + 1];
	size_t i;

	for (i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++)
	{
		check(store_canonical_id(vectors[i][0], 15, out), "15 characters", vectors[i][0]);
		same("suffix", out, vectors[i][1]);
	}
	check(store_canonical_id("abcdefghijklmnoVKV", 18, out), "case from suffix", NULL);
	same("case from suffix", out, "AbCdEfGhIjKlMnOVKV");
	check(!store_canonical_id("001M000000qfPy", 14, out), "14 characters", NULL);
	check(!store_canonical_id("001M000000qfPy'", 15, out), "a quote in an Id", NULL);
}

static void
test_schema(void)
{
	Buf b;
	json_object *d;
	json_object *fields;
	size_t i;

	check(object("ACCOUNT") == object("account"), "case of object names", NULL);
	check(object("Nothing") == NULL, "unknown object", NULL);
	check(schema_by_prefix("a00x") == object("Invoice__c"), "prefix", NULL);
	check(schema_relationship(object("Invoice__c"), "account__R", 10) != NULL, "relationship",
		  NULL);
	check(schema_child(object("Account"), "contacts", 8) != NULL, "child relationship", NULL);
	check(!schema_field(object("Account"), "Description", 11)->filterable, "long text", NULL);
	check(!schema_field(object("Invoice__c"), "Amount__c", 9)->groupable, "currency", NULL);
	buf_init(&b);
	schema_describe(&b, object("Contact"), "61.0");
	check(strstr(b.data, "@VERSION@") == NULL && strstr(b.data, "/v61.0/") != NULL, "version",
		  NULL);
	check(strstr(b.data, "\"sandbox\"") == NULL, "sandbox extras are served", NULL);
	d = parse(b.data);
	json_object_object_get_ex(d, "fields", &fields);
	for (i = 0; i < json_object_array_length(fields); i++)
		check(json_object_object_length(json_object_array_get_idx(fields, i)) == 57,
			  "attributes of a field", NULL);
	json_object_put(d);
	buf_clear(&b);
	schema_describe_global(&b, "61.0");
	d = parse(b.data);
	json_object_object_get_ex(d, "sobjects", &fields);
	check((int) json_object_array_length(fields) == schema_count(), "describeGlobal", NULL);
	json_object_put(d);
	buf_free(&b);
}

static void
test_values(void)
{
	char long_name[400];

	insert("Account", "{}", "REQUIRED_FIELD_MISSING", "Required fields are missing: [Name]",
		   "Name");
	insert("Lead", "{\"FirstName\":\"x\"}", "REQUIRED_FIELD_MISSING",
		   "Required fields are missing: [LastName, Company]", "LastName,Company");
	insert("Contact", "{\"LastName\":\"x\",\"Foo\":1}", "INVALID_FIELD",
		   "No such column 'Foo' on sobject of type Contact", "");
	insert("Contact", "{\"LastName\":\"x\",\"Name\":\"y\",\"MasterRecordId\":null}",
		   "INVALID_FIELD_FOR_INSERT_UPDATE",
		   "Unable to create/update fields: Name, MasterRecordId. Please check the security "
		   "settings of this field and verify that it is read/write for your profile or "
		   "permission set.",
		   "Name,MasterRecordId");
	memset(long_name, 'n', sizeof(long_name));
	memcpy(long_name, "{\"Name\":\"", 9);
	strcpy(long_name + 9 + 256, "\"}");
	insert("Account", long_name, "STRING_TOO_LONG", NULL, "Name");
	insert("Contact", "{\"LastName\":\"x\",\"Email\":\"nobody\"}", "INVALID_EMAIL_ADDRESS",
		   "Email: invalid email address: nobody", "Email");
	insert("Invoice__c", "{\"Status__c\":\"Lost\"}", "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
		   "Status: bad value for restricted picklist field: Lost", "Status__c");
	insert("Invoice__c", "{\"Tags__c\":\"Urgent;Nope\"}", "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
		   "Tags: bad value for restricted picklist field: Nope", "Tags__c");
	insert("Invoice__c", "{\"Amount__c\":\"abc\"}", "JSON_PARSER_ERROR",
		   "Cannot deserialize instance of currency from VALUE_STRING value abc or request may be "
		   "missing a required field at [line:1, column:2]",
		   NULL);
	insert("Invoice__c", "{\"Amount__c\":1e17}", "NUMBER_OUTSIDE_VALID_RANGE",
		   "Amount: value outside of valid range on numeric field: 1.0E17", "Amount__c");
	insert("Invoice__c", "{\"Location__Latitude__s\":90.5}", "NUMBER_OUTSIDE_VALID_RANGE", NULL,
		   NULL);
	insert("Invoice__c", "{\"Due_Date__c\":\"2023-02-29\"}", "JSON_PARSER_ERROR", NULL, NULL);
	insert("Invoice__c", "{\"Due_Date__c\":\"1699-12-31\"}", "FIELD_INTEGRITY_EXCEPTION", NULL,
		   "Due_Date__c");
	insert("Invoice__c", "{\"Due_Date__c\":\"4001-01-01\"}", "FIELD_INTEGRITY_EXCEPTION", NULL,
		   NULL);
	insert("Invoice__c", "{\"Paid__c\":null}", "INVALID_TYPE_ON_FIELD_IN_RECORD", NULL, "Paid__c");
	insert("Invoice__c", "{\"Paid__c\":\"yes\"}", "JSON_PARSER_ERROR", NULL, NULL);
	insert("Invoice__c", "{\"Location__c\":{\"latitude\":1}}", "INVALID_FIELD_FOR_INSERT_UPDATE",
		   NULL, "Location__c");
	insert("Account", "{\"Name\":\"x\",\"NumberOfEmployees\":1.5}", "JSON_PARSER_ERROR", NULL,
		   NULL);
	insert("AccountHistory", "{}", "INVALID_TYPE_FOR_OPERATION", NULL, NULL);

	insert("Invoice__c",
		   "{\"Amount__c\":1.005,\"Tax__c\":\"2.00005\",\"Tags__c\":\"Export;Urgent;Export\","
		   "\"Paid_At__c\":\"2026-01-01T01:30:00.999+01:00\",\"Cutoff_Time__c\":\"08:15:00\","
		   "\"Remark__c\":\"\",\"Short_Text__c\":\"  two  \",\"Paid__c\":\"TRUE\"}",
		   NULL, NULL, NULL);
	column("Invoice__c", last_id, "Tax__c", "2.00005");
	column("Invoice__c", last_id, "Tags__c", "Urgent;Export");
	column("Invoice__c", last_id, "Paid_At__c", "2026-01-01T00:30:00.000+0000");
	column("Invoice__c", last_id, "Cutoff_Time__c", "08:15:00.000Z");
	column("Invoice__c", last_id, "Remark__c", NULL);
	column("Invoice__c", last_id, "Short_Text__c", "two");
	column("Invoice__c", last_id, "Paid__c", "1");
	column("Invoice__c", last_id, "Status__c", "Draft");
	column("Invoice__c", last_id, "Large__c", "0");
	column("Invoice__c", last_id, "CreatedDate", "2026-01-01T00:00:00.000+0000");
	column("Invoice__c", last_id, "SystemModstamp", "2026-01-01T00:00:00.000+0000");
	column("Invoice__c", last_id, "OwnerId", store_admin_id());
}

static void
test_references(void)
{
	char account[SF_ID_LEN + 1];
	char json[300];

	insert("Account", "{\"Name\":\"Parent\",\"Ext_Id__c\":\"Straße-1\"}", NULL, NULL, NULL);
	memcpy(account, last_id, sizeof(account));
	insert("Contact", "{\"LastName\":\"x\",\"AccountId\":\"abc\"}", "MALFORMED_ID",
		   "Account ID: id value of incorrect type: abc", "AccountId");
	snprintf(json, sizeof(json), "{\"LastName\":\"x\",\"AccountId\":\"%s\"}", store_admin_id());
	insert("Contact", json, "FIELD_INTEGRITY_EXCEPTION", NULL, "AccountId");
	insert("Contact", "{\"LastName\":\"x\",\"AccountId\":\"001000000000001\"}",
		   "INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id", "");
	insert("Contact", "{\"LastName\":\"x\",\"Account\":{\"Ext_Id__c\":\"STRASSE-1\"}}",
		   "INVALID_FIELD",
		   "Foreign key external ID: STRASSE-1 not found for field Ext_Id__c in entity Account",
		   "");
	insert("Contact", "{\"LastName\":\"x\",\"Account\":{\"Name\":\"Parent\"}}", "INVALID_FIELD",
		   NULL, NULL);
	insert("Contact", "{\"LastName\":\"x\",\"Account\":{\"Ext_Id__c\":\"straße-1\"}}", NULL, NULL,
		   NULL);
	column("Contact", last_id, "AccountId", account);
	snprintf(json, sizeof(json), "{\"LastName\":\"y\",\"AccountId\":\"%.15s\"}", account);
	insert("Contact", json, NULL, NULL, NULL);
	column("Contact", last_id, "AccountId", account);

	insert("Account", "{\"Name\":\"x\",\"Ext_Id__c\":\"STRAßE-1\"}", "DUPLICATE_VALUE", NULL, NULL);
	snprintf(json, sizeof(json),
			 "duplicate value found: Ext_Id__c duplicates value on record with id: %.15s", account);
	insert("Account", "{\"Name\":\"x\",\"Ext_Id__c\":\"straße-1\"}", "DUPLICATE_VALUE", json, NULL);
	insert("Invoice__c", "{\"Case_Key__c\":\"k\"}", NULL, NULL, NULL);
	insert("Invoice__c", "{\"Case_Key__c\":\"K\"}", NULL, NULL, NULL);
	insert("Invoice__c", "{\"Case_Key__c\":\"K\"}", "DUPLICATE_VALUE", NULL, NULL);
}

static void
test_delete(void)
{
	char account[SF_ID_LEN + 1];
	char contact[SF_ID_LEN + 1];
	char invoice[SF_ID_LEN + 1];
	char json[300];
	StoreError e;

	insert("Account", "{\"Name\":\"Tree\"}", NULL, NULL, NULL);
	memcpy(account, last_id, sizeof(account));
	snprintf(json, sizeof(json), "{\"LastName\":\"Leaf\",\"AccountId\":\"%s\"}", account);
	insert("Contact", json, NULL, NULL, NULL);
	memcpy(contact, last_id, sizeof(contact));
	snprintf(json, sizeof(json), "{\"Account__c\":\"%s\"}", account);
	insert("Invoice__c", json, NULL, NULL, NULL);
	memcpy(invoice, last_id, sizeof(invoice));

	store_set_clock(NOW + 100);
	remove_row("Account", account, NULL, NULL);
	check(store_row_state(object("Contact"), contact) == 2, "cascade", NULL);
	column("Account", account, "SystemModstamp", "2026-01-01T00:00:00.000+0000");
	column("Account", account, STORE_DELETED_DATE, "2026-01-01T00:01:40.000+0000");
	column("Invoice__c", invoice, "Account__c", NULL);
	column("Invoice__c", invoice, "SystemModstamp", "2026-01-01T00:01:40.000+0000");
	column("Invoice__c", invoice, "LastModifiedDate", "2026-01-01T00:00:00.000+0000");
	update("Account", account, "{\"Name\":\"x\"}", "ENTITY_IS_DELETED", "entity is deleted");
	remove_row("Account", account, "ENTITY_IS_DELETED", "entity is deleted");
	snprintf(json, sizeof(json), "{\"LastName\":\"x\",\"AccountId\":\"%s\"}", account);
	insert("Contact", json, "ENTITY_IS_DELETED", "entity is deleted", "");
	check(!store_undelete(object("Contact"), contact, &e), "a part of a tree", NULL);
	store_error_free(&e);
	check(store_undelete(object("Account"), account, &e), "undelete", e.message);
	check(store_row_state(object("Contact"), contact) == 1, "undelete of the tree", NULL);
	column("Invoice__c", invoice, "Account__c", account);
	check(!store_undelete(object("Account"), account, &e), "undelete of a live row", NULL);
	store_error_free(&e);

	remove_row("Account", "001000000000001", "NOT_FOUND", "The requested resource does not exist");
	remove_row("Account", contact, "MALFORMED_ID", NULL);
	snprintf(json, sizeof(json), "{\"Subject\":\"s\",\"ContactId\":\"%s\"}", contact);
	insert("Case", json, NULL, NULL, NULL);
	column("Case", last_id, "AccountId", account);
	column("Case", last_id, "Status", "New");
	remove_row("Contact", contact, "DELETE_FAILED", NULL);
	remove_row(
		"Account", account, "DELETE_FAILED",
		"Your attempt to delete Tree could not be completed because it is associated with the "
		"following cases.: 00001001\n");
	check(store_row_state(object("Account"), account) == 1, "nothing changed", NULL);
	remove_row("User", store_admin_id(), "INVALID_TYPE_FOR_OPERATION", NULL);
	store_set_clock(NOW);
}

static void
test_update(void)
{
	char id[SF_ID_LEN + 1];

	insert("Contact", "{\"LastName\":\"Curie\",\"FirstName\":\"Marie\"}", NULL, NULL, NULL);
	memcpy(id, last_id, sizeof(id));
	column("Contact", id, "Name", "Marie Curie");
	store_set_clock(NOW + 5);
	update("Contact", id, "{\"FirstName\":null}", NULL, NULL);
	column("Contact", id, "Name", "Curie");
	column("Contact", id, "CreatedDate", "2026-01-01T00:00:00.000+0000");
	column("Contact", id, "LastModifiedDate", "2026-01-01T00:00:05.000+0000");
	column("Contact", id, "SystemModstamp", "2026-01-01T00:00:05.000+0000");
	update("Contact", id, "{\"LastName\":\"\"}", "REQUIRED_FIELD_MISSING",
		   "Required fields are missing: [LastName]");
	update("Contact", id, "{\"CreatedDate\":null}", "INVALID_FIELD_FOR_INSERT_UPDATE", NULL);
	update("Contact", id, "{\"Id\":\"003000000000001\"}", "INVALID_FIELD", NULL);
	update("Contact", "003000000000001", "{}", "NOT_FOUND", NULL);
	column("Contact", id, "LastName", "Curie");

	insert("Account", "{\"Name\":\"Tracked\"}", NULL, NULL, NULL);
	update("Account", last_id, "{\"Name\":\"Tracked 2\",\"AnnualRevenue\":5.4}", NULL, NULL);
	check(number("SELECT count(*) FROM \"AccountHistory\" h JOIN \"Account\" a ON a.\"Id\" = "
				 "h.\"AccountId\" WHERE a.\"Name\" = 'Tracked 2' AND h.\"Field\" IN ('Name', "
				 "'AnnualRevenue', 'created')") == 3,
		  "history", NULL);
	column("Account", last_id, "AnnualRevenue", "5.4");
	store_set_clock(NOW);
}

static void
upsert(const char *key, const char *value, const char *json, bool want_created, const char *code)
{
	const Object *o = object("Invoice__c");
	json_object *v = parse(json);
	StoreError e;
	bool created;
	int matches;
	char *ids;
	bool ok = store_upsert(o, schema_field(o, key, strlen(key)), value, v, last_id, &created,
						   &matches, &ids, &e);

	expect_error(value, ok, &e, code, NULL, NULL);
	check(created == want_created, "created", value);
	free(ids);
	json_object_put(v);
}

static void
test_upsert(void)
{
	char id[SF_ID_LEN + 1];

	upsert("Ext_Id__c", "Up-1", "{\"Amount__c\":1}", true, NULL);
	memcpy(id, last_id, sizeof(id));
	upsert("Ext_Id__c", "UP-1", "{\"Amount__c\":2}", false, NULL);
	same("upsert without case", last_id, id);
	column("Invoice__c", id, "Ext_Id__c", "Up-1");
	column("Invoice__c", id, "Amount__c", "2.0");
	upsert("Case_Key__c", "c", "{}", true, NULL);
	upsert("Case_Key__c", "C", "{}", true, NULL);
	upsert("Ext_Id__c", "", "{}", false, "MISSING_ARGUMENT");
	upsert("Amount__c", "1", "{}", false, "INVALID_FIELD");
	upsert("Ext_Id__c", "Up-2", "{\"Ext_Id__c\":\"other\"}", false, "INVALID_FIELD");
	upsert("Id", id, "{\"Amount__c\":3}", false, NULL);
	column("Invoice__c", id, "Amount__c", "3.0");
}

static void
test_standard(void)
{
	char id[SF_ID_LEN + 1];
	char json[300];

	insert(
		"Opportunity",
		"{\"Name\":\"O\",\"StageName\":\"Closed Won\",\"CloseDate\":\"2026-05-09\",\"Amount\":50}",
		NULL, NULL, NULL);
	memcpy(id, last_id, sizeof(id));
	column("Opportunity", id, "IsWon", "1");
	column("Opportunity", id, "Probability", "100.0");
	column("Opportunity", id, "ForecastCategory", "Closed");
	column("Opportunity", id, "Fiscal", "2026 2");
	update("Opportunity", id, "{\"StageName\":\"Prospecting\",\"CloseDate\":\"2026-07-01\"}", NULL,
		   NULL);
	column("Opportunity", id, "IsClosed", "0");
	column("Opportunity", id, "ExpectedRevenue", "5.0");
	column("Opportunity", id, "PushCount", "1");
	insert("Task", "{\"Subject\":\"t\",\"Status\":\"Completed\"}", NULL, NULL, NULL);
	column("Task", last_id, "IsClosed", "1");
	column("Task", last_id, "CompletedDateTime", "2026-01-01T00:00:00.000+0000");
	snprintf(json, sizeof(json), "{\"WhatId\":\"%s\",\"Subject\":\"t\"}", store_admin_id());
	insert("Task", json, "FIELD_INTEGRITY_EXCEPTION", NULL, "WhatId");
	insert("Event", "{\"Subject\":\"e\"}", "REQUIRED_FIELD_MISSING", NULL, NULL);
	insert(
		"Event",
		"{\"Subject\":\"e\",\"StartDateTime\":\"2026-01-01T23:30:00Z\",\"DurationInMinutes\":60}",
		NULL, NULL, NULL);
	column("Event", last_id, "EndDate", "2026-01-02");
	insert("Invoice__c", "{\"Amount__c\":20000,\"Tax__c\":0.5}", NULL, NULL, NULL);
	column("Invoice__c", last_id, "Large__c", "1");
	column("Invoice__c", last_id, "Gross__c", "20000.5");
	insert("ContentVersion",
		   "{\"Title\":\"t\",\"PathOnClient\":\"a.txt\",\"VersionData\":\"aGVsbG8=\"}", NULL, NULL,
		   NULL);
	column("ContentVersion", last_id, "ContentSize", "5");
	column("ContentVersion", last_id, "Checksum", "5d41402abc4b2a76b9719d911017c592");
}

static void
test_transactions(void)
{
	uint64_t before = store_version();
	int64_t n = store_count(object("Account"));

	store_begin();
	insert("Account", "{\"Name\":\"a\"}", NULL, NULL, NULL);
	store_begin();
	insert("Account", "{\"Name\":\"b\"}", NULL, NULL, NULL);
	store_rollback();
	insert("Account", "{}", "REQUIRED_FIELD_MISSING", NULL, NULL);
	check(store_count(object("Account")) == n + 1, "inner rollback", NULL);
	store_rollback();
	check(store_count(object("Account")) == n, "outer rollback", NULL);
	check(store_version() != before, "version", NULL);
}

static int64_t
fingerprint(void)
{
	return number("SELECT sum(length(\"Notes__c\")) + sum(\"Amount__c\" * 100) + max(rowid) FROM "
				  "\"Invoice__c\"") +
		   number("SELECT sum(unicode(substr(\"Name\", 3)) * rowid) FROM \"Account\"") +
		   number("SELECT sum(strftime('%s', substr(\"SystemModstamp\", 1, 19))) FROM \"Contact\"");
}

/* What the seed push promises, whatever its rows are. */
static void
test_push(void)
{
	/* object, field: one of each groupable type, and parents reached by a lookup */
	static const char *const many[][2] = {{"Account", "NumberOfEmployees"},
										  {"Account", "Id"},
										  {"Contact", "AccountId"},
										  {"Contact", "Birthdate"},
										  {"Opportunity", "CloseDate"},
										  {"Invoice__c", "Case_Key__c"}};
	static const char *const lookups[][2] = {
		{"Account", "ParentId"},	   {"Contact", "AccountId"}, {"Contact", "ReportsToId"},
		{"Opportunity", "AccountId"},  {"Case", "ContactId"},	 {"Task", "WhoId"},
		{"Task", "WhatId"},			   {"Case", "AccountId"},	 {"Invoice__c", "Account__c"},
		{"Invoice__c", "Parent_Invoice__c"}, {"Opportunity", "CampaignId"}};
	char sql[300];

	check(!store_seed("push:") && !store_seed("push:x") && !store_seed("push:-1") &&
			  !store_seed("pushes"), "no such seeds", NULL);
	check(store_seed("push:1") && store_count(object("Account")) == 1, "the least push", NULL);
	check(store_seed("push:2500"), "push:2500", NULL);
	for (size_t i = 0; i < sizeof(many) / sizeof(many[0]); i++)
	{
		snprintf(sql, sizeof(sql), "SELECT count(DISTINCT \"%s\") FROM \"%s\" WHERE \"IsDeleted\" = 0",
				 many[i][1], many[i][0]);
		check(number(sql) > 2000, "more than 2,000 values of", many[i][1]);
	}
	check(store_seed("push"), "push", NULL);
	for (size_t i = 0; i < sizeof(lookups) / sizeof(lookups[0]); i++)
	{
		snprintf(sql, sizeof(sql),
				 "SELECT min(count(*) - count(\"%s\"), count(\"%s\")) FROM \"%s\" WHERE "
				 "\"IsDeleted\" = 0",
				 lookups[i][1], lookups[i][1], lookups[i][0]);
		check(number(sql) > 0, "nulls and others in", lookups[i][1]);
	}
	check(number("SELECT count(*) FROM \"Account\" WHERE \"Name\" = 'alpha'") == 3, "case", NULL);
	check(number("SELECT count(*) FROM \"Account\" WHERE \"Name\" LIKE 'alpha% '") == 2, "blanks",
		  NULL);
	check(number("SELECT count(DISTINCT substr(\"WhoId\", 1, 3)) FROM \"Task\"") == 2, "who", NULL);
	check(number("SELECT count(DISTINCT substr(\"WhatId\", 1, 3)) FROM \"Task\"") == 5, "what", NULL);
	check(number("SELECT count(*) FROM \"Account\" a JOIN \"Account\" b ON b.\"Id\" = a.\"ParentId\" "
				 "JOIN \"Account\" c ON c.\"Id\" = b.\"ParentId\" JOIN \"Account\" d ON d.\"Id\" = "
				 "c.\"ParentId\" JOIN \"Account\" e ON e.\"Id\" = d.\"ParentId\" JOIN \"Account\" f ON "
				 "f.\"Id\" = e.\"ParentId\"") > 0,
		  "five ancestors", NULL);
	check(number("SELECT count(*) FROM \"Contact\" c JOIN \"Account\" a ON a.\"Id\" = c.\"AccountId\" "
				 "WHERE a.\"IsDeleted\" AND NOT c.\"IsDeleted\"") > 0,
		  "lookups to deleted rows", NULL);
	check(number("SELECT count(DISTINCT \"Tags__c\") FROM \"Invoice__c\"") == 5, "multipicklists", NULL);
	check(number("SELECT count(*) FROM \"Invoice__c\" WHERE \"Paid_At__c\" LIKE '%.000+0000'") ==
			  number("SELECT count(\"Paid_At__c\") FROM \"Invoice__c\""),
		  "whole seconds", NULL);
	store_keep_milliseconds(true);
	check(store_seed("push"), "push with milliseconds", NULL);
	check(number("SELECT count(DISTINCT substr(\"Paid_At__c\", 20)) FROM \"Invoice__c\"") == 4,
		  "milliseconds", NULL);
	store_keep_milliseconds(false);
}

/* How texts compare, in each reading. */
static void
test_comparison(void)
{
	static const char *const pairs[][2] = {
		{"a\xc3\xa9\xc3\x9c", "AEU"},	  {"e\xcc\x81x", "ex"}, {"\xc5\xa0", "s"},
		{"\xc5\xb8", "y"},			  {"\xc4\xa4", "h"},	  {"x\xcc\x88", "x"}};
	char sql[200];

	store_fold_accents(true);
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
	{
		snprintf(sql, sizeof(sql), "SELECT '%s' = '%s' COLLATE SFCI", pairs[i][0], pairs[i][1]);
		check(number(sql) == 1, "folded", pairs[i][0]);
	}
	check(number("SELECT '\xc3\x9f' = 's' COLLATE SFCI") == 0, "no accent", NULL);
	check(number("SELECT 'a\xc3\xa9' < 'aea' COLLATE SFCI") == 1, "order without accents", NULL);
	check(number("SELECT 'a ' = 'a' COLLATE SFCI") == 0, "blanks still count", NULL);
	store_fold_accents(false);
	check(number("SELECT '\xc3\xa9' = 'e' COLLATE SFCI") == 0, "accents count", NULL);
	store_ignore_blanks(true);
	check(number("SELECT 'A  ' = 'a' COLLATE SFCI") == 1, "blanks at the end", NULL);
	check(number("SELECT ' a' = 'a' COLLATE SFCI") == 0, "blanks at the beginning", NULL);
	check(number("SELECT '\xc3\xa9 ' = '\xc3\x89' COLLATE SFCI") == 1, "blanks behind an accent", NULL);
	check(number("SELECT '  ' = '' COLLATE SFCI") == 1, "nothing but blanks", NULL);
	store_ignore_blanks(false);
	check(number("SELECT 'a ' = 'a' COLLATE SFCI") == 0, "blanks count", NULL);
}

static void
test_seeds(const char *file)
{
	char sql[300];
	int64_t print;
	int64_t rows = 0;
	int i;

	check(!store_seed("nothing") && !store_seed("big:x") && !store_seed("big: 5") &&
			  !store_seed("big:99999999999999999999"), "unknown seeds", NULL);
	check(store_seed("demo"), "demo", NULL);
	print = fingerprint();
	for (i = 0; i < schema_count(); i++)
	{
		int64_t n = store_count(schema_object(i));

		check(n > 0, "rows of", schema_object(i)->name);
		rows += n;
		snprintf(sql, sizeof(sql),
				 "SELECT count(*) FROM \"%s\" WHERE \"CreatedDate\" NOT BETWEEN "
				 "'2024-01-01' AND '2026-07-01'",
				 schema_object(i)->name);
		check(number(sql) == 0, "times of", schema_object(i)->name);
	}
	check(rows > 900 && rows < 1500, "about a thousand rows", NULL);
	check(number("SELECT max(length(\"Notes__c\")) FROM \"Invoice__c\"") == 131072, "long text",
		  NULL);
	check(number("SELECT count(*) FROM \"Account\" WHERE \"Name\" = 'acme'") == 3, "SFCI", NULL);
	check(number(
			  "SELECT count(*) FROM \"Contact\" c JOIN \"Account\" a ON a.\"Id\" = c.\"AccountId\" "
			  "WHERE a.\"IsDeleted\" AND NOT c.\"IsDeleted\"") > 0,
		  "lookups to deleted rows", NULL);
	check(number(
			  "SELECT count(*) FROM \"Contact\" c WHERE c.\"AccountId\" NOT IN (SELECT \"Id\" FROM "
			  "\"Account\")") > 0,
		  "lookups to missing rows", NULL);
	store_set_clock(NOW + 86400);
	check(store_seed("demo") && fingerprint() == print, "the same again", NULL);
	check(store_seed("big:1000") && store_count(object("Contact")) == 1000, "big", NULL);
	insert("Contact", "{\"LastName\":\"after big\"}", NULL, NULL, NULL);
	check(store_seed("empty") && store_count(object("Contact")) == 0, "empty", NULL);
	column("User", store_admin_id(), "Username", "admin@sandbox.example");
	insert("Account", "{\"Name\":\"first\"}", NULL, NULL, NULL);
	same("counters start anew", last_id, "0015g0000000001AAA");
	store_close();

	/* a file keeps its rows and its counters */
	unlink(file);
	store_open(file);
	check(store_seed("empty"), "seed a file", NULL);
	insert("Account", "{\"Name\":\"kept\"}", NULL, NULL, NULL);
	store_close();
	store_open(file);
	check(store_count(object("Account")) == 1, "reopened", NULL);
	insert("Account", "{\"Name\":\"next\"}", NULL, NULL, NULL);
	same("counters go on", last_id, "0015g0000000002AAA");
	store_close();
	unlink(file);
}

int
main(void)
{
	char file[] = "/tmp/test_store.XXXXXX";
	int fd = mkstemp(file);

	if (fd >= 0)
		close(fd);
	schema_load(NULL);
	store_open(NULL);
	store_set_clock(NOW);
	store_lock();
	store_seed("empty");
	test_buf();
	test_ids();
	test_schema();
	test_values();
	test_references();
	test_delete();
	test_update();
	test_upsert();
	test_standard();
	test_transactions();
	test_comparison();
	test_push();
	test_seeds(file);
	store_unlock();
	printf("%d passed, %d failed\n", passed, failed);
	return failed ? 1 : 0;
}
