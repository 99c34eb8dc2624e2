/*
 * engagement_scan.h - what is different about a scan of one of Account Engagement's objects.
 */
#ifndef AMPSF_EXEC_ENGAGEMENT_SCAN_H
#define AMPSF_EXEC_ENGAGEMENT_SCAN_H

#include "exec/scan.h"

/* After each bind: the request, in the current context, and its text into state->soql; NULL: no row
 * can pass. */
extern void ampsf_engagement_bind(AmpsfScanState *state, const AmpsfBind *bind);
extern AmpsfRowSource *ampsf_engagement_open(AmpsfScanState *state, const AmpsfQuerySpec *spec);
/* For EXPLAIN without values; NULL: no row can pass. */
extern char *ampsf_engagement_explain(const AmpsfSelect *select, const AmpsfBind *bind,
									  const AmpsfTableOptions *table);

#endif
