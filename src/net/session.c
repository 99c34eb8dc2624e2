/*
 * session.c - the cache of sessions, one for each user mapping that this backend uses; see
 * session.h.
 *
 * A session whose server or user mapping was altered is retired at the next look: new work gets a
 * new one, running scans keep the old one, which ends with the transaction.  Must not know: HTTP,
 * OAuth.
 */
#include "net/session_private.h"

#include "access/xact.h"
#include "base/ampsf.h"
#include "commands/defrem.h"
#include "foreign/foreign.h"
#include "net/hosts.h"
#include "net/usage.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

static dlist_head sessions = DLIST_STATIC_INIT(sessions);
static dlist_head retired = DLIST_STATIC_INIT(retired);

/* May run inside any access to the catalogs: only notes it. */
static void
invalidate(Datum arg, int cacheid, uint32 hash)
{
	dlist_iter iter;

	dlist_foreach(iter, &sessions)
	{
		AmpsfSession *s = dlist_container(AmpsfSession, node, iter.cur);

		if (hash == 0 || (cacheid == FOREIGNSERVEROID && s->server_hash == hash) ||
			(cacheid == USERMAPPINGOID && s->mapping_hash == hash))
			s->stale = true;
	}
}

static void
free_retired(void)
{
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, &retired)
	{
		AmpsfSession *s = dlist_container(AmpsfSession, node, iter.cur);

		if (s->users > 0)
			continue;
		dlist_delete(&s->node);
		MemoryContextDelete(s->cxt);
	}
}

static void
at_xact_end(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_PARALLEL_COMMIT:
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PARALLEL_ABORT:
		case XACT_EVENT_PREPARE:
			free_retired();
			break;
		default:
			break;
	}
}

static void
retire(AmpsfSession *s)
{
	dlist_delete(&s->node);
	dlist_push_tail(&retired, &s->node);
}

static void
wipe_session(void *arg)
{
	AmpsfSession *s = arg;

	ampsf_login_wipe(s);
	ampsf_auth_wipe(s->token);
	ampsf_auth_wipe(s->refresh_token);
	ampsf_auth_wipe(s->stored_token);
	if (s->user)
		ampsf_user_options_wipe(s->user);
}

/*
 * Something was altered.  Is it what the session rests on?  A refresh token that another process
 * got in the place of ours goes on in the same login: to begin a new one would replace it again,
 * for everybody.
 */
static bool
still_good(AmpsfSession *s)
{
	UserMapping *mapping = ampsf_mapping_read(s->umid);
	ForeignServer *server = GetForeignServerExtended(s->serverid, FSV_MISSING_OK);
	uint8 fingerprint[AMPSF_FINGERPRINT_SIZE];
	bool good = false;

	if (mapping && server)
	{
		ampsf_mapping_fingerprint(mapping, server, fingerprint);
		good = memcmp(fingerprint, s->fingerprint, sizeof(fingerprint)) == 0;
		if (good)
			(void) ampsf_login_take_stored(s, mapping);
	}
	if (mapping)
		ampsf_mapping_wipe(mapping);
	s->stale = !good;
	return good;
}

/* The host of an sfdx_auth_url says whose login it is: another org's is a mistake. */
static void
check_sfdx_host(AmpsfSession *s)
{
	static const char *const login_hosts[] = {"login.salesforce.com", "test.salesforce.com"};
	const char *host = s->user->sfdx_host;

	if (host == NULL || pg_strcasecmp(host, strstr(s->options->instance_url, "://") + 3) == 0 ||
		pg_strcasecmp(host, strstr(s->options->login_url, "://") + 3) == 0)
		return;
	for (size_t i = 0; i < lengthof(login_hosts); i++)
		if (pg_strcasecmp(host, login_hosts[i]) == 0)
			return;
	ereport(
		ERROR,
		(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
		 errmsg("user mapping option \"sfdx_auth_url\" belongs to another org than the server"),
		 errdetail("It ends in @%s; the server is %s.", ampsf_clean_text(host, strlen(host)),
				   s->options->instance_url),
		 errhint(
			 "Set the server's option \"instance_url\" to https://%s, or log in to the server's "
			 "org with the Salesforce CLI.",
			 ampsf_clean_text(host, strlen(host)))));
}

static AmpsfSession *
make_session(UserMapping *mapping)
{
	MemoryContext cxt =
		AllocSetContextCreate(CurrentMemoryContext, "ampsf session", ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);
	AmpsfSession *s = palloc0(sizeof(AmpsfSession));

	s->cxt = cxt;
	s->on_reset.func = wipe_session;
	s->on_reset.arg = s;
	MemoryContextRegisterResetCallback(cxt, &s->on_reset);
	s->serverid = mapping->serverid;
	s->umid = mapping->umid;
	s->server_hash = GetSysCacheHashValue1(FOREIGNSERVEROID, ObjectIdGetDatum(mapping->serverid));
	s->mapping_hash = GetSysCacheHashValue1(USERMAPPINGOID, ObjectIdGetDatum(mapping->umid));
	s->server_name = pstrdup(GetForeignServer(mapping->serverid)->servername);
	s->options = ampsf_server_options(GetForeignServer(mapping->serverid));
	s->user = ampsf_user_options(mapping);
	if (s->options->ampersand)
		ampsf_auth_check_api_key(s->user);
	s->kind = s->options->ampersand ? AMPSF_AUTH_API_KEY : ampsf_auth_kind(s->user);
	ampsf_mapping_fingerprint(mapping, GetForeignServer(mapping->serverid), s->fingerprint);
	if (s->user->refresh_token)
	{
		s->refresh_token = pstrdup(s->user->refresh_token);
		s->stored_token = pstrdup(s->user->refresh_token);
	}
	s->instance_url = pstrdup(s->options->instance_url);
	check_sfdx_host(s);
	s->login_cxt = AllocSetContextCreate(cxt, "ampsf login", ALLOCSET_SMALL_SIZES);
	if (AMPSF_AUTH_IS_GIVEN(s->kind))
	{
		s->token = pstrdup(s->options->ampersand ? s->user->api_key : s->user->access_token);
		s->generation = 1;
		s->login_state = AMPSF_LOGIN_READY;
	}
	MemoryContextSwitchTo(old);
	return s;
}

AmpsfSession *
ampsf_session_get(Oid serverid, Oid userid)
{
	static bool registered = false;
	UserMapping *mapping = GetUserMapping(userid, serverid);
	AmpsfSession *found = NULL;
	dlist_mutable_iter iter;

	if (!registered)
	{
		CacheRegisterSyscacheCallback(FOREIGNSERVEROID, invalidate, (Datum) 0);
		CacheRegisterSyscacheCallback(USERMAPPINGOID, invalidate, (Datum) 0);
		RegisterXactCallback(at_xact_end, NULL);
		registered = true;
	}
	dlist_foreach_modify(iter, &sessions)
	{
		AmpsfSession *s = dlist_container(AmpsfSession, node, iter.cur);

		if (s->stale && !still_good(s))
			retire(s);
		else if (s->umid == mapping->umid && s->serverid == serverid)
			found = s;
	}
	if (!found)
	{
		found = make_session(mapping);
		MemoryContextSetParent(found->cxt, CacheMemoryContext);
		dlist_push_tail(&sessions, &found->node);
	}
	ampsf_mapping_wipe(mapping);
	/* Each time: the setting may have been narrowed since. */
	if (found->options->ampersand)
	{
		ampsf_host_check(found->options->instance_url, "option \"proxy_url\"");
		ampsf_host_check(found->options->write_url, "option \"write_url\"");
		ampsf_host_check(found->options->read_url, "option \"read_url\"");
		ampsf_host_check(found->options->platform_url, "option \"platform_url\"");
	}
	ampsf_host_check(found->options->instance_url, "option \"instance_url\"");
	ampsf_host_check(found->options->login_url, "option \"login_url\"");
	if (found->options->engagement)
		ampsf_host_check(found->options->engagement_url, "option \"engagement_url\"");
	return found;
}

int
ampsf_session_disconnect(Oid serverid)
{
	dlist_mutable_iter iter;
	int n = 0;

	dlist_foreach_modify(iter, &sessions)
	{
		AmpsfSession *s = dlist_container(AmpsfSession, node, iter.cur);

		if (s->users > 0 || (OidIsValid(serverid) && s->serverid != serverid))
			continue;
		retire(s);
		n++;
	}
	return n;
}

/* Waits for a token other than that of generation bad. */
static void
log_in(AmpsfSession *session, uint64 bad)
{
	AmpsfLoginState state = ampsf_login_step(session, bad, true, NULL);

	while (state != AMPSF_LOGIN_READY)
	{
		if (state == AMPSF_LOGIN_FAILED)
			ampsf_login_throw(session, &session->login_failure);
		ampsf_http_sleep();
		ampsf_http_drive();
		state = ampsf_login_step(session, bad, false, NULL);
	}
}

void
ampsf_session_login(AmpsfSession *session)
{
	log_in(session, 0);
}

void
ampsf_session_lend(AmpsfSession *session, AmpsfLoan *loan)
{
	loan->token[0] = '\0';
	/* One that is given is known to all. */
	if (AMPSF_AUTH_IS_GIVEN(session->kind))
		return;
	ampsf_session_login(session);
	if (strlen(session->token) >= sizeof(loan->token) ||
		strlen(session->instance_url) >= sizeof(loan->instance_url))
		return;
	strcpy(loan->token, session->token);
	strcpy(loan->instance_url, session->instance_url);
}

void
ampsf_session_renew(AmpsfSession *session)
{
	if (AMPSF_AUTH_IS_GIVEN(session->kind))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION),
				 errmsg("Salesforce does not accept the access token, or no longer"),
				 errhint("Store a new one with ALTER USER MAPPING ... OPTIONS (SET access_token "
						 "'...'), or use a login that renews itself, such as client "
						 "credentials.")));
	log_in(session, session->generation);
}

void
ampsf_session_hold(AmpsfSession *session)
{
	session->users++;
}

void
ampsf_session_release(AmpsfSession *session)
{
	session->users--;
}

const AmpsfServerOptions *
ampsf_session_options(AmpsfSession *session)
{
	return session->options;
}

const char *
ampsf_session_version(AmpsfSession *session)
{
	return session->options->api_version;
}

const char *
ampsf_session_login_kind(AmpsfSession *session)
{
	return ampsf_auth_kind_name(session->kind);
}

const char *
ampsf_session_instance_url(AmpsfSession *session)
{
	return session->instance_url;
}

const AmpsfStats *
ampsf_session_stats(AmpsfSession *session)
{
	return &session->stats;
}

void
ampsf_session_count(AmpsfSession *session, const AmpsfStats *stats)
{
	ampsf_stats_add(&session->stats, stats);
}

AmpsfUsage *
ampsf_session_usage(AmpsfSession *session, const char *object, const char *kind)
{
	return ampsf_usage(session->serverid, object, kind);
}

bool
ampsf_session_quota(AmpsfSession *session, int64 *used, int64 *max)
{
	*used = session->quota_used;
	*max = session->quota_max;
	return session->quota_seen;
}

MemoryContext
ampsf_session_context(AmpsfSession *session)
{
	return session->cxt;
}

void **
ampsf_session_slot(AmpsfSession *session, AmpsfSessionSlot slot)
{
	return &session->slots[slot];
}
