/*
 * write_api.h - what Ampersand's Write API cannot do.
 */
#ifndef AMPSF_PLAN_WRITE_API_H
#define AMPSF_PLAN_WRITE_API_H

#include "postgres.h"
#include "utils/rel.h"

/* ERROR if an option of a table that is written so asks for more. */
extern void ampsf_write_api_check(Relation rel);

#endif
