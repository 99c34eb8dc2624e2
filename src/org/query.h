/*
 * query.h - a query over whatever transport is best.
 */
#ifndef AMPSF_QUERY_H
#define AMPSF_QUERY_H

#include "postgres.h"
#include "base/options.h"
#include "org/row_source.h"

typedef struct AmpsfTransportSpec
{
	AmpsfTransport transport;
	int64 threshold; /* auto: from so many rows on a job is cheaper than pages */
	const char *object;
	const char *const *types; /* [nfields] Salesforce types of the fields */
	bool pages_only;		  /* a statement that Bulk cannot run, or should not */
} AmpsfTransportSpec;

/*
 * query->soql is "SELECT f, g FROM ..." with exactly query->fields (but for statements that are
 * pages_only), of whose compound fields Bulk gets the components; their values are put together as
 * REST would give them. query->kinds is not looked at.  The arrays must outlive the source.
 */
extern AmpsfRowSource *ampsf_query(const AmpsfQuerySpec *query,
								   const AmpsfTransportSpec *transport);

#endif
