/*
 * ampersand_options.h - the options of a server that is reached by Ampersand; used by options.c
 * only.
 */
#ifndef AMPSF_AMPERSAND_OPTIONS_H
#define AMPSF_AMPERSAND_OPTIONS_H

#include "base/options.h"

/* ERROR if they do not go together.  True if the server is reached so. */
extern bool ampsf_ampersand_check(List *options);
/* Fills in what belongs to it; instance_url becomes the proxy's. */
extern void ampsf_ampersand_read(List *options, AmpsfServerOptions *o);

#endif
