import { useState } from 'react';
import { AmpersandProvider, InstallIntegration } from '@amp-labs/react';
import type { Settings } from './settings';
import { createServer } from './sql';

// A key in a page is for trying it out. In production your own service, which knows who is logged in, signs
// a token for that person and group.
function credentials({ apiKey, tokenUrl }: Settings) {
	if (!tokenUrl) return { apiKey };
	return {
		getToken: async (who: { consumerRef: string; groupRef: string }): Promise<string> => {
			const answer = await fetch(tokenUrl, {
				method: 'POST',
				headers: { 'Content-Type': 'application/json' },
				body: JSON.stringify(who),
			});

			if (!answer.ok) throw new Error(`${tokenUrl} answered ${answer.status}`);
			return (await answer.json()).token;
		},
	};
}

export function App({ settings }: { settings: Settings }) {
	const { project, integration, groupRef, consumerRef } = settings;
	const [installation, setInstallation] = useState<string>();
	// Made once: who asks for tokens stays the same from one rendering to the next.
	const [options] = useState(() => ({ project, ...credentials(settings) }));

	return (
		<AmpersandProvider options={options}>
			<h1>Connect Salesforce</h1>
			<InstallIntegration
				integration={integration}
				groupRef={groupRef}
				consumerRef={consumerRef}
				onInstallSuccess={(id) => setInstallation(id)}
				onUpdateSuccess={(id) => setInstallation(id)}
				onUninstallSuccess={() => setInstallation(undefined)}
			/>
			{installation && (
				<section>
					<h2>Installed</h2>
					<p>Installation {installation}. In PostgreSQL:</p>
					<pre>{createServer({ project, integration, groupRef })}</pre>
				</section>
			)}
		</AmpersandProvider>
	);
}
