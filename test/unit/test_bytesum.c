/*
 * test_bytesum.c - the same bytes have the same sum however they are cut, and others another.
 */
#include "check.h"

#include <stdlib.h>
#include <string.h>

#include "wire/bytesum.h"

#define LEN 1000

static char text[LEN];

static void
sum_up(AmpsfByteSum *s, size_t len, size_t piece)
{
	memset(s, 0, sizeof(*s));
	for (size_t at = 0; at < len; at += piece)
		ampsf_bytesum_add(s, text + at, len - at < piece ? len - at : piece);
}

void
test_bytesum(void)
{
	AmpsfByteSum a, b;
	int wrong = 0;

	for (int i = 0; i < LEN; i++)
		text[i] = (char) (i * 7 + i / 31);
	for (size_t len = 0; len < 200; len++)
		for (size_t piece = 1; piece < 80; piece++)
		{
			sum_up(&a, len, LEN);
			sum_up(&b, len, piece);
			wrong += !ampsf_bytesum_equal(&a, &b);
		}
	CHECK(wrong == 0);

	sum_up(&a, LEN, 100);
	sum_up(&b, LEN - 1, 100);
	CHECK(!ampsf_bytesum_equal(&a, &b));

	/* one byte is another */
	for (int i = 0; i < LEN; i++)
	{
		text[i] ^= 1;
		sum_up(&b, LEN, 64);
		wrong += ampsf_bytesum_equal(&a, &b);
		text[i] ^= 1;
	}
	CHECK(wrong == 0);

	/* two pieces have changed their places: a lane's words, and others */
	for (size_t n = 1; n < 130; n++)
	{
		char saved[130];

		memcpy(saved, text + 40, n);
		memcpy(text + 40, text + 400, n);
		memcpy(text + 400, saved, n);
		sum_up(&b, LEN, 64);
		wrong += ampsf_bytesum_equal(&a, &b);
		memcpy(text + 400, text + 40, n);
		memcpy(text + 40, saved, n);
	}
	CHECK(wrong == 0);
	sum_up(&b, LEN, 3);
	CHECK(ampsf_bytesum_equal(&a, &b));
}
