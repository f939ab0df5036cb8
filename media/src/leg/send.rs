//! What goes to the far end: packets of the peer, frames that are made here, and reports.

use std::net::SocketAddr;
use std::time::Duration;

use kraliki_time::Time;

use super::secure::What;
use super::{AddressChange, Ending, Format, Leg, Role};
use crate::audio::{digit_tone, sine};
use crate::codec::{FRAME_SAMPLES, SAMPLE_RATE_HZ};
use crate::dtmf::{DigitFrame, Event};
use crate::event::MediaEvent;
use crate::limits::{FILL_AFTER, RTCP_INTERVAL};
use crate::rtcp::{self, Report, ReportBlock, SenderInfo};
use crate::rtp::{self, HEADER_LEN, Stamp};
use crate::webrtc::StreamId;

/// The length of a frame that is made here.
pub(crate) const FRAME: Duration = Duration::from_millis(20);
/// A wake-up later than this skips the frames in between, instead of sending them in one burst.
pub(crate) const LATE: Duration = Duration::from_millis(100);
/// RFC 4733 §2.5.1.4: the End is sent three times; twice more after the first.
const END_REPEATS: u8 = 2;
/// The peak of each of a key's two frequencies, where they are sent as sound.
const DIGIT_AMPLITUDE: f64 = 6_000.0;

/// Which of the far end's addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Channel {
    /// RTP.
    Rtp,
    /// RTCP, over a port of its own.
    Rtcp,
    /// Everything of a browser, over the port that all browsers share.
    Shared,
    /// Everything of a browser that could only connect by TCP.
    Stream(StreamId),
}

/// A datagram to be sent; its bytes lie in the buffer that was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sending {
    pub(crate) channel: Channel,
    pub(crate) to: SocketAddr,
    pub(crate) len: usize,
}

/// A packet of the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Passed {
    /// Its source, and its place on the source's line.
    pub(crate) ssrc: u32,
    pub(crate) stamp: Stamp,
    /// As this leg numbers it.
    pub(crate) payload_type: u8,
    pub(crate) is_audio: bool,
}

/// What a leg wants done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Polled {
    Send(Sending),
    /// Whose datagrams come from an address has changed.
    Address(AddressChange),
}

#[derive(Debug, Default)]
pub(super) struct State {
    /// Silence is being sent, because nobody else speaks.
    pub(super) filling: bool,
    /// The key that sounds: its timestamp, its last packet, and how often that is still to be sent.
    event: Option<(u32, Event, u8)>,
    /// Samples of the present key that were sent as sound.
    digit_at: usize,
}

#[derive(Debug)]
pub(super) struct ReportState {
    cname: String,
    count: u32,
    /// The middle of the far end's last NTP time, and when it came.
    pub(super) last_sr: Option<(u32, Time)>,
    packets_before: u64,
    pub(super) xr: super::report::Xr,
}

impl ReportState {
    pub(super) fn new(ssrc: u32) -> ReportState {
        // RFC 7022 §4.2: a short-term name says nothing about who or where we are.
        let cname = format!("{:08x}@kraliki.invalid", ssrc.wrapping_mul(0x9e37_79b1).rotate_left(13));
        ReportState { cname, count: 0, last_sr: None, packets_before: 0, xr: super::report::Xr::default() }
    }
}

impl Leg {
    /// Where audio may be sent to.
    pub(super) fn rtp_target(&self) -> Option<(Format, SocketAddr)> {
        let format = self.format.filter(|f| f.direction.sends())?;
        let to = match &self.browser {
            Some(browser) => browser.media_target()?,
            None => self.source.rtp_target()?,
        };
        Some((format, to))
    }

    /// Sends a packet of the peer whose payload lies in `buf[..len]`, behind the room of a plain header: gives it a
    /// header and a place on the line. `None` when it cannot be sent now.
    pub(crate) fn relay(
        &mut self,
        now: Time,
        passed: &Passed,
        buf: &mut [u8],
        len: usize,
    ) -> Option<Sending> {
        let (format, to) = self.rtp_target()?;
        let packet = buf.get_mut(..len)?;
        let octets = len.checked_sub(HEADER_LEN)?;
        let samples = if passed.is_audio { octets as u32 } else { 0 };
        let stamp = self.line.relay(now, passed.ssrc, passed.stamp, samples, octets)?;
        rtp::write_header(packet, passed.payload_type, self.line.ssrc(), stamp);
        if passed.is_audio {
            self.mix_overlay(format, stamp.timestamp, packet.get_mut(HEADER_LEN..)?);
        }
        self.sending.filling = false;
        if passed.is_audio {
            self.sound.noise = None;
        }
        self.seal_rtp(to, buf, len)
    }

    /// Whether the line is taken by something that is made here.
    pub(crate) fn is_occupied(&self) -> bool {
        self.held
            || self.sound.player.is_some()
            || self.sound.digits.is_active()
            || self.sending.event.is_some()
    }

    /// Has the next frame looked at now, or 20 ms after the last one that was made.
    pub(super) fn wake_frames(&mut self, now: Time) {
        let next = self.line.last_sent().map_or(now, |last| (last + FRAME).max(now));
        self.timers.frame = if self.timers.frame == Time::MAX { next } else { self.timers.frame.min(next) };
    }

    /// The next thing that is due; a datagram is written into `out`.
    pub(crate) fn poll(
        &mut self,
        now: Time,
        out: &mut [u8],
        events: &mut impl Extend<MediaEvent>,
    ) -> Option<Polled> {
        if self.ending == Ending::Bye {
            self.ending = Ending::Told;
            let bye = self.write_report(now, out);
            self.close_transport(now);
            if let Some(bye) = bye {
                return Some(Polled::Send(bye));
            }
        }
        if let Some(polled) = self.poll_transport(now, out, events) {
            return Some(polled);
        }
        if self.is_ending() {
            return None;
        }
        self.poll_media(now, out, events).map(Polled::Send)
    }

    fn poll_media(
        &mut self,
        now: Time,
        out: &mut [u8],
        events: &mut impl Extend<MediaEvent>,
    ) -> Option<Sending> {
        if self.timers.report <= now {
            self.timers.report = self.next_report(now);
            if let Some(sending) = self.write_report(now, out) {
                return Some(sending);
            }
        }
        self.poll_frame(now, out, events)
    }

    fn poll_frame(
        &mut self,
        now: Time,
        out: &mut [u8],
        events: &mut impl Extend<MediaEvent>,
    ) -> Option<Sending> {
        let Some((format, to)) = self.rtp_target() else {
            // Woken again by what changes this: a description, or the browser's consent.
            self.timers.frame = Time::MAX;
            return None;
        };
        let len = self.write_frame(now, format, out, events)?;
        self.seal_rtp(to, out, len)
    }

    fn write_frame(
        &mut self,
        now: Time,
        format: Format,
        out: &mut [u8],
        events: &mut impl Extend<MediaEvent>,
    ) -> Option<usize> {
        if let Some((timestamp, event, left)) = self.sending.event.filter(|(.., left)| *left > 0) {
            self.sending.event = Some((timestamp, event, left - 1)).filter(|_| left > 1);
            return self.write_event(now, format, timestamp, event, out);
        }
        if !self.is_occupied()
            && let Some(len) = self.write_said(now, format, out)
        {
            return Some(len);
        }
        if now < self.timers.frame {
            return None;
        }
        if self.timers.frame + LATE < now {
            self.timers.frame = now;
        }
        if let Some(frame) = self.sound.digits.frame() {
            self.timers.frame += FRAME;
            return self.write_digit(now, format, frame, out);
        }
        if let Some(player) = &mut self.sound.player {
            let mut frame = [0; FRAME_SAMPLES];
            let passes = format.codec.coder().is_some();
            let goes_on = match passes {
                true => player.frame(format.codec, out.get_mut(HEADER_LEN..HEADER_LEN + FRAME_SAMPLES)?),
                false => player.samples(&mut frame),
            };
            self.timers.frame += FRAME;
            if !goes_on {
                self.sound.player = None;
                events.extend([MediaEvent::PlayDone { leg: self.id }]);
            }
            return match passes {
                true => self.write_audio(now, format, out),
                false => self.write_samples(now, format, Box::new(frame), out),
            };
        }
        // An agent is sent sound all the time; noise that is cut into pieces would be heard.
        let is_steady = self.role == Role::Agent || self.makes_noise(format);
        let continuous =
            is_steady && (self.sending.filling || self.role == Role::Agent && self.peer.is_none());
        if !continuous {
            let due = self.line.last_sent().map_or(now, |last| last + FILL_AFTER);
            if now < due {
                self.timers.frame = due;
                return None;
            }
            self.sending.filling = true;
        }
        self.timers.frame += if is_steady { FRAME } else { FILL_AFTER };
        self.write_pause(now, format, out)
    }

    pub(super) fn write_silence(&mut self, now: Time, format: Format, out: &mut [u8]) -> Option<usize> {
        let Some(coder) = format.codec.coder() else {
            return self.write_samples(now, format, Box::new([0; FRAME_SAMPLES]), out);
        };
        out.get_mut(HEADER_LEN..HEADER_LEN + FRAME_SAMPLES)?.fill(coder.silence());
        self.write_audio(now, format, out)
    }

    /// Finishes a frame of G.711 whose payload stands in its place.
    pub(super) fn write_audio(&mut self, now: Time, format: Format, out: &mut [u8]) -> Option<usize> {
        let stamp = self.line.make(now, FRAME_SAMPLES as u32, FRAME_SAMPLES);
        let packet = out.get_mut(..HEADER_LEN + FRAME_SAMPLES)?;
        rtp::write_header(packet, format.payload_type, self.line.ssrc(), stamp);
        self.mix_overlay(format, stamp.timestamp, packet.get_mut(HEADER_LEN..)?);
        Some(packet.len())
    }

    fn mix_overlay(&mut self, format: Format, timestamp: u32, payload: &mut [u8]) {
        if let Some(overlay) = &mut self.sound.overlay
            && !overlay.mix(format.codec, timestamp, payload)
        {
            self.sound.overlay = None;
        }
    }

    fn write_digit(&mut self, now: Time, format: Format, frame: DigitFrame, out: &mut [u8]) -> Option<usize> {
        if format.dtmf.is_none() {
            return self.write_digit_as_sound(now, format, frame, out);
        }
        let times = format.codec.clock_hz() / SAMPLE_RATE_HZ;
        match frame {
            DigitFrame::Begin(event) => {
                let event = event.on_clock(times);
                let stamp = self.line.make(now, u32::from(event.duration), event.payload().len());
                // §2.5.1.1: the first packet has the marker, whatever was sent before.
                let stamp = Stamp { marker: true, ..stamp };
                self.sending.event = Some((stamp.timestamp, event, 0));
                write_event_packet(format, self.line.ssrc(), stamp, event, out)
            }
            DigitFrame::Update(event) => {
                let (timestamp, ..) = self.sending.event?;
                self.write_event(now, format, timestamp, event.on_clock(times), out)
            }
            DigitFrame::End(event) => {
                let (timestamp, ..) = self.sending.event?;
                let event = event.on_clock(times);
                self.sending.event = Some((timestamp, event, END_REPEATS));
                self.write_event(now, format, timestamp, event, out)
            }
            DigitFrame::Gap => self.write_silence(now, format, out),
        }
    }

    fn write_event(
        &mut self,
        now: Time,
        format: Format,
        timestamp: u32,
        event: Event,
        out: &mut [u8],
    ) -> Option<usize> {
        let octets = event.payload().len();
        let stamp = self.line.make_update(now, timestamp, u32::from(event.duration), octets);
        write_event_packet(format, self.line.ssrc(), stamp, event, out)
    }

    /// A far end that takes no telephone-events hears the key.
    fn write_digit_as_sound(
        &mut self,
        now: Time,
        format: Format,
        frame: DigitFrame,
        out: &mut [u8],
    ) -> Option<usize> {
        let event = match frame {
            DigitFrame::Begin(event) => {
                self.sending.digit_at = 0;
                event
            }
            DigitFrame::Update(event) | DigitFrame::End(event) => event,
            DigitFrame::Gap => return self.write_silence(now, format, out),
        };
        let (low, high) = digit_tone(event.digit().event());
        let from = self.sending.digit_at;
        let mut samples = [0i16; FRAME_SAMPLES];
        for (n, sample) in (from..).zip(&mut samples) {
            *sample = ((sine(low, n) + sine(high, n)) * DIGIT_AMPLITUDE) as i16;
        }
        self.sending.digit_at = from + FRAME_SAMPLES;
        let Some(coder) = format.codec.coder() else {
            return self.write_samples(now, format, Box::new(samples), out);
        };
        coder.encode(&samples, out.get_mut(HEADER_LEN..HEADER_LEN + FRAME_SAMPLES)?);
        self.write_audio(now, format, out)
    }

    /// Half to one and a half times the interval (RFC 3550 §6.2), spread by the SSRC.
    pub(super) fn next_report(&mut self, now: Time) -> Time {
        self.report.count = self.report.count.wrapping_add(1);
        let spread = self.line.ssrc().wrapping_add(self.report.count).wrapping_mul(0x9e37_79b1) >> 16;
        now + RTCP_INTERVAL / 2 + RTCP_INTERVAL * spread / 0x1_0000
    }

    fn write_report(&mut self, now: Time, out: &mut [u8]) -> Option<Sending> {
        let to = match &self.browser {
            Some(browser) => browser.media_target()?,
            None => self.source.rtcp_target()?,
        };
        let len = self.build_report(now, out);
        if len == 0 {
            return None;
        }
        match &mut self.browser {
            Some(browser) => browser.seal_rtcp(to, out, len),
            None => Some(Sending { channel: Channel::Rtcp, to, len: self.seal(out, len, What::Rtcp)? }),
        }
    }

    /// The length on the wire of a plain leg's packet.
    fn seal(&mut self, buf: &mut [u8], len: usize, what: What) -> Option<usize> {
        match self.secure.as_mut().filter(|secure| secure.is_on()) {
            Some(secure) => secure.seal(buf, len, what).ok(),
            None => Some(len),
        }
    }

    fn seal_rtp(&mut self, to: SocketAddr, buf: &mut [u8], len: usize) -> Option<Sending> {
        match &mut self.browser {
            Some(browser) => browser.seal_rtp(to, buf, len),
            None => Some(Sending { channel: Channel::Rtp, to, len: self.seal(buf, len, What::Rtp)? }),
        }
    }

    fn build_report(&mut self, now: Time, out: &mut [u8]) -> usize {
        let packets = self.line.packets();
        let sender = (packets > self.report.packets_before).then(|| SenderInfo {
            ntp: rtcp::ntp(now),
            rtp_timestamp: self.line.timestamp_at(now),
            packets: packets as u32,
            octets: self.line.octets() as u32,
        });
        self.report.packets_before = packets;
        let last_sr = self.report.last_sr;
        let block = self.source.stats_mut().map(|stats| ReportBlock {
            ssrc: stats.ssrc(),
            fraction_lost: stats.take_fraction_lost(),
            lost: i32::try_from(stats.lost()).unwrap_or(i32::MAX),
            highest_sequence: stats.extended_highest(),
            jitter: stats.jitter(),
            last_sr: last_sr.map_or(0, |(ntp, _)| ntp),
            delay_since_last_sr: last_sr
                .map_or(0, |(_, at)| rtcp::ntp_middle(rtcp::ntp(Time::ZERO + now.since(at)))),
        });
        let report = Report {
            ssrc: self.line.ssrc(),
            sender,
            block,
            cname: &self.report.cname,
            bye: self.is_ending(),
            extended: self.extended_report(now),
        };
        rtcp::compound(&report, out)
    }
}

fn write_event_packet(
    format: Format,
    ssrc: u32,
    stamp: Stamp,
    event: Event,
    out: &mut [u8],
) -> Option<usize> {
    let payload = event.payload();
    let packet = out.get_mut(..HEADER_LEN + payload.len())?;
    rtp::write_header(packet, format.dtmf?, ssrc, stamp);
    packet.get_mut(HEADER_LEN..)?.copy_from_slice(&payload);
    Some(packet.len())
}
