/*
 * server.c - the transport: libmicrohttpd, sizes, gzip, faults of the wire, the request log's
 * calls.
 *
 * Owns: connections.  The only file that knows libmicrohttpd.  Must not know: SQLite, SOQL.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <linux/sockios.h>
#include <arpa/inet.h>
#include <microhttpd.h>
#include <zlib.h>

#include "amp.h"
#include "config.h"
#include "fault.h"
#include "oauth.h"
#include "org.h"
#include "reqlog.h"
#include "rest.h"
#include "server.h"

/* The vendor's bounds on a request line, and on it together with the headers. */
#define MAX_URI 16384
#define MAX_HEAD 16384
#define MAX_BODY (50 * 1024 * 1024)
/* Of what is uploaded to a bulk job; the job has a bound of its own. */
#define MAX_UPLOAD (160 * 1024 * 1024)
/* Of rows with their files; a real org takes 2 GB for a ContentVersion. */
#define MAX_FILES (512 * 1024 * 1024)
/* libmicrohttpd must take more than these, so that the refusal is ours. */
#define CONNECTION_MEMORY (256 * 1024)
#define SEND_BLOCK (128 * 1024)
#define GZIP_FROM 200
/* Files beyond this size go as they are: to compress them each time would take longer than to send
 * them. */
#define GZIP_FILES (4 * 1024 * 1024)
/* How long the first half of an answer may take to arrive before the connection is reset. */
#define DRAIN_TENTHS 50

/* One request on its way in. */
typedef struct Transfer
{
	char *uri;
	Buf body;
	bool begun;
	bool too_big;
	size_t max_body;
	double start;
} Transfer;

/* One answer on its way out: head, then the cached part or that of a file, then a tail. */
typedef struct Sending
{
	Response w;
	const char *cached;
	size_t cached_len;
	char tail[8];
	size_t tail_len;
	size_t total;
	size_t stop_at; /* reset the connection there; SIZE_MAX: never */
	bool stall;		/* or rather say nothing more */
	int rate;		/* bytes per second; 0: no limit */
	int fd;
} Sending;

static _Atomic(struct MHD_Daemon *) mhd;
/* Ampersand's hosts: the same port at other addresses of loopback, see amp.h. */
#define AMP_HOSTS 4
static struct MHD_Daemon *amp[AMP_HOSTS];
static atomic_uint_fast64_t bytes_sent;
static atomic_uint_fast64_t requests;

const char *
server_header(const Request *r, const char *name)
{
	return MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, name);
}

unsigned
server_connections(void)
{
	const union MHD_DaemonInfo *i = MHD_get_daemon_info(mhd, MHD_DAEMON_INFO_CURRENT_CONNECTIONS);

	return i ? i->num_connections : 0;
}

uint64_t
server_bytes_sent(void)
{
	return atomic_load(&bytes_sent);
}

uint64_t
server_requests(void)
{
	return atomic_load(&requests);
}

static int
socket_of(struct MHD_Connection *c)
{
	const union MHD_ConnectionInfo *i =
		MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);

	return i ? (int) i->connect_fd : -1;
}

/* An orderly close would look like the end of the answer; this sends RST at once. */
static void
reset_socket(int fd)
{
	struct sockaddr none = {.sa_family = AF_UNSPEC};

	connect(fd, &none, sizeof(none));
}

static void
drain_socket(int fd)
{
	for (int i = 0; i < DRAIN_TENTHS * 100; i++)
	{
		int left = 0;

		if (ioctl(fd, SIOCOUTQ, &left) != 0 || left == 0)
			return;
		nap(1000);
	}
}

/* Waits; false if the client hung up meanwhile, so that a request of long ago is not carried out.
 */
static bool
delay(int fd, int ms)
{
	double end = monotonic() + ms / 1000.0;

	while (!stopping && monotonic() < end)
	{
		struct pollfd p = {.fd = fd, .events = POLLRDHUP};
		double left = (end - monotonic()) * 1000;

		if (poll(&p, 1, left < 50 ? (int) left + 1 : 50) > 0)
			return false;
	}
	return true;
}

/* The same, until the faults are removed. */
static bool
hold(int fd, unsigned era)
{
	struct pollfd p = {.fd = fd, .events = POLLRDHUP};

	while (!stopping && fault_era() == era)
	{
		if (poll(&p, 1, 20) > 0)
			return false;
	}
	return poll(&p, 1, 0) == 0;
}

bool
server_hung_up(const Request *r)
{
	struct pollfd p = {.fd = socket_of(r->connection), .events = POLLRDHUP};

	return poll(&p, 1, 0) > 0;
}

static ssize_t
send_more(void *cls, uint64_t pos, char *out, size_t max)
{
	Sending *s = cls;
	size_t head = s->w.body.len;
	const char *from;
	size_t n;

	if (pos >= s->stop_at && s->stall)
		while (delay(s->fd, 1000) && !stopping)
			;
	if (pos >= s->stop_at)
	{
		drain_socket(s->fd);
		reset_socket(s->fd);
		return MHD_CONTENT_READER_END_WITH_ERROR;
	}
	if (pos >= s->total)
		return MHD_CONTENT_READER_END_OF_STREAM;
	if (pos < head)
	{
		from = s->w.body.data + pos;
		n = head - pos;
	}
	else if (pos < head + s->cached_len)
	{
		from = s->cached ? s->cached + (pos - head) : NULL;
		n = head + s->cached_len - pos;
	}
	else
	{
		from = s->tail + (pos - head - s->cached_len);
		n = s->total - pos;
	}
	if (n > max)
		n = max;
	if (n > s->stop_at - pos)
		n = s->stop_at - pos;
	if (s->rate > 0)
	{
		size_t piece = s->rate >= 20 ? (size_t) s->rate / 20 : 1;

		if (n > piece)
			n = piece;
		nap((int64_t) (n * 1000000 / (size_t) s->rate));
		if (stopping)
			return MHD_CONTENT_READER_END_WITH_ERROR;
	}
	if (from != NULL)
		memcpy(out, from, n);
	else
	{
		ssize_t got = pread(s->w.fd, out, n, (off_t) (s->w.fd_at + pos - head));

		if (got <= 0)
			return MHD_CONTENT_READER_END_WITH_ERROR;
		n = (size_t) got;
	}
	atomic_fetch_add(&bytes_sent, n);
	return (ssize_t) n;
}

static void
sending_free(void *cls)
{
	Sending *s = cls;

	res_free(&s->w);
	free(s);
}

static void
put32(Buf *b, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		buf_addc(b, (char) (v >> (8 * i)));
}

/*
 * gzip of head and cached part.  The cached part comes deflated out of the cache; the head goes
 * before it as stored blocks, which end on a byte, so that nothing is compressed twice.
 */
static void
gzip_answer(Sending *s)
{
	Response *w = &s->w;
	Buf out;
	Buf *head = &w->body;
	uint32_t crc = (uint32_t) crc32_z(crc32(0, NULL, 0), (const Bytef *) head->data, head->len);
	size_t size = head->len + s->cached_len;
	Buf tail;

	buf_init(&out);
	buf_init(&tail);
	buf_add(&out, "\x1f\x8b\x08\0\0\0\0\0\0\x03", 10);
	if (w->gz_cb != NULL)
	{
		const char *data;
		uint32_t cached_crc;
		size_t plain = s->cached_len;

		for (size_t at = 0; at < head->len;)
		{
			size_t n = head->len - at < 65535 ? head->len - at : 65535;
			char block[5] = {0, (char) n, (char) (n >> 8), (char) ~n, (char) (~n >> 8)};

			buf_add(&out, block, 5);
			buf_add(&out, head->data + at, n);
			at += n;
		}
		w->gz_cb(w->free_arg, &data, &s->cached_len, &cached_crc);
		s->cached = data;
		crc = (uint32_t) crc32_combine(crc, cached_crc, (z_off_t) plain);
	}
	else
	{
		z_stream z = {0};

		if (deflateInit2(&z, 1, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) != Z_OK)
			abort();
		buf_reserve(&out, deflateBound(&z, head->len));
		z.next_in = (Bytef *) head->data;
		z.avail_in = (uInt) head->len;
		z.next_out = (Bytef *) out.data + out.len;
		z.avail_out = (uInt) (out.cap - out.len);
		if (deflate(&z, Z_FINISH) != Z_STREAM_END)
			abort();
		out.len += z.total_out;
		deflateEnd(&z);
	}
	put32(&tail, crc);
	put32(&tail, (uint32_t) size);
	memcpy(s->tail, tail.data, 8);
	s->tail_len = 8;
	buf_free(&tail);
	buf_free(head);
	*head = out;
	res_header(w, "Content-Encoding", "gzip");
}

/* Accept-Encoding names gzip, and not with q=0. */
static bool
wants_gzip(const Request *r)
{
	const char *h = server_header(r, "Accept-Encoding");
	const char *p = h ? strcasestr(h, "gzip") : NULL;

	if (p == NULL || !config.gzip)
		return false;
	p += 4;
	p += strspn(p, " ");
	if (strncasecmp(p, ";q=0", 4) == 0 && strtod(p + 3, NULL) == 0)
		return false;
	return true;
}

static void
pretty_print(Response *w)
{
	json_object *o;

	res_flatten(w);
	o = w->body.len ? json_tokener_parse(w->body.data) : NULL;
	if (o == NULL)
		return;
	buf_clear(&w->body);
	buf_adds(&w->body,
			 json_object_to_json_string_ext(o, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
												   JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(o);
}

/*
 * Bytes of a page of CSV that no client may accept, or not after it has seen what was there before:
 * a character of the first column's name, of a value in the middle of the page, or of the first
 * value.
 */
static void
spoil_csv(Buf *b, FaultKind kind)
{
	char *line = b->len ? memchr(b->data, '\n', b->len) : NULL;
	char *value;

	if (line == NULL)
		return;
	if (kind == FAULT_BAD_HEADER)
	{
		b->data[1] ^= 1;
		return;
	}
	if (kind != FAULT_OTHER_VALUE)
		line = memchr(b->data + b->len / 2, '\n', b->len - b->len / 2);
	value = line ? memchr(line, '"', b->len - (size_t) (line - b->data)) : NULL;
	if (value == NULL)
		return;
	/* a value that has begun without a quote and has one inside; no character; another digit */
	if (kind == FAULT_BAD_ROW)
		value[0] = 'x';
	else if (kind == FAULT_BAD_UTF8)
		value[1] = (char) 0xff;
	else
		value[1] ^= 1;
}

/* The faults that change an answer which was made in good order. */
static void
spoil(Sending *s, const Fault *f)
{
	Response *w = &s->w;

	switch (f->kind)
	{
		case FAULT_TRUNCATE_JSON:
			res_flatten(w);
			w->body.len /= 2;
			if (w->body.data != NULL)
				w->body.data[w->body.len] = '\0';
			break;
		case FAULT_CONTENT_TYPE:
			w->content_type = "text/html;charset=UTF-8";
			if (f->body != NULL)
			{
				res_flatten(w);
				buf_clear(&w->body);
				buf_adds(&w->body, f->body);
			}
			break;
		case FAULT_SLOW:
			s->rate = f->bytes_per_second;
			break;
		case FAULT_STALL:
			s->stall = true;
			break;
		case FAULT_BAD_HEADER:
		case FAULT_BAD_ROW:
		case FAULT_BAD_UTF8:
		case FAULT_OTHER_VALUE:
			res_flatten(w);
			spoil_csv(&w->body, f->kind);
			break;
		default:
			break;
	}
}

static struct MHD_Response *
make_response(Sending *s, bool chunked)
{
	Response *w = &s->w;
	struct MHD_Response *m;
	bool empty = w->status == 204 || w->status == 304;

	char date[40];
	/* Straight from the file, where nothing has to be done to it. */
	bool straight = w->from_file && w->body.len == 0 && s->tail_len == 0 && s->rate == 0 &&
					s->stop_at == SIZE_MAX;

	if (empty || s->total == 0)
		m = MHD_create_response_from_buffer(0, (void *) "", MHD_RESPMEM_PERSISTENT);
	else if (straight)
		m = MHD_create_response_from_fd_at_offset64(s->total, w->fd, w->fd_at);
	else
		m = MHD_create_response_from_callback(chunked ? MHD_SIZE_UNKNOWN : s->total, SEND_BLOCK,
											  send_more, s, sending_free);
	if (m == NULL)
		return NULL;
	rest_http_date(time(NULL) + org.skew, date);
	MHD_add_response_header(m, "Date", date);
	if (!empty && res_find_header(w, "Content-Type") == NULL)
		MHD_add_response_header(m, "Content-Type",
								w->content_type ? w->content_type
												: "application/json;charset=UTF-8");
	for (int i = 0; i < w->n_headers; i++)
		MHD_add_response_header(m, w->headers[i * 2], w->headers[i * 2 + 1]);
	if (straight)
	{
		/* the descriptor is libmicrohttpd's now */
		w->from_file = false;
		atomic_fetch_add(&bytes_sent, s->total);
	}
	if (empty || s->total == 0 || straight)
		sending_free(s);
	return m;
}

static bool
resets(FaultKind k)
{
	return k == FAULT_RESET_BEFORE || k == FAULT_RESET_AFTER;
}

/* Turns the answer into bytes, logs the request, and only then lets the bytes go. */
static enum MHD_Result
send_answer(Request *r, Transfer *t, Response *w, const Fault *f, bool log)
{
	struct MHD_Connection *c = r->connection;
	Sending *s = calloc(1, sizeof(Sending));
	const char *pretty = server_header(r, "X-PrettyPrint");
	/* libmicrohttpd would end the body that a HEAD has not. */
	bool chunked = config.chunked && strncmp(r->path, "/services/data", 14) == 0 &&
				   strcmp(r->method, "HEAD") != 0 &&
				   f->kind != FAULT_TRUNCATE_JSON && f->kind != FAULT_RESET_MIDDLE &&
				   f->kind != FAULT_STALL;
	int status = w->status ? w->status : 500;
	struct MHD_Response *m;
	enum MHD_Result ok;

	if (pretty != NULL && *pretty == '1')
		pretty_print(w);
	s->w = *w;
	memset(w, 0, sizeof(*w));
	s->fd = socket_of(c);
	s->stop_at = SIZE_MAX;
	spoil(s, f);
	if (s->w.from_file && s->w.fd_len <= GZIP_FILES && wants_gzip(r))
		res_flatten(&s->w);
	s->cached = s->w.cached;
	s->cached_len = s->w.from_file ? s->w.fd_len : s->w.cached_len;
	if (!s->w.from_file && s->w.body.len + s->cached_len >= GZIP_FROM && wants_gzip(r))
		gzip_answer(s);
	s->total = s->w.body.len + s->cached_len + s->tail_len;
	if (f->kind == FAULT_RESET_MIDDLE || f->kind == FAULT_STALL)
		s->stop_at =
			f->bytes >= 0 && (size_t) f->bytes < s->total ? (size_t) f->bytes : s->total / 2;
	if (log)
		reqlog_write(r, resets(f->kind) ? 0 : status, (monotonic() - t->start) * 1000,
					 resets(f->kind) ? 0 : s->total,
					 f->kind == FAULT_NONE ? NULL : fault_name(f->kind));
	if (resets(f->kind))
	{
		reset_socket(s->fd);
		sending_free(s);
		return MHD_NO;
	}
	if (f->kind == FAULT_RESET_MIDDLE && s->total == 0)
	{
		reset_socket(s->fd);
		sending_free(s);
		return MHD_NO;
	}
	m = make_response(s, chunked);
	if (m == NULL)
		return MHD_NO;
	ok = MHD_queue_response(c, (unsigned) status, m);
	MHD_destroy_response(m);
	return ok;
}

static enum MHD_Result
add_header_size(void *cls, enum MHD_ValueKind kind, const char *name, const char *value)
{
	(void) kind;
	/* name: value CR LF */
	*(size_t *) cls += strlen(name) + (value ? strlen(value) : 0) + 4;
	return MHD_YES;
}

/* False with the answer filled when the head of the request is over the bounds. */
static bool
head_fits(const Request *r, const Transfer *t, Response *w)
{
	size_t uri = strlen(t->uri);
	size_t head = uri;

	MHD_get_connection_values(r->connection, MHD_HEADER_KIND, add_header_size, &head);
	if (uri > MAX_URI)
		res_error(w, 414, "URI_TOO_LONG", "The length of the URI exceeds the 16,384 byte limit.");
	else if (head > MAX_HEAD)
		res_error(w, 431, "REQUEST_HEADER_FIELDS_TOO_LARGE",
				  "The combined length of the URI and headers exceeds the 16,384 byte limit.");
	else if (t->too_big)
		res_error(w, 413, "REQUEST_ENTITY_TOO_LARGE", "The request body is too large.");
	else
		return true;
	return false;
}

/* False with the answer filled if the body says gzip and is not. */
static bool
inflate_body(Request *r, Transfer *t, Response *w)
{
	const char *h = server_header(r, "Content-Encoding");
	z_stream z = {0};
	Buf out;
	int rc;

	if (h == NULL || strcasecmp(h, "identity") == 0 || t->body.len == 0)
		return true;
	if (strcasecmp(h, "gzip") != 0 && strcasecmp(h, "deflate") != 0)
	{
		res_error(w, 415, "UNSUPPORTED_MEDIA_TYPE", "Content-Encoding not supported");
		return false;
	}
	buf_init(&out);
	if (inflateInit2(&z, 47) != Z_OK)
		abort();
	z.next_in = (Bytef *) t->body.data;
	z.avail_in = (uInt) t->body.len;
	do
	{
		buf_reserve(&out, 65536);
		z.next_out = (Bytef *) out.data + out.len;
		z.avail_out = 65536;
		rc = inflate(&z, Z_NO_FLUSH);
		out.len += 65536 - z.avail_out;
		out.data[out.len] = '\0';
	} while (rc == Z_OK && out.len <= t->max_body);
	inflateEnd(&z);
	if (rc != Z_STREAM_END)
	{
		buf_free(&out);
		if (rc == Z_OK)
			res_error(w, 413, "REQUEST_ENTITY_TOO_LARGE", "The request body is too large.");
		else
			res_error(w, 400, "JSON_PARSER_ERROR", "The request body is not in GZIP format");
		return false;
	}
	buf_free(&t->body);
	t->body = out;
	r->body = t->body.data;
	r->body_len = t->body.len;
	return true;
}

/* The SOQL of a query, also in the case of a fault that keeps the query from being looked at. */
static const char *
query_text(Request *r)
{
	const char *q = strstr(r->path, "/query") ? req_param(r, "q") : NULL;

	return q ? q : strstr(r->path, "/query") ? req_param(r, "explain") : NULL;
}

/* The answer of the faults by which the request never reaches the org; false if it has to. */
static bool
fault_answers(Request *r, const Fault *f, const char *soql, Response *w)
{
	if (f->kind != FAULT_STATUS && f->kind != FAULT_HTML && f->kind != FAULT_RESET_BEFORE)
		return false;
	if (soql != NULL)
		r->soql = strdup(soql);
	if (f->kind == FAULT_RESET_BEFORE)
		return true;
	w->status = f->status;
	if (f->retry_after != NULL)
		res_header(w, "Retry-After", f->retry_after);
	if (f->kind == FAULT_HTML)
	{
		w->content_type = "text/html;charset=UTF-8";
		if (f->body == NULL)
			buf_addf(&w->body,
					 "<html><head><title>%d</title></head><body><h1>%s</h1>"
					 "<p>The server is busy or under maintenance.</p></body></html>\n",
					 f->status, f->status == 502 ? "Bad Gateway" : "Service Unavailable");
	}
	if (f->body != NULL)
		buf_adds(&w->body, f->body);
	else if (f->kind == FAULT_STATUS && strncmp(r->path, "/services/oauth2", 16) == 0)
		oauth_error(w, f->status, f->code ? f->code : "unknown_error",
					f->message ? f->message : "retry your request");
	else if (f->kind == FAULT_STATUS)
		res_error(w, f->status,
				  f->code			 ? f->code
				  : f->status == 503 ? "SERVER_UNAVAILABLE"
									 : "UNKNOWN_EXCEPTION",
				  f->message ? f->message : "An unexpected error occurred. Please try again.");
	return true;
}

/* What a fault does before the request is looked at; false if nobody waits for the answer any more.
 */
static bool
fault_before(Request *r, const Fault *f)
{
	const char *token;

	switch (f->kind)
	{
		case FAULT_DELAY:
			return delay(socket_of(r->connection), f->ms);
		case FAULT_HOLD:
			return hold(socket_of(r->connection), f->era);
		case FAULT_EXPIRE_TOKEN:
			if (bearer_token(r, &token) == 2)
				session_expire(token);
			break;
		case FAULT_DEAD_LOCATOR:
			rest_dead_locator(r->path);
			break;
		case FAULT_LOCK_ROW:
			r->lock_row = true;
			break;
		default:
			break;
	}
	return true;
}

static enum MHD_Result
answer(struct MHD_Connection *c, Transfer *t, const char *method)
{
	Request r = {0};
	Response w = {0};
	Fault f = {0};
	char *question = strchr(t->uri, '?');
	size_t path_len = question ? (size_t) (question - t->uri) : strlen(t->uri);
	const char *host;
	char base[300];
	bool org;
	enum MHD_Result ok;

	r.connection = c;
	r.method = method;
	r.raw_path = req_own(&r, strndup(t->uri, path_len));
	r.path = req_own(&r, url_decode(t->uri, path_len, false));
	r.raw_query = question ? question + 1 : "";
	r.body = t->body.data ? t->body.data : "";
	r.body_len = t->body.len;
	host = server_header(&r, "Host");
	snprintf(base, sizeof(base), "http%s://%s", config.tls_cert ? "s" : "",
			 host ? host : "127.0.0.1");
	r.base_url = base;
	org = strncmp(r.path, "/__sandbox/", 11) != 0;
	if (org)
		atomic_fetch_add(&requests, 1);

	if (head_fits(&r, t, &w) && inflate_body(&r, t, &w) && !amp_front(&r, &w))
	{
		const char *soql = query_text(&r);

		if (org)
			fault_strike(method, r.path, soql, r.body, &f);
		if (org && config.latency_ms > 0)
			nap((int64_t) config.latency_ms * 1000);
		r.fault = &f;
		if (!fault_before(&r, &f))
			f.kind = FAULT_RESET_BEFORE;
		if (!fault_answers(&r, &f, soql, &w))
			handle_request(&r, &w);
		amp_back(&r, &w);
	}
	if (r.soql == NULL && w.status >= 400 && query_text(&r) != NULL)
		r.soql = strdup(query_text(&r));
	r.method = method;
	ok = send_answer(&r, t, &w, &f, org);
	fault_free(&f);
	res_free(&w);
	req_free(&r);
	return ok;
}

static void *
request_begins(void *cls, const char *uri, struct MHD_Connection *c)
{
	Transfer *t = calloc(1, sizeof(Transfer));

	(void) cls;
	(void) c;
	t->uri = strdup(uri);
	t->max_body = strstr(uri, "/jobs/ingest/") != NULL ? MAX_UPLOAD : MAX_BODY;
	buf_init(&t->body);
	return t;
}

static void
request_ends(void *cls, struct MHD_Connection *c, void **ctx, enum MHD_RequestTerminationCode how)
{
	Transfer *t = *ctx;

	(void) cls;
	(void) c;
	(void) how;
	if (t == NULL)
		return;
	free(t->uri);
	buf_free(&t->body);
	free(t);
	*ctx = NULL;
}

static enum MHD_Result
on_request(void *cls, struct MHD_Connection *c, const char *url, const char *method,
		   const char *version, const char *data, size_t *size, void **ctx)
{
	Transfer *t = *ctx;

	(void) cls;
	(void) url;
	(void) version;
	if (!t->begun)
	{
		const char *type = MHD_lookup_connection_value(c, MHD_HEADER_KIND, "Content-Type");

		t->begun = true;
		t->start = monotonic();
		if (type != NULL && strncasecmp(type, "multipart/form-data", 19) == 0 &&
			strstr(t->uri, "sobjects") != NULL)
			t->max_body = MAX_FILES;
		return MHD_YES;
	}
	if (*size > 0)
	{
		if (t->body.len + *size > t->max_body)
			t->too_big = true;
		else
			buf_add(&t->body, data, *size);
		*size = 0;
		return MHD_YES;
	}
	return answer(c, t, method);
}

static void
on_connection(void *cls, struct MHD_Connection *c, void **ctx,
			  enum MHD_ConnectionNotificationCode how)
{
	int on = 1;

	(void) cls;
	(void) ctx;
	if (how == MHD_CONNECTION_NOTIFY_STARTED)
		setsockopt(socket_of(c), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

/* Paths and parameters are decoded by us, after they were split. */
static size_t
keep_escapes(void *cls, struct MHD_Connection *c, char *s)
{
	(void) cls;
	(void) c;
	return strlen(s);
}

/* A port that was left a moment ago can be had again, one that somebody listens at cannot. */
static struct MHD_Daemon *
listen_at(const char *host, int port, const char *cert, const char *key)
{
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons((uint16_t) port)};
	unsigned flags = MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD |
					 MHD_USE_POLL | MHD_USE_SUPPRESS_DATE_NO_CLOCK | (cert ? MHD_USE_TLS : 0);
	struct MHD_OptionItem tls[] = {{MHD_OPTION_HTTPS_MEM_CERT, 0, (void *) cert},
								   {MHD_OPTION_HTTPS_MEM_KEY, 0, (void *) key},
								   {MHD_OPTION_END, 0, NULL}};

	if (inet_pton(AF_INET, host, &addr.sin_addr) != 1)
	{
		fprintf(stderr, "ampsf-sandbox: --host must be an IPv4 address, not \"%s\"\n", host);
		return NULL;
	}
	if (cert == NULL)
		tls[0].option = MHD_OPTION_END;
	return MHD_start_daemon(
		flags, 0, NULL, NULL, on_request, NULL, MHD_OPTION_SOCK_ADDR, &addr,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t) CONNECTION_MEMORY,
		MHD_OPTION_CONNECTION_MEMORY_INCREMENT, (size_t) 65536, MHD_OPTION_CONNECTION_LIMIT, 500u,
		MHD_OPTION_URI_LOG_CALLBACK, request_begins, NULL, MHD_OPTION_NOTIFY_COMPLETED,
		request_ends, NULL, MHD_OPTION_NOTIFY_CONNECTION, on_connection, NULL,
		MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, NULL, MHD_OPTION_ARRAY, tls, MHD_OPTION_END);
}

int
server_start(const char *cert, const char *key)
{
	const union MHD_DaemonInfo *info;
	int port;

	mhd = listen_at(config.host, config.port, cert, key);
	if (mhd == NULL)
	{
		fprintf(stderr, "ampsf-sandbox: cannot listen on %s:%d: %s\n", config.host, config.port,
				strerror(errno));
		return -1;
	}
	info = MHD_get_daemon_info(mhd, MHD_DAEMON_INFO_BIND_PORT);
	port = info && info->port ? info->port : config.port;
	for (int i = 0; i < AMP_HOSTS && strcmp(config.host, "127.0.0.1") == 0; i++)
	{
		char host[24];

		snprintf(host, sizeof(host), "127.0.0.%d", i + 2);
		amp[i] = listen_at(host, port, cert, key);
		/* Not everywhere is all of 127.0.0.0/8 loopback. */
		if (amp[i] == NULL)
			fprintf(stderr, "ampsf-sandbox: no host of Ampersand's at %s:%d: %s\n", host, port,
					strerror(errno));
	}
	return port;
}

void
server_stop(void)
{
	/* Whoever gets the port next wants it at all of these addresses. */
	for (int i = 0; i < AMP_HOSTS; i++)
		if (amp[i] != NULL)
			MHD_stop_daemon(amp[i]);
	MHD_stop_daemon(mhd);
}
