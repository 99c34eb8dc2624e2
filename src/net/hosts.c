/*
 * hosts.c - the allow-list of hosts; see hosts.h.
 *
 * Reads addresses stricter than any URL parser does, so that no two readers can disagree about
 * which host is meant.  Must not know: where the address comes from, who will connect to it.
 */
#include "net/hosts.h"

#include "base/error.h"
#include "base/guc.h"

/* host is not NUL-terminated. */
static bool
is_loopback(const char *host, size_t len)
{
	if (len == 9 && pg_strncasecmp(host, "localhost", 9) == 0)
		return true;
	if (len == 5 && strncmp(host, "[::1]", 5) == 0)
		return true;
	return len >= 7 && strncmp(host, "127.", 4) == 0 && strspn(host, "0123456789.") >= len;
}

/* Splits off the host; false unless the address is exactly scheme://host[:port]. */
static bool
split(const char *url, bool *https, const char **host, size_t *len)
{
	const char *rest;

	*https = pg_strncasecmp(url, "https://", 8) == 0;
	if (!*https && pg_strncasecmp(url, "http://", 7) != 0)
		return false;
	*host = url + (*https ? 8 : 7);
	if (strncmp(*host, "[::1]", 5) == 0)
		*len = 5;
	else
		*len = strspn(*host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-");
	rest = *host + *len;
	if (*rest == ':')
	{
		size_t digits = strspn(rest + 1, "0123456789");

		if (digits == 0 || digits > 5)
			return false;
		rest += 1 + digits;
	}
	return *len > 0 && *rest == '\0';
}

/* Glob with * only, without case. */
static bool
matches(const char *pattern, size_t plen, const char *host, size_t len)
{
	if (plen == 0)
		return len == 0;
	if (*pattern == '*')
	{
		for (size_t skip = 0; skip <= len; skip++)
			if (matches(pattern + 1, plen - 1, host + skip, len - skip))
				return true;
		return false;
	}
	return len > 0 && pg_tolower((unsigned char) *pattern) == pg_tolower((unsigned char) *host) &&
		   matches(pattern + 1, plen - 1, host + 1, len - 1);
}

bool
ampsf_host_allowed(const char *url)
{
	bool https;
	const char *host, *p = ampsf_allowed_hosts;
	size_t len;

	if (!split(url, &https, &host, &len))
		return false;
	if (!https)
		return ampsf_allow_http_loopback && is_loopback(host, len);
	while (p && *p)
	{
		size_t plen;

		p += strspn(p, " ,\t\n");
		plen = strcspn(p, " ,\t\n");
		if (plen > 0 && matches(p, plen, host, len))
			return true;
		p += plen;
	}
	return false;
}

void
ampsf_host_check(const char *url, const char *where)
{
	bool https;
	const char *host;
	size_t len;

	if (ampsf_host_allowed(url))
		return;
	if (split(url, &https, &host, &len) && !https)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("plain http is not allowed for the address in %s", where),
				 errdetail("The address is %s.", ampsf_clean_text(url, strlen(url))),
				 errhint("Salesforce is reached by https only. For tests on loopback a superuser "
						 "can set ampsf.allow_http_loopback.")));
	ereport(
		ERROR,
		(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE), errmsg("the host in %s is not allowed", where),
		 errdetail("The address is %s; allowed are %s.", ampsf_clean_text(url, strlen(url)),
				   ampsf_allowed_hosts && *ampsf_allowed_hosts ? ampsf_allowed_hosts : "none"),
		 errhint("A superuser can add it to ampsf.allowed_hosts. Credentials are sent there.")));
}
