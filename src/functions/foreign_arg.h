/*
 * foreign_arg.h - the foreign table that a function's caller names, standing for its object.
 */
#ifndef AMPSF_FOREIGN_ARG_H
#define AMPSF_FOREIGN_ARG_H

#include "postgres.h"
#include "base/options.h"
#include "net/session.h"

typedef struct AmpsfForeignArg
{
	AmpsfTableOptions *table;
	AmpsfSession *session; /* of the caller's user mapping */
} AmpsfForeignArg;

/* ERROR if it is not a foreign table of ours, or the caller has not that right to it. */
extern void ampsf_check_foreign_table(Oid relid, AclMode need);

/* ERROR if it is not a table of ours, or of Account Engagement, or the caller may not read it. */
extern void ampsf_foreign_arg(AmpsfForeignArg *arg, Oid relid);

#endif
