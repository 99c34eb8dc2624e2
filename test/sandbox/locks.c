/*
 * locks.c - rows that a transaction holds.
 *
 * Owns: the table of them.  Must not know: HTTP, SQLite.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "locks.h"
#include "store.h"

#define BUCKETS 4096
#define TEST "a test"

typedef struct Lock
{
	char id[SF_ID_LEN + 1];
	char holder[SF_ID_LEN + 1];
	int refusals; /* that are left of it; 0: it does not count them */
	struct Lock *next;
} Lock;

static Lock *table[BUCKETS];
static int held;
static char current[SF_ID_LEN + 1];
static bool keeping;

static Lock **
bucket(const char *id)
{
	uint32_t h = 2166136261u;

	for (; *id; id++)
		h = (h ^ (unsigned char) *id) * 16777619u;
	return &table[h % BUCKETS];
}

static Lock *
find(const char *id)
{
	Lock *l = *bucket(id);

	while (l != NULL && strcmp(l->id, id) != 0)
		l = l->next;
	return l;
}

static Lock *
add(const char *id, const char *holder)
{
	Lock **first = bucket(id);
	Lock *l = calloc(1, sizeof(*l));

	if (l == NULL)
		abort();
	memcpy(l->id, id, SF_ID_LEN);
	snprintf(l->holder, sizeof(l->holder), "%s", holder);
	l->next = *first;
	*first = l;
	held++;
	return l;
}

static void
drop(Lock *l)
{
	Lock **p = bucket(l->id);

	while (*p != l)
		p = &(*p)->next;
	*p = l->next;
	free(l);
	held--;
}

void
locks_begin(const char *holder, bool keep)
{
	snprintf(current, sizeof(current), "%s", holder);
	keeping = keep;
}

void
locks_pause(void)
{
	current[0] = '\0';
	keeping = false;
}

/* Those of one holder, or all. */
static void
release(const char *holder)
{
	for (int i = 0; i < BUCKETS && held > 0; i++)
		for (Lock **p = &table[i]; *p != NULL;)
		{
			Lock *l = *p;

			if (holder == NULL || strcmp(l->holder, holder) == 0)
			{
				*p = l->next;
				free(l);
				held--;
			}
			else
				p = &l->next;
		}
}

void
locks_end(const char *holder)
{
	release(holder);
}

bool
locks_take(const char *id)
{
	Lock *l;

	if ((held == 0 && !keeping) || strlen(id) != SF_ID_LEN)
		return true;
	l = find(id);
	if (l != NULL && strcmp(l->holder, current) == 0)
		return true;
	if (l != NULL)
	{
		if (l->refusals > 0 && --l->refusals == 0)
			drop(l);
		return false;
	}
	if (keeping)
		add(id, current);
	return true;
}

void
locks_hold(const char *id, int refusals)
{
	Lock *l = find(id);

	if (l == NULL)
		l = add(id, TEST);
	l->refusals = refusals;
}

void
locks_clear(void)
{
	release(NULL);
}

void
locks_list(Buf *out)
{
	const char *comma = "";

	buf_adds(out, "{\"locks\":[");
	for (int i = 0; i < BUCKETS && held > 0; i++)
		for (Lock *l = table[i]; l != NULL; l = l->next)
		{
			buf_addf(out, "%s{\"id\":\"%s\",\"holder\":\"%s\"}", comma, l->id, l->holder);
			comma = ",";
		}
	buf_adds(out, "]}");
}
