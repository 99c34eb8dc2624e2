/*
 * http_private.h - what http.c (one request) and http_mux.c (all of them at once) share.
 */
#ifndef AMPSF_HTTP_PRIVATE_H
#define AMPSF_HTTP_PRIVATE_H

#include "net/http.h"

/* libcurl's own types stay in the .c files: CURL is void to us, CURLcode an int. */
struct curl_slist;
#define AMPSF_CURL_TEXT_SIZE 256 /* CURL_ERROR_SIZE */

struct AmpsfHttp
{
	dlist_node node; /* in "active" while easy is set */
	MemoryContextCallback on_reset;
	void *easy;
	struct curl_slist *headers_out;

	const char *out;				  /* request body */
	int out_fd;						  /* or the file that has it */
	size_t out_len, out_pos, out_max; /* out_max: the farthest that libcurl has ever taken */

	char *body; /* malloc'ed */
	size_t body_len, body_size;
	size_t window;	   /* of a streamed answer, else 0 */
	size_t body_start; /* what is before it has been consumed */
	bool early;		   /* is looked at before it is complete */
	bool begun;		   /* a 2xx answer, of one with a window or early */
	bool paused;	   /* libcurl waits for room in the window */
	char *headers;	   /* malloc'ed: lines, each with its NUL */
	size_t headers_len, headers_size;

	int64 max_response;
	int request_timeout, connect_timeout;
	int64 last_progress; /* when a byte last moved */
	int64 moved;		 /* bytes at that time */
	int attempts;		 /* how often libcurl came to the point of sending */
	bool replayable, sensitive;

	/* http_mux.c calls it when libcurl is through with it; rc is a CURLcode. */
	void (*complete)(AmpsfHttp *req, int rc);
	bool done;
	AmpsfHttpFailure failure;
	int status;
	int64 bytes_in;
	char text[AMPSF_CURL_TEXT_SIZE];
};

/* Makes the multi handle and its descriptors where they are missing; ERROR leaves a state to go on
 * from. */
extern void ampsf_mux_init(void);
/* Room for one more socket; ERROR if there is none. */
extern void ampsf_mux_reserve(void);
/* From now on the request is known, and ampsf_mux_detach() is due. */
extern void ampsf_mux_enroll(AmpsfHttp *req);
/* Options of a handle that concern all of them; false when memory is out. */
extern bool ampsf_mux_options(void *easy);
/* Hands it to libcurl; false when memory is out. */
extern bool ampsf_mux_start(AmpsfHttp *req);
/* Goes on with a request that was paused. */
extern void ampsf_mux_resume(AmpsfHttp *req);
/* Takes the request from libcurl, finished or not.  Fit for a context callback: cannot fail. */
extern void ampsf_mux_detach(AmpsfHttp *req);

#endif
