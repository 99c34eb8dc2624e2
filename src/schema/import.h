/*
 * import.h - IMPORT FOREIGN SCHEMA.
 */
#ifndef AMPSF_IMPORT_H
#define AMPSF_IMPORT_H

#include "postgres.h"
#include "nodes/parsenodes.h"

/* The handler's ImportForeignSchema: a List of char *, one CREATE FOREIGN TABLE each. */
extern List *ampsf_import_foreign_schema(ImportForeignSchemaStmt *stmt, Oid serverOid);

#endif
