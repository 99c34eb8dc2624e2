/*
 * soql_object.c - see soql_object.h.  Free of PostgreSQL.
 */
#include "wire/soql_object.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

static bool
is_word(char c)
{
	return isalnum((unsigned char) c) || c == '_';
}

/* The name behind the FROM that is in no parentheses, and in no literal. */
bool
ampsf_soql_object(const char *soql, char *name, size_t size)
{
	int depth = 0;
	size_t n = 0;

	name[0] = '\0';
	for (const char *p = soql; *p; p++)
	{
		if (*p == '\'')
		{
			for (p++; *p && *p != '\''; p++)
				if (*p == '\\' && p[1])
					p++;
			if (!*p)
				return false;
		}
		else if (*p == '(')
			depth++;
		else if (*p == ')')
			depth--;
		else if (depth == 0 && strncasecmp(p, "from", 4) == 0 && isspace((unsigned char) p[4]) &&
				 p > soql && !is_word(p[-1]))
		{
			for (p += 4; isspace((unsigned char) *p); p++)
				;
			while (is_word(p[n]) && n + 1 < size)
			{
				name[n] = p[n];
				n++;
			}
			name[n] = '\0';
			return n > 0;
		}
	}
	return false;
}
