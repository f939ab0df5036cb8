import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import adapterStatic from '@sveltejs/adapter-static';

const OUT = 'build';

/**
 * The static adapter, and then the page's inline start script moved to a file of its own,
 * so that the console runs under `script-src 'self'` with no hash to keep in step.
 * @returns {import('@sveltejs/kit').Adapter}
 */
function adapter() {
	const inner = adapterStatic({ pages: OUT, assets: OUT, fallback: 'index.html' });
	return {
		name: 'static-without-inline-scripts',
		async adapt(builder) {
			await inner.adapt(builder);
			const page = join(OUT, 'index.html');
			const html = readFileSync(page, 'utf8').replace(
				/<script>([\s\S]*?)<\/script>/g,
				(_, /** @type {string} */ code) => {
					const hash = createHash('sha256').update(code).digest('base64url').slice(0, 8);
					const file = `${builder.config.kit.appDir}/immutable/start.${hash}.js`;
					writeFileSync(join(OUT, file), code);
					return `<script src="/${file}"></script>`;
				},
			);
			writeFileSync(page, html);
		},
	};
}

/** @type {import('@sveltejs/kit').Config} */
export default {
	compilerOptions: { runes: true },
	kit: {
		adapter: adapter(),
		paths: { relative: false },
		version: { pollInterval: 0 },
		alias: { $messages: 'src/messages' },
	},
};
