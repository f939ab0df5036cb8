//! rtpengine in user space, told what to relay by its ng protocol: bencoded dictionaries over UDP.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use base64::prelude::{BASE64_STANDARD, Engine};

use super::load::{OPUS, key_octets};
use super::{Case, PORT_MAX, PORT_MIN, Srtp};
use crate::process::Process;

pub(super) const PROGRAM: &str = "rtpengine";
/// A request that is not answered is sent again; the cookie tells rtpengine that it is the same one.
const ANSWERS_WITHIN: Duration = Duration::from_millis(500);
const STARTS_WITHIN: Duration = Duration::from_secs(10);

pub(super) struct Rtpengine {
    pub(super) process: Process,
    control: UdpSocket,
    requests: u64,
}

/// What a bencoded message holds: numbers are not looked at.
#[derive(Debug, PartialEq)]
enum Value {
    Text(Vec<u8>),
    List(Vec<Value>),
    Map(BTreeMap<Vec<u8>, Value>),
    Number,
}

impl Rtpengine {
    pub(super) fn start() -> anyhow::Result<Rtpengine> {
        let control = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        control.set_read_timeout(Some(ANSWERS_WITHIN))?;
        let listen = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let mut command = Command::new(PROGRAM);
        // No configuration of this machine, no kernel module.
        command.args(["--config-file=none", "--table=-1", "--foreground", "--interface=127.0.0.1"]);
        command.args(["--log-level=2", "--log-stderr", "--timeout=120", "--silent-timeout=600"]);
        command.arg(format!("--listen-ng={listen}"));
        command.args([format!("--port-min={PORT_MIN}"), format!("--port-max={PORT_MAX}")]);
        let process = Process::peer(&mut command)?;
        control.connect(listen)?;
        let mut rtpengine = Rtpengine { process, control, requests: 0 };
        let began = Instant::now();
        while let Err(error) = rtpengine.ask(&[("command", "ping")]) {
            ensure!(began.elapsed() < STARTS_WITHIN, "rtpengine does not answer: {error:#}");
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(rtpengine)
    }

    /// Sets up a call between two far ends; gives where rtpengine hears the caller and the agent.
    pub(super) fn call(
        &mut self,
        number: usize,
        caller: SocketAddr,
        agent: SocketAddr,
        case: Case,
    ) -> anyhow::Result<(SocketAddr, SocketAddr)> {
        let id = format!("bench-{number}");
        let common = [("call-id", id.as_str()), ("from-tag", "caller"), ("ICE", "remove")];
        let (srtp, opus) = (case.srtp(), case == Case::Opus);
        let offer = sdp(caller, opus, None);
        let mut request = [&common[..], &[("command", "offer"), ("sdp", &offer)]].concat();
        if srtp.is_some() {
            request.extend([("transport-protocol", "RTP/SAVP"), ("DTLS", "off")]);
        }
        // Far ends are where their SDP says, although the request comes from elsewhere.
        let mut flags = vec!["trust-address"];
        if opus {
            flags.extend(["codec-mask-opus", "codec-transcode-PCMU"]);
        }
        let to_agent = self.ask_with(&request, &flags)?;
        let crypto = srtp.map(|srtp| taken_crypto(&to_agent, srtp)).transpose()?;
        let answer = sdp(agent, false, crypto.as_deref());
        let with_tag = [("command", "answer"), ("to-tag", "agent"), ("sdp", &answer)];
        let to_caller = self.ask(&[&common[..], &with_tag].concat())?;
        Ok((heard_at(&to_caller)?, heard_at(&to_agent)?))
    }

    fn ask(&mut self, request: &[(&str, &str)]) -> anyhow::Result<String> {
        self.ask_with(request, &["trust-address"])
    }

    /// Sends a request; gives the answer's SDP, empty if it has none.
    fn ask_with(&mut self, request: &[(&str, &str)], flags: &[&str]) -> anyhow::Result<String> {
        self.requests += 1;
        let cookie = format!("{} ", self.requests);
        let sorted: BTreeMap<&str, &str> = request.iter().copied().collect();
        let mut message = cookie.clone() + "d";
        for (key, value) in &sorted {
            message += &format!("{}:{key}{}:{value}", key.len(), value.len());
        }
        let flags: String = flags.iter().map(|flag| format!("{}:{flag}", flag.len())).collect();
        message += &format!("5:flagsl{flags}ee");
        let mut buffer = [0; 65_535];
        for _ in 0..3 {
            self.control.send(message.as_bytes())?;
            let Ok(bytes) = self.control.recv(&mut buffer) else { continue };
            let answer = buffer.get(..bytes).unwrap_or_default();
            // The late answer to an earlier request is not ours.
            let Some(mut answer) = answer.strip_prefix(cookie.as_bytes()) else { continue };
            let Value::Map(answer) = value(&mut answer)? else { bail!("an answer that is no dictionary") };
            let text = |key: &[u8]| match answer.get(key) {
                Some(Value::Text(text)) => String::from_utf8_lossy(text).into_owned(),
                _ => String::new(),
            };
            let result = text(b"result");
            ensure!(matches!(result.as_str(), "ok" | "pong"), "{result}: {}", text(b"error-reason"));
            return Ok(text(b"sdp"));
        }
        bail!("no answer")
    }
}

fn sdp(address: SocketAddr, opus: bool, crypto: Option<&str>) -> String {
    let (ip, port) = (address.ip(), address.port());
    let proto = if crypto.is_some() { "RTP/SAVP" } else { "RTP/AVP" };
    let crypto = crypto.unwrap_or_default();
    let (number, codec) = if opus { (OPUS, "opus/48000/2") } else { (0, "PCMU/8000") };
    format!(
        "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {port} {proto} {number}\r\n\
         a=rtpmap:{number} {codec}\r\na=sendrecv\r\na=ptime:20\r\n{crypto}"
    )
}

/// The line by which an agent takes one of the suites that rtpengine offers (RFC 4568 §5.1.2).
fn taken_crypto(offer: &str, srtp: Srtp) -> anyhow::Result<String> {
    let suite = srtp.suite();
    let mut offered = offer.lines().filter_map(|line| line.strip_prefix("a=crypto:")?.split_once(' '));
    let tag = offered.find(|(_, rest)| rest.split(' ').next() == Some(suite)).map(|(tag, _)| tag);
    let tag = tag.with_context(|| format!("rtpengine does not offer {suite}"))?;
    let key = BASE64_STANDARD.encode(key_octets(srtp.profile()));
    Ok(format!("a=crypto:{tag} {suite} inline:{key}\r\n"))
}

fn heard_at(sdp: &str) -> anyhow::Result<SocketAddr> {
    let port = sdp.lines().find_map(|line| line.strip_prefix("m=audio ")?.split(' ').next()?.parse().ok());
    Ok((Ipv4Addr::LOCALHOST, port.context("rtpengine gave no port")?).into())
}

/// Reads one value off the front.
fn value(rest: &mut &[u8]) -> anyhow::Result<Value> {
    let until = |rest: &mut &[u8], end: u8| -> anyhow::Result<Vec<u8>> {
        let at = rest.iter().position(|byte| *byte == end).context("an answer that is cut off")?;
        let (head, tail) = rest.split_at(at);
        *rest = tail.get(1..).unwrap_or_default();
        Ok(head.to_vec())
    };
    match rest.first().context("an answer that is cut off")? {
        b'i' => until(rest, b'e').map(|_| Value::Number),
        kind @ (b'l' | b'd') => {
            let is_map = *kind == b'd';
            let mut items = Vec::new();
            *rest = rest.get(1..).unwrap_or_default();
            while rest.first().is_some_and(|byte| *byte != b'e') {
                items.push(value(rest)?);
            }
            until(rest, b'e')?;
            if !is_map {
                return Ok(Value::List(items));
            }
            let mut map = BTreeMap::new();
            let mut items = items.into_iter();
            while let (Some(Value::Text(key)), Some(value)) = (items.next(), items.next()) {
                map.insert(key, value);
            }
            Ok(Value::Map(map))
        }
        _ => {
            let length: usize =
                String::from_utf8(until(rest, b':')?)?.parse().context("a string's length")?;
            ensure!(length <= rest.len(), "an answer that is cut off");
            let (text, tail) = rest.split_at(length);
            *rest = tail;
            Ok(Value::Text(text.to_vec()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read() {
        let mut answer = &b"d6:result2:ok4:tagsd1:ali1e1:xee3:sdp4:v=0\ne"[..];
        let Value::Map(map) = value(&mut answer).unwrap() else { panic!("no dictionary") };
        assert_eq!(map.get(&b"result"[..]), Some(&Value::Text(b"ok".to_vec())));
        assert_eq!(map.get(&b"sdp"[..]), Some(&Value::Text(b"v=0\n".to_vec())));
        assert!(answer.is_empty());
        assert!(value(&mut &b"d3:abc"[..]).is_err());
        assert!(value(&mut &b"9:abc"[..]).is_err());
    }

    #[test]
    fn the_port_is_found() {
        let text = sdp("127.0.0.1:4000".parse().unwrap(), false, None);
        assert_eq!(heard_at(&text).unwrap(), SocketAddr::from(([127, 0, 0, 1], 4_000)));
    }
    #[test]
    fn a_suite_is_taken_by_its_tag() {
        let offer = "m=audio 4000 RTP/SAVP 0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_32 inline:AA\r\n\
                     a=crypto:7 AES_CM_128_HMAC_SHA1_80 inline:AA\r\n";
        let line = taken_crypto(offer, Srtp::Cm).unwrap();
        assert!(line.starts_with("a=crypto:7 AES_CM_128_HMAC_SHA1_80 inline:S0tL"), "{line}");
        assert!(taken_crypto(offer, Srtp::Gcm).is_err());
    }
}
