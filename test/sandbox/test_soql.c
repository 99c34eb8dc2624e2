/*
 * test_soql.c - SOQL against a small org: what is accepted gives these records, what is refused
 * gives this error.
 *
 * Usage: test_soql [OBJECTS-FOLDER] runs and ends with "N passed, N failed"; test_soql --list
 * prints the accepted statements, one a line, for checking against other parsers of SOQL (those
 * marked OURS are left out: there this sandbox follows an org where the parsers do not).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "soql.h"
#include "store.h"

#define OURS 1 /* other parsers do not know it */
#define ALL 2  /* as queryAll */
#define DESC_NULLS_FIRST 4
#define NULLS_SKIPPED 8 /* negations leave out nulls */
#define LOOKUP_NULLS 16 /* NULLS LAST works on lookups */
#define POISON 32		/* an inner null of NOT IN (SELECT ...) leaves nothing */
#define EXACT 64		/* groups are told apart by case */
#define NO_FRACTIONS 128
#define FEW_PARENTS 256 /* two at most */
#define INT32 512		/* whole numbers have 32 bits */

typedef struct Accept
{
	const char *soql;
	int64_t total;
	const char *records; /* without attributes; NULL: not compared */
	int flags;
} Accept;

typedef struct Refuse
{
	const char *soql;
	const char *code;
	const char *message; /* a part of it */
	int flags;
} Refuse;

typedef struct Explain
{
	const char *soql;
	const char *plans; /* best first */
} Explain;

#include "test_soql_cases.h"

static int passed, failed;

static struct
{
	const char *name;
	char id[SF_ID_LEN + 1];
} ids[32];
static int n_ids;

static const char *
id_of(const char *name)
{
	for (int i = 0; i < n_ids; i++)
		if (strcmp(ids[i].name, name) == 0)
			return ids[i].id;
	fprintf(stderr, "no row %s\n", name);
	exit(2);
}

/* $a1 stands for the Id of the row a1, $a1. for its first 15 characters. */
static char *
expand(const char *text)
{
	Buf b;

	buf_init(&b);
	buf_reserve(&b, 1);
	for (; *text; text++)
		if (text[0] == '$' && text[1] >= 'a' && text[1] <= 'z')
		{
			char name[3] = {text[1], text[2], 0};
			bool brief = text[3] == '.';

			buf_add(&b, id_of(name), brief ? 15 : 18);
			text += brief ? 3 : 2;
		}
		else
			buf_addc(&b, *text);
	return buf_detach(&b);
}

static void
row(const char *name, const char *object, const char *json)
{
	StoreError e = {0};
	char *text = expand(json);
	json_object *v = json_tokener_parse(text);

	ids[n_ids].name = name;
	if (!store_insert(schema_find(object, strlen(object)), v, ids[n_ids].id, &e))
	{
		fprintf(stderr, "%s %s: %s\n", object, text, e.message);
		exit(2);
	}
	n_ids++;
	json_object_put(v);
	free(text);
}

static void
remove_row(const char *object, const char *name)
{
	StoreError e = {0};

	if (!store_delete(schema_find(object, strlen(object)), id_of(name), &e))
	{
		fprintf(stderr, "delete %s: %s\n", name, e.message);
		exit(2);
	}
}

static void
fill(void)
{
	row("a1", "Account",
		"{\"Name\":\"Acme\",\"Industry\":\"Banking\",\"NumberOfEmployees\":10,\"AnnualRevenue\":"
		"1000,\"Rating\":\"Hot\","
		"\"BillingCity\":\"Paris\",\"BillingLatitude\":48.85,\"BillingLongitude\":2.35}");
	row("a2", "Account",
		"{\"Name\":\"ACME\",\"NumberOfEmployees\":20,\"Rating\":\"Cold\",\"ParentId\":\"$a1\"}");
	row("a3", "Account",
		"{\"Name\":\"100% \\u00d6l_\\\\\",\"Industry\":\"Apparel\",\"Rating\":\"Warm\"}");
	row("a4", "Account", "{\"Name\":\"Gone\",\"NumberOfEmployees\":99}");
	row("c1", "Contact",
		"{\"LastName\":\"Doe\",\"FirstName\":\"J\\\"o\",\"AccountId\":\"$a1\",\"Birthdate\":\"1980-"
		"02-29\",\"Email\":\"jo@x.example\"}");
	row("c2", "Contact",
		"{\"LastName\":\"doe\",\"FirstName\":\"Ann\",\"AccountId\":\"$a1\",\"DoNotCall\":true}");
	row("c3", "Contact", "{\"LastName\":\"Alone\",\"Birthdate\":\"2024-06-15\"}");
	row("c4", "Contact", "{\"LastName\":\"Gone\",\"AccountId\":\"$a1\"}");
	row("o1", "Opportunity",
		"{\"Name\":\"O1\",\"AccountId\":\"$a1\",\"Amount\":100,\"StageName\":\"Prospecting\","
		"\"CloseDate\":\"2024-06-15\"}");
	row("o2", "Opportunity",
		"{\"Name\":\"O2\",\"AccountId\":\"$a1\",\"Amount\":50.25,\"StageName\":\"Closed "
		"Won\",\"CloseDate\":\"2024-05-31\"}");
	row("o3", "Opportunity",
		"{\"Name\":\"O3\",\"AccountId\":\"$a2\",\"StageName\":\"Qualification\",\"CloseDate\":"
		"\"2023-12-31\"}");
	row("t1", "Task", "{\"Subject\":\"Call\",\"WhoId\":\"$c1\",\"WhatId\":\"$a1\"}");
	row("t2", "Task", "{\"Subject\":\"Mail\",\"WhatId\":\"$o1\"}");
	row("i1", "Invoice__c",
		"{\"Tags__c\":\"Urgent;Export\",\"Location__Latitude__s\":48.5,\"Location__Longitude__s\":"
		"2.5,\"Amount__c\":1234.5,"
		"\"Quantity__c\":3,\"Due_Date__c\":\"2024-06-16\",\"Paid_At__c\":\"2024-06-15T00:00:00Z\","
		"\"Cutoff_Time__c\":\"10:00:00.000Z\","
		"\"Tax_Number__c\":\"DE\\u00df-42\",\"Case_Key__c\":\"Key\",\"Account__c\":\"$a1\",\"Status__c\":\"Void\",\"Notes__c\":"
		"\"long\"}");
	row("i2", "Invoice__c",
		"{\"Tags__c\":\"Urgent\",\"Case_Key__c\":\"key\",\"Status__c\":\"Draft\",\"Paid__c\":true,"
		"\"Parent_Invoice__c\":\"$i1\"}");
	row("i3", "Invoice__c", "{}");
	remove_row("Contact", "c4");
	remove_row("Account", "a4");
}

/* The text without every "attributes":{...} and the comma behind it. */
static void
strip_attributes(char *s)
{
	char *p;

	while ((p = strstr(s, "\"attributes\":{")) != NULL)
	{
		char *end = strchr(p, '}') + 1;

		if (*end == ',')
			end++;
		memmove(p, end, strlen(end) + 1);
		s = p;
	}
}

static void
verdict(bool ok, const char *soql, const char *wanted, const char *got)
{
	if (ok)
	{
		passed++;
		return;
	}
	failed++;
	printf("FAILED %s\n  wanted %s\n  got    %s\n", soql, wanted, got);
}

static SoqlOptions
options(int flags)
{
	SoqlOptions o = {.all_rows = (flags & ALL) != 0, .version = "62.0"};

	o.readings.null_first_on_desc = (flags & DESC_NULLS_FIRST) != 0;
	o.readings.nulls_not_negated = (flags & NULLS_SKIPPED) != 0;
	o.readings.lookup_nulls_asked = (flags & LOOKUP_NULLS) != 0;
	o.readings.inner_nulls_poison = (flags & POISON) != 0;
	o.readings.groups_exact = (flags & EXACT) != 0;
	o.readings.no_fractions = (flags & NO_FRACTIONS) != 0;
	o.readings.int32_literals = (flags & INT32) != 0;
	o.readings.max_parents = flags & FEW_PARENTS ? 2 : 0;

	return o;
}

static void
check_accept(const Accept *a)
{
	char *soql = expand(a->soql), *wanted = expand(a->records ? a->records : "");
	SoqlOptions opt = options(a->flags);
	SoqlError e = {0};
	SoqlCursor *c = soql_open(soql, strlen(soql), &opt, &e);
	Buf b;
	char count[80];

	if (c == NULL)
	{
		verdict(false, soql, "records", e.message);
		soql_error_free(&e);
	}
	else
	{
		buf_init(&b);
		buf_reserve(&b, 1);
		b.data[0] = '\0';
		soql_render(c, 0, 2000, &b);
		snprintf(count, sizeof(count), "%lld rows", (long long) soql_total(c));
		verdict(soql_total(c) == a->total, soql, "another number of rows", count);
		strip_attributes(b.data);
		if (a->records)
			verdict(strcmp(b.data, wanted) == 0, soql, wanted, b.data);
		buf_free(&b);
		soql_close(c);
	}
	free(soql);
	free(wanted);
}

static void
check_refuse(const Refuse *r)
{
	char *soql = expand(r->soql);
	SoqlOptions opt = options(r->flags);
	SoqlError e = {0};
	SoqlCursor *c = soql_open(soql, strlen(soql), &opt, &e);

	if (c)
	{
		verdict(false, soql, r->code, "accepted");
		soql_close(c);
	}
	else
	{
		verdict(strcmp(e.code, r->code) == 0, soql, r->code, e.code);
		verdict(strstr(e.message, r->message) != NULL, soql, r->message, e.message);
		soql_error_free(&e);
	}
	free(soql);
}

/* The plans of a statement, without the notes and what never changes. */
static void
check_explain(const Explain *x)
{
	char *soql = expand(x->soql), *p;
	SoqlOptions opt = options(0);
	SoqlError e = {0};
	json_object *v, *plans = NULL;
	Buf b, got;

	buf_init(&b);
	buf_init(&got);
	buf_reserve(&got, 1);
	if (!soql_explain(soql, strlen(soql), &opt, &b, &e))
	{
		verdict(false, soql, x->plans, e.message);
		soql_error_free(&e);
		buf_free(&b);
		buf_free(&got);
		free(soql);
		return;
	}
	v = json_tokener_parse(b.data);
	json_object_object_get_ex(v, "plans", &plans);
	for (size_t i = 0; plans && i < json_object_array_length(plans); i++)
	{
		json_object *plan = json_object_array_get_idx(plans, i), *m, *notes;

		json_object_object_get_ex(plan, "leadingOperationType", &m);
		buf_addf(&got, "%s%s", i ? "; " : "", json_object_get_string(m));
		json_object_object_get_ex(plan, "fields", &m);
		for (size_t k = 0; k < json_object_array_length(m); k++)
			buf_addf(&got, " %s", json_object_get_string(json_object_array_get_idx(m, k)));
		json_object_object_get_ex(plan, "cardinality", &m);
		buf_addf(&got, " %s", json_object_get_string(m));
		json_object_object_get_ex(plan, "sobjectCardinality", &m);
		buf_addf(&got, "/%s", json_object_get_string(m));
		json_object_object_get_ex(plan, "relativeCost", &m);
		buf_addf(&got, " cost %.3f not", json_object_get_double(m));
		json_object_object_get_ex(plan, "notes", &notes);
		for (size_t k = 0; k < json_object_array_length(notes); k++)
		{
			json_object_object_get_ex(json_object_array_get_idx(notes, k), "fields", &m);
			buf_addf(&got, " %s", json_object_get_string(json_object_array_get_idx(m, 0)));
		}
	}
	verdict(strcmp(got.data, x->plans) == 0, soql, x->plans, got.data);
	p = strstr(b.data, "\"sourceQuery\":");
	verdict(p != NULL, soql, "the query itself", b.data);
	json_object_put(v);
	buf_free(&b);
	buf_free(&got);
	free(soql);
}

/* What the tables cannot say: attributes, sizes, paging, single rows, plans. */
static void
check_special(void)
{
	SoqlOptions opt = options(0);
	SoqlError e = {0};
	SoqlCursor *c;
	Buf b;
	char *text, *wanted;
	const Object *account = schema_find("Account", 7);
	const Field *name = schema_field(account, "Name", 4);

	buf_init(&b);
	text = expand("SELECT Id, Owner.Id FROM Lead");
	c = soql_open(text, strlen(text), &opt, &e);
	verdict(c != NULL && soql_object(c) == schema_find("Lead", 4), text, "the object", "another");
	soql_close(c);
	free(text);

	text = expand("SELECT Who.Name FROM Task WHERE WhoId != null");
	wanted = expand("{\"attributes\":{\"type\":\"Task\",\"url\":\"/services/data/v62.0/sobjects/"
					"Task/$t1\"},\"Who\":{\"attributes\":{\"type\":"
					"\"Name\",\"url\":\"/services/data/v62.0/sobjects/Contact/"
					"$c1\"},\"Name\":\"J\\\"o Doe\"}}");
	c = soql_open(text, strlen(text), &opt, &e);
	soql_render(c, 0, 1, &b);
	verdict(strcmp(b.data, wanted) == 0, text, wanted, b.data);
	verdict(soql_render(c, 1, 5, &b) == 0, text, "no row past the end", "one");
	soql_close(c);
	free(text);
	free(wanted);

	/* pages keep their rows while the table changes */
	text = expand("SELECT LastName FROM Contact ORDER BY LastName DESC");
	c = soql_open(text, strlen(text), &opt, &e);
	row("c9", "Contact", "{\"LastName\":\"Zz\"}");
	buf_clear(&b);
	soql_render(c, 2, 10, &b);
	strip_attributes(b.data);
	verdict(soql_total(c) == 3 && strcmp(b.data, "{\"LastName\":\"Alone\"}") == 0, text, "Alone",
			b.data);
	soql_close(c);
	remove_row("Contact", "c9");
	free(text);

	buf_clear(&b);
	verdict(soql_render_row(account, id_of("a2"), &name, 1, "61.0", &b), "one row", "found", "not");
	verdict(strstr(b.data, "/services/data/v61.0/") && strstr(b.data, ",\"Name\":\"ACME\"}"),
			"one row", "ACME", b.data);
	buf_clear(&b);
	verdict(soql_render_row(account, id_of("a1"), NULL, 0, "61.0", &b), "all fields of one row",
			"found", "not");
	verdict(strstr(b.data, "\"BillingAddress\":{\"city\":\"Paris\",") != NULL,
			"all fields of one row", "an address", b.data);
	verdict(!soql_render_row(account, id_of("a4"), NULL, 0, "61.0", &b), "a deleted row",
			"not found", "found");

	buf_clear(&b);
	text = expand("SELECT Id FROM Account WHERE Id = '$a1' AND Industry = 'Banking'");
	verdict(soql_explain(text, strlen(text), &opt, &b, &e), text, "a plan", "none");
	json_object *plan = json_tokener_parse(b.data);
	verdict(plan != NULL && strstr(b.data, "{\"plans\":[{\"cardinality\":1,\"fields\":[") == b.data,
			text, "cardinality 1", b.data);
	json_object_put(plan);
	free(text);
	buf_clear(&b);
	verdict(soql_explain("SELECT Id FROM Account", 22, &opt, &b, &e) &&
				strstr(b.data, "\"leadingOperationType\":\"TableScan\""),
			"explain", "TableScan", b.data);
	verdict(!soql_explain("SELECT Id FROM", 14, &opt, &b, &e), "explain of nonsense", "refused",
			"accepted");
	soql_error_free(&e);

	c = soql_open("SELECT COUNT() FROM Account", 27, &opt, &e);
	verdict(soql_is_count(c) && soql_is_aggregate(c) && !soql_has_offset(c), "COUNT()", "flags",
			"others");
	soql_close(c);
	text = "SELECT Notes__c, Terms__c, (SELECT Id FROM Child_Invoices__r) FROM Invoice__c OFFSET 1";
	for (int i = 0; i < schema_find("Invoice__c", 10)->n_children; i++)
		if (strcmp(schema_find("Invoice__c", 10)->children[i].child, "Invoice__c") == 0)
		{
			buf_clear(&b);
			buf_addf(&b, "SELECT Notes__c, Terms__c, (SELECT Id FROM %s) FROM Invoice__c OFFSET 1",
					 schema_find("Invoice__c", 10)->children[i].relationship);
			text = b.data;
		}
	c = soql_open(text, strlen(text), &opt, &e);
	verdict(c != NULL && soql_long_text_fields(c) == 2 && soql_has_children(c) &&
				soql_has_offset(c),
			text, "two long texts", e.message);
	soql_close(c);
	buf_free(&b);
}

/* Sizes: 4,000 characters a literal, 100,000 a statement, 2,000 groups, deep nesting, long chains.
 */
static void
check_limits(void)
{
	Buf b;
	Accept a = {NULL, 0, NULL, 0};
	Refuse r = {NULL, "MALFORMED_QUERY", "", 0};

	buf_init(&b);
	for (int n = 4000; n <= 4001; n++)
	{
		buf_clear(&b);
		buf_adds(&b, "SELECT Id FROM Account WHERE Name = '");
		for (int i = 0; i < n; i++)
			buf_adds(&b, "\xc3\x96");
		buf_adds(&b, "'");
		a.soql = r.soql = b.data;
		if (n == 4000)
			check_accept(&a);
		else
			check_refuse(&r);
	}
	for (int n = 0; n <= 1; n++)
	{
		buf_clear(&b);
		buf_adds(&b, "SELECT Id FROM Account");
		while (b.len < 100000 + (size_t) n)
			buf_addc(&b, ' ');
		a.soql = r.soql = b.data;
		a.total = 3;
		if (n == 0)
			check_accept(&a);
		else
			check_refuse(&r);
	}
	for (int k = 0; k < 2; k++)
	{
		buf_clear(&b);
		buf_adds(&b, "SELECT Id FROM Account WHERE Name = 'acme'");
		for (int i = 0; i < 3000; i++)
			buf_adds(&b, k ? " OR Name = 'acme'" : " AND Name = 'acme'");
		a.soql = b.data;
		a.total = 2;
		check_accept(&a);
	}
	for (int n = 100; n <= 100000; n *= 300)
	{
		buf_clear(&b);
		buf_adds(&b, "SELECT Id FROM Account WHERE ");
		for (int i = 0; i < n; i++)
			buf_addc(&b, '(');
		buf_adds(&b, "Name = 'acme'");
		for (int i = 0; i < n; i++)
			buf_addc(&b, ')');
		a.soql = r.soql = b.data;
		if (n == 100)
			check_accept(&a);
		else
			check_refuse(&r);
	}
	/* 2,001 groups are one too many */
	store_begin();
	for (int i = 0; i < 1999; i++)
	{
		char text[80];
		json_object *v;
		StoreError e = {0};
		char id[SF_ID_LEN + 1];

		snprintf(text, sizeof(text), "{\"Name\":\"group %d\"}", i);
		v = json_tokener_parse(text);
		store_insert(schema_find("Account", 7), v, id, &e);
		json_object_put(v);
		if (i == 1997 || i == 1998)
		{
			a.soql = r.soql = "SELECT Name, COUNT(Id) FROM Account GROUP BY Name";
			a.total = 2000;
			r.code = "EXCEEDED_ID_LIMIT";
			r.message = "Aggregate query does not support queryMore(), use LIMIT to restrict the "
						"results to a single batch";
			if (i == 1997)
				check_accept(&a);
			else
				check_refuse(&r);
		}
	}
	store_rollback();
	buf_free(&b);
}

int
main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "--list") == 0)
	{
		for (size_t i = 0; i < sizeof(accepts) / sizeof(accepts[0]); i++)
			if (!(accepts[i].flags & OURS))
				printf("%s\n", accepts[i].soql);
		return 0;
	}
	schema_load(argc > 1 ? argv[1] : NULL);
	store_set_clock(1718454896); /* 2024-06-15T12:34:56Z, a Saturday */
	store_open(NULL);
	store_lock();
	store_seed("empty"); /* the org itself and its administrator */
	fill();
	for (size_t i = 0; i < sizeof(accepts) / sizeof(accepts[0]); i++)
		check_accept(&accepts[i]);
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++)
		check_refuse(&refusals[i]);
	for (size_t i = 0; i < sizeof(explains) / sizeof(explains[0]); i++)
		check_explain(&explains[i]);
	check_special();
	check_limits();
	store_unlock();
	store_close();
	printf("%d passed, %d failed\n", passed, failed);
	return failed > 0;
}
