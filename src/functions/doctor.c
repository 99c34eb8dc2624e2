/*
 * doctor.c - ampsf.doctor(): walks the way from the options to the org's rows, and says at which
 * step it ends and what to do there.
 *
 * Whatever is wrong on the way becomes a row, not an error; only cancel and shutdown are passed on.
 * Must not know: secrets.  What it prints comes from options that everyone may read, and from
 * errors that have been cleaned on the floors below.
 */
#include "postgres.h"

#include "fmgr.h"
#include "commands/defrem.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/ampsf.h"
#include "base/options.h"
#include "functions/check_access.h"
#include "functions/server_arg.h"
#include "net/hosts.h"
#include "net/http.h"
#include "org/describe.h"
#include "org/engagement_objects.h"
#include "org/json_call.h"
#include "org/limits.h"

/* A JWT is good for some minutes, and change stamps are compared with the local clock. */
#define SKEW_WARNING_SECONDS 60
/* Below this share of the daily calls the quota is worth a word. */
#define QUOTA_WARNING_PERCENT 10

PG_FUNCTION_INFO_V1(ampsf_sql_doctor);

typedef enum Status
{
	DOCTOR_OK,
	DOCTOR_WARNING,
	DOCTOR_FAILED,
	DOCTOR_SKIPPED
} Status;

typedef struct Doctor
{
	ReturnSetInfo *rsinfo;
	ForeignServer *server;
	AmpsfSession *session;
	MemoryContext cxt; /* of everything that the steps leave to one another */
	bool blocked;	   /* a step failed without which the next make no sense */

	/* what GET /services/data/ brought, which needs no login */
	AmpsfHttpFailure reach;
	char *reach_text;
	int reach_status;
	AmpsfJson *versions; /* NULL: no list of versions */
	char *date;			 /* of the answer, or NULL */
	TimestampTz date_seen;

	/* of the step at hand */
	Status status;
	const char *detail;
	const char *advice;
} Doctor;

typedef void (*StepFunction)(Doctor *d);

static void
put_row(Doctor *d, const char *step)
{
	static const char *const names[] = {"ok", "warning", "failed", "skipped"};
	Datum values[4];
	bool nulls[4] = {false};

	values[0] = CStringGetTextDatum(step);
	values[1] = CStringGetTextDatum(names[d->status]);
	nulls[2] = d->detail == NULL;
	values[2] = d->detail ? CStringGetTextDatum(d->detail) : (Datum) 0;
	nulls[3] = d->advice == NULL;
	values[3] = d->advice ? CStringGetTextDatum(d->advice) : (Datum) 0;
	tuplestore_putvalues(d->rsinfo->setResult, d->rsinfo->setDesc, values, nulls);
}

/*
 * Runs a step and writes its row.  An error in it is its result.  Nothing that a step does holds
 * locks or buffers when it fails: it reads catalogs through caches and talks to the network, so no
 * subtransaction is needed to clean up.  needed: without success here, the following are skipped.
 * advice: for an error that brings none of its own.
 */
static void
run_step(Doctor *d, const char *step, StepFunction function, bool needed, const char *advice)
{
	MemoryContext old = CurrentMemoryContext;

	d->status = DOCTOR_SKIPPED;
	d->detail = d->advice = NULL;
	if (!d->blocked)
	{
		d->status = DOCTOR_OK;
		PG_TRY();
		{
			function(d);
		}
		PG_CATCH();
		{
			ErrorData *error;

			MemoryContextSwitchTo(d->cxt);
			error = CopyErrorData();
			FlushErrorState();
			/* Cancel, timeout, shutdown; and want of memory, after which nothing is certain. */
			if (ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_OPERATOR_INTERVENTION ||
				error->sqlerrcode == ERRCODE_OUT_OF_MEMORY || error->elevel > ERROR)
				ReThrowError(error);
			d->status = DOCTOR_FAILED;
			d->detail =
				error->detail ? psprintf("%s: %s", error->message, error->detail) : error->message;
			d->advice = error->hint ? error->hint : d->advice ? d->advice : advice;
		}
		PG_END_TRY();
		MemoryContextSwitchTo(old);
		d->blocked = needed && d->status == DOCTOR_FAILED;
	}
	put_row(d, step);
}

static void
fail_step(Doctor *d, Status status, const char *detail, const char *advice)
{
	d->status = status;
	d->detail = detail;
	d->advice = advice;
}

static void
step_options(Doctor *d)
{
	AmpsfServerOptions *options = ampsf_server_options(d->server);

	ampsf_host_check(options->instance_url, "the server's address");
	d->detail = psprintf("%s, API %s", options->instance_url, options->api_version);
}

static void
step_user_mapping(Doctor *d)
{
	/* For the error; what is wrong within a mapping brings its own hint. */
	d->advice = psprintf("CREATE USER MAPPING FOR %s SERVER %s OPTIONS (%s)",
						 quote_identifier(GetUserNameFromId(GetUserId(), false)),
						 quote_identifier(d->server->servername),
						 ampsf_server_options(d->server)->ampersand
							 ? "api_key '...'"
							 : "client_id '...', client_secret '...'");
	d->session = ampsf_session_get(d->server->serverid, GetUserId());
	d->detail = psprintf("%s for user \"%s\"", ampsf_session_login_kind(d->session),
						 GetUserNameFromId(GetUserId(), false));
	d->advice = NULL;
}

/* GET /services/data/ without a login; what came of it is for the next steps to judge. */
static void
reach(Doctor *d)
{
	const AmpsfServerOptions *options = ampsf_session_options(d->session);
	AmpsfHttpSpec spec = {0};
	AmpsfHttp *request;
	static const char *const headers[] = {"Accept: application/json", NULL};

	spec.method = "GET";
	spec.url = psprintf("%s/services/data/", options->instance_url);
	spec.headers = headers;
	spec.ca_file = options->ca_file;
	spec.connect_timeout = options->connect_timeout;
	spec.request_timeout = options->request_timeout;
	spec.max_response = options->max_response;
	spec.replayable = true;

	request = ampsf_http_start(&spec, d->cxt);
	while (!ampsf_http_done(request))
	{
		ampsf_http_sleep();
		ampsf_http_drive();
	}
	d->date_seen = GetCurrentTimestamp();
	d->reach = ampsf_http_failure(request);
	if (d->reach != AMPSF_HTTP_ANSWERED)
		d->reach_text = pstrdup(ampsf_http_failure_text(request));
	else
	{
		const char *date = ampsf_http_header(request, "Date");
		size_t len;
		const char *body = ampsf_http_body(request, &len);

		d->reach_status = ampsf_http_status(request);
		d->date = date ? pstrdup(date) : NULL;
		d->versions = ampsf_json_parse(body, len, d->cxt);
		if (d->reach_status != 200 || !ampsf_json_is_array(d->versions))
			d->versions = NULL;
	}
	ampsf_http_free(request);
}

/* libcurl's words for it: "Could not resolve host: ...", "Resolving timed out after ..." */
static bool
is_name_failure(const Doctor *d)
{
	return d->reach == AMPSF_HTTP_UNREACHABLE &&
		   (strstr(d->reach_text, "resolve") || strstr(d->reach_text, "Resolving"));
}

/* The host of a URL scheme://host[:port]. */
static char *
host_of(const char *url)
{
	const char *host = strstr(url, "://");

	host = host ? host + 3 : url;
	return pnstrdup(host, *host == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":/"));
}

static void
step_name_resolution(Doctor *d)
{
	const AmpsfServerOptions *options = ampsf_session_options(d->session);

	reach(d);
	if (!is_name_failure(d))
		d->detail = host_of(options->instance_url);
	else if (options->ampersand)
		fail_step(
			d, DOCTOR_FAILED, d->reach_text,
			"Check the DNS of the database server, and the server's option proxy_url where it "
			"is set.");
	else
		fail_step(d, DOCTOR_FAILED, d->reach_text,
				  "Check the workspace or instance_url of the server, and the DNS of the database "
				  "server. The My Domain name is shown in Salesforce under Setup, My Domain.");
}

static void
step_connection(Doctor *d)
{
	static const char tls_advice[] = "Is the package ca-certificates installed and current? Behind "
									 "a proxy that opens TLS, name its "
									 "certificate with the server option ca_file.";
	bool tls = pg_strncasecmp(ampsf_session_options(d->session)->instance_url, "https:", 6) == 0;

	switch (d->reach)
	{
		case AMPSF_HTTP_ANSWERED:
			d->detail =
				tls ? "https, certificate trusted" : "plain http on this machine, for tests only";
			return;
		case AMPSF_HTTP_TLS:
			fail_step(d, DOCTOR_FAILED, d->reach_text, tls_advice);
			return;
		case AMPSF_HTTP_UNREACHABLE:
			/* A handshake that failed half-way counts as unreachable, for it may be worth
			 * repeating. */
			if (strstr(d->reach_text, "SSL") || strstr(d->reach_text, "TLS"))
				fail_step(d, DOCTOR_FAILED, d->reach_text, tls_advice);
			else
				fail_step(d, DOCTOR_FAILED, d->reach_text,
						  "The database server itself must be able to reach the org: check its "
						  "firewall, its route, and https_proxy in its environment.");
			return;
		default:
			fail_step(
				d, DOCTOR_FAILED, d->reach_text,
				"The connection was made, but no whole answer came. Try again; if it stays so, "
				"look for a proxy between this server and Salesforce.");
	}
}

static void
step_login(Doctor *d)
{
	ampsf_session_login(d->session);
	d->detail = psprintf("%s at %s", ampsf_session_login_kind(d->session),
						 ampsf_session_instance_url(d->session));
}

static bool
has_option(const ForeignServer *server, const char *name)
{
	ListCell *lc;

	foreach (lc, server->options)
		if (strcmp(lfirst_node(DefElem, lc)->defname, name) == 0)
			return true;
	return false;
}

static void
step_api_version(Doctor *d)
{
	const char *wanted = ampsf_session_version(d->session);
	const char *latest = NULL;
	bool offered = false;
	int n;

	/* Ampersand's proxy lets nobody through without a key; and to one module's host only. */
	if (ampsf_session_options(d->session)->ampersand)
	{
		if (ampsf_session_options(d->session)->engagement)
		{
			d->detail = psprintf("%s, not compared with the org's", wanted);
			return;
		}
		d->versions = ampsf_json_call(d->session, "/services/data/", NULL,
									  "ask for the API versions", d->cxt);
	}
	n = ampsf_json_array_length(d->versions);
	for (int i = 0; i < n; i++)
	{
		const char *version = ampsf_json_string(ampsf_json_array_get(d->versions, i), "version");

		if (version == NULL)
			continue;
		offered |= strcmp(version, wanted) == 0;
		if (latest == NULL || atof(version) > atof(latest))
			latest = version;
	}
	if (latest == NULL)
		fail_step(d, DOCTOR_FAILED,
				  psprintf("%s did not list its API versions (status %d)",
						   ampsf_session_options(d->session)->instance_url, d->reach_status),
				  "Is this the address of a Salesforce org? It has the form "
				  "https://mydomain.my.salesforce.com.");
	else if (!offered)
		fail_step(d, DOCTOR_FAILED, psprintf("%s is not offered, the latest is %s", wanted, latest),
				  psprintf("ALTER SERVER %s OPTIONS (%s api_version '%s')",
						   quote_identifier(d->server->servername),
						   has_option(d->server, "api_version") ? "SET" : "ADD", latest));
	else
		d->detail = psprintf("%s (the org offers up to %s)", wanted, latest);
}

static void
step_quota(Doctor *d)
{
	AmpsfJson *daily = ampsf_json_get(ampsf_limits_fetch(d->session), "DailyApiRequests");
	int64 max = ampsf_json_int(daily, "Max", -1);
	int64 remaining = ampsf_json_int(daily, "Remaining", -1);

	if (max <= 0 || remaining < 0)
	{
		fail_step(d, DOCTOR_WARNING, "the org does not tell its daily API requests", NULL);
		return;
	}
	d->detail = psprintf(INT64_FORMAT " of " INT64_FORMAT " API requests left in these 24 hours",
						 remaining, max);
	if (remaining * 100 < max * QUOTA_WARNING_PERCENT)
	{
		d->status = DOCTOR_WARNING;
		d->advice = "Read less often, read more rows at a time, or find who else spends the quota: "
					"Salesforce, Setup, System Overview.";
	}
}

/*
 * A call to Account Engagement: host, scope, business unit, and what it has left of its own calls.
 */
static void
step_business_unit(Doctor *d)
{
	const AmpsfServerOptions *o = ampsf_session_options(d->session);
	int64 used, max;

	ampsf_engagement_quota(d->session, &used, &max);
	if (used < 0 || max <= 0)
	{
		fail_step(d, DOCTOR_WARNING, "Account Engagement does not tell its calls of a day", NULL);
		return;
	}
	d->detail = psprintf("%s at %s, " INT64_FORMAT " of " INT64_FORMAT " calls of the day left",
						 o->business_unit, o->engagement_url, Max(max - used, 0), max);
	if ((max - used) * 100 < max * QUOTA_WARNING_PERCENT)
	{
		d->status = DOCTOR_WARNING;
		d->advice =
			"Read less often, or by exports; the next day begins in the account's time zone.";
	}
}

static bool
is_engagement(const ForeignServer *server)
{
	ListCell *lc;

	foreach (lc, server->options)
	{
		DefElem *def = lfirst_node(DefElem, lc);

		if (strcmp(def->defname, "module") == 0)
			return strcmp(defGetString(def), "account_engagement") == 0;
	}
	return false;
}

static void
count_objects(AmpsfSession *session, int *visible, int *writable)
{
	ListCell *lc;

	*visible = *writable = 0;
	foreach (lc, ampsf_describe_global(session))
	{
		const AmpsfObject *object = lfirst(lc);

		*visible += object->queryable;
		*writable +=
			object->queryable && (object->createable || object->updateable || object->deletable);
	}
}

static void
step_objects_visible(Doctor *d)
{
	int visible;
	int writable;

	ampsf_describe_forget(d->session);
	count_objects(d->session, &visible, &writable);
	d->detail = psprintf("%d objects can be queried", visible);
	if (visible == 0)
		fail_step(
			d, DOCTOR_FAILED, d->detail,
			"Give the user that the app runs as a permission set with read access to objects.");
}

static void
step_objects_writable(Doctor *d)
{
	int visible;
	int writable;

	count_objects(d->session, &visible, &writable);
	d->detail = psprintf("%d objects can be written", writable);
	if (writable == 0)
		fail_step(
			d, DOCTOR_WARNING, d->detail,
			"The user may only read. To write, give it a permission set with create, edit and "
			"delete access.");
}

/* What nobody misses who has never seen it. */
static void
step_objects_hidden(Doctor *d)
{
	StringInfoData names;
	int known;
	int hidden;

	initStringInfo(&names);
	hidden = ampsf_hidden_objects(d->session, &names, &known);
	if (hidden < 0)
		fail_step(d, DOCTOR_SKIPPED, "the org does not tell this user what it keeps from it",
				  "The user needs the permission View Setup and Configuration to be told; nothing "
				  "else does.");
	else if (hidden == 0)
		d->detail = psprintf("none of the org's %d objects", known);
	else
	{
		d->detail = psprintf("%d of the org's %d objects: %s", hidden, known, names.data);
		d->advice = psprintf("SELECT * FROM ampsf.check_access(%s) lists them; for an object and "
							 "its fields, name it behind the server.",
							 quote_literal_cstr(d->server->servername));
	}
}

/* Date: Mon, 23 Nov 2026 22:24:41 GMT, as seconds since 1970; false if it is something else. */
static bool
parse_http_date(const char *s, int64 *seconds)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	char month[4];
	int day;
	int year;
	int hour;
	int minute;
	int second;
	const char *at;

	if (sscanf(s, "%*3s, %2d %3s %4d %2d:%2d:%2d GMT", &day, month, &year, &hour, &minute,
			   &second) != 6)
		return false;
	at = strstr(months, month);
	if (strlen(month) != 3 || at == NULL || (at - months) % 3 != 0)
		return false;
	*seconds =
		((int64) date2j(year, (int) (at - months) / 3 + 1, day) - UNIX_EPOCH_JDATE) * SECS_PER_DAY +
		hour * SECS_PER_HOUR + minute * SECS_PER_MINUTE + second;
	return true;
}

static void
step_clock(Doctor *d)
{
	int64 remote;
	int64 local = d->date_seen / USECS_PER_SEC +
				  (int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * SECS_PER_DAY;
	int64 skew;

	if (d->date == NULL || !parse_http_date(d->date, &remote))
	{
		fail_step(d, DOCTOR_SKIPPED, "the answer carries no date", NULL);
		return;
	}
	skew = local - remote;
	if (skew < 0 ? -skew <= SKEW_WARNING_SECONDS : skew <= SKEW_WARNING_SECONDS)
		d->detail = psprintf("within %d seconds of the org's", SKEW_WARNING_SECONDS);
	else
		fail_step(
			d, DOCTOR_WARNING,
			psprintf(INT64_FORMAT " seconds %s the org's", skew < 0 ? -skew : skew,
					 skew < 0 ? "behind" : "ahead of"),
			"Set the clock of the database server (NTP). JWT logins fail, and reads of what has "
			"changed since a moment miss rows, when clocks disagree.");
}

Datum
ampsf_sql_doctor(PG_FUNCTION_ARGS)
{
	static const struct
	{
		const char *name;
		StepFunction function;
		bool needed;
		const char *advice;
		const char *module; /* NULL: of every server */
	} steps[] = {
		{"options", step_options, true, "Correct the server's options with ALTER SERVER.", NULL},
		{"user mapping", step_user_mapping, true,
		 "CREATE USER MAPPING FOR CURRENT_USER SERVER ... OPTIONS (client_id '...', client_secret "
		 "'...')",
		 NULL},
		{"name resolution", step_name_resolution, true, NULL, NULL},
		{"connection", step_connection, true, NULL, NULL},
		{"clock", step_clock, false, NULL, NULL},
		{"API version", step_api_version, true, NULL, NULL},
		{"login", step_login, true,
		 "Compare the user mapping with the app in Salesforce: Setup, External Client App "
		 "Manager.",
		 NULL},
		{"API requests", step_quota, false,
		 "The user needs the permission View Setup and Configuration to see the limits; nothing "
		 "else "
		 "does.",
		 "crm"},
		{"objects visible", step_objects_visible, true, NULL, "crm"},
		{"objects writable", step_objects_writable, false, NULL, "crm"},
		{"objects hidden", step_objects_hidden, false, NULL, "crm"},
		{"business unit", step_business_unit, true,
		 "Compare business_unit_id and engagement_url with Setup, Business Unit Setup.",
		 "account_engagement"},
	};
	Doctor d = {0};
	const char *module;

	d.server = ampsf_server_arg(NameStr(*PG_GETARG_NAME(0)));
	InitMaterializedSRF(fcinfo, 0);
	d.rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	d.cxt = CurrentMemoryContext;
	module = is_engagement(d.server) ? "account_engagement" : "crm";
	for (size_t i = 0; i < lengthof(steps); i++)
		if (steps[i].module == NULL || strcmp(steps[i].module, module) == 0)
			run_step(&d, steps[i].name, steps[i].function, steps[i].needed, steps[i].advice);
	return (Datum) 0;
}
