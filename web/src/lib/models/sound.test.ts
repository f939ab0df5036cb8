import { describe, expect, it } from 'vitest';
import { isReadByServer, wav } from './sound';

const bytes = async (blob: Blob) => new DataView(await blob.arrayBuffer());

describe('sound files', () => {
	it('become a WAV that the server reads', async () => {
		const made = await bytes(wav([new Float32Array([0, 1, -2]), new Float32Array([0, 0, -2])], 16_000));
		expect(isReadByServer(made)).toBe(true);
		expect(made.byteLength).toBe(50);
		expect([44, 46, 48].map((at) => made.getInt16(at, true))).toEqual([0, 16_383, -32_767]);
	});

	it('go as they are when the server reads them', async () => {
		const ogg = (packet: string) => bytes(new Blob(['OggS', new Uint8Array(24), packet, new Uint8Array(30)]));
		expect(isReadByServer(await ogg('OpusHead'))).toBe(true);
		expect(isReadByServer(await ogg('\x01vorbis'))).toBe(false);

		const changed = async (at: number, value: number) => {
			const view = await bytes(wav([new Float32Array(9)], 8_000));
			view.setUint16(at, value, true);
			return isReadByServer(view);
		};
		// µ-law, floating point, 24 bits, 4 kHz.
		expect(await Promise.all([changed(20, 7), changed(20, 3), changed(34, 24), changed(24, 4_000)])).toEqual([
			true,
			false,
			false,
			false,
		]);
		for (const text of ['', 'RIFF', 'RIFF....WAVEfmt ', 'ID3\x04', 'OggS']) {
			expect(isReadByServer(await bytes(new Blob([text])))).toBe(false);
		}
	});
});
