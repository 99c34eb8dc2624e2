/*
 * ae_objects.c - the objects of Account Engagement and their fields; see ae.h.
 *
 * As the documents list them, with some that documents and payloads use but the lists lack
 * (prospects' firstName ...).
 */
#include <stdlib.h>
#include <string.h>

#include "ae.h"

#define FIELDS(list) list, (int) (sizeof(list) / sizeof(list[0]))

static AeField custom_fields[] = {
	{"id", 'i', false, NULL, 0},		{"createdAt", 't', false, NULL, 0},
	{"fieldId", 's', true, NULL, 0},	{"isRequired", 'b', true, NULL, 0},
	{"name", 's', true, NULL, 0},		{"type", 's', true, NULL, 0},
	{"updatedAt", 't', false, NULL, 0},
};

static AeField campaigns[] = {
	{"id", 'i', false, NULL, 0},		   {"cost", 'n', false, NULL, 0},
	{"createdAt", 't', false, NULL, 0},	   {"createdById", 'i', false, NULL, 0},
	{"folderId", 'i', false, NULL, 0},	   {"isDeleted", 'b', false, NULL, 0},
	{"name", 's', false, NULL, 0},		   {"parentCampaignId", 'i', false, NULL, 0},
	{"salesforceId", 's', false, NULL, 0}, {"updatedAt", 't', false, NULL, 0},
	{"updatedById", 'i', false, NULL, 0},
};

static AeField custom_redirects[] = {
	{"id", 'i', false, NULL, 0},
	{"bitlyIsPersonalized", 'b', false, NULL, 0},
	{"bitlyShortUrl", 's', false, NULL, 0},
	{"campaignId", 'i', true, NULL, 0},
	{"createdAt", 't', false, NULL, 0},
	{"createdById", 'i', false, NULL, 0},
	{"destinationUrl", 's', true, NULL, 0},
	{"isDeleted", 'b', false, NULL, 0},
	{"name", 's', true, NULL, 0},
	{"salesforceId", 's', false, NULL, 0},
	{"trackedUrl", 's', false, NULL, 0},
	{"updatedAt", 't', false, NULL, 0},
	{"updatedById", 'i', false, NULL, 0},
	{"url", 's', false, NULL, 0},
	{"vanityUrl", 's', false, NULL, 0},
};

static AeField dynamic_content_variations[] = {
	{"id", 'i', false, NULL, 0},
	{"comparison", 's', false, NULL, 0},
	{"content", 's', true, NULL, 0},
	{"dynamicContentId", 'i', true, NULL, 0},
	{"operator", 'e', true,
	 "is|contains|between|less-than|less-than-or-equal|greater-than|greater-than-or-equal", 0},
	{"value1", 's', true, NULL, 0},
	{"value2", 's', true, NULL, 0},
};

static AeField dynamic_contents[] = {
	{"id", 'i', false, NULL, 0},
	{"baseContent", 's', true, NULL, 0},
	{"basedOn", 'e', false, "default|custom|grade|score", 0},
	{"basedOnProspectApiFieldId", 's', true, NULL, 0},
	{"createdAt", 't', false, NULL, 0},
	{"createdById", 'i', false, NULL, 0},
	{"embedCode", 's', false, NULL, 0},
	{"embedUrl", 's', false, NULL, 0},
	{"folderId", 'i', true, NULL, 0},
	{"isDeleted", 'b', false, NULL, 0},
	{"name", 's', true, NULL, 0},
	{"tagReplacementLanguage", 'e', false, "pml|hml|undetermined", 0},
	{"trackerDomainId", 'i', true, NULL, 0},
	{"updatedAt", 't', false, NULL, 0},
	{"updatedById", 'i', false, NULL, 0},
};

static AeField email_templates[] = {
	{"id", 'i', false, NULL, 0},
	{"campaignId", 'i', true, NULL, 0},
	{"createdAt", 't', false, NULL, 0},
	{"createdById", 'i', false, NULL, 0},
	{"folderId", 'i', true, NULL, 0},
	{"htmlMessage", 's', true, NULL, 0},
	{"isAutoResponderEmail", 'b', true, NULL, 0},
	{"isDeleted", 'b', false, NULL, 0},
	{"isDripEmail", 'b', true, NULL, 0},
	{"isListEmail", 'b', true, NULL, 0},
	{"isOneToOneEmail", 'b', true, NULL, 0},
	{"name", 's', true, NULL, 0},
	{"subject", 's', true, NULL, 0},
	{"tagReplacementLanguage", 'e', false, "pml|hml|undetermined", 0},
	{"textMessage", 's', true, NULL, 0},
	{"trackerDomainId", 'i', true, NULL, 0},
	{"type", 'e', true, "html|text|htmlAndText", 0},
	{"updatedAt", 't', false, NULL, 0},
	{"updatedById", 'i', false, NULL, 0},
};

static AeField emails[] = {
	{"id", 'i', false, NULL, 0},
	{"campaignId", 'i', true, NULL, 0},
	{"clientType", 's', false, NULL, 0},
	{"createdById", 'i', false, NULL, 0},
	{"listEmailId", 'i', false, NULL, 0},
	{"listId", 'i', false, NULL, 0},
	{"name", 's', true, NULL, 0},
	{"prospectId", 'i', true, NULL, 0},
	{"salesforceCmsId", 's', false, NULL, 0},
	{"sentAt", 't', false, NULL, 0},
	{"subject", 's', true, NULL, 0},
	{"type", 'e', false, "html|text|htmlAndText", 0},
};

static AeField engagement_studio_programs[] = {
	{"id", 'i', false, NULL, 0},
	{"createdAt", 't', false, NULL, 0},
	{"createdById", 'i', false, NULL, 0},
	{"description", 's', false, NULL, 0},
	{"isDeleted", 'b', false, NULL, 0},
	{"name", 's', true, NULL, 0},
	{"recipientListIds", 'a', false, NULL, 0},
	{"salesforceId", 's', false, NULL, 0},
	{"scheduleCreatedById", 'i', false, NULL, 0},
	{"status", 'e', false, "draft|running|paused|starting|scheduled", 0},
	{"suppressionListIds", 'a', false, NULL, 0},
	{"updatedAt", 't', false, NULL, 0},
	{"updatedById", 'i', false, NULL, 0},
};

static AeField exports[] = {
	{"id", 'i', false, NULL, 0},
	{"arguments", 'o', true, NULL, 0},
	{"createdAt", 't', false, NULL, 0},
	{"createdBy", 'o', false, NULL, 0},
	{"createdById", 'i', false, NULL, 0},
	{"fields", 'a', true, NULL, 0},
	{"includeByteOrderMark", 'b', true, NULL, 0},
	{"isExpired", 'b', false, NULL, 0},
	{"legacyDateFormat", 'b', true, NULL, 0},
	{"maxFileSizeBytes", 'i', true, NULL, 0},
	{"name", 's', true, NULL, 0},
	{"procedure", 'o', true, NULL, 0},
	{"resultRefs", 'a', false, NULL, 0},
	{"status", 's', false, NULL, 0},
	{"updatedAt", 't', false, NULL, 0},
	{"updatedBy", 'o', false, NULL, 0},
	{"updatedById", 'i', false, NULL, 0},
};

static AeField external_activities[] = {
	{"id", 'i', false, NULL, 0},   {"createdAt", 't', false, NULL, 0},
	{"email", 's', true, NULL, 0}, {"extension", 's', true, NULL, 0},
	{"type", 's', true, NULL, 0},  {"value", 's', true, NULL, 0},
};

static AeField files[] = {
	{"id", 'i', false, NULL, 0},
	{"bitlyIsPersonalized", 'b', false, NULL, 0},
	{"bitlyShortUrl", 's', false, NULL, 0},
	{"campaignId", 'i', true, NULL, 0},
	{"createdAt", 't', false, NULL, 0},
	{"createdById", 'i', false, NULL, 0},
	{"isTracked", 'b', false, NULL, 0},
	{"name", 's', true, NULL, 0},
	{"salesforceId", 's', false, NULL, 0},
	{"size", 'i', false, NULL, 0},
	{"updatedAt", 't', false, NULL, 0},
	{"updatedById", 'i', false, NULL, 0},
	{"url", 's', false, NULL, 0},
	{"vanityUrl", 's', false, NULL, 0},
};

static AeField folder_contents[] = {
	{"id", 'i', false, NULL, 0},
	{"createdAt", 't', false, NULL, 0},
	{"createdById", 'i', false, NULL, 0},
	{"folderId", 'i', false, NULL, 0},
	{"folderRef", 's', false, NULL, 0},
	{"objectId", 'i', false, NULL, 0},
	{"objectName", 's', false, NULL, 0},
	{"objectRef", 's', false, NULL, 0},
	{"objectType", 'e', false, "objectId", 0},
	{"updatedAt", 't', false, NULL, 0},
	{"updatedById", 'i', false, NULL, 0},
};

static AeField folders[] = {
	{"id", 'i', false, NULL, 0},
	{"createdAt", 't', false, NULL, 0},
	{"createdById", 'i', false, NULL, 0},
	{"name", 's', false, NULL, 0},
	{"parentFolderId", 'i', false, NULL, 0},
	{"path", 's', false, NULL, 0},
	{"updatedAt", 't', false, NULL, 0},
	{"updatedById", 'i', false, NULL, 0},
	{"usePermissions", 'b', false, NULL, 0},
};

static AeField form_fields[] = {
	{"id", 'i', false, NULL, 0},
	{"createdAt", 't', false, NULL, 0},
	{"createdById", 'i', false, NULL, 0},
	{"formId", 'i', true, NULL, 0},
	{"hasDependents", 'b', false, NULL, 0},
	{"hasProgressives", 'b', false, NULL, 0},
	{"hasValues", 'b', false, NULL, 0},
	{"label", 's', true, NULL, 0},
	{"sortOrder", 'i', false, NULL, 0},
	{"updatedAt", 't', false, NULL, 0},
	{"updatedById", 'i', false, NULL, 0},
};

static AeField form_handler_fields[] = {
	{"id", 'i', false, NULL, 0},		  {"createdAt", 't', false, NULL, 0},
	{"createdById", 'i', false, NULL, 0}, {"formHandlerId", 'i', true, NULL, 0},
	{"name", 's', true, NULL, 0},
};

static AeField form_handlers[] = {
	{"id", 'i', false, NULL, 0},		  {"campaignId", 'i', true, NULL, 0},
	{"createdAt", 't', false, NULL, 0},	  {"createdById", 'i', false, NULL, 0},
	{"embedCode", 's', false, NULL, 0},	  {"isDeleted", 'b', false, NULL, 0},
	{"name", 's', true, NULL, 0},		  {"salesforceId", 's', false, NULL, 0},
	{"updatedById", 'i', false, NULL, 0},
};

static AeField forms[] = {
	{"id", 'i', false, NULL, 0},
	{"campaignId", 'i', true, NULL, 0},
	{"createdAt", 't', false, NULL, 0},
	{"createdById", 'i', false, NULL, 0},
	{"embedCode", 's', false, NULL, 0},
	{"isDeleted", 'b', false, NULL, 0},
	{"isUseRedirectLocation", 'b', false, NULL, 0},
	{"layoutTemplateId", 'i', true, NULL, 0},
	{"name", 's', true, NULL, 0},
	{"salesforceCmsId", 's', false, NULL, 0},
	{"salesforceId", 's', false, NULL, 0},
	{"updatedAt", 't', false, NULL, 0},
	{"updatedById", 'i', false, NULL, 0},
};

static AeField imports[] = {
	{"id", 'i', false, NULL, 0},
	{"batchesRef", 's', false, NULL, 0},
	{"createdAt", 't', false, NULL, 0},
	{"createdBy", 'o', false, NULL, 0},
	{"createdById", 'i', false, NULL, 0},
	{"createdCount", 'i', false, NULL, 0},
	{"createOnNoMatch", 'b', true, NULL, 0},
	{"errorCount", 'i', false, NULL, 0},
	{"errorRef", 's', false, NULL, 0},
	{"fields", 'o', true, NULL, 0},
	{"isExpired", 'b', false, NULL, 0},
	{"object", 's', true, NULL, 0},
	{"operation", 's', true, NULL, 0},
	{"restoreDeleted", 'b', true, NULL, 0},
	{"status", 's', true, NULL, 0},
	{"updatedAt", 't', false, NULL, 0},
	{"updatedBy", 'o', false, NULL, 0},
	{"updatedById", 'i', false, NULL, 0},
	{"updatedCount", 'i', false, NULL, 0},
};

static AeField landing_pages[] = {
	{"id", 'i', false, NULL, 0},
	{"bitlyIsPersonalized", 'b', false, NULL, 0},
	{"bitlyShortUrl", 's', false, NULL, 0},
	{"campaignId", 'i', true, NULL, 0},
	{"createdAt", 't', false, NULL, 0},
	{"createdById", 'i', false, NULL, 0},
	{"isDeleted", 'b', false, NULL, 0},
	{"isUseRedirectLocation", 'b', false, NULL, 0},
	{"layoutCss", 's', false, NULL, 0},
	{"layoutCssGenerated", 's', false, NULL, 0},
	{"layoutTableBorder", 'i', false, NULL, 0},
	{"layoutType", 'e', false,
	 "Layout Template|Landing Page Builder|Legacy Page Builder|Salesforce Builder", 0},
	{"name", 's', true, NULL, 0},
	{"salesforceCmsId", 's', false, NULL, 0},
	{"salesforceId", 's', false, NULL, 0},
	{"updatedAt", 't', false, NULL, 0},
	{"updatedById", 'i', false, NULL, 0},
	{"url", 's', false, NULL, 0},
	{"vanityUrl", 's', false, NULL, 0},
};

static AeField layout_templates[] = {
	{"id", 'i', false, NULL, 0},
	{"createdAt", 't', false, NULL, 0},
	{"createdById", 'i', false, NULL, 0},
	{"isDeleted", 'b', false, NULL, 0},
	{"layoutContent", 's', true, NULL, 0},
	{"name", 's', true, NULL, 0},
	{"siteSearchContent", 's', false, NULL, 0},
	{"updatedAt", 't', false, NULL, 0},
	{"updatedById", 'i', false, NULL, 0},
};

static AeField lifecycle_histories[] = {
	{"id", 'i', false, NULL, 0},		  {"createdAt", 't', false, NULL, 0},
	{"nextStageId", 'i', false, NULL, 0}, {"previousStageId", 'i', false, NULL, 0},
	{"prospectId", 'i', false, NULL, 0},  {"secondsElapsed", 'i', false, NULL, 0},
};

static AeField lifecycle_stages[] = {
	{"id", 'i', false, NULL, 0},
	{"createdAt", 't', false, NULL, 0},
	{"isDeleted", 'b', false, NULL, 0},
	{"isLocked", 'b', false, NULL, 0},
	{"matchType", 'e', false, "all|any", 0},
	{"name", 's', false, NULL, 0},
	{"position", 'i', false, NULL, 0},
	{"updatedAt", 't', false, NULL, 0},
};

static AeField list_emails[] = {
	{"id", 'i', false, NULL, 0},
	{"campaignId", 'i', true, NULL, 0},
	{"clientType", 's', false, NULL, 0},
	{"createdAt", 't', false, NULL, 0},
	{"createdById", 'i', false, NULL, 0},
	{"isDeleted", 'b', false, NULL, 0},
	{"isPaused", 'b', false, NULL, 0},
	{"isSent", 'b', false, NULL, 0},
	{"name", 's', true, NULL, 0},
	{"operationalEmail", 'b', false, NULL, 0},
	{"recipientListIds", 'a', true, NULL, 0},
	{"sentAt", 't', false, NULL, 0},
	{"type", 'e', false, "html|text|htmlAndText", 0},
	{"updatedAt", 't', false, NULL, 0},
	{"updatedById", 'i', false, NULL, 0},
};

static AeField list_memberships[] = {
	{"id", 'i', false, NULL, 0},		  {"createdAt", 't', false, NULL, 0},
	{"createdById", 'i', false, NULL, 0}, {"isDeleted", 'b', false, NULL, 0},
	{"listId", 'i', true, NULL, 0},		  {"optedOut", 'b', true, NULL, 0},
	{"prospectId", 'i', true, NULL, 0},	  {"updatedAt", 't', false, NULL, 0},
	{"updatedById", 'i', false, NULL, 0},
};

static AeField lists[] = {
	{"id", 'i', false, NULL, 0},		  {"createdAt", 't', false, NULL, 0},
	{"createdById", 'i', false, NULL, 0}, {"description", 's', true, NULL, 0},
	{"folderId", 'i', true, NULL, 0},	  {"isDeleted", 'b', false, NULL, 0},
	{"isDynamic", 'b', false, NULL, 0},	  {"isPublic", 'b', true, NULL, 0},
	{"name", 's', true, NULL, 0},		  {"title", 's', true, NULL, 0},
	{"updatedAt", 't', false, NULL, 0},	  {"updatedById", 'i', false, NULL, 0},
};

static AeField opportunities[] = {
	{"id", 'i', false, NULL, 0},		  {"campaignId", 'i', false, NULL, 0},
	{"closedAt", 't', false, NULL, 0},	  {"createdAt", 't', false, NULL, 0},
	{"createdById", 'i', false, NULL, 0}, {"name", 's', false, NULL, 0},
	{"probability", 'i', false, NULL, 0}, {"salesforceId", 's', false, NULL, 0},
	{"stage", 's', false, NULL, 0},		  {"status", 's', false, NULL, 0},
	{"type", 's', false, NULL, 0},		  {"updatedAt", 't', false, NULL, 0},
	{"updatedById", 'i', false, NULL, 0}, {"value", 'n', false, NULL, 0},
};

static AeField prospect_accounts[] = {
	{"id", 'i', false, NULL, 0},
	{"annualRevenue", 's', false, NULL, 0},
	{"assignedToId", 'i', false, NULL, 0},
	{"billingAddressOne", 's', false, NULL, 0},
	{"billingAddressTwo", 's', false, NULL, 0},
	{"billingCity", 's', false, NULL, 0},
	{"billingCountry", 's', false, NULL, 0},
	{"billingState", 's', false, NULL, 0},
	{"billingZip", 's', false, NULL, 0},
	{"createdAt", 't', false, NULL, 0},
	{"createdById", 'i', false, NULL, 0},
	{"description", 's', false, NULL, 0},
	{"employees", 's', false, NULL, 0},
	{"fax", 's', false, NULL, 0},
	{"industry", 's', false, NULL, 0},
	{"isDeleted", 'b', false, NULL, 0},
	{"name", 's', false, NULL, 0},
	{"number", 's', false, NULL, 0},
	{"ownership", 's', false, NULL, 0},
	{"phone", 's', false, NULL, 0},
	{"rating", 's', false, NULL, 0},
	{"salesforceId", 's', false, NULL, 0},
	{"shippingAddressOne", 's', false, NULL, 0},
	{"shippingAddressTwo", 's', false, NULL, 0},
	{"shippingCity", 's', false, NULL, 0},
	{"shippingCountry", 's', false, NULL, 0},
	{"shippingState", 's', false, NULL, 0},
	{"shippingZip", 's', false, NULL, 0},
	{"sic", 's', false, NULL, 0},
	{"site", 's', false, NULL, 0},
	{"tickerSymbol", 's', false, NULL, 0},
	{"type", 's', false, NULL, 0},
	{"updatedAt", 't', false, NULL, 0},
	{"updatedById", 'i', false, NULL, 0},
	{"website", 's', false, NULL, 0},
};

static AeField prospects[] = {
	{"id", 'i', false, NULL, 0},
	{"assignedToId", 'i', false, NULL, 0},
	{"campaignId", 'i', true, NULL, 0},
	{"campaignParameter", 's', false, NULL, 0},
	{"company", 's', true, NULL, 0},
	{"contentParameter", 's', false, NULL, 0},
	{"convertedAt", 't', false, NULL, 0},
	{"convertedFromObjectName", 's', false, NULL, 0},
	{"convertedFromObjectType", 's', false, NULL, 0},
	{"country", 's', true, NULL, 0},
	{"createdAt", 't', false, NULL, 0},
	{"createdById", 'i', false, NULL, 0},
	{"doNotSell", 'b', false, NULL, 0},
	{"email", 's', true, NULL, 0},
	{"emailBouncedAt", 't', false, NULL, 0},
	{"emailBouncedReason", 's', false, NULL, 0},
	{"firstActivityAt", 't', false, NULL, 0},
	{"firstAssignedAt", 't', false, NULL, 0},
	{"firstName", 's', true, NULL, 0},
	{"firstReferrerQuery", 's', false, NULL, 0},
	{"firstReferrerType", 's', false, NULL, 0},
	{"firstReferrerUrl", 's', false, NULL, 0},
	{"grade", 's', false, NULL, 0},
	{"isDeleted", 'b', false, NULL, 0},
	{"isDoNotCall", 'b', true, NULL, 0},
	{"isDoNotEmail", 'b', true, NULL, 0},
	{"isEmailHardBounced", 'b', false, NULL, 0},
	{"jobTitle", 's', true, NULL, 0},
	{"lastActivityAt", 't', false, NULL, 0},
	{"lastName", 's', true, NULL, 0},
	{"lifecycleStageId", 'i', false, NULL, 0},
	{"mediumParameter", 's', false, NULL, 0},
	{"optedOut", 'b', true, NULL, 0},
	{"password", 's', false, NULL, 0},
	{"phone", 's', true, NULL, 0},
	{"recentInteraction", 's', false, NULL, 0},
	{"salesforceAccountId", 's', false, NULL, 0},
	{"salesforceCampaignId", 's', false, NULL, 0},
	{"salesforceContactId", 's', false, NULL, 0},
	{"salesforceLastSync", 't', false, NULL, 0},
	{"salesforceLeadId", 's', false, NULL, 0},
	{"salesforceUrl", 's', false, NULL, 0},
	{"score", 'i', true, NULL, 0},
	{"sourceParameter", 's', false, NULL, 0},
	{"termParameter", 's', false, NULL, 0},
	{"updatedAt", 't', false, NULL, 0},
	{"updatedById", 'i', false, NULL, 0},
	/* what the business unit has made itself */
	{"favorite_color__c", 's', true, NULL, 0},
	{"seats__c", 'n', true, NULL, 0},
	{"renewal__c", 's', true, NULL, 'd'},
	{"interests__c", 's', true, NULL, 'm'},
	{"newsletter__c", 's', true, NULL, 'c'},
};

static AeField tagged_objects[] = {
	{"id", 'i', false, NULL, 0},
	{"createdAt", 't', false, NULL, 0},
	{"createdById", 'i', false, NULL, 0},
	{"objectId", 'i', false, NULL, 0},
	{"objectName", 's', false, NULL, 0},
	{"objectType", 'e', false,
	 "campaign|custom-field|custom-redirect|dynamic-content|email|email-template|file|form-field|"
	 "form-handler|form|landing-page|layout-template|list|prospect|user",
	 0},
	{"tagId", 'i', false, NULL, 0},
};

static AeField tags[] = {
	{"id", 'i', false, NULL, 0},		  {"createdAt", 't', false, NULL, 0},
	{"createdById", 'i', false, NULL, 0}, {"name", 's', true, NULL, 0},
	{"objectCount", 'i', false, NULL, 0}, {"updatedAt", 't', false, NULL, 0},
	{"updatedById", 'i', false, NULL, 0},
};

static AeField tracker_domains[] = {
	{"id", 'i', false, NULL, 0},
	{"createdAt", 't', false, NULL, 0},
	{"createdById", 'i', false, NULL, 0},
	{"defaultCampaignId", 'i', false, NULL, 0},
	{"domain", 's', false, NULL, 0},
	{"httpsStatus", 's', false, NULL, 0},
	{"isDeleted", 'b', false, NULL, 0},
	{"isPrimary", 'b', false, NULL, 0},
	{"sslRequestedById", 'i', false, NULL, 0},
	{"sslStatus", 's', false, NULL, 0},
	{"sslStatusDetails", 's', false, NULL, 0},
	{"trackingCode", 's', false, NULL, 0},
	{"updatedAt", 't', false, NULL, 0},
	{"updatedById", 'i', false, NULL, 0},
	{"validatedAt", 't', false, NULL, 0},
	{"validationStatus", 's', false, NULL, 0},
	{"vanityUrlStatus", 's', false, NULL, 0},
};

static AeField users[] = {
	{"id", 'i', false, NULL, 0},
	{"createdAt", 't', false, NULL, 0},
	{"createdById", 'i', false, NULL, 0},
	{"email", 's', false, NULL, 0},
	{"firstName", 's', false, NULL, 0},
	{"isDeleted", 'b', false, NULL, 0},
	{"jobTitle", 's', false, NULL, 0},
	{"role", 's', false, NULL, 0},
	{"roleName", 's', false, NULL, 0},
	{"salesforceId", 's', false, NULL, 0},
	{"tagReplacementLanguage", 'e', false, "pml|hml|undetermined", 0},
	{"updatedAt", 't', false, NULL, 0},
	{"updatedById", 'i', false, NULL, 0},
	{"username", 's', false, NULL, 0},
};

static AeField visitor_activities[] = {
	{"id", 'i', false, NULL, 0},
	{"campaignId", 'i', false, NULL, 0},
	{"createdAt", 't', false, NULL, 0},
	{"customRedirectId", 'i', false, NULL, 0},
	{"details", 's', false, NULL, 0},
	{"emailId", 'i', false, NULL, 0},
	{"emailTemplateId", 'i', false, NULL, 0},
	{"fileId", 'i', false, NULL, 0},
	{"formHandlerId", 'i', false, NULL, 0},
	{"formId", 'i', false, NULL, 0},
	{"landingPageId", 'i', false, NULL, 0},
	{"listEmailId", 'i', false, NULL, 0},
	{"multivariateTestVariationId", 'i', false, NULL, 0},
	{"opportunityId", 'i', false, NULL, 0},
	{"paidSearchAdId", 'i', false, NULL, 0},
	{"prospectId", 'i', false, NULL, 0},
	{"siteSearchQueryId", 'i', false, NULL, 0},
	{"type", 'i', false, NULL, 0},
	{"typeName", 's', false, NULL, 0},
	{"updatedAt", 't', false, NULL, 0},
	{"visitId", 'i', false, NULL, 0},
	{"visitorId", 'i', false, NULL, 0},
	{"visitorPageViewId", 'i', false, NULL, 0},
};

static AeField visitor_page_views[] = {
	{"id", 'i', false, NULL, 0},		   {"campaignId", 'i', false, NULL, 0},
	{"createdAt", 't', false, NULL, 0},	   {"durationInSeconds", 'i', false, NULL, 0},
	{"salesforceId", 's', false, NULL, 0}, {"title", 's', false, NULL, 0},
	{"url", 's', false, NULL, 0},		   {"visitId", 'i', false, NULL, 0},
	{"visitorId", 'i', false, NULL, 0},
};

static AeField visitors[] = {
	{"id", 'i', false, NULL, 0},
	{"campaignParameter", 's', false, NULL, 0},
	{"contentParameter", 's', false, NULL, 0},
	{"createdAt", 't', false, NULL, 0},
	{"doNotSell", 'b', false, NULL, 0},
	{"hostname", 's', false, NULL, 0},
	{"ipAddress", 's', false, NULL, 0},
	{"isIdentified", 'b', false, NULL, 0},
	{"mediumParameter", 's', false, NULL, 0},
	{"pageViewCount", 'i', false, NULL, 0},
	{"sourceParameter", 's', false, NULL, 0},
	{"termParameter", 's', false, NULL, 0},
	{"updatedAt", 't', false, NULL, 0},
};

static AeField visits[] = {
	{"id", 'i', false, NULL, 0},
	{"campaignParameter", 's', false, NULL, 0},
	{"contentParameter", 's', false, NULL, 0},
	{"createdAt", 't', false, NULL, 0},
	{"durationInSeconds", 'i', false, NULL, 0},
	{"firstVisitorPageViewAt", 't', false, NULL, 0},
	{"lastVisitorPageViewAt", 't', false, NULL, 0},
	{"mediumParameter", 's', false, NULL, 0},
	{"prospectId", 'i', false, NULL, 0},
	{"sourceParameter", 's', false, NULL, 0},
	{"termParameter", 's', false, NULL, 0},
	{"updatedAt", 't', false, NULL, 0},
	{"visitorId", 'i', false, NULL, 0},
	{"visitorPageViewCount", 'i', false, NULL, 0},
};

AeObject ae_objects[] = {
	{"campaigns", "/api/v5/objects/campaigns", "updatedAt", AE_READ, FIELDS(campaigns)},
	{"custom-redirects", "/api/v5/objects/custom-redirects", NULL,
	 AE_READ | AE_CREATE | AE_UPDATE | AE_DELETE, FIELDS(custom_redirects)},
	{"dynamic-content-variations", "/api/v5/objects/dynamic-content-variations", NULL,
	 AE_READ | AE_CREATE | AE_UPDATE | AE_DELETE, FIELDS(dynamic_content_variations)},
	{"dynamic-contents", "/api/v5/objects/dynamic-contents", "updatedAt", AE_READ | AE_CREATE,
	 FIELDS(dynamic_contents)},
	{"email-templates", "/api/v5/objects/email-templates", "updatedAt",
	 AE_READ | AE_CREATE | AE_UPDATE | AE_DELETE, FIELDS(email_templates)},
	{"emails", "/api/v5/objects/emails", "sentAt", AE_READ, FIELDS(emails)},
	{"engagement-studio-programs", "/api/v5/objects/engagement-studio-programs", NULL, AE_READ,
	 FIELDS(engagement_studio_programs)},
	{"exports", "/api/v5/exports", "updatedAt", AE_READ | AE_CREATE, FIELDS(exports)},
	{"external-activities", "/api/v5/external-activities", "createdAt", AE_READ | AE_CREATE,
	 FIELDS(external_activities)},
	{"files", "/api/v5/objects/files", NULL, AE_READ | AE_CREATE | AE_UPDATE | AE_DELETE,
	 FIELDS(files)},
	{"folder-contents", "/api/v5/objects/folder-contents", NULL, AE_READ, FIELDS(folder_contents)},
	{"folders", "/api/v5/objects/folders", NULL, AE_READ, FIELDS(folders)},
	{"form-fields", "/api/v5/objects/form-fields", "createdAt",
	 AE_READ | AE_CREATE | AE_UPDATE | AE_DELETE, FIELDS(form_fields)},
	{"form-handler-fields", "/api/v5/objects/form-handler-fields", "createdAt",
	 AE_READ | AE_CREATE | AE_UPDATE | AE_DELETE, FIELDS(form_handler_fields)},
	{"form-handlers", "/api/v5/objects/form-handlers", "createdAt",
	 AE_READ | AE_CREATE | AE_UPDATE | AE_DELETE, FIELDS(form_handlers)},
	{"forms", "/api/v5/objects/forms", NULL, AE_READ | AE_CREATE | AE_UPDATE | AE_DELETE,
	 FIELDS(forms)},
	{"imports", "/api/v5/imports", "updatedAt", AE_READ | AE_CREATE | AE_UPDATE, FIELDS(imports)},
	{"landing-pages", "/api/v5/objects/landing-pages", "updatedAt",
	 AE_READ | AE_CREATE | AE_UPDATE | AE_DELETE, FIELDS(landing_pages)},
	{"layout-templates", "/api/v5/objects/layout-templates", NULL,
	 AE_READ | AE_CREATE | AE_UPDATE | AE_DELETE, FIELDS(layout_templates)},
	{"lifecycle-histories", "/api/v5/objects/lifecycle-histories", "createdAt", AE_READ,
	 FIELDS(lifecycle_histories)},
	{"lifecycle-stages", "/api/v5/objects/lifecycle-stages", "updatedAt", AE_READ,
	 FIELDS(lifecycle_stages)},
	{"list-emails", "/api/v5/objects/list-emails", "updatedAt",
	 AE_READ | AE_CREATE | AE_UPDATE | AE_DELETE, FIELDS(list_emails)},
	{"list-memberships", "/api/v5/objects/list-memberships", "updatedAt",
	 AE_READ | AE_CREATE | AE_UPDATE | AE_DELETE, FIELDS(list_memberships)},
	{"lists", "/api/v5/objects/lists", "updatedAt", AE_READ | AE_CREATE | AE_UPDATE | AE_DELETE,
	 FIELDS(lists)},
	{"opportunities", "/api/v5/objects/opportunities", "updatedAt", AE_READ, FIELDS(opportunities)},
	{"prospect-accounts", "/api/v5/objects/prospect-accounts", NULL, AE_READ,
	 FIELDS(prospect_accounts)},
	{"prospects", "/api/v5/objects/prospects", "updatedAt",
	 AE_READ | AE_CREATE | AE_UPDATE | AE_DELETE, FIELDS(prospects)},
	{"tagged-objects", "/api/v5/objects/tagged-objects", "createdAt", AE_READ,
	 FIELDS(tagged_objects)},
	{"tags", "/api/v5/objects/tags", "updatedAt", AE_READ | AE_CREATE | AE_UPDATE | AE_DELETE,
	 FIELDS(tags)},
	{"tracker-domains", "/api/v5/objects/tracker-domains", NULL, AE_READ, FIELDS(tracker_domains)},
	{"users", "/api/v5/objects/users", "updatedAt", AE_READ | AE_CREATE | AE_UPDATE | AE_DELETE,
	 FIELDS(users)},
	{"visitor-activities", "/api/v5/objects/visitor-activities", "updatedAt", AE_READ,
	 FIELDS(visitor_activities)},
	{"visitor-page-views", "/api/v5/objects/visitor-page-views", "createdAt", AE_READ,
	 FIELDS(visitor_page_views)},
	{"visitors", "/api/v5/objects/visitors", NULL, AE_READ, FIELDS(visitors)},
	{"visits", "/api/v5/objects/visits", "updatedAt", AE_READ, FIELDS(visits)},
	{"custom-fields", "/api/v5/objects/custom-fields", "updatedAt", AE_READ, FIELDS(custom_fields)},
	{NULL, NULL, NULL, 0, NULL, 0},
};

AeObject *
ae_object(const char *name)
{
	for (AeObject *o = ae_objects; o->name; o++)
		if (strcmp(o->name, name) == 0)
			return o;
	return NULL;
}

AeField *
ae_field(const AeObject *o, const char *name)
{
	for (int i = 0; i < o->n_fields; i++)
		if (strcmp(o->fields[i].name, name) == 0)
			return &o->fields[i];
	return NULL;
}

const AeObject *
ae_relation(const AeObject *o, const char *name, const AeField **by)
{
	static const char *const relations[][2] = {
		{"campaign", "campaigns"},
		{"prospect", "prospects"},
		{"createdBy", "users"},
		{"updatedBy", "users"},
		{"assignedTo", "users"},
		{"folder", "folders"},
		{"parentFolder", "folders"},
		{"list", "lists"},
		{"listEmail", "list-emails"},
		{"form", "forms"},
		{"formHandler", "form-handlers"},
		{"file", "files"},
		{"landingPage", "landing-pages"},
		{"visitor", "visitors"},
		{"visit", "visits"},
		{"tag", "tags"},
		{"layoutTemplate", "layout-templates"},
		{"lifecycleStage", "lifecycle-stages"},
		{"trackerDomain", "tracker-domains"},
	};
	char field[64];

	for (size_t i = 0; i < sizeof(relations) / sizeof(relations[0]); i++)
	{
		if (strcmp(relations[i][0], name) != 0 || strlen(name) > 60)
			continue;
		strcpy(field, name);
		strcat(field, "Id");
		*by = ae_field(o, field);
		return *by ? ae_object(relations[i][1]) : NULL;
	}
	return NULL;
}
