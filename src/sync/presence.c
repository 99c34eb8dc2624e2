/*
 * presence.c - see presence.h.
 *
 * A place is one byte of a file, locked by the process that has it.  The file stays empty; it
 * stands where the server keeps what is worth nothing after a restart.
 */
#include "postgres.h"

#include "sync/presence.h"

#include <fcntl.h>
#include <unistd.h>

#include "common/hashfn.h"
#include "pgstat.h"
#include "storage/fd.h"

#define PRESENCE_FILE PG_STAT_TMP_DIR "/ampsf_fdw.workers"

static int file = -1;

uint64
ampsf_place_launcher(Oid database)
{
	return database;
}

uint64
ampsf_place_waiting(Oid database)
{
	return (UINT64CONST(1) << 32) + database;
}

uint64
ampsf_place_work(Oid database, const char *kind, int64 key)
{
	char text[96];
	int len = snprintf(text, sizeof(text), "%u %s " INT64_FORMAT, database, kind, key);

	/* An offset is positive; below are the places of databases. */
	return (UINT64CONST(1) << 62) |
		   (hash_bytes_extended((const unsigned char *) text, len, 0) >> 3);
}

static bool
opened(void)
{
	if (file < 0)
		file = BasicOpenFile(PRESENCE_FILE, O_RDWR | O_CREAT | PG_BINARY);
	return file >= 0;
}

static void
byte(struct flock *lock, uint64 place, short type)
{
	memset(lock, 0, sizeof(*lock));
	lock->l_type = type;
	lock->l_whence = SEEK_SET;
	lock->l_start = (off_t) place;
	lock->l_len = 1;
}

bool
ampsf_presence_take(uint64 place)
{
	struct flock lock;

	byte(&lock, place, F_WRLCK);
	if (opened() && fcntl(file, F_SETLK, &lock) == 0)
		return true;
	if (file < 0 || (errno != EACCES && errno != EAGAIN))
		ereport(ERROR, (errcode_for_file_access(),
						errmsg("could not lock file \"%s\": %m", PRESENCE_FILE)));
	return false;
}

void
ampsf_presence_give(uint64 place)
{
	struct flock lock;

	byte(&lock, place, F_UNLCK);
	if (file >= 0)
		(void) fcntl(file, F_SETLK, &lock);
}

int
ampsf_presence_holder(uint64 place)
{
	struct flock lock;

	byte(&lock, place, F_WRLCK);
	if (!opened() || fcntl(file, F_GETLK, &lock) != 0 || lock.l_type == F_UNLCK)
		return 0;
	return (int) lock.l_pid;
}
