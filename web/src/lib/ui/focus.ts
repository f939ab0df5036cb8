import { tick } from 'svelte';

/** After a form was refused: brings the first field that is wrong into focus, or else the form's error. */
export async function focusFault(form: HTMLFormElement): Promise<void> {
	await tick();
	(
		form.querySelector<HTMLElement>('[aria-invalid="true"]') ??
		form.querySelector<HTMLElement>('[role="alert"]')
	)?.focus();
}
