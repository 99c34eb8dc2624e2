/*
 * server_arg.h - the server that a function's caller names.
 */
#ifndef AMPSF_SERVER_ARG_H
#define AMPSF_SERVER_ARG_H

#include "postgres.h"
#include "foreign/foreign.h"

/*
 * The server of that name; ERROR if it is not one of this extension, or the caller may not use it.
 */
extern ForeignServer *ampsf_server_arg(const char *name);
/* Does a server belong to this extension? */
extern bool ampsf_is_our_server(const ForeignServer *server);

#endif
