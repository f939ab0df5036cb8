/** Microphones and speakers: which there are, and which were chosen. */
import { kept } from '$lib/models/kept';

export interface Device {
	id: string;
	label: string;
}

class Devices {
	microphones = $state.raw<Device[]>([]);
	speakers = $state.raw<Device[]>([]);
	microphone = $state(kept.get('microphone') ?? '');
	speaker = $state(kept.get('speaker') ?? '');

	/** Browsers give the microphone to https and to localhost only. */
	get allowedHere(): boolean {
		return typeof navigator !== 'undefined' && !!navigator.mediaDevices?.getUserMedia;
	}

	/** Whether this browser can send sound to a chosen speaker. */
	get speakerChoice(): boolean {
		return typeof HTMLMediaElement !== 'undefined' && 'setSinkId' in HTMLMediaElement.prototype;
	}

	constructor() {
		if (!this.allowedHere) return;
		navigator.mediaDevices.addEventListener?.('devicechange', () => void this.refresh());
	}

	/** Names are shown by the browser only after the microphone was allowed once. */
	async refresh(): Promise<void> {
		if (!this.allowedHere) return;
		const all = await navigator.mediaDevices.enumerateDevices();
		const of = (kind: MediaDeviceKind) =>
			all
				.filter((d) => d.kind === kind && d.deviceId && d.deviceId !== 'default')
				.map((d) => ({ id: d.deviceId, label: d.label }));
		this.microphones = of('audioinput');
		this.speakers = of('audiooutput');
	}

	/** Opens the chosen microphone, or the default one when it is gone. */
	async open(): Promise<MediaStreamTrack> {
		const audio: MediaTrackConstraints = {
			echoCancellation: true,
			noiseSuppression: true,
			autoGainControl: true,
		};
		if (this.microphone) audio.deviceId = { ideal: this.microphone };
		const stream = await navigator.mediaDevices.getUserMedia({ audio });
		await this.refresh();
		const track = stream.getAudioTracks()[0];
		if (!track) throw new DOMException('no audio track', 'NotFoundError');
		return track;
	}

	chooseMicrophone(id: string): void {
		this.microphone = id;
		kept.set('microphone', id || null);
	}

	chooseSpeaker(id: string): void {
		this.speaker = id;
		kept.set('speaker', id || null);
	}
}

export const devices = new Devices();

/** Sends an element's sound to the chosen speaker, where that is possible and the speaker is there. */
export async function route(element: HTMLAudioElement): Promise<void> {
	if (!devices.speakerChoice) return;
	try {
		await element.setSinkId(devices.speaker);
	} catch {
		await element.setSinkId('').catch(() => {});
	}
}
