//! Phones in browsers: SIP over WebSocket (RFC 7118).

use futures::{SinkExt, StreamExt};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::*;
use crate::net::stream::Io;

/// A phone as JsSIP is one: it cannot be reached but by its connection, and says so by `.invalid`.
struct Phone {
    socket: WebSocketStream<Box<dyn Io>>,
    address: SocketAddr,
}

impl Phone {
    async fn connect(end: &End, headers: &[(&'static str, &str)]) -> Result<Phone, Error> {
        let stream = TcpStream::connect(end.address()).await.unwrap();
        let address = stream.local_addr().unwrap();
        Phone::upgrade(Box::new(stream), address, headers).await
    }

    async fn connect_tls(end: &End, authority: &Authority) -> Phone {
        let client = authority.tls().clients.remove(NAME).unwrap();
        let stream = TcpStream::connect(end.address()).await.unwrap();
        let address = stream.local_addr().unwrap();
        let name = rustls::pki_types::ServerName::try_from(NAME).unwrap();
        let stream = tokio_rustls::TlsConnector::from(client).connect(name, stream).await.unwrap();
        Phone::upgrade(Box::new(stream), address, &[("sec-websocket-protocol", "sip")]).await.unwrap()
    }

    async fn upgrade(
        stream: Box<dyn Io>,
        address: SocketAddr,
        headers: &[(&'static str, &str)],
    ) -> Result<Phone, Error> {
        let mut request = format!("ws://{NAME}/any/path").into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        let (socket, response) = soon(tokio_tungstenite::client_async(request, stream)).await?;
        assert_eq!(response.headers()["sec-websocket-protocol"], "sip");
        Ok(Phone { socket, address })
    }

    async fn say(&mut self, text: impl Into<String>) {
        soon(self.socket.send(Message::text(text.into()))).await.unwrap();
    }

    async fn hear(&mut self) -> String {
        match soon(self.socket.next()).await.unwrap().unwrap() {
            Message::Text(text) => text.as_str().to_owned(),
            other => panic!("{other:?}"),
        }
    }
}

fn header<'a>(message: &'a str, name: &str) -> &'a str {
    let line = message.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_once(": ").unwrap().1
}

fn request(transport: Transport, method: &str, to: &str, number: u32, body: &str) -> String {
    let via = transport.via();
    format!(
        "{method} sip:1@{NAME} SIP/2.0\r\nVia: SIP/2.0/{via} x8f2kd.invalid;branch=z9hG4bK{method}{number}\r\n\
         From: <sip:agent@{NAME}>;tag=phone\r\nTo: {to}\r\nCall-ID: ws-call\r\nCSeq: {number} {method}\r\n\
         Max-Forwards: 69\r\nContact: <sip:agent@x8f2kd.invalid;transport=ws>\r\n\
         Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// A call of the phone that our side ends by the same connection.
async fn phone_calls(phone: &mut Phone, end: &mut End, transport: Transport) {
    let to = format!("<sip:1@{NAME}>");
    phone.say(request(transport, "INVITE", &to, 1, "v=0\r\n")).await;
    let Event::Incoming { call, body, .. } = end.told().await else { panic!() };
    assert_eq!(&body.unwrap().data[..], b"v=0\r\n");
    end.sip.answer(call, Some(Body::sdp("v=0\r\na\r\n"))).unwrap();
    let mut answer = phone.hear().await;
    while answer.starts_with("SIP/2.0 1") {
        answer = phone.hear().await;
    }
    assert!(answer.starts_with("SIP/2.0 200 ") && answer.ends_with("\r\n\r\nv=0\r\na\r\n"), "{answer}");
    assert!(header(&answer, "Contact").contains(";transport=ws"), "{answer}");
    phone.say(request(transport, "ACK", header(&answer, "To"), 1, "")).await;
    assert!(matches!(end.told().await, Event::Acknowledged { .. }));
    end.sip.bye(call, None).unwrap();
    let bye = phone.hear().await;
    assert!(bye.starts_with("BYE sip:agent@x8f2kd.invalid;transport=ws SIP/2.0\r\n"), "{bye}");
    let answer: String = ["Via", "From", "To", "Call-ID", "CSeq"]
        .map(|name| format!("{name}: {}\r\n", header(&bye, name)))
        .concat();
    // Over WebSocket a message may do without its Content-Length.
    phone.say(format!("SIP/2.0 200 OK\r\n{answer}\r\n")).await;
    assert!(matches!(end.told().await, Event::Ended { by: EndedBy::Local, .. }));
}

#[tokio::test]
async fn a_phone_calls_over_ws_and_we_hang_up() {
    let mut end = End::new(Transport::Ws);
    let mut phone = Phone::connect(&end, &[("sec-websocket-protocol", "other, sip")]).await.unwrap();
    phone_calls(&mut phone, &mut end, Transport::Ws).await;
    // Both kinds of keep-alive.
    phone.say("\r\n\r\n").await;
    assert_eq!(phone.hear().await, "\r\n");
    soon(phone.socket.send(Message::Ping(b"x"[..].into()))).await.unwrap();
    assert!(matches!(soon(phone.socket.next()).await, Some(Ok(Message::Pong(data))) if data[..] == *b"x"));
    // A goodbye is answered.
    soon(phone.socket.close(None)).await.unwrap();
    while let Some(Ok(_)) = soon(phone.socket.next()).await {}
    end.quiet().await;
    assert_eq!(end.stats().connections_accepted.get(), 1);
}

#[tokio::test]
async fn a_phone_calls_over_wss() {
    let authority = Authority::new();
    let listen = Listen::new(Transport::Wss, "127.0.0.1:0".parse().unwrap());
    let mut end = End::with(listen, Times::default(), Some(authority.tls()));
    let mut phone = Phone::connect_tls(&end, &authority).await;
    phone_calls(&mut phone, &mut end, Transport::Wss).await;
    // The other way: its connection is the only way to it.
    end.sip.options(Destination::new(phone.address, Transport::Wss)).unwrap();
    assert!(phone.hear().await.starts_with("OPTIONS "));
    end.sip.stop();
    let closed = soon(phone.socket.next()).await;
    assert!(matches!(closed, Some(Ok(Message::Close(_)))), "{closed:?}");
}

#[tokio::test]
async fn binary_messages_are_taken_and_what_is_no_text_goes_out_as_binary() {
    let mut end = End::new(Transport::Ws);
    let mut phone = Phone::connect(&end, &[("sec-websocket-protocol", "sip")]).await.unwrap();
    let invite = request(Transport::Ws, "INVITE", &format!("<sip:1@{NAME}>"), 1, "");
    soon(phone.socket.send(Message::Binary(invite.into()))).await.unwrap();
    let Event::Incoming { call, .. } = end.told().await else { panic!() };
    let body = Body { content_type: "application/x".into(), data: b"\xff\xfe"[..].into() };
    end.sip.answer(call, Some(body)).unwrap();
    loop {
        match soon(phone.socket.next()).await.unwrap().unwrap() {
            Message::Text(text) => assert!(text.starts_with("SIP/2.0 1"), "{text}"),
            Message::Binary(data) => break assert!(data.ends_with(b"\r\n\r\n\xff\xfe")),
            other => panic!("{other:?}"),
        }
    }
    // Larger than any SIP message: the connection ends.
    let _ = phone.socket.send(Message::text("x".repeat(crate::limits::MESSAGE_BYTES + 1))).await;
    while let Some(Ok(_)) = soon(phone.socket.next()).await {}
    end.quiet().await;
}

#[tokio::test]
async fn who_does_not_speak_sip_or_comes_from_another_page_is_refused() {
    let listen = Listen {
        origins: vec!["https://desk.example.com".into()],
        ..Listen::new(Transport::Ws, "127.0.0.1:0".parse().unwrap())
    };
    let end = End::with(listen, Times::default(), None);
    let (sip, good) = (("sec-websocket-protocol", "sip"), ("origin", "https://desk.example.com"));
    for (headers, status) in [
        (&[good][..], 400),
        (&[("sec-websocket-protocol", "chat"), good], 400),
        (&[sip], 403),
        (&[sip, ("origin", "https://evil.example.com")], 403),
    ] {
        match Phone::connect(&end, headers).await {
            Err(Error::Http(response)) => assert_eq!(response.status(), status),
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("let in: {headers:?}"),
        }
    }
    end.until(|stats| stats.connections_failed.get() == 4).await;
    assert!(Phone::connect(&end, &[sip, good]).await.is_ok());
    end.quiet().await;
}
