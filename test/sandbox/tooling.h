/*
 * tooling.h - what the Tooling API sets up for change events: channels, their members, and what a
 * relay needs.
 *
 * Kept in the table __tooling, a row each; called under store_lock().  tooling_store.c has the
 * rows, tooling_check.c what they must be, tooling_http.c the resources, tooling_query.c the
 * queries.
 */
#ifndef SANDBOX_TOOLING_H
#define SANDBOX_TOOLING_H

#include <json-c/json.h>

#include "event_filter.h"
#include "http.h"
#include "schema.h"
#include "store.h"

typedef enum ToolingType
{
	TOOLING_CHANNEL,
	TOOLING_MEMBER,
	TOOLING_CREDENTIAL,
	TOOLING_RELAY,
	TOOLING_TYPES
} ToolingType;

typedef struct Tooling
{
	char id[SF_ID_LEN + 1];
	ToolingType type;
	char *full;		 /* FullName */
	char *developer; /* DeveloperName: without __chn */
	json_object *metadata;
	char created[29], modified[29];
	char created_by[SF_ID_LEN + 1], modified_by[SF_ID_LEN + 1];
} Tooling;

void tooling_open(void);
void tooling_reset(void);
const char *tooling_type_name(ToolingType t);
ToolingType tooling_type(const char *name); /* TOOLING_TYPES: no such type */
void tooling_free(Tooling *t);
/* By Id (15 or 18 characters), or by DeveloperName (no matter the case); false if there is none. */
bool tooling_get(ToolingType type, const char *id, Tooling *t);
bool tooling_find(ToolingType type, const char *developer, Tooling *t);
/* The one behind that number, in order of creation; *at 0 at first. */
bool tooling_next(ToolingType type, int64_t *at, Tooling *t);
void tooling_insert(Tooling *t); /* gives it its Id */
void tooling_update(const Tooling *t);
void tooling_delete(const char *id);
const char *tooling_text(const Tooling *t, const char *key); /* of its metadata; NULL */

/* tooling_check.c: false with the refusal; old is NULL for a new one, and is told what is left out.
 */
bool tooling_check(Tooling *t, const Tooling *old, Response *w);
bool tooling_may_delete(const Tooling *t, Response *w);

/* The channels that have the object, separated by commas; NULL: none.  malloc'ed. */
char *tooling_channels_of(const Object *o);
/* The member of that channel (ChangeEvents, Name__chn) for the object. */
bool tooling_member(const char *channel, const Object *o, Tooling *t);
bool tooling_channel(const char *full, Tooling *t); /* case matters, as in addresses of channels */
/* Exactly these objects (separated by commas) are selected on ChangeEvents; false: not possible. */
bool tooling_select(const char *objects);
void tooling_list_selected(Buf *out);

/* The types of what a filter on the object's events may name. */
bool tooling_filter_field(void *object, const char *name, FilterType *type, char **why);

void tooling_query(Request *r, Response *w, const char *soql);
/* tooling_query.c: a query that is about these types. */
bool tooling_is_query(const char *soql);
void tooling_put(Buf *out, const Tooling *t, const char *version); /* the whole of it */
/* /tooling/sobjects/... */
void tooling_resource(Request *r, Response *w);

#endif
