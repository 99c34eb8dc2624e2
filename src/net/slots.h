/*
 * slots.h - how many calls at once go out in one name, counted over all sessions of this cluster.
 */
#ifndef AMPSF_SLOTS_H
#define AMPSF_SLOTS_H

#include "postgres.h"

/* What Account Engagement lets a business unit have under way. */
#define AMPSF_SLOTS 5

/* A slot of that name, 0 and above; -1 if all are taken at present.  Never waits, never raises. */
extern int ampsf_slot_take(const char *name);
extern void ampsf_slot_give(const char *name, int slot);

#endif
