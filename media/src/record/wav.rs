//! WAV with two channels of 16-bit PCM, written as it comes.

/// Octets of the header.
const HEADER: usize = 44;

pub(super) struct Writer {
    rate_hz: u32,
    /// Octets of samples.
    written: u64,
    begun: bool,
}

impl Writer {
    pub(super) fn new(rate_hz: u32) -> Writer {
        Writer { rate_hz, written: 0, begun: false }
    }

    /// Appends interleaved samples, and the header before the first.
    pub(super) fn write(&mut self, pcm: &[i16], bytes: &mut Vec<u8>) {
        if !self.begun {
            self.begun = true;
            // The greatest length means "until the end of the file" to programs that read what is still being written.
            bytes.extend_from_slice(&header(self.rate_hz, u32::MAX - 36));
        }
        bytes.extend(pcm.iter().flat_map(|sample| sample.to_le_bytes()));
        self.written += pcm.len() as u64 * 2;
    }

    /// The header that says how long the file is.
    pub(super) fn final_header(&self) -> [u8; HEADER] {
        header(self.rate_hz, u32::try_from(self.written).unwrap_or(u32::MAX).min(u32::MAX - 36))
    }
}

/// Writes the length of a whole file of so many octets into its first ones, as far as these are there.
pub fn set_wav_length(first: &mut [u8], audio_bytes: u64) {
    let data =
        u32::try_from(audio_bytes.saturating_sub(HEADER as u64)).unwrap_or(u32::MAX).min(u32::MAX - 36);
    for (at, len) in [(4, data + 36), (40, data)] {
        if let Some(field) = first.get_mut(at..at + 4) {
            field.copy_from_slice(&len.to_le_bytes());
        }
    }
}

fn header(rate_hz: u32, data_len: u32) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    let parts: [&[u8]; 13] = [
        b"RIFF",
        &(data_len + 36).to_le_bytes(),
        b"WAVE",
        b"fmt ",
        &16u32.to_le_bytes(),
        &1u16.to_le_bytes(),
        &2u16.to_le_bytes(),
        &rate_hz.to_le_bytes(),
        &(rate_hz * 4).to_le_bytes(),
        &4u16.to_le_bytes(),
        &16u16.to_le_bytes(),
        b"data",
        &data_len.to_le_bytes(),
    ];
    header.iter_mut().zip(parts.into_iter().flatten()).for_each(|(to, from)| *to = *from);
    header
}
