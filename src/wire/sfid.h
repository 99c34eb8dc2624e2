/*
 * sfid.h - Salesforce record Ids: 15 characters where case matters, or 18 with a checksum of the
 * case.
 *
 * Must not know: PostgreSQL, the network.
 */
#ifndef AMPSF_SFID_H
#define AMPSF_SFID_H

#include <stdbool.h>
#include <stddef.h>

#define AMPSF_SFID_LEN 18

/* Is it exactly what Salesforce stores: 18 characters, letters and digits, the right checksum? */
bool ampsf_sfid_is_canonical(const char *id, size_t len);
/* 15 characters, or 18 in any case whose checksum restores the case; false if it is no Id. out: 18
 * + NUL. */
bool ampsf_sfid_canonicalize(const char *id, size_t len, char out[AMPSF_SFID_LEN + 1]);

#endif
