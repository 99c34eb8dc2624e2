/*
 * amp.h - Ampersand's hosts, as they stand between a client and the org: what their files share.
 *
 * Each host has an address of its own with the org's port, so that no path means two things:
 * 127.0.0.2 is the proxy, .3 the Write API, .4 the Read API, .5 the platform's.
 *
 *   amp_http.c	which host, keys, the proxy
 *   amp_write.c	the Write API
 *   amp_ops.c	operations, triggered reads, progress
 *   amp_events.c	change events, as a webhook tells them
 */
#ifndef SANDBOX_AMP_H
#define SANDBOX_AMP_H

#include "http.h"

typedef enum AmpHost
{
	AMP_NONE,
	AMP_PROXY,
	AMP_WRITE,
	AMP_READ,
	AMP_API
} AmpHost;

/* An integration of the project, with the one installation that it has. */
typedef struct AmpIntegration
{
	const char *name, *id;
	const char *installation;
	bool proxy;	 /* proxy.enabled of the manifest */
	bool module; /* proxy.useModule, of Account Engagement */
} AmpIntegration;

#define AMP_PROJECT_ID "0d4f6c2e-7a51-4c1c-9a53-2f1f0c9d8e7b"
#define AMP_PROJECT_NAME "sandbox"
#define AMP_GROUP "acme"
#define AMP_KEY "sandbox-api-key"

/* What --amp and /__sandbox/amp say. */
typedef struct AmpSettings
{
	int throttle_seconds; /* until the proxy forwards again, where the org does not say */
	int polls;			  /* how often an operation is asked for before it is complete */
	bool locked_out;	  /* the proxy says that calls are not to be repeated */
	bool deletes;		  /* deletionSettings.enabled */
	bool row_errors;	  /* a batch tells of each record what was wrong, which is not documented */
} AmpSettings;

extern AmpSettings amp_settings;
bool amp_set(const char *name, const char *value);
void amp_reset(void);
void amp_stats(Buf *out);

/* amp_http.c */
/*
 * Before anything else: which host it is.  Of the proxy, checks what a client must send, and makes
 * the request one of the org's with the connection's token.  True if it is answered here.
 */
bool amp_front(Request *r, Response *w);
/* Behind the org's answer to a request through the proxy. */
void amp_back(Request *r, Response *w);
/* All hosts but the proxy. */
void amp_handle(Request *r, Response *w);
void amp_problem(Response *w, int status, const char *title, const char *detail);
/* By its UUID; NULL if there is none. */
const AmpIntegration *amp_integration(const char *id);
bool amp_is_project(const char *text);
/* The user that the connection belongs to; the integration user of the request from now on. */
bool amp_become(Request *r, Response *w);
/* A call to the org in that user's name, which counts: status and the answer, which the caller
 * puts. */
int amp_call(Request *r, const char *method, const char *url, json_object *headers,
			 json_object *body, json_object **answer);

/* amp_write.c */
void amp_write(Request *r, Response *w, const AmpIntegration *in, const char *object);

/* amp_ops.c */
typedef struct AmpOperation
{
	char id[40];
	const AmpIntegration *in;
	const char *action; /* "read", "write" */
	char *object;
	bool failed;
	char *result, *error; /* error: for the log, or NULL */
	json_object *ids;	  /* of records that were written */
	long long records;	  /* of a read */
	int polls;			  /* that will still find it in progress */
	char created[32];
	struct AmpOperation *next;
} AmpOperation;

/* A new one; texts are copied, ids is taken over. */
const char *amp_operation(const AmpIntegration *in, const char *action, const char *object,
						  bool failed, const char *result, const char *error, json_object *ids,
						  long long records);
void amp_trigger(Request *r, Response *w, const AmpIntegration *in, const char *object);
void amp_operation_get(Request *r, Response *w, const char *id, bool logs);
void amp_progress(Request *r, Response *w, const AmpIntegration *in, const char *object);
void amp_operations_reset(void);

/* amp_events.c */
/* /__sandbox/amp-messages?object=O&fields=F,...&secret=S[&after=REPLAY]: a JSON array, each with
 * headers and body. */
void amp_messages(Request *r, Response *w);

#endif
