/*
 * rest_limits.c - limits, and limits/recordCount.
 */
#include <stdlib.h>
#include <string.h>

#include "bulk.h"
#include "config.h"
#include "event.h"
#include "rest.h"

/* What an Enterprise org shows; API calls and bulk jobs alone move here. */
static const struct
{
	const char *name;
	long max;
} fixed[] = {
	{"ActiveScratchOrgs", 40},
	{"AnalyticsExternalDataSizeMB", 40960},
	{"ConcurrentAsyncGetReportInstances", 200},
	{"ConcurrentEinsteinDataInsightsStoryCreation", 5},
	{"ConcurrentSyncReportRuns", 20},
	{"DailyAnalyticsDataflowJobExecutions", 60},
	{"DailyAnalyticsUploadedFilesSizeMB", 51200},
	{"DailyAsyncApexExecutions", 250000},
	{"DailyAsyncApexTests", 500},
	{"DailyDurableGenericStreamingApiEvents", 1000000},
	{"DailyDurableStreamingApiEvents", 1000000},
	{"DailyEinsteinDataInsightsStoryCreation", 1000},
	{"DailyFunctionsApiCallLimit", 235000},
	{"DailyGenericStreamingApiEvents", 10000},
	{"DailyScratchOrgs", 80},
	{"DailyStandardVolumePlatformEvents", 10000},
	{"DailyStreamingApiEvents", 1000000},
	{"DailyWorkflowEmails", 100000},
	{"DataStorageMB", 10240},
	{"DurableStreamingApiConcurrentClients", 1000},
	{"FileStorageMB", 10240},
	{"HourlyAsyncReportRuns", 1200},
	{"HourlyDashboardRefreshes", 200},
	{"HourlyDashboardResults", 5000},
	{"HourlyDashboardStatuses", 999999999},
	{"HourlyLongTermIdMapping", 100000},
	{"HourlyManagedContentPublicRequests", 50000},
	{"HourlyODataCallout", 20000},
	{"HourlyPublishedPlatformEvents", 250000},
	{"HourlyPublishedStandardVolumePlatformEvents", 100000},
	{"HourlyShortTermIdMapping", 100000},
	{"HourlySyncReportRuns", 500},
	{"HourlyTimeBasedWorkflow", 1000},
	{"MassEmail", 5000},
	{"MonthlyEinsteinDiscoveryStoryCreation", 500},
	{"Package2VersionCreates", 6},
	{"PermissionSets", 1500},
	{"SingleEmail", 5000},
	{"StreamingApiConcurrentClients", 1000},
};

void
rest_limits(Request *r, Response *w)
{
	int64_t left = api_limit() - api_used();

	(void) r;
	w->status = 200;
	buf_addf(&w->body, "{\"DailyApiRequests\":{\"Max\":%lld,\"Remaining\":%lld}",
			 (long long) api_limit(), (long long) (left > 0 ? left : 0));
	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
		buf_addf(&w->body, ",\"%s\":{\"Max\":%ld,\"Remaining\":%ld}", fixed[i].name, fixed[i].max,
				 fixed[i].max);
	buf_addf(&w->body, ",\"DailyDeliveredPlatformEvents\":{\"Max\":%d,\"Remaining\":%lld}",
			 event_settings.delivered, (long long) event_deliveries_left());
	buf_addf(&w->body, ",\"DailyBulkApiBatches\":{\"Max\":%d,\"Remaining\":%lld}",
			 bulk_settings.batches, (long long) bulk_batches_left());
	buf_addf(&w->body, ",\"DailyBulkV2QueryFileStorageMB\":{\"Max\":%d,\"Remaining\":%lld}",
			 bulk_settings.storage_mb, (long long) bulk_storage_left());
	buf_addf(&w->body, ",\"DailyBulkV2QueryJobs\":{\"Max\":%d,\"Remaining\":%lld}",
			 bulk_settings.query_jobs, (long long) bulk_jobs_left());
	buf_addc(&w->body, '}');
}

static void
add_count(Buf *b, const Object *o, bool first)
{
	int64_t n = store_count(o);

	/* counted now and then only, in a real org */
	if (config.stale_counts)
		n = n * 3 / 4;
	buf_addf(b, "%s{\"count\":%lld,\"name\":\"%s\"}", first ? "" : ",", (long long) n, o->name);
}

void
rest_record_count(Request *r, Response *w)
{
	const char *names = req_param(r, "sObjects");
	bool first = true;

	w->status = 200;
	buf_adds(&w->body, "{\"sObjects\":[");
	if (names == NULL || *names == '\0')
	{
		for (int i = 0; i < schema_count(); i++)
		{
			add_count(&w->body, schema_object(i), first);
			first = false;
		}
	}
	/* A name that is not an object's is left out, as in the real answer. */
	for (const char *p = names; p != NULL && *p;)
	{
		size_t n = strcspn(p, ",");
		size_t lead = strspn(p, " ");
		const Object *o = lead < n ? schema_find(p + lead, n - lead) : NULL;

		if (o != NULL)
		{
			add_count(&w->body, o, first);
			first = false;
		}
		p += n;
		if (*p == ',')
			p++;
	}
	buf_adds(&w->body, "]}");
}
