/*
 * tooling_check.c - what may be set up by the Tooling API, and why not.
 *
 * Must not know: how it is kept.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "event.h"
#include "tooling.h"

#define MAX_ENRICHED 10
#define MAX_CHANNELS 100

static bool
refuse(Response *w, const char *code, const char *fmt, const char *arg)
{
	res_errorf(w, 400, code, fmt, arg);
	return false;
}

/* Letters, digits and single underscores; the name without __chn. */
static bool
good_name(const char *s, size_t n)
{
	if (n == 0 || !isalpha((unsigned char) s[0]) || s[n - 1] == '_')
		return false;
	for (size_t i = 0; i < n; i++)
		if ((!isalnum((unsigned char) s[i]) && s[i] != '_') || (s[i] == '_' && s[i + 1] == '_'))
			return false;
	return true;
}

static bool
check_name(const Tooling *t, Response *w)
{
	char text[200];
	size_t n = strlen(t->full);
	bool channel = t->type == TOOLING_CHANNEL;

	if (channel && (n <= 5 || strcmp(t->full + n - 5, "__chn") != 0))
		return refuse(w, "FIELD_INTEGRITY_EXCEPTION",
					  "The full name of a custom channel must end with __chn: %s", t->full);
	if (channel)
		n -= 5;
	snprintf(text, sizeof(text), "%.*s", (int) n, t->full);
	if (n <= 80 && good_name(text, n))
		return true;
	return refuse(w, "FIELD_INTEGRITY_EXCEPTION",
				  "The Developer Name can only contain underscores and alphanumeric characters. It "
				  "must be unique, begin with a letter, not include spaces, not end with an "
				  "underscore, and not contain two consecutive underscores: %s",
				  t->full);
}

/* Every key is one of these; those with a ! are required. */
static bool
check_keys(const Tooling *t, const char *const *keys, Response *w)
{
	json_object *v;

	json_object_object_foreach(t->metadata, key, value)
	{
		int i = 0;

		(void) value;
		while (keys[i] != NULL && strcmp(keys[i] + (keys[i][0] == '!'), key) != 0)
			i++;
		if (keys[i] == NULL)
			return refuse(w, "INVALID_FIELD", "No such column '%s' on sobject of type Metadata",
						  key);
	}
	for (int i = 0; keys[i] != NULL; i++)
	{
		if (keys[i][0] != '!')
			continue;
		if (!json_object_object_get_ex(t->metadata, keys[i] + 1, &v) || v == NULL ||
			(json_object_is_type(v, json_type_string) && json_object_get_string_len(v) == 0))
			return refuse(w, "REQUIRED_FIELD_MISSING", "Required field is missing: %s",
						  keys[i] + 1);
	}
	return true;
}

static int
count_of(ToolingType type)
{
	int64_t at = 0;
	int n = 0;
	Tooling t;

	while (tooling_next(type, &at, &t))
	{
		tooling_free(&t);
		n++;
	}
	return n;
}

static bool
check_channel(Tooling *t, const Tooling *old, Response *w)
{
	static const char *const keys[] = {"!channelType", "!label", "eventType", NULL};
	const char *type;

	if (!check_keys(t, keys, w))
		return false;
	type = tooling_text(t, "channelType");
	if (type == NULL || (strcmp(type, "data") != 0 && strcmp(type, "event") != 0))
		return refuse(w, "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
					  "Channel Type: bad value for restricted picklist field: %s",
					  type ? type : "null");
	if (old != NULL && strcmp(type, tooling_text(old, "channelType")) != 0)
		return refuse(w, "FIELD_INTEGRITY_EXCEPTION",
					  "Update is not supported for the %s field on platform event channels.",
					  "channelType");
	if (old == NULL && count_of(TOOLING_CHANNEL) >= MAX_CHANNELS)
		return refuse(w, "LIMIT_EXCEEDED", "You can't create more than %s custom channels.", "100");
	return true;
}

/* Name, BillingAddress: what an enrichment calls a compound. */
static const Field *
enriched_field(const Object *o, const char *name)
{
	const Field *f = schema_field(o, name, strlen(name));

	if (f == NULL || strcmp(f->name, name) != 0 || event_compound(f) != NULL)
		return NULL;
	for (int i = 0; i < o->n_fields; i++)
		if (event_compound(&o->fields[i]) == f)
			return f;
	/* no long or rich text */
	if (!event_field_told(f) || (f->type == FT_TEXTAREA && f->length > 255))
		return NULL;
	return f;
}

static bool
check_enriched(const Tooling *t, const Object *o, Response *w)
{
	json_object *list;

	if (!json_object_object_get_ex(t->metadata, "enrichedFields", &list) || list == NULL)
		return true;
	if (!json_object_is_type(list, json_type_array))
		return refuse(w, "JSON_PARSER_ERROR", "Cannot deserialize %s: an array is expected",
					  "enrichedFields");
	if (json_object_array_length(list) > MAX_ENRICHED)
		return refuse(w, "LIMIT_EXCEEDED",
					  "You can't have more than 10 enriched fields in a channel member: %s",
					  t->full);
	for (size_t i = 0; i < json_object_array_length(list); i++)
	{
		json_object *name;
		json_object *item = json_object_array_get_idx(list, i);

		if (!json_object_object_get_ex(item, "name", &name) ||
			!json_object_is_type(name, json_type_string))
			return refuse(w, "REQUIRED_FIELD_MISSING", "Required field is missing: %s", "name");
		if (enriched_field(o, json_object_get_string(name)) == NULL)
		{
			char entity[128];

			event_name(o, entity);
			res_errorf(w, 400, "INVALID_FIELD", "No such column '%s' on entity '%s'",
					   json_object_get_string(name), entity);
			return false;
		}
	}
	return true;
}

static FilterType
type_of(const Field *f)
{
	switch (f->type)
	{
		case FT_BOOLEAN:
			return FILTER_BOOLEAN;
		case FT_INT:
		case FT_LONG:
		case FT_DOUBLE:
		case FT_CURRENCY:
		case FT_PERCENT:
			return FILTER_NUMBER;
		case FT_DATE:
			return FILTER_DATE;
		case FT_DATETIME:
			return FILTER_DATETIME;
		case FT_TIME:
			return FILTER_TIME;
		case FT_ID:
		case FT_REFERENCE:
			return FILTER_EXACT;
		default:
			return f->case_sensitive ? FILTER_EXACT : FILTER_TEXT;
	}
}

/* Fields of the header that are no lists. */
static const struct
{
	const char *name;
	FilterType type;
} header_fields[] = {
	{"entityName", FILTER_TEXT},	   {"changeType", FILTER_TEXT},
	{"changeOrigin", FILTER_TEXT},	   {"transactionKey", FILTER_TEXT},
	{"sequenceNumber", FILTER_NUMBER}, {"commitTimestamp", FILTER_NUMBER},
	{"commitNumber", FILTER_NUMBER},   {"commitUser", FILTER_EXACT},
};

bool
tooling_filter_field(void *object, const char *name, FilterType *type, char **why)
{
	const Object *o = object;
	char entity[128];
	Buf b;

	if (strncmp(name, "ChangeEventHeader.", 18) == 0)
		for (size_t i = 0; i < sizeof(header_fields) / sizeof(header_fields[0]); i++)
			if (strcmp(header_fields[i].name, name + 18) == 0)
			{
				*type = header_fields[i].type;
				return true;
			}
	for (int i = 0; i < o->n_fields; i++)
	{
		const Field *f = &o->fields[i];
		bool same;

		if (!event_field_told(f) || (f->type == FT_TEXTAREA && f->length > 255))
			continue;
		buf_init(&b);
		event_put_name(&b, f);
		same = strcasecmp(b.data, name) == 0;
		buf_free(&b);
		if (!same)
			continue;
		*type = type_of(f);
		return true;
	}
	event_name(o, entity);
	if (asprintf(why, "No such column '%s' on entity '%s'", name, entity) < 0)
		abort();
	return false;
}

static bool
check_filter(const Tooling *t, const Object *o, Response *w)
{
	const char *text = tooling_text(t, "filterExpression");
	char *why = NULL;

	if (text == NULL)
		return true;
	filter_free(filter_parse(text, false, tooling_filter_field, (void *) o, &why));
	if (why == NULL)
		return true;
	refuse(w, strncmp(why, "No such column", 14) == 0 ? "INVALID_FIELD" : "MALFORMED_QUERY", "%s",
		   why);
	free(why);
	return false;
}

/* Objects that some member has, the new one with them. */
static int
entities_with(const char *entity)
{
	int n = 0;
	char name[128];

	for (int i = 0; i < schema_count(); i++)
	{
		const Object *o = schema_object(i);
		char *channels;

		if (!event_supported(o))
			continue;
		event_name(o, name);
		channels = tooling_channels_of(o);
		n += channels != NULL || strcmp(name, entity) == 0;
		free(channels);
	}
	return n;
}

/* The name as the org writes it: no matter the case, in which it is given. */
static const Object *
canonical_entity(Tooling *t)
{
	const char *given = tooling_text(t, "selectedEntity");
	char name[128];

	for (int i = 0; i < schema_count(); i++)
	{
		const Object *o = schema_object(i);

		if (!event_supported(o))
			continue;
		event_name(o, name);
		if (given == NULL || strcasecmp(name, given) != 0)
			continue;
		json_object_object_add(t->metadata, "selectedEntity", json_object_new_string(name));
		return o;
	}
	return NULL;
}

static bool
same_as_before(const Tooling *t, const Tooling *old, const char *key, Response *w)
{
	const char *now = tooling_text(t, key);

	if (now != NULL && strcmp(now, tooling_text(old, key)) == 0)
		return true;
	return refuse(w, "FIELD_INTEGRITY_EXCEPTION",
				  "Update is not supported for the %s field on platform event channel members.",
				  key);
}

static bool
check_new_member(Tooling *t, const Object *o, Response *w)
{
	const char *name = tooling_text(t, "eventChannel");
	bool standard = name != NULL && strcmp(name, EVENT_STANDARD) == 0;
	char limit[20];
	Tooling other;

	if (!standard)
	{
		bool data;

		if (name == NULL || !tooling_channel(name, &other))
			return refuse(w, "INVALID_CROSS_REFERENCE_KEY", "The event channel %s doesn't exist.",
						  name ? name : "null");
		data = strcmp(tooling_text(&other, "channelType"), "data") == 0;
		tooling_free(&other);
		if (!data)
			return refuse(w, "FIELD_INTEGRITY_EXCEPTION",
						  "A channel of type event can't contain change events: %s", name);
	}
	if (tooling_member(name, o, &other))
	{
		refuse(w, "DUPLICATE_VALUE",
			   "duplicate value found: <unknown> duplicates value on record with id: %s", other.id);
		tooling_free(&other);
		return false;
	}
	if (entities_with(tooling_text(t, "selectedEntity")) > event_settings.entities)
	{
		snprintf(limit, sizeof(limit), "%d", event_settings.entities);
		return refuse(w, "LIMIT_EXCEEDED",
					  "You've reached the maximum number of entities (%s) that can be selected for "
					  "Change Data Capture.",
					  limit);
	}
	return true;
}

static bool
check_member(Tooling *t, const Tooling *old, Response *w)
{
	static const char *const keys[] = {"!eventChannel", "!selectedEntity", "enrichedFields",
									   "filterExpression", NULL};
	const Object *o;

	if (!check_keys(t, keys, w))
		return false;
	if (old != NULL && (!same_as_before(t, old, "selectedEntity", w) ||
						!same_as_before(t, old, "eventChannel", w)))
		return false;
	o = canonical_entity(t);
	if (o == NULL)
		return refuse(w, "INVALID_CROSS_REFERENCE_KEY", "The selected entity %s isn't valid.",
					  tooling_text(t, "selectedEntity"));
	if (old == NULL && !check_new_member(t, o, w))
		return false;
	return check_enriched(t, o, w) && check_filter(t, o, w);
}

static bool
check_credential(Tooling *t, Response *w)
{
	static const char *const keys[] = {"!endpoint",
									   "!label",
									   "generateAuthorizationHeader",
									   "principalType",
									   "protocol",
									   "allowMergeFieldsInBody",
									   "allowMergeFieldsInHeader",
									   NULL};

	return check_keys(t, keys, w);
}

static bool
check_relay(Tooling *t, const Tooling *old, Response *w)
{
	static const char *const fresh[] = {
		"!destinationResourceName", "!eventChannel", "label", "state", "relayOption", NULL};
	static const char *const change[] = {
		"destinationResourceName", "eventChannel", "label", "state", "relayOption", NULL};
	const char *channel;
	const char *credential;
	Tooling other;
	int64_t at = 0;

	if (!check_keys(t, old ? change : fresh, w))
		return false;
	if (old != NULL)
	{
		/* what is not said stays as it is */
		json_object_object_foreach(old->metadata, key, v)
		{
			if (!json_object_object_get_ex(t->metadata, key, NULL))
				json_object_object_add(t->metadata, key, json_object_get(v));
		}
		return true;
	}
	channel = tooling_text(t, "eventChannel");
	credential = tooling_text(t, "destinationResourceName");
	if (strcmp(channel, EVENT_STANDARD) != 0 && !tooling_channel(channel, &other))
		return refuse(w, "INVALID_CROSS_REFERENCE_KEY", "The event channel %s doesn't exist.",
					  channel);
	if (strcmp(channel, EVENT_STANDARD) != 0)
		tooling_free(&other);
	if (strncmp(credential, "callout:", 8) != 0 ||
		!tooling_find(TOOLING_CREDENTIAL, credential + 8, &other))
		return refuse(w, "INVALID_CROSS_REFERENCE_KEY", "The named credential %s doesn't exist.",
					  credential);
	tooling_free(&other);
	while (tooling_next(TOOLING_RELAY, &at, &other))
	{
		bool taken = strcmp(tooling_text(&other, "eventChannel"), channel) == 0;

		tooling_free(&other);
		if (taken)
			return refuse(w, "FIELD_INTEGRITY_EXCEPTION",
						  "The channel %s is referenced by an existing event relay. The channel is "
						  "unique for each event relay and must not be reused.",
						  channel);
	}
	if (tooling_text(t, "state") == NULL)
		json_object_object_add(t->metadata, "state", json_object_new_string("STOP"));
	return true;
}

/* A relay is told first that its channel is taken, a member that its name is. */
bool
tooling_check(Tooling *t, const Tooling *old, Response *w)
{
	Tooling other;

	if (old == NULL && !check_name(t, w))
		return false;
	if (t->type == TOOLING_RELAY && !check_relay(t, old, w))
		return false;
	if (old == NULL && tooling_find(t->type, t->developer, &other))
	{
		tooling_free(&other);
		return refuse(w, "DUPLICATE_DEVELOPER_NAME",
					  "This Developer Name already exists or has been previously used.  Please "
					  "choose a different name: %s",
					  t->developer);
	}
	switch (t->type)
	{
		case TOOLING_CHANNEL:
			return check_channel(t, old, w);
		case TOOLING_MEMBER:
			return check_member(t, old, w);
		case TOOLING_CREDENTIAL:
			return check_credential(t, w);
		default:
			return true;
	}
}

/* Nothing goes that others hang on. */
bool
tooling_may_delete(const Tooling *t, Response *w)
{
	static const ToolingType users[] = {TOOLING_MEMBER, TOOLING_RELAY};
	Tooling other;

	for (int i = 0; i < 2; i++)
	{
		int64_t at = 0;

		while (tooling_next(users[i], &at, &other))
		{
			const char *channel = tooling_text(&other, "eventChannel");
			const char *callout = tooling_text(&other, "destinationResourceName");
			bool used = (t->type == TOOLING_CHANNEL && strcmp(channel, t->full) == 0) ||
						(t->type == TOOLING_CREDENTIAL && callout != NULL &&
						 strcasecmp(callout + 8, t->full) == 0);

			if (used)
				res_errorf(w, 400, "DELETE_FAILED",
						   "Your attempt to delete %s could not be completed because it is "
						   "referenced by: %s",
						   t->full, other.full);
			tooling_free(&other);
			if (used)
				return false;
		}
	}
	return true;
}
