/*
 * combine.h - one row source out of several statements over REST; see row_source.h.
 */
#ifndef AMPSF_COMBINE_H
#define AMPSF_COMBINE_H

#include "postgres.h"
#include "org/row_source.h"

/*
 * The rows of all statements, one after the other; those that several of them give, once.
 * spec->soql is not looked at.  spec->fields has the field Id at place id.
 */
extern AmpsfRowSource *ampsf_union_query(const AmpsfQuerySpec *spec, char *const *statements, int n,
										 int id);

/*
 * The same rows asked for by n statements, each with another part of the fields: parts[i] has
 * nparts[i] fields, the first of which is Id, and each statement is in the order of Id.
 * spec->fields are put together of them. A row that is not in all of them has come or gone
 * meanwhile, and is left out.
 */
extern AmpsfRowSource *ampsf_wide_query(const AmpsfQuerySpec *spec, char *const *statements,
										const char *const *const *parts, const int *nparts, int n);

#endif
