//! What a description says of Opus (RFC 7587 §6.1, 7).

use std::fmt;

/// The parameters of an `a=fmtp` line for Opus: what the side that writes it wants to receive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpusFormat {
    /// The highest sample rate that it plays, 8,000 to 48,000.
    pub max_playback_rate_hz: u32,
    /// The highest average bit rate that it takes, 6,000 to 510,000.
    pub max_average_bitrate_bps: Option<u32>,
    /// Whether it can use in-band forward error correction.
    pub in_band_fec: bool,
    /// Whether it would rather get nothing in pauses.
    pub dtx: bool,
    /// Whether it prefers two channels. We send one.
    pub stereo: bool,
    /// Whether it wants a constant bit rate.
    pub constant_bitrate: bool,
}

impl Default for OpusFormat {
    /// What holds where nothing is said.
    fn default() -> OpusFormat {
        OpusFormat {
            max_playback_rate_hz: 48_000,
            max_average_bitrate_bps: None,
            in_band_fec: false,
            dtx: false,
            stereo: false,
            constant_bitrate: false,
        }
    }
}

impl OpusFormat {
    /// What we say ourselves: we play 16 kHz and use error correction.
    pub(crate) fn ours() -> OpusFormat {
        OpusFormat { max_playback_rate_hz: 16_000, in_band_fec: true, ..OpusFormat::default() }
    }

    /// Reads what stands after the number. Unknown parameters and values out of range are passed over.
    pub(crate) fn parse(parameters: &str) -> OpusFormat {
        let mut format = OpusFormat::default();
        for (name, value) in parameters.split(';').filter_map(|p| p.trim().split_once('=')) {
            let (name, value) = (name.trim(), value.trim());
            let flag = value == "1";
            match name.to_ascii_lowercase().as_str() {
                "maxplaybackrate" => {
                    if let Some(hz) = value.parse().ok().filter(|hz| (8_000..=48_000).contains(hz)) {
                        format.max_playback_rate_hz = hz;
                    }
                }
                "maxaveragebitrate" => {
                    format.max_average_bitrate_bps =
                        value.parse().ok().filter(|bps| (6_000..=510_000).contains(bps));
                }
                "useinbandfec" => format.in_band_fec = flag,
                "usedtx" => format.dtx = flag,
                "stereo" => format.stereo = flag,
                "cbr" => format.constant_bitrate = flag,
                _ => {}
            }
        }
        format
    }
}

impl fmt::Display for OpusFormat {
    /// Only what differs from the defaults; nothing when nothing does.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut between = "";
        let mut put = |name: &str, value: Option<u32>| {
            let Some(value) = value else { return Ok(()) };
            write!(f, "{between}{name}={value}")?;
            between = ";";
            Ok(())
        };
        let flag = |set: bool| set.then_some(1);
        put("maxplaybackrate", Some(self.max_playback_rate_hz).filter(|hz| *hz != 48_000))?;
        put("maxaveragebitrate", self.max_average_bitrate_bps)?;
        put("useinbandfec", flag(self.in_band_fec))?;
        put("usedtx", flag(self.dtx))?;
        put("stereo", flag(self.stereo))?;
        put("cbr", flag(self.constant_bitrate))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_read_as_they_are_written() {
        let format = OpusFormat {
            max_playback_rate_hz: 16_000,
            max_average_bitrate_bps: Some(20_000),
            in_band_fec: true,
            dtx: true,
            stereo: false,
            constant_bitrate: true,
        };
        let text = format.to_string();
        assert_eq!(text, "maxplaybackrate=16000;maxaveragebitrate=20000;useinbandfec=1;usedtx=1;cbr=1");
        assert_eq!(OpusFormat::parse(&text), format);
        assert_eq!(OpusFormat::default().to_string(), "");
    }

    #[test]
    fn browsers_and_odd_lines() {
        let chromium = OpusFormat::parse("minptime=10;useinbandfec=1");
        assert_eq!(chromium, OpusFormat { in_band_fec: true, ..OpusFormat::default() });
        let odd =
            OpusFormat::parse(" MaxPlaybackRate = 999999 ; usedtx=yes; ;=;stereo=1;maxaveragebitrate=1");
        assert_eq!(odd, OpusFormat { stereo: true, ..OpusFormat::default() });
    }
}
