/*
 * query_plan.h - how many rows Salesforce's optimizer expects of a statement, without running it.
 */
#ifndef AMPSF_QUERY_PLAN_H
#define AMPSF_QUERY_PLAN_H

#include "postgres.h"
#include "net/session.h"

typedef struct AmpsfQueryPlan
{
	int64 rows;	   /* that the statement gives */
	int64 objects; /* rows of its object; -1: not said */
} AmpsfQueryPlan;

/*
 * Asks, by one call, or remembers: a statement's plan is kept by this backend for ten minutes, a
 * refusal as well.  False if Salesforce does not say, for whatever reason but a login that fails or
 * a cancel. serverid and userid: whose session it is; it is opened only if there is something to
 * ask.
 */
extern bool ampsf_query_plan(Oid serverid, Oid userid, const char *soql, AmpsfQueryPlan *plan);

#endif
