/*
 * main.c - the command line, start and end of the sandbox org.
 *
 * Must not know: HTTP, SOQL.
 */
#include <getopt.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "admin.h"
#include "ae.h"
#include "bulk.h"
#include "config.h"
#include "cursors.h"
#include "event.h"
#include "fault.h"
#include "oauth.h"
#include "org.h"
#include "pagecache.h"
#include "reqlog.h"
#include "rules_org.h"
#include "schema.h"
#include "server.h"
#include "store.h"

enum
{
	OPT_HOST = 256,
	OPT_PORT,
	OPT_PORT_FILE,
	OPT_DATA,
	OPT_SEED,
	OPT_LOG,
	OPT_LATENCY,
	OPT_TLS_CERT,
	OPT_TLS_KEY,
	OPT_API_LIMIT,
	OPT_FAULT,
	OPT_SESSION_SECONDS,
	OPT_ROTATE,
	OPT_JWT_CERT,
	OPT_NOW,
	OPT_LOCATOR_SECONDS,
	OPT_MAX_LOCATORS,
	OPT_OBJECTS,
	OPT_GZIP,
	OPT_CHUNKED,
	OPT_PAGE_CACHE,
	OPT_MAX_PARENTS,
	OPT_READINGS,
	OPT_RULE,
	OPT_AE,
	OPT_AE_PROSPECTS,
	OPT_ORG,
	OPT_EVENTS,
	OPT_BULK,					 /* and those that follow: one for each of bulk_options[] */
	OPT_READING = OPT_BULK + 50, /* and those that follow: one for each of readings[] */
	OPT_HELP = OPT_READING + 100
};

/* What documents leave open, or leave to the org: the default is the first word. */
static const struct Reading
{
	const char *name, *first, *second;
	bool *flag;
	void (*set)(bool second);
	bool alone; /* moves calls and sizes, not answers: --readings leaves it as it is */
	const char *help;
} readings[] = {
	{"null-desc", "last", "first", &config.readings.null_first_on_desc, NULL, false,
	 "where ORDER BY ... DESC puts nulls by default"},
	{"lookup-nulls", "top", "asked", &config.readings.lookup_nulls_asked, NULL, false,
	 "ORDER BY a lookup or a parent's field: nulls on top, or as NULLS FIRST|LAST says"},
	{"negated-nulls", "match", "skip", &config.readings.nulls_not_negated, NULL, false,
	 "what !=, NOT IN, EXCLUDES and NOT do with null"},
	{"inner-nulls", "ignored", "poison", &config.readings.inner_nulls_poison, NULL, false,
	 "NOT IN (SELECT f ...) where some f is null: as if it were not there, or no row at all"},
	{"group-text", "fold", "exact", &config.readings.groups_exact, NULL, false,
	 "whether GROUP BY and COUNT_DISTINCT ignore the case of texts as = does"},
	{"group-overflow", "id-limit", "malformed", &config.readings.overflow_malformed, NULL, false,
	 "the code for too many groups: EXCEEDED_ID_LIMIT or MALFORMED_QUERY"},
	{"accents", "distinct", "folded", NULL, store_fold_accents, false,
	 "whether texts are equal that differ in accents"},
	{"trailing-blanks", "count", "ignored", NULL, store_ignore_blanks, false,
	 "whether texts are equal that differ in blanks at their end"},
	{"fractions", "accept", "refuse", &config.readings.no_fractions, NULL, false,
	 "datetime literals with a fraction of a second"},
	{"integers", "any", "int32", &config.readings.int32_literals, NULL, false,
	 "numbers without a fraction in a statement: of any size, or of 32 bits"},
	{"pages", "full", "short", &config.short_pages, NULL, true,
	 "whether a page has as many records as the batch size, or fewer"},
	{"record-counts", "exact", "stale", &config.stale_counts, NULL, true,
	 "limits/recordCount: the rows that are there, or three quarters of them"},
	{"written-blanks", "trim", "keep", NULL, store_keep_blanks, true,
	 "white space at the ends of a text that is written: documented is that it is dropped"},
	{"bulk-empty", "header", "nothing", &bulk_settings.empty_bare, NULL, false,
	 "the CSV of a bulk query without rows: its header, or nothing at all"},
	{"bulk-early", "400", "204", &bulk_settings.early_204, NULL, false,
	 "results of a bulk job that is not complete: an error, or no content"},
	{"bulk-blanks", "row", "job", &bulk_settings.blanks_fail_job, NULL, false,
	 "blanks outside of the quotes of a value: that row fails, or the whole job"},
	{"bulk-newlines", "quoted", "never", &bulk_settings.line_ends_everywhere, NULL, true,
	 "line ends in a value, other than the job's: fine inside of quotes, or the job fails"},
	{"duplicate-key", "resut", "result", &config.duplicate_result, NULL, false,
	 "the name of duplicateResult in DUPLICATES_DETECTED: misspelt as real answers have it, or "
	 "not"},
	{"row-date", "modified", "modstamp", &config.rows_by_modstamp, NULL, false,
	 "what If-Unmodified-Since is compared with: LastModifiedDate or SystemModstamp"},
	{"conditional-delete", "ignored", "honoured", &config.deletes_by_condition, NULL, false,
	 "If-Match and If-Unmodified-Since of a DELETE"},
	{"same-id-twice", "refuse", "accept", &config.twice_allowed, NULL, false,
	 "updates of one row in one call, or in 200 rows of a job"},
	{"null-parts", "null", "absent", &event_parts_absent, NULL, false,
	 "a part of a name or address that became null, in change events: null, or left out"},
	{"rollup-events", "told", "silent", &event_rollups_silent, NULL, true,
	 "whether a roll-up that changes is a change event of the parent"},
	{"milliseconds", "drop", "keep", NULL, store_keep_milliseconds, true,
	 "what a datetime does with a fraction of a second: documented is that it has none"},
};
#define N_READINGS ((int) (sizeof(readings) / sizeof(readings[0])))

/* What bulk jobs do; the same settings as at run time. */
static const struct
{
	const char *name, *value, *help;
} bulk_options[] = {
	{"ms", "N", "what a bulk job takes at least (0)"},
	{"polls", "N", "times that a bulk job is asked for before it ends (0)"},
	{"page-rows", "N", "rows of a page of its result at most (50000)"},
	{"list-rows", "N", "jobs in a page of their list (1000)"},
	{"query-jobs", "N", "query jobs in 24 hours (10000)"},
	{"storage-mb", "N", "results of them in 24 hours (976562)"},
	{"upload-mb", "N", "data of an ingest job (100)"},
	{"batches", "N", "batches of ingest jobs in 24 hours (15000)"},
	{"batch-rows", "N", "rows of a batch (10000)"},
	{"rows", "N", "rows of ingest jobs in 24 hours (150000000)"},
	{"chunk-ms", "N", "how long 200 rows of an ingest job keep their locks (0)"},
	{"workers", "N", "jobs that are worked on at a time (1)"},
	{"keep", "N", "results of query jobs kept for jobs that say the same, for benchmarks (0)"},
	{"order", "shuffled|natural", "rows of a result without ORDER BY (shuffled)"},
	{"hard-delete", "on|off", "whether users have the permission (off)"},
	{"refuse", "A,B", "objects that cannot be used in bulk jobs (none)"},
};
#define N_BULK_OPTIONS ((int) (sizeof(bulk_options) / sizeof(bulk_options[0])))

static const struct option plain_options[] = {
	{"host", required_argument, NULL, OPT_HOST},
	{"port", required_argument, NULL, OPT_PORT},
	{"port-file", required_argument, NULL, OPT_PORT_FILE},
	{"data", required_argument, NULL, OPT_DATA},
	{"seed", required_argument, NULL, OPT_SEED},
	{"log", required_argument, NULL, OPT_LOG},
	{"latency-ms", required_argument, NULL, OPT_LATENCY},
	{"tls-cert", required_argument, NULL, OPT_TLS_CERT},
	{"tls-key", required_argument, NULL, OPT_TLS_KEY},
	{"api-limit", required_argument, NULL, OPT_API_LIMIT},
	{"fault", required_argument, NULL, OPT_FAULT},
	{"session-seconds", required_argument, NULL, OPT_SESSION_SECONDS},
	{"rotate-refresh-tokens", no_argument, NULL, OPT_ROTATE},
	{"jwt-cert", required_argument, NULL, OPT_JWT_CERT},
	{"now", required_argument, NULL, OPT_NOW},
	{"locator-seconds", required_argument, NULL, OPT_LOCATOR_SECONDS},
	{"max-locators", required_argument, NULL, OPT_MAX_LOCATORS},
	{"objects", required_argument, NULL, OPT_OBJECTS},
	{"gzip", required_argument, NULL, OPT_GZIP},
	{"chunked", required_argument, NULL, OPT_CHUNKED},
	{"page-cache-mb", required_argument, NULL, OPT_PAGE_CACHE},
	{"max-parents", required_argument, NULL, OPT_MAX_PARENTS},
	{"readings", required_argument, NULL, OPT_READINGS},
	{"rule", required_argument, NULL, OPT_RULE},
	{"ae", required_argument, NULL, OPT_AE},
	{"org", required_argument, NULL, OPT_ORG},
	{"events", required_argument, NULL, OPT_EVENTS},
	{"ae-prospects", required_argument, NULL, OPT_AE_PROSPECTS},
	{"help", no_argument, NULL, OPT_HELP},
	{NULL, 0, NULL, 0},
};

static const char help[] =
	"ampsf-sandbox: a strict Salesforce org on this machine\n\n"
	"  --port N                 0 (the default) takes any free port\n"
	"  --port-file F            the port is written there once requests are answered\n"
	"  --host A                 IPv4 address to listen on (127.0.0.1)\n"
	"  --data FILE              keep the rows in FILE (default: in memory)\n"
	"  --seed demo|big:N|push[:N]|empty\n"
	"                           what a new org holds (demo)\n"
	"  --objects DIR            describes of the objects (default: those built in)\n"
	"  --log FILE               one JSON object a line for each request\n"
	"  --now ISO                the org's clock stands still at that time\n"
	"  --latency-ms N           every answer comes that much later\n"
	"  --api-limit N            API calls a day (100000)\n"
	"  --fault SPEC             a failure on demand; may be repeated (see README.md)\n"
	"  --rule RULE              a duplicate or assignment rule; may be repeated (see README.md)\n"
	"  --tls-cert F --tls-key F serve https\n"
	"  --session-seconds N      life of an access token (7200)\n"
	"  --rotate-refresh-tokens  a refresh token dies when it is used, and a new one is returned\n"
	"  --jwt-cert F             PEM certificate or public key of the JWT bearer flow\n"
	"  --locator-seconds N      life of a query locator (172800)\n"
	"  --max-locators N         open query locators of a user (10)\n"
	"  --gzip on|off            compress answers for clients that ask for it (on)\n"
	"  --chunked on|off         chunked answers, as Salesforce sends them (on)\n"
	"  --page-cache-mb N        memory for rendered pages (512)\n"
	"  --ae-prospects N         prospects of Account Engagement (5000)\n"
	"  --ae NAME=VALUE          a setting of Account Engagement (see README.md)\n"
	"  --org NAME=VALUE         what the clock, late writes and stamps do (see README.md)\n"
	"  --events NAME=VALUE      change events: select=Account,Contact and others (see README.md)\n";

static const char readings_help[] =
	"\nWhat no document settles (the first word is the default):\n"
	"  --readings first|second  all that have no * below, at once; single ones may follow\n"
	"  --max-parents N        * relationships to parents in a statement (55; 35 in older "
	"documents)\n";

static void
usage(const char *fmt, const char *arg)
{
	fprintf(stderr, "ampsf-sandbox: ");
	fprintf(stderr, fmt, arg);
	fprintf(stderr, "\nTry --help.\n");
	exit(2);
}

static int
number(const char *text, int least, int most)
{
	char *end;
	long v = strtol(text, &end, 10);

	if (end == text || *end || v < least || v > most)
		usage("\"%s\" is not a number that fits here", text);
	return (int) v;
}

/* One of two words. */
static bool
either(const char *text, const char *yes, const char *no)
{
	if (strcmp(text, yes) != 0 && strcmp(text, no) != 0)
		usage("\"%s\" is not a value of that option", text);
	return strcmp(text, yes) == 0;
}

static void
set_reading(const struct Reading *r, bool second)
{
	if (r->flag)
		*r->flag = second;
	else
		r->set(second);
}

static void
take_reading(const struct Reading *r, const char *word)
{
	set_reading(r, either(word, r->second, r->first));
}

static void
print_help(void)
{
	fputs(help, stdout);
	for (int i = 0; i < N_BULK_OPTIONS; i++)
		printf("  --bulk-%s %s\n%27s%s\n", bulk_options[i].name, bulk_options[i].value, "",
			   bulk_options[i].help);
	fputs(readings_help, stdout);
	for (int i = 0; i < N_READINGS; i++)
		printf("  --%s %s|%s%s\n%27s%s\n", readings[i].name, readings[i].first, readings[i].second,
			   readings[i].alone ? " *" : "", "", readings[i].help);
	exit(0);
}

/* The plain options, and one for each reading and each setting of bulk jobs. */
static const struct option *
all_options(void)
{
	static struct option
		list[sizeof(plain_options) / sizeof(plain_options[0]) + N_READINGS + N_BULK_OPTIONS];
	static char names[N_BULK_OPTIONS][32];

	for (int i = 0; i < N_BULK_OPTIONS; i++)
	{
		snprintf(names[i], sizeof(names[i]), "bulk-%s", bulk_options[i].name);
		list[N_READINGS + i] = (struct option){names[i], required_argument, NULL, OPT_BULK + i};
	}
	memcpy(list + N_READINGS + N_BULK_OPTIONS, plain_options, sizeof(plain_options));
	for (int i = 0; i < N_READINGS; i++)
		list[i] = (struct option){readings[i].name, required_argument, NULL, OPT_READING + i};
	return list;
}

static void
take_fault(const char *spec)
{
	char *reason;

	if (!fault_add(spec, &reason))
		usage("%s", reason);
}

/* Kept until the objects are there that they are about. */
static const char *rule_lines[MAX_RULES];
static int n_rules;

static void
take_now(const char *text)
{
	time_t t;

	if (!parse_iso_time(text, &t))
		usage("\"%s\" is not a time like 2024-05-01T12:00:00Z", text);
	store_set_clock(t);
}

static void
take_setting(const char *arg, bool (*set)(const char *name, const char *value), const char *wrong)
{
	char name[64];
	size_t n = strcspn(arg, "=");

	snprintf(name, sizeof(name), "%.*s", (int) n, arg);
	if (arg[n] != '=' || n >= sizeof(name) || !set(name, arg + n + 1))
		usage(wrong, arg);
}

static void
take(int opt, const char *arg)
{
	static const struct
	{
		int opt;
		const char **text;
	} texts[] = {
		{OPT_HOST, &config.host},		{OPT_PORT_FILE, &config.port_file},
		{OPT_DATA, &config.data},		{OPT_SEED, &config.seed},
		{OPT_LOG, &config.log},			{OPT_TLS_CERT, &config.tls_cert},
		{OPT_TLS_KEY, &config.tls_key}, {OPT_JWT_CERT, &config.jwt_cert},
		{OPT_OBJECTS, &config.objects},
	};
	static const struct
	{
		int opt;
		int *value;
		int least, most;
	} numbers[] = {
		{OPT_PORT, &config.port, 0, 65535},
		{OPT_LATENCY, &config.latency_ms, 0, 600000},
		{OPT_SESSION_SECONDS, &config.session_seconds, 0, INT_MAX},
		{OPT_LOCATOR_SECONDS, &config.locator_seconds, 0, INT_MAX},
		{OPT_MAX_LOCATORS, &config.max_locators, 1, 100000},
		{OPT_PAGE_CACHE, &config.page_cache_mb, 0, 1000000},
		{OPT_MAX_PARENTS, &config.readings.max_parents, 1, 1000},
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
	{
		if (texts[i].opt == opt)
			*texts[i].text = arg;
	}
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
	{
		if (numbers[i].opt == opt)
			*numbers[i].value = number(arg, numbers[i].least, numbers[i].most);
	}
	if (opt == OPT_API_LIMIT)
		api_set_limit(number(arg, 0, INT_MAX));
	else if (opt == OPT_FAULT)
		take_fault(arg);
	else if (opt == OPT_RULE && n_rules < MAX_RULES)
		rule_lines[n_rules++] = arg;
	else if (opt == OPT_NOW)
		take_now(arg);
	else if (opt == OPT_ROTATE)
		config.rotate_refresh_tokens = true;
	else if (opt == OPT_GZIP)
		config.gzip = either(arg, "on", "off");
	else if (opt == OPT_CHUNKED)
		config.chunked = either(arg, "on", "off");
	else if (opt >= OPT_BULK && opt < OPT_BULK + N_BULK_OPTIONS)
	{
		if (!bulk_set(bulk_options[opt - OPT_BULK].name, arg))
			usage("\"%s\" is not a value of that option", arg);
	}
	else if (opt >= OPT_READING && opt < OPT_READING + N_READINGS)
		take_reading(&readings[opt - OPT_READING], arg);
	else if (opt == OPT_READINGS)
	{
		for (int i = 0; i < N_READINGS; i++)
			if (!readings[i].alone)
				set_reading(&readings[i], either(arg, "second", "first"));
	}
	else if (opt == OPT_AE_PROSPECTS)
	{
		if (!ae_set("prospects", arg))
			usage("\"%s\" is not a number that fits here", arg);
	}
	else if (opt == OPT_AE)
		take_setting(arg, ae_set, "\"%s\" is not a setting of Account Engagement");
	else if (opt == OPT_ORG)
		take_setting(arg, org_set, "\"%s\" is not a setting of the org");
	else if (opt == OPT_EVENTS)
		take_setting(arg, event_option, "\"%s\" is not a setting of change events");
	else if (opt == OPT_HELP)
		print_help();
	else if (opt == '?')
		exit(2);
}

static char *
read_file(const char *path)
{
	FILE *f = path ? fopen(path, "r") : NULL;
	char *text = NULL;
	size_t room = 0;

	if (path == NULL)
		return NULL;
	if (f == NULL || getdelim(&text, &room, '\0', f) < 0)
	{
		perror(path);
		exit(1);
	}
	fclose(f);
	return text;
}

/* Written beside and renamed, so that a reader never sees half a number. */
static void
write_port(int port)
{
	char tmp[PATH_MAX];
	FILE *f;

	if (config.port_file == NULL)
		return;
	snprintf(tmp, sizeof(tmp), "%s.tmp", config.port_file);
	f = fopen(tmp, "w");
	if (f == NULL || fprintf(f, "%d\n", port) < 0 || fclose(f) != 0 ||
		rename(tmp, config.port_file) != 0)
	{
		perror(config.port_file);
		exit(1);
	}
}

/* A file that holds an org already is not filled again. */
static bool
is_new(void)
{
	sqlite3_stmt *s = NULL;
	bool empty = true;

	store_lock();
	if (sqlite3_prepare_v2(store_db(), "SELECT 1 FROM \"User\" LIMIT 1", -1, &s, NULL) == SQLITE_OK)
		empty = sqlite3_step(s) != SQLITE_ROW;
	sqlite3_finalize(s);
	store_unlock();
	return empty;
}

static void
open_org(bool seed_given)
{
	schema_load(config.objects);
	store_open(config.data);
	if (config.data != NULL)
		bulk_result_folder(dirname(strdup(config.data)));
	if (config.data == NULL || seed_given || is_new())
	{
		bool known;

		store_lock();
		known = store_seed(config.seed);
		store_unlock();
		if (!known)
			usage("unknown seed \"%s\"", config.seed);
		if (!event_defaults())
			usage("%s", "no change events of an object that --events select=... names");
	}
	for (int i = 0; i < n_rules; i++)
		if (!rules_add(rule_lines[i]))
			usage("\"%s\" is no rule", rule_lines[i]);
	sessions_init();
	pagecache_init((size_t) config.page_cache_mb * 1024 * 1024);
}

int
main(int argc, char **argv)
{
	sigset_t ends;
	char *cert;
	char *key;
	int opt;
	int got;
	int port;
	bool seed_given = false;

	config = (Config){.host = "127.0.0.1",
					  .seed = "demo",
					  .session_seconds = 7200,
					  .locator_seconds = 172800,
					  .max_locators = 10,
					  .page_cache_mb = 512,
					  .gzip = true,
					  .chunked = true};
	while ((opt = getopt_long(argc, argv, "", all_options(), NULL)) != -1)
	{
		take(opt, optarg);
		seed_given |= opt == OPT_SEED;
	}
	if (optind < argc)
		usage("unexpected argument \"%s\"", argv[optind]);
	if ((config.tls_cert == NULL) != (config.tls_key == NULL))
		usage("%s", "--tls-cert and --tls-key belong together");

	org_keep();
	/* Blocked before any thread exists, so that only sigwait() below sees them. */
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGINT);
	pthread_sigmask(SIG_BLOCK, &ends, NULL);

	cert = read_file(config.tls_cert);
	key = read_file(config.tls_key);
	if (!jwt_load(config.jwt_cert))
		return 1;
	if (!reqlog_open(config.log))
	{
		perror(config.log);
		return 1;
	}
	open_org(seed_given);
	port = server_start(cert, key);
	if (port < 0)
		return 1;
	write_port(port);
	printf("ampsf-sandbox: http%s://%s:%d\n", cert ? "s" : "", config.host, port);
	fflush(stdout);

	sigwait(&ends, &got);
	stopping = true;
	server_stop();
	bulk_stop();
	store_lock();
	cursors_reset();
	store_unlock();
	pagecache_end();
	store_close();
	reqlog_close();
	fault_clear();
	sessions_end();
	jwt_end();
	free(cert);
	free(key);
	return 0;
}
