/*
 * options_private.h - reading one option from a list; for the files that read options together.
 */
#ifndef AMPSF_OPTIONS_PRIVATE_H
#define AMPSF_OPTIONS_PRIVATE_H

#include "postgres.h"
#include "commands/defrem.h"
#include "utils/builtins.h"

/* The value of an option as given, or NULL. */
static inline const char *
get(List *options, const char *name)
{
	ListCell *lc;

	foreach (lc, options)
	{
		DefElem *def = lfirst_node(DefElem, lc);

		if (strcmp(def->defname, name) == 0)
			return defGetString(def);
	}
	return NULL;
}

static inline bool
get_bool(List *options, const char *name, bool dflt)
{
	const char *v = get(options, name);
	bool b;

	return v && parse_bool(v, &b) ? b : dflt;
}

static inline char *
get_text(List *options, const char *name)
{
	const char *v = get(options, name);

	return v ? pstrdup(v) : NULL;
}

#endif
