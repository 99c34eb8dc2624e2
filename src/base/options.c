/*
 * options.c - the table of options, and the validator and readers made from it; see options.h.
 */
#include "base/ampsf.h"
#include "base/options.h"
#include "base/ampersand_options.h"
#include "base/guc.h"
#include "base/options_private.h"

#include "access/reloptions.h"
#include "access/table.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_foreign_table.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_type.h"
#include "catalog/pg_user_mapping.h"
#include "commands/defrem.h"
#include "fmgr.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/varlena.h"
#include "wire/sfid.h"
#include "wire/text.h"

/* So many Ids fit into the address of a query. */
#define AMPSF_LOOKUP_BATCH 400
#define AMPSF_ENGAGEMENT_URL "https://pi.pardot.com"

static const char *const module_values[] = {"crm", "account_engagement", NULL};

static const char *const connection_values[] = {"salesforce", "ampersand", NULL};

static const char *const write_via_values[] = {"proxy", "write_api", NULL};
static const char *const write_mode_values[] = {"sync", "async", NULL};
static const char *const transport_values[] = {"auto", "rest", "bulk", NULL};
static const char *const write_transport_values[] = {"auto", "collections", "bulk", NULL};
static const char *const on_error_values[] = {"abort", "continue", NULL};
static const char *const duplicate_rule_values[] = {"report", "allow", NULL};
static const char *const write_at_values[] = {"statement", "commit", NULL};
static const char *const overflow_values[] = {"refuse", "batches", NULL};
static const char *const type_values[] = {
	"id",			"reference", "string", "textarea", "picklist",		  "multipicklist",
	"combobox",		"email",	 "phone",  "url",	   "encryptedstring", "boolean",
	"int",			"long",		 "double", "currency", "percent",		  "date",
	"datetime",		"time",		 "base64", "address",  "location",		  "anyType",
	"complexvalue", NULL};

#define SERVER ForeignServerRelationId
#define MAPPING UserMappingRelationId
#define TABLE ForeignTableRelationId
#define COLUMN AttributeRelationId

const AmpsfOption ampsf_options[] = {
	{"workspace", SERVER, AMPSF_OPT_TEXT, false, 0, 0, NULL, NULL,
	 "My Domain name of the org: acme stands for https://acme.my.salesforce.com"},
	{"instance_url", SERVER, AMPSF_OPT_URL, false, 0, 0, NULL, NULL,
	 "The org's address, where workspace does not fit; one of the two is required"},
	{"login_url", SERVER, AMPSF_OPT_URL, false, 0, 0, NULL, "the org's address",
	 "Where tokens are asked for, and the audience of a JWT, e.g. https://login.salesforce.com"},
	{"module", SERVER, AMPSF_OPT_ENUM, false, 0, 0, module_values, "crm",
	 "Which product of the org: crm, or account_engagement"},
	{"business_unit_id", SERVER, AMPSF_OPT_TEXT, false, 0, 0, NULL, NULL,
	 "Of module account_engagement: Id of the business unit, 18 characters from 0Uv"},
	{"engagement_url", SERVER, AMPSF_OPT_URL, false, 0, 0, NULL, "https://pi.pardot.com",
	 "Of module account_engagement: its address; https://pi.demo.pardot.com for sandboxes and "
	 "developer orgs"},
	{"connection", SERVER, AMPSF_OPT_ENUM, false, 0, 0, connection_values, "salesforce",
	 "How the org is reached: salesforce, or ampersand, by Ampersand's hosted proxy"},
	{"project", SERVER, AMPSF_OPT_TEXT, false, 0, 0, NULL, NULL,
	 "Of connection ampersand: Id of the project, a UUID"},
	{"integration", SERVER, AMPSF_OPT_TEXT, false, 0, 0, NULL, NULL,
	 "Of connection ampersand: name of the integration, as in amp.yaml; with group_ref"},
	{"integration_id", SERVER, AMPSF_OPT_TEXT, false, 0, 0, NULL, NULL,
	 "Of connection ampersand: Id of the integration, a UUID; for the Write API and reads that are "
	 "triggered"},
	{"group_ref", SERVER, AMPSF_OPT_TEXT, false, 0, 0, NULL, NULL,
	 "Of connection ampersand: the customer's group, as the installation names it"},
	{"installation_id", SERVER, AMPSF_OPT_TEXT, false, 0, 0, NULL, NULL,
	 "Of connection ampersand: Id of the installation, a UUID; in place of integration and "
	 "group_ref"},
	{"proxy_url", SERVER, AMPSF_OPT_URL, false, 0, 0, NULL, "https://proxy.withampersand.com",
	 "Of connection ampersand: address of the proxy"},
	{"write_url", SERVER, AMPSF_OPT_URL, false, 0, 0, NULL, "https://write.withampersand.com",
	 "Of connection ampersand: address of the Write API"},
	{"read_url", SERVER, AMPSF_OPT_URL, false, 0, 0, NULL, "https://read.withampersand.com",
	 "Of connection ampersand: address of the Read API"},
	{"platform_url", SERVER, AMPSF_OPT_URL, false, 0, 0, NULL, "https://api.withampersand.com",
	 "Of connection ampersand: address of the platform's API, which knows of operations"},
	{"write_via", SERVER, AMPSF_OPT_ENUM, false, 0, 0, write_via_values, "proxy",
	 "Of connection ampersand: rows are written through the proxy, or by Ampersand's Write API"},
	{"write_mode", SERVER, AMPSF_OPT_ENUM, false, 0, 0, write_mode_values, "sync",
	 "Of the Write API: its answer is waited for, or the end of an operation that Ampersand "
	 "repeats for an hour"},
	{"api_version", SERVER, AMPSF_OPT_TEXT, false, 0, 0, NULL, AMPSF_DEFAULT_API_VERSION,
	 "Version of Salesforce's API, from 47.0"},
	{"page_size", SERVER, AMPSF_OPT_INT, false, 200, 2000, NULL, "Salesforce's, 2000",
	 "Rows of one result page; Salesforce may send fewer"},
	{"ca_file", SERVER, AMPSF_OPT_FILE, false, 0, 0, NULL, "the system's",
	 "Certificates to trust, in PEM; for superusers and members of pg_read_server_files"},
	{"connect_timeout", SERVER, AMPSF_OPT_INT, false, 1, 3600, NULL, "30",
	 "Seconds to wait for a connection"},
	{"request_timeout", SERVER, AMPSF_OPT_INT, false, 1, 86400, NULL, "150",
	 "Seconds without one byte moving after which a request is given up"},
	{"max_retries", SERVER, AMPSF_OPT_INT, false, 0, 20, NULL, "4",
	 "How often a request that may be repeated is repeated"},
	{"quota_reserve", SERVER, AMPSF_OPT_TEXT, false, 0, 0, NULL, "0",
	 "API calls of the org's 24 hours that are left for others: 10%, or a number of calls"},
	{"max_response_mb", SERVER, AMPSF_OPT_INT, false, 1, 2047, NULL, "256",
	 "Largest answer accepted, in megabytes after decompression"},
	{"compression", SERVER, AMPSF_OPT_BOOL, false, 0, 0, NULL, "true",
	 "Ask for compressed answers"},
	{"transport", SERVER, AMPSF_OPT_ENUM, false, 0, 0, transport_values, "auto",
	 "How results are read: by pages over REST, by a job of Bulk API 2.0, or by what is cheaper"},
	{"bulk_threshold", SERVER, AMPSF_OPT_INT, false, 0, INT_MAX, NULL, "50000",
	 "Rows of a result from which transport auto reads it by a Bulk job"},
	{"write_transport", SERVER, AMPSF_OPT_ENUM, false, 0, 0, write_transport_values, "auto",
	 "How rows are written: by sObject Collections, by Bulk ingest jobs, or by their number"},
	{"bulk_write_threshold", SERVER, AMPSF_OPT_INT, false, 200, INT_MAX, NULL, "10000",
	 "Rows of a statement from which write_transport auto writes them by Bulk jobs"},
	{"call_cost", SERVER, AMPSF_OPT_INT, false, 0, 1000000, NULL, "1000",
	 "The planner's cost of one API call"},
	{"use_remote_estimate", SERVER, AMPSF_OPT_BOOL, false, 0, 0, NULL, "false",
	 "Whether planning asks Salesforce how many rows it expects, a call for each new statement"},
	{"lookup_batch", SERVER, AMPSF_OPT_INT, false, 1, 2000, NULL, "400",
	 "Keys of one call of a batched key lookup"},
	{"write_at", SERVER, AMPSF_OPT_ENUM, false, 0, 0, write_at_values, "statement",
	 "When rows are written: as the statement runs, or at commit, up to 500 changes all or none"},
	{"commit_overflow", SERVER, AMPSF_OPT_ENUM, false, 0, 0, overflow_values, "refuse",
	 "What becomes of more than 500 changes that wait for a commit: an error, or several calls"},
	{"updatable", SERVER, AMPSF_OPT_BOOL, false, 0, 0, NULL, "true",
	 "Whether tables of this server may be written"},
	{"async_capable", SERVER, AMPSF_OPT_BOOL, false, 0, 0, NULL, "true",
	 "Whether partitions and branches of UNION ALL are asked at the same time"},
	{"parallel", SERVER, AMPSF_OPT_BOOL, false, 0, 0, NULL, "true",
	 "Whether several processes may share the pages of a long result"},

	{"client_id", MAPPING, AMPSF_OPT_TEXT, false, 0, 0, NULL, NULL,
	 "Consumer key of the External Client App"},
	{"client_secret", MAPPING, AMPSF_OPT_TEXT, true, 0, 0, NULL, NULL,
	 "Consumer secret; with client_id alone: client credentials"},
	{"refresh_token", MAPPING, AMPSF_OPT_TEXT, true, 0, 0, NULL, NULL,
	 "A refresh token, with client_id and, where the app wants it, client_secret"},
	{"client_secret_file", MAPPING, AMPSF_OPT_FILE, false, 0, 0, NULL, NULL,
	 "File that holds the consumer secret; to be named by superusers and members of "
	 "pg_read_server_files"},
	{"refresh_token_file", MAPPING, AMPSF_OPT_FILE, false, 0, 0, NULL, NULL,
	 "File that holds the refresh token, and is rewritten when Salesforce replaces it: for members "
	 "of pg_write_server_files too"},
	{"sfdx_auth_url", MAPPING, AMPSF_OPT_TEXT, true, 0, 0, NULL, NULL,
	 "A login of the Salesforce CLI, force://...@host, as `sf org display --verbose` shows it; "
	 "excludes all others"},
	{"redirect_uri", MAPPING, AMPSF_OPT_TEXT, false, 0, 0, NULL, "its page for success",
	 "Callback URL of the app, to which ampsf.login_url() sends the browser; by default "
	 "/services/oauth2/success of the login_url"},
	{"rotation", MAPPING, AMPSF_OPT_TEXT, false, 0, 0, NULL, NULL,
	 "Set by the extension when Salesforce replaces a refresh token: which login the new one "
	 "continues"},
	{"username", MAPPING, AMPSF_OPT_TEXT, false, 0, 0, NULL, NULL,
	 "User of a JWT login, with client_id and private_key_file"},
	{"private_key_file", MAPPING, AMPSF_OPT_FILE, false, 0, 0, NULL, NULL,
	 "Private key (PEM) of a JWT login; for superusers and members of pg_read_server_files"},
	{"access_token", MAPPING, AMPSF_OPT_TEXT, true, 0, 0, NULL, NULL,
	 "A token as it is; when it expires, so does the access"},
	{"api_key", MAPPING, AMPSF_OPT_TEXT, true, 0, 0, NULL, NULL,
	 "For connection ampersand: an API key of the project; excludes all others"},
	{"webhook_secret", MAPPING, AMPSF_OPT_TEXT, true, 0, 0, NULL, NULL,
	 "For ampsf.webhook(): signing secrets of Ampersand's destination, whsec_..., separated by "
	 "spaces"},

	{"object", TABLE, AMPSF_OPT_NAME, false, 0, 0, NULL, "the table's name",
	 "API name of the object"},
	{"include_deleted", TABLE, AMPSF_OPT_BOOL, false, 0, 0, NULL, "false",
	 "Read deleted and archived rows too"},
	{"use_remote_estimate", TABLE, AMPSF_OPT_BOOL, false, 0, 0, NULL, "the server's",
	 "Whether planning asks Salesforce how many rows it expects"},
	{"updatable", TABLE, AMPSF_OPT_BOOL, false, 0, 0, NULL, "the server's",
	 "Whether the table may be written"},
	{"async_capable", TABLE, AMPSF_OPT_BOOL, false, 0, 0, NULL, "the server's",
	 "Whether the table is asked at the same time as the other partitions"},
	{"parallel", TABLE, AMPSF_OPT_BOOL, false, 0, 0, NULL, "the server's",
	 "Whether several processes may share the pages of a long result"},
	{"remote_sum", TABLE, AMPSF_OPT_BOOL, false, 0, 0, NULL, "false",
	 "Whether sum and avg are Salesforce's: added in doubles, and amounts converted in orgs of "
	 "several currencies"},
	{"page_size", TABLE, AMPSF_OPT_INT, false, 200, 2000, NULL, "the server's",
	 "Rows of one result page"},
	{"transport", TABLE, AMPSF_OPT_ENUM, false, 0, 0, transport_values, "the server's",
	 "How results are read"},
	{"bulk_threshold", TABLE, AMPSF_OPT_INT, false, 0, INT_MAX, NULL, "the server's",
	 "Rows of a result from which transport auto reads it by a Bulk job"},
	{"batch_size", TABLE, AMPSF_OPT_INT, false, 1, AMPSF_MAX_COLLECTION, NULL, "200",
	 "Rows of one write call"},
	{"write_transport", TABLE, AMPSF_OPT_ENUM, false, 0, 0, write_transport_values, "the server's",
	 "How rows are written: by sObject Collections, by Bulk ingest jobs, or by their number"},
	{"bulk_write_threshold", TABLE, AMPSF_OPT_INT, false, 200, INT_MAX, NULL, "the server's",
	 "Rows of a statement from which write_transport auto writes them by Bulk jobs"},
	{"hard_delete", TABLE, AMPSF_OPT_BOOL, false, 0, 0, NULL, "false",
	 "Whether DELETE passes over the recycle bin, by Bulk jobs; needs the permission Bulk API Hard "
	 "Delete"},
	{"upsert_key", TABLE, AMPSF_OPT_NAME, false, 0, 0, NULL, NULL,
	 "External id field by which INSERT updates the row that is there, or creates it"},
	{"on_error", TABLE, AMPSF_OPT_ENUM, false, 0, 0, on_error_values, "abort",
	 "What a row that Salesforce refuses does: end the statement, or go into ampsf.write_error"},
	{"all_or_none", TABLE, AMPSF_OPT_BOOL, false, 0, 0, NULL, "false",
	 "Whether a call with a row that is refused writes none of its rows"},
	{"if_unchanged", TABLE, AMPSF_OPT_BOOL, false, 0, 0, NULL, "false",
	 "Whether UPDATE and DELETE refuse rows that have changed since they were read"},
	{"assignment_rule", TABLE, AMPSF_OPT_TEXT, false, 0, 0, NULL, "Salesforce's, true",
	 "Whether assignment rules of accounts, cases and leads apply to what is written; or the Id of "
	 "one"},
	{"duplicate_rule", TABLE, AMPSF_OPT_ENUM, false, 0, 0, duplicate_rule_values, "report",
	 "What a duplicate rule that alerts does: refuse the row, or let it be written"},
	{"client_name", TABLE, AMPSF_OPT_TEXT, false, 0, 0, NULL, AMPSF_FDW_NAME,
	 "Name of the writer, as change events show it"},
	{"truncatable", TABLE, AMPSF_OPT_BOOL, false, 0, 0, NULL, "false",
	 "Whether TRUNCATE may delete all rows"},
	{"write_at", TABLE, AMPSF_OPT_ENUM, false, 0, 0, write_at_values, "the server's",
	 "When rows are written: as the statement runs, or at commit"},
	{"commit_overflow", TABLE, AMPSF_OPT_ENUM, false, 0, 0, overflow_values, "the server's",
	 "What becomes of more than 500 changes that wait for a commit"},
	{"lookup_batch", TABLE, AMPSF_OPT_INT, false, 1, 2000, NULL, "the server's",
	 "Keys of one call of a batched key lookup"},
	{"write_via", TABLE, AMPSF_OPT_ENUM, false, 0, 0, write_via_values, "the server's",
	 "Of connection ampersand: rows are written through the proxy, or by Ampersand's Write API"},
	{"write_mode", TABLE, AMPSF_OPT_ENUM, false, 0, 0, write_mode_values, "the server's",
	 "Of the Write API: its answer is waited for, or the end of an operation"},
	{"rows", TABLE, AMPSF_OPT_INT, false, 0, INT_MAX, NULL, NULL,
	 "Rows that the planner expects until ANALYZE or a read tells better; set by IMPORT"},

	{"field", COLUMN, AMPSF_OPT_NAME, false, 0, 0, NULL, "the column's name",
	 "API name of the field; Account.Name reads the parent's"},
	{"type", COLUMN, AMPSF_OPT_ENUM, false, 0, 0, type_values, "by the SQL type",
	 "Salesforce's type of the field: id, reference, picklist ..."},
	{"filterable", COLUMN, AMPSF_OPT_BOOL, false, 0, 0, NULL, "by the type",
	 "Whether Salesforce can filter by the field"},
	{"sortable", COLUMN, AMPSF_OPT_BOOL, false, 0, 0, NULL, "by the type",
	 "Whether Salesforce can sort by the field"},
	{"groupable", COLUMN, AMPSF_OPT_BOOL, false, 0, 0, NULL, "by the type",
	 "Whether Salesforce can group by the field"},
	{"case_sensitive", COLUMN, AMPSF_OPT_BOOL, false, 0, 0, NULL, "false",
	 "Whether Salesforce compares the field's text with case"},
	{"reference_to", COLUMN, AMPSF_OPT_TEXT, false, 0, 0, NULL, NULL,
	 "API names of the objects that a reference points to, with commas; joins go along it"},
	{"relationship", COLUMN, AMPSF_OPT_NAME, false, 0, 0, NULL, "AccountId: Account, X__c: X__r",
	 "Name under which SOQL reaches a reference's parent"},
	{"unique", COLUMN, AMPSF_OPT_BOOL, false, 0, 0, NULL, "true for Id only",
	 "Whether no two rows hold the same value; the planner counts on one row"},
	{"external_id", COLUMN, AMPSF_OPT_BOOL, false, 0, 0, NULL, "false",
	 "Whether the field is an external id: indexed, and meant to name a row"},
	{"calculated", COLUMN, AMPSF_OPT_BOOL, false, 0, 0, NULL, "false",
	 "Whether the field is a formula or a roll-up: it changes without the row's time changing"},
	{"parent_key", COLUMN, AMPSF_OPT_NAME, false, 0, 0, NULL, NULL,
	 "Account.Ext_Id__c: the column is the parent's external id, and writing it sets the "
	 "reference"},
	{"ampsf_created", COLUMN, AMPSF_OPT_BOOL, false, 0, 0, NULL, "false",
	 "The column is no field: in RETURNING it tells whether the row was created, elsewhere it is "
	 "null"},
	{"createable", COLUMN, AMPSF_OPT_BOOL, false, 0, 0, NULL, "true",
	 "Whether INSERT may give the field"},
	{"updateable", COLUMN, AMPSF_OPT_BOOL, false, 0, 0, NULL, "true",
	 "Whether UPDATE may set the field"},
	{NULL, InvalidOid, AMPSF_OPT_TEXT, false, 0, 0, NULL, NULL, NULL}};

static const AmpsfOption *
find_option(const char *name, Oid catalog)
{
	for (const AmpsfOption *o = ampsf_options; o->name; o++)
		if (o->catalog == catalog && strcmp(o->name, name) == 0)
			return o;
	return NULL;
}

/* The valid name nearest to a wrong one; NULL if none is near. */
static const char *
nearest_option(const char *name, Oid catalog)
{
	const char *best = NULL;
	int best_distance = 4; /* more typing errors than that are another word */
	int len = strlen(name);

	if (len >= NAMEDATALEN)
		return NULL;
	for (const AmpsfOption *o = ampsf_options; o->name; o++)
	{
		int d;

		if (o->catalog != catalog)
			continue;
		d = varstr_levenshtein_less_equal(name, len, o->name, strlen(o->name), 1, 1, 1,
										  best_distance, true);
		if (d < best_distance && d <= len / 2)
		{
			best_distance = d;
			best = o->name;
		}
	}
	return best;
}

static char *
all_options(Oid catalog)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (const AmpsfOption *o = ampsf_options; o->name; o++)
		if (o->catalog == catalog)
			appendStringInfo(&buf, "%s%s", buf.len ? ", " : "", o->name);
	return buf.data;
}

static void
reject_unknown_option(const char *name, Oid catalog)
{
	const AmpsfOption *elsewhere = NULL;
	const char *near = nearest_option(name, catalog);

	for (const AmpsfOption *o = ampsf_options; o->name && !elsewhere; o++)
		if (strcmp(o->name, name) == 0)
			elsewhere = o;

	ereport(
		ERROR,
		(errcode(ERRCODE_FDW_INVALID_OPTION_NAME), errmsg("invalid option \"%s\"", name),
		 elsewhere && elsewhere->secret && catalog == SERVER
			 ? errhint("Everyone may read a server's options. Put \"%s\" into CREATE USER MAPPING.",
					   name)
		 : elsewhere ? errhint("\"%s\" is an option of a %s.", name,
							   elsewhere->catalog == SERVER	   ? "server"
							   : elsewhere->catalog == MAPPING ? "user mapping"
							   : elsewhere->catalog == TABLE   ? "foreign table"
															   : "column")
		 : near		 ? errhint("Perhaps you meant the option \"%s\".", near)
					 : errhint("Valid options here are: %s.", all_options(catalog))));
}

static void
bad_value(const AmpsfOption *o, const char *value, const char *wanted)
{
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					o->secret ? errmsg("invalid value for option \"%s\"", o->name)
							  : errmsg("invalid value for option \"%s\": \"%s\"", o->name, value),
					errhint("%s", wanted)));
}

/* Is the host a loopback address, in any of the ways it is written? */
static bool
is_loopback(const char *host, size_t len)
{
	return (len == 9 && pg_strncasecmp(host, "localhost", 9) == 0) ||
		   (len > 4 && strncmp(host, "127.", 4) == 0 && strspn(host, "0123456789.") >= len) ||
		   (len == 5 && strncmp(host, "[::1]", 5) == 0);
}

/* scheme://host[:port] and nothing else, https unless it is loopback and that is allowed. */
static void
check_url(const AmpsfOption *o, const char *value)
{
	bool https = pg_strncasecmp(value, "https://", 8) == 0;
	bool http = pg_strncasecmp(value, "http://", 7) == 0;
	const char *host = value + (https ? 8 : 7);
	size_t hostlen;
	const char *rest;

	if (!https && !http)
		bad_value(o, value, "It has the form https://host.");
	hostlen =
		*host == '[' ? strcspn(host, "]") + (strchr(host, ']') != NULL) : strcspn(host, ":/?#@");
	rest = host + hostlen;
	if (*rest == ':')
		rest += 1 + strspn(rest + 1, "0123456789");
	if (*rest == '/')
		rest++;
	if (hostlen == 0 || *rest != '\0' ||
		strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_[]:") <
			hostlen)
		bad_value(o, value, "It has the form https://host, with neither a path nor a user name.");
	if (http && !(is_loopback(host, hostlen) && ampsf_allow_http_loopback))
		bad_value(o, value,
				  is_loopback(host, hostlen)
					  ? "Salesforce is reached by https only. For tests a superuser can set "
						"ampsf.allow_http_loopback."
					  : "Salesforce is reached by https only.");
}

/* Names of Account Engagement's objects have hyphens. */
static bool
is_object_or_field(const AmpsfOption *o, const char *value)
{
	char *name = pstrdup(value);

	if (o->catalog != TABLE)
		return ampsf_is_api_name(value, strlen(value));
	for (char *p = name; *p; p++)
		if (*p == '-')
			*p = '_';
	return ampsf_is_api_name(name, strlen(name)) && strchr(name, '.') == NULL;
}

static void
check_value(const AmpsfOption *o, DefElem *def)
{
	const char *value = defGetString(def);
	bool b;
	int i;

	switch (o->kind)
	{
		case AMPSF_OPT_BOOL:
			if (!parse_bool(value, &b))
				bad_value(o, value, "It is true or false.");
			break;
		case AMPSF_OPT_INT:
			if (!parse_int(value, &i, 0, NULL) || i < o->min || i > o->max)
				bad_value(o, value,
						  psprintf("It is a whole number from %d to %d.", o->min, o->max));
			break;
		case AMPSF_OPT_ENUM:
		{
			StringInfoData list;

			initStringInfo(&list);
			for (const char *const *v = o->values; *v; v++)
			{
				if (strcmp(*v, value) == 0)
					return;
				appendStringInfo(&list, "%s%s", list.len ? ", " : "", *v);
			}
			bad_value(o, value, psprintf("Valid values are: %s.", list.data));
			break;
		}
		case AMPSF_OPT_URL:
			check_url(o, value);
			break;
		case AMPSF_OPT_NAME:
			if (!is_object_or_field(o, value))
				bad_value(o, value, "It is an API name: letters, digits and underscores.");
			break;
		case AMPSF_OPT_FILE:
			if (!has_privs_of_role(GetUserId(), ROLE_PG_READ_SERVER_FILES))
				ereport(
					ERROR,
					(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					 errmsg("permission denied to set option \"%s\"", o->name),
					 errdetail("Only a superuser or a member of pg_read_server_files may name a "
							   "file of the server.")));
			/* This one is rewritten: whoever names it has the server write into it. */
			if (strcmp(o->name, "refresh_token_file") == 0 &&
				!has_privs_of_role(GetUserId(), ROLE_PG_WRITE_SERVER_FILES))
				ereport(
					ERROR,
					(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					 errmsg("permission denied to set option \"%s\"", o->name),
					 errdetail("Only a superuser or a member of pg_write_server_files may have a "
							   "file of the server written.")));
			if (!is_absolute_path(value))
				bad_value(o, value, "It is the absolute path of a file on the database server.");
			break;
		case AMPSF_OPT_TEXT:
			if (*value == '\0')
				bad_value(o, value, "It must not be empty.");
			break;
	}
}

static bool
is_api_version(const char *v)
{
	int major = atoi(v);

	return strspn(v, "0123456789") == strlen(v) - 2 && strcmp(v + strlen(v) - 2, ".0") == 0 &&
		   strlen(v) > 2 && major >= 47 && major <= 999;
}

/* "10%" or "500". */
static bool
parse_reserve(const char *value, int *n, bool *percent)
{
	size_t digits = strspn(value, "0123456789");

	*percent = digits > 0 && strcmp(value + digits, "%") == 0;
	if (digits == 0 || digits > 9 || (!*percent && value[digits] != '\0'))
		return false;
	*n = atoi(value);
	return !*percent || *n <= 100;
}

/* Rules that concern several options of a server at once, or one text option's form. */
static void
check_server(List *options)
{
	const char *workspace = NULL, *instance_url = NULL, *unit = NULL;
	bool engagement = false, ampersand = ampsf_ampersand_check(options);
	ListCell *lc;
	int reserve;
	bool percent;

	foreach (lc, options)
	{
		DefElem *def = lfirst_node(DefElem, lc);
		const char *value = defGetString(def);

		if (strcmp(def->defname, "workspace") == 0)
			workspace = value;
		else if (strcmp(def->defname, "instance_url") == 0)
			instance_url = value;
		else if (strcmp(def->defname, "api_version") == 0 && !is_api_version(value))
			bad_value(find_option("api_version", SERVER), value,
					  "It has the form 62.0, and is at least 47.0.");
		else if (strcmp(def->defname, "module") == 0)
			engagement = strcmp(value, AMPSF_DEFAULT_MODULE) != 0;
		else if (strcmp(def->defname, "business_unit_id") == 0)
			unit = value;
		else if (strcmp(def->defname, "quota_reserve") == 0 &&
				 !parse_reserve(value, &reserve, &percent))
			bad_value(find_option("quota_reserve", SERVER), value,
					  "It is a number of calls, or a part of the org's calls: 10%.");
	}
	if (unit &&
		(strlen(unit) != 18 || strncmp(unit, "0Uv", 3) != 0 || !ampsf_is_api_name(unit + 2, 16)))
		bad_value(find_option("business_unit_id", SERVER), unit,
				  "It has 18 characters and begins with 0Uv: Setup, Business Unit Setup.");
	if (engagement && !unit)
		ereport(
			ERROR,
			(errcode(ERRCODE_FDW_OPTION_NAME_NOT_FOUND),
			 errmsg("option \"business_unit_id\" is required for module \"account_engagement\""),
			 errhint("It stands in Salesforce under Setup, Business Unit Setup, and begins with "
					 "0Uv.")));
	if (workspace && instance_url)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
				 errmsg("options \"workspace\" and \"instance_url\" exclude each other"),
				 errhint("workspace 'acme' means instance_url 'https://acme.my.salesforce.com'.")));
	if (!workspace && !instance_url && !ampersand)
		ereport(ERROR, (errcode(ERRCODE_FDW_OPTION_NAME_NOT_FOUND),
						errmsg("option \"workspace\" or \"instance_url\" is required"),
						errhint("For example OPTIONS (workspace 'acme'), which is "
								"https://acme.my.salesforce.com.")));
	if (workspace &&
		strspn(workspace, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.") !=
			strlen(workspace))
		bad_value(find_option("workspace", SERVER), workspace,
				  "It is the org's My Domain name alone: acme, or acme--dev.sandbox.");
}

/* Values that become a header of a call. */
static void
check_table(List *options)
{
	ListCell *lc;

	foreach (lc, options)
	{
		DefElem *def = lfirst_node(DefElem, lc);
		const char *value = defGetString(def);
		bool b;
		char id[AMPSF_SFID_LEN + 1];

		if (strcmp(def->defname, "assignment_rule") == 0 && !parse_bool(value, &b) &&
			!ampsf_sfid_canonicalize(value, strlen(value), id))
			bad_value(find_option("assignment_rule", TABLE), value,
					  "It is true, false, or the Id of an assignment rule.");
		if (strcmp(def->defname, "client_name") == 0 &&
			(strlen(value) > 64 ||
			 strspn(value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/") <
				 strlen(value)))
			bad_value(find_option("client_name", TABLE), value,
					  "It has up to 64 letters, digits and any of . _ - /");
	}
}

static void
check_column(List *options)
{
	const char *field = NULL, *key = NULL;
	ListCell *lc;

	foreach (lc, options)
	{
		DefElem *def = lfirst_node(DefElem, lc);

		if (strcmp(def->defname, "field") == 0)
			field = defGetString(def);
		else if (strcmp(def->defname, "parent_key") == 0)
			key = defGetString(def);
	}
	if (key && (!strchr(key, '.') || strchr(key, '.') != strrchr(key, '.')))
		bad_value(
			find_option("parent_key", COLUMN), key,
			"It has the form Account.Ext_Id__c: the relationship, and the parent's external id.");
	if (key && field && pg_strcasecmp(field, key) != 0)
		ereport(ERROR, (errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
						errmsg("options \"field\" and \"parent_key\" name different fields"),
						errhint("A column with parent_key reads that field as well.")));
}

/* Of a user mapping: forms of texts.  Which options go together is known where a login begins. */
static void
check_mapping(List *options)
{
	ListCell *lc;

	foreach (lc, options)
	{
		DefElem *def = lfirst_node(DefElem, lc);
		const char *value = defGetString(def);
		AmpsfUserOptions scratch = {0};

		if (strcmp(def->defname, "sfdx_auth_url") == 0)
		{
			bool ok = ampsf_sfdx_parse(value, &scratch);

			ampsf_user_options_wipe(&scratch);
			if (!ok)
				bad_value(find_option("sfdx_auth_url", MAPPING), value,
						  psprintf("It has the form %s.", AMPSF_SFDX_FORM));
		}
		else if (strcmp(def->defname, "redirect_uri") == 0 &&
				 (strspn(value, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
								":/?&=%[]") != strlen(value) ||
				  strstr(value, "://") == NULL))
			bad_value(find_option("redirect_uri", MAPPING), value,
					  "It is a callback URL of the app, as it stands there.");
	}
}

PG_FUNCTION_INFO_V1(ampsf_fdw_validator);

Datum
ampsf_fdw_validator(PG_FUNCTION_ARGS)
{
	List *options = untransformRelOptions(PG_GETARG_DATUM(0));
	Oid catalog = PG_GETARG_OID(1);
	ListCell *lc;

	foreach (lc, options)
	{
		DefElem *def = lfirst_node(DefElem, lc);
		const AmpsfOption *o = find_option(def->defname, catalog);

		if (!o)
			reject_unknown_option(def->defname, catalog);
		check_value(o, def);
	}
	if (catalog == SERVER)
		check_server(options);
	if (catalog == MAPPING)
		check_mapping(options);
	else if (catalog == TABLE)
		check_table(options);
	else if (catalog == COLUMN)
		check_column(options);
	PG_RETURN_VOID();
}

static int
get_int(List *options, const char *name, int dflt)
{
	const char *v = get(options, name);
	int i;

	return v && parse_int(v, &i, 0, NULL) ? i : dflt;
}

static bool
is_option(List *options, const char *name, const char *value)
{
	const char *v = get(options, name);

	return v && strcmp(v, value) == 0;
}

/* Without the slash at the end. */
static char *
get_url(List *options, const char *name)
{
	char *v = get_text(options, name);
	size_t len = v ? strlen(v) : 0;

	if (len && v[len - 1] == '/')
		v[len - 1] = '\0';
	return v;
}

static bool
is_engagement(List *of_server)
{
	const char *v = get(of_server, "module");

	return v && strcmp(v, "account_engagement") == 0;
}

AmpsfServerOptions *
ampsf_server_options(const ForeignServer *server)
{
	AmpsfServerOptions *o = palloc0(sizeof(AmpsfServerOptions));
	List *list = server->options;
	const char *workspace = get(list, "workspace");

	o->instance_url = workspace ? psprintf("https://%s.my.salesforce.com", workspace)
								: get_url(list, "instance_url");
	ampsf_ampersand_read(list, o);
	if (!o->instance_url)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_OPTION_NAME_NOT_FOUND),
				 errmsg("server \"%s\" has neither option \"workspace\" nor \"instance_url\"",
						server->servername)));
	o->login_url = o->ampersand ? NULL : get_url(list, "login_url");
	if (!o->login_url)
		o->login_url = pstrdup(o->instance_url);
	o->api_version = get_text(list, "api_version");
	if (!o->api_version)
		o->api_version = pstrdup(AMPSF_DEFAULT_API_VERSION);
	o->page_size = get_int(list, "page_size", 0);
	o->ca_file = get_text(list, "ca_file");
	o->connect_timeout = get_int(list, "connect_timeout", 30) * 1000;
	o->request_timeout = get_int(list, "request_timeout", 150) * 1000;
	o->max_retries = get_int(list, "max_retries", 4);
	if (get(list, "quota_reserve"))
		(void) parse_reserve(get(list, "quota_reserve"), &o->quota_reserve,
							 &o->quota_reserve_percent);
	o->max_response = (int64) get_int(list, "max_response_mb", 256) * 1024 * 1024;
	o->compression = get_bool(list, "compression", true);
	o->call_cost = get_int(list, "call_cost", 1000);
	o->updatable = get_bool(list, "updatable", true);
	o->engagement = is_engagement(list);
	o->business_unit = get_text(list, "business_unit_id");
	o->engagement_url = o->ampersand ? pstrdup(o->instance_url) : get_url(list, "engagement_url");
	if (!o->engagement_url)
		o->engagement_url = pstrdup(AMPSF_ENGAGEMENT_URL);
	return o;
}

/* Is that option of the table, or else of the server, set to value? */
static bool
is_set_to(List *of_table, List *of_server, const char *name, const char *value)
{
	const char *v = get(of_table, name);

	if (!v)
		v = get(of_server, name);
	return v && strcmp(v, value) == 0;
}

static AmpsfTransport
get_transport(List *of_table, List *of_server)
{
	const char *v = get(of_table, "transport");

	if (!v)
		v = get(of_server, "transport");
	if (!v || strcmp(v, "auto") == 0)
		return AMPSF_TRANSPORT_AUTO;
	return strcmp(v, "rest") == 0 ? AMPSF_TRANSPORT_REST : AMPSF_TRANSPORT_BULK;
}

static AmpsfWriteTransport
get_write_transport(List *of_table, List *of_server)
{
	const char *v = get(of_table, "write_transport");

	if (!v)
		v = get(of_server, "write_transport");
	if (!v || strcmp(v, "auto") == 0)
		return AMPSF_WRITE_AUTO;
	return strcmp(v, "bulk") == 0 ? AMPSF_WRITE_BULK : AMPSF_WRITE_COLLECTIONS;
}

AmpsfTableOptions *
ampsf_table_options(Oid relid)
{
	AmpsfTableOptions *o = palloc0(sizeof(AmpsfTableOptions));
	ForeignTable *table = GetForeignTable(relid);
	ForeignServer *server = GetForeignServer(table->serverid);

	o->object = get_text(table->options, "object");
	if (!o->object)
		o->object = get_rel_name(relid);
	o->engagement = is_engagement(server->options);
	if (!o->engagement && !ampsf_is_api_name(o->object, strlen(o->object)))
		ereport(ERROR,
				(errcode(ERRCODE_FDW_TABLE_NOT_FOUND),
				 errmsg("\"%s\" is not the API name of an object", o->object),
				 errhint("Name the object: ALTER FOREIGN TABLE ... OPTIONS (ADD object '...').")));
	o->include_deleted = get_bool(table->options, "include_deleted", false);
	o->updatable =
		get_bool(table->options, "updatable", get_bool(server->options, "updatable", true));
	o->async_capable =
		get_bool(table->options, "async_capable", get_bool(server->options, "async_capable", true));
	o->parallel = get_bool(table->options, "parallel", get_bool(server->options, "parallel", true));
	o->use_remote_estimate = get_bool(table->options, "use_remote_estimate",
									  get_bool(server->options, "use_remote_estimate", false));
	o->remote_sum = get_bool(table->options, "remote_sum", false);
	o->page_size = get_int(table->options, "page_size", get_int(server->options, "page_size", 0));
	o->transport = get_transport(table->options, server->options);
	o->bulk_threshold = get_int(table->options, "bulk_threshold",
								get_int(server->options, "bulk_threshold", 50000));
	o->write_at_commit = is_set_to(table->options, server->options, "write_at", "commit");
	o->commit_batches = is_set_to(table->options, server->options, "commit_overflow", "batches");
	o->write_api = is_set_to(table->options, server->options, "write_via", "write_api");
	o->write_async = is_set_to(table->options, server->options, "write_mode", "async");
	o->batch_size = get_int(table->options, "batch_size", AMPSF_MAX_COLLECTION);
	if (o->write_api)
		o->batch_size = Min(o->batch_size, AMPSF_MAX_WRITE_API);
	o->write_transport = get_write_transport(table->options, server->options);
	o->bulk_write_threshold = get_int(table->options, "bulk_write_threshold",
									  get_int(server->options, "bulk_write_threshold", 10000));
	if (o->write_api && o->write_transport == AMPSF_WRITE_AUTO)
		o->write_transport = AMPSF_WRITE_COLLECTIONS;
	o->hard_delete = get_bool(table->options, "hard_delete", false);
	o->upsert_key = get_text(table->options, "upsert_key");
	o->skip_failed = is_option(table->options, "on_error", "continue");
	o->all_or_none = get_bool(table->options, "all_or_none", false);
	o->if_unchanged = get_bool(table->options, "if_unchanged", false);
	o->assignment_rule = get_text(table->options, "assignment_rule");
	o->allow_duplicates = is_option(table->options, "duplicate_rule", "allow");
	o->client_name = get_text(table->options, "client_name");
	o->truncatable = get_bool(table->options, "truncatable", false);
	o->lookup_batch = get_int(table->options, "lookup_batch",
							  get_int(server->options, "lookup_batch", AMPSF_LOOKUP_BATCH));
	o->rows = get_int(table->options, "rows", -1);
	return o;
}
