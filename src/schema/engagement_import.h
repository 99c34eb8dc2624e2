/*
 * engagement_import.h - IMPORT FOREIGN SCHEMA account_engagement.
 */
#ifndef AMPSF_ENGAGEMENT_IMPORT_H
#define AMPSF_ENGAGEMENT_IMPORT_H

#include "postgres.h"
#include "foreign/foreign.h"
#include "nodes/parsenodes.h"

/* The statements, as ampsf_import_foreign_schema() returns them. */
extern List *ampsf_engagement_import(ImportForeignSchemaStmt *stmt, ForeignServer *server);

#endif
