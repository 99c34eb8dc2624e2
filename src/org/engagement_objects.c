/*
 * engagement_objects.c - see engagement_objects.h.
 *
 * Must not know: columns, plans.
 */
#include "postgres.h"

#include "org/engagement_objects.h"

#include "org/engagement.h"
#include "org/engagement_call.h"
#include "wire/json_doc.h"

#define READ AMPSF_ENGAGEMENT_READ
#define CREATE AMPSF_ENGAGEMENT_CREATE
#define UPDATE AMPSF_ENGAGEMENT_UPDATE
#define DELETE AMPSF_ENGAGEMENT_DELETE

/*
 * External activities can be sent, but have no Id by which they could be read; exports and imports
 * are made by procedures of their own.
 */
const AmpsfEngagementObject ampsf_engagement_objects[] = {
	{"campaigns", READ, true, "updatedAt", NULL, NULL,
	 "id:i cost:n createdAt:t createdById:i folderId:i isDeleted:b name:s parentCampaignId:i "
	 "salesforceId:s updatedAt:t updatedById:i"},
	{"custom-redirects", READ | CREATE | UPDATE | DELETE, true, NULL, "updatedAt", NULL,
	 "id:i bitlyIsPersonalized:b bitlyShortUrl:s campaignId:i* createdAt:t createdById:i "
	 "destinationUrl:s* isDeleted:b name:s* salesforceId:s trackedUrl:s updatedAt:t "
	 "updatedById:i url:s vanityUrl:s"},
	{"dynamic-content-variations", READ | CREATE | UPDATE | DELETE, true, NULL, NULL, NULL,
	 "id:i comparison:s content:s* dynamicContentId:i* operator:e* value1:s* value2:s*"},
	{"dynamic-contents", READ | CREATE, true, "updatedAt", NULL, NULL,
	 "id:i baseContent:s* basedOn:e basedOnProspectApiFieldId:s* createdAt:t createdById:i "
	 "embedCode:s embedUrl:s folderId:i* isDeleted:b name:s* tagReplacementLanguage:e "
	 "trackerDomainId:i* updatedAt:t updatedById:i"},
	{"email-templates", READ | CREATE | UPDATE | DELETE, true, "updatedAt", NULL, NULL,
	 "id:i campaignId:i* createdAt:t createdById:i folderId:i* htmlMessage:s* "
	 "isAutoResponderEmail:b* isDeleted:b isDripEmail:b* isListEmail:b* isOneToOneEmail:b* "
	 "name:s* subject:s* tagReplacementLanguage:e textMessage:s* trackerDomainId:i* type:e* "
	 "updatedAt:t updatedById:i"},
	{"emails", READ, true, "sentAt", NULL, NULL,
	 "id:i campaignId:i* clientType:s createdById:i listEmailId:i listId:i name:s* "
	 "prospectId:i* salesforceCmsId:s sentAt:t type:e"},
	{"engagement-studio-programs", READ, true, NULL, "updatedAt", NULL,
	 "id:i createdAt:t createdById:i description:s isDeleted:b name:s* recipientListIds:a "
	 "salesforceId:s scheduleCreatedById:i status:e suppressionListIds:a updatedAt:t "
	 "updatedById:i"},
	{"exports", READ, false, "updatedAt", NULL, NULL,
	 "id:i arguments:o* createdAt:t createdBy:o createdById:i fields:a* includeByteOrderMark:b* "
	 "isExpired:b legacyDateFormat:b* maxFileSizeBytes:i* name:s* procedure:o* resultRefs:a "
	 "status:s updatedAt:t updatedBy:o updatedById:i"},
	{"external-activities", CREATE, false, "createdAt", NULL, "externalActivity",
	 "email:s* extension:s* type:s* value:s*"},
	{"files", READ | CREATE | UPDATE | DELETE, true, NULL, "updatedAt", NULL,
	 "id:i bitlyIsPersonalized:b bitlyShortUrl:s createdAt:t createdById:i isTracked:b "
	 "salesforceId:s size:i updatedAt:t updatedById:i url:s vanityUrl:s"},
	{"folder-contents", READ, true, NULL, "updatedAt", NULL,
	 "id:i createdAt:t createdById:i folderId:i folderRef:s objectId:i objectName:s objectRef:s "
	 "objectType:e updatedAt:t updatedById:i"},
	{"folders", READ, true, NULL, "updatedAt", NULL,
	 "id:i createdAt:t createdById:i name:s parentFolderId:i path:s updatedAt:t updatedById:i "
	 "usePermissions:b"},
	{"form-fields", READ | CREATE | UPDATE | DELETE, true, "createdAt", NULL, NULL,
	 "id:i createdAt:t createdById:i hasDependents:b hasProgressives:b hasValues:b sortOrder:i "
	 "updatedAt:t updatedById:i"},
	{"form-handler-fields", READ | CREATE | UPDATE | DELETE, true, "createdAt", NULL, NULL,
	 "id:i createdAt:t createdById:i"},
	{"form-handlers", READ | CREATE | UPDATE | DELETE, true, "createdAt", NULL, NULL,
	 "id:i createdAt:t createdById:i embedCode:s isDeleted:b salesforceId:s updatedById:i"},
	{"forms", READ | CREATE | UPDATE | DELETE, true, NULL, "updatedAt", NULL,
	 "id:i campaignId:i* createdAt:t createdById:i embedCode:s isDeleted:b "
	 "isUseRedirectLocation:b layoutTemplateId:i* name:s* salesforceCmsId:s salesforceId:s "
	 "updatedAt:t updatedById:i"},
	{"imports", READ, false, "updatedAt", NULL, NULL,
	 "id:i batchesRef:s createdAt:t createdBy:o createdById:i createdCount:i createOnNoMatch:b* "
	 "errorCount:i errorRef:s fields:o* isExpired:b object:s* operation:s* restoreDeleted:b* "
	 "status:s* updatedAt:t updatedBy:o updatedById:i updatedCount:i"},
	{"landing-pages", READ | CREATE | UPDATE | DELETE, true, "updatedAt", NULL, NULL,
	 "id:i bitlyIsPersonalized:b bitlyShortUrl:s campaignId:i* createdAt:t createdById:i "
	 "isDeleted:b isUseRedirectLocation:b layoutCss:s layoutCssGenerated:s layoutTableBorder:i "
	 "layoutType:e name:s* salesforceCmsId:s salesforceId:s updatedAt:t updatedById:i url:s "
	 "vanityUrl:s"},
	{"layout-templates", READ | CREATE | UPDATE | DELETE, true, NULL, "updatedAt", NULL,
	 "id:i createdAt:t createdById:i isDeleted:b layoutContent:s* name:s* siteSearchContent:s "
	 "updatedAt:t updatedById:i"},
	{"lifecycle-histories", READ, true, "createdAt", NULL, NULL,
	 "id:i createdAt:t nextStageId:i previousStageId:i prospectId:i secondsElapsed:i"},
	{"lifecycle-stages", READ, true, "updatedAt", NULL, NULL,
	 "id:i createdAt:t isDeleted:b isLocked:b matchType:e name:s position:i updatedAt:t"},
	{"list-emails", READ | CREATE | UPDATE | DELETE, true, "updatedAt", NULL, NULL,
	 "id:i campaignId:i* clientType:s createdAt:t createdById:i isDeleted:b isPaused:b isSent:b "
	 "name:s* operationalEmail:b recipientListIds:a* sentAt:t type:e updatedAt:t updatedById:i"},
	{"list-memberships", READ | CREATE | UPDATE | DELETE, true, "updatedAt", NULL, "listMembership",
	 "id:i createdAt:t createdById:i isDeleted:b updatedAt:t updatedById:i"},
	{"lists", READ | CREATE | UPDATE | DELETE, true, "updatedAt", NULL, NULL,
	 "id:i createdAt:t createdById:i isDeleted:b isDynamic:b name:s* updatedAt:t updatedById:i"},
	{"opportunities", READ, true, "updatedAt", NULL, NULL,
	 "id:i campaignId:i closedAt:t createdAt:t createdById:i name:s probability:i "
	 "salesforceId:s stage:s status:s type:s updatedAt:t updatedById:i value:n"},
	{"prospect-accounts", READ, true, NULL, "updatedAt", "prospectAccount",
	 "id:i annualRevenue:s assignedToId:i billingAddressOne:s billingAddressTwo:s billingCity:s "
	 "billingCountry:s billingState:s billingZip:s createdAt:t createdById:i description:s "
	 "employees:s fax:s industry:s isDeleted:b name:s number:s ownership:s phone:s rating:s "
	 "salesforceId:s shippingAddressOne:s shippingAddressTwo:s shippingCity:s shippingCountry:s "
	 "shippingState:s shippingZip:s sic:s site:s tickerSymbol:s type:s updatedAt:t "
	 "updatedById:i website:s"},
	{"prospects", READ | CREATE | UPDATE | DELETE, true, "updatedAt", NULL, "prospect",
	 "id:i assignedToId:i campaignParameter:s contentParameter:s convertedAt:t "
	 "convertedFromObjectName:s convertedFromObjectType:s createdAt:t createdById:i doNotSell:b "
	 "email:s* emailBouncedAt:t emailBouncedReason:s firstActivityAt:t firstAssignedAt:t "
	 "firstReferrerQuery:s firstReferrerType:s firstReferrerUrl:s grade:s isDeleted:b "
	 "isEmailHardBounced:b lastActivityAt:t lifecycleStageId:i mediumParameter:s password:s "
	 "recentInteraction:s salesforceAccountId:s salesforceCampaignId:s salesforceContactId:s "
	 "salesforceLastSync:t salesforceLeadId:s salesforceUrl:s sourceParameter:s termParameter:s "
	 "updatedAt:t updatedById:i"},
	{"tagged-objects", READ, true, "createdAt", NULL, NULL,
	 "id:i createdAt:t createdById:i objectId:i objectName:s objectType:e tagId:i"},
	{"tags", READ | CREATE | UPDATE | DELETE, true, "updatedAt", NULL, NULL,
	 "id:i createdAt:t createdById:i name:s* objectCount:i updatedAt:t updatedById:i"},
	{"tracker-domains", READ, true, NULL, "updatedAt", NULL,
	 "id:i createdAt:t createdById:i defaultCampaignId:i domain:s httpsStatus:s isDeleted:b "
	 "isPrimary:b sslRequestedById:i sslStatus:s sslStatusDetails:s trackingCode:s updatedAt:t "
	 "updatedById:i validatedAt:t validationStatus:s vanityUrlStatus:s"},
	{"users", READ | CREATE | UPDATE | DELETE, true, "updatedAt", NULL, NULL,
	 "id:i createdAt:t createdById:i email:s firstName:s isDeleted:b jobTitle:s role:s "
	 "roleName:s salesforceId:s tagReplacementLanguage:e updatedAt:t updatedById:i username:s"},
	{"visitor-activities", READ, true, "updatedAt", NULL, "visitorActivity",
	 "id:i campaignId:i createdAt:t customRedirectId:i details:s emailId:i emailTemplateId:i "
	 "fileId:i formHandlerId:i formId:i landingPageId:i listEmailId:i "
	 "multivariateTestVariationId:i opportunityId:i paidSearchAdId:i prospectId:i "
	 "siteSearchQueryId:i type:i typeName:s updatedAt:t visitId:i visitorId:i "
	 "visitorPageViewId:i"},
	{"visitor-page-views", READ, true, "createdAt", NULL, NULL,
	 "id:i campaignId:i createdAt:t durationInSeconds:i salesforceId:s title:s url:s visitId:i "
	 "visitorId:i"},
	{"visitors", READ, true, NULL, "updatedAt", "visitor",
	 "id:i campaignParameter:s contentParameter:s createdAt:t doNotSell:b hostname:s "
	 "ipAddress:s isIdentified:b mediumParameter:s pageViewCount:i sourceParameter:s "
	 "termParameter:s updatedAt:t"},
	{"visits", READ, true, "updatedAt", NULL, NULL,
	 "id:i campaignParameter:s contentParameter:s createdAt:t durationInSeconds:i "
	 "firstVisitorPageViewAt:t lastVisitorPageViewAt:t mediumParameter:s prospectId:i "
	 "sourceParameter:s termParameter:s updatedAt:t visitorId:i visitorPageViewCount:i"},
	{NULL, 0, false, NULL, NULL, NULL, NULL}};

/* Without case, and _ as -. */
static bool
same_name(const char *a, const char *b)
{
	for (; *a && *b; a++, b++)
	{
		char x = *a == '_' ? '-' : pg_ascii_tolower((unsigned char) *a);
		char y = *b == '_' ? '-' : pg_ascii_tolower((unsigned char) *b);

		if (x != y)
			return false;
	}
	return *a == *b;
}

const AmpsfEngagementObject *
ampsf_engagement_object(const char *name)
{
	for (const AmpsfEngagementObject *o = ampsf_engagement_objects; o->name; o++)
		if (same_name(o->name, name))
			return o;
	return NULL;
}

char *
ampsf_engagement_path(const AmpsfEngagementObject *object)
{
	return psprintf("/api/v5/%s%s", object->documented ? "objects/" : "", object->name);
}

List *
ampsf_engagement_fields(const AmpsfEngagementObject *object)
{
	List *fields = NIL;

	for (const char *p = object->fields; *p;)
	{
		size_t n = strcspn(p, ":");
		AmpsfEngagementField *field = palloc(sizeof(AmpsfEngagementField));

		field->name = pnstrdup(p, n);
		field->type = p[n + 1];
		field->editable = p[n + 2] == '*';
		fields = lappend(fields, field);
		p += strcspn(p, " ");
		p += strspn(p, " ");
	}
	return fields;
}

char *
ampsf_engagement_spelling(const AmpsfEngagementObject *object, const char *name)
{
	ListCell *lc;

	foreach (lc, ampsf_engagement_fields(object))
	{
		AmpsfEngagementField *field = lfirst(lc);

		if (pg_strcasecmp(field->name, name) == 0)
			return field->name;
	}
	return pstrdup(name);
}

/* What a query can give of a custom field; 0: it cannot be asked for in one. */
static char
custom_type(const char *type)
{
	if (pg_strcasecmp(type, "Multi-Select") == 0 || pg_strcasecmp(type, "Checkbox") == 0)
		return 0;
	if (pg_strcasecmp(type, "Number") == 0)
		return 'n';
	if (pg_strcasecmp(type, "Date") == 0)
		return 'd';
	return 's';
}

List *
ampsf_engagement_custom_fields(AmpsfSession *session)
{
	List *fields = NIL;
	char *token = NULL;

	do
	{
		AmpsfJson *doc = ampsf_engagement_json(
			session,
			token
				? psprintf("/api/v5/objects/custom-fields?fields=id,fieldId,type&nextPageToken=%s",
						   token)
				: "/api/v5/objects/custom-fields?fields=id,fieldId,type&limit=1000&orderBy=id",
			"list the custom fields of prospects", NULL, CurrentMemoryContext);
		AmpsfJson *list = ampsf_json_get(doc, "values");
		int n = list ? ampsf_json_array_length(list) : 0;
		const char *next = ampsf_json_string(doc, "nextPageToken");

		for (int i = 0; i < n; i++)
		{
			AmpsfJson *item = ampsf_json_array_get(list, i);
			const char *id = ampsf_json_string(item, "fieldId");
			const char *type = ampsf_json_string(item, "type");
			char t = type ? custom_type(type) : 's';
			AmpsfEngagementField *field;

			if (!id || t == 0)
				continue;
			field = palloc(sizeof(AmpsfEngagementField));
			field->name = psprintf("%s__c", id);
			field->type = t;
			field->editable = true;
			fields = lappend(fields, field);
		}
		token = next ? pstrdup(next) : NULL;
	} while (token);
	return fields;
}

void
ampsf_engagement_quota(AmpsfSession *session, int64 *used, int64 *max)
{
	AmpsfJson *doc = ampsf_engagement_json(
		session, "/api/v5/objects/account?fields=maximumDailyApiCalls,apiCallsUsed",
		"read the limits of the business unit", NULL, CurrentMemoryContext);

	*used = ampsf_json_int(doc, "apiCallsUsed", -1);
	*max = ampsf_json_int(doc, "maximumDailyApiCalls", -1);
}
