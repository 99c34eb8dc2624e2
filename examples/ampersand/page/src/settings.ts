// What .env.local says, and what is missing in it.

export interface Settings {
	project: string;
	apiKey?: string;
	tokenUrl?: string;
	integration: string;
	groupRef: string;
	consumerRef: string;
}

export function readSettings(env: Partial<ImportMetaEnv>): { settings: Settings; missing: string[] } {
	const settings = {
		project: env.VITE_AMPERSAND_PROJECT ?? '',
		apiKey: env.VITE_AMPERSAND_API_KEY || undefined,
		tokenUrl: env.VITE_AMPERSAND_TOKEN_URL || undefined,
		integration: env.VITE_AMPERSAND_INTEGRATION ?? '',
		groupRef: env.VITE_AMPERSAND_GROUP_REF ?? '',
		consumerRef: env.VITE_AMPERSAND_CONSUMER_REF ?? '',
	};
	const missing = [
		!settings.project && 'VITE_AMPERSAND_PROJECT',
		!settings.integration && 'VITE_AMPERSAND_INTEGRATION',
		!settings.groupRef && 'VITE_AMPERSAND_GROUP_REF',
		!settings.consumerRef && 'VITE_AMPERSAND_CONSUMER_REF',
		!settings.apiKey && !settings.tokenUrl && 'VITE_AMPERSAND_API_KEY or VITE_AMPERSAND_TOKEN_URL',
	].filter((name): name is string => !!name);

	return { settings, missing };
}
