/*
 * key_join.h - runs batched key lookups.
 */
#ifndef AMPSF_KEY_JOIN_H
#define AMPSF_KEY_JOIN_H

/* Makes the node known to PostgreSQL, so that plans can name it. */
extern void ampsf_key_join_init(void);

#endif
