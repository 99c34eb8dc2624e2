/*
 * org.c - settings of the org at run time, and the wait of writes that are seen late.
 *
 * A transaction of an org stamps its rows when it writes them and shows them when it ends; what was
 * read in between has missed them, and their SystemModstamp is older than others' that were there
 * to be read.
 */
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "org.h"
#include "store.h"

OrgSettings org;
static OrgSettings kept;
static pthread_mutex_t dice = PTHREAD_MUTEX_INITIALIZER;
static unsigned seed = 1;
static atomic_int waiting; /* writes that are late just now */

static const struct
{
	const char *name;
	int *value;
	int least, most;
} numbers[] = {
	{"skew", &org.skew, -86400 * 365, 86400 * 365},
	{"late-percent", &org.late_percent, 0, 100},
	{"late-ms", &org.late_ms, 0, 600000},
};

static const struct
{
	const char *name;
	bool *moves;
} stamps[] = {
	{"delete-stamp", &org.deletes_move},
	{"rollup-stamp", &org.rollups_move},
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

bool
org_set(const char *name, const char *value)
{
	for (size_t i = 0; i < COUNT(numbers); i++)
	{
		char *end;
		long v;

		if (strcmp(numbers[i].name, name) != 0)
			continue;
		v = strtol(value, &end, 10);
		if (end == value || *end || v < numbers[i].least || v > numbers[i].most)
			return false;
		*numbers[i].value = (int) v;
		return true;
	}
	for (size_t i = 0; i < COUNT(stamps); i++)
	{
		if (strcmp(stamps[i].name, name) != 0)
			continue;
		if (strcmp(value, "moves") != 0 && strcmp(value, "stays") != 0)
			return false;
		*stamps[i].moves = *value == 'm';
		return true;
	}
	return false;
}

void
org_list(Buf *out)
{
	for (size_t i = 0; i < COUNT(numbers); i++)
		buf_addf(out, "%c\"%s\":%d", i ? ',' : '{', numbers[i].name, *numbers[i].value);
	for (size_t i = 0; i < COUNT(stamps); i++)
		buf_addf(out, ",\"%s\":\"%s\"", stamps[i].name, *stamps[i].moves ? "moves" : "stays");
	buf_addf(out, ",\"late\":%d}", atomic_load(&waiting));
}

void
org_keep(void)
{
	kept = org;
}

void
org_reset(void)
{
	org = kept;
}

time_t
org_late(void)
{
	time_t began;
	double start;
	int roll;

	if (org.late_percent == 0 || org.late_ms == 0)
		return 0;
	pthread_mutex_lock(&dice);
	roll = rand_r(&seed) / (RAND_MAX / 100 + 1);
	pthread_mutex_unlock(&dice);
	if (roll >= org.late_percent)
		return 0;
	began = store_now();
	start = monotonic();
	atomic_fetch_add(&waiting, 1);
	/* until the setting is another, too */
	while (monotonic() - start < org.late_ms / 1000.0)
		nap(org.late_ms < 10 ? (int64_t) org.late_ms * 1000 : 10000);
	atomic_fetch_sub(&waiting, 1);
	return began;
}
