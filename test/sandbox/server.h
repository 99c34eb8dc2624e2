/*
 * server.h - starting and stopping the transport.
 */
#ifndef SANDBOX_SERVER_H
#define SANDBOX_SERVER_H

/* Listens as config says; cert and key are PEM text or NULL.  The port, or -1 with the reason
 * printed. */
int server_start(const char *cert, const char *key);
/* Waits for the requests under way; set stopping first. */
void server_stop(void);

#endif
