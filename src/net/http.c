/*
 * http.c - libcurl's multi interface inside a backend; see http.h.
 *
 * Every descriptor that libcurl cares about is kept in one epoll set, together with a timerfd that
 * stands for all timers.  So a single descriptor tells whether there is anything to do; it is
 * waited on together with the latch, which is why a cancel acts at once.
 *
 * Two rules hold for everything called by libcurl (the functions named on_...): no palloc, no
 * ereport, no CHECK_FOR_INTERRUPTS, because a longjmp through libcurl would corrupt it; and nothing
 * else of PostgreSQL either.  They note what happened in the request, and it is raised after
 * libcurl returned.
 */
#include "net/http.h"

#include <curl/curl.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "base/ampsf.h"
#include "miscadmin.h"
#include "storage/fd.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "utils/memutils.h"

#define BODY_PADDING 64
#define BODY_FIRST_SIZE 65536
#define HEADERS_MAX 65536
#define RECEIVE_BUFFER (512 * 1024)
#define IDLE_CONNECTIONS 8
/* A kept connection older than that is not trusted with a request that must not be sent twice. */
#define TRUSTED_IDLE_SECONDS 30

struct AmpsfHttp
{
	dlist_node node; /* in "active" while easy is set */
	MemoryContextCallback on_reset;
	CURL *easy;
	struct curl_slist *headers_out;

	const char *out;				  /* request body */
	size_t out_len, out_pos, out_max; /* out_max: the farthest that libcurl has ever taken */

	char *body; /* malloc'ed */
	size_t body_len, body_size;
	char *headers; /* malloc'ed: lines, each with its NUL */
	size_t headers_len, headers_size;

	int64 max_response;
	int request_timeout, connect_timeout;
	int64 last_progress; /* when a byte last moved */
	curl_off_t moved;	 /* bytes at that time */
	int attempts;		 /* how often libcurl came to the point of sending */
	bool replayable, sensitive;

	bool done;
	AmpsfHttpFailure failure;
	int status;
	int64 bytes_in;
	char text[CURL_ERROR_SIZE];
};

static CURLM *multi = NULL;
static CURLSH *share = NULL;
static int multi_pid = 0; /* the process that made it */
static int mux = -1;	  /* the epoll set */
static int timer = -1;	  /* the timerfd in it */
static int64 timer_armed = 0;
static int64 curl_due = 0; /* when libcurl wants to be called; 0: not at all */
static WaitEventSet *wait_set = NULL;
static Latch *wait_set_latch = NULL;
static int sockets = 0;		 /* open ones, as libcurl told */
static int sockets_held = 0; /* of those, how many fd.c knows about */
static dlist_head active = DLIST_STATIC_INIT(active);
static int nactive = 0;
static dlist_head alarms = DLIST_STATIC_INIT(alarms);
/* An error within a callback that is nobody's request; raised as soon as libcurl has returned. */
static int mux_errno = 0;

int64
ampsf_http_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64) ts.tv_sec * 1000 + ts.tv_nsec / 1000000 + 1;
}

/* -------- called by libcurl -------- */

static int
on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
	struct epoll_event ev = {0};

	if (what == CURL_POLL_REMOVE)
	{
		/* It may be closed already, and then epoll has forgotten it by itself. */
		(void) epoll_ctl(mux, EPOLL_CTL_DEL, fd, NULL);
		return 0;
	}
	ev.data.fd = fd;
	ev.events = (what & CURL_POLL_IN ? EPOLLIN : 0) | (what & CURL_POLL_OUT ? EPOLLOUT : 0);
	if (epoll_ctl(mux, EPOLL_CTL_ADD, fd, &ev) < 0 &&
		(errno != EEXIST || epoll_ctl(mux, EPOLL_CTL_MOD, fd, &ev) < 0))
		mux_errno = errno;
	return 0;
}

static int
on_timer(CURLM *m, long ms, void *arg)
{
	curl_due = ms < 0 ? 0 : ampsf_http_now() + ms;
	return 0;
}

static curl_socket_t
on_open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *addr)
{
	int fd = socket(addr->family, addr->socktype | SOCK_CLOEXEC, addr->protocol);

	if (fd < 0)
		return CURL_SOCKET_BAD;
	sockets++;
	return fd;
}

static int
on_close_socket(void *arg, curl_socket_t fd)
{
	sockets--;
	return close(fd);
}

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

static size_t
on_body(char *in, size_t size, size_t n, void *arg)
{
	AmpsfHttp *req = arg;
	size_t len = size * n;

	if ((int64) (req->body_len + len) > req->max_response)
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
		req->headers_len = req->body_len = 0;
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

/* -------- the one multi handle -------- */

/*
 * libcurl resolves names in a thread of its own.  A thread inherits the signal mask: were ours
 * open, that thread could be the one to run PostgreSQL's signal handlers.
 */
static void
enter_curl(sigset_t *saved)
{
	sigset_t all;

	sigfillset(&all);
	sigdelset(&all, SIGSEGV);
	sigdelset(&all, SIGBUS);
	sigdelset(&all, SIGFPE);
	sigdelset(&all, SIGILL);
	sigdelset(&all, SIGABRT);
	pthread_sigmask(SIG_BLOCK, &all, saved);
}

static void
leave_curl(const sigset_t *saved)
{
	pthread_sigmask(SIG_SETMASK, saved, NULL);
}

/* Takes the request from libcurl, finished or not.  Fit for a context callback: cannot fail. */
static void
detach(AmpsfHttp *req)
{
	sigset_t saved;

	if (!req->easy)
		return;
	enter_curl(&saved);
	if (multi)
		curl_multi_remove_handle(multi, req->easy);
	curl_easy_cleanup(req->easy);
	leave_curl(&saved);
	req->easy = NULL;
	dlist_delete(&req->node);
	nactive--;
	for (struct curl_slist *h = req->headers_out; h; h = h->next)
		explicit_bzero(h->data, strlen(h->data));
	curl_slist_free_all(req->headers_out);
	req->headers_out = NULL;
}

/* Tells fd.c how many descriptors we hold.  Not from callbacks: it may close files, and log. */
static void
sync_fds(void)
{
	int want = Max(sockets, nactive);

	for (; sockets_held < want; sockets_held++)
		ReserveExternalFD();
	for (; sockets_held > want; sockets_held--)
		ReleaseExternalFD();
}

static void
on_exit_backend(int code, Datum arg)
{
	if (!multi || multi_pid != MyProcPid)
		return;
	while (!dlist_is_empty(&active))
		detach(dlist_head_element(AmpsfHttp, node, &active));
	curl_multi_cleanup(multi);
	multi = NULL;
	curl_share_cleanup(share);
	share = NULL;
}

static void
open_descriptors(void)
{
	struct epoll_event ev = {0};

	if (mux < 0)
	{
		mux = epoll_create1(EPOLL_CLOEXEC);
		if (mux < 0)
			ereport(ERROR,
					(errcode_for_file_access(), errmsg("could not create an epoll set: %m")));
		ReserveExternalFD();
	}
	if (timer < 0)
	{
		int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);

		ev.events = EPOLLIN;
		ev.data.fd = fd;
		if (fd < 0 || epoll_ctl(mux, EPOLL_CTL_ADD, fd, &ev) < 0)
		{
			int save_errno = errno;

			if (fd >= 0)
				close(fd);
			errno = save_errno;
			ereport(ERROR, (errcode_for_file_access(), errmsg("could not create a timer: %m")));
		}
		timer = fd;
		ReserveExternalFD();
	}
}

/* Makes what is missing of the multi handle and its descriptors; ERROR leaves a state to go on
 * from. */
static void
init_multi(void)
{
	static bool curl_ready = false;
	static bool exit_registered = false;

	if (multi && multi_pid == MyProcPid)
		return;
	if (multi)
	{
		/* A child of the process that made it: its sockets are not ours to close. */
		multi = NULL;
		share = NULL;
		mux = timer = -1;
		wait_set = NULL;
		dlist_init(&active);
		dlist_init(&alarms);
		nactive = sockets = sockets_held = 0;
		timer_armed = curl_due = 0;
		exit_registered = false;
	}
	if (!curl_ready)
	{
		const curl_version_info_data *v;

		if (curl_global_init(CURL_GLOBAL_ALL) != CURLE_OK)
			ereport(ERROR,
					(errcode(ERRCODE_OUT_OF_MEMORY), errmsg("could not initialize libcurl")));
		curl_ready = true;
		v = curl_version_info(CURLVERSION_NOW);
		if (!(v->features & CURL_VERSION_ASYNCHDNS))
			ereport(WARNING,
					(errmsg("libcurl resolves host names synchronously"),
					 errdetail("A query cannot be cancelled while a name is being resolved.")));
	}
	open_descriptors();
	if (!exit_registered)
	{
		on_proc_exit(on_exit_backend, (Datum) 0);
		exit_registered = true;
	}
	share = share ? share : curl_share_init();
	multi = share ? curl_multi_init() : NULL;
	if (!multi)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	multi_pid = MyProcPid;
	curl_share_setopt(share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
	curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_timer);
	curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long) IDLE_CONNECTIONS);
}

/* The earliest moment at which anything falls due; 0 if nothing will. */
static int64
next_due(int64 now)
{
	int64 due = curl_due;
	dlist_iter iter;

	dlist_foreach(iter, &active)
	{
		AmpsfHttp *req = dlist_container(AmpsfHttp, node, iter.cur);
		int64 t;

		if (req->done)
			continue;
		t = req->last_progress + req->request_timeout + (req->attempts ? 0 : req->connect_timeout);
		if (due == 0 || t < due)
			due = t;
	}
	dlist_foreach(iter, &alarms)
	{
		AmpsfHttpAlarm *alarm = dlist_container(AmpsfHttpAlarm, node, iter.cur);

		/* One that is past has rung; its owner sees that when it looks. */
		if (alarm->due > now && (due == 0 || alarm->due < due))
			due = alarm->due;
	}
	return due;
}

/* Sets the timerfd.  It may ring too early, which only costs a look; so progress need not move it.
 */
static void
arm_timer(void)
{
	int64 now = ampsf_http_now();
	int64 due = next_due(now);
	struct itimerspec spec;

	if (due == 0 || (timer_armed != 0 && timer_armed <= due && timer_armed > now))
		return;
	memset(&spec, 0, sizeof(spec));
	if (due <= now)
		spec.it_value.tv_nsec = 1;
	else
	{
		spec.it_value.tv_sec = (due - now) / 1000;
		spec.it_value.tv_nsec = (due - now) % 1000 * 1000000;
	}
	timer_armed = due;
	(void) timerfd_settime(timer, 0, &spec, NULL);
}

void
ampsf_http_alarm_set(AmpsfHttpAlarm *alarm, int64 due)
{
	init_multi();
	if (alarm->due == 0)
		dlist_push_tail(&alarms, &alarm->node);
	alarm->due = due;
	arm_timer();
}

void
ampsf_http_alarm_unset(AmpsfHttpAlarm *alarm)
{
	if (alarm->due != 0)
		dlist_delete(&alarm->node);
	alarm->due = 0;
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
complete(AmpsfHttp *req, CURLcode rc)
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
	detach(req);
}

static void
reset_request(void *arg)
{
	AmpsfHttp *req = arg;

	detach(req);
	if (req->sensitive && req->body)
		explicit_bzero(req->body, req->body_size);
	free(req->body);
	free(req->headers);
	req->body = req->headers = NULL;
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
	bool ok = true;

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
	SET(BUFFERSIZE, (long) RECEIVE_BUFFER);
	SET(CONNECTTIMEOUT_MS, (long) spec->connect_timeout);
	if (spec->compression)
		SET(ACCEPT_ENCODING, "gzip");
	if (!spec->replayable)
		SET(MAXAGE_CONN, (long) TRUSTED_IDLE_SECONDS);
	SET(SHARE, share);
	SET(PRIVATE, req);
	SET(ERRORBUFFER, req->text);

	if (spec->body || post)
	{
		/* A read function rather than POSTFIELDS: so it is known how much libcurl has taken. */
		SET(POST, 1L);
		SET(POSTFIELDSIZE_LARGE, (curl_off_t) spec->body_len);
		SET(READFUNCTION, on_read);
		SET(READDATA, req);
		SET(SEEKFUNCTION, on_seek);
		SET(SEEKDATA, req);
	}
	if (!(spec->body ? post : post || strcmp(spec->method, "GET") == 0))
		SET(CUSTOMREQUEST, spec->method);
	SET(HTTPHEADER, req->headers_out);

	SET(OPENSOCKETFUNCTION, on_open_socket);
	SET(CLOSESOCKETFUNCTION, on_close_socket);
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
	sigset_t saved;
	bool ok;

	init_multi();
	req->out = spec->body;
	req->out_len = spec->body_len;
	req->max_response = spec->max_response;
	req->request_timeout = spec->request_timeout;
	req->connect_timeout = spec->connect_timeout;
	req->replayable = spec->replayable;
	req->sensitive = spec->sensitive;
	req->last_progress = ampsf_http_now();

	sync_fds();
	if (!AcquireExternalFD())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
				 errmsg("could not open a connection: too many open files"),
				 errhint("Raise max_files_per_process and the system's limit on open files.")));
	sockets_held++;

	req->on_reset.func = reset_request;
	req->on_reset.arg = req;
	MemoryContextRegisterResetCallback(cxt, &req->on_reset);

	req->easy = curl_easy_init();
	if (!req->easy)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	dlist_push_tail(&active, &req->node);
	nactive++;

	/* libcurl would otherwise wait a second for leave to send a large body. */
	ok = add_header(req, "Expect:");
	for (const char *const *h = spec->headers; ok && h && *h; h++)
		ok = add_header(req, *h);
	ok = ok && set_options(req, spec);
	if (ok)
	{
		enter_curl(&saved);
		ok = curl_multi_add_handle(multi, req->easy) == CURLM_OK;
		leave_curl(&saved);
	}
	if (!ok)
	{
		reset_request(req);
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	}
	arm_timer();
	return req;
}

/* Gives up what has not moved for too long. */
static void
fail_stalled(void)
{
	int64 now = ampsf_http_now();
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, &active)
	{
		AmpsfHttp *req = dlist_container(AmpsfHttp, node, iter.cur);
		int patience = req->request_timeout + (req->attempts ? 0 : req->connect_timeout);

		if (now < req->last_progress + patience)
			continue;
		req->failure = req->attempts ? AMPSF_HTTP_STALLED : AMPSF_HTTP_UNREACHABLE;
		snprintf(req->text, sizeof(req->text), "no data moved for %d seconds", patience / 1000);
		complete(req, CURLE_OPERATION_TIMEDOUT);
	}
}

static void
act(curl_socket_t fd, int mask)
{
	sigset_t saved;
	int running;

	enter_curl(&saved);
	curl_multi_socket_action(multi, fd, mask, &running);
	leave_curl(&saved);
}

void
ampsf_http_drive(void)
{
	struct epoll_event ev[16];
	int n;
	CURLMsg *msg;
	int left;
	uint64 ticks;

	if (!multi || multi_pid != MyProcPid)
		return;
	n = epoll_wait(mux, ev, lengthof(ev), 0);
	for (int i = 0; i < n; i++)
	{
		if (ev[i].data.fd == timer)
		{
			if (read(timer, &ticks, sizeof(ticks)) > 0)
				timer_armed = 0;
			continue;
		}
		act(ev[i].data.fd, (ev[i].events & EPOLLIN ? CURL_CSELECT_IN : 0) |
							   (ev[i].events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
							   (ev[i].events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0));
	}
	if (curl_due != 0 && curl_due <= ampsf_http_now())
	{
		curl_due = 0;
		act(CURL_SOCKET_TIMEOUT, 0);
	}
	while ((msg = curl_multi_info_read(multi, &left)) != NULL)
	{
		char *req = NULL;

		if (msg->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &req);
		complete((AmpsfHttp *) req, msg->data.result);
	}
	fail_stalled();
	sync_fds();
	arm_timer();
	if (mux_errno)
	{
		errno = mux_errno;
		mux_errno = 0;
		ereport(ERROR, (errcode_for_socket_access(), errmsg("could not wait for a socket: %m")));
	}
}

bool
ampsf_http_done(const AmpsfHttp *req)
{
	return req->done;
}

void
ampsf_http_sleep(void)
{
	WaitEvent event;

	init_multi();
	if (!wait_set)
	{
		WaitEventSet *set = ampsf_create_wait_set(3);

		AddWaitEventToSet(set, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, NULL);
		AddWaitEventToSet(set, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, NULL, NULL);
		AddWaitEventToSet(set, WL_SOCKET_READABLE, mux, NULL, NULL);
		wait_set = set;
		wait_set_latch = MyLatch;
	}
	else if (wait_set_latch != MyLatch)
	{
		ModifyWaitEvent(wait_set, 0, WL_LATCH_SET, MyLatch);
		wait_set_latch = MyLatch;
	}
	CHECK_FOR_INTERRUPTS();
	if (WaitEventSetWait(wait_set, -1, &event, 1, ampsf_wait_event()) == 1 &&
		event.events & WL_LATCH_SET)
	{
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
}

int
ampsf_http_fd(void)
{
	init_multi();
	return mux;
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

int64
ampsf_http_bytes_in(const AmpsfHttp *req)
{
	return req->bytes_in;
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
