/*
 * amp-rules.js - the rules of Ampersand's manifest, as its public validator (amp-labs/amp-yaml-validator,
 * VALIDATION_RULES.md, read 2026-08) states them, for the provider Salesforce.
 *
 * check(text) returns what is wrong: [{line, path, rule, message}].  Keys that the format does not know are
 * wrong here; for Ampersand they are a warning, and without effect.
 */
import { LineCounter, isMap, isSeq, parseDocument } from 'yaml';

// From the catalogue of connectors that the validator uses.
const CRM = { read: true, write: true, subscribe: true, proxy: true };
const ENGAGEMENT = { read: true, write: true, subscribe: false, proxy: false };
const PROVIDERS = {
	salesforce: { crm: CRM, 'account-engagement': ENGAGEMENT, 'account-engagement-demo': ENGAGEMENT },
	salesforceJWT: { crm: CRM },
};
const MAX_SUBSCRIBED = 5;
const MIN_MINUTES = 10;

const text = { is: (v) => typeof v === 'string' && v !== '', what: 'a text' };
const bool = { is: (v) => typeof v === 'boolean', what: 'true or false' };
const count = { is: (v) => Number.isInteger(v) && v >= 0, what: 'a whole number of at least 0' };
const oneOf = (...values) => ({ is: (v) => values.includes(v), what: values.join(' or ') });
const listOf = (item) => ({ item });
const must = (type) => ({ ...type, must: true });
const always = { keys: { enabled: oneOf('always') } };

const field = {
	keys: { fieldName: text, mapToName: text, mapToDisplayName: text, prompt: text, default: text },
};
const manifest = {
	keys: {
		specVersion: must({ ...oneOf('1.0.0'), rule: 'spec-version' }),
		integrations: must(listOf({
			keys: {
				name: must(text),
				provider: must({ ...oneOf(...Object.keys(PROVIDERS)), rule: 'provider-not-supported' }),
				displayName: text,
				module: text,
				proxy: { keys: { enabled: bool, useModule: bool } },
				read: { keys: { objects: must(listOf({
					keys: {
						objectName: must(text),
						destination: must(text),
						schedule: must(text),
						enabled: oneOf('always'),
						mapToName: text,
						mapToDisplayName: text,
						requiredFields: listOf(field),
						optionalFields: listOf(field),
						optionalFieldsAuto: oneOf('all'),
						backfill: { keys: { defaultPeriod: must({ keys: { days: count, fullHistory: bool } }) } },
						delivery: { keys: { mode: oneOf('auto', 'onRequest'), pageSize: count } },
					},
				})) } },
				write: { keys: { objects: must(listOf({
					keys: {
						objectName: must(text),
						inheritMapping: bool,
						valueDefaults: { keys: { allowAnyFields: bool } },
					},
				})) } },
				subscribe: { keys: { objects: must(listOf({
					keys: {
						objectName: must(text),
						destination: must(text),
						inheritFieldsAndMapping: bool,
						createEvent: always,
						updateEvent: { keys: {
							enabled: oneOf('always'),
							watchFieldsAuto: oneOf('all', 'selected'),
							requiredWatchFields: listOf(text),
						} },
						deleteEvent: always,
						otherEvents: listOf(text),
					},
				})) } },
			},
		})),
	},
};

/* The minutes from one run to the next within an hour; null where it is no schedule. */
function minutesBetween(schedule)
{
	const ranges = [[0, 59], [0, 23], [1, 31], [1, 12], [0, 7]];
	const parts = schedule.trim().split(/\s+/);
	const sets = parts.map((part, i) => {
		const set = new Set();

		for (const term of part.split(',')) {
			const m = /^(\*|(\d+)(?:-(\d+))?)(?:\/(\d+))?$/.exec(term);
			if (!m || !ranges[i]) return null;
			const from = m[2] === undefined ? ranges[i][0] : +m[2];
			const to = m[3] !== undefined ? +m[3] : m[2] === undefined || m[4] !== undefined ? ranges[i][1] : from;
			const step = m[4] === undefined ? 1 : +m[4];
			if (from < ranges[i][0] || to > ranges[i][1] || from > to || step < 1) return null;
			for (let v = from; v <= to; v += step) set.add(v);
		}
		return set;
	});

	if (parts.length !== 5 || sets.includes(null)) return null;
	const minutes = [...sets[0]].sort((a, b) => a - b);
	// From the last run of an hour to the first of the next only where two hours follow each other.
	const hours = sets[1];
	const adjoining = [...hours].some((h) => hours.has((h + 1) % 24));
	const gaps = minutes.slice(1).map((m, i) => m - minutes[i]);
	if (adjoining) gaps.push(60 - minutes[minutes.length - 1] + minutes[0]);
	return gaps.length ? Math.min(...gaps) : 60;
}

export function check(source)
{
	const lines = new LineCounter();
	const doc = parseDocument(source, { lineCounter: lines });
	const found = [];
	const at = (path) => {
		// The closest thing that stands in the file: what is missing has no line of its own.
		for (let n = path.length; n >= 0; n--) {
			const node = n ? doc.getIn(path.slice(0, n), true) : doc.contents;
			if (node?.range) return lines.linePos(node.range[0]).line;
		}
		return 1;
	};
	const wrong = (path, rule, message) =>
		found.push({ line: at(path), path: ['$', ...path].join('.').replace(/\.(\d+)/g, '[$1]'), rule, message });

	if (doc.errors.length) {
		return doc.errors.map((e) => ({ line: e.linePos?.[0].line ?? 1, path: '$', rule: 'yaml', message: e.message }));
	}

	/* Form: every key known, every value of its type, nothing missing. */
	const walk = (node, type, path) => {
		if (type.keys) {
			if (!isMap(node)) return wrong(path, 'type', 'is not a mapping');
			const seen = new Set(node.items.map((pair) => String(pair.key)));
			for (const { key, value } of node.items) {
				const name = String(key);
				if (type.keys[name]) walk(value, type.keys[name], [...path, name]);
				else wrong([...path, name], 'unknown-key', `the format has no key "${name}"`);
			}
			for (const [name, t] of Object.entries(type.keys)) {
				if (t.must && !seen.has(name)) wrong([...path, name], t.rule ?? 'required-field', `"${name}" is missing`);
			}
			return undefined;
		}
		if (type.item) {
			if (!isSeq(node) || node.items.length === 0) return wrong(path, 'empty-list', 'is not a list, or is empty');
			node.items.forEach((item, i) => walk(item, type.item, [...path, i]));
			return undefined;
		}
		if (!type.is(node?.toJSON())) wrong(path, type.rule ?? (type.must ? 'required-field' : 'type'), `must be ${type.what}`);
		return undefined;
	};
	walk(doc.contents, manifest, []);
	if (found.some((f) => f.rule === 'type' || f.rule === 'empty-list')) return found;

	/* Sense. */
	const fields = (object, path) => {
		const names = new Map();

		for (const list of ['requiredFields', 'optionalFields']) {
			(object[list] ?? []).forEach((f, i) => {
				if (!f.fieldName && !f.mapToName) wrong([...path, list, i], 'required-field', 'neither fieldName nor mapToName');
				if (f.mapToName && names.has(f.mapToName)) {
					wrong([...path, list, i, 'mapToName'], 'duplicate-field-mapping', `"${f.mapToName}" is mapped to twice`);
				}
				if (f.mapToName) names.set(f.mapToName, i);
			});
		}
	};
	const readObject = (object, path) => {
		if (object.schedule) {
			const gap = minutesBetween(object.schedule);
			if (gap === null) wrong([...path, 'schedule'], 'schedule-syntax', 'is not a schedule of five parts');
			else if (gap < MIN_MINUTES) {
				wrong([...path, 'schedule'], 'schedule-minimum-interval', `runs every ${gap} minutes, ${MIN_MINUTES} is the least`);
			}
		}
		const period = object.backfill?.defaultPeriod;
		if (period && (period.days === undefined) === (period.fullHistory === undefined)) {
			wrong([...path, 'backfill', 'defaultPeriod'], 'backfill-config', 'must have one of days and fullHistory');
		}
		const { mode, pageSize } = object.delivery ?? {};
		if (mode === 'auto' && pageSize !== undefined) wrong([...path, 'delivery', 'pageSize'], 'delivery-mode', 'is not for mode auto');
		if (mode === 'onRequest' && !(pageSize >= 50 && pageSize <= 500)) {
			wrong([...path, 'delivery', 'pageSize'], 'delivery-mode', 'must be 50 to 500 in mode onRequest');
		}
		if (object.enabled === 'always' && !object.requiredFields) {
			wrong([...path, 'requiredFields'], 'always-enabled-fields', 'nobody else chooses fields of an object that is always enabled');
		}
		if (object.enabled === 'always' && object.requiredFields?.some((f) => f.mapToName)) {
			wrong([...path, 'requiredFields'], 'always-enabled-fields', 'mapToName is not for objects that are always enabled');
		}
		fields(object, path);
	};
	const subscribeObject = (object, path) => {
		const { updateEvent: update } = object;

		if (!object.createEvent && !update && !object.deleteEvent && !object.otherEvents) {
			wrong(path, 'subscribe-minimum-events', 'no event is enabled');
		}
		if ((object.createEvent || update || object.deleteEvent) && object.inheritFieldsAndMapping !== true) {
			wrong(path, 'subscribe-inherit-fields', 'inheritFieldsAndMapping must be true');
		}
		if (update && !update.watchFieldsAuto === !update.requiredWatchFields) {
			wrong([...path, 'updateEvent'], 'update-event-watch-fields', 'must have one of watchFieldsAuto and requiredWatchFields');
		}
		(update?.requiredWatchFields ?? []).forEach((f, i) => {
			if (/[.[\]]/.test(f)) wrong([...path, 'updateEvent', 'requiredWatchFields', i], 'watch-fields-no-nesting', 'must be a field of the object itself');
		});
	};
	const names = new Set();

	(doc.toJS().integrations ?? []).forEach((integration, i) => {
		const path = ['integrations', i];
		const actions = ['read', 'write', 'subscribe', 'proxy'].filter((a) => integration[a]);
		const module = integration.module ?? 'crm';
		const modules = PROVIDERS[integration.provider];

		if (names.has(integration.name)) wrong([...path, 'name'], 'duplicate-integration', `"${integration.name}" is there twice`);
		names.add(integration.name);
		if (!actions.length) wrong(path, 'integration-structure', 'has none of read, write, subscribe, proxy');
		if (modules && !modules[module]) wrong([...path, 'module'], 'provider-module', `${integration.provider} has no such module`);
		for (const action of actions) {
			const asked = action !== 'proxy' || integration.proxy.enabled;
			if (asked && modules?.[module]?.[action] === false) {
				wrong([...path, action], `provider-capability-${action}`, `the catalogue has no ${action} for module ${module}`);
			}
			const seen = new Set();
			(integration[action].objects ?? []).forEach((object, j) => {
				const name = String(object.objectName).toLowerCase(); // Salesforce's names fold case
				if (seen.has(name)) wrong([...path, action, 'objects', j], `duplicate-${action}-object`, `"${name}" is there twice`);
				seen.add(name);
			});
		}
		integration.read?.objects?.forEach((object, j) => readObject(object, [...path, 'read', 'objects', j]));
		if (integration.subscribe) {
			const objects = integration.subscribe.objects ?? [];
			if (!integration.read) wrong([...path, 'subscribe'], 'subscribe-requires-read', 'needs read beside it');
			if (objects.length > MAX_SUBSCRIBED) {
				wrong([...path, 'subscribe', 'objects'], 'salesforce-subscribe-limit', `more than ${MAX_SUBSCRIBED} objects`);
			}
			objects.forEach((object, j) => subscribeObject(object, [...path, 'subscribe', 'objects', j]));
		}
	});
	return found;
}
