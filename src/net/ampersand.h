/*
 * ampersand.h - how a call goes to Ampersand's hosts in the place of the org's; used by call.c
 * only.
 */
#ifndef AMPSF_AMPERSAND_H
#define AMPSF_AMPERSAND_H

#include "net/session.h"

/* Adds what the proxy wants to know, five headers at most, to the n that there are; returns how
 * many there are then. */
extern int ampsf_ampersand_headers(const AmpsfServerOptions *o, const char **headers, int n);
/* The address of one of its other hosts. */
extern const char *ampsf_ampersand_url(const AmpsfServerOptions *o, AmpsfCallHost host);

#endif
