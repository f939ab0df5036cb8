import { t } from '$lib/i18n/index.svelte';

/** Reasons an agent can choose; the code is what records and reports hold. */
export const PAUSE_REASONS = ['break', 'lunch', 'meeting', 'training', 'technical'] as const;

const KNOWN = [...PAUSE_REASONS, 'sound_check', 'reconnected'] as const;

/** A reason in the reader's language; one that we don't know as it is. */
export function pauseReason(code: string): string {
	// The engine's own word, when a leg stayed away.
	if (code === 'no audio') return t('pause.no_audio');
	const known = KNOWN.find((k) => k === code);
	return known ? t(`pause.${known}`) : code;
}
