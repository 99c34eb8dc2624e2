/*
 * multipart.c - writes a row with a file as a body of two parts; see multipart.h.
 *
 * The boundary is long enough never to be met in JSON, where a line end is always escaped; in the
 * file it is looked for.
 */
#include "base/ampsf.h"
#include "org/multipart.h"

#include <fcntl.h>
#include <unistd.h>

#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "storage/fd.h"
#include "utils/wait_event.h"

#define BOUNDARY "ampsf-3f9c1d7a5b2e-part"
/* Bytes that are written at once. */
#define CHUNK (1024 * 1024)

static void
put(File file, const char *data, size_t len, off_t *at)
{
	while (len > 0)
	{
		int n = (int) Min(len, CHUNK);

		if (FileWrite(file, unconstify(char *, data), n, *at, WAIT_EVENT_BUFFILE_WRITE) != n)
			ereport(ERROR, (errcode_for_file_access(),
							errmsg("could not write to a temporary file for a call: %m")));
		data += n;
		len -= n;
		*at += n;
		CHECK_FOR_INTERRUPTS();
	}
}

static void
close_fd(void *arg)
{
	close(*(int *) arg);
	ReleaseExternalFD();
}

/* A descriptor of our own, and the file has no name any more. */
static int
keep(File file, MemoryContext cxt)
{
	MemoryContextCallback *callback = MemoryContextAlloc(cxt, sizeof(*callback));
	int *fd = MemoryContextAlloc(cxt, sizeof(int));

	AcquireExternalFD();
	*fd = open(FilePathName(file), O_RDONLY | O_CLOEXEC);
	if (*fd < 0)
	{
		int save = errno;

		ReleaseExternalFD();
		errno = save;
		ereport(ERROR, (errcode_for_file_access(),
						errmsg("could not open file \"%s\": %m", FilePathName(file))));
	}
	callback->func = close_fd;
	callback->arg = fd;
	MemoryContextRegisterResetCallback(cxt, callback);
	FileClose(file);
	return *fd;
}

int
ampsf_multipart_create(const char *fields, size_t len, const char *field, const void *data,
					   size_t data_len, MemoryContext cxt, int64 *size)
{
	static const char mark[] = "\r\n--" BOUNDARY;
	File file;
	off_t at = 0;
	StringInfoData head;

	if (memmem(data, data_len, mark, strlen(mark)) != NULL)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("the file contains the boundary of a multipart body")));
	file = OpenTemporaryFile(false);
	initStringInfo(&head);
	appendStringInfoString(&head, "--" BOUNDARY "\r\n"
								  "Content-Disposition: form-data; name=\"entity_content\"\r\n"
								  "Content-Type: application/json; charset=UTF-8\r\n\r\n{");
	put(file, head.data, head.len, &at);
	put(file, fields, len, &at);
	resetStringInfo(&head);
	appendStringInfo(&head,
					 "}\r\n--" BOUNDARY "\r\n"
					 "Content-Disposition: form-data; name=\"%s\"; filename=\"content\"\r\n"
					 "Content-Type: application/octet-stream\r\n\r\n",
					 field);
	put(file, head.data, head.len, &at);
	put(file, data, data_len, &at);
	resetStringInfo(&head);
	appendStringInfoString(&head, "\r\n--" BOUNDARY "--\r\n");
	put(file, head.data, head.len, &at);
	pfree(head.data);
	*size = at;
	return keep(file, cxt);
}
