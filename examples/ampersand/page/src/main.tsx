import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import '@amp-labs/react/styles';
import { App } from './App';
import { readSettings } from './settings';

const { settings, missing } = readSettings(import.meta.env);

createRoot(document.getElementById('root')!).render(
	<StrictMode>
		{missing.length ? <p>Missing in .env.local: {missing.join(', ')}</p> : <App settings={settings} />}
	</StrictMode>,
);
