//! Accepting connections.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use super::connect::set_options;
use super::connection::{line, serve};
use super::wire::{Io, Wire};
use super::{Common, Opened, Report, Slot, StreamSocket, Who};
use crate::endpoint::SocketId;
use crate::transport::Transport;

/// Accepts for one socket, for ever. Over a limit the newest is refused: those that are there may carry calls.
pub(super) async fn run(common: Arc<Common>, socket: SocketId, listener: TcpListener) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => match common.enter(Some(peer.ip())) {
                Some(slot) => {
                    tokio::spawn(accepted(common.clone(), socket, stream, peer, slot));
                }
                None => {
                    common.stats.connections_refused.add(1);
                    // A reset, so that nothing of it stays here.
                    let _ = stream.set_zero_linger();
                }
            },
            // The peer was gone already, or there are no descriptors left.
            Err(_) => sleep(crate::limits::ACCEPT_REST).await,
        }
    }
}

async fn accepted(common: Arc<Common>, socket: SocketId, stream: TcpStream, peer: SocketAddr, slot: Slot) {
    let Some(local) = common.socket(socket) else { return };
    let Ok(Ok(wire)) = timeout(common.times.handshake, shake(&common, local, stream)).await else {
        return common.stats.connections_failed.add(1);
    };
    let (line, queue) = line();
    let who = Who { id: common.next_id(), socket, peer, made: false };
    if common.reports.send(Report::Opened(Opened { who, line })).await.is_err() {
        return;
    }
    common.stats.connections_accepted.add(1);
    // What went wrong on it is the peer's affair; whether anything came is counted.
    let _ = serve(&common, who, wire, queue).await;
    drop(slot);
    let _ = common.reports.send(Report::Closed(who.id)).await;
}

async fn shake(common: &Common, local: &StreamSocket, stream: TcpStream) -> io::Result<Wire> {
    set_options(&stream)?;
    let io: Box<dyn Io> = if local.transport.is_secure() {
        let config = common.tls.borrow().as_ref().map(|tls| tls.server.clone());
        let acceptor = TlsAcceptor::from(config.ok_or(io::ErrorKind::NotFound)?);
        Box::new(acceptor.accept(stream).await?)
    } else {
        Box::new(stream)
    };
    match local.transport {
        Transport::Ws | Transport::Wss => Wire::accept_websocket(io, &local.origins).await,
        _ => Ok(Wire::stream(io)),
    }
}
