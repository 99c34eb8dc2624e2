/*
 * hosts.h - which hosts may be talked to, and so be shown a secret.
 */
#ifndef AMPSF_HOSTS_H
#define AMPSF_HOSTS_H

#include "postgres.h"

/*
 * Is url of the form scheme://host[:port], and may the host be given a token?  https: it must fit a
 * pattern of ampsf.allowed_hosts.  http: loopback only, and only where ampsf.allow_http_loopback is
 * on.
 */
extern bool ampsf_host_allowed(const char *url);
/* ERROR unless it is; where: what gave the address, "option \"instance_url\"". */
extern void ampsf_host_check(const char *url, const char *where);

#endif
