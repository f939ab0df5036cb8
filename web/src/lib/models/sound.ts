/** Of the sound that is made of other formats: twice what telephones carry. */
const RATE_HZ = 16_000;
/** More than a prompt may have: the server refuses it by what it has, and an hour's sound need not go there. */
const MOST_SAMPLES = 150 * RATE_HZ;

/**
 * What is uploaded of a sound file. The server reads WAV (16-bit PCM, G.711) and Ogg Opus; what else this browser can play
 * (MP3, AAC, FLAC, Ogg Vorbis, WAV of other kinds) is made a WAV here: so no decoder of foreign files runs beside the
 * calls. What the browser cannot play goes as it is, and the server says what is wrong with it.
 */
export async function uploadable(file: Blob): Promise<Blob> {
	if (isReadByServer(new DataView(await file.slice(0, 64).arrayBuffer()))) return file;
	try {
		const context = new OfflineAudioContext(1, 1, RATE_HZ);
		const sound = await context.decodeAudioData(await file.arrayBuffer());
		const channels = Array.from({ length: sound.numberOfChannels }, (_, n) =>
			sound.getChannelData(n).subarray(0, MOST_SAMPLES),
		);
		return wav(channels, RATE_HZ);
	} catch {
		return file;
	}
}

/** Whether a file begins like one that the server reads. */
export function isReadByServer(head: DataView): boolean {
	const says = (at: number, text: string) =>
		head.byteLength >= at + text.length &&
		[...text].every((letter, n) => head.getUint8(at + n) === letter.charCodeAt(0));
	// The first page of an Ogg file has one packet, behind 28 bytes (RFC 7845 section 3).
	if (says(0, 'OggS')) return says(28, 'OpusHead');
	if (!says(0, 'RIFF') || !says(8, 'WAVEfmt ') || head.byteLength < 36) return false;
	const [tag, rate, bits] = [head.getUint16(20, true), head.getUint32(24, true), head.getUint16(34, true)];
	return (tag === 1 && bits === 16 && rate >= 8_000 && rate <= 48_000) || tag === 6 || tag === 7;
}

/** A WAV file of the mean of the channels, 16-bit PCM. */
export function wav(channels: Float32Array[], rateHz: number): Blob {
	const length = channels[0]?.length ?? 0;
	const bytes = new DataView(new ArrayBuffer(44 + 2 * length));
	const write = (at: number, text: string) =>
		[...text].forEach((letter, n) => bytes.setUint8(at + n, letter.charCodeAt(0)));
	write(0, 'RIFF');
	bytes.setUint32(4, 36 + 2 * length, true);
	write(8, 'WAVEfmt ');
	bytes.setUint32(16, 16, true);
	bytes.setUint16(20, 1, true);
	bytes.setUint16(22, 1, true);
	bytes.setUint32(24, rateHz, true);
	bytes.setUint32(28, 2 * rateHz, true);
	bytes.setUint16(32, 2, true);
	bytes.setUint16(34, 16, true);
	write(36, 'data');
	bytes.setUint32(40, 2 * length, true);
	for (let at = 0; at < length; at++) {
		const mean = channels.reduce((sum, channel) => sum + (channel[at] ?? 0), 0) / channels.length;
		bytes.setInt16(44 + 2 * at, Math.max(-1, Math.min(1, mean)) * 32_767, true);
	}
	return new Blob([bytes.buffer], { type: 'audio/wav' });
}
