/*
 * bulk_ingest.c - ingest jobs: creating, uploading, closing, and what became of the rows.
 *
 * Must not know: libmicrohttpd, SQLite, what is in the rows.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "bulk.h"
#include "fault.h"
#include "multipart.h"
#include "rules_org.h"

/* Characters that a job may have which is created and uploaded at once. */
#define MAX_MULTIPART 100000
#define OLDEST_ASSIGNMENT 49

static const struct
{
	const char *name;
	BulkOperation operation;
} operations[] = {{"insert", BULK_INSERT},
				  {"update", BULK_UPDATE},
				  {"upsert", BULK_UPSERT},
				  {"delete", BULK_DELETE},
				  {"hardDelete", BULK_HARD_DELETE}};

/* ---- creating ---- */

static bool
operation_of(json_object *o, BulkOperation *out, Response *w)
{
	const char *name = bulk_text(o, "operation");

	for (size_t i = 0; name != NULL && i < sizeof(operations) / sizeof(operations[0]); i++)
		if (strcasecmp(name, operations[i].name) == 0)
		{
			*out = operations[i].operation;
			if (*out != BULK_HARD_DELETE || bulk_settings.hard_delete)
				return true;
			res_error(w, 400, "FEATURENOTENABLED",
					  "hardDelete operation requires special user profile permission, please "
					  "contact your system administrator");
			return false;
		}
	res_errorf(w, 400, "INVALIDOPERATION", "Invalid operation: %s", name ? name : "null");
	return false;
}

/* An upsert's key; true for the other operations. */
static bool
key_of(BulkJob *j, json_object *o, Response *w)
{
	const char *name = bulk_text(o, "externalIdFieldName");

	if (j->operation != BULK_UPSERT)
		return true;
	if (name == NULL || *name == '\0')
	{
		res_errorf(w, 400, "INVALIDJOB",
				   "External ID was blank for %s. An External ID must be specified for upsert.",
				   j->object->name);
		return false;
	}
	j->key = schema_field(j->object, name, strlen(name));
	if (j->key != NULL && (j->key->external_id || j->key->id_lookup || j->key->type == FT_ID))
		return true;
	res_errorf(w, 400, "INVALIDJOB",
			   "Field name provided, %s does not match an External ID, Salesforce Id, or indexed "
			   "field for %s",
			   name, j->object->name);
	return false;
}

static bool
is_assignment(const Object *o, const char *rule)
{
	bool is;

	store_lock();
	is = rules_is_assignment(o, rule);
	store_unlock();
	return is;
}

/* The job that was asked for, or NULL with the answer filled. */
static BulkJob *
new_ingest(Request *r, Response *w, json_object *o)
{
	const char *name = bulk_text(o, "object");
	const Object *object = name ? schema_find(name, strlen(name)) : NULL;
	const char *rule =
		atoi(r->version) >= OLDEST_ASSIGNMENT ? bulk_text(o, "assignmentRuleId") : NULL;
	BulkOperation operation;
	BulkJob *j;

	if (!json_object_is_type(o, json_type_object))
		res_error(w, 400, "JSON_PARSER_ERROR", "The request body must be a JSON object");
	else if (object == NULL || bulk_refused(object))
		res_errorf(w, 400, "INVALIDENTITY", "Entity '%s' is not supported by the Bulk API.",
				   name ? name : "null");
	else if (rule != NULL && !is_assignment(object, rule))
		res_errorf(w, 400, "INVALIDJOB", "Invalid assignment rule: %s", rule);
	else if (operation_of(o, &operation, w))
	{
		j = bulk_new(r, operation, object);
		j->assignment = rule ? strdup(rule) : NULL;
		if (bulk_format(j, o, w) && key_of(j, o, w))
			return j;
		bulk_release(j);
	}
	return NULL;
}

static void
add_job(Request *r, Response *w, BulkJob *j)
{
	j->lock_row |= req_take_lock(r);
	bulk_strike(j, r->fault);
	r->job = strdup(j->id);
	w->status = 200;
	bulk_json(&w->body, j, BULK_SHOW_CREATED);
	if (bulk_add(j))
		bulk_release(j);
	else
		res_error(w, 400, "EXCEEDEDQUOTA", "The batches of 24 hours are used up");
}

static void
set_content(BulkJob *j, const char *content, size_t len)
{
	j->content = malloc(len + 1);
	if (j->content == NULL)
		abort();
	memcpy(j->content, content, len);
	j->content[len] = '\0';
	j->content_len = len;
	j->uploaded = true;
}

/* ---- multipart: the job and its content at once ---- */

static void
create_multipart(Request *r, Response *w)
{
	Part parts[2];
	int n = multipart_read(r, parts, 2);
	const Part *job = multipart_find(parts, n, "job");
	const Part *content = multipart_find(parts, n, "content");
	json_object *o;
	BulkJob *j;
	char *text;

	if (job == NULL || content == NULL)
	{
		res_error(w, 400, "API_ERROR", "The parts job and content are required");
		return;
	}
	if (content->len > MAX_MULTIPART)
	{
		res_errorf(w, 400, "EXCEEDEDQUOTA",
				   "The content of a multipart request cannot have more than %d characters",
				   MAX_MULTIPART);
		return;
	}
	text = req_own(r, strndup(job->body, job->len));
	o = json_tokener_parse(text);
	if (o == NULL)
	{
		res_error(w, 400, "JSON_PARSER_ERROR", "The part job is not JSON");
		return;
	}
	j = new_ingest(r, w, o);
	json_object_put(o);
	if (j == NULL)
		return;
	set_content(j, content->body, content->len);
	j->multipart = true;
	j->state = BULK_UPLOADED;
	add_job(r, w, j);
}

void
bulk_ingest_create(Request *r, Response *w)
{
	json_object *o;
	BulkJob *j;

	if (multipart_is(r))
	{
		create_multipart(r, w);
		return;
	}
	o = req_json(r, w);
	if (o == NULL)
		return;
	j = new_ingest(r, w, o);
	json_object_put(o);
	if (j != NULL)
		add_job(r, w, j);
}

/* ---- uploading ---- */

void
bulk_ingest_upload(Request *r, Response *w, BulkJob *j)
{
	const char *type = req_header(r, "Content-Type");
	size_t most = (size_t) bulk_settings.upload_mb * 1000000;

	if (type == NULL || strncasecmp(type, "text/csv", 8) != 0)
	{
		res_errorf(w, 415, "UNSUPPORTED_MEDIA_TYPE",
				   "Content-Type '%s' is not supported: use text/csv", type ? type : "");
		return;
	}
	if (r->body_len > most)
	{
		res_errorf(w, 413, "REQUEST_ENTITY_TOO_LARGE",
				   "The content of a job cannot be larger than %d MB", bulk_settings.upload_mb);
		return;
	}
	bulk_lock();
	if (j->uploaded)
		res_errorf(w, 400, "CLIENTINPUTERROR",
				   "Found multiple contents for job: <%s>, please 'Close' / 'Abort' / 'Delete' the "
				   "current Job then create a new Job and make sure you only do 'PUT' once on a "
				   "given Job.",
				   j->id);
	else if (j->state != BULK_OPEN)
		res_error(w, 400, "INVALIDJOBSTATE", "Data can be uploaded to a job that is Open only");
	else
	{
		j->lock_row |= req_take_lock(r);
		set_content(j, r->body, r->body_len);
		w->status = 201;
	}
	bulk_unlock();
}

void
bulk_ingest_close(Request *r, Response *w, BulkJob *j)
{
	bulk_lock();
	if (j->state != BULK_OPEN)
		res_error(w, 400, "INVALIDJOBSTATE", "Closing already closed or aborted Job not allowed");
	else
	{
		j->lock_row |= req_take_lock(r);
		bulk_start(j);
		w->status = 200;
		bulk_json(&w->body, j, BULK_SHOW_CHANGED);
	}
	bulk_unlock();
}

/* ---- what became of the rows ---- */

/* The result, held; NULL if the job has none of that name. */
static BulkResult *
result_of(BulkJob *j, const char *which)
{
	BulkResult *r = NULL;

	bulk_lock();
	if (j->unprocessed == NULL && j->content != NULL && !j->taken)
		j->unprocessed = bulk_never_applied(j);
	if (strcasecmp(which, "successfulResults") == 0)
		r = j->result;
	else if (strcasecmp(which, "failedResults") == 0)
		r = j->refused;
	else
		r = j->unprocessed;
	if (r != NULL)
		bulk_result_hold(r);
	bulk_unlock();
	return r;
}

void
bulk_ingest_results(Request *r, Response *w, BulkJob *j, const char *which)
{
	BulkResult *res;
	bool ended;

	if (strcasecmp(which, "successfulResults") != 0 && strcasecmp(which, "failedResults") != 0 &&
		strcasecmp(which, "unprocessedRecords") != 0)
	{
		res_not_found(w);
		return;
	}
	if (bulk_other_version(r, w, j))
		return;
	bulk_lock();
	ended = bulk_ended(j);
	bulk_unlock();
	if (!ended)
	{
		res_error(w, 400, "INVALIDJOBSTATE", "Results are available when the job has ended");
		return;
	}
	/* an aborted job may have some rows at hand still */
	bulk_wait_work(j);
	res = result_of(j, which);
	if (res != NULL)
		bulk_send_rows(r, w, res, 0,
					   r->fault != NULL && r->fault->kind == FAULT_DROP_ROWS
						   ? bulk_result_rows(res) / 2
						   : bulk_result_rows(res));
	else
	{
		w->status = 200;
		w->content_type = "text/csv";
	}
	if (res != NULL)
		bulk_result_release(res);
}
