/*
 * error.c - Salesforce's errors as PostgreSQL's; see error.h.
 *
 * Owns: the table from error codes to SQLSTATE and advice, the reading of error bodies, and the
 * filter through which all remote text goes.  Must not know: who called, and why.
 */
#include "base/error.h"

#include "base/login_error.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/memutils.h"
#include "wire/json_doc.h"
#include "wire/text.h"

#define DETAIL_MAX 512
#define SOQL_MAX 4000

typedef struct ErrorRule
{
	const char *code;	 /* NULL: any */
	const char *message; /* a part of it, without case; NULL: any */
	int sqlstate;
	bool transient;
	const char *hint;
} ErrorRule;

#define HINT_LOGIN "Check the options of the user mapping."
#define HINT_COMPARE                                                                               \
	"The field was removed, renamed, or is hidden from this user: ampsf.check_access() of the "    \
	"foreign table tells which."

#define HINT_BULK_LIMIT                                                                            \
	"See ampsf.limits(server). Until the limit is free again, transport 'rest' reads without "     \
	"Bulk jobs."

#define HINT_UNIT                                                                                  \
	"Check the server's options \"business_unit_id\" and \"engagement_url\": business units of "   \
	"sandboxes and "                                                                               \
	"developer orgs are reached at https://pi.demo.pardot.com."
#define HINT_ENGAGEMENT_FIELD                                                                      \
	"The object has no such field, or this user may not see or write it: drop the column, or "     \
	"mend its option \"field\"."

/* The first rule that fits counts: those with a message come before those without. */
static const ErrorRule rules[] = {
	/* who may do what */
	{"INVALID_SESSION_ID", NULL, ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION, false,
	 "The session has ended and could not be renewed. Check that the user may use the API, and the "
	 "options of the user mapping."},
	{"INVALID_AUTH_HEADER", NULL, ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION, false, HINT_LOGIN},
	{"INVALID_LOGIN", NULL, ERRCODE_INVALID_PASSWORD, false, HINT_LOGIN},
	{"API_DISABLED_FOR_ORG", NULL, ERRCODE_INSUFFICIENT_PRIVILEGE, false,
	 "The org's edition has no API access, or the user lacks the permission \"API Enabled\"."},
	{"API_CURRENTLY_DISABLED", NULL, ERRCODE_INSUFFICIENT_PRIVILEGE, false,
	 "The API is switched off for this org or user."},
	{"INSUFFICIENT_ACCESS", NULL, ERRCODE_INSUFFICIENT_PRIVILEGE, false, NULL},
	{"INSUFFICIENT_ACCESS_OR_READONLY", NULL, ERRCODE_INSUFFICIENT_PRIVILEGE, false, NULL},
	{"INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY", NULL, ERRCODE_INSUFFICIENT_PRIVILEGE, false,
	 NULL},
	{"CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", NULL, ERRCODE_TRIGGERED_ACTION_EXCEPTION, false, NULL},
	{"FUNCTIONALITY_NOT_ENABLED", NULL, ERRCODE_FEATURE_NOT_SUPPORTED, false, NULL},

	/* limits and load */
	{"REQUEST_LIMIT_EXCEEDED", "TotalRequests", ERRCODE_CONFIGURATION_LIMIT_EXCEEDED, false,
	 "The org has used up its API calls of the last 24 hours. Wait, or read less: fewer and more "
	 "selective queries, a materialized view."},
	{"REQUEST_LIMIT_EXCEEDED", "Concurrent", ERRCODE_CONFIGURATION_LIMIT_EXCEEDED, true,
	 "Too many long-running requests at once: run fewer in parallel."},
	{"REQUEST_LIMIT_EXCEEDED", NULL, ERRCODE_CONFIGURATION_LIMIT_EXCEEDED, false,
	 "See ampsf.limits(server)."},
	{"EXCEEDEDQUOTA", NULL, ERRCODE_CONFIGURATION_LIMIT_EXCEEDED, false, HINT_BULK_LIMIT},
	{"LIMIT_EXCEEDED", "bulk", ERRCODE_CONFIGURATION_LIMIT_EXCEEDED, false, HINT_BULK_LIMIT},
	{"STORAGE_LIMIT_EXCEEDED", NULL, ERRCODE_DISK_FULL, false, NULL},
	{"SERVER_UNAVAILABLE", NULL, ERRCODE_FDW_UNABLE_TO_ESTABLISH_CONNECTION, true, NULL},
	{"UNABLE_TO_LOCK_ROW", NULL, ERRCODE_LOCK_NOT_AVAILABLE, true,
	 "Another session is writing this record or its parent; run the statement again."},
	{"QUERY_TIMEOUT", NULL, ERRCODE_QUERY_CANCELED, false,
	 "Filter by an indexed field (Id, a reference, SystemModstamp, an external id), or read fewer "
	 "rows "
	 "at a time."},
	{"OPERATION_TOO_LARGE", NULL, ERRCODE_PROGRAM_LIMIT_EXCEEDED, false,
	 "Read fewer rows at a time."},
	{"QUERY_TOO_COMPLICATED", NULL, ERRCODE_STATEMENT_TOO_COMPLEX, false,
	 "Select fewer formula fields, or fewer conditions."},
	{"EXCEEDED_ID_LIMIT", NULL, ERRCODE_PROGRAM_LIMIT_EXCEEDED, false, NULL},
	{"NUMBER_OUTSIDE_VALID_RANGE", NULL, ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE, false, NULL},

	/* queries */
	{"INVALID_FIELD", "can not be filtered", ERRCODE_FDW_ERROR, false,
	 "Tell the planner: ALTER FOREIGN TABLE ... ALTER COLUMN ... OPTIONS (ADD filterable "
	 "'false')."},
	{"INVALID_FIELD", "can not be sorted", ERRCODE_FDW_ERROR, false,
	 "Tell the planner: ALTER FOREIGN TABLE ... ALTER COLUMN ... OPTIONS (ADD sortable 'false')."},
	{"INVALID_FIELD", "can not be grouped", ERRCODE_FDW_ERROR, false,
	 "Tell the planner: ALTER FOREIGN TABLE ... ALTER COLUMN ... OPTIONS (ADD groupable 'false')."},
	{"INVALID_FIELD", "foreign key external id", ERRCODE_FOREIGN_KEY_VIOLATION, false,
	 "No parent has that external id, or none that this user may see."},
	{"INVALID_FIELD", NULL, ERRCODE_FDW_COLUMN_NAME_NOT_FOUND, false, HINT_COMPARE},
	{"INVALID_FIELD_FOR_INSERT_UPDATE", NULL, ERRCODE_INSUFFICIENT_PRIVILEGE, false,
	 "The field is read-only, or read-only for this user."},
	{"INVALID_TYPE", NULL, ERRCODE_FDW_TABLE_NOT_FOUND, false,
	 "The object was removed, renamed, or is hidden from this user: ampsf.check_access() of the "
	 "server tells which."},
	{"MALFORMED_QUERY", NULL, ERRCODE_INTERNAL_ERROR, false, NULL},
	{"INVALID_QUERY_FILTER_OPERATOR", NULL, ERRCODE_FDW_ERROR, false, NULL},
	{"INVALID_QUERY_LOCATOR", NULL, ERRCODE_FDW_ERROR, false,
	 "Salesforce dropped the result while it was being read: it keeps few open results per user, "
	 "and not "
	 "for long. Run the query again, with fewer in parallel, or read by transport 'bulk', whose "
	 "results stay for days."},
	{"INVALIDENTITY", NULL, ERRCODE_FEATURE_NOT_SUPPORTED, false,
	 "Read this object with transport 'rest' or 'auto', and write it with write_transport "
	 "'collections' or 'auto'."},
	{"API_VERSION_NOT_SUPPORTED", NULL, ERRCODE_FEATURE_NOT_SUPPORTED, false,
	 "Set option \"api_version\" of the server."},
	{"UNSUPPORTED_API_VERSION", NULL, ERRCODE_FEATURE_NOT_SUPPORTED, false,
	 "Set option \"api_version\" of the server."},

	/* rows */
	{"DUPLICATE_VALUE", NULL, ERRCODE_UNIQUE_VIOLATION, false, NULL},
	{"DUPLICATES_DETECTED", NULL, ERRCODE_UNIQUE_VIOLATION, false,
	 "A duplicate rule of the org refuses the record."},
	{"DUPLICATE_EXTERNAL_ID", NULL, ERRCODE_UNIQUE_VIOLATION, false, NULL},
	{"REQUIRED_FIELD_MISSING", NULL, ERRCODE_NOT_NULL_VIOLATION, false, NULL},
	{"FIELD_CUSTOM_VALIDATION_EXCEPTION", NULL, ERRCODE_CHECK_VIOLATION, false,
	 "A validation rule of the org refuses the record."},
	{"INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", NULL, ERRCODE_CHECK_VIOLATION, false,
	 "The picklist is restricted to its active values."},
	{"FIELD_INTEGRITY_EXCEPTION", NULL, ERRCODE_FOREIGN_KEY_VIOLATION, false, NULL},
	{"INVALID_CROSS_REFERENCE_KEY", NULL, ERRCODE_FOREIGN_KEY_VIOLATION, false, NULL},
	{"DELETE_FAILED", NULL, ERRCODE_FOREIGN_KEY_VIOLATION, false, NULL},
	{"STRING_TOO_LONG", NULL, ERRCODE_STRING_DATA_RIGHT_TRUNCATION, false, NULL},
	{"NUMBER_OUTSIDE_RANGE", NULL, ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE, false, NULL},
	{"INVALID_EMAIL_ADDRESS", NULL, ERRCODE_CHECK_VIOLATION, false, NULL},
	{"MALFORMED_ID", NULL, ERRCODE_INVALID_TEXT_REPRESENTATION, false, NULL},
	{"INVALID_ID_FIELD", NULL, ERRCODE_INVALID_TEXT_REPRESENTATION, false, NULL},
	{"JSON_PARSER_ERROR", NULL, ERRCODE_INVALID_TEXT_REPRESENTATION, false, NULL},
	{"CANNOT_EXECUTE_FLOW_TRIGGER", NULL, ERRCODE_TRIGGERED_ACTION_EXCEPTION, false, NULL},
	{"ENTITY_IS_DELETED", NULL, ERRCODE_NO_DATA_FOUND, false, NULL},
	{"ENTITY_IS_LOCKED", NULL, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, false,
	 "The record is locked by an approval process."},
	{"NOT_FOUND", NULL, ERRCODE_NO_DATA_FOUND, false, NULL},

	/* Account Engagement */
	{"66", NULL, ERRCODE_CONFIGURATION_LIMIT_EXCEEDED, true,
	 "Account Engagement takes five calls of a business unit at once; others than this cluster "
	 "call too."},
	{"122", NULL, ERRCODE_CONFIGURATION_LIMIT_EXCEEDED, false,
	 "The business unit has used up its API calls of the day; the next begins in the account's "
	 "time zone. See "
	 "ampsf.limits(server)."},
	{"202", NULL, ERRCODE_CONFIGURATION_LIMIT_EXCEEDED, true, NULL},
	{"183", NULL, ERRCODE_FDW_ERROR, true, NULL},
	{"214", NULL, ERRCODE_QUERY_CANCELED, false, "Read fewer rows, or fewer fields, at a time."},
	{"181", NULL, ERRCODE_FDW_ERROR, false, HINT_UNIT},
	{"182", NULL, ERRCODE_FDW_ERROR, false, HINT_UNIT},
	{"201", NULL, ERRCODE_FDW_ERROR, false, HINT_UNIT},
	{"184", NULL, ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION, false,
	 "The app's OAuth scopes must include \"Manage Pardot services (pardot_api)\", and the user "
	 "must be one of the "
	 "business unit's."},
	{"46", NULL, ERRCODE_INSUFFICIENT_PRIVILEGE, false, NULL},
	{"49", NULL, ERRCODE_INSUFFICIENT_PRIVILEGE, false, NULL},
	{"60", NULL, ERRCODE_FEATURE_NOT_SUPPORTED, false, NULL},
	{"109", NULL, ERRCODE_NO_DATA_FOUND, false, NULL},
	{"192", NULL, ERRCODE_NO_DATA_FOUND, false, NULL},
	{"198", NULL, ERRCODE_FDW_TABLE_NOT_FOUND, false, NULL},
	{"219", NULL, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, false, NULL},
	{"108", NULL, ERRCODE_FOREIGN_KEY_VIOLATION, false, NULL},
	{"9", NULL, ERRCODE_UNIQUE_VIOLATION, false, NULL},
	{"54", NULL, ERRCODE_UNIQUE_VIOLATION, false, NULL},
	{"4", NULL, ERRCODE_CHECK_VIOLATION, false, NULL},
	{"153", NULL, ERRCODE_NOT_NULL_VIOLATION, false, NULL},
	{"154", NULL, ERRCODE_CHECK_VIOLATION, false, NULL},
	{"180", NULL, ERRCODE_FDW_COLUMN_NAME_NOT_FOUND, false, HINT_ENGAGEMENT_FIELD},
	{"224", NULL, ERRCODE_FDW_COLUMN_NAME_NOT_FOUND, false,
	 "Account Engagement gives the field of single records only: drop the column."},
	{"210", NULL, ERRCODE_FDW_ERROR, false,
	 "The result was read for more than four hours. Read fewer rows at a time."},
	{"211", NULL, ERRCODE_FDW_ERROR, false, NULL},
	{NULL, NULL, 0, false, NULL}};

static const ErrorRule *
find_rule(const AmpsfApiError *err)
{
	if (!err->code)
		return NULL;
	for (const ErrorRule *r = rules; r->code; r++)
		if (strcmp(r->code, err->code) == 0 &&
			(!r->message || ampsf_text_contains(err->message, r->message)))
			return r;
	return NULL;
}

int
ampsf_error_sqlstate(const AmpsfApiError *err)
{
	const ErrorRule *rule = find_rule(err);
	const AmpsfLoginError *login = ampsf_login_error(err->code, err->message);

	if (login)
		return login->sqlstate;
	if (rule)
		return rule->sqlstate;
	if (err->http >= 500 || err->http == 420)
		return ERRCODE_FDW_UNABLE_TO_ESTABLISH_CONNECTION;
	switch (err->http)
	{
		case 401:
			return ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION;
		case 403:
			return ERRCODE_INSUFFICIENT_PRIVILEGE;
		case 404:
		case 410:
			return ERRCODE_NO_DATA_FOUND;
		case 414:
		case 431:
			return ERRCODE_PROGRAM_LIMIT_EXCEEDED;
		case 429:
			return ERRCODE_CONFIGURATION_LIMIT_EXCEEDED;
		default:
			return ERRCODE_FDW_ERROR;
	}
}

/* Of what Ampersand's hosts say themselves. */
static const char *
ampersand_hint(int status)
{
	switch (status)
	{
		case 400:
		case 404:
			return "Check the server's options \"project\", \"integration\", \"group_ref\" and "
				   "\"installation_id\" against Ampersand's dashboard, and the integration's "
				   "amp.yaml.";
		case 401:
			return "Check the user mapping's option \"api_key\", and the state of the connection "
				   "in Ampersand's "
				   "dashboard.";
		case 403:
			return "The integration's amp.yaml must have proxy: enabled: true; see "
				   "ampsf.manifest(schema).";
		default:
			return NULL;
	}
}

const char *
ampsf_error_hint(const AmpsfApiError *err)
{
	const ErrorRule *rule = find_rule(err);
	const AmpsfLoginError *login = ampsf_login_error(err->code, err->message);

	if (login)
		return psprintf("%s %s", login->cause, login->cure);
	if (rule)
		return rule->hint;
	if (err->from)
		return ampersand_hint(err->http);
	switch (err->http)
	{
		case 301:
		case 302:
		case 307:
		case 308:
			return "The org may have moved: check the server's option \"workspace\" or "
				   "\"instance_url\".";
		case 401:
			return HINT_LOGIN;
		case 404:
			return "Check the server's option \"api_version\", and that it is the address of an "
				   "org.";
		case 420:
			return "No org is known under this host: check the server's option \"workspace\" or "
				   "\"instance_url\".";
		case 502:
		case 503:
		case 504:
			return "Salesforce is overloaded or under maintenance: see "
				   "https://status.salesforce.com.";
		default:
			return NULL;
	}
}

bool
ampsf_error_is_transient(const AmpsfApiError *err)
{
	const ErrorRule *rule = find_rule(err);

	return (rule && rule->transient) || err->http == 429 || err->http == 500 || err->http == 502 ||
		   err->http == 503 || err->http == 504;
}

/* -------- reading a body -------- */

static const char *
copy_or_null(const char *s)
{
	return s ? pstrdup(s) : NULL;
}

/* Without tags and runs of white space: the words of an error page. */
static char *
words_of(const char *body, size_t len)
{
	StringInfoData buf;
	bool tag = false, space = false;

	initStringInfo(&buf);
	for (size_t i = 0; i < len && buf.len < DETAIL_MAX * 2; i++)
	{
		if (body[i] == '<')
			tag = true;
		else if (body[i] == '>' && tag)
			tag = false, space = true;
		else if (tag)
			continue;
		else if (strchr(" \t\r\n", body[i]) != NULL) /* NUL as well */
			space = true;
		else
		{
			if (space && buf.len > 0)
				appendStringInfoChar(&buf, ' ');
			space = false;
			appendStringInfoChar(&buf, body[i]);
		}
	}
	return buf.data;
}

static const char *
read_fields(AmpsfJson *list)
{
	StringInfoData buf;

	if (!list || !ampsf_json_is_array(list) || ampsf_json_array_length(list) == 0)
		return NULL;
	initStringInfo(&buf);
	for (int i = 0; i < ampsf_json_array_length(list); i++)
	{
		AmpsfJson *item = ampsf_json_array_get(list, i);
		const char *name = item ? ampsf_json_text(item) : NULL;

		if (name)
			appendStringInfo(&buf, "%s%s", buf.len ? "," : "", name);
	}
	return buf.data;
}

void
ampsf_error_parse(int http, const char *body, size_t len, AmpsfApiError *err)
{
	MemoryContext cxt =
		AllocSetContextCreate(CurrentMemoryContext, "ampsf error", ALLOCSET_SMALL_SIZES);
	AmpsfJson *doc = ampsf_json_parse(body, len, cxt);

	memset(err, 0, sizeof(*err));
	err->http = http;
	if (doc && ampsf_json_is_array(doc))
		doc = ampsf_json_array_length(doc) > 0 ? ampsf_json_array_get(doc, 0) : NULL;
	if (doc && ampsf_json_is_object(doc))
	{
		const char *code = ampsf_json_string(doc, "errorCode");
		const char *message = ampsf_json_string(doc, "message");

		/* Rows of a collection say statusCode, the OAuth endpoints error. */
		code = code ? code : ampsf_json_string(doc, "statusCode");
		code = code ? code : ampsf_json_string(doc, "error");
		/* Account Engagement has numbers. */
		code = code ? code : ampsf_json_string(doc, "code");
		message = message ? message : ampsf_json_string(doc, "error_description");
		/* RFC 9457, as Ampersand has it. */
		if (!code && !message && ampsf_json_get(doc, "status") && ampsf_json_get(doc, "title"))
		{
			message = ampsf_json_string(doc, "detail");
			message = message ? message : ampsf_json_string(doc, "title");
			err->from = "Ampersand";
		}
		err->code = copy_or_null(code);
		err->message = copy_or_null(message);
		err->fields = read_fields(ampsf_json_get(doc, "fields"));
	}
	if (!err->code && !err->message)
		err->message = words_of(body, len);
	MemoryContextDelete(cxt);
}

/* -------- the filter -------- */

static bool
is_token_char(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
		   c == '_' || c == '-' || c == '!' || c == '~' || c == '+' || c == '/' || c == '=' ||
		   c == '%';
}

static bool
is_word_char(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static size_t
token_length(const char *s, size_t len)
{
	size_t n = 0;

	while (n < len && is_token_char(s[n]))
		n++;
	return n;
}

/*
 * A name of something secret with its value at s: "access_token":"...", client_secret=...,
 * Authorization: Bearer ....  Sets *head to the part that stays; returns the whole length, 0 if
 * none.
 */
static size_t
match_named(const char *s, size_t len, size_t *head)
{
	static const char *const names[] = {
		"access_token",	 "refresh_token",  "client_secret", "api_key",
		"x-api-key",	 "webhook_secret", "assertion",		"client_assertion",
		"code_verifier", "id_token",	   "password",		"sessionid",
		"session_id",	 "authorization",  "sid",			NULL};
	size_t n = 0, value;
	char quote = 0;

	for (const char *const *name = names; *name && n == 0; name++)
		if (strlen(*name) < len && pg_strncasecmp(s, *name, strlen(*name)) == 0)
			n = strlen(*name);
	if (n == 0)
		return 0;
	/* A quote here may be escaped: JSON within JSON. */
	while (n < len && (s[n] == '"' || s[n] == '\'' || s[n] == '\\' || s[n] == ' '))
		n++;
	if (n >= len || (s[n] != '=' && s[n] != ':'))
		return 0;
	n++;
	while (n < len && (s[n] == '"' || s[n] == '\'' || s[n] == '\\' || s[n] == ' '))
	{
		if (s[n] == '"' || s[n] == '\'')
			quote = s[n];
		n++;
	}
	for (size_t k = 0; k < 2; k++)
	{
		static const char *const schemes[] = {"Bearer ", "OAuth "};
		size_t l = strlen(schemes[k]);

		if (len - n > l && pg_strncasecmp(s + n, schemes[k], l) == 0)
			n += l;
	}
	*head = n;
	value = n;
	if (quote)
		while (value < len && s[value] != quote && s[value] != '\\')
			value++;
	else
		while (value < len && strchr(" \t\r\n&;,\"'<>}", s[value]) == NULL)
			value++;
	return value > n ? value : 0;
}

/* Something that is a secret by its looks: a session id, a JWT, a refresh token, what follows
 * Bearer. */
static size_t
match_token(const char *s, size_t len, size_t *head)
{
	size_t n = token_length(s, len);

	*head = 0;
	if (n > 18 && strncmp(s, "00D", 3) == 0 && (s[15] == '!' || s[18] == '!'))
		return n;
	/* In a URL the exclamation mark may be encoded. */
	if (n > 20 && strncmp(s, "00D", 3) == 0 &&
		(strncmp(s + 15, "%21", 3) == 0 || strncmp(s + 18, "%21", 3) == 0))
		return n;
	if (n > 24 && (strncmp(s, "eyJ", 3) == 0 || strncmp(s, "5Aep861", 7) == 0))
		return n;
	if (n > 12 && strncmp(s, "whsec_", 6) == 0)
		return n;
	if (len > 7 && pg_strncasecmp(s, "bearer ", 7) == 0)
	{
		n = token_length(s + 7, len - 7);
		*head = 7;
		/* Not the words of a sentence. */
		return n >= 12 ? n + 7 : 0;
	}
	return 0;
}

char *
ampsf_clean_text(const char *s, size_t len)
{
	StringInfoData buf;
	bool utf8 = GetDatabaseEncoding() == PG_UTF8 && pg_verify_mbstr(PG_UTF8, s, len, true);
	bool word_begins = true;

	initStringInfo(&buf);
	for (size_t i = 0; i < len && buf.len <= DETAIL_MAX;)
	{
		unsigned char c = s[i];
		size_t head = 0, n = 0;

		if (word_begins)
		{
			n = match_named(s + i, len - i, &head);
			n = n ? n : match_token(s + i, len - i, &head);
		}
		if (n > 0)
		{
			for (size_t k = 0; k < head; k++)
				appendStringInfoChar(&buf, isprint((unsigned char) s[i + k]) ? s[i + k] : ' ');
			appendStringInfoString(&buf, "<redacted>");
			i += n;
			word_begins = false;
			continue;
		}
		word_begins = !is_word_char(c);
		if (c < 0x20 || c == 0x7f)
		{
			/* Salesforce marks the place of an error with line breaks; they would break the log
			 * line. */
			if (buf.len > 0 && buf.data[buf.len - 1] != ' ')
				appendStringInfoChar(&buf, ' ');
		}
		else
			appendStringInfoChar(&buf, c >= 0x80 && !utf8 ? '?' : (char) c);
		i++;
	}
	if (buf.len > DETAIL_MAX)
	{
		int keep = utf8 ? pg_mbcliplen(buf.data, buf.len, DETAIL_MAX - 3) : DETAIL_MAX - 3;

		buf.data[keep] = '\0';
		buf.len = keep;
		appendStringInfoString(&buf, "...");
	}
	while (buf.len > 0 && buf.data[buf.len - 1] == ' ')
		buf.data[--buf.len] = '\0';
	return buf.data;
}

void
ampsf_error_throw(const AmpsfApiError *err, const char *what, const char *soql)
{
	const char *hint = ampsf_error_hint(err);
	char *message =
		err->message ? ampsf_clean_text(err->message, strlen(err->message)) : pstrdup("");
	char *code = err->code ? ampsf_clean_text(err->code, strlen(err->code)) : NULL;
	char *fields = err->fields ? ampsf_clean_text(err->fields, strlen(err->fields)) : NULL;
	StringInfoData detail;

	initStringInfo(&detail);
	if (code)
		appendStringInfo(&detail, "Salesforce says %s", code);
	else if (err->http)
		appendStringInfo(&detail, "%s answered with status %d",
						 err->from ? err->from : "Salesforce", err->http);
	else
		appendStringInfoString(&detail, "Salesforce refused it");
	if (*message)
		appendStringInfo(&detail, ": %s", message);
	if (fields)
		appendStringInfo(&detail, " [fields: %s]", fields);

	ereport(
		ERROR,
		(errcode(ampsf_error_sqlstate(err)), errmsg("could not %s", what),
		 errdetail_internal("%s", detail.data), hint ? errhint("%s", hint) : 0,
		 soql ? errcontext("SOQL: %.*s", pg_mbcliplen(soql, strlen(soql), SOQL_MAX), soql) : 0));
	pg_unreachable();
}
