/*
 * store_id.c - Salesforce Ids: three characters of type, two of instance, one reserved, nine of
 * counter, and a suffix of three that tells the letters' case.
 *
 * Must not know: SQLite.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "store_internal.h"

static const char base62[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
static const char base32[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345";

static void
add_suffix(char id[SF_ID_LEN + 1])
{
	int chunk;
	int i;

	for (chunk = 0; chunk < 3; chunk++)
	{
		int bits = 0;

		for (i = 0; i < 5; i++)
			if (id[chunk * 5 + i] >= 'A' && id[chunk * 5 + i] <= 'Z')
				bits |= 1 << i;
		id[15 + chunk] = base32[bits];
	}
	id[18] = '\0';
}

void
store_make_id(const char *prefix, int64_t number, char out[SF_ID_LEN + 1])
{
	int i;

	memcpy(out, prefix, 3);
	memcpy(out + 3, "5g0", 3);
	for (i = 14; i >= 6; i--)
	{
		out[i] = base62[number % 62];
		number /= 62;
	}
	add_suffix(out);
}

int64_t
store_id_number(const char *id)
{
	int64_t n = 0;
	int i;

	for (i = 6; i < 15; i++)
	{
		const char *p = strchr(base62, id[i]);

		n = n * 62 + (p && *p ? p - base62 : 0);
	}
	return n;
}

/* Case is restored from the suffix: clients that fold case still name the same row. */
bool
store_canonical_id(const char *text, size_t len, char out[SF_ID_LEN + 1])
{
	size_t i;

	if (len != 15 && len != 18)
		return false;
	for (i = 0; i < len; i++)
		if (!isalnum((unsigned char) text[i]))
			return false;
	memcpy(out, text, 15);
	if (len == 18)
	{
		for (i = 0; i < 15; i++)
		{
			const char *p = strchr(base32, toupper((unsigned char) text[15 + i / 5]));

			if (!p || *p == '\0')
				return false;
			if ((p - base32) >> (i % 5) & 1)
			{
				if (!isalpha((unsigned char) text[i]))
					return false;
				out[i] = toupper((unsigned char) text[i]);
			}
			else
				out[i] = tolower((unsigned char) text[i]);
		}
	}
	add_suffix(out);
	return true;
}
