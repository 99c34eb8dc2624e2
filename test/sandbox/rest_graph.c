/*
 * rest_graph.c - composite/graph: graphs of rows, each of them all or nothing.
 *
 * Runs under store_lock().
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "composite.h"

#define OLDEST_VERSION_OF_GRAPHS 50
#define MAX_GRAPHS 75
#define MAX_NODES 500
#define MAX_DEPTH 15
#define MAX_KINDS 15
/* With one more, the graphs that are left are not looked at. */
#define MAX_FAILED 14
#define MAX_ID 40

typedef struct Graph
{
	const char *id;
	Sub *subs;
	int n;
} Graph;

typedef struct Graphs
{
	Graph *list;
	int n;
	int nodes;
	char *kinds[MAX_KINDS]; /* version, method and object of the nodes */
	int n_kinds;
} Graphs;

/* Unique, and letters, digits and the like, beginning with one of the former. */
static bool
check_id(const Graphs *g, const char *id, Response *w)
{
	bool good = id != NULL && isalnum((unsigned char) *id) && strlen(id) < MAX_ID;

	for (const char *p = id; good && *p; p++)
		good = *p != '.';
	if (!good)
	{
		res_error(
			w, 400, "INVALID_INPUT",
			"Every graph needs a graphId that begins with a letter or a digit, has fewer than "
			"40 characters and no period");
		return false;
	}
	for (int i = 0; i < g->n; i++)
		if (strcmp(g->list[i].id, id) == 0)
		{
			res_errorf(w, 400, "INVALID_INPUT", "Duplicate graphId: %s", id);
			return false;
		}
	return true;
}

/* Version, method and object of a node, malloc'ed; NULL if a graph has no such nodes. */
static char *
kind_of(const Sub *s)
{
	static const char root[] = "/services/data/v";
	const char *p = s->url + strlen(root);
	const char *version = p, *object, *end;
	size_t version_len, object_len;
	int parts = 0;
	char *kind;

	if (strncmp(s->url, root, strlen(root)) != 0)
		return NULL;
	version_len = strcspn(p, "/");
	p += version_len;
	if (strncmp(p, "/sobjects/", 10) != 0)
		return NULL;
	object = p + 10;
	object_len = strcspn(object, "/?");
	end = object + object_len;
	for (p = end; *p == '/' && p[1] != '\0' && p[1] != '?';)
	{
		p++;
		parts++;
		p += strcspn(p, "/?");
	}
	if (object_len == 0 || parts > 2 ||
		(parts == 0 ? strcmp(s->method, "POST") != 0
					: strcmp(s->method, "DELETE") != 0 && strcmp(s->method, "GET") != 0 &&
						  strcmp(s->method, "PATCH") != 0 &&
						  (parts == 1 || strcmp(s->method, "POST") != 0)))
		return NULL;
	if (parts == 1 && (strncmp(end, "/describe", 9) == 0 || strncmp(end, "/updated", 8) == 0 ||
					   strncmp(end, "/deleted", 8) == 0))
		return NULL;
	if (asprintf(&kind, "%.*s %s %.*s", (int) version_len, version, s->method, (int) object_len,
				 object) < 0)
		abort();
	return kind;
}

static bool
count_kind(Graphs *g, const Sub *s, Response *w)
{
	char *kind = kind_of(s);

	if (kind == NULL)
	{
		res_errorf(w, 400, "INVALID_INPUT", "%s %s is not supported in a composite graph",
				   s->method, s->url);
		return false;
	}
	for (int i = 0; i < g->n_kinds; i++)
		if (strcasecmp(g->kinds[i], kind) == 0)
		{
			free(kind);
			return true;
		}
	if (g->n_kinds < MAX_KINDS)
	{
		g->kinds[g->n_kinds++] = kind;
		return true;
	}
	free(kind);
	res_errorf(w, 400, "LIMIT_EXCEEDED", "Limit of %d different nodes exceeded", MAX_KINDS);
	return false;
}

/* True if the text refers to that node. */
static bool
refers(const char *text, const char *ref)
{
	size_t n = strlen(ref);

	while ((text = strstr(text, "@{")) != NULL)
	{
		text += 2;
		if (strncmp(text, ref, n) == 0 && strchr(".[}", text[n]) != NULL)
			return true;
	}
	return false;
}

/* How many nodes the longest way has from one to the next that refers to it. */
static int
depth_of(const Graph *g)
{
	int *depth = calloc((size_t) g->n, sizeof(int));
	int most = 0;

	if (depth == NULL)
		abort();
	for (int i = 0; i < g->n; i++)
	{
		const Sub *s = &g->subs[i];
		const char *body =
			s->body ? json_object_to_json_string_ext(s->body, JSON_C_TO_STRING_NOSLASHESCAPE) : "";

		depth[i] = 1;
		if (strstr(body, "@{") != NULL || strstr(s->url, "@{") != NULL)
			for (int k = 0; k < i; k++)
				if (depth[k] >= depth[i] &&
					(refers(body, g->subs[k].ref) || refers(s->url, g->subs[k].ref)))
					depth[i] = depth[k] + 1;
		if (depth[i] > most)
			most = depth[i];
	}
	free(depth);
	return most;
}

/* Adds a graph that is well formed; false with the answer filled. */
static bool
add_graph(Graphs *g, json_object *o, Response *w)
{
	Graph *x = &g->list[g->n];
	json_object *list = NULL;

	x->id = json_object_is_type(o, json_type_object) ? composite_text(o, "graphId") : NULL;
	if (!check_id(g, x->id, w))
		return false;
	json_object_object_get_ex(o, "compositeRequest", &list);
	x->subs = calloc(MAX_NODES, sizeof(Sub));
	if (x->subs == NULL)
		abort();
	g->n++;
	x->n = composite_read(list, x->subs, MAX_NODES - g->nodes, w);
	if (x->n < 0)
	{
		x->n = 0;
		return false;
	}
	g->nodes += x->n;
	for (int i = 0; i < x->n; i++)
		if (!count_kind(g, &x->subs[i], w))
			return false;
	if (depth_of(x) <= MAX_DEPTH)
		return true;
	res_errorf(w, 400, "LIMIT_EXCEEDED", "Limit of %d for the depth of a graph exceeded",
			   MAX_DEPTH);
	return false;
}

static void
run_graphs(Request *r, Graphs *g, Buf *out)
{
	int failed = 0;

	buf_adds(out, "{\"graphs\":[");
	for (int i = 0; i < g->n; i++)
	{
		Graph *x = &g->list[i];
		bool ok = false;

		if (failed <= MAX_FAILED)
			ok = composite_run(r, x->subs, x->n, true);
		else
			for (int k = 0; k < x->n; k++)
				composite_halt(&x->subs[k]);
		failed += !ok;
		buf_adds(out, i > 0 ? ",{\"graphId\":" : "{\"graphId\":");
		buf_jsons(out, x->id);
		buf_adds(out, ",\"graphResponse\":");
		composite_write(x->subs, x->n, out);
		buf_addf(out, ",\"isSuccessful\":%s}", ok ? "true" : "false");
	}
	buf_adds(out, "]}");
}

void
rest_graph(Request *r, Response *w)
{
	json_object *doc = req_json(r, w);
	json_object *list = NULL;
	Graphs g = {0};
	bool good = true;
	int n;

	if (doc == NULL)
		return;
	json_object_object_get_ex(doc, "graphs", &list);
	n = json_object_is_type(list, json_type_array) ? (int) json_object_array_length(list) : 0;
	g.list = calloc((size_t) n + 1, sizeof(Graph));
	if (g.list == NULL)
		abort();
	if (atoi(r->version) < OLDEST_VERSION_OF_GRAPHS)
		res_not_found(w);
	else if (n == 0)
		res_error(w, 400, "JSON_PARSER_ERROR", "graphs must have at least one graph");
	else if (n > MAX_GRAPHS)
		res_errorf(w, 400, "LIMIT_EXCEEDED", "Limit of %d graphs exceeded, got %d", MAX_GRAPHS, n);
	else
	{
		/* nothing is done before all of it is known to be well formed */
		for (int i = 0; i < n && good; i++)
			good = add_graph(&g, json_object_array_get_idx(list, (size_t) i), w);
		if (good)
		{
			w->status = 200;
			run_graphs(r, &g, &w->body);
		}
	}
	for (int i = 0; i < g.n; i++)
		composite_free(g.list[i].subs, g.list[i].n);
	for (int i = 0; i < g.n_kinds; i++)
		free(g.kinds[i]);
	free(g.list);
	json_object_put(doc);
}
