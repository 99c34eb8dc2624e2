/*
 * guc.h - the settings under "ampsf.".
 */
#ifndef AMPSF_GUC_H
#define AMPSF_GUC_H

#include "postgres.h"

extern bool
	ampsf_allow_http_loopback;	  /* superuser: http:// to 127.0.0.0/8, ::1, localhost, for tests */
extern char *ampsf_allowed_hosts; /* superuser: host patterns that may get a token,
									 "*.salesforce.com, ..." */

extern bool ampsf_enable_key_lookup;
extern int ampsf_max_soql_length;	 /* characters */
extern int ampsf_bulk_poll_interval; /* milliseconds */

extern int ampsf_statement_call_limit; /* API calls of one statement; 0: any number */

extern int ampsf_max_sync_workers; /* of each database; 0: no background workers */

extern bool ampsf_applying; /* a mirror writes to its table; of the extension's SQL */
extern char *ampsf_change_time; /* and when the org changed the rows, or "" */

extern void ampsf_guc_init(void);

#endif
