/*
 * soql_object.h - the object that a SOQL statement reads.
 */
#ifndef AMPSF_SOQL_OBJECT_H
#define AMPSF_SOQL_OBJECT_H

#include <stdbool.h>
#include <stddef.h>

/* Its API name, cut to fit into name[size]; false, and "", if there is none. */
extern bool ampsf_soql_object(const char *soql, char *name, size_t size);

#endif
