/*
 * graph.h - up to 500 changes in one call, of which all are made or none: composite graph.
 *
 * Must not know: tables, transactions, the executor.
 */
#ifndef AMPSF_GRAPH_H
#define AMPSF_GRAPH_H

#include "postgres.h"
#include "net/session.h"
#include "org/row_sink.h"

#define AMPSF_MAX_GRAPH 500
/* Of so many kinds: creates, changes (by Id or external id) or deletes of one object are a kind. */
#define AMPSF_MAX_GRAPH_KINDS 15

typedef struct AmpsfGraphNode
{
	AmpsfWriteOp op;
	const char *object;
	const char *key;	/* AMPSF_UPSERT: the external id's field, which is among fields */
	const char *id;		/* AMPSF_UPDATE and AMPSF_DELETE */
	const char *fields; /* as AmpsfWriteRow.fields */
	size_t len;
	const char *const *headers; /* "Name: value", NULL-terminated; may be NULL */
} AmpsfGraphNode;

/* Why nothing was written. */
typedef struct AmpsfGraphRefusal
{
	int node; /* the one that was refused, by the order of adding; -1: Salesforce did not say */
	int status;
	char *code, *message, *fields; /* as in AmpsfWriteResult */
} AmpsfGraphRefusal;

typedef struct AmpsfGraph AmpsfGraph;

/* Lives in a child of the current context, and ends with it. */
extern AmpsfGraph *ampsf_graph_open(AmpsfSession *session, AmpsfStats *stats);
/* Are changes of two operations on two objects of one kind? */
extern bool ampsf_graph_same_kind(AmpsfWriteOp op1, const char *object1, AmpsfWriteOp op2,
								  const char *object2);
/* Does a change of that kind still fit? */
extern bool ampsf_graph_has_room(const AmpsfGraph *graph, AmpsfWriteOp op, const char *object);
/* All is copied. */
extern void ampsf_graph_add(AmpsfGraph *graph, const AmpsfGraphNode *node);
/*
 * True if all was written.  False, with *refusal, if one change was refused, and so none was made.
 * A row to be deleted that is gone counts as deleted.  ERROR if the call as a whole failed; that of
 * an unknown outcome is ERRCODE_TRANSACTION_RESOLUTION_UNKNOWN.  Changes that were refused only
 * because somebody held a lock are sent again a few times, all of them.
 */
extern bool ampsf_graph_send(AmpsfGraph *graph, AmpsfGraphRefusal *refusal);
/* After an error: were the changes sent, and nobody knows what became of them? */
extern bool ampsf_graph_in_doubt(const AmpsfGraph *graph);
/* The change that was added as number i. */
extern void ampsf_graph_change(const AmpsfGraph *graph, int i, AmpsfGraphNode *node);
extern void ampsf_graph_close(AmpsfGraph *graph);

#endif
