/*
 * crash_notes.c - see crash_notes.h.
 *
 * A small file for each database, where the server keeps what is worth nothing after a restart.  It
 * is for a crash of processes, not of the machine: nothing is flushed.
 */
#include "postgres.h"

#include "sync/crash_notes.h"

#include <unistd.h>

#include "pgstat.h"
#include "storage/fd.h"

static void
file_name(char *name, size_t size, Oid database)
{
	snprintf(name, size, PG_STAT_TMP_DIR "/ampsf_fdw.%u.running", database);
}

void
ampsf_crash_notes_write(Oid database, const AmpsfCrashNote *notes, int n)
{
	static bool told = false;
	char name[MAXPGPATH];
	FILE *file;
	bool ok;

	file_name(name, sizeof(name), database);
	if (n == 0)
	{
		(void) unlink(name);
		return;
	}
	/* Not by another name first: a note that was written in part is read in part. */
	file = AllocateFile(name, PG_BINARY_W);
	ok = file != NULL && fwrite(notes, sizeof(*notes), n, file) == (size_t) n;
	if (file != NULL && FreeFile(file) != 0)
		ok = false;
	if (!ok && !told)
		ereport(LOG, (errcode_for_file_access(), errmsg("could not write file \"%s\": %m", name)));
	told = !ok;
}

int
ampsf_crash_notes_read(Oid database, AmpsfCrashNote *notes, int max)
{
	char name[MAXPGPATH];
	FILE *file;
	size_t n = 0;

	file_name(name, sizeof(name), database);
	file = AllocateFile(name, PG_BINARY_R);
	if (file == NULL)
		return 0;
	n = fread(notes, sizeof(*notes), max, file);
	(void) FreeFile(file);
	for (size_t i = 0; i < n; i++)
		notes[i].kind[AMPSF_NOTE_KIND_LEN - 1] = '\0';
	return (int) n;
}
