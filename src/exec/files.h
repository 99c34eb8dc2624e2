/*
 * files.h - the content of file fields (ContentVersion.VersionData, Attachment.Body).
 *
 * A query gives only its address.  A column of type bytea shows the content, for a call each.
 */
#ifndef AMPSF_FILES_H
#define AMPSF_FILES_H

#include "postgres.h"
#include "base/stats.h"
#include "net/session.h"

/* The content at an address as a query gave it, as a bytea in the current context. */
extern Datum ampsf_fetch_file(AmpsfSession *session, const char *path, AmpsfStats *stats);

#endif
