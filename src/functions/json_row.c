/*
 * json_row.c - members of a small JSON document as columns of a row; see json_row.h.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/tuplestore.h"

#include "functions/json_row.h"
#include "wire/text.h"

void
ampsf_row_begin(AmpsfRow *row, ReturnSetInfo *rsinfo)
{
	row->rsinfo = rsinfo;
	row->n = 0;
}

static void
add(AmpsfRow *row, Datum value, bool isnull)
{
	Assert(row->n < AMPSF_ROW_COLUMNS);
	row->values[row->n] = value;
	row->nulls[row->n++] = isnull;
}

void
ampsf_row_null(AmpsfRow *row)
{
	add(row, (Datum) 0, true);
}

static char *
to_server(const char *utf8)
{
	return pg_any_to_server(utf8, strlen(utf8), PG_UTF8);
}

void
ampsf_row_text(AmpsfRow *row, const char *utf8)
{
	if (utf8)
		add(row, CStringGetTextDatum(to_server(utf8)), false);
	else
		ampsf_row_null(row);
}

void
ampsf_row_int(AmpsfRow *row, int64 value)
{
	add(row, Int32GetDatum((int32) value), false);
}

void
ampsf_row_bool(AmpsfRow *row, bool value)
{
	add(row, BoolGetDatum(value), false);
}

void
ampsf_row_texts(AmpsfRow *row, AmpsfJson *j, const char *const *keys, int n)
{
	for (int i = 0; i < n; i++)
		ampsf_row_text(row, ampsf_json_string(j, keys[i]));
}

void
ampsf_row_bools(AmpsfRow *row, AmpsfJson *j, const char *const *keys, int n)
{
	for (int i = 0; i < n; i++)
		ampsf_row_bool(row, ampsf_json_bool(j, keys[i], false));
}

void
ampsf_row_ints(AmpsfRow *row, AmpsfJson *j, const char *const *keys, int n)
{
	for (int i = 0; i < n; i++)
	{
		if (ampsf_json_get(j, keys[i]))
			ampsf_row_int(row, ampsf_json_int(j, keys[i], 0));
		else
			ampsf_row_null(row);
	}
}

void
ampsf_row_array(AmpsfRow *row, AmpsfJson *list)
{
	int n = ampsf_json_array_length(list);
	Datum *items = palloc(sizeof(Datum) * (n + 1));
	int used = 0;

	for (int i = 0; i < n; i++)
	{
		const char *text = ampsf_json_text(ampsf_json_array_get(list, i));

		if (text)
			items[used++] = CStringGetTextDatum(to_server(text));
	}
	if (used == 0)
		ampsf_row_null(row);
	else
		add(row, PointerGetDatum(construct_array(items, used, TEXTOID, -1, false, TYPALIGN_INT)),
			false);
}

void
ampsf_row_json_text(AmpsfRow *row, const char *utf8)
{
	add(row, DirectFunctionCall1(jsonb_in, CStringGetDatum(to_server(utf8))), false);
}

void
ampsf_row_json(AmpsfRow *row, AmpsfJson *j)
{
	if (j)
		ampsf_row_json_text(row, ampsf_json_print(j));
	else
		ampsf_row_null(row);
}

void
ampsf_row_put(AmpsfRow *row)
{
	Assert(row->n == row->rsinfo->setDesc->natts);
	tuplestore_putvalues(row->rsinfo->setResult, row->rsinfo->setDesc, row->values, row->nulls);
}

char *
ampsf_name_in_path(const char *name, const char *what)
{
	size_t len = strlen(name);

	if (strchr(name, '.') || !ampsf_is_api_name(name, len))
		ereport(ERROR, (errcode(ERRCODE_FDW_TABLE_NOT_FOUND),
						errmsg("\"%s\" is not the API name of %s", name, what)));
	return pstrdup(name);
}
