/*
 * stats.c - adds up what was spent; see stats.h.
 */
#include "base/stats.h"

void
ampsf_stats_add(AmpsfStats *into, const AmpsfStats *from)
{
	into->calls += from->calls;
	into->retries += from->retries;
	into->bytes_in += from->bytes_in;
	into->bytes_out += from->bytes_out;
	into->pages += from->pages;
	into->rows += from->rows;
	into->logins += from->logins;
}
