/*
 * secret_file.h - secrets that are kept in files of the database server.
 */
#ifndef AMPSF_SECRET_FILE_H
#define AMPSF_SECRET_FILE_H

#include "postgres.h"

/*
 * The file's bytes into buf, of which size are there; returns how many.  ERROR if it cannot be
 * read, is too large, or is not kept from others: it must belong to the database user (0600) or to
 * root (0640). what: "private key", for messages.
 */
extern size_t ampsf_secret_file_bytes(const char *path, const char *what, char *buf, size_t size);
/* A secret of one line, palloc'ed; ERROR as above, or if it is not one word of printable ASCII. */
extern char *ampsf_secret_file_word(const char *path, const char *what);
/*
 * Puts another word in its place: the file holds the old or the new one, whatever happens.  False,
 * with *problem (palloc'ed), if that is not possible.
 */
extern bool ampsf_secret_file_replace(const char *path, const char *word, char **problem);

#endif
