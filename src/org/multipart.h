/*
 * multipart.h - a row with a file, as a body of two parts: the fields as JSON, and the file's
 * bytes.
 */
#ifndef AMPSF_MULTIPART_H
#define AMPSF_MULTIPART_H

#include "postgres.h"

#define AMPSF_MULTIPART_TYPE "multipart/form-data; boundary=\"ampsf-3f9c1d7a5b2e-part\""

/*
 * Writes it into a temporary file, and gives a descriptor of it, which ends with cxt: neither
 * base64 nor copies in memory are made.  fields: the inside of a JSON object; field: that of the
 * file; *size: of the body.
 */
extern int ampsf_multipart_create(const char *fields, size_t len, const char *field,
								  const void *data, size_t data_len, MemoryContext cxt,
								  int64 *size);

#endif
