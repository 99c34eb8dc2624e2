/*
 * ampsf.h - what every floor may use: the version, and small helpers with no better home.
 */
#ifndef AMPSF_H
#define AMPSF_H

#include "postgres.h"
#include "base/compat.h"

#define AMPSF_VERSION "1.0"
#define AMPSF_FDW_NAME "ampsf_fdw"
#define AMPSF_DEFAULT_API_VERSION "62.0"
#define AMPSF_DEFAULT_MODULE "crm"
/* sObject Collections and composite/batch take no more. */
#define AMPSF_MAX_COLLECTION 200
#define AMPSF_MAX_WRITE_API 100 /* of Ampersand */
#define AMPSF_MAX_BATCH 25

#endif
