//! Browsers' connections over TCP, for agents whose network lets no UDP out: the browser connects to a candidate of type
//! passive (RFC 6544), datagrams go with their length before them (RFC 4571), and to the relay they are as those of UDP,
//! from a source that names the connection.
//!
//! Connections are cheap to open and cost memory, so a connection that has not brought an authentic check within seconds
//! is closed, and when there is no room the oldest of those gives way to a new one.

use std::collections::HashMap;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use kraliki_time::Time;
use kraliki_udp::Poller;
use socket2::SockRef;

use crate::limits::{
    STREAM_ACCEPTS, STREAM_IDLE, STREAM_READ_BYTES, STREAM_SEND_BUFFER_BYTES, STREAM_SETUP, STREAMS,
};
use crate::webrtc::{StreamId, TransportAddress};

/// The token of the listener.
pub(super) const LISTENER: u64 = u64::MAX - 2;
/// The bit that makes a connection's number its token.
const STREAM: u64 = 1 << 62;
/// How often connections are looked through.
const SWEEP_EVERY: Duration = Duration::from_secs(1);
/// Bytes of a frame's length.
const LENGTH: usize = 2;

/// What a read gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// Something; there may be more.
    Some,
    /// Nothing more for now.
    Nothing,
    /// The connection is over.
    Closed,
}

/// What lies in front of a connection's input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// A datagram of that length, copied out.
    Datagram(usize),
    /// Not a whole one yet.
    Incomplete,
    /// A length that no datagram has: not a browser.
    Broken,
}

struct Stream {
    socket: TcpStream,
    from: SocketAddr,
    opened: Time,
    heard: Time,
    /// Less than a frame, between two reads.
    input: Vec<u8>,
    /// The rest of a frame of which the kernel took only the beginning.
    output: Vec<u8>,
}

/// The connections of a shard.
pub(super) struct Streams {
    listener: TcpListener,
    /// Walked only to close some.
    open: HashMap<StreamId, Stream>,
    last: u64,
    sweep: Time,
}

/// The connection of a token, if it is one's.
pub(super) fn stream_of(token: u64) -> Option<StreamId> {
    (token >> 62 == 1).then_some(StreamId(token ^ STREAM))
}

impl Streams {
    pub(super) fn new(listener: TcpListener) -> Streams {
        Streams { listener, open: HashMap::new(), last: 0, sweep: Time::ZERO }
    }

    pub(super) fn listener(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }

    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    /// Where a connection's datagrams come from.
    pub(super) fn source(&self, id: StreamId) -> Option<TransportAddress> {
        self.open.get(&id).map(|stream| TransportAddress { address: stream.from, stream: Some(id) })
    }

    /// Takes connections that wait. True when there may be more.
    pub(super) fn accept(
        &mut self,
        now: Time,
        poller: &Poller,
        is_known: impl Fn(TransportAddress) -> bool,
    ) -> bool {
        for _ in 0..STREAM_ACCEPTS {
            match self.listener.accept() {
                Ok((socket, from)) => {
                    if self.open.len() >= STREAMS && !self.make_room(&is_known) {
                        continue;
                    }
                    if let Err(error) = self.take(now, poller, socket, from) {
                        tracing::debug!(%error, %from, "a browser's connection cannot be used");
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
                // One that is gone already, or no file left for it: the next may do.
                Err(_) => {}
            }
        }
        true
    }

    fn take(&mut self, now: Time, poller: &Poller, socket: TcpStream, from: SocketAddr) -> io::Result<()> {
        socket.set_nonblocking(true)?;
        // Each datagram counts: none waits for the next to fill a segment.
        socket.set_nodelay(true)?;
        SockRef::from(&socket).set_send_buffer_size(STREAM_SEND_BUFFER_BYTES)?;
        self.last += 1;
        poller.add_stream(socket.as_fd(), self.last | STREAM)?;
        if self.open.is_empty() {
            self.sweep = now + SWEEP_EVERY;
        }
        let from = SocketAddr::new(from.ip().to_canonical(), from.port());
        let stream = Stream { socket, from, opened: now, heard: now, input: Vec::new(), output: Vec::new() };
        self.open.insert(StreamId(self.last), stream);
        Ok(())
    }

    /// Closes the oldest connection that is no browser's.
    fn make_room(&mut self, is_known: impl Fn(TransportAddress) -> bool) -> bool {
        let strangers = self
            .open
            .iter()
            .filter(|(id, stream)| !is_known(TransportAddress { address: stream.from, stream: Some(**id) }));
        let oldest = strangers.map(|(id, _)| *id).min();
        oldest.is_some_and(|id| self.open.remove(&id).is_some())
    }

    /// Reads once from a connection that is ready.
    pub(super) fn read(&mut self, now: Time, id: StreamId) -> Taken {
        let Some(stream) = self.open.get_mut(&id) else { return Taken::Nothing };
        if stream.flush().is_err() {
            return Taken::Closed;
        }
        let mut bytes = [0; STREAM_READ_BYTES];
        match stream.socket.read(&mut bytes) {
            Ok(0) => Taken::Closed,
            Ok(len) => {
                stream.heard = now;
                stream.input.extend_from_slice(bytes.get(..len).unwrap_or_default());
                Taken::Some
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Taken::Nothing,
            Err(error) if error.kind() == ErrorKind::Interrupted => Taken::Some,
            Err(_) => Taken::Closed,
        }
    }

    /// Takes the next datagram of what was read; one that does not fit into `out` is none.
    pub(super) fn next_frame(&mut self, id: StreamId, out: &mut [u8]) -> Frame {
        let Some(stream) = self.open.get_mut(&id) else { return Frame::Incomplete };
        let Some((length, rest)) = stream.input.split_first_chunk::<LENGTH>() else {
            return Frame::Incomplete;
        };
        let length = usize::from(u16::from_be_bytes(*length));
        let Some(room) = out.get_mut(..length).filter(|_| length > 0) else { return Frame::Broken };
        let Some(datagram) = rest.get(..length) else { return Frame::Incomplete };
        room.copy_from_slice(datagram);
        stream.input.drain(..LENGTH + length);
        Frame::Datagram(length)
    }

    /// Sends a datagram, or drops it: what cannot leave at once would be late.
    pub(super) fn send(&mut self, id: StreamId, datagram: &[u8]) -> bool {
        self.open.get_mut(&id).is_some_and(|stream| stream.send(datagram))
    }

    /// Ends a connection; the poller forgets a socket that is closed.
    pub(super) fn close(&mut self, id: StreamId) {
        self.open.remove(&id);
    }

    /// When [`Streams::handle_timeout`] is due.
    pub(super) fn timeout(&self) -> Time {
        if self.open.is_empty() { Time::MAX } else { self.sweep }
    }

    /// Closes connections that are no browser's, or whose browser is gone.
    pub(super) fn handle_timeout(&mut self, now: Time, is_known: impl Fn(TransportAddress) -> bool) {
        if now < self.sweep || self.open.is_empty() {
            return;
        }
        self.sweep = now + SWEEP_EVERY;
        self.open.retain(|id, stream| {
            let source = TransportAddress { address: stream.from, stream: Some(*id) };
            now.since(stream.heard) < STREAM_IDLE
                && (now.since(stream.opened) < STREAM_SETUP || is_known(source))
        });
    }
}

impl Stream {
    fn send(&mut self, datagram: &[u8]) -> bool {
        let Ok(length) = u16::try_from(datagram.len()) else { return false };
        if self.flush().is_err() || !self.output.is_empty() {
            return false;
        }
        let length = length.to_be_bytes();
        match self.socket.write_vectored(&[IoSlice::new(&length), IoSlice::new(datagram)]) {
            Ok(sent) => {
                // A frame that has begun must be ended.
                let frame = length.iter().chain(datagram);
                self.output.extend(frame.skip(sent));
                true
            }
            // A connection that is over is noticed when it is read.
            Err(_) => false,
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        while !self.output.is_empty() {
            match self.socket.write(&self.output) {
                Ok(sent) => drop(self.output.drain(..sent)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use kraliki_udp::Waker;

    use super::*;

    fn at(ms: u64) -> Time {
        Time::from_millis(ms)
    }

    struct Rig {
        streams: Streams,
        poller: Poller,
        address: SocketAddr,
    }

    impl Rig {
        fn new() -> Rig {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            listener.set_nonblocking(true).unwrap();
            let address = listener.local_addr().unwrap();
            Rig {
                streams: Streams::new(listener),
                poller: Poller::new(&Waker::new().unwrap()).unwrap(),
                address,
            }
        }

        fn connect(&mut self, now: Time) -> (TcpStream, StreamId) {
            let socket = TcpStream::connect(self.address).unwrap();
            let before = self.streams.last;
            // The kernel hands a connection over when it likes.
            while self.streams.last == before {
                assert!(!self.streams.accept(now, &self.poller, |_| false));
            }
            (socket, StreamId(self.streams.last))
        }

        /// Reads until something was taken, or the end is seen.
        fn read(&mut self, now: Time, id: StreamId) -> Taken {
            loop {
                match self.streams.read(now, id) {
                    Taken::Nothing => std::thread::yield_now(),
                    taken => return taken,
                }
            }
        }
    }

    #[test]
    fn frames_come_out_whole_however_they_arrive() {
        let mut rig = Rig::new();
        let (mut far, id) = rig.connect(at(0));
        assert_eq!(rig.streams.source(id).unwrap().address, far.local_addr().unwrap());
        let mut out = [0; 100];
        for (piece, wanted) in [
            (&[0][..], vec![]),
            (&[3, 1, 2], vec![]),
            (&[3, 0, 1, 9, 0], vec![&[1, 2, 3][..], &[9]]),
            (&[2, 7, 7, 0, 1], vec![&[7, 7]]),
        ] {
            far.write_all(piece).unwrap();
            assert_eq!(rig.read(at(1), id), Taken::Some);
            for datagram in wanted {
                assert_eq!(rig.streams.next_frame(id, &mut out), Frame::Datagram(datagram.len()));
                assert_eq!(&out[..datagram.len()], datagram);
            }
            assert_eq!(rig.streams.next_frame(id, &mut out), Frame::Incomplete);
        }
        // 1, and then a frame of 256 bytes, more than the room.
        far.write_all(&[5, 1, 0]).unwrap();
        rig.read(at(1), id);
        assert_eq!(rig.streams.next_frame(id, &mut out), Frame::Datagram(1));
        assert_eq!(rig.streams.next_frame(id, &mut out), Frame::Broken);
        let (mut far, id) = rig.connect(at(0));
        far.write_all(&[0, 0]).unwrap();
        rig.read(at(1), id);
        assert_eq!(rig.streams.next_frame(id, &mut out), Frame::Broken, "an empty one");
        drop(far);
        assert_eq!(rig.read(at(1), id), Taken::Closed);
    }

    #[test]
    fn a_far_end_that_does_not_read_loses_datagrams_and_no_frame_is_torn() {
        let mut rig = Rig::new();
        let (mut far, id) = rig.connect(at(0));
        let (mut taken, mut refused) = (0u32, 0);
        while refused < 10 {
            let datagram = [taken as u8; 1_000];
            if rig.streams.send(id, &datagram) {
                taken += 1;
            } else {
                refused += 1;
            }
            assert!(rig.streams.open[&id].output.len() < 1_002);
        }
        assert!(taken > 3, "{taken} of 1,000 bytes");
        let mut heard = 0u32;
        while heard < taken {
            let mut frame = [0; 1_002];
            let mut have = 0;
            far.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
            while have < frame.len() {
                match far.read(&mut frame[have..]) {
                    Ok(len) => have += len,
                    // The rest waits for a wake-up.
                    Err(_) => assert_ne!(rig.streams.read(at(1), id), Taken::Closed),
                }
            }
            assert_eq!(frame[..2], 1_000u16.to_be_bytes());
            assert!(frame[2..].iter().all(|byte| *byte == heard as u8));
            heard += 1;
        }
        assert!(rig.streams.send(id, &[1]));
    }

    #[test]
    fn connections_that_say_nothing_are_closed_and_browsers_stay() {
        let mut rig = Rig::new();
        let (_silent, silent) = rig.connect(at(0));
        let (mut browser, known) = rig.connect(at(0));
        assert_eq!(rig.streams.timeout(), at(1_000));
        let is_known = |source: TransportAddress| source.stream == Some(known);
        for second in 1..=STREAM_SETUP.as_secs() {
            rig.streams.handle_timeout(at(second * 1_000), is_known);
        }
        assert!(rig.streams.source(silent).is_none() && rig.streams.source(known).is_some());
        for second in 6..100 {
            browser.write_all(&[0, 1, 1]).unwrap();
            rig.read(at(second * 1_000), known);
            while rig.streams.next_frame(known, &mut [0; 10]) != Frame::Incomplete {}
            rig.streams.handle_timeout(at(second * 1_000), is_known);
        }
        assert_eq!(rig.streams.len(), 1);
        for second in 100..100 + STREAM_IDLE.as_secs() {
            rig.streams.handle_timeout(at(second * 1_000), is_known);
        }
        assert_eq!((rig.streams.len(), rig.streams.timeout()), (0, Time::MAX));
    }

    #[test]
    fn the_oldest_stranger_makes_room() {
        let mut rig = Rig::new();
        let (_first, first) = rig.connect(at(0));
        let (_second, second) = rig.connect(at(0));
        let is_known = |source: TransportAddress| source.stream == Some(first);
        assert!(rig.streams.make_room(is_known));
        assert!(rig.streams.source(first).is_some() && rig.streams.source(second).is_none());
        assert!(!rig.streams.make_room(is_known), "browsers stay");
    }

    #[test]
    fn tokens_name_streams_and_nothing_else() {
        assert_eq!(stream_of(5 | STREAM), Some(StreamId(5)));
        for other in [0, 5, 4 * 16_384, LISTENER, LISTENER + 1, u64::MAX] {
            assert_eq!(stream_of(other), None);
        }
    }
}
