/*
 * slots.c - see slots.h.
 *
 * A slot is one byte of a file of the cluster, locked by the process that has it: the kernel gives
 * it back whatever becomes of the process, and no shared memory needs to be asked for when the
 * server starts.  The file stays empty; it stands where the server keeps what is worth nothing
 * after a restart.
 *
 * Locks of a process do not see each other, so what this one has is noted here as well.  Must not
 * know: calls.
 */
#include "postgres.h"

#include "net/slots.h"

#include <fcntl.h>
#include <unistd.h>

#include "common/hashfn.h"
#include "pgstat.h"
#include "storage/fd.h"

#define SLOTS_FILE PG_STAT_TMP_DIR "/ampsf_fdw.slots"

/* The slots that this process has, by name; few names are ever seen. */
typedef struct Held
{
	uint32 name;
	bool taken[AMPSF_SLOTS];
} Held;

#define MAX_HELD 64

static Held held[MAX_HELD];
static int nheld = 0;
static int file = -1;

static bool
lock_byte(uint32 name, int slot, short type)
{
	struct flock lock = {0};

	if (file < 0)
		file = BasicOpenFile(SLOTS_FILE, O_RDWR | O_CREAT | PG_BINARY);
	if (file < 0)
		return true; /* then each process counts for itself */
	lock.l_type = type;
	lock.l_whence = SEEK_SET;
	lock.l_start = (off_t) name * 8 + slot;
	lock.l_len = 1;
	return fcntl(file, F_SETLK, &lock) == 0;
}

static Held *
find(uint32 name)
{
	for (int i = 0; i < nheld; i++)
		if (held[i].name == name)
			return &held[i];
	if (nheld == MAX_HELD)
		return &held[name % MAX_HELD]; /* shared with another: both get fewer */
	memset(&held[nheld], 0, sizeof(Held));
	held[nheld].name = name;
	return &held[nheld++];
}

static uint32
number_of(const char *name)
{
	return string_hash(name, strlen(name) + 1);
}

int
ampsf_slot_take(const char *name)
{
	uint32 number = number_of(name);
	Held *own = find(number);

	for (int i = 0; i < AMPSF_SLOTS; i++)
		if (!own->taken[i] && lock_byte(number, i, F_WRLCK))
		{
			own->taken[i] = true;
			return i;
		}
	return -1;
}

void
ampsf_slot_give(const char *name, int slot)
{
	uint32 number = number_of(name);

	find(number)->taken[slot] = false;
	(void) lock_byte(number, slot, F_UNLCK);
}
