/*
 * compound.h - compound fields put together from their components, which is all that Bulk gives.
 */
#ifndef AMPSF_COMPOUND_H
#define AMPSF_COMPOUND_H

#include "postgres.h"
#include "lib/stringinfo.h"
#include "net/session.h"
#include "wire/json_scan.h"

/* One compound field of a query. */
typedef struct AmpsfCompound
{
	int field; /* its index in the query */
	int n;
	char **names;  /* [n] API names of the components */
	char **keys;   /* [n] their keys in the JSON object that REST gives, in its order */
	bool *numbers; /* [n] */
	int *parts;	   /* [n] where each is among the values that are really asked for */
} AmpsfCompound;

extern bool ampsf_is_compound_type(const char *type);
/* The components of a field, from the object's describe (which may cost a call); false if there are
 * none. */
extern bool ampsf_compound_find(AmpsfSession *session, const char *object, const char *field,
								AmpsfCompound *compound);
/* The value: JSON in buf (which is emptied first), or null if all components are. */
extern void ampsf_compound_value(const AmpsfCompound *compound, const AmpsfValue *values,
								 StringInfo buf, AmpsfValue *value);

#endif
