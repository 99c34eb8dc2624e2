/*
 * analyze.h - ANALYZE of a foreign table.
 */
#ifndef AMPSF_ANALYZE_H
#define AMPSF_ANALYZE_H

#include "postgres.h"
#include "foreign/fdwapi.h"

extern bool ampsfAnalyzeForeignTable(Relation relation, AcquireSampleRowsFunc *func,
									 BlockNumber *totalpages);

#endif
