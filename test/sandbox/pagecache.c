/*
 * pagecache.c - rendered pages of query results, least recently used out first.
 *
 * Owns: the pages and the cap on their memory.  Must not know: HTTP, SOQL.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "pagecache.h"

#define N_BUCKETS 4096

struct Page
{
	PageKey key;
	char *text;
	size_t len;
	char *deflated; /* NULL until asked for */
	size_t deflated_len;
	uint32_t crc;
	int refs;	 /* the cache's own included */
	bool cached; /* in the table */
	struct Page *bucket_next;
	struct Page *newer, *older;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/* Deflating takes long, and two threads must not do it to the same page. */
static pthread_mutex_t deflate_lock = PTHREAD_MUTEX_INITIALIZER;
static Page *buckets[N_BUCKETS];
static Page *newest, *oldest;
static size_t cap, bytes;

static size_t
hash(const PageKey *k)
{
	uint64_t h = k->result * 0x9E3779B97F4A7C15u;

	h ^= k->version + (h << 6) + (h >> 2);
	h ^= (uint64_t) k->first * 0xC2B2AE3D27D4EB4Fu + (uint64_t) k->count;
	return (size_t) ((h ^ (h >> 29)) % N_BUCKETS);
}

static bool
same(const PageKey *a, const PageKey *b)
{
	return a->result == b->result && a->version == b->version && a->first == b->first &&
		   a->count == b->count;
}

static void
unref(Page *p)
{
	if (--p->refs > 0)
		return;
	free(p->text);
	free(p->deflated);
	free(p);
}

static void
unlink_lru(Page *p)
{
	*(p->newer ? &p->newer->older : &newest) = p->older;
	*(p->older ? &p->older->newer : &oldest) = p->newer;
	p->newer = p->older = NULL;
}

static void
link_newest(Page *p)
{
	p->older = newest;
	p->newer = NULL;
	*(newest ? &newest->newer : &oldest) = p;
	newest = p;
}

static void
evict(Page *p)
{
	Page **at = &buckets[hash(&p->key)];

	while (*at != p)
		at = &(*at)->bucket_next;
	*at = p->bucket_next;
	unlink_lru(p);
	bytes -= p->len + p->deflated_len;
	p->cached = false;
	unref(p);
}

void
pagecache_init(size_t cap_bytes)
{
	cap = cap_bytes;
}

void
pagecache_end(void)
{
	pthread_mutex_lock(&lock);
	while (oldest != NULL)
		evict(oldest);
	pthread_mutex_unlock(&lock);
}

Page *
page_find(const PageKey *key)
{
	Page *p;

	pthread_mutex_lock(&lock);
	for (p = buckets[hash(key)]; p != NULL; p = p->bucket_next)
	{
		if (same(&p->key, key))
		{
			p->refs++;
			unlink_lru(p);
			link_newest(p);
			break;
		}
	}
	pthread_mutex_unlock(&lock);
	return p;
}

Page *
page_add(const PageKey *key, Buf *text)
{
	Page *p = calloc(1, sizeof(Page));

	p->key = *key;
	p->len = text->len;
	p->text = buf_detach(text);
	p->refs = 1;
	pthread_mutex_lock(&lock);
	if (p->len < cap / 2)
	{
		size_t h = hash(key);

		while (oldest != NULL && bytes + p->len > cap)
			evict(oldest);
		p->bucket_next = buckets[h];
		buckets[h] = p;
		link_newest(p);
		p->cached = true;
		p->refs++;
		bytes += p->len;
	}
	pthread_mutex_unlock(&lock);
	return p;
}

void
page_release(void *page)
{
	pthread_mutex_lock(&lock);
	unref(page);
	pthread_mutex_unlock(&lock);
}

const char *
page_text(const Page *page, size_t *len)
{
	*len = page->len;
	return page->text;
}

void
page_deflated(void *page, const char **data, size_t *len, uint32_t *crc)
{
	Page *p = page;

	pthread_mutex_lock(&deflate_lock);
	if (p->deflated == NULL)
	{
		z_stream z = {0};
		size_t room;
		char *out;

		if (deflateInit2(&z, 1, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) != Z_OK)
			abort();
		room = deflateBound(&z, p->len);
		out = malloc(room);
		if (out == NULL)
			abort();
		z.next_in = (Bytef *) p->text;
		z.avail_in = (uInt) p->len;
		z.next_out = (Bytef *) out;
		z.avail_out = (uInt) room;
		if (deflate(&z, Z_FINISH) != Z_STREAM_END)
			abort();
		p->deflated = realloc(out, z.total_out);
		p->crc = (uint32_t) crc32_z(crc32(0, NULL, 0), (const Bytef *) p->text, p->len);
		deflateEnd(&z);
		pthread_mutex_lock(&lock);
		p->deflated_len = z.total_out;
		if (p->cached)
			bytes += p->deflated_len;
		while (oldest != NULL && bytes > cap)
			evict(oldest); /* perhaps p: the caller has a reference of its own */
		pthread_mutex_unlock(&lock);
	}
	*data = p->deflated;
	*len = p->deflated_len;
	*crc = p->crc;
	pthread_mutex_unlock(&deflate_lock);
}

void
pagecache_drop(uint64_t result)
{
	Page *next;

	pthread_mutex_lock(&lock);
	for (Page *p = newest; p != NULL; p = next)
	{
		next = p->older;
		if (p->key.result == result)
			evict(p);
	}
	pthread_mutex_unlock(&lock);
}

size_t
pagecache_bytes(void)
{
	size_t n;

	pthread_mutex_lock(&lock);
	n = bytes;
	pthread_mutex_unlock(&lock);
	return n;
}
