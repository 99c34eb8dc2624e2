/*
 * http_mux.c - libcurl's multi interface inside a backend; see http_private.h.
 *
 * Every descriptor that libcurl cares about is kept in one epoll set, together with a timerfd that
 * stands for all timers.  So a single descriptor tells whether there is anything to do; it is
 * waited on together with the latch, which is why a cancel acts at once.
 *
 * Two rules hold for everything called by libcurl (the functions named on_...): no palloc, no
 * ereport, no CHECK_FOR_INTERRUPTS, because a longjmp through libcurl would corrupt it; and nothing
 * else of PostgreSQL either.  What happened is noted, and raised after libcurl returned.
 */
#include "net/http_private.h"

#include <curl/curl.h>

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

#define IDLE_CONNECTIONS 8

static CURLM *multi = NULL;
static CURLSH *share = NULL;
static int multi_pid = 0;	 /* the process that made it */
static int mux = -1;		 /* the epoll set */
static int timer = -1;		 /* the timerfd in it */
static bool ringing = false; /* somebody is to look, whatever else */
static int64 timer_armed = 0;
static int64 curl_due = 0; /* when libcurl wants to be called; 0: not at all */
static WaitEventSet *wait_set = NULL;
static Latch *wait_set_latch = NULL;
static int sockets = 0;		 /* open ones, as libcurl told */
static int sockets_held = 0; /* of those, how many fd.c knows about */
static dlist_head active = DLIST_STATIC_INIT(active);
static int nactive = 0;
static uint64 moves = 0;
static int64 rung = 0; /* alarms that were due by then have been heard */
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

void
ampsf_mux_detach(AmpsfHttp *req)
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
		ampsf_mux_detach(dlist_head_element(AmpsfHttp, node, &active));
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

void
ampsf_mux_init(void)
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
		ringing = false;
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
next_due(void)
{
	int64 due = curl_due;
	dlist_iter iter;

	dlist_foreach(iter, &active)
	{
		AmpsfHttp *req = dlist_container(AmpsfHttp, node, iter.cur);
		int64 t;

		if (req->done || req->paused)
			continue;
		t = req->last_progress + req->request_timeout + (req->attempts ? 0 : req->connect_timeout);
		if (due == 0 || t < due)
			due = t;
	}
	dlist_foreach(iter, &alarms)
	{
		AmpsfHttpAlarm *alarm = dlist_container(AmpsfHttpAlarm, node, iter.cur);

		/* One that has rung is seen by its owner when it looks. */
		if (alarm->due > rung && (due == 0 || alarm->due < due))
			due = alarm->due;
	}
	return due;
}

void
ampsf_http_ring(void)
{
	const struct itimerspec now = {.it_value.tv_nsec = 1};

	ampsf_mux_init();
	ringing = true;
	timer_armed = ampsf_http_now();
	(void) timerfd_settime(timer, 0, &now, NULL);
}

/* Sets the timerfd.  It may ring too early, which only costs a look; so progress need not move it.
 */
static void
arm_timer(void)
{
	int64 now = ampsf_http_now();
	int64 due = next_due();
	struct itimerspec spec;

	if (ringing || due == 0 || (timer_armed != 0 && timer_armed <= due && timer_armed > now))
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
ampsf_mux_reserve(void)
{
	sync_fds();
	if (!AcquireExternalFD())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
				 errmsg("could not open a connection: too many open files"),
				 errhint("Raise max_files_per_process and the system's limit on open files.")));
	sockets_held++;
}

void
ampsf_mux_enroll(AmpsfHttp *req)
{
	dlist_push_tail(&active, &req->node);
	nactive++;
}

bool
ampsf_mux_options(void *easy)
{
	return curl_easy_setopt(easy, CURLOPT_SHARE, share) == CURLE_OK &&
		   curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open_socket) == CURLE_OK &&
		   curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, on_close_socket) == CURLE_OK;
}

bool
ampsf_mux_start(AmpsfHttp *req)
{
	sigset_t saved;
	bool ok;

	enter_curl(&saved);
	moves++;
	ok = curl_multi_add_handle(multi, req->easy) == CURLM_OK;
	leave_curl(&saved);
	arm_timer();
	return ok;
}

void
ampsf_http_alarm_set(AmpsfHttpAlarm *alarm, int64 due)
{
	ampsf_mux_init();
	if (alarm->due == 0)
		dlist_push_tail(&alarms, &alarm->node);
	alarm->due = Max(due, rung + 1); /* whatever else, it rings */
	moves++;
	arm_timer();
}

void
ampsf_http_alarm_unset(AmpsfHttpAlarm *alarm)
{
	if (alarm->due != 0)
		dlist_delete(&alarm->node);
	alarm->due = 0;
}

/* -------- going on -------- */

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

		if (req->paused || now < req->last_progress + patience)
			continue;
		req->failure = req->attempts ? AMPSF_HTTP_STALLED : AMPSF_HTTP_UNREACHABLE;
		snprintf(req->text, sizeof(req->text), "no data moved for %d seconds", patience / 1000);
		moves++;
		req->complete(req, CURLE_OPERATION_TIMEDOUT);
	}
}

static void
act(curl_socket_t fd, int mask)
{
	sigset_t saved;
	int running;

	moves++;
	enter_curl(&saved);
	curl_multi_socket_action(multi, fd, mask, &running);
	leave_curl(&saved);
}

void
ampsf_mux_resume(AmpsfHttp *req)
{
	sigset_t saved;

	if (req->done)
		return;
	enter_curl(&saved);
	curl_easy_pause(req->easy, CURLPAUSE_CONT);
	leave_curl(&saved);
	/* What it has given at once, and paused for again, nobody was told of. */
	moves++;
	ampsf_http_ring();
}

/* What has fallen due since the last time is a move: who looked before has not seen it. */
static void
hear_alarms(void)
{
	int64 now = ampsf_http_now();
	dlist_iter iter;

	dlist_foreach(iter, &alarms)
	{
		AmpsfHttpAlarm *alarm = dlist_container(AmpsfHttpAlarm, node, iter.cur);

		if (alarm->due > rung && alarm->due <= now)
			moves++;
	}
	rung = now;
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
	hear_alarms();
	/* Who rang, or whoever it was for, has not looked since. */
	if (ringing)
		moves++;
	ringing = false;
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
		char *private = NULL;
		AmpsfHttp *req;

		if (msg->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &private);
		req = (AmpsfHttp *) private;
		req->complete(req, msg->data.result);
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

uint64
ampsf_http_moves(void)
{
	return moves;
}

/* The latch at its place 0, the death of the postmaster, and the mux. */
static WaitEventSet *
make_wait_set(void)
{
	WaitEventSet *set = ampsf_create_wait_set(3);

	PG_TRY();
	{
		AddWaitEventToSet(set, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, NULL);
		if (IsUnderPostmaster)
			AddWaitEventToSet(set, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, NULL, NULL);
		AddWaitEventToSet(set, WL_SOCKET_READABLE, mux, NULL, NULL);
	}
	PG_CATCH();
	{
		FreeWaitEventSet(set);
		PG_RE_THROW();
	}
	PG_END_TRY();
	return set;
}

void
ampsf_http_sleep(void)
{
	WaitEvent event;

	ampsf_mux_init();
	if (!wait_set)
	{
		wait_set = make_wait_set();
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
	ampsf_mux_init();
	return mux;
}
