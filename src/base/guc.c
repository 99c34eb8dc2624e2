/*
 * guc.c - defines the settings under "ampsf."; see guc.h.
 */
#include "base/guc.h"

#include <limits.h>

#include "utils/guc.h"

bool ampsf_allow_http_loopback = false;
char *ampsf_allowed_hosts = NULL;
bool ampsf_enable_key_lookup = true;
int ampsf_bulk_poll_interval = 50;
int ampsf_statement_call_limit = 0;
int ampsf_max_soql_length = 100000;
int ampsf_max_sync_workers = 4;
bool ampsf_applying = false;
char *ampsf_change_time = NULL;

void
ampsf_guc_init(void)
{
	DefineCustomBoolVariable(
		"ampsf.allow_http_loopback",
		"Allows servers to be reached by plain http on loopback addresses.",
		"For tests against an org on this machine.  Everything else is always https.",
		&ampsf_allow_http_loopback, false, PGC_SUSET, 0, NULL, NULL, NULL);

	DefineCustomStringVariable(
		"ampsf.allowed_hosts", "Host patterns that credentials and tokens may be sent to.",
		"A comma-separated list; * stands for any text.  Loopback addresses are governed by "
		"ampsf.allow_http_loopback, or need an entry here when they are reached by https.",
		&ampsf_allowed_hosts,
		"*.salesforce.com, *.force.com, *.salesforce.mil, *.sfcrmproducts.cn, pi.pardot.com, "
		"pi.demo.pardot.com, *.withampersand.com",
		PGC_SUSET, 0, NULL, NULL, NULL);

	DefineCustomBoolVariable(
		"ampsf.enable_key_lookup", "Enables the planner's use of batched key lookups.",
		"Joins that ask a foreign table by the keys of the other side, some hundreds a call.",
		&ampsf_enable_key_lookup, true, PGC_USERSET, GUC_EXPLAIN, NULL, NULL, NULL);

	DefineCustomIntVariable(
		"ampsf.max_soql_length", "The longest SOQL statement that is sent, in characters.",
		"Lists and field lists that are longer are cut into several statements.",
		&ampsf_max_soql_length, 100000, 30000, 100000, PGC_USERSET, GUC_NOT_IN_SAMPLE, NULL, NULL,
		NULL);

	DefineCustomIntVariable(
		"ampsf.bulk_poll_interval", "Time until a Bulk job is asked for its state the first time.",
		"Each question comes half as much later than the one before, up to ten seconds.",
		&ampsf_bulk_poll_interval, 50, 1, 3600000, PGC_USERSET, GUC_UNIT_MS, NULL, NULL, NULL);

	DefineCustomIntVariable(
		"ampsf.statement_call_limit", "API calls that one statement may make; 0 is any number.",
		"A statement that needs more fails before the call that would be one too many.",
		&ampsf_statement_call_limit, 0, 0, INT_MAX, PGC_USERSET, 0, NULL, NULL, NULL);

	DefineCustomIntVariable(
		"ampsf.max_sync_workers",
		"Background workers that keep mirrors and write back, in each database; 0 is none at all.",
		"One that starts them, and one for each subscription to change events, come on top.",
		&ampsf_max_sync_workers, 4, 0, 32, PGC_SIGHUP, 0, NULL, NULL, NULL);

	DefineCustomBoolVariable(
		"ampsf.applying", "Set while a mirror writes to its table what the org told.",
		"Triggers on the table may look at it, to tell such a row from one that a user changes.",
		&ampsf_applying, false, PGC_USERSET, GUC_NOT_IN_SAMPLE, NULL, NULL, NULL);

	DefineCustomStringVariable("ampsf.change_time",
							   "While a mirror writes to its table: when the org changed the rows, "
							   "in place of their times.",
							   "Empty: by the times of the rows.", &ampsf_change_time, "",
							   PGC_USERSET, GUC_NOT_IN_SAMPLE, NULL, NULL, NULL);

	MarkGUCPrefixReserved("ampsf");
}
