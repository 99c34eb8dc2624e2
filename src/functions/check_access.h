/*
 * check_access.h - what of the org is kept from this user.
 */
#ifndef AMPSF_CHECK_ACCESS_H
#define AMPSF_CHECK_ACCESS_H

#include "postgres.h"
#include "lib/stringinfo.h"

#include "net/session.h"

/*
 * Objects that the org has and this user cannot query, of *known; their names, the first few, into
 * names. -1: the org does not let the user look.  A call, and one for the list of objects where it
 * is not cached.
 */
extern int ampsf_hidden_objects(AmpsfSession *session, StringInfo names, int *known);

#endif
