/*
 * login_error.h - what may go wrong with a login at Salesforce: causes and cures.
 */
#ifndef AMPSF_LOGIN_ERROR_H
#define AMPSF_LOGIN_ERROR_H

#include "postgres.h"

typedef struct AmpsfLoginError
{
	const char *error;		 /* the OAuth error */
	const char *description; /* a part of its description, without case; NULL: any other */
	int sqlstate;
	const char *cause, *cure; /* sentences */
} AmpsfLoginError;

extern const AmpsfLoginError ampsf_login_errors[]; /* ends with a NULL error */

/* The first entry that fits; NULL if it is no error of a login. */
extern const AmpsfLoginError *ampsf_login_error(const char *error, const char *description);

#endif
