/*
 * budget.h - what may be spent: the calls of a statement, and the org's reserve.
 *
 * Asked before each request leaves, repetitions included, so that what would pass a limit fails
 * before the call that would do it.  Must not know: what a call means.
 */
#ifndef AMPSF_BUDGET_H
#define AMPSF_BUDGET_H

#include "postgres.h"
#include "net/session.h"

/* ERROR (53400) if one more call would pass ampsf.statement_call_limit or the server's
 * quota_reserve. */
extern void ampsf_budget_check(AmpsfSession *session);
/* A request leaves; it has been answered, or will never be; it had never reached the org. */
extern void ampsf_budget_spend(AmpsfSession *session);
extern void ampsf_budget_settle(AmpsfSession *session);
extern void ampsf_budget_refund(void);

#endif
