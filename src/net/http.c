/*
 * http.c - one HTTP request and its answer; see http.h.
 *
 * The functions named on_... are called by libcurl: they must not call anything of PostgreSQL's
 * (see http_mux.c), and only note in the request what went wrong.
 */
#include "net/http_private.h"

#include <curl/curl.h>
#include <unistd.h>

#include "utils/memutils.h"

StaticAssertDecl(AMPSF_CURL_TEXT_SIZE >= CURL_ERROR_SIZE, "libcurl writes longer messages");

#define BODY_PADDING 64
#define BODY_FIRST_SIZE 65536
#define HEADERS_MAX 65536
#define RECEIVE_BUFFER (512 * 1024)
/*
 * Of an answer that waits for room.  What libcurl has received is unpacked whole, up to a thousand
 * times its size, and kept while there is no room.
 */
#define STREAM_RECEIVE_BUFFER (8 * 1024)
/* A kept connection older than that is not trusted with a request that must not be sent twice. */
#define TRUSTED_IDLE_SECONDS 30

/* A page is freed when the one after it has come: its memory is there for the next. */
#define SPARE_MAX ((size_t) 8 * 1024 * 1024)
static char *spare = NULL; /* malloc'ed */
static size_t spare_size = 0;

static void
take_spare(AmpsfHttp *req)
{
	req->body = spare;
	req->body_size = spare_size;
	spare = NULL;
	spare_size = 0;
}

static void
free_body(AmpsfHttp *req)
{
	if (req->early && !req->sensitive && req->body_size <= SPARE_MAX && !spare)
	{
		spare = req->body;
		spare_size = req->body_size;
	}
	else
		free(req->body);
	req->body = NULL;
	req->body_size = 0;
}

/* -------- called by libcurl -------- */

/* Just before the request is sent, over a connection that stands. */
static int
on_before_request(void *arg, char *ip, char *local_ip, int port, int local_port)
{
	AmpsfHttp *req = arg;

	/*
	 * libcurl sends a request again, whatever its method, when a kept connection closes without an
	 * answer.  The server may have acted on the first one.
	 */
	if (req->attempts > 0 && !req->replayable)
		return CURL_PREREQFUNC_ABORT;
	req->attempts++;
	req->last_progress = ampsf_http_now();
	return CURL_PREREQFUNC_OK;
}

static size_t
on_read(char *out, size_t size, size_t n, void *arg)
{
	AmpsfHttp *req = arg;
	size_t len = Min(size * n, req->out_len - req->out_pos);

	if (req->out_fd > 0)
	{
		ssize_t got = pread(req->out_fd, out, len, req->out_pos);

		if (got < 0 || (got == 0 && len > 0))
			return CURL_READFUNC_ABORT;
		len = got;
	}
	else
		memcpy(out, req->out + req->out_pos, len);
	req->out_pos += len;
	req->out_max = Max(req->out_max, req->out_pos);
	return len;
}

static int
on_seek(void *arg, curl_off_t offset, int origin)
{
	AmpsfHttp *req = arg;

	if (origin != SEEK_SET || offset < 0 || (size_t) offset > req->out_len)
		return CURL_SEEKFUNC_FAIL;
	req->out_pos = offset;
	return CURL_SEEKFUNC_OK;
}

static int
on_progress(void *arg, curl_off_t dltotal, curl_off_t dlnow, curl_off_t ultotal, curl_off_t ulnow)
{
	AmpsfHttp *req = arg;

	if (dlnow + ulnow != req->moved)
	{
		req->moved = dlnow + ulnow;
		req->last_progress = ampsf_http_now();
	}
	return 0;
}

static bool
grow(char **buf, size_t *size, size_t wanted, size_t first, bool wipe)
{
	size_t newsize = *size ? *size : first;
	char *p;

	if (wanted <= *size)
		return true;
	while (newsize < wanted)
		newsize *= 2;
	if (wipe)
	{
		p = malloc(newsize);
		if (p && *buf)
		{
			memcpy(p, *buf, *size);
			explicit_bzero(*buf, *size);
			free(*buf);
		}
	}
	else
		p = realloc(*buf, newsize);
	if (!p)
		return false;
	*buf = p;
	*size = newsize;
	return true;
}

/* An error's answer is collected as any other. */
static bool
is_streamed(AmpsfHttp *req)
{
	long status = 0;

	if (req->window == 0 && !req->early)
		return false;
	if (!req->begun)
	{
		curl_easy_getinfo(req->easy, CURLINFO_RESPONSE_CODE, &status);
		req->begun = status >= 200 && status <= 299;
	}
	return req->begun && req->window > 0;
}

static size_t
on_body(char *in, size_t size, size_t n, void *arg)
{
	AmpsfHttp *req = arg;
	size_t len = size * n;

	if (is_streamed(req))
	{
		if (req->body_len - req->body_start >= req->window)
		{
			req->paused = true;
			return CURL_WRITEFUNC_PAUSE;
		}
		if (req->body_start > 0)
		{
			memmove(req->body, req->body + req->body_start, req->body_len - req->body_start);
			req->body_len -= req->body_start;
			req->body_start = 0;
		}
	}
	else if ((int64) (req->body_len + len) > req->max_response)
	{
		req->failure = AMPSF_HTTP_TOO_BIG;
		return 0;
	}
	if (!grow(&req->body, &req->body_size, req->body_len + len + BODY_PADDING, BODY_FIRST_SIZE,
			  req->sensitive))
	{
		req->failure = AMPSF_HTTP_NO_MEMORY;
		return 0;
	}
	memcpy(req->body + req->body_len, in, len);
	req->body_len += len;
	return len;
}

static size_t
on_header(char *in, size_t size, size_t n, void *arg)
{
	AmpsfHttp *req = arg;
	size_t len = size * n, keep = len;

	req->last_progress = ampsf_http_now();
	/* Another status line: what came before was an interim answer, or an attempt that is over. */
	if (len > 5 && memcmp(in, "HTTP/", 5) == 0)
		req->headers_len = req->body_len = req->body_start = 0;
	while (keep > 0 && (in[keep - 1] == '\r' || in[keep - 1] == '\n' || in[keep - 1] == ' '))
		keep--;
	if (keep == 0)
		return len;
	if (req->headers_len + keep + 1 > HEADERS_MAX ||
		!grow(&req->headers, &req->headers_size, req->headers_len + keep + 1, 1024, false))
	{
		req->failure =
			req->headers_len + keep + 1 > HEADERS_MAX ? AMPSF_HTTP_TOO_BIG : AMPSF_HTTP_NO_MEMORY;
		return 0;
	}
	memcpy(req->headers + req->headers_len, in, keep);
	req->headers[req->headers_len + keep] = '\0';
	req->headers_len += keep + 1;
	return len;
}

/* -------- requests -------- */

/* One word for what the user can do something about. */
static AmpsfHttpFailure
classify(CURLcode rc, bool sent)
{
	switch (rc)
	{
		case CURLE_COULDNT_RESOLVE_HOST:
		case CURLE_COULDNT_RESOLVE_PROXY:
		case CURLE_COULDNT_CONNECT:
			return AMPSF_HTTP_UNREACHABLE;
		case CURLE_OPERATION_TIMEDOUT:
			return sent ? AMPSF_HTTP_STALLED : AMPSF_HTTP_UNREACHABLE;
		case CURLE_PEER_FAILED_VERIFICATION:
		case CURLE_SSL_CERTPROBLEM:
		case CURLE_SSL_CIPHER:
		case CURLE_SSL_CACERT_BADFILE:
		case CURLE_SSL_ISSUER_ERROR:
		case CURLE_SSL_INVALIDCERTSTATUS:
			return AMPSF_HTTP_TLS;
		case CURLE_SSL_CONNECT_ERROR:
			return sent ? AMPSF_HTTP_LOST : AMPSF_HTTP_UNREACHABLE;
		case CURLE_SEND_ERROR:
		case CURLE_RECV_ERROR:
		case CURLE_GOT_NOTHING:
		case CURLE_PARTIAL_FILE:
		case CURLE_HTTP2:
		case CURLE_HTTP2_STREAM:
		case CURLE_SEND_FAIL_REWIND:
		case CURLE_ABORTED_BY_CALLBACK: /* on_before_request refused to send it twice */
			return AMPSF_HTTP_LOST;
		case CURLE_OUT_OF_MEMORY:
			return AMPSF_HTTP_NO_MEMORY;
		default:
			return AMPSF_HTTP_BROKEN;
	}
}

static void
complete(AmpsfHttp *req, int rc)
{
	long status = 0;
	curl_off_t in = 0;

	curl_easy_getinfo(req->easy, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(req->easy, CURLINFO_SIZE_DOWNLOAD_T, &in);
	req->bytes_in = in;
	if (rc == CURLE_OK && req->failure == AMPSF_HTTP_ANSWERED)
	{
		/* An empty body has no buffer yet. */
		if (grow(&req->body, &req->body_size, req->body_len + BODY_PADDING, BODY_PADDING,
				 req->sensitive))
		{
			memset(req->body + req->body_len, 0, BODY_PADDING);
			req->status = status;
		}
		else
			req->failure = AMPSF_HTTP_NO_MEMORY;
	}
	else if (req->failure == AMPSF_HTTP_ANSWERED)
	{
		req->failure = classify(rc, req->attempts > 0);
		if (rc == CURLE_ABORTED_BY_CALLBACK)
			strlcpy(req->text, "the connection was closed without an answer", sizeof(req->text));
		else if (req->text[0] == '\0')
			strlcpy(req->text, curl_easy_strerror(rc), sizeof(req->text));
	}
	if (req->failure == AMPSF_HTTP_TOO_BIG)
		snprintf(req->text, sizeof(req->text), "the answer is longer than " INT64_FORMAT " bytes",
				 req->max_response);
	else if (req->failure == AMPSF_HTTP_NO_MEMORY)
		strlcpy(req->text, "out of memory", sizeof(req->text));
	req->done = true;
	ampsf_mux_detach(req);
}

static void
reset_request(void *arg)
{
	AmpsfHttp *req = arg;

	ampsf_mux_detach(req);
	if (req->sensitive && req->body)
		explicit_bzero(req->body, req->body_size);
	free_body(req);
	free(req->headers);
	req->headers = NULL;
	req->body_len = req->headers_len = 0;
	req->done = true;
}

void
ampsf_http_free(AmpsfHttp *req)
{
	if (req)
		reset_request(req);
}

/* False when memory is out; libcurl knows no other reason to refuse these. */
static bool
set_options(AmpsfHttp *req, const AmpsfHttpSpec *spec)
{
	CURL *e = req->easy;
	bool post = strcmp(spec->method, "POST") == 0;
	bool has_body = spec->body || spec->body_fd > 0;
	bool ok = ampsf_mux_options(e);

#define SET(option, value) ok = ok && curl_easy_setopt(e, CURLOPT_##option, value) == CURLE_OK
	SET(URL, spec->url);
	SET(PROTOCOLS_STR, pg_strncasecmp(spec->url, "http://", 7) == 0 ? "http" : "https");
	SET(FOLLOWLOCATION, 0L);
	SET(PROXY, "");
	SET(NOSIGNAL, 1L);
	SET(HTTP_VERSION, (long) CURL_HTTP_VERSION_2TLS);
	SET(SSLVERSION, (long) CURL_SSLVERSION_TLSv1_2);
	if (spec->ca_file)
		SET(CAINFO, spec->ca_file);
	SET(TCP_KEEPALIVE, 1L);
	SET(BUFFERSIZE, (long) (spec->window > 0 ? STREAM_RECEIVE_BUFFER : RECEIVE_BUFFER));
	SET(CONNECTTIMEOUT_MS, (long) spec->connect_timeout);
	if (spec->compression)
		SET(ACCEPT_ENCODING, "gzip");
	if (!spec->replayable)
		SET(MAXAGE_CONN, (long) TRUSTED_IDLE_SECONDS);
	SET(PRIVATE, req);
	req->complete = complete;
	SET(ERRORBUFFER, req->text);

	if (has_body || post)
	{
		/* A read function rather than POSTFIELDS: so it is known how much libcurl has taken. */
		SET(POST, 1L);
		SET(POSTFIELDSIZE_LARGE, (curl_off_t) spec->body_len);
		SET(READFUNCTION, on_read);
		SET(READDATA, req);
		SET(SEEKFUNCTION, on_seek);
		SET(SEEKDATA, req);
	}
	if (strcmp(spec->method, "HEAD") == 0)
		SET(NOBODY, 1L);
	else if (!(has_body ? post : post || strcmp(spec->method, "GET") == 0))
		SET(CUSTOMREQUEST, spec->method);
	SET(HTTPHEADER, req->headers_out);

	SET(PREREQFUNCTION, on_before_request);
	SET(PREREQDATA, req);
	SET(NOPROGRESS, 0L);
	SET(XFERINFOFUNCTION, on_progress);
	SET(XFERINFODATA, req);
	SET(WRITEFUNCTION, on_body);
	SET(WRITEDATA, req);
	SET(HEADERFUNCTION, on_header);
	SET(HEADERDATA, req);
#undef SET
	return ok;
}

static bool
add_header(AmpsfHttp *req, const char *line)
{
	struct curl_slist *list = curl_slist_append(req->headers_out, line);

	if (list)
		req->headers_out = list;
	return list != NULL;
}

AmpsfHttp *
ampsf_http_start(const AmpsfHttpSpec *spec, MemoryContext cxt)
{
	AmpsfHttp *req = MemoryContextAllocZero(cxt, sizeof(AmpsfHttp));
	bool ok;

	ampsf_mux_init();
	req->out = spec->body;
	req->out_fd = spec->body_fd;
	req->out_len = spec->body_len;
	req->max_response = spec->max_response;
	req->window = spec->window;
	req->early = spec->early;
	req->request_timeout = spec->request_timeout;
	req->connect_timeout = spec->connect_timeout;
	req->replayable = spec->replayable;
	req->sensitive = spec->sensitive;
	req->last_progress = ampsf_http_now();

	ampsf_mux_reserve();

	req->on_reset.func = reset_request;
	req->on_reset.arg = req;
	MemoryContextRegisterResetCallback(cxt, &req->on_reset);
	if (req->early && !req->sensitive)
		take_spare(req);

	req->easy = curl_easy_init();
	if (!req->easy)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	ampsf_mux_enroll(req);

	/* libcurl would otherwise wait a second for leave to send a large body. */
	ok = add_header(req, "Expect:");
	for (const char *const *h = spec->headers; ok && h && *h; h++)
		ok = add_header(req, *h);
	ok = ok && set_options(req, spec) && ampsf_mux_start(req);
	if (!ok)
	{
		reset_request(req);
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	}
	return req;
}

bool
ampsf_http_done(const AmpsfHttp *req)
{
	return req->done;
}

bool
ampsf_http_begun(const AmpsfHttp *req)
{
	return req->begun;
}

const char *
ampsf_http_part(const AmpsfHttp *req, size_t *len)
{
	static const char nothing[BODY_PADDING] = {0};

	*len = req->body_len - req->body_start;
	return req->body ? req->body + req->body_start : nothing;
}

void
ampsf_http_consume(AmpsfHttp *req, size_t n, size_t wanted)
{
	Assert(n <= req->body_len - req->body_start);
	req->body_start += n;
	req->window = Max(req->window, wanted);
	/* Not for every little room: each time costs libcurl a round of its own. */
	if (req->paused && req->body_len - req->body_start <= req->window / 2)
	{
		req->paused = false;
		req->last_progress = ampsf_http_now();
		ampsf_mux_resume(req);
	}
}

/* -------- the answer -------- */

AmpsfHttpFailure
ampsf_http_failure(const AmpsfHttp *req)
{
	return req->failure;
}

const char *
ampsf_http_failure_text(const AmpsfHttp *req)
{
	return req->text;
}

int
ampsf_http_status(const AmpsfHttp *req)
{
	return req->status;
}

const char *
ampsf_http_body(const AmpsfHttp *req, size_t *len)
{
	static const char nothing[BODY_PADDING] = {0};

	*len = req->status ? req->body_len : 0;
	return req->status && req->body ? req->body : nothing;
}

const char *
ampsf_http_header(const AmpsfHttp *req, const char *name)
{
	size_t namelen = strlen(name);

	for (size_t i = 0; i < req->headers_len; i += strlen(req->headers + i) + 1)
	{
		const char *line = req->headers + i;

		if (pg_strncasecmp(line, name, namelen) == 0 && line[namelen] == ':')
		{
			line += namelen + 1;
			return line + strspn(line, " \t");
		}
	}
	return NULL;
}

const char *
ampsf_http_header_line(const AmpsfHttp *req, int n)
{
	/* The first line is the status. */
	for (size_t i = 0; i < req->headers_len; i += strlen(req->headers + i) + 1)
		if (n-- < 0)
			return req->headers + i;
	return NULL;
}

int64
ampsf_http_bytes_in(const AmpsfHttp *req)
{
	curl_off_t in = req->bytes_in;

	if (!req->done)
		curl_easy_getinfo(req->easy, CURLINFO_SIZE_DOWNLOAD_T, &in);
	return in;
}

bool
ampsf_http_sent_any(const AmpsfHttp *req)
{
	return req->attempts > 0;
}

bool
ampsf_http_sent_all(const AmpsfHttp *req)
{
	return req->attempts > 1 || (req->attempts == 1 && req->out_max >= req->out_len);
}

const char *
ampsf_http_version(void)
{
	return curl_version();
}
