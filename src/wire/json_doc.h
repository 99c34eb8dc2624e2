/*
 * json_doc.h - small JSON documents (tokens, describes, errors, write results), by json-c.
 *
 * The only header through which the rest sees json-c; it may be included after PostgreSQL's headers
 * (json-c and fmgrprotos.h both claim the name json_object, which this file settles).
 * Documents are reference-counted by json-c; ampsf_json_parse ties one to a memory context.
 */
#ifndef AMPSF_JSON_DOC_H
#define AMPSF_JSON_DOC_H

#include "postgres.h"
#include "utils/palloc.h"

typedef struct json_object AmpsfJson;

/* NULL if the text is not one whole JSON value (depth limit 64).  Freed when cxt is reset or
 * deleted. */
AmpsfJson *ampsf_json_parse(const char *text, size_t len, MemoryContext cxt);

bool ampsf_json_is_object(AmpsfJson *j);
bool ampsf_json_is_array(AmpsfJson *j);
AmpsfJson *ampsf_json_get(AmpsfJson *j, const char *key); /* NULL if absent, null, or no object */
int ampsf_json_array_length(AmpsfJson *j);				  /* 0 if no array */
AmpsfJson *ampsf_json_array_get(AmpsfJson *j, int i);
const char *ampsf_json_string(AmpsfJson *j,
							  const char *key); /* string or number as text; NULL if absent */
const char *ampsf_json_text(AmpsfJson *j);		/* of the value itself; NULL if null */
int64 ampsf_json_int(AmpsfJson *j, const char *key, int64 dflt);
bool ampsf_json_bool(AmpsfJson *j, const char *key, bool dflt);
const char *ampsf_json_print(AmpsfJson *j); /* source-like text, owned by j */
/* Calls fn for each member of an object, in source order. */
void ampsf_json_each(AmpsfJson *j, void (*fn)(const char *key, AmpsfJson *value, void *arg),
					 void *arg);

#endif
