/*
 * test_sfid.c - record Ids.
 */
#include "check.h"
#include "wire/sfid.h"

#include <ctype.h>
#include <string.h>

static void
check_pair(const char *id15, const char *suffix)
{
	char want[AMPSF_SFID_LEN + 1];
	char folded[AMPSF_SFID_LEN + 1];
	char out[AMPSF_SFID_LEN + 1];

	memcpy(want, id15, 15);
	memcpy(want + 15, suffix, 4);
	CHECK(ampsf_sfid_canonicalize(id15, 15, out));
	CHECK_TEXT(out, strlen(out), want);
	CHECK(ampsf_sfid_is_canonical(want, 18));
	CHECK(!ampsf_sfid_is_canonical(id15, 15));

	for (int upper = 0; upper < 2; upper++)
	{
		for (int i = 0; i < 19; i++)
			folded[i] = (char) (upper ? toupper(want[i]) : tolower(want[i]));
		CHECK(ampsf_sfid_canonicalize(folded, 18, out));
		CHECK_TEXT(out, strlen(out), want);
		if (strcmp(folded, want) != 0)
			CHECK(!ampsf_sfid_is_canonical(folded, 18));
	}
}

void
test_sfid(void)
{
	char out[AMPSF_SFID_LEN + 1];

	check_pair("a01M00000062mPg", "IAI");
	check_pair("001M000000qfPyS", "IAU");
	check_pair("AbCdEfGhIjKlMnO", "VKV");
	check_pair("aBcDEfgHIJKLMNO", "025");
	check_pair("001A000010khO8J", "IAU");
	check_pair("012000000000000", "AAA");

	/* lengths */
	CHECK(!ampsf_sfid_canonicalize("", 0, out));
	CHECK(!ampsf_sfid_canonicalize("001A000010khO8", 14, out));
	CHECK(!ampsf_sfid_canonicalize("001A000010khO8JI", 16, out));
	CHECK(!ampsf_sfid_canonicalize("001A000010khO8JIAUx", 19, out));
	/* what is no letter and no digit */
	CHECK(!ampsf_sfid_canonicalize("001A000010khO8-", 15, out));
	CHECK(!ampsf_sfid_canonicalize("001A0000\xc3\xa4khO8J", 15, out));
	CHECK(!ampsf_sfid_is_canonical("001A000010khO8'IAU", 18));
	CHECK(!ampsf_sfid_is_canonical("001A00001\0khO8JIAU", 18));
	/* a checksum that is none, or that makes a digit a capital */
	CHECK(!ampsf_sfid_canonicalize("001A000010khO8JIA6", 18, out));
	CHECK(!ampsf_sfid_canonicalize("001A000010khO8JIA_", 18, out));
	CHECK(!ampsf_sfid_canonicalize("012000000000000BAA", 18, out));
	CHECK(!ampsf_sfid_is_canonical("001A000010khO8JAAA", 18));
}
