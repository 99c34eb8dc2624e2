/*
 * bulk_job.c - the table of Bulk API 2.0's jobs, and the thread that works on them.
 *
 * Owns: when a job is seen to change its state, and the day's counts.  Must not know: HTTP, SOQL,
 * what a job does.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "bulk.h"
#include "config.h"
#include "fault.h"
#include "store_internal.h"

/* How long a question about a job may wait for it to end: then a small job is asked for once only.
 */
#define LINGER_MS 30000
#define DAY 86400
#define MAX_WORKERS 16

BulkSettings bulk_settings = {
	.page_rows = 50000,
	.list_rows = 1000,
	.query_jobs = 10000,
	.storage_mb = 976562,
	.upload_mb = 100,
	.batches = 15000,
	.batch_rows = 10000,
	.rows = 150000000,
	.workers = 1,
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static BulkJob *jobs; /* the oldest first */
static int64_t numbers;
static pthread_t threads[MAX_WORKERS];
static int running; /* threads that have been started */
static bool ending;
static int busy; /* threads that work on a job */
static int64_t jobs_today, bytes_today, batches_today, rows_today;
static double today;

void
bulk_lock(void)
{
	pthread_mutex_lock(&mutex);
}

void
bulk_unlock(void)
{
	pthread_mutex_unlock(&mutex);
}

/* ---- settings ---- */

bool
bulk_set(const char *name, const char *value)
{
	static const struct
	{
		const char *name, *no, *yes;
		bool *flag;
	} words[] = {
		{"order", "shuffled", "natural", &bulk_settings.natural},
		{"hard-delete", "off", "on", &bulk_settings.hard_delete},
		{"newlines", "quoted", "never", &bulk_settings.line_ends_everywhere},
	};
	static const struct
	{
		const char *name;
		int *number;
		int least;
	} settings[] = {
		{"ms", &bulk_settings.ms, 0},
		{"polls", &bulk_settings.polls, 0},
		{"page-rows", &bulk_settings.page_rows, 1},
		{"list-rows", &bulk_settings.list_rows, 1},
		{"query-jobs", &bulk_settings.query_jobs, 0},
		{"storage-mb", &bulk_settings.storage_mb, 0},
		{"upload-mb", &bulk_settings.upload_mb, 0},
		{"batches", &bulk_settings.batches, 0},
		{"batch-rows", &bulk_settings.batch_rows, 1},
		{"rows", &bulk_settings.rows, 0},
		{"chunk-ms", &bulk_settings.chunk_ms, 0},
		{"workers", &bulk_settings.workers, 1},
		{"keep", &bulk_settings.keep, 0},
	};
	bool known = false;
	char *end;
	long n = strtol(value, &end, 10);

	bulk_lock();
	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++)
		if (strcmp(name, settings[i].name) == 0 && end != value && *end == '\0' &&
			n >= settings[i].least && n <= 1000000000)
		{
			*settings[i].number = (int) n;
			known = true;
		}
	if (strcmp(name, "refuse") == 0 && strlen(value) < sizeof(bulk_settings.refuse))
	{
		strcpy(bulk_settings.refuse, value);
		known = true;
	}
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(name, words[i].name) == 0 &&
			(strcmp(value, words[i].no) == 0 || strcmp(value, words[i].yes) == 0))
		{
			*words[i].flag = strcmp(value, words[i].yes) == 0;
			known = true;
		}
	bulk_unlock();
	return known;
}

bool
bulk_refused(const Object *o)
{
	size_t n = strlen(o->name);
	bool refused = false;

	bulk_lock();
	for (const char *p = bulk_settings.refuse; *p && !refused;)
	{
		size_t len = strcspn(p, ",");

		refused = len == n && strncasecmp(p, o->name, n) == 0;
		p += len;
		if (*p == ',')
			p++;
	}
	bulk_unlock();
	return refused;
}

/* ---- the day's counts ---- */

static void
turn_day(void)
{
	if (today != 0 && monotonic() - today < DAY)
		return;
	today = monotonic();
	jobs_today = bytes_today = batches_today = rows_today = 0;
}

int64_t
bulk_jobs_left(void)
{
	int64_t left;

	bulk_lock();
	turn_day();
	left = bulk_settings.query_jobs - jobs_today;
	bulk_unlock();
	return left > 0 ? left : 0;
}

int64_t
bulk_batches_left(void)
{
	int64_t left;

	bulk_lock();
	turn_day();
	left = bulk_settings.batches - batches_today;
	bulk_unlock();
	return left > 0 ? left : 0;
}

bool
bulk_take_batch(char **error)
{
	const char *used = NULL;

	bulk_lock();
	turn_day();
	if (batches_today >= bulk_settings.batches)
		used = "batches";
	else if (rows_today >= bulk_settings.rows)
		used = "records";
	else
		batches_today++;
	bulk_unlock();
	if (used != NULL && asprintf(error, "ExceededQuota : The %s of 24 hours are used up", used) < 0)
		abort();
	return used == NULL;
}

void
bulk_count_rows(int64_t n)
{
	bulk_lock();
	turn_day();
	rows_today += n;
	bulk_unlock();
}

/* In MB. */
int64_t
bulk_storage_left(void)
{
	int64_t left;

	bulk_lock();
	turn_day();
	left = bulk_settings.storage_mb - (bytes_today + 1048575) / 1048576;
	bulk_unlock();
	return left > 0 ? left : 0;
}

bool
bulk_storage_full(void)
{
	return bulk_storage_left() == 0;
}

/* ---- jobs ---- */

static char *
client_of(const Request *r)
{
	const char *h = req_header(r, "Sforce-Call-Options");
	const char *p = h ? strstr(h, "client=") : NULL;

	return p ? strndup(p + 7, strcspn(p + 7, ",; ")) : NULL;
}

BulkJob *
bulk_new(const Request *r, BulkOperation op, const Object *o)
{
	BulkJob *j = calloc(1, sizeof(*j));

	if (j == NULL)
		abort();
	bulk_lock();
	store_make_id("750", ++numbers, j->id);
	bulk_unlock();
	memcpy(j->user_id, r->user_id, sizeof(j->user_id));
	snprintf(j->version, sizeof(j->version), "%s", r->version);
	j->client = client_of(r);
	j->operation = op;
	j->object = o;
	j->delimiter = ',';
	j->stop_after = -1;
	store_lock();
	j->created = j->modified = store_now();
	store_unlock();
	j->state = op <= BULK_QUERY_ALL ? BULK_UPLOADED : BULK_OPEN;
	j->refs = 1;
	return j;
}

static void
job_free(BulkJob *j)
{
	free(j->client);
	free(j->assignment);
	free(j->soql);
	free(j->error);
	free(j->content);
	bulk_result_release(j->result);
	bulk_result_release(j->refused);
	bulk_result_release(j->unprocessed);
	free(j);
}

static void
unref(BulkJob *j)
{
	if (--j->refs == 0)
		job_free(j);
}

void
bulk_release(BulkJob *j)
{
	bulk_lock();
	unref(j);
	bulk_unlock();
}

void
bulk_strike(BulkJob *j, const Fault *f)
{
	BulkState state = BULK_OPEN;

	if (f == NULL)
		return;
	if (f->kind == FAULT_JOB_STUCK)
		j->stuck = true;
	else if (f->kind == FAULT_JOB_ABORTED)
		state = BULK_ABORTED;
	else if (f->kind == FAULT_JOB_FAILED)
	{
		state = BULK_FAILED;
		j->retries = BULK_MAX_RETRIES;
		free(j->error);
		j->error = strdup(f->message ? f->message : BULK_RETRIED);
	}
	else
		return;
	j->stop_after = f->rows;
	if (f->rows >= 0 && !bulk_is_query(j))
		j->fate = state;
	else
		j->finished = state;
}

bool
bulk_ended(const BulkJob *j)
{
	return j->state >= BULK_COMPLETE;
}

void
bulk_end_as(BulkJob *j, BulkState state, const char *error)
{
	j->state = state;
	j->modified = store_now();
	if (error != NULL)
	{
		free(j->error);
		j->error = strdup(error);
	}
	pthread_cond_broadcast(&changed);
}

/* The time and the questions have come that the settings ask for. */
static bool
is_due(const BulkJob *j)
{
	return !j->stuck && (bulk_settings.polls == 0 || j->polls > bulk_settings.polls) &&
		   monotonic() - j->started >= bulk_settings.ms / 1000.0;
}

/* What clients see of the job follows what is known of it. */
static void
settle(BulkJob *j)
{
	if (j->state != BULK_UPLOADED && j->state != BULK_RUNNING)
		return;
	if (j->finished != BULK_OPEN && is_due(j))
		bulk_end_as(j, j->finished, NULL);
	else if (j->state == BULK_UPLOADED &&
			 (bulk_settings.polls > 0
				  ? j->polls > (bulk_settings.polls > 1)
				  : j->taken && monotonic() - j->started >= bulk_settings.ms / 3000.0))
	{
		j->state = BULK_RUNNING;
		j->modified = store_now();
	}
}

BulkJob *
bulk_find(const char *id)
{
	BulkJob *j;
	char canonical[SF_ID_LEN + 1];

	if (!store_canonical_id(id, strlen(id), canonical))
		return NULL;
	bulk_lock();
	for (j = jobs; j != NULL && strcmp(j->id, canonical) != 0; j = j->next)
		;
	if (j != NULL)
	{
		settle(j);
		j->refs++;
	}
	bulk_unlock();
	return j;
}

/* Waits for a change until that moment; false when it has passed. */
static bool
wait_until(const struct timespec *end)
{
	return pthread_cond_timedwait(&changed, &mutex, end) == 0;
}

void
bulk_poll(BulkJob *j)
{
	double until = monotonic() + LINGER_MS / 1000.0;

	bulk_lock();
	if (j->state == BULK_UPLOADED || j->state == BULK_RUNNING)
		j->polls++;
	while (!bulk_ended(j) && j->finished == BULK_OPEN && j->state != BULK_OPEN && is_due(j) &&
		   !j->gone && !stopping && monotonic() < until)
	{
		struct timespec soon;

		/* Nobody tells that the org is to end. */
		clock_gettime(CLOCK_REALTIME, &soon);
		soon.tv_sec++;
		(void) wait_until(&soon);
	}
	settle(j);
	bulk_unlock();
}

void
bulk_wait_work(BulkJob *j)
{
	bulk_lock();
	while (j->taken && !j->worked && !ending)
		pthread_cond_wait(&changed, &mutex);
	bulk_unlock();
}

void
bulk_forget(BulkJob *j)
{
	BulkJob **p = &jobs;

	while (*p != NULL && *p != j)
		p = &(*p)->next;
	if (*p == NULL)
		return;
	*p = j->next;
	j->gone = true;
	pthread_cond_broadcast(&changed);
	unref(j);
}

BulkJob *
bulk_first(void)
{
	for (BulkJob *j = jobs; j != NULL; j = j->next)
		settle(j);
	return jobs;
}

bool
bulk_unwanted(const BulkJob *j)
{
	bool unwanted;

	bulk_lock();
	unwanted = ending || j->gone || bulk_ended(j);
	bulk_unlock();
	return unwanted;
}

/* ---- the thread ---- */

static BulkJob *
next_work(void)
{
	BulkJob *j = jobs;

	while (j != NULL && (j->taken || (j->state != BULK_UPLOADED && j->state != BULK_RUNNING)))
		j = j->next;
	return j;
}

static void
work_on(BulkJob *j)
{
	double start = monotonic();
	char *error = NULL;
	bool ok;

	j->taken = true;
	j->refs++;
	busy++;
	bulk_unlock();
	ok = bulk_is_query(j) ? bulk_run_query(j, &error) : bulk_run_ingest(j, &error);
	bulk_lock();
	busy--;
	j->worked = true;
	j->took_ms = (monotonic() - start) * 1000;
	if (bulk_is_query(j) && j->result != NULL)
		bytes_today += bulk_result_bytes(j->result);
	/* a fault may have decided already */
	if (j->finished == BULK_OPEN)
	{
		j->finished = j->fate != BULK_OPEN ? j->fate : ok ? BULK_COMPLETE : BULK_FAILED;
		if (!ok && j->error == NULL)
			j->error = error ? strdup(error) : NULL;
	}
	free(error);
	pthread_cond_broadcast(&changed);
	unref(j);
}

static void *
work(void *arg)
{
	(void) arg;
	bulk_lock();
	while (!ending)
	{
		BulkJob *j = next_work();

		if (j != NULL && busy < bulk_settings.workers)
			work_on(j);
		else
			pthread_cond_wait(&changed, &mutex);
	}
	bulk_unlock();
	return NULL;
}

void
bulk_start(BulkJob *j)
{
	j->state = BULK_UPLOADED;
	j->started = monotonic();
	j->modified = store_now();
	while (running < bulk_settings.workers && running < MAX_WORKERS && !ending)
	{
		if (pthread_create(&threads[running], NULL, work, NULL) != 0)
			abort();
		running++;
	}
	pthread_cond_broadcast(&changed);
}

bool
bulk_add(BulkJob *j)
{
	BulkJob **tail = &jobs;

	bulk_lock();
	turn_day();
	if (bulk_is_query(j) ? jobs_today >= bulk_settings.query_jobs
						 : batches_today >= bulk_settings.batches)
	{
		unref(j);
		bulk_unlock();
		return false;
	}
	if (bulk_is_query(j))
		jobs_today++;
	while (*tail != NULL)
		tail = &(*tail)->next;
	*tail = j;
	j->refs++;
	if (bulk_is_query(j) || j->multipart)
		bulk_start(j);
	bulk_unlock();
	return true;
}

void
bulk_reset(void)
{
	bulk_lock();
	while (jobs != NULL)
		bulk_forget(jobs);
	while (busy > 0)
		pthread_cond_wait(&changed, &mutex);
	numbers = 0;
	jobs_today = bytes_today = batches_today = rows_today = 0;
	bulk_keep_clear();
	bulk_unlock();
}

void
bulk_stop(void)
{
	int n;

	bulk_lock();
	ending = true;
	n = running;
	running = 0;
	while (jobs != NULL)
		bulk_forget(jobs);
	pthread_cond_broadcast(&changed);
	bulk_unlock();
	while (n > 0)
		pthread_join(threads[--n], NULL);
}

/* ---- for tests ---- */

void
bulk_list_admin(Buf *out)
{
	static const char *const operations[] = {"query",  "queryAll", "insert",	"update",
											 "upsert", "delete",   "hardDelete"};
	static const char *const states[] = {"Open",		"UploadComplete", "InProgress",
										 "JobComplete", "Failed",		  "Aborted"};

	buf_adds(out, "{\"jobs\":[");
	bulk_lock();
	for (BulkJob *j = bulk_first(); j != NULL; j = j->next)
	{
		buf_addf(out,
				 "%s{\"id\":\"%s\",\"state\":\"%s\",\"operation\":\"%s\",\"object\":\"%s\","
				 "\"rows\":%lld,"
				 "\"failed\":%lld,\"polls\":%d,\"client\":",
				 j == jobs ? "" : ",", j->id, states[j->state], operations[j->operation],
				 j->object->name, (long long) j->processed, (long long) j->failed, j->polls);
		buf_jsons(out, j->client);
		buf_addc(out, '}');
	}
	bulk_unlock();
	buf_adds(out, "]}");
}
