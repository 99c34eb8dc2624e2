/*
 * sfid.c - record Ids: the checksum of the letter case, and its undoing.
 *
 * An Id has 15 characters in which case counts.  Three more are made from it: each stands for five
 * characters, one bit for each, set where the character is a capital letter.
 * Must not know: PostgreSQL, the network.
 */
#include "wire/sfid.h"

#define ID_CHARS 15
#define CHUNKS 3
#define CHUNK_CHARS 5

static const char checksum_alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345";

static bool
is_upper(char c)
{
	return c >= 'A' && c <= 'Z';
}

static bool
is_lower(char c)
{
	return c >= 'a' && c <= 'z';
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Are these n characters ASCII letters and digits? */
static bool
all_alnum(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
	{
		if (!is_upper(s[i]) && !is_lower(s[i]) && !is_digit(s[i]))
			return false;
	}
	return true;
}

/* The checksum character of five. */
static char
chunk_checksum(const char *chunk)
{
	int bits = 0;

	for (int i = 0; i < CHUNK_CHARS; i++)
	{
		if (is_upper(chunk[i]))
			bits |= 1 << i;
	}
	return checksum_alphabet[bits];
}

/* The bits behind a checksum character of either case; -1 if it is none. */
static int
checksum_bits(char c)
{
	if (is_upper(c))
		return c - 'A';
	if (is_lower(c))
		return c - 'a';
	if (c >= '0' && c <= '5')
		return 26 + (c - '0');
	return -1;
}

/* Writes five characters in the case that the bits say; false if a digit should be a capital. */
static bool
restore_case(const char *chunk, int bits, char *out)
{
	for (int i = 0; i < CHUNK_CHARS; i++)
	{
		bool upper = (bits >> i) & 1;
		char c = chunk[i];

		if (is_digit(c))
		{
			if (upper)
				return false;
		}
		else if (upper && is_lower(c))
			c = (char) (c - 'a' + 'A');
		else if (!upper && is_upper(c))
			c = (char) (c - 'A' + 'a');
		out[i] = c;
	}
	return true;
}

bool
ampsf_sfid_is_canonical(const char *id, size_t len)
{
	if (len != AMPSF_SFID_LEN || !all_alnum(id, len))
		return false;
	for (int i = 0; i < CHUNKS; i++)
	{
		if (id[ID_CHARS + i] != chunk_checksum(id + i * CHUNK_CHARS))
			return false;
	}
	return true;
}

bool
ampsf_sfid_canonicalize(const char *id, size_t len, char out[AMPSF_SFID_LEN + 1])
{
	if ((len != ID_CHARS && len != AMPSF_SFID_LEN) || !all_alnum(id, len))
		return false;
	for (int i = 0; i < CHUNKS; i++)
	{
		const char *chunk = id + i * CHUNK_CHARS;
		char *to = out + i * CHUNK_CHARS;

		if (len == ID_CHARS)
		{
			for (int k = 0; k < CHUNK_CHARS; k++)
				to[k] = chunk[k];
			out[ID_CHARS + i] = chunk_checksum(chunk);
		}
		else
		{
			int bits = checksum_bits(id[ID_CHARS + i]);

			if (bits < 0 || !restore_case(chunk, bits, to))
				return false;
			out[ID_CHARS + i] = checksum_alphabet[bits];
		}
	}
	out[AMPSF_SFID_LEN] = '\0';
	return true;
}
