/*
 * rest.h - the resources under /services/data/vXX.X/, one function each.
 *
 * Every one runs under store_lock(), with the request authenticated and split into segments.
 */
#ifndef SANDBOX_REST_H
#define SANDBOX_REST_H

#include "http.h"
#include "schema.h"
#include "store.h"

/* rest_meta.c */
void rest_versions(Request *r, Response *w);				  /* GET /services/data */
void rest_resources(Request *r, Response *w);				  /* GET /services/data/vXX.X */
void rest_global(Request *r, Response *w);					  /* sobjects */
void rest_object(Request *r, Response *w, const Object *o);	  /* GET sobjects/X */
void rest_describe(Request *r, Response *w, const Object *o); /* sobjects/X/describe */
/*
 * True when If-Modified-Since or If-None-Match say that the client has it (304), others that it is
 * not what the client thinks (412), or one of them says nothing (400).  etag NULL: it has none.
 */
bool rest_precondition(const Request *r, Response *w, time_t modified, const char *etag);
void rest_http_date(time_t t, char out[40]);

/* rest_query.c */
void rest_query(Request *r, Response *w);

/* rest_rows.c */
void rest_create(Request *r, Response *w, const Object *o);
void rest_row(Request *r, Response *w, const Object *o, const char *id);
void rest_row_by_key(Request *r, Response *w, const Object *o, const char *field,
					 const char *value);
void rest_blob(Request *r, Response *w, const Object *o, const char *id, const Field *f);
/* [{"message","errorCode","fields"}] of a refused write, and its errors as collections print them.
 */
void rest_store_error(const Request *r, Response *w, StoreError *e);
void rest_error_item(Buf *out, const StoreError *e);
/* Names separated by commas to fields; NULL with the answer filled if one is unknown. */
const Field **rest_fields(Request *r, Response *w, const Object *o, const char *names, int *n);

/* rest_collections.c: composite/sobjects */
void rest_collections(Request *r, Response *w);

/* rest_composite.c, rest_tree.c */
void rest_composite(Request *r, Response *w);
void rest_batch(Request *r, Response *w);
void rest_graph(Request *r, Response *w);
void rest_tree(Request *r, Response *w);

/* rest_search.c, rest_reports.c: search, and analytics/reports */
void rest_search(Request *r, Response *w);
void rest_reports(Request *r, Response *w);

/* rest_apex.c: /services/apexrest, tooling, connect */
void rest_apex(Request *r, Response *w);
void rest_tooling(Request *r, Response *w);
void rest_connect(Request *r, Response *w);

/* event_schema.c: sobjects/XChangeEvent/eventSchema, event/eventSchema/ID */
void event_schema_resource(Request *r, Response *w);

/* rest_limits.c */
void rest_limits(Request *r, Response *w);
void rest_record_count(Request *r, Response *w);

/* rest_replication.c: sobjects/X/updated and /deleted */
void rest_replication(Request *r, Response *w, const Object *o, bool deleted);

static inline bool
is_get(const Request *r)
{
	return r->method[0] == 'G' || r->method[0] == 'H';
}

#endif
