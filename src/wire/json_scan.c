/*
 * json_scan.c - the one-pass reader of query pages.
 *
 * Owns: the wanted fields as a tree of keys, the walk through a page, and the checks that make it
 * JSON. Must not know: PostgreSQL, the network, what a value means.  Whether the bytes are UTF-8 is
 * the caller's to check.
 *
 * Three things make it fast.  Strings are searched sixteen bytes at a time.  Every key remembers
 * which key came after it in the record before, so that one comparison finds it again.  And a
 * record is read straight from the window: when it turns out to be incomplete, it is read again
 * from its beginning.  For a record that is larger than what arrives at a time this would take the
 * square of its length, so from the second failure on only its brackets are counted, each byte
 * once, until it is complete.
 *
 * No byte beyond the window is ever read.
 */
#include "wire/json_scan.h"
#include "wire/json_lex.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RECORD_DEPTH 3 /* open brackets inside a record: the page's, the list's and its own */

/* One key of the records' objects. */
typedef struct Node Node;
struct Node
{
	char *token; /* "Name": with quotes and colon, zeros up to a whole block */
	uint32_t token_len;
	uint32_t room; /* token_len in whole blocks; never there if the token is no JSON as it stands */
	int32_t value; /* index into values[], or -1 */
	uint32_t seen; /* number of the record in which its object was last read */
	Node *next;	   /* the key that came after it last time */
	Node *first;   /* the key that its object began with last time */
	Node *parent;
	Node *child;   /* its keys, */
	Node *sibling; /* chained by this */
};

/* A field that is asked for again: values[to] is a copy of values[from]. */
typedef struct Repeat
{
	int from, to;
} Repeat;

typedef enum State
{
	AT_START,		 /* the page's brace */
	AT_FIRST_KEY,	 /* a key of the page, or its end */
	AT_KEY,			 /* a key of the page */
	AFTER_MEMBER,	 /* comma or the page's end */
	AT_FIRST_RECORD, /* a record, or the end of the records */
	AT_RECORD,
	AFTER_RECORD, /* comma or the end of the records */
	AT_END,
	AT_ERROR
} State;

struct AmpsfJsonScan
{
	const char *list_key, *next_key; /* what the page calls its records, and where the next is */

	/* fixed by the fields */
	int nvalues;
	Node root;
	Node *nodes;
	int nnodes;
	Node **table; /* nodes by parent and name, open addressing */
	uint32_t table_mask;
	int32_t whole; /* index of the value that takes the record's own text, or -1 */
	Repeat *repeats;
	int nrepeats;
	char *tokens; /* all of them, one after the other */
	size_t tokens_used;
	char *key;		/* room to unescape a key */
	size_t key_max; /* longest escaped key that can match */

	/* of the page */
	State state;
	int64_t offset; /* bytes of the page before *pos */
	int64_t total;
	bool done;
	bool records_seen;
	char *next_url;
	size_t next_url_room;
	bool has_next_url;
	uint32_t record; /* number of the record, for Node.seen */

	/* of a record that was incomplete */
	int attempts;
	size_t counted; /* bytes of it whose brackets have been counted */
	int open;		/* brackets open there */
	bool in_string; /* and whether it is inside a string */

	AmpsfJsonLex lex;
	char error[160];
};

/* -------- the fields -------- */

static unsigned char
fold(char c)
{
	return (unsigned char) (c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

static uint32_t
hash_name(const Node *parent, const AmpsfJsonScan *scan, const char *name, size_t len)
{
	uint32_t h = 2166136261u ^ (uint32_t) (parent == &scan->root ? 0 : parent - scan->nodes + 1);

	for (size_t i = 0; i < len; i++)
		h = (h ^ fold(name[i])) * 16777619u;
	return h ^ h >> 15;
}

static bool
same_name(const char *a, const char *b, size_t len)
{
	for (size_t i = 0; i < len; i++)
	{
		if (fold(a[i]) != fold(b[i]))
			return false;
	}
	return true;
}

/* The node of that name under parent, or NULL; *slot is where it is in the table, or where it
 * belongs. */
static Node *
find_node(const AmpsfJsonScan *scan, const Node *parent, const char *name, size_t len,
		  uint32_t *slot)
{
	uint32_t at = hash_name(parent, scan, name, len) & scan->table_mask;

	for (; scan->table[at]; at = (at + 1) & scan->table_mask)
	{
		Node *node = scan->table[at];

		if (node->parent == parent && node->token_len == len + 3 &&
			same_name(node->token + 1, name, len))
			break;
	}
	*slot = at;
	return scan->table[at];
}

static Node *
add_node(AmpsfJsonScan *scan, Node *parent, const char *name, size_t len)
{
	uint32_t slot;
	Node *node = find_node(scan, parent, name, len, &slot);

	if (node)
		return node;
	node = &scan->nodes[scan->nnodes++];
	scan->table[slot] = node;
	node->token_len = (uint32_t) (len + 3);
	node->room = (node->token_len + BLOCK - 1) / BLOCK * BLOCK;
	node->token = scan->tokens + scan->tokens_used;
	scan->tokens_used += node->room;
	node->token[0] = '"';
	memcpy(node->token + 1, name, len);
	memcpy(node->token + 1 + len, "\":", 2);
	node->value = -1;
	node->parent = parent;
	for (size_t i = 0; i < len; i++)
	{
		if (name[i] == '"' || name[i] == '\\' || (unsigned char) name[i] < 0x20)
			node->room = INT32_MAX;
	}

	/* The first guess is that keys come in the order of the fields. */
	if (!parent->child)
	{
		parent->child = node;
		parent->first = node;
	}
	else
	{
		Node *last = parent->child;

		while (last->sibling)
			last = last->sibling;
		last->sibling = node;
		last->next = node;
	}
	if (len * 6 > scan->key_max)
		scan->key_max = len * 6;
	return node;
}

/* values[index] is to hold what *value stands for, or a copy if that has a place already. */
static void
add_value(AmpsfJsonScan *scan, int32_t *value, int index)
{
	if (*value < 0)
		*value = index;
	else
	{
		scan->repeats[scan->nrepeats].from = *value;
		scan->repeats[scan->nrepeats].to = index;
		scan->nrepeats++;
	}
}

/* Enters a dotted field into the tree; "*" is the record itself. */
static void
add_field(AmpsfJsonScan *scan, const char *field, int index)
{
	Node *node = &scan->root;

	if (strcmp(field, "*") == 0)
	{
		add_value(scan, &scan->whole, index);
		return;
	}
	for (;;)
	{
		const char *dot = strchr(field, '.');
		size_t len = dot ? (size_t) (dot - field) : strlen(field);

		/* Every record and parent begins with its attributes; to know the key saves looking it up.
		 */
		if (!node->child)
			add_node(scan, node, "attributes", 10);
		node = add_node(scan, node, field, len);
		if (!dot)
			break;
		field = dot + 1;
	}
	add_value(scan, &node->value, index);
}

AmpsfJsonScan *
ampsf_json_scan_create(const char *const *fields, int nfields)
{
	AmpsfJsonScan *scan = calloc(1, sizeof(AmpsfJsonScan));
	size_t max_nodes = 1;
	size_t max_tokens = 2 * BLOCK;
	uint32_t slots = 4;

	if (!scan)
		return NULL;
	for (int i = 0; i < nfields; i++)
	{
		/* Each segment may bring a node of its own and one for its attributes. */
		for (const char *p = fields[i]; p; p = strchr(p, '.') ? strchr(p, '.') + 1 : NULL)
		{
			max_nodes += 2;
			max_tokens += strcspn(p, ".") + 3 + BLOCK + 2 * BLOCK;
		}
	}
	while (slots < max_nodes * 2)
		slots *= 2;
	scan->list_key = "records";
	scan->next_key = "nextRecordsUrl";
	scan->nvalues = nfields;
	scan->whole = -1;
	scan->table_mask = slots - 1;
	scan->nodes = calloc(max_nodes, sizeof(Node));
	scan->table = calloc(slots, sizeof(Node *));
	scan->repeats = calloc((size_t) nfields + 1, sizeof(Repeat));
	scan->tokens = calloc(max_tokens, 1);
	scan->root.value = -1;
	if (!scan->nodes || !scan->table || !scan->repeats || !scan->tokens)
	{
		ampsf_json_scan_free(scan);
		return NULL;
	}
	for (int i = 0; i < nfields; i++)
		add_field(scan, fields[i], i);
	scan->key = malloc(scan->key_max + 1);
	if (!scan->key)
	{
		ampsf_json_scan_free(scan);
		return NULL;
	}
	ampsf_json_scan_reset(scan);
	return scan;
}

void
ampsf_json_scan_engagement(AmpsfJsonScan *scan)
{
	scan->list_key = "values";
	scan->next_key = "nextPageToken";
}

void
ampsf_json_scan_free(AmpsfJsonScan *scan)
{
	if (!scan)
		return;
	free(scan->nodes);
	free(scan->table);
	free(scan->repeats);
	free(scan->tokens);
	free(scan->key);
	free(scan->next_url);
	free(scan);
}

static void
forget_partial(AmpsfJsonScan *scan)
{
	scan->attempts = 0;
	scan->counted = 0;
	scan->open = 0;
	scan->in_string = false;
}

void
ampsf_json_scan_reset(AmpsfJsonScan *scan)
{
	scan->state = AT_START;
	scan->offset = 0;
	scan->total = -1;
	scan->done = false;
	scan->records_seen = false;
	scan->has_next_url = false;
	scan->error[0] = '\0';
	forget_partial(scan);
}

int64_t
ampsf_json_scan_total(const AmpsfJsonScan *scan)
{
	return scan->total;
}

bool
ampsf_json_scan_done(const AmpsfJsonScan *scan)
{
	return scan->done;
}

const char *
ampsf_json_scan_next_url(const AmpsfJsonScan *scan)
{
	return scan->has_next_url ? scan->next_url : NULL;
}

const char *
ampsf_json_scan_error(const AmpsfJsonScan *scan)
{
	return scan->error;
}

/* -------- records -------- */

/* Does the token stand at p, where there is room for its blocks? */
static inline bool
token_matches(const Node *node, const char *p)
{
#ifdef __SSE2__
	const char *t = node->token;
	uint32_t left = node->token_len;

	for (;;)
	{
		__m128i a = _mm_loadu_si128((const __m128i *) p);
		__m128i b = _mm_loadu_si128((const __m128i *) t);
		unsigned same = (unsigned) _mm_movemask_epi8(_mm_cmpeq_epi8(a, b));

		if (left <= BLOCK)
		{
			unsigned wanted = (1u << left) - 1;

			return (same & wanted) == wanted;
		}
		if (same != 0xffff)
			return false;
		left -= BLOCK;
		p += BLOCK;
		t += BLOCK;
	}
#else
	return memcmp(p, node->token, node->token_len) == 0;
#endif
}

/* The key at p, whatever it is: up to its value, and its node or NULL. */
static const char *
read_key(AmpsfJsonScan *scan, Node *parent, const char *p, const char *end, Node **node)
{
	const char *name = p + 1;
	bool escaped = false;
	size_t len;
	uint32_t slot;

	*node = NULL;
	if (*p != '"')
		return ampsf_lex_fail(&scan->lex, p, "expected a key");
	p = find_quote(&scan->lex, name, end, &escaped);
	if (!p)
		return NULL;
	len = (size_t) (p - name);
	if (escaped)
	{
		ptrdiff_t plain = len <= scan->key_max ? ampsf_json_unescape(name, len, scan->key) : -1;

		if (plain >= 0)
			*node = find_node(scan, parent, scan->key, (size_t) plain, &slot);
	}
	else
	{
		*node = find_node(scan, parent, name, len, &slot);
		/* From now on it is compared as the org spells it. */
		if (*node)
			memcpy((*node)->token + 1, name, len);
	}
	if (!(p = skip_space(&scan->lex, p + 1, end)))
		return NULL;
	if (*p != ':')
		return ampsf_lex_fail(&scan->lex, p, "expected a colon");
	return skip_space(&scan->lex, p + 1, end);
}

/* What lies under a parent is null: it is null itself, or comes a second time. */
static void
clear_children(const Node *parent, AmpsfValue *values)
{
	for (const Node *node = parent->child; node; node = node->sibling)
	{
		if (node->value >= 0)
			values[node->value] = (AmpsfValue){NULL, 0, AMPSF_VALUE_NULL};
		if (node->child)
			clear_children(node, values);
	}
}

static inline const char *
store(AmpsfJsonScan *scan, const Node *node, AmpsfValue *values, const char *from, const char *to,
	  AmpsfValueKind kind)
{
	if (node->value >= 0)
	{
		AmpsfValue *value = &values[node->value];

		if (likely_false((uint64_t) (to - from) > UINT32_MAX))
			return ampsf_lex_fail(&scan->lex, from, "value too long");
		value->ptr = from;
		value->len = (uint32_t) (to - from);
		value->kind = (uint8_t) kind;
	}
	return to;
}

static const char *read_object(AmpsfJsonScan *scan, Node *object, const char *p, const char *end,
							   int depth, AmpsfValue *values);

/* An object or array that is the value of a known key. */
static const char *
read_brackets(AmpsfJsonScan *scan, Node *node, const char *p, const char *end, int depth,
			  AmpsfValue *values)
{
	const char *from = p;

	if (*p == '{' && node->child)
	{
		if (depth == MAX_DEPTH)
			return ampsf_lex_fail(&scan->lex, p, "nested too deeply");
		if (node->seen == scan->record)
			clear_children(node, values);
		node->seen = scan->record;
		p = read_object(scan, node, p + 1, end, depth + 1, values);
	}
	else
	{
		if (node->child)
			clear_children(node, values);
		p = ampsf_lex_skip_value(&scan->lex, p, end, depth);
	}
	return p ? store(scan, node, values, from, p, AMPSF_VALUE_JSON) : NULL;
}

/* The value of a known key. */
static inline const char *
read_value(AmpsfJsonScan *scan, Node *node, const char *p, const char *end, int depth,
		   AmpsfValue *values)
{
	const char *from = p;
	AmpsfValueKind kind;

	if (likely_true(*p == '"'))
	{
		bool escaped = false;

		p = find_quote(&scan->lex, from + 1, end, &escaped);
		if (likely_false(!p) || !store(scan, node, values, from + 1, p,
									   escaped ? AMPSF_VALUE_ESCAPED : AMPSF_VALUE_STRING))
			return NULL;
		p++;
	}
	else if (*p == '{' || *p == '[')
		return read_brackets(scan, node, p, end, depth, values);
	else
	{
		switch (*p)
		{
			case 'n':
				p = skip_word(&scan->lex, p, end, "null", 4);
				kind = AMPSF_VALUE_NULL;
				break;
			case 't':
				p = skip_word(&scan->lex, p, end, "true", 4);
				kind = AMPSF_VALUE_TRUE;
				break;
			case 'f':
				p = skip_word(&scan->lex, p, end, "false", 5);
				kind = AMPSF_VALUE_FALSE;
				break;
			default:
				p = ampsf_lex_skip_scalar(&scan->lex, p, end);
				kind = AMPSF_VALUE_NUMBER;
		}
		if (!p || !store(scan, node, values, from, p, kind))
			return NULL;
	}
	if (likely_false(node->child))
		clear_children(node, values);
	return p;
}

/* An object whose brace is behind. */
static const char *
read_object(AmpsfJsonScan *scan, Node *object, const char *p, const char *end, int depth,
			AmpsfValue *values)
{
	Node **guess = &object->first;

	if (!(p = skip_space(&scan->lex, p, end)))
		return NULL;
	if (*p == '}')
		return p + 1;
	for (;;)
	{
		Node *node = *guess;

		if (likely_true(node && end - p > (ptrdiff_t) node->room && token_matches(node, p)))
		{
			p += node->token_len;
			if (likely_false((unsigned char) *p <= ' ') && !(p = skip_space(&scan->lex, p, end)))
				return NULL;
		}
		else
		{
			if (!(p = read_key(scan, object, p, end, &node)))
				return NULL;
			if (node)
				*guess = node;
		}
		if (likely_true(node != NULL))
		{
			p = read_value(scan, node, p, end, depth, values);
			guess = &node->next;
		}
		else
			p = ampsf_lex_skip_value(&scan->lex, p, end, depth);
		if (likely_false(!p) || !(p = skip_space(&scan->lex, p, end)))
			return NULL;
		if (likely_true(*p == ','))
		{
			if (!(p = skip_space(&scan->lex, p + 1, end)))
				return NULL;
		}
		else if (*p == '}')
			return p + 1;
		else
			return ampsf_lex_fail(&scan->lex, p, "expected , or }");
	}
}

/*
 * Counts the brackets of the incomplete record at p, going on where it was left.  True if the
 * record is complete; what is wrong with it otherwise is not seen here.
 */
static bool
count_brackets(AmpsfJsonScan *scan, const char *record, const char *end)
{
	const char *p = record + scan->counted;

	while (p < end)
	{
		if (scan->in_string)
		{
			p = find_special(p, end);
			if (p == end)
				break;
			if (*p == '\\')
			{
				if (end - p < 2)
					break; /* which character it escapes will be seen next time */
				p++;
			}
			else if (*p == '"')
				scan->in_string = false;
		}
		else if (*p == '"')
			scan->in_string = true;
		else if (*p == '{' || *p == '[')
			scan->open++;
		else if ((*p == '}' || *p == ']') && --scan->open <= 0)
			return true;
		p++;
	}
	scan->counted = (size_t) (p - record);
	return false;
}

/* The record at p, into values[]. */
static const char *
read_record(AmpsfJsonScan *scan, const char *p, const char *end, bool final, AmpsfValue *values)
{
	const char *record = p;

	if (*p != '{')
		return ampsf_lex_fail(&scan->lex, p, "expected a record");
	if (scan->attempts > 1 && !final && !count_brackets(scan, record, end))
		return ampsf_lex_more(&scan->lex, end);
	if (scan->nvalues > 0)
		memset(values, 0, sizeof(AmpsfValue) * (size_t) scan->nvalues);
	scan->record++;
	p = read_object(scan, &scan->root, p + 1, end, RECORD_DEPTH, values);
	if (!p)
	{
		if (scan->lex.more && scan->attempts++ == 1)
			count_brackets(scan, record, end);
		return NULL;
	}
	forget_partial(scan);
	if (scan->whole >= 0)
	{
		if ((size_t) (p - record) > UINT32_MAX)
			return ampsf_lex_fail(&scan->lex, record, "the record is too large");
		values[scan->whole].ptr = record;
		values[scan->whole].len = (uint32_t) (p - record);
		values[scan->whole].kind = AMPSF_VALUE_JSON;
	}
	for (int i = 0; i < scan->nrepeats; i++)
		values[scan->repeats[i].to] = values[scan->repeats[i].from];
	return p;
}

/* -------- the page -------- */

/* Keeps the address of the next page, unescaped. */
static bool
keep_next_url(AmpsfJsonScan *scan, const char *s, size_t len)
{
	ptrdiff_t plain;

	if (len + 1 > scan->next_url_room)
	{
		char *room = realloc(scan->next_url, len + 1);

		if (!room)
		{
			ampsf_lex_fail(&scan->lex, s, "out of memory");
			return false;
		}
		scan->next_url = room;
		scan->next_url_room = len + 1;
	}
	plain = ampsf_json_unescape(s, len, scan->next_url);
	if (plain < 0)
	{
		ampsf_lex_fail(&scan->lex, s, "the address of the next page is broken");
		return false;
	}
	scan->next_url[plain] = '\0';
	scan->has_next_url = plain > 0;
	return true;
}

/* An integer without sign; -1 if the slice is none. */
static int64_t
read_count(const char *p, const char *end)
{
	int64_t n = 0;

	for (; p < end; p++)
	{
		if (!is_digit(*p) || n > INT64_MAX / 10 - 1)
			return -1;
		n = n * 10 + (*p - '0');
	}
	return n;
}

static bool
key_is(const char *key, const char *end, const char *name)
{
	size_t len = strlen(name);

	return (size_t) (end - key) == len && memcmp(key, name, len) == 0;
}

/* What the page says of itself.  The value is whole: nothing is kept of one that is cut off. */
static const char *
read_page_value(AmpsfJsonScan *scan, const char *key, const char *key_end, const char *p,
				const char *end)
{
	const char *value = p;

	p = ampsf_lex_skip_value(&scan->lex, value, end, 1);
	if (!p)
		return NULL;
	if (key_is(key, key_end, "totalSize"))
	{
		int64_t total = is_digit(*value) ? read_count(value, p) : -1;

		if (total < 0)
			return ampsf_lex_fail(&scan->lex, value, "totalSize is no count");
		scan->total = total;
	}
	else if (key_is(key, key_end, "done"))
	{
		if (*value != 't' && *value != 'f')
			return ampsf_lex_fail(&scan->lex, value, "done is neither true nor false");
		scan->done = *value == 't';
	}
	else if (key_is(key, key_end, scan->next_key))
	{
		scan->has_next_url = false;
		/* Account Engagement says so by a token that is null. */
		if (*value == 'n' && scan->next_key[4] == 'P')
			scan->done = true;
		if (*value == '"')
			return keep_next_url(scan, value + 1, (size_t) (p - value - 2)) ? p : NULL;
		if (*value != 'n')
			return ampsf_lex_fail(&scan->lex, value, "the address of the next page is no text");
	}
	return p;
}

/* A key of the page with its value; of the records only the bracket. */
static const char *
read_page_member(AmpsfJsonScan *scan, const char *p, const char *end)
{
	const char *key = p + 1;
	const char *key_end;
	bool escaped = false;

	if (*p != '"')
		return ampsf_lex_fail(&scan->lex, p, "expected a key");
	key_end = find_quote(&scan->lex, key, end, &escaped);
	if (!key_end || !(p = skip_space(&scan->lex, key_end + 1, end)))
		return NULL;
	if (*p != ':')
		return ampsf_lex_fail(&scan->lex, p, "expected a colon");
	if (!(p = skip_space(&scan->lex, p + 1, end)))
		return NULL;
	if (!key_is(key, key_end, scan->list_key))
	{
		p = read_page_value(scan, key, key_end, p, end);
		if (p)
			scan->state = AFTER_MEMBER;
		return p;
	}
	if (scan->records_seen)
		return ampsf_lex_fail(&scan->lex, key, "records come twice");
	if (*p == '[')
	{
		p++;
		scan->state = AT_FIRST_RECORD;
	}
	else if (*p == 'n')
	{
		if (!(p = skip_word(&scan->lex, p, end, "null", 4)))
			return NULL;
		scan->state = AFTER_MEMBER;
	}
	else
		return ampsf_lex_fail(&scan->lex, p, "expected the list of records");
	scan->records_seen = true;
	return p;
}

/* The one bracket or comma that the state asks for; p is at a byte that is no space. */
static const char *
read_punctuation(AmpsfJsonScan *scan, const char *p)
{
	switch (scan->state)
	{
		case AT_START:
			if (*p != '{')
				return ampsf_lex_fail(&scan->lex, p, "expected {");
			scan->state = AT_FIRST_KEY;
			break;
		case AFTER_MEMBER:
			if (*p == ',')
				scan->state = AT_KEY;
			else if (*p != '}')
				return ampsf_lex_fail(&scan->lex, p, "expected , or }");
			else if (!scan->records_seen)
				return ampsf_lex_fail(&scan->lex, p, "expected records");
			else
				scan->state = AT_END;
			break;
		case AFTER_RECORD:
			if (*p == ',')
				scan->state = AT_RECORD;
			else if (*p == ']')
				scan->state = AFTER_MEMBER;
			else
				return ampsf_lex_fail(&scan->lex, p, "expected , or ]");
			break;
		default:
			return ampsf_lex_fail(&scan->lex, p, "expected the end");
	}
	return p + 1;
}

/* One step through the page, of which *record says whether it was a record. */
static const char *
read_step(AmpsfJsonScan *scan, const char *p, const char *end, bool final, AmpsfValue *values,
		  bool *record)
{
	*record = false;
	switch (scan->state)
	{
		case AT_FIRST_KEY:
			if (*p == '}')
				return ampsf_lex_fail(&scan->lex, p, "expected records");
			return read_page_member(scan, p, end);
		case AT_KEY:
			return read_page_member(scan, p, end);
		case AT_FIRST_RECORD:
			if (*p == ']')
			{
				scan->state = AFTER_MEMBER;
				return p + 1;
			}
			/* FALLTHROUGH */
		case AT_RECORD:
			p = read_record(scan, p, end, final, values);
			if (p)
			{
				scan->state = AFTER_RECORD;
				*record = true;
			}
			return p;
		default:
			return read_punctuation(scan, p);
	}
}

/* Notes how far it has come. */
static void
advance(AmpsfJsonScan *scan, const char *data, const char *p, size_t *pos)
{
	scan->offset += (p - data) - (ptrdiff_t) *pos;
	*pos = (size_t) (p - data);
}

AmpsfJsonResult
ampsf_json_scan_next(AmpsfJsonScan *scan, const char *data, size_t len, size_t *pos, bool final,
					 AmpsfValue *values)
{
	const char *p = data + *pos;
	const char *end = data + len;

	if (scan->state == AT_ERROR)
		return AMPSF_JSON_BAD;
	for (;;)
	{
		const char *at = skip_space(&scan->lex, p, end);
		bool record;

		if (!at)
		{
			/* Behind the page there may be space, and nothing else. */
			advance(scan, data, end, pos);
			if (scan->state == AT_END)
				return AMPSF_JSON_END;
			p = NULL;
		}
		else
		{
			advance(scan, data, at, pos);
			p = read_step(scan, at, end, final, values, &record);
		}
		if (!p && scan->lex.more && !final)
			return AMPSF_JSON_MORE;
		if (!p)
		{
			snprintf(scan->error, sizeof(scan->error), "%s at byte %lld", scan->lex.fail_why,
					 (long long) (scan->offset + (scan->lex.fail_at - (data + *pos))));
			scan->state = AT_ERROR;
			return AMPSF_JSON_BAD;
		}
		advance(scan, data, p, pos);
		if (record)
			return AMPSF_JSON_RECORD;
	}
}
