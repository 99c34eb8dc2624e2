/*
 * soql_meta.h - queries about what there is and who may see it: EntityDefinition and EntityParticle
 * of the Tooling API, FieldPermissions and ObjectPermissions of the other one.
 */
#ifndef SANDBOX_SOQL_META_H
#define SANDBOX_SOQL_META_H

#include "soql.h"

typedef enum MetaAnswer
{
	META_OTHER,	  /* the statement is about something else, or none at all */
	META_REFUSED, /* e is filled */
	META_ANSWERED /* out has the whole answer */
} MetaAnswer;

MetaAnswer soql_meta(const char *text, const SoqlOptions *opt, bool tooling, Buf *out,
					 SoqlError *e);

#endif
