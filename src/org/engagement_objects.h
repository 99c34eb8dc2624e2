/*
 * engagement_objects.h - the objects of Account Engagement's API v5, and their fields.
 *
 * There is no describe: what the documents list is carried here.  They do not list all, see the
 * option extra_fields of IMPORT FOREIGN SCHEMA.
 */
#ifndef AMPSF_ENGAGEMENT_OBJECTS_H
#define AMPSF_ENGAGEMENT_OBJECTS_H

#include "postgres.h"
#include "nodes/pg_list.h"
#include "net/session.h"

#define AMPSF_ENGAGEMENT_READ 1
#define AMPSF_ENGAGEMENT_CREATE 2
#define AMPSF_ENGAGEMENT_UPDATE 4
#define AMPSF_ENGAGEMENT_DELETE 8

typedef struct AmpsfEngagementObject
{
	const char *name; /* as in its address: list-memberships */
	int allowed;
	bool documented;	  /* one that the documents offer as an object of its own */
	const char *filter;	  /* the datetime that queries can filter by, NULL: none */
	const char *newest;	  /* there is no filter, but it can be read newest first by that; or NULL */
	const char *singular; /* as the Export API names it; NULL: it cannot be exported */
	const char *fields;	  /* "name:type", with a * where it can be written */
} AmpsfEngagementObject;

typedef struct AmpsfEngagementField
{
	char *name;
	char type; /* i integer, n number, s text, b boolean, t datetime, d date, e enum, a list, o
				  object */
	bool editable;
} AmpsfEngagementField;

extern const AmpsfEngagementObject ampsf_engagement_objects[]; /* ends with a NULL name */

/* By its name, in whatever case, with hyphens or underscores; NULL if there is no such object. */
extern const AmpsfEngagementObject *ampsf_engagement_object(const char *name);
/* The address of its collection. */
extern char *ampsf_engagement_path(const AmpsfEngagementObject *object);
/* List of AmpsfEngagementField, in the current context. */
extern List *ampsf_engagement_fields(const AmpsfEngagementObject *object);
/* The field as it is spelled, for a name in whatever case; the name itself if it is not in the
 * list.  palloc'ed. */
extern char *ampsf_engagement_spelling(const AmpsfEngagementObject *object, const char *name);

/* The fields that the business unit has made for prospects itself; asks. */
extern List *ampsf_engagement_custom_fields(AmpsfSession *session);

/* What the business unit has of API calls a day, and has used; asks. */
extern void ampsf_engagement_quota(AmpsfSession *session, int64 *used, int64 *max);

#endif
