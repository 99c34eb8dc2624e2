/*
 * test_utf8.c - what is UTF-8 and what is not: every character, and random bytes, against the
 * definition taken literally.
 */
#include "check.h"
#include "wire/utf8.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* By decoding: the shortest form of a code point that is neither zero nor half of a pair. */
static size_t
valid_plainly(const unsigned char *s, size_t len)
{
	size_t at = 0;

	while (at < len)
	{
		unsigned char c = s[at];
		int more = c < 0x80 ? 0 : c >> 5 == 6 ? 1 : c >> 4 == 14 ? 2 : c >> 3 == 30 ? 3 : -1;
		static const uint32_t least[] = {1, 0x80, 0x800, 0x10000};
		uint32_t code;

		if (more < 0 || at + 1 + (size_t) more > len)
			break;
		code = more == 0 ? c : c & (0x3fu >> more);
		for (int i = 1; i <= more; i++)
		{
			if (s[at + (size_t) i] >> 6 != 2)
				return at;
			code = code << 6 | (s[at + (size_t) i] & 0x3f);
		}
		if (code < least[more] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
			break;
		at += 1 + (size_t) more;
	}
	return at;
}

/* In memory of just this size, so that the sanitizer sees a step beyond it. */
static void
check_both(const unsigned char *s, size_t len)
{
	char *copy = malloc(len ? len : 1);

	memcpy(copy, s, len);
	CHECK_INT((long long) ampsf_utf8_valid(copy, len), (long long) valid_plainly(s, len));
	free(copy);
}

void
test_utf8(void)
{
	unsigned char text[300];
	unsigned long long seed = 20240131;
	size_t wrong = 0;

	/* all of three bytes, behind some ASCII */
	memset(text, 'x', sizeof(text));
	for (uint32_t i = 0; i < 1 << 24; i++)
	{
		text[20] = (unsigned char) (i >> 16);
		text[21] = (unsigned char) (i >> 8);
		text[22] = (unsigned char) i;
		wrong += ampsf_utf8_valid((const char *) text, 24) != valid_plainly(text, 24);
	}
	CHECK_INT((long long) wrong, 0);
	/* the borders of four */
	for (int a = 0xee; a < 0x100; a++)
		for (int b = 0x7e; b < 0xc2; b++)
			for (int c = 0x7e; c < 0xc2; c += 1 + (c > 0x81 && c < 0xbc) * 5)
			{
				const unsigned char four[] = {(unsigned char) a, (unsigned char) b,
											  (unsigned char) c, 0x80};

				for (size_t n = 1; n <= 4; n++)
					wrong += ampsf_utf8_valid((const char *) four, n) != valid_plainly(four, n);
			}
	CHECK_INT((long long) wrong, 0);
	for (int i = 0; i < 20000; i++)
	{
		size_t len = (size_t) (i % 300);

		for (size_t at = 0; at < len; at++)
		{
			static const char *const letters[] = {"a", "\xc3\xa9", "\xe6\x97\xa5",
												  "\xf0\x9f\x98\x80"};
			const char *letter;

			seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
			letter = letters[(seed >> 40) % 16 < 13 ? 0 : (seed >> 50) % 4];
			if (at + strlen(letter) > len)
				letter = "b";
			memcpy(text + at, letter, strlen(letter));
			at += strlen(letter) - 1;
		}
		if (len > 0 && i % 3 == 0)
			text[(seed >> 33) % len] = (unsigned char) (seed >> 20);
		check_both(text, len);
	}
}
