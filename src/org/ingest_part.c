/*
 * ingest_part.c - see ingest_part.h.
 */
#include "postgres.h"

#include "org/ingest_part.h"

#include <fcntl.h>
#include <unistd.h>

#include "common/hashfn.h"
#include "lib/stringinfo.h"
#include "pgstat.h"
#include "storage/fd.h"
#include "utils/memutils.h"
#include "utils/wait_event.h"
#include "wire/csv_scan.h"
#include "wire/text.h"

#define WRITE_BUFFER (128 * 1024)

typedef struct PartRow
{
	int64 number;
	uint64 hash;  /* of what a result repeats, however it is written there */
	uint64 exact; /* of the same, as it was sent */
	uint32 off;	  /* in the file */
	uint32 len;	  /* of its line, without the line's end */
	uint32 flags; /* the caller's */
	uint32 skip;  /* in by_hash, so many from here on have been found */
	bool found;
} PartRow;

struct AmpsfIngestPart
{
	MemoryContext cxt;
	MemoryContextCallback on_reset;
	const AmpsfIngestColumns *columns;
	int ncolumns; /* as they were when it was begun */
	AmpsfValue *cells;
	File file; /* 0: nothing has been written */
	int fd;	   /* for reading; 0: not yet */
	size_t written;
	StringInfoData buf; /* to be written */
	PartRow *rows;
	int nrows, maxrows;
	uint32 *by_hash; /* positions, when the first is searched for */
};

/* -------- fields, as they come -------- */

/* A string of JSON without its quotes; returns what is behind it. */
static const char *
read_string(const char *p, AmpsfValue *value)
{
	const char *start = ++p;
	bool escapes = false;

	for (; *p != '"'; p++)
		if (*p == '\\')
		{
			escapes = true;
			p++;
		}
	value->ptr = start;
	value->len = p - start;
	value->kind = escapes ? AMPSF_VALUE_ESCAPED : AMPSF_VALUE_STRING;
	return p + 1;
}

/*
 * The next member of text, which we have written ourselves:
 * "Name":"Curie","Account":{"Ext__c":"7"}.  name is made "Account.Ext__c".  NULL at the end.
 */
static const char *
next_member(const char *p, const char *end, StringInfo name, AmpsfValue *value)
{
	AmpsfValue key;

	while (p < end && (*p == ',' || *p == '}'))
		p++;
	if (p >= end)
		return NULL;
	resetStringInfo(name);
	for (;;)
	{
		p = read_string(p, &key) + 1;
		appendBinaryStringInfo(name, key.ptr, key.len);
		if (*p != '{')
			break;
		appendStringInfoChar(name, '.');
		p++;
	}
	if (*p == '"')
		p = read_string(p, value);
	else
	{
		value->ptr = p;
		while (p < end && *p != ',' && *p != '}')
			p++;
		value->len = p - value->ptr;
		value->kind = value->len == 4 && memcmp(value->ptr, "null", 4) == 0 ? AMPSF_VALUE_NULL
																			: AMPSF_VALUE_NUMBER;
	}
	return p;
}

static int
column_place(const AmpsfIngestColumns *columns, int n, const char *name)
{
	for (int i = 0; i < n; i++)
		if (strcmp(columns->names[i], name) == 0)
			return i;
	return -1;
}

AmpsfIngestColumns *
ampsf_ingest_columns(AmpsfWriteOp op, const char *key, MemoryContext cxt)
{
	AmpsfIngestColumns *columns = MemoryContextAllocZero(cxt, sizeof(AmpsfIngestColumns));

	columns->op = op;
	columns->key = key;
	columns->cxt = cxt;
	if (op == AMPSF_UPDATE || op == AMPSF_DELETE)
	{
		columns->names = MemoryContextAlloc(cxt, sizeof(char *));
		columns->names[0] = MemoryContextStrdup(cxt, "Id");
		columns->n = 1;
	}
	return columns;
}

/* Would it mean null there, if blanks around it did not count, nor case? */
static bool
reads_as_null(const AmpsfValue *value)
{
	const char *p = value->ptr;
	const char *end = p + value->len;

	if (value->kind == AMPSF_VALUE_ESCAPED)
		return value->len < 32 && memchr(p, '#', value->len) != NULL;
	while (p < end && *p == ' ')
		p++;
	while (p < end && end[-1] == ' ')
		end--;
	return value->kind == AMPSF_VALUE_STRING && end - p == 4 && pg_strncasecmp(p, "#N/A", 4) == 0;
}

/*
 * Has it a carriage return?  The line ends of the file are line feeds, and jobs have been seen to
 * fail for others, in quotes or not.
 */
static bool
has_return(const AmpsfValue *value)
{
	const char *p = value->ptr;
	const char *end = p + value->len;

	if (value->kind != AMPSF_VALUE_ESCAPED)
		return false;
	while ((p = memchr(p, '\\', end - p)) != NULL && p + 1 < end)
	{
		if (p[1] == 'r' || (p[1] == 'u' && pg_strncasecmp(p + 2, "000d", 4) == 0))
			return true;
		p += 2;
	}
	return false;
}

/* Do two columns, name and one that is there, speak of the same parent, one by its Id and the other
 * by a key? */
static bool
is_other_way(const AmpsfIngestColumns *columns, const char *name)
{
	const char *dot = strchr(name, '.');
	size_t len = dot ? (size_t) (dot - name) : strlen(name);

	for (int i = 0; i < columns->n; i++)
	{
		const char *other = columns->names[i];
		const char *other_dot = strchr(other, '.');
		size_t stem = other_dot ? (size_t) (other_dot - other) : strlen(other);

		if ((dot != NULL) == (other_dot != NULL))
			continue;
		/* AccountId and Account.Key__c, Parent__c and Parent__r.Key__c */
		if (dot ? stem == len + 2 && strncmp(other, name, len) == 0 &&
					  strcmp(other + len, "Id") == 0
				: len == stem + 2 && strncmp(other, name, stem) == 0 &&
					  strcmp(name + stem, "Id") == 0)
			return true;
		if (len == stem && len > 3 && strncmp(other, name, len - 1) == 0 &&
			strncmp(name + len - 3, "__", 2) == 0)
			return true;
	}
	return false;
}

bool
ampsf_ingest_expressible(const AmpsfIngestColumns *columns, const AmpsfWriteRow *row)
{
	StringInfoData name;
	AmpsfValue value;
	/* A row without any value would be an empty line. */
	bool ok = row->len <= AMPSF_INGEST_MAX_ROW && (row->len > 0 || row->id);
	const char *p = row->fields;

	initStringInfo(&name);
	while (ok && p && (p = next_member(p, row->fields + row->len, &name, &value)) != NULL)
	{
		char *attributes = strchr(name.data, '.');

		ok = value.len <= AMPSF_INGEST_MAX_VALUE && !reads_as_null(&value) && !has_return(&value) &&
			 !(attributes && strncmp(attributes, ".attributes.", 12) == 0) &&
			 !is_other_way(columns, name.data);
	}
	pfree(name.data);
	return ok;
}

bool
ampsf_ingest_widen(AmpsfIngestColumns *columns, const AmpsfWriteRow *row)
{
	StringInfoData name;
	AmpsfValue value;
	bool more = false;
	const char *p = row->fields;

	if (columns->op == AMPSF_DELETE)
		return false;
	initStringInfo(&name);
	while ((p = next_member(p, row->fields + row->len, &name, &value)) != NULL)
	{
		if (column_place(columns, columns->n, name.data) >= 0)
			continue;
		if (columns->names)
			columns->names = repalloc(columns->names, sizeof(char *) * (columns->n + 1));
		else
			columns->names = MemoryContextAlloc(columns->cxt, sizeof(char *));
		columns->names[columns->n++] = MemoryContextStrdup(columns->cxt, name.data);
		more = true;
	}
	pfree(name.data);
	return more;
}

/* -------- what a result repeats -------- */

/*
 * A value as it may come back: a number written otherwise, a time with another fraction.  False if
 * it is not to be compared.
 */
static bool
comparable(const char *ptr, size_t len, char *number, size_t size)
{
	char *end;
	double d;

	*number = '\0';
	if (len == 0)
		return true;
	if (len >= 16 && ptr[4] == '-' && ptr[7] == '-' && ptr[10] == 'T')
		return false;
	if (len < 64 && strspn(ptr, "+-.0123456789eE") >= len)
	{
		char text[64];

		memcpy(text, ptr, len);
		text[len] = '\0';
		d = strtod(text, &end);
		if (*end == '\0')
			snprintf(number, size, "%.15g", d == 0 ? 0.0 : d);
	}
	return true;
}

static uint64
hash_cell(int column, const char *ptr, size_t len)
{
	char number[64];

	if (!comparable(ptr, len, number, sizeof(number)) || len == 0)
		return 0;
	if (*number)
	{
		ptr = number;
		len = strlen(number);
	}
	return hash_combine64(column + 1, hash_bytes_extended((const unsigned char *) ptr, len, 0));
}

/* cell: a decoded value; its part in the hash of its row. */
static uint64
hash_value(const AmpsfIngestPart *part, int column, const char *ptr, size_t len)
{
	const AmpsfIngestColumns *columns = part->columns;

	if (columns->op == AMPSF_UPDATE || columns->op == AMPSF_DELETE)
		return column == 0 ? hash_bytes_extended((const unsigned char *) ptr, Min(len, 15), 0) : 0;
	if (columns->op == AMPSF_UPSERT)
	{
		uint64 hash;
		char *folded;

		if (pg_strcasecmp(columns->names[column], columns->key) != 0)
			return 0;
		folded = pnstrdup(ptr, len);
		for (char *c = folded; *c; c++)
			*c = pg_ascii_tolower((unsigned char) *c);
		hash = hash_cell(column, folded, len);
		pfree(folded);
		return hash;
	}
	if (len == 4 && memcmp(ptr, "#N/A", 4) == 0)
		return 0;
	return hash_cell(column, ptr, len);
}

/* The same of the value as it is: rows whose values only look alike are told apart by it. */
static uint64
hash_exactly(const AmpsfIngestPart *part, int column, const char *ptr, size_t len)
{
	if (part->columns->op == AMPSF_UPDATE || part->columns->op == AMPSF_DELETE || len == 0)
		return 0;
	return hash_combine64(column + 1, hash_bytes_extended((const unsigned char *) ptr, len, 1));
}

static void
hash_into(const AmpsfIngestPart *part, PartRow *row, int column, const char *ptr, size_t len)
{
	row->hash ^= hash_value(part, column, ptr, len);
	row->exact ^= hash_exactly(part, column, ptr, len);
}

/* -------- the file -------- */

static void
free_part(void *arg)
{
	AmpsfIngestPart *part = arg;

	if (part->fd > 0)
	{
		close(part->fd);
		ReleaseExternalFD();
	}
	part->fd = 0;
}

static void
write_out(AmpsfIngestPart *part)
{
	int n;

	if (part->buf.len == 0)
		return;
	if (part->file <= 0)
		part->file = OpenTemporaryFile(false);
	n = FileWrite(part->file, part->buf.data, part->buf.len, part->written,
				  WAIT_EVENT_BUFFILE_WRITE);
	if (n != part->buf.len)
	{
		if (n >= 0)
			errno = ENOSPC;
		ereport(ERROR, (errcode_for_file_access(),
						errmsg("could not write to file \"%s\": %m", FilePathName(part->file))));
	}
	part->written += part->buf.len;
	resetStringInfo(&part->buf);
}

/* Between quotes, those inside doubled.  What is printed is decoded text. */
static void
append_quoted(StringInfo buf, const char *ptr, size_t len)
{
	enlargeStringInfo(buf, 2 * len + 2);
	buf->data[buf->len++] = '"';
	for (size_t i = 0; i < len; i++)
	{
		if (ptr[i] == '"')
			buf->data[buf->len++] = '"';
		buf->data[buf->len++] = ptr[i];
	}
	buf->data[buf->len++] = '"';
	buf->data[buf->len] = '\0';
}

AmpsfIngestPart *
ampsf_part_open(AmpsfIngestColumns *columns)
{
	MemoryContext cxt =
		AllocSetContextCreate(CurrentMemoryContext, "ampsf ingest part", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);
	AmpsfIngestPart *part = palloc0(sizeof(AmpsfIngestPart));

	part->cxt = cxt;
	part->columns = columns;
	part->ncolumns = columns->n;
	part->cells = palloc(sizeof(AmpsfValue) * Max(columns->n, 1));
	part->maxrows = 1000;
	part->rows = palloc(sizeof(PartRow) * part->maxrows);
	initStringInfo(&part->buf);
	enlargeStringInfo(&part->buf, WRITE_BUFFER);
	for (int i = 0; i < columns->n; i++)
		appendStringInfo(&part->buf, "%s%s", i ? "^" : "", columns->names[i]);
	appendStringInfoChar(&part->buf, '\n');
	part->on_reset.func = free_part;
	part->on_reset.arg = part;
	MemoryContextRegisterResetCallback(cxt, &part->on_reset);
	MemoryContextSwitchTo(old);
	return part;
}

void
ampsf_part_free(AmpsfIngestPart *part)
{
	if (part->file > 0)
		FileClose(part->file);
	MemoryContextDelete(part->cxt);
}

/* A value into the line, and into the row's hash. */
static void
append_cell(AmpsfIngestPart *part, int column, const AmpsfValue *value, PartRow *row)
{
	char *decoded;
	ptrdiff_t len;

	switch (value->kind)
	{
		case AMPSF_VALUE_NULL:
			appendStringInfoString(&part->buf, "#N/A");
			break;
		case AMPSF_VALUE_NUMBER: /* or true, or false */
			appendBinaryStringInfo(&part->buf, value->ptr, value->len);
			hash_into(part, row, column, value->ptr, value->len);
			break;
		default:
			/* Nothing is no value there, and in JSON the same as null. */
			if (value->len == 0)
			{
				appendStringInfoString(&part->buf, "#N/A");
				break;
			}
			if (value->kind == AMPSF_VALUE_STRING)
			{
				append_quoted(&part->buf, value->ptr, value->len);
				hash_into(part, row, column, value->ptr, value->len);
				break;
			}
			decoded = palloc(value->len + 1);
			len = ampsf_json_unescape(value->ptr, value->len, decoded);
			if (len < 0)
				elog(ERROR, "a row to be written is not JSON");
			append_quoted(&part->buf, decoded, len);
			hash_into(part, row, column, decoded, len);
			pfree(decoded);
			break;
	}
}

void
ampsf_part_add(AmpsfIngestPart *part, const AmpsfWriteRow *from)
{
	MemoryContext old = MemoryContextSwitchTo(part->cxt);
	PartRow *row;
	StringInfoData name;
	AmpsfValue value;
	const char *p = from->fields;
	int start;

	if (part->nrows == part->maxrows)
	{
		part->maxrows *= 2;
		part->rows = repalloc_huge(part->rows, sizeof(PartRow) * part->maxrows);
	}
	row = &part->rows[part->nrows];
	memset(row, 0, sizeof(*row));
	row->number = from->number;
	row->flags = from->flags;
	row->off = part->written + part->buf.len;
	start = part->buf.len;

	for (int i = 0; i < part->ncolumns; i++)
	{
		part->cells[i].ptr = NULL;
		part->cells[i].kind = AMPSF_VALUE_JSON; /* absent */
	}
	if (from->id)
	{
		part->cells[0].ptr = from->id;
		part->cells[0].len = strlen(from->id);
		part->cells[0].kind = AMPSF_VALUE_STRING;
	}
	initStringInfo(&name);
	while (part->columns->op != AMPSF_DELETE &&
		   (p = next_member(p, from->fields + from->len, &name, &value)) != NULL)
	{
		int place = column_place(part->columns, part->ncolumns, name.data);

		if (place < 0)
			elog(ERROR, "a row to be written has a field without a column");
		part->cells[place] = value;
	}
	pfree(name.data);
	for (int i = 0; i < part->ncolumns; i++)
	{
		if (i > 0)
			appendStringInfoChar(&part->buf, AMPSF_INGEST_DELIMITER);
		if (part->cells[i].kind != AMPSF_VALUE_JSON)
			append_cell(part, i, &part->cells[i], row);
	}
	row->len = part->buf.len - start;
	appendStringInfoChar(&part->buf, '\n');
	part->nrows++;
	if (part->buf.len >= WRITE_BUFFER)
		write_out(part);
	MemoryContextSwitchTo(old);
}

int
ampsf_part_rows(const AmpsfIngestPart *part)
{
	return part->nrows;
}

size_t
ampsf_part_bytes(const AmpsfIngestPart *part)
{
	return part->written + part->buf.len;
}

int
ampsf_part_seal(AmpsfIngestPart *part, size_t *len)
{
	write_out(part);
	if (part->fd == 0)
	{
		int fd;

		/* One of our own: PostgreSQL may close its descriptor at any time. */
		AcquireExternalFD();
		fd = open(FilePathName(part->file), O_RDONLY | O_CLOEXEC);
		if (fd < 0)
		{
			int save = errno;

			ReleaseExternalFD();
			errno = save;
			ereport(ERROR, (errcode_for_file_access(),
							errmsg("could not open file \"%s\": %m", FilePathName(part->file))));
		}
		part->fd = fd;
	}
	*len = part->written;
	return part->fd;
}

/* -------- rows and results -------- */

int
ampsf_part_columns(const AmpsfIngestPart *part, const char *const **names)
{
	*names = (const char *const *) part->columns->names;
	return part->ncolumns;
}

static int
compare_hashes(const void *a, const void *b, void *arg)
{
	const PartRow *rows = arg;
	uint32 i = *(const uint32 *) a, j = *(const uint32 *) b;

	if (rows[i].hash != rows[j].hash)
		return rows[i].hash < rows[j].hash ? -1 : 1;
	if (rows[i].exact != rows[j].exact)
		return rows[i].exact < rows[j].exact ? -1 : 1;
	return i < j ? -1 : 1;
}

/* Of a row of a result. */
static void
hash_result(AmpsfIngestPart *part, const AmpsfValue *values, PartRow *row)
{
	memset(row, 0, sizeof(*row));
	for (int i = 0; i < part->ncolumns; i++)
	{
		char *decoded = NULL;
		const char *ptr = values[i].ptr;
		size_t len = values[i].len;

		if (values[i].kind == AMPSF_VALUE_NULL)
			continue;
		if (values[i].kind == AMPSF_VALUE_DOUBLED)
		{
			decoded = palloc(len + 1);
			len = ampsf_csv_unquote(ptr, len, decoded);
			ptr = decoded;
		}
		/* Our word for no value is not hashed where it is sent. */
		if (len != 4 || memcmp(ptr, "#N/A", 4) != 0)
			hash_into(part, row, i, ptr, len);
		if (decoded)
			pfree(decoded);
	}
}

/* The first in by_hash that is like it and has not been found; -1: none. */
static int
first_like(AmpsfIngestPart *part, const PartRow *like, bool exactly)
{
	int low = 0, high = part->nrows;
	PartRow *head, *row;

	while (low < high)
	{
		int mid = low + (high - low) / 2;

		row = &part->rows[part->by_hash[mid]];
		if (row->hash < like->hash ||
			(exactly && row->hash == like->hash && row->exact < like->exact))
			low = mid + 1;
		else
			high = mid;
	}
	if (low == part->nrows)
		return -1;
	/* A hundred thousand rows may be the same. */
	head = &part->rows[part->by_hash[low]];
	for (int i = low + head->skip; i < part->nrows; i++)
	{
		row = &part->rows[part->by_hash[i]];
		if (row->hash != like->hash || (exactly && row->exact != like->exact))
			break;
		if (!row->found)
			return part->by_hash[i];
		head->skip = i - low + 1;
	}
	return -1;
}

/* Is there no other row whose values only read the same? */
static bool
is_alone(AmpsfIngestPart *part, int row)
{
	uint64 hash = part->rows[row].hash;
	int low = 0, high = part->nrows;

	while (low < high)
	{
		int mid = low + (high - low) / 2;

		if (part->rows[part->by_hash[mid]].hash < hash)
			low = mid + 1;
		else
			high = mid;
	}
	return low + 1 == part->nrows || part->rows[part->by_hash[low + 1]].hash != hash;
}

int
ampsf_part_find(AmpsfIngestPart *part, const AmpsfValue *values, bool *certain)
{
	PartRow like;
	int at;

	if (!part->by_hash)
	{
		part->by_hash = MemoryContextAllocHuge(part->cxt, sizeof(uint32) * Max(part->nrows, 1));
		for (int i = 0; i < part->nrows; i++)
			part->by_hash[i] = i;
		qsort_arg(part->by_hash, part->nrows, sizeof(uint32), compare_hashes, part->rows);
	}
	hash_result(part, values, &like);
	at = first_like(part, &like, true);
	*certain = at >= 0;
	if (at < 0)
	{
		at = first_like(part, &like, false);
		*certain = at >= 0 && is_alone(part, at);
	}
	if (at >= 0)
		part->rows[at].found = true;
	return at;
}

int
ampsf_part_rest(AmpsfIngestPart *part, int from)
{
	for (int i = from; i < part->nrows; i++)
		if (!part->rows[i].found)
			return i;
	return -1;
}

void
ampsf_part_take(AmpsfIngestPart *part, int row)
{
	part->rows[row].found = true;
}

/* A line of ours as the fields it was made from. */
static char *
read_back(AmpsfIngestPart *part, const PartRow *row, char **id, size_t *len)
{
	char *line = palloc(row->len + 1);
	StringInfoData out;
	const char *p = line;
	const char *end = line + row->len;

	write_out(part);
	if (FileRead(part->file, line, row->len, row->off, WAIT_EVENT_BUFFILE_READ) != (int) row->len)
		ereport(ERROR, (errcode_for_file_access(),
						errmsg("could not read from file \"%s\": %m", FilePathName(part->file))));
	line[row->len] = '\0';
	initStringInfo(&out);
	*id = NULL;
	for (int i = 0; i < part->ncolumns; i++)
	{
		const char *name = part->columns->names[i];
		const char *dot = strchr(name, '.');
		const char *start = p;
		char *text = NULL;
		size_t size;

		if (*p == '"')
		{
			do
			{
				p = memchr(p + 1, '"', end - p - 1);
				Assert(p);
				p++;
			} while (p < end && *p == '"');
			text = palloc(p - start);
			size = ampsf_csv_unquote(start + 1, p - start - 2, text);
			text[size] = '\0';
		}
		else
			while (p < end && *p != AMPSF_INGEST_DELIMITER)
				p++;
		if (i == 0 && (part->columns->op == AMPSF_UPDATE || part->columns->op == AMPSF_DELETE))
			*id = text;
		else if (p > start)
		{
			if (out.len > 0)
				appendStringInfoChar(&out, ',');
			if (dot)
				appendStringInfo(&out, "\"%.*s\":{\"%s\":", (int) (dot - name), name, dot + 1);
			else
				appendStringInfo(&out, "\"%s\":", name);
			if (text)
			{
				enlargeStringInfo(&out, ampsf_quote_json(text, size, NULL));
				out.len += ampsf_quote_json(text, size, out.data + out.len);
				out.data[out.len] = '\0';
			}
			else if (p - start == 4 && memcmp(start, "#N/A", 4) == 0)
				appendStringInfoString(&out, "null");
			else
				appendBinaryStringInfo(&out, start, p - start);
			if (dot)
				appendStringInfoChar(&out, '}');
		}
		p++; /* the delimiter */
	}
	pfree(line);
	*len = out.len;
	return out.data;
}

void
ampsf_part_row(AmpsfIngestPart *part, int row, bool with_fields, AmpsfWriteRow *out)
{
	const PartRow *from = &part->rows[row];

	memset(out, 0, sizeof(*out));
	out->number = from->number;
	out->flags = from->flags;
	if (with_fields)
	{
		char *id;

		out->fields = read_back(part, from, &id, &out->len);
		out->id = id;
	}
}
