/*
 * reqlog.c - the request log.
 *
 * Owns: the log file.  Must not know: libmicrohttpd, SQLite.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "reqlog.h"

static int fd = -1;

bool
reqlog_open(const char *path)
{
	if (path == NULL)
		return true;
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	return fd >= 0;
}

void
reqlog_close(void)
{
	if (fd >= 0)
		close(fd);
	fd = -1;
}

/* The client=... of Sforce-Call-Options: the name by which a client introduces itself. */
static void
add_client(Buf *b, const Request *r)
{
	const char *h = req_header(r, "Sforce-Call-Options");
	const char *p = h ? strstr(h, "client=") : NULL;

	if (p == NULL)
		return;
	p += 7;
	buf_adds(b, ",\"client\":");
	buf_json(b, p, strcspn(p, ",; "));
}

/* The headers by which a client says how its rows are to be written. */
static void
add_options(Buf *b, const Request *r)
{
	static const char *const names[] = {"Sforce-Call-Options", "Sforce-Auto-Assign",
										"Sforce-Duplicate-Rule-Header", "If-Unmodified-Since"};
	bool first = true;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
	{
		const char *h = req_header(r, names[i]);

		if (h == NULL)
			continue;
		buf_adds(b, first ? ",\"headers\":{" : ",");
		buf_jsons(b, names[i]);
		buf_addc(b, ':');
		buf_jsons(b, h);
		first = false;
	}
	if (!first)
		buf_addc(b, '}');
}

/* True if the parameter is a secret by its name; an escape in it is reason enough. */
static bool
secret_name(const char *p, size_t n)
{
	static const char *const words[] = {"%", "token", "secret", "password", "assertion", "sid"};
	char name[64];

	if (n >= sizeof(name))
		return true;
	memcpy(name, p, n);
	name[n] = '\0';
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcasestr(name, words[i]) != NULL)
			return true;
	return false;
}

/*
 * The query string with the values of everything that could be a secret left out.  OAuth parameters
 * are secrets as a rule (codes, tokens), so of those paths only the names stay.
 */
static void
add_query(Buf *b, const Request *r)
{
	bool oauth = strncmp(r->path, "/services/oauth2", 16) == 0;
	Buf q;

	buf_init(&q);
	for (const char *p = r->raw_query; *p;)
	{
		size_t name = strcspn(p, "=&");
		size_t whole = strcspn(p, "&");

		buf_add(&q, p, oauth || secret_name(p, name) ? name : whole);
		p += whole;
		if (*p == '&')
			p++;
		if (*p)
			buf_addc(&q, '&');
	}
	buf_adds(b, ",\"query\":");
	buf_json(b, q.data ? q.data : "", q.len);
	buf_free(&q);
}

void
reqlog_write(const Request *r, int status, double ms, size_t bytes_out, const char *fault)
{
	struct timespec ts;
	struct tm tm;
	char when[40];
	Buf b;

	if (fd < 0)
		return;
	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S", &tm);

	buf_init(&b);
	buf_addf(&b, "{\"t\":\"%s.%03ldZ\",\"method\":", when, ts.tv_nsec / 1000000);
	buf_jsons(&b, r->method);
	buf_adds(&b, ",\"path\":");
	buf_jsons(&b, r->path);
	add_query(&b, r);
	buf_addf(&b, ",\"bytes_in\":%zu,\"status\":%d,\"ms\":%.3f,\"bytes_out\":%zu", r->body_len,
			 status, ms, bytes_out);
	if (r->user_name != NULL)
	{
		buf_adds(&b, ",\"auth\":");
		buf_jsons(&b, r->user_name);
	}
	add_client(&b, r);
	add_options(&b, r);
	if (r->inner)
		buf_adds(&b, ",\"inner\":true");
	if (fault != NULL)
	{
		buf_adds(&b, ",\"fault\":");
		buf_jsons(&b, fault);
	}
	if (r->job != NULL)
	{
		buf_adds(&b, ",\"job\":");
		buf_jsons(&b, r->job);
	}
	if (r->soql != NULL)
	{
		buf_adds(&b, ",\"soql\":");
		buf_jsons(&b, r->soql);
	}
	buf_adds(&b, "}\n");
	/* One write of a file opened for appending: lines of several threads never mix. */
	if (write(fd, b.data, b.len) < 0)
		perror("ampsf-sandbox: log");
	buf_free(&b);
}
