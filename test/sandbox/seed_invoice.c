/*
 * seed_invoice.c - the custom object of the demo org: every type, and the ends of its range.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store_internal.h"

#define INVOICES 120
#define LONG_TEXT 131072

#define PICK(list, n) list[(n) % (int) (sizeof(list) / sizeof(list[0]))]

static const char *const statuses[] = {"Draft", "Sent", "Paid", "Overdue", "Void"};
static const char *const tags[] = {NULL, "Urgent", "Export;Urgent", "Öko & Fair;Recurring",
								   "Urgent;Export;Recurring;Disputed;Öko & Fair"};
static const char *const phones[] = {"+49 (30) 1234-567", "tel:+1;ext=5", NULL};
static const char *const notes[] = {"short", "two\nlines", "quote \" backslash \\ tab \t end",
									NULL};

/* A text of exactly that many characters, of the given pieces in turn. */
static void
long_text(json_object *v, const char *field, const char *const *pieces, int n_pieces)
{
	Buf b;
	int n;

	buf_init(&b);
	for (n = 0; n < LONG_TEXT; n++)
		buf_adds(&b, pieces[n % n_pieces]);
	seed_text(v, field, b.data);
	buf_free(&b);
}

static void
extremes(json_object *v, int i)
{
	static const char *const ascii[] = {"a", "b", "c", " "};
	static const char *const wide[] = {"ä", "€", "😀", "字", "\"", "\\", "\n"};

	switch (i)
	{
		case 0:
			long_text(v, "Notes__c", ascii, 4);
			seed_number(v, "Amount__c", 1234567890123456.0);
			seed_number(v, "Quantity__c", 123456789012345678.0);
			seed_text(v, "Due_Date__c", "1700-01-01");
			seed_text(v, "Paid_At__c", "1700-01-01T00:00:00Z");
			seed_text(v, "Cutoff_Time__c", "00:00:00.000Z");
			break;
		case 1:
			long_text(v, "Notes__c", wide, 7);
			seed_number(v, "Amount__c", -1234567890123456.0);
			seed_number(v, "Quantity__c", -999999999999999.0);
			seed_text(v, "Due_Date__c", "4000-12-31");
			seed_text(v, "Paid_At__c", "4000-12-31T00:00:00Z");
			seed_text(v, "Cutoff_Time__c", "23:59:59.999Z");
			break;
		case 2:
			seed_number(v, "Amount__c", 0.01);
			seed_number(v, "Tax__c", 0.0001);
			seed_number(v, "Weight__c", 0.000001);
			seed_text(v, "Due_Date__c", "2024-02-29");
			break;
		case 3:
			seed_number(v, "Amount__c", -0.01);
			seed_number(v, "Tax__c", 99999999999.1234);
			seed_number(v, "Weight__c", -123456789012.123456);
			seed_number(v, "Discount__c", -999.99);
			seed_text(v, "Due_Date__c", "1969-12-31");
			seed_text(v, "Paid_At__c", "1969-12-31T23:59:59Z");
			break;
		case 4:
			seed_number(v, "Amount__c", 0);
			seed_number(v, "Weight__c", 12345678.9);
			seed_text(v, "Due_Date__c", "2000-02-29");
			break;
		default:
			break;
	}
}

static void
ordinary(json_object *v, int i)
{
	seed_number(v, "Amount__c", i * 99.95);
	seed_number(v, "Tax__c", i * 0.1875);
	seed_number(v, "Quantity__c", i);
	seed_number(v, "Weight__c", i / 8.0);
	seed_number(v, "Discount__c", i % 100 / 2.0);
	seed_textf(v, "Due_Date__c", "%04d-%02d-%02d", 2024 + i % 3, i % 12 + 1, i % 28 + 1);
	seed_textf(v, "Paid_At__c", "%04d-%02d-%02dT%02d:%02d:%02dZ", 2024 + i % 3, i % 12 + 1,
			   i % 28 + 1, i % 24, i % 60, i * 7 % 60);
	seed_textf(v, "Cutoff_Time__c", "%02d:%02d:00.000Z", i % 24, i * 5 % 60);
	seed_bool(v, "Paid__c", i % 2);
	seed_text(v, "Tags__c", PICK(tags, i));
	seed_text(v, "Notes__c", PICK(notes, i));
	seed_text(v, "Terms__c", i % 3 ? "<p>Net 30 &amp; <b>\"strict\"</b></p>" : NULL);
	seed_text(v, "Remark__c", i % 4 ? "multi\nline" : NULL);
	seed_textf(v, "Tax_Number__c", "DE%09d", i * 1234567 % 1000000000);
	seed_textf(v, "Contact_Email__c", "Billing+%d@example.com", i);
	seed_textf(v, "Document_Url__c", "https://docs.example.com/?id=%d&x=%%22", i);
	seed_text(v, "Hotline__c", PICK(phones, i));
	if (i % 3 == 0)
	{
		seed_number(v, "Location__Latitude__s",
					i == 9	  ? -90
					: i == 12 ? 90
							  : 52.520008 + i / 1000.0);
		seed_number(v, "Location__Longitude__s", i == 9 ? -180 : i == 12 ? 180 : 13.404954);
	}
	seed_textf(v, "Short_Text__c", "%c%c", 'A' + i % 26, i % 2 ? 'x' : 'X');
}

void
seed_invoices(const char (*accounts)[SF_ID_LEN + 1], int n)
{
	char ids[INVOICES][SF_ID_LEN + 1];
	char lost[SF_ID_LEN + 1];
	int i;

	store_make_id("001", 99999999, lost);
	for (i = 0; i < INVOICES; i++)
	{
		json_object *v = seed_row();

		/* every tenth has only what it cannot do without */
		if (i % 10 != 7)
		{
			ordinary(v, i);
			extremes(v, i);
			seed_text(v, "Account__c", i == 30 ? lost : accounts[i % n]);
			seed_text(v, "Status__c", PICK(statuses, i));
			seed_textf(v, "Unique_Code__c", "U%05d", i);
		}
		else
			seed_text(v, "Status__c", NULL);
		if (i >= 20 && i % 2)
			seed_text(v, "Parent_Invoice__c", ids[i - 20]);
		seed_textf(v, "Ext_Id__c", "ext-%s%03d", i % 2 ? "ä" : "Ä", i);
		/* equal but for case, which this key tells apart */
		seed_textf(v, "Case_Key__c", i % 2 ? "key-%03d" : "KEY-%03d", i / 2);
		seed_put("Invoice__c", v, ids[i]);
	}
	/* invoices 60 to 64 are parents of live ones */
	for (i = 60; i < 65; i++)
		seed_delete("Invoice__c", ids[i]);
}
