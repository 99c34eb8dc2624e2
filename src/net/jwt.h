/*
 * jwt.h - the signed assertion of a JWT bearer login.
 */
#ifndef AMPSF_JWT_H
#define AMPSF_JWT_H

#include "postgres.h"

/*
 * An RS256 assertion, valid for three minutes from now; palloc'ed.  key_file: PEM without a
 * password, readable by nobody but its owner.  ERROR if the key cannot be used.
 */
extern char *ampsf_jwt_assertion(const char *client_id, const char *username, const char *audience,
								 const char *key_file);

#endif
