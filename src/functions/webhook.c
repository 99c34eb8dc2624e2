/*
 * webhook.c - what ampsf.webhook() needs beside SQL: is a message Ampersand's, and the content of a
 * large one.
 *
 * Ampersand delivers by Svix: base64(HMAC-SHA256(secret, id.timestamp.body)) in svix-signature, one
 * for each secret that is in force.  All signatures are compared with all secrets, in constant
 * time, before anything is said.
 */
#include "postgres.h"

#include <time.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "catalog/pg_foreign_server.h"
#include "catalog/pg_user_mapping.h"
#include "access/genam.h"
#include "access/htup_details.h"
#include "access/reloptions.h"
#include "access/table.h"
#include "commands/defrem.h"
#include "fmgr.h"
#include "foreign/foreign.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "base/compat.h"
#include "base/error.h"
#include "functions/server_arg.h"
#include "net/hosts.h"
#include "net/http.h"

PG_FUNCTION_INFO_V1(ampsf_sql_webhook_check);
PG_FUNCTION_INFO_V1(ampsf_sql_webhook_download);

/* Seconds that a message may be old, or from the future. */
#define TOLERANCE 300
#define KEY_MAX 256
#define MAC_LEN 32
#define DOWNLOAD_MAX (256 * 1024 * 1024)

/* -------- the secrets -------- */

/* The option of the mapping of a user (InvalidOid: PUBLIC) at a server; palloc'ed, to be wiped. */
static char *
mapping_secret(Oid serverid, Oid userid)
{
	HeapTuple tuple = SearchSysCache2(USERMAPPINGUSERSERVER, ObjectIdGetDatum(userid),
									  ObjectIdGetDatum(serverid));
	char *secret = NULL;
	Datum options;
	bool isnull;
	ListCell *lc;

	if (!HeapTupleIsValid(tuple))
		return NULL;
	options =
		SysCacheGetAttr(USERMAPPINGUSERSERVER, tuple, Anum_pg_user_mapping_umoptions, &isnull);
	foreach (lc, isnull ? NIL : untransformRelOptions(options))
	{
		DefElem *def = lfirst_node(DefElem, lc);

		if (strcmp(def->defname, "webhook_secret") == 0)
			secret = defGetString(def);
	}
	ReleaseSysCache(tuple);
	return secret;
}

static char *
secret_of(Oid serverid)
{
	char *secret = mapping_secret(serverid, GetUserId());

	return secret ? secret : mapping_secret(serverid, InvalidOid);
}

/* The secret of the one server at which the user has one; *server: its name. */
static char *
only_secret(char **server)
{
	Relation rel = table_open(ForeignServerRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	HeapTuple tuple;
	char *found = NULL;
	bool several = false;

	while ((tuple = systable_getnext(scan)) != NULL)
	{
		Oid serverid = ((Form_pg_foreign_server) GETSTRUCT(tuple))->oid;
		char *secret;

		if (!ampsf_is_our_server(GetForeignServer(serverid)) ||
			(secret = secret_of(serverid)) == NULL)
			continue;
		several |= found != NULL;
		found = secret;
		*server = pstrdup(NameStr(((Form_pg_foreign_server) GETSTRUCT(tuple))->srvname));
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	if (several)
		ereport(ERROR, (errcode(ERRCODE_AMBIGUOUS_PARAMETER),
						errmsg("several servers have a webhook_secret"),
						errhint("Name one: ampsf.webhook(body, headers, server).")));
	return found;
}

/* -------- the signature -------- */

/* A header by its name, in any case; NULL if it is not there. */
static char *
header(Jsonb *headers, const char *name)
{
	JsonbIterator *it = JsonbIteratorInit(&headers->root);
	JsonbValue v;
	JsonbIteratorToken token;
	bool wanted = false;
	size_t len = strlen(name);

	while ((token = JsonbIteratorNext(&it, &v, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			wanted = (size_t) v.val.string.len == len &&
					 pg_strncasecmp(v.val.string.val, name, len) == 0;
		else if (token == WJB_VALUE && wanted && v.type == jbvString)
			return pnstrdup(v.val.string.val, v.val.string.len);
	}
	return NULL;
}

static void refuse(const char *detail) __attribute__((noreturn));

static void
refuse(const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION),
			 errmsg("the message is not signed by Ampersand"), errdetail_internal("%s", detail)));
}

/* Bytes of base64 text; -1 if it is none, or has more than max. */
static int
decode_base64(const char *text, size_t len, unsigned char *out, int max)
{
	unsigned char buf[KEY_MAX * 2];
	int n;

	if (len == 0 || len % 4 != 0 || len > KEY_MAX)
		return -1;
	n = EVP_DecodeBlock(buf, (const unsigned char *) text, (int) len);
	if (n >= 0)
		n -= (text[len - 1] == '=') + (text[len - 2] == '=');
	if (n >= 0 && n <= max)
		memcpy(out, buf, n);
	OPENSSL_cleanse(buf, sizeof(buf));
	return n <= max ? n : -1;
}

/* Is any of the signatures "v1,BASE64 v1,BASE64 ..." that of the key? */
static int
fits(const unsigned char *mac, const char *signatures)
{
	int good = 0;

	for (const char *p = signatures + strspn(signatures, " "); *p; p += strspn(p, " "))
	{
		size_t len = strcspn(p, " ");
		unsigned char sent[MAC_LEN];

		if (len > 3 && strncmp(p, "v1,", 3) == 0 &&
			decode_base64(p + 3, len - 3, sent, MAC_LEN) == MAC_LEN)
			good |= CRYPTO_memcmp(mac, sent, MAC_LEN) == 0;
		p += len;
	}
	return good;
}

/* Tries all of the secrets, which are separated by spaces or commas; false if none fits. */
static bool
is_signed(const char *secrets, const char *id, const char *timestamp, const bytea *body,
		  const char *signatures)
{
	size_t head = strlen(id) + strlen(timestamp) + 2, len = head + VARSIZE_ANY_EXHDR(body);
	char *content = MemoryContextAllocHuge(CurrentMemoryContext, len + 1);
	int good = 0;

	snprintf(content, head + 1, "%s.%s.", id, timestamp);
	memcpy(content + head, VARDATA_ANY(body), VARSIZE_ANY_EXHDR(body));
	for (const char *p = secrets + strspn(secrets, " ,"); *p; p += strspn(p, " ,"))
	{
		size_t n = strcspn(p, " ,");
		size_t prefix = n > 6 && strncmp(p, "whsec_", 6) == 0 ? 6 : 0;
		unsigned char key[KEY_MAX], mac[EVP_MAX_MD_SIZE];
		unsigned int mac_len = 0;
		int key_len = decode_base64(p + prefix, n - prefix, key, KEY_MAX);

		p += n;
		if (key_len <= 0)
			ereport(
				ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("user mapping option \"webhook_secret\" holds something that is no secret "
						"of a webhook"),
				 errhint(
					 "It has the form whsec_..., in base64; several are separated by spaces.")));
		if (HMAC(EVP_sha256(), key, key_len, (unsigned char *) content, len, mac, &mac_len) &&
			mac_len == MAC_LEN)
			good |= fits(mac, signatures);
		OPENSSL_cleanse(key, sizeof(key));
	}
	pfree(content);
	return good != 0;
}

Datum
ampsf_sql_webhook_check(PG_FUNCTION_ARGS)
{
	bytea *body = PG_GETARG_BYTEA_PP(0);
	Jsonb *headers = PG_GETARG_JSONB_P(1);
	char *id, *timestamp, *signatures, *secrets, *end, *server = NULL;
	long long sent;
	bool good;
	TupleDesc desc;
	NameData name;
	Datum values[2];
	bool nulls[2] = {false, false};

	if (!JB_ROOT_IS_OBJECT(headers))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("the headers are not a JSON object")));
	id = header(headers, "svix-id");
	timestamp = header(headers, "svix-timestamp");
	signatures = header(headers, "svix-signature");
	if (PG_ARGISNULL(2))
		secrets = only_secret(&server);
	else
	{
		server = NameStr(*PG_GETARG_NAME(2));
		secrets = secret_of(ampsf_server_arg(server)->serverid);
	}
	if (!secrets)
		ereport(ERROR, (errcode(ERRCODE_FDW_OPTION_NAME_NOT_FOUND),
						errmsg("user \"%s\" has no user mapping with option \"webhook_secret\"",
							   GetUserNameFromId(GetUserId(), false)),
						errhint("It is the signing secret of the destination, which Ampersand's "
								"dashboard shows: CREATE "
								"USER MAPPING ... OPTIONS (webhook_secret 'whsec_...').")));
	if (!id || !timestamp || !signatures || *id == '\0')
		refuse("It lacks one of the headers svix-id, svix-timestamp and svix-signature.");
	sent = strtoll(timestamp, &end, 10);
	if (end == timestamp || *end != '\0' || strlen(timestamp) > 15)
		refuse("Its svix-timestamp is no number of seconds.");
	good = is_signed(secrets, id, timestamp, body, signatures);
	explicit_bzero(secrets, strlen(secrets));
	if (!good)
		refuse("Its signature is not that of any secret.");
	/* Only then: a clock is not to be probed by everybody. */
	if (sent < (long long) time(NULL) - TOLERANCE || sent > (long long) time(NULL) + TOLERANCE)
		refuse(psprintf("It was signed more than %d seconds from now.", TOLERANCE));
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	namestrcpy(&name, server);
	values[0] = CStringGetTextDatum(id);
	values[1] = NameGetDatum(&name);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}

/* -------- what was too large for the message -------- */

Datum
ampsf_sql_webhook_download(PG_FUNCTION_ARGS)
{
	static const char *const headers[] = {"Accept: application/json", NULL};
	char *url = text_to_cstring(PG_GETARG_TEXT_PP(0));
	char *scheme = strstr(url, "://");
	AmpsfHttpSpec spec = {0};
	AmpsfHttp *request;
	const char *body;
	size_t len;
	bytea *result;

	if (!scheme)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("the message's downloadUrl is no URL")));
	ampsf_host_check(pnstrdup(url, scheme + 3 + strcspn(scheme + 3, "/?#") - url),
					 "the message's downloadUrl");
	spec.method = "GET";
	spec.url = url;
	spec.headers = headers;
	spec.connect_timeout = 30000;
	spec.request_timeout = 60000;
	spec.max_response = DOWNLOAD_MAX;
	spec.replayable = true;
	request = ampsf_http_start(&spec, CurrentMemoryContext);
	while (!ampsf_http_done(request))
	{
		ampsf_http_sleep();
		ampsf_http_drive();
	}
	if (ampsf_http_failure(request) != AMPSF_HTTP_ANSWERED)
	{
		const char *text = ampsf_http_failure_text(request);

		ereport(ERROR, (errcode(ERRCODE_FDW_UNABLE_TO_ESTABLISH_CONNECTION),
						errmsg("could not download the records of a message"),
						errdetail_internal("%s", ampsf_clean_text(text, strlen(text)))));
	}
	if (ampsf_http_status(request) != 200)
		ereport(
			ERROR,
			(errcode(ERRCODE_FDW_ERROR), errmsg("could not download the records of a message"),
			 errdetail("The answer has status %d.", ampsf_http_status(request)),
			 errhint("The address is good for 15 minutes; Ampersand delivers the message again.")));
	body = ampsf_http_body(request, &len);
	result = palloc(VARHDRSZ + len);
	SET_VARSIZE(result, VARHDRSZ + len);
	memcpy(VARDATA(result), body, len);
	ampsf_http_free(request);
	PG_RETURN_BYTEA_P(result);
}
