/*
 * rules_rollup.h - fields that add up the rows of another object, and functions that formulas have.
 */
#ifndef SANDBOX_RULES_ROLLUP_H
#define SANDBOX_RULES_ROLLUP_H

#include "store_internal.h"

/* Which roll-ups there are, after the objects changed. */
void rollup_reload(void);
/* A new field has its values, if it is a roll-up. */
void rollup_fill(const Field *f);
/* A row was written or deleted, as rules_effects() has it. */
void rollup_effects(const Row *r, const Row *old);
/* Lookups to this row changed without a write of their rows. */
void rollup_refresh(const Object *parent, const char *id);

/* sf_today(), sf_now(), sf_value(object, id, field). */
void formula_register(sqlite3 *db);

#endif
