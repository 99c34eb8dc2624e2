/*
 * options.h - every option of SERVER, USER MAPPING, FOREIGN TABLE and column: one table, in
 * options.c, from which the validator, the readers below and the documentation are made.
 */
#ifndef AMPSF_OPTIONS_H
#define AMPSF_OPTIONS_H

#include "postgres.h"
#include "foreign/foreign.h"

typedef enum AmpsfOptionKind
{
	AMPSF_OPT_TEXT,
	AMPSF_OPT_BOOL,
	AMPSF_OPT_INT,
	AMPSF_OPT_ENUM,
	AMPSF_OPT_URL,
	AMPSF_OPT_NAME, /* an API name */
	AMPSF_OPT_FILE	/* an absolute path on the server; only a superuser may name it */
} AmpsfOptionKind;

typedef struct AmpsfOption
{
	const char *name;
	Oid catalog; /* ForeignServerRelationId ... */
	AmpsfOptionKind kind;
	bool secret;
	int min, max;			   /* AMPSF_OPT_INT */
	const char *const *values; /* AMPSF_OPT_ENUM, NULL-terminated */
	const char *dflt;		   /* as documented, or NULL */
	const char *doc;
} AmpsfOption;

extern const AmpsfOption ampsf_options[]; /* ends with a NULL name */

/* How rows are written. */
typedef enum AmpsfWriteTransport
{
	AMPSF_WRITE_AUTO,
	AMPSF_WRITE_COLLECTIONS,
	AMPSF_WRITE_BULK
} AmpsfWriteTransport;

typedef enum AmpsfTransport
{
	AMPSF_TRANSPORT_AUTO, /* REST, and Bulk for results that are large enough */
	AMPSF_TRANSPORT_REST,
	AMPSF_TRANSPORT_BULK
} AmpsfTransport;

typedef struct AmpsfServerOptions
{
	char
		*instance_url; /* scheme://host[:port], no slash at the end; of workspace or instance_url */
	char *login_url;   /* where tokens come from; default instance_url */
	char *api_version; /* "62.0" */
	int page_size;	   /* Sforce-Query-Options batchSize; 0: not sent */
	char *ca_file;	   /* or NULL */
	int connect_timeout; /* milliseconds */
	int request_timeout; /* milliseconds without a byte moving */
	int max_retries;
	int quota_reserve; /* API calls that are left alone; percent of the org's, or a number */
	bool quota_reserve_percent;
	int64 max_response; /* bytes of one answer after decompression */
	bool compression;	/* ask for gzip */
	int call_cost;		/* of one API call, in the planner's units */
	bool updatable;
	bool engagement; /* module account_engagement, with the next two */
	char *business_unit;
	char *engagement_url; /* as instance_url */
	bool ampersand;		  /* reached by Ampersand's proxy, which is instance_url, login_url and
							 engagement_url then */
	char *project, *integration, *integration_id, *group_ref,
		*installation_id;					   /* of that; NULL: not given */
	char *write_url, *read_url, *platform_url; /* its other hosts, as instance_url */
} AmpsfServerOptions;

/* NULL: not given.  An sfdx_auth_url is taken apart into client_id, client_secret, refresh_token
 * and sfdx_host. */
typedef struct AmpsfUserOptions
{
	char *client_id, *client_secret, *client_secret_file, *refresh_token, *refresh_token_file,
		*username, *private_key_file, *access_token, *sfdx_auth_url, *sfdx_host, *redirect_uri,
		*rotation, *api_key;
} AmpsfUserOptions;

typedef struct AmpsfTableOptions
{
	bool engagement; /* an object of Account Engagement */
	char *object;	 /* API name; default: the table's name */
	bool include_deleted;
	bool updatable;
	bool async_capable;
	bool parallel; /* several processes may share a scan */
	int page_size; /* 0: the server's */
	AmpsfTransport transport;
	int bulk_threshold;		  /* rows */
	bool use_remote_estimate; /* planning may ask Salesforce */
	bool remote_sum;		  /* sum and avg may be Salesforce's */
	bool write_at_commit;	  /* and not when the statement runs */
	bool commit_batches; /* more than one call may be needed for the changes of a transaction */
	bool write_api;		 /* written by Ampersand's Write API */
	bool write_async;	 /* of that: by operations */
	int batch_size;		 /* rows of a write call, 1..200 */
	AmpsfWriteTransport write_transport;
	int bulk_write_threshold; /* rows */
	bool hard_delete;		  /* past the recycle bin */
	char *upsert_key;		  /* field by which INSERT finds rows, or NULL */
	bool skip_failed;		  /* a refused row goes into write_error, and the statement goes on */
	bool all_or_none;		  /* of each call */
	bool if_unchanged;		  /* refuse to overwrite what changed since it was read */
	char *assignment_rule;	  /* as given, or NULL */
	bool allow_duplicates;	  /* past rules that alert */
	char *client_name;		  /* or NULL */
	bool truncatable;
	int lookup_batch; /* keys of a call of a key lookup */
	int rows;		  /* what IMPORT found, or -1 */
} AmpsfTableOptions;

/* What is known of a column's field at planning time, without any call. */
typedef struct AmpsfColumn
{
	AttrNumber attnum; /* of the table */
	char *field;	   /* API name, dotted for parents; default: the column's name */
	char *type;		   /* Salesforce type name; default from the SQL type */
	bool filterable, sortable, groupable;
	char *reference_to; /* objects that a reference points to, with commas; NULL: not known */
	char *relationship; /* how SOQL names the parent; NULL: it cannot */
	bool case_sensitive;
	bool unique;	  /* no two rows that are not deleted hold the same value, but for null */
	bool external_id; /* indexed, and meant to name a row, but two rows may hold the same value */
	bool createable, updateable;
	bool array;		 /* multipicklist as an array */
	bool parent_key; /* a parent's external id, by which the reference can be written */
	bool created;	 /* no field: whether the row that is returned was created */
	bool of_parent; /* a parent's field: null where the parent is missing, for Salesforce's booleans
					   false */
	bool rounds; /* the SQL type keeps fewer digits than the field may hold: numeric(p,s), real */
} AmpsfColumn;

/* All palloc'ed in the current context; wrong combinations are errors here. */
extern AmpsfServerOptions *ampsf_server_options(const ForeignServer *server);
extern AmpsfUserOptions *ampsf_user_options(const UserMapping *mapping);
/* Overwrites the secrets; NULL those that others hold first. */
extern void ampsf_user_options_wipe(AmpsfUserOptions *user);
#define AMPSF_SFDX_FORM "force://CLIENT_ID:CLIENT_SECRET:REFRESH_TOKEN@HOST"
/* Takes the URL apart into *user; false if it has another form. */
extern bool ampsf_sfdx_parse(const char *url, AmpsfUserOptions *user);
/* The same URL with another refresh token, palloc'ed. */
extern char *ampsf_sfdx_url(const AmpsfUserOptions *user, const char *token);
extern AmpsfTableOptions *ampsf_table_options(Oid relid);
/* The usual name of a reference field's relationship; NULL if there is no usual one.  palloc'ed. */
extern char *ampsf_default_relationship(const char *field);
/* For attribute attnum of relation relid (not a dropped one). */
extern AmpsfColumn *ampsf_column(Oid relid, int attnum);

#endif
