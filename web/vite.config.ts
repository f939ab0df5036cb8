import { sveltekit } from '@sveltejs/kit/vite';
import type { Plugin } from 'vite';
import { defineConfig } from 'vitest/config';

/** SvelteKit's route announcer carries an inline style, which a strict policy refuses; app.css hides it instead. */
const announcerWithoutInlineStyle: Plugin = {
	name: 'announcer-without-inline-style',
	enforce: 'pre',
	transform(code, id) {
		if (!id.endsWith('/generated/root.svelte')) return null;
		return { code: code.replace(/(id="svelte-announcer"[^>]*?) style="[^"]*"/, '$1'), map: null };
	},
};

export default defineConfig({
	plugins: [announcerWithoutInlineStyle, sveltekit()],
	build: { assetsInlineLimit: 0, target: 'es2022' },
	server: {
		// `npm run dev` beside a running dialer.
		proxy: { '/api': { target: process.env.KRALIKI_API ?? 'http://127.0.0.1:8080', ws: true } },
	},
	test: { include: ['src/**/*.test.ts'], environment: 'node' },
});
