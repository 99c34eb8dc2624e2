import { defineConfig } from 'vite';

export default defineConfig({
	base: './', // the built page works in any folder of a web server
	build: { chunkSizeWarningLimit: 2000 },
});
