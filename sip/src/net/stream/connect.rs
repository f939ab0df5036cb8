//! Making a connection.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::connection::{Outgoing, serve};
use super::wire::Wire;
use super::{Common, Report, StreamSocket, Who};
use crate::limits;

/// Makes a connection and serves it. Over TLS the peer must be `name`, or its address when there is none.
pub(super) async fn run(common: Arc<Common>, who: Who, name: Option<Arc<str>>, queue: Outgoing) {
    let slot = common.enter(None);
    let made = match &slot {
        Some(_) => make(&common, who, name.as_deref()).await,
        None => Err(io::Error::other("too many connections")),
    };
    match made {
        Ok(wire) => {
            common.stats.connections_made.add(1);
            if let Err(error) = serve(&common, who, wire, queue).await {
                common.remember(who, &error);
            }
        }
        Err(error) => {
            common.stats.connections_failed.add(1);
            common.remember(who, &error);
        }
    }
    drop(slot);
    let _ = common.reports.send(Report::Closed(who.id)).await;
}

async fn make(common: &Common, who: Who, name: Option<&str>) -> io::Result<Wire> {
    let late = |what: &str| io::Error::new(io::ErrorKind::TimedOut, what);
    let socket = common.socket(who.socket).ok_or(io::ErrorKind::NotFound)?;
    let connected = timeout(common.times.connect, connect(socket, who.peer)).await;
    let stream = connected.map_err(|_| late("no answer to the connection"))??;
    if !socket.transport.is_secure() {
        return Ok(Wire::stream(Box::new(stream)));
    }
    let address = who.peer.ip().to_string();
    let key = name.map_or(address, str::to_ascii_lowercase);
    let config = common.tls.borrow().as_ref().map(|tls| tls.clients.get(&key).unwrap_or(&tls.client).clone());
    let config = config.ok_or(io::ErrorKind::NotFound)?;
    let name = match name {
        Some(name) => ServerName::try_from(name.to_owned()).map_err(io::Error::other)?,
        None => ServerName::from(who.peer.ip()),
    };
    let shaken = timeout(common.times.handshake, TlsConnector::from(config).connect(name, stream)).await;
    Ok(Wire::stream(Box::new(shaken.map_err(|_| late("the handshake took too long"))??)))
}

async fn connect(local: &StreamSocket, to: SocketAddr) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    let mut from = local.bound;
    if local.fixed_source_port {
        // The listening socket has the port too, and says the same.
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(true)?;
    } else {
        from.set_port(0);
    }
    // Carriers know us by our address.
    if !from.ip().is_unspecified() || from.port() != 0 {
        socket.bind(&from.into())?;
    }
    let stream = TcpSocket::from_std_stream(socket.into()).connect(to).await?;
    set_options(&stream)?;
    Ok(stream)
}

/// What every connection has, whoever made it.
pub(super) fn set_options(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    let keepalive =
        TcpKeepalive::new().with_time(limits::TCP_KEEPALIVE).with_interval(limits::TCP_KEEPALIVE / 4);
    socket.set_tcp_keepalive(&keepalive)?;
    #[cfg(any(target_os = "linux", target_os = "android"))]
    socket.set_tcp_user_timeout(Some(limits::TCP_USER_TIMEOUT))?;
    Ok(())
}
