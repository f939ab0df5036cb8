//! Ogg/Opus (RFC 7845): two channels that are two streams of their own (mapping family 1 with two uncoupled streams,
//! §5.1.1.2), because a coupled stereo stream at these bit rates lets one side be heard in the other.

use audiopus::coder::Encoder;
use ogg::writing::{PacketWriteEndInfo, PacketWriter};

use crate::codec::{CodecError, OpusPolicy, OpusRate, mono_encoder};
use crate::sdp::AudioCodec;

/// Packets of 20 ms in a page: a second.
const PAGE_PACKETS: u64 = 50;
/// The granule position's clock, whatever is coded.
const CLOCK_HZ: u64 = 48_000;
/// The longest packet of one stream (RFC 6716 §3.2.1 ends at 1,275).
const MAX_PACKET: usize = 1_275;

pub(super) struct Writer {
    left: Encoder,
    right: Encoder,
    pages: PacketWriter<'static, Vec<u8>>,
    serial: u32,
    rate_hz: u64,
    /// Samples to be left out by players at the beginning, at 48 kHz.
    pre_skip: u64,
    begun: bool,
    /// Samples of each channel that were given, and packets that were made of them.
    samples: u64,
    packets: u64,
    /// Interleaved samples of a packet that is not full yet.
    rest: Vec<i16>,
    frame: usize,
}

impl Writer {
    pub(super) fn new(rate_hz: u32, bitrate_bps: u32, serial: u32) -> Result<Writer, CodecError> {
        let rate = if rate_hz > 8_000 { OpusRate::Wide } else { OpusRate::Narrow };
        let policy =
            OpusPolicy { rate, bitrate_bps, complexity: 5, fec: false, expected_loss_percent: 0, dtx: false };
        let start = |_| CodecError::Start(AudioCodec::Opus);
        let left = mono_encoder(&policy).map_err(start)?;
        let right = mono_encoder(&policy).map_err(start)?;
        let lookahead = left.lookahead().map_err(start)?;
        Ok(Writer {
            pre_skip: u64::from(lookahead) * CLOCK_HZ / u64::from(rate.hz()),
            left,
            right,
            pages: PacketWriter::new(Vec::new()),
            serial,
            rate_hz: rate.hz().into(),
            begun: false,
            samples: 0,
            packets: 0,
            rest: Vec::new(),
            frame: rate.hz() as usize / 50,
        })
    }

    /// Appends pages of interleaved samples: all whole packets of them, in pages of a second.
    pub(super) fn write(&mut self, pcm: &[i16], bytes: &mut Vec<u8>) {
        if !self.begun {
            self.begun = true;
            self.page(self.head(), PacketWriteEndInfo::EndPage, 0);
            self.page(tags(), PacketWriteEndInfo::EndPage, 0);
        }
        self.samples += pcm.len() as u64 / 2;
        self.rest.extend_from_slice(pcm);
        let all = std::mem::take(&mut self.rest);
        let mut frames = all.chunks_exact(self.frame * 2);
        for frame in &mut frames {
            self.packets += 1;
            let granule = self.packets * CLOCK_HZ / 50;
            let end = if self.packets.is_multiple_of(PAGE_PACKETS) {
                PacketWriteEndInfo::EndPage
            } else {
                PacketWriteEndInfo::NormalPacket
            };
            let packet = self.packet(frame);
            self.page(packet, end, granule);
        }
        self.rest = frames.remainder().to_vec();
        bytes.append(self.pages.inner_mut());
    }

    /// Appends the last page: what is left, and as much silence as the codec looks ahead.
    pub(super) fn finish(&mut self, bytes: &mut Vec<u8>) {
        let samples = self.samples;
        // The page's granule position trims the padding off again (§4.4).
        let end = self.pre_skip + samples * CLOCK_HZ / self.rate_hz;
        let mut padding = self.frame * 2 - self.rest.len() % (self.frame * 2);
        let lookahead = (self.pre_skip * self.rate_hz / CLOCK_HZ) as usize * 2;
        if padding < lookahead {
            padding += self.frame * 2;
        }
        let mut all = std::mem::take(&mut self.rest);
        all.resize(all.len() + padding, 0);
        let frames = all.chunks_exact(self.frame * 2);
        let last = frames.len();
        for (n, frame) in frames.enumerate() {
            self.packets += 1;
            let packet = self.packet(frame);
            if n + 1 == last {
                self.page(packet, PacketWriteEndInfo::EndStream, end);
            } else {
                self.page(packet, PacketWriteEndInfo::NormalPacket, self.packets * CLOCK_HZ / 50);
            }
        }
        bytes.append(self.pages.inner_mut());
    }

    /// One packet of both streams: the first one delimits itself (RFC 6716 appendix B), the second needs not.
    fn packet(&mut self, frame: &[i16]) -> Vec<u8> {
        let mut packet = Vec::with_capacity(200);
        let mut samples = Vec::with_capacity(self.frame);
        let mut coded = [0; MAX_PACKET];
        for (channel, encoder) in [&self.left, &self.right].into_iter().enumerate() {
            samples.clear();
            samples.extend(frame.iter().skip(channel).step_by(2));
            let len = encoder.encode(&samples, &mut coded).unwrap_or(0);
            let (toc, sound) = match coded.get(..len).and_then(|coded| coded.split_first()) {
                // One frame in the packet (code 0), as the encoder makes of 20 ms.
                Some((toc, sound)) if toc & 3 == 0 => (*toc, sound),
                // It cannot be; a frame without sound keeps the time (narrow band, 20 ms).
                _ => (0x08, [].as_slice()),
            };
            packet.push(toc);
            if channel == 0 {
                // RFC 6716 §3.2.1.
                let len = sound.len();
                match u8::try_from(len) {
                    Ok(short @ ..=251) => packet.push(short),
                    _ => {
                        let first = 252 + (len & 3);
                        packet.extend([first as u8, ((len - first) >> 2) as u8]);
                    }
                }
            }
            packet.extend_from_slice(sound);
        }
        packet
    }

    fn page(&mut self, packet: Vec<u8>, end: PacketWriteEndInfo, granule: u64) {
        // Writing to memory does not fail.
        let _ = self.pages.write_packet(packet, self.serial, end, granule);
    }

    /// The identification header (§5.1).
    fn head(&self) -> Vec<u8> {
        let mut head = b"OpusHead\x01\x02".to_vec();
        head.extend_from_slice(&(self.pre_skip as u16).to_le_bytes());
        head.extend_from_slice(&(self.rate_hz as u32).to_le_bytes());
        // No gain; family 1; two streams, none of them coupled; left is the first, right the second.
        head.extend_from_slice(&[0, 0, 1, 2, 0, 0, 1]);
        head
    }
}

/// The comment header (§5.2): who wrote it, and no comments.
fn tags() -> Vec<u8> {
    let vendor = b"Kraliki Voice";
    let mut tags = b"OpusTags".to_vec();
    tags.extend_from_slice(&(vendor.len() as u32).to_le_bytes());
    tags.extend_from_slice(vendor);
    tags.extend_from_slice(&0u32.to_le_bytes());
    tags
}
