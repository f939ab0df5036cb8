//! A connection as frames: a stream that is cut into messages, or WebSocket, which keeps them apart (RFC 7118).

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use futures::{Sink, Stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::{HeaderMap, HeaderValue, StatusCode};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};

use crate::error::FrameError;
use crate::frame::{Frame, Framer};
use crate::limits;

/// What carries bytes: TCP, or TLS over it.
pub(in crate::net) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// A connection whose handshakes are done. Write by [`Wire::start_send`] when [`Wire::poll_flush`] is ready.
pub(super) enum Wire {
    /// TCP or TLS.
    Stream(Cut),
    /// WS or WSS.
    WebSocket(Box<WebSocketStream<Box<dyn Io>>>),
}

/// What comes in.
pub(super) enum Came {
    Frame(Frame),
    /// The header block of a message that breaks the stream; nothing can be read after it.
    Broken(Bytes, FrameError),
}

/// A stream and where its messages end.
pub(super) struct Cut {
    io: Box<dyn Io>,
    framer: Framer,
    out: BytesMut,
    flushed: bool,
}

impl Wire {
    /// For TCP and TLS.
    pub(super) fn stream(io: Box<dyn Io>) -> Wire {
        Wire::Stream(Cut { io, framer: Framer::new(), out: BytesMut::new(), flushed: true })
    }

    /// The server's side of WebSocket's handshake. The subprotocol `sip` must be offered (RFC 7118 §4.1), and the
    /// page must be from one of `origins`, when there are any. Any path will do.
    pub(super) async fn accept_websocket(io: Box<dyn Io>, origins: &[String]) -> io::Result<Wire> {
        let config = WebSocketConfig::default()
            .read_buffer_size(limits::STREAM_READ_BYTES)
            .write_buffer_size(limits::STREAM_WRITE_BYTES)
            .max_message_size(Some(limits::MESSAGE_BYTES))
            .max_frame_size(Some(limits::MESSAGE_BYTES));
        #[allow(clippy::result_large_err)] // tungstenite's type
        let look = |request: &Request, response: Response| admit(request, response, origins);
        let socket = tokio_tungstenite::accept_hdr_async_with_config(io, look, Some(config)).await;
        socket.map(|socket| Wire::WebSocket(Box::new(socket))).map_err(io::Error::other)
    }

    /// The next frame; none at the end.
    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Came>>> {
        match self {
            Wire::Stream(cut) => cut.poll_frame(cx),
            Wire::WebSocket(socket) => loop {
                match ready!(Pin::new(&mut *socket).poll_next(cx)) {
                    None => return Poll::Ready(Ok(None)),
                    Some(Ok(Message::Text(text))) => {
                        return Poll::Ready(Ok(Some(Came::Frame(frame(text.as_bytes())))));
                    }
                    Some(Ok(Message::Binary(data))) => {
                        return Poll::Ready(Ok(Some(Came::Frame(frame(&data)))));
                    }
                    // Tungstenite has answered the ping. Either says as much as a line break.
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => {
                        return Poll::Ready(Ok(Some(Came::Frame(Frame::Pong))));
                    }
                    // The end follows.
                    Some(Ok(Message::Close(_) | Message::Frame(_))) => {}
                    Some(Err(error)) => return Poll::Ready(Err(io::Error::other(error))),
                }
            },
        }
    }

    /// Takes a message that is to be written.
    pub(super) fn start_send(&mut self, bytes: Bytes) -> io::Result<()> {
        match self {
            Wire::Stream(cut) => {
                cut.out.extend_from_slice(&bytes);
                cut.flushed = false;
                Ok(())
            }
            Wire::WebSocket(socket) => {
                // RFC 7118 §4.2: text, which must be UTF-8, or binary.
                let message = match Utf8Bytes::try_from(bytes.clone()) {
                    Ok(text) => Message::Text(text),
                    Err(_) => Message::Binary(bytes),
                };
                Pin::new(&mut **socket).start_send(message).map_err(io::Error::other)
            }
        }
    }

    /// Whether one more message fits in what is written at once.
    pub(super) fn has_room(&self) -> bool {
        match self {
            Wire::Stream(cut) => cut.out.len() < limits::STREAM_WRITE_BYTES,
            Wire::WebSocket(_) => false,
        }
    }

    /// Writes what was taken; ready when all is on its way.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Wire::Stream(cut) => cut.poll_flush(cx),
            Wire::WebSocket(socket) => Pin::new(&mut **socket).poll_flush(cx).map_err(io::Error::other),
        }
    }

    /// Says goodbye: TLS' close_notify, WebSocket's close, TCP's FIN.
    pub(super) fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Wire::Stream(cut) => {
                ready!(cut.poll_flush(cx))?;
                Pin::new(&mut cut.io).poll_shutdown(cx)
            }
            Wire::WebSocket(socket) => match ready!(Pin::new(&mut **socket).poll_close(cx)) {
                Ok(()) | Err(Error::AlreadyClosed) => Poll::Ready(Ok(())),
                Err(error) => Poll::Ready(Err(io::Error::other(error))),
            },
        }
    }
}

impl Cut {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Came>>> {
        loop {
            match self.framer.next() {
                Ok(Some(frame)) => return Poll::Ready(Ok(Some(Came::Frame(frame)))),
                Ok(None) => {}
                Err(error) => {
                    let head = self.framer.broken_head().map(Bytes::copy_from_slice);
                    let broken = head.map(|head| Some(Came::Broken(head, error)));
                    return Poll::Ready(broken.ok_or_else(|| io::Error::other(error)));
                }
            }
            let mut chunk = [0; limits::STREAM_READ_BYTES];
            let mut chunk = ReadBuf::new(&mut chunk);
            ready!(Pin::new(&mut self.io).poll_read(cx, &mut chunk))?;
            if chunk.filled().is_empty() {
                return Poll::Ready(Ok(None));
            }
            self.framer.push(chunk.filled());
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.flushed {
            return Poll::Ready(Ok(()));
        }
        while !self.out.is_empty() {
            match ready!(Pin::new(&mut self.io).poll_write(cx, &self.out))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.out.advance(written),
            }
        }
        ready!(Pin::new(&mut self.io).poll_flush(cx))?;
        self.flushed = true;
        // An idle connection holds no buffer.
        self.out = BytesMut::new();
        Poll::Ready(Ok(()))
    }
}

/// What one WebSocket message holds: a SIP message, or a keep-alive as over a stream.
fn frame(data: &[u8]) -> Frame {
    match data {
        b"\r\n\r\n" => Frame::Ping,
        _ if data.iter().all(|b| matches!(b, b'\r' | b'\n' | 0)) => Frame::Pong,
        // A copy: a call that keeps a few bytes of it must not keep all that was read with it.
        _ => Frame::Message(Bytes::copy_from_slice(data)),
    }
}

const SUBPROTOCOL: &str = "sip";

#[allow(clippy::result_large_err)] // tungstenite's type
fn admit(request: &Request, mut response: Response, origins: &[String]) -> Result<Response, ErrorResponse> {
    let headers = request.headers();
    let offered = values(headers, "sec-websocket-protocol").any(|name| name == SUBPROTOCOL);
    if !offered {
        return Err(refusal(StatusCode::BAD_REQUEST, "the subprotocol `sip` must be offered"));
    }
    let welcome = |origin: &str| origins.iter().any(|known| known.eq_ignore_ascii_case(origin));
    if !origins.is_empty() && !values(headers, "origin").any(welcome) {
        return Err(refusal(StatusCode::FORBIDDEN, "pages of this origin may not connect"));
    }
    response.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static(SUBPROTOCOL));
    Ok(response)
}

fn values<'a>(headers: &'a HeaderMap, name: &str) -> impl Iterator<Item = &'a str> {
    let lines = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(str::trim)
}

fn refusal(status: StatusCode, why: &str) -> ErrorResponse {
    let mut response = ErrorResponse::new(Some(why.to_owned()));
    *response.status_mut() = status;
    response
}
