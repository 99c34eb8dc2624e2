/*
 * engagement_scan.c - see engagement_scan.h.
 */
#include "base/ampsf.h"
#include "exec/engagement_scan.h"

#include "plan/engagement_scan.h"

void
ampsf_engagement_bind(AmpsfScanState *state, const AmpsfBind *bind)
{
	AmpsfEngagementRequest *request = palloc(sizeof(AmpsfEngagementRequest));
	AmpsfBind values = *bind;

	/* Even without parameters there are values. */
	if (values.values == NULL)
		values.values = palloc(sizeof(Datum));
	state->request = request;
	state->soql = NULL;
	if (!ampsf_engagement_request(&state->select, &values, request, NULL))
		return;
	request->fields = state->keys;
	request->nfields = state->nfields;
	request->deleted = state->table->include_deleted;
	state->soql = ampsf_engagement_print(request);
}

/* What kind of value each field has in CSV. */
static uint8 *
kinds_of(const AmpsfScanState *state)
{
	uint8 *kinds = palloc(Max(state->nfields, 1));

	for (int i = 0; i < state->nfields; i++)
	{
		const char *type = state->types[i];

		kinds[i] = strcmp(type, "boolean") == 0 ? AMPSF_VALUE_TRUE
				   : strcmp(type, "int") == 0 || strcmp(type, "long") == 0 ||
						   strcmp(type, "double") == 0 || strcmp(type, "id") == 0
					   ? AMPSF_VALUE_NUMBER
					   : AMPSF_VALUE_STRING;
	}
	return kinds;
}

/* An export has no order. */
static bool
is_exported(const AmpsfSelect *select, const AmpsfTableOptions *table,
			const AmpsfEngagementRequest *request)
{
	return table->transport == AMPSF_TRANSPORT_BULK && *select->order == '\0' &&
		   request->object->singular != NULL;
}

AmpsfRowSource *
ampsf_engagement_open(AmpsfScanState *state, const AmpsfQuerySpec *spec)
{
	AmpsfQuerySpec copy = *spec;
	AmpsfEngagementRequest request = *(AmpsfEngagementRequest *) state->request;

	if (!is_exported(&state->select, state->table, &request))
		return ampsf_engagement_query(&request, &copy);
	copy.kinds = kinds_of(state);
	return ampsf_engagement_export(&request, &copy);
}

char *
ampsf_engagement_explain(const AmpsfSelect *select, const AmpsfBind *bind,
						 const AmpsfTableOptions *table)
{
	AmpsfEngagementRequest request;
	List *open = NIL;
	const char **fields = palloc(sizeof(char *) * list_length(select->fields));
	StringInfoData buf;
	ListCell *lc;

	if (!ampsf_engagement_request(select, bind, &request, &open))
		return NULL;
	foreach (lc, select->fields)
		fields[foreach_current_index(lc)] = strVal(lfirst(lc));
	request.fields = fields;
	request.nfields = list_length(select->fields);
	request.deleted = table->include_deleted;
	initStringInfo(&buf);
	if (is_exported(select, table, &request))
		appendStringInfo(&buf, "exports of %s, for ", request.object->singular);
	appendStringInfoString(&buf, ampsf_engagement_print(&request));
	foreach (lc, open)
		appendStringInfo(&buf, "%s%s", foreach_current_index(lc) ? ", " : " and ",
						 (char *) lfirst(lc));
	return buf.data;
}
