/*
 * json_member.c - see json_member.h.
 */
#include "wire/json_member.h"

#include <string.h>

/* Steps over one JSON value; NULL if it does not end before end. */
static const char *
skip_value(const char *p, const char *end)
{
	int depth = 0;

	for (; p < end; p++)
	{
		switch (*p)
		{
			case '"':
				for (p++; p < end && *p != '"'; p++)
					if (*p == '\\')
						p++;
				if (p >= end)
					return NULL;
				if (depth == 0)
					return p + 1;
				break;
			case '{':
			case '[':
				depth++;
				break;
			case '}':
			case ']':
				if (depth == 0)
					return p; /* the end of a number or word, and of what it is in */
				if (--depth == 0)
					return p + 1;
				break;
			case ',':
				if (depth == 0)
					return p;
				break;
		}
	}
	return NULL;
}

static const char *
skip_space(const char *p, const char *end)
{
	while (p < end && (*p == ' ' || *p == '\t' || *p == '\r' || *p == '\n'))
		p++;
	return p;
}

bool
ampsf_json_member(const char *p, const char *end, const char *key, const char **value, size_t *len)
{
	size_t keylen = strlen(key);

	p = skip_space(p, end);
	if (p >= end || *p != '{')
		return false;
	for (p = skip_space(p + 1, end); p < end && *p == '"';)
	{
		const char *name = p + 1;
		const char *after = skip_value(p, end);
		bool found;

		if (!after)
			return false;
		found = (size_t) (after - name) == keylen + 1 && memcmp(name, key, keylen) == 0;
		p = skip_space(after, end);
		if (p >= end || *p != ':')
			return false;
		p = skip_space(p + 1, end);
		after = skip_value(p, end);
		if (!after)
			return false;
		if (found)
		{
			*value = p;
			*len = after - p;
			return true;
		}
		p = skip_space(after, end);
		if (p < end && *p == ',')
			p = skip_space(p + 1, end);
	}
	return false;
}

bool
ampsf_json_element(const char **p, const char *end, const char **value, size_t *len)
{
	const char *at = skip_space(*p, end);
	const char *after;

	if (at < end && *at == ',')
		at = skip_space(at + 1, end);
	if (at >= end || *at == ']')
		return false;
	after = skip_value(at, end);
	if (!after || after == at)
		return false;
	*value = at;
	*len = after - at;
	*p = after;
	return true;
}
