/*
 * cost.c - what a scan costs: calls first, rows second.
 *
 * A call takes 100 milliseconds and more, and is counted against the org's daily quota, so it
 * weighs like the reading of many local pages (server option call_cost).  This makes the planner
 * prefer one scan of a thousand rows over a thousand scans of one.
 */
#include "base/ampsf.h"
#include "plan/rel_info.h"

#include <math.h>

#include "optimizer/cost.h"
#include "optimizer/optimizer.h"

/* Rows of a page where no option says otherwise. */
#define DEFAULT_PAGE 2000
/* Sending and receiving a row over the internet, cutting and converting it, in units of
 * cpu_tuple_cost. */
#define ROW_WEIGHT 100

double
ampsf_pages(int page_size, double rows)
{
	return ceil(Max(rows, 1) / (page_size > 0 ? page_size : DEFAULT_PAGE));
}

void
ampsf_cost_scan(const AmpsfServerOptions *server, int page_size, double remote_rows, Cost *startup,
				Cost *total)
{
	double page = page_size > 0 ? page_size : DEFAULT_PAGE;

	/* The first row is there when the first page is there. */
	*startup = server->call_cost + Min(remote_rows, page) * cpu_tuple_cost * ROW_WEIGHT;
	*total = ampsf_pages(page_size, remote_rows) * server->call_cost +
			 remote_rows * cpu_tuple_cost * ROW_WEIGHT;
}
