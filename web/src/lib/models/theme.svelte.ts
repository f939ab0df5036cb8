import { kept } from './kept';

export type Theme = 'auto' | 'light' | 'dark';

class ThemeChoice {
	value = $state<Theme>('auto');

	constructor() {
		const saved = kept.get('theme');
		if (saved === 'light' || saved === 'dark') this.value = saved;
	}

	choose(theme: Theme): void {
		this.value = theme;
		kept.set('theme', theme === 'auto' ? null : theme);
		if (theme === 'auto') delete document.documentElement.dataset.theme;
		else document.documentElement.dataset.theme = theme;
	}
}

export const theme = new ThemeChoice();
