//! Agents whose WebRTC is not ours: peers of the webrtc crate, as many as it has the CPU for.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use anyhow::{Context, ensure};
use bytes::Bytes;
use rtc::interceptor::Registry;
use rtc::media_stream::MediaStreamTrack;
use rtc::peer_connection::configuration::media_engine::{MIME_TYPE_PCMU, MediaEngine};
use rtc::peer_connection::configuration::setting_engine::SettingEngineBuilder;
use rtc::peer_connection::sdp::RTCSessionDescription;
use rtc::rtp_transceiver::rtp_sender::{
    RTCRtpCodec, RTCRtpCodecParameters, RTCRtpCodingParameters, RTCRtpEncodingParameters, RtpCodecKind,
};
use rtc::shared::marshal::Unmarshal;
use tokio::runtime::Runtime;
use tokio::sync::Notify;
use webrtc::media_stream::track_local::TrackLocal;
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;
use webrtc::media_stream::track_remote::{TrackRemote, TrackRemoteEvent};
use webrtc::peer_connection::{
    PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler, RTCIceGatheringState,
    RTCPeerConnectionState,
};
use webrtc::runtime::default_runtime;

use super::browser::CONNECT_WITHIN;
use super::load::{SAMPLES, SLOTS, stamped};

const SSRC: u32 = 7;

/// The agents of some calls.
pub(super) struct Peers {
    runtime: Runtime,
    all: Vec<Peer>,
}

struct Peer {
    connection: Arc<dyn PeerConnection>,
    voice: Arc<TrackLocalStaticRTP>,
    seen: Arc<Seen>,
}

/// What a peer tells of itself.
#[derive(Default)]
struct Seen {
    gathered: Notify,
    connected: Notify,
    /// Whole packets that were heard and not counted yet.
    heard: AtomicU64,
}

struct Handler(Arc<Seen>);

#[async_trait::async_trait]
impl PeerConnectionEventHandler for Handler {
    async fn on_ice_gathering_state_change(&self, state: RTCIceGatheringState) {
        if state == RTCIceGatheringState::Complete {
            self.0.gathered.notify_one();
        }
    }

    async fn on_connection_state_change(&self, state: RTCPeerConnectionState) {
        if state == RTCPeerConnectionState::Connected {
            self.0.connected.notify_one();
        }
    }

    async fn on_track(&self, track: Arc<dyn TrackRemote>) {
        let seen = Arc::clone(&self.0);
        tokio::spawn(async move {
            while let Some(event) = track.poll().await {
                if let TrackRemoteEvent::OnRtpPacket(packet) = event {
                    seen.heard.fetch_add(u64::from(packet.payload.len() == SAMPLES), Relaxed);
                }
            }
        });
    }
}

impl Peers {
    /// So many, and what they offer.
    pub(super) fn new(count: usize) -> anyhow::Result<(Peers, Vec<String>)> {
        let runtime = Runtime::new()?;
        let (mut all, mut offers) = (Vec::with_capacity(count), Vec::with_capacity(count));
        for _ in 0..count {
            let (peer, offer) = runtime.block_on(Peer::new())?;
            all.push(peer);
            offers.push(offer);
        }
        Ok((Peers { runtime, all }, offers))
    }

    /// All of them take the relay's answers and connect.
    pub(super) fn connect(&self, answers: Vec<String>) -> anyhow::Result<()> {
        ensure!(answers.len() == self.all.len(), "{} answers to {} peers", answers.len(), self.all.len());
        self.runtime.block_on(async {
            for (peer, answer) in self.all.iter().zip(answers) {
                peer.connection.set_remote_description(RTCSessionDescription::answer(answer)?).await?;
            }
            let until = tokio::time::Instant::now() + CONNECT_WITHIN;
            for peer in &self.all {
                let connected = tokio::time::timeout_at(until, peer.seen.connected.notified()).await;
                connected.context("a peer of the webrtc crate does not connect")?;
            }
            Ok(())
        })
    }

    /// What the peers of a slot say; gives how many packets.
    pub(super) fn say(&self, slot: usize, packet: &[u8]) -> anyhow::Result<u64> {
        let mut said = 0;
        for peer in self.all.iter().skip(slot).step_by(SLOTS) {
            let mut bytes = Bytes::from(stamped(packet));
            let mut packet = rtc::rtp::Packet::unmarshal(&mut bytes)?;
            packet.header.ssrc = SSRC;
            self.runtime.block_on(peer.voice.write_rtp(packet))?;
            said += 1;
        }
        Ok(said)
    }

    /// What the peers of a slot heard.
    pub(super) fn hear(&self, slot: usize) -> u64 {
        self.all.iter().skip(slot).step_by(SLOTS).map(|peer| peer.seen.heard.swap(0, Relaxed)).sum()
    }
}

impl Peer {
    async fn new() -> anyhow::Result<(Peer, String)> {
        let codec = RTCRtpCodec {
            mime_type: MIME_TYPE_PCMU.to_owned(),
            clock_rate: 8_000,
            channels: 1,
            ..RTCRtpCodec::default()
        };
        let mut media = MediaEngine::default();
        let parameters =
            RTCRtpCodecParameters { rtp_codec: codec.clone(), ..RTCRtpCodecParameters::default() };
        media.register_codec(parameters, RtpCodecKind::Audio)?;
        let settings = SettingEngineBuilder::new().with_include_loopback_candidate(true).build();
        let seen = Arc::new(Seen::default());
        let connection = PeerConnectionBuilder::new()
            .with_media_engine(media)
            .with_setting_engine(settings)
            .with_interceptor_registry(Registry::new())
            .with_handler(Arc::new(Handler(Arc::clone(&seen))))
            .with_runtime(default_runtime().context("the webrtc crate was built without a runtime")?)
            .with_udp_addrs(vec!["127.0.0.1:0"])
            .build()
            .await?;
        let coding = RTCRtpCodingParameters { ssrc: Some(SSRC), ..RTCRtpCodingParameters::default() };
        let encoding = RTCRtpEncodingParameters {
            rtp_coding_parameters: coding,
            codec,
            ..RTCRtpEncodingParameters::default()
        };
        let [stream, track, label] = ["stream", "track", "voice"].map(String::from);
        let track = MediaStreamTrack::new(stream, track, label, RtpCodecKind::Audio, vec![encoding]);
        let voice = Arc::new(TrackLocalStaticRTP::new(track));
        connection.add_track(Arc::clone(&voice) as _).await?;
        let offer = connection.create_offer(None).await?;
        connection.set_local_description(offer).await?;
        tokio::time::timeout(CONNECT_WITHIN, seen.gathered.notified()).await.context("no candidates")?;
        let offer = connection.local_description().await.context("no offer")?.sdp;
        Ok((Peer { connection: Arc::new(connection), voice, seen }, offer))
    }
}
