/*
 * convert.h - one field's text into a column's Datum, and a Datum into the JSON of a write.
 *
 * Must not know: plans, the network, catalogs beyond the column's type.
 */
#ifndef AMPSF_CONVERT_H
#define AMPSF_CONVERT_H

#include "postgres.h"
#include "base/options.h"
#include "catalog/pg_attribute.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "wire/json_scan.h"

typedef struct AmpsfColumnConv AmpsfColumnConv;
typedef Datum (*AmpsfConvertFn)(AmpsfColumnConv *conv, const AmpsfValue *v);
typedef void (*AmpsfWriteFn)(StringInfo buf, AmpsfColumnConv *conv, Datum value);

/*
 * Where the short values of a row are put, one behind the other, in place of a palloc for each: who
 * reads rows empties it for each of them.  What does not fit is palloc'ed.
 */
typedef struct AmpsfRoom
{
	char *at;  /* free from here */
	char *end; /* to here */
	char *start;
} AmpsfRoom;

/* Room for a row, in the current context. */
extern AmpsfRoom *ampsf_room_create(void);

static inline void
ampsf_room_empty(AmpsfRoom *room)
{
	room->at = room->start;
}

/* How one column is converted: chosen once, used for every row. */
struct AmpsfColumnConv
{
	AmpsfConvertFn fn;	/* for a value that is not null */
	AmpsfWriteFn write; /* NULL until the first write */
	Oid type;			/* the column's */
	Oid base;			/* the same, or what lies under the domain */
	int32 typmod;		/* of base; -1: none */
	bool domain;		/* its constraints are to be checked, for NULL too */
	bool remote_file;	/* the field is a file of which only the address is sent */
	bool fetch_later; /* the column shows the content: until it is fetched, the datum is the address
						 (cstring) */
	bool with_offset; /* datetimes are written in whole seconds, as +00:00 */
	bool utf8;		  /* the server's encoding: nothing to convert */
	bool put_numeric; /* numerics can be written as they are on disk */
	FmgrInfo input;	  /* of base */
	Oid ioparam;
	FmgrInfo output;	/* valid where write needs it */
	void *domain_extra; /* domain_check's cache */
	MemoryContext cxt;	/* where caches live */
	AmpsfRoom *room;	/* set by who reads rows; NULL: there is none */
};

/*
 * att: the column; col: its options (may be NULL); cxt: lives as long as conv will be used.
 * A system column or a dropped one has no conversion.
 */
extern void ampsf_convert_init(AmpsfColumnConv *conv, Form_pg_attribute att, const AmpsfColumn *col,
							   MemoryContext cxt);

/* Behind ampsf_convert: a column of a domain. */
extern Datum ampsf_convert_domain(AmpsfColumnConv *conv, const AmpsfValue *v);

/*
 * The Datum of a value, in the room or in the current context, which keeps waste as well: empty the
 * one and reset the other for each row.
 * Whatever does not fit is the type's own error; the caller's error context says where it was.
 * The text must have been checked to be UTF-8.
 */
static inline Datum
ampsf_convert(AmpsfColumnConv *conv, const AmpsfValue *v, bool *isnull)
{
	*isnull = v->kind == AMPSF_VALUE_NULL;
	if (unlikely(conv->domain))
		return ampsf_convert_domain(conv, v);
	return *isnull ? (Datum) 0 : conv->fn(conv, v);
}

/*
 * Appends the JSON of a column's value to buf, in UTF-8.  ereports for what Salesforce cannot keep:
 * NaN, dates outside of 1700 to 4000.  An empty text is sent as such; Salesforce keeps it as null.
 */
extern void ampsf_convert_to_json(StringInfo buf, AmpsfColumnConv *conv, Datum value, bool isnull);

#endif
