/*
 * mapping.h - what a user mapping keeps of a login that goes on: a refresh token that may be
 * replaced.
 *
 * Salesforce may answer each use of a refresh token with another one, and the old one is dead at
 * once.  So the new one is stored before anything else is done, in a transaction of its own, and
 * one process at a time uses it.  Must not know: the network.
 */
#ifndef AMPSF_MAPPING_H
#define AMPSF_MAPPING_H

#include "postgres.h"
#include "foreign/foreign.h"

#include "base/options.h"

#define AMPSF_FINGERPRINT_SIZE 32

/*
 * Says whether two states of a mapping and its server are the same but for a refresh token that was
 * replaced by rotation: a token that somebody else stored is another login.
 */
extern void ampsf_mapping_fingerprint(const UserMapping *mapping, const ForeignServer *server,
									  uint8 out[AMPSF_FINGERPRINT_SIZE]);
/* The mapping as it is now, palloc'ed, its secrets to be wiped; NULL if there is none any more. */
extern UserMapping *ampsf_mapping_read(Oid umid);
/* Overwrites the secrets of such a copy. */
extern void ampsf_mapping_wipe(UserMapping *mapping);

/* Until the end of the transaction, or unlock: nobody else uses the refresh token.  May wait. */
extern void ampsf_mapping_lock(Oid umid);
extern void ampsf_mapping_unlock(Oid umid);

/*
 * Stores a refresh token, in the current transaction; where expected is given, only if that one is
 * still there.  rotated: it takes the other's place in the same login.  False if there is nothing
 * to store into.
 */
extern bool ampsf_mapping_set_token(Oid umid, const char *expected, const char *token,
									bool rotated);
/*
 * Stores a token that replaced old, durably and whatever becomes of the current transaction.  False
 * with *problem (palloc'ed) if that failed.
 */
extern bool ampsf_mapping_rotate(Oid umid, const char *old, const char *token, char **problem);

#endif
