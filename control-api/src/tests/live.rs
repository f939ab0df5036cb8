//! The live socket, over a real one.

use std::net::SocketAddr;

use futures::{SinkExt as _, StreamExt as _};
use kraliki_engine::Command;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::fixture::{Dialer, dialer, user};
use crate::auth::{Keys, Role};
use crate::server::{ApiConfig, Serving, serve};
use kraliki_engine::runtime::EngineHandle;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

struct Server {
    engine: EngineHandle,
    keys: Keys,
    addr: SocketAddr,
    stop: tokio::sync::oneshot::Sender<()>,
    serving: Serving,
    _dialer: Dialer,
}

impl Server {
    async fn start() -> Server {
        let dialer = dialer(&[]).await;
        let engine = dialer.engine.clone();
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let listen = vec!["127.0.0.1:0".parse().unwrap()];
        let config = ApiConfig { listen, ..ApiConfig::default() };
        let serving = serve(config, engine.clone(), async { drop(stopped.await) }).await.unwrap();
        let document = engine.store().secret("api_signing_key", Vec::new).await.unwrap();
        let keys = Keys::from_pkcs8(&document).unwrap();
        Server { engine, keys, addr: serving.addrs[0], stop, serving, _dialer: dialer }
    }

    fn token(&self, who: &str) -> String {
        self.keys.issue(&user(who), self.engine.wall_unix_ms()).unwrap()
    }

    async fn connect(&self, origin: Option<&str>) -> Result<Socket, Error> {
        let mut request = format!("ws://{}/api/live", self.addr).into_client_request().unwrap();
        if let Some(origin) = origin {
            request.headers_mut().insert("origin", origin.parse().unwrap());
        }
        connect_async(request).await.map(|(socket, _)| socket)
    }

    /// A socket that has its snapshot.
    async fn watch(&self, who: &str) -> (Socket, Value) {
        let mut socket = self.connect(Some(&format!("http://{}", self.addr))).await.unwrap();
        say(&mut socket, json!({"token": self.token(who)})).await;
        let snapshot = hear(&mut socket).await;
        assert_eq!(snapshot["type"], "snapshot");
        (socket, snapshot)
    }
}

async fn say(socket: &mut Socket, message: Value) {
    socket.send(Message::text(message.to_string())).await.unwrap();
}

/// The next message that is not a ping.
async fn hear(socket: &mut Socket) -> Value {
    loop {
        let message = socket.next().await.unwrap().unwrap();
        let value: Value = serde_json::from_str(message.to_text().unwrap()).unwrap();
        if value["type"] != "ping" {
            return value;
        }
    }
}

/// The code that the server closes with.
async fn closed(socket: &mut Socket) -> u16 {
    loop {
        match socket.next().await {
            Some(Ok(Message::Close(Some(frame)))) => return frame.code.into(),
            Some(Ok(_)) => {}
            other => panic!("{other:?}"),
        }
    }
}

fn sign_in(who: &str) -> Command {
    Command::SignIn { agent: user(who).agent(), name: who.into() }
}

#[tokio::test]
async fn a_supervisor_sees_everybody_and_an_agent_only_themselves() {
    let server = Server::start().await;
    server.engine.command(sign_in("ada")).await.unwrap();
    let (mut sam, snapshot) = server.watch("sam").await;
    let ids = |snapshot: &Value| -> Vec<i64> {
        snapshot["agents"].as_array().unwrap().iter().map(|a| a["id"].as_i64().unwrap()).collect()
    };
    assert_eq!(ids(&snapshot), [user("ada").id]);
    let (mut bob, snapshot) = server.watch("bob").await;
    assert_eq!(ids(&snapshot), [0; 0]);

    let pause = |who: &str| Command::Pause { agent: user(who).agent(), reason: "lunch".into() };
    server.engine.command(pause("ada")).await.unwrap();
    let event = hear(&mut sam).await;
    assert_eq!(
        (&event["type"], &event["id"], &event["reason"]),
        (&json!("agent"), &json!(user("ada").id), &json!("lunch"))
    );
    server.engine.command(sign_in("bob")).await.unwrap();
    let event = hear(&mut bob).await;
    assert_eq!((&event["type"], &event["id"]), (&json!("agent"), &json!(user("bob").id)));

    // A socket that ends changes nothing for its agent.
    bob.close(None).await.unwrap();
    let (_, snapshot) = server.watch("sam").await;
    assert_eq!(ids(&snapshot), [user("ada").id, user("bob").id]);
}

#[tokio::test]
async fn pages_of_other_hosts_are_refused() {
    let server = Server::start().await;
    match server.connect(Some("https://evil.example")).await {
        Err(Error::Http(response)) => assert_eq!(response.status(), 403),
        other => panic!("{other:?}"),
    }
    assert!(server.connect(None).await.is_ok(), "a program that is no browser");
}

#[tokio::test]
async fn the_first_message_must_be_a_good_token() {
    let server = Server::start().await;
    let other = Keys::from_pkcs8(&Keys::generate().unwrap()).unwrap();
    let forged = other.issue(&user("root"), server.engine.wall_unix_ms()).unwrap();
    let old = server.keys.issue(&user("root"), 0).unwrap();
    let messages = [
        (json!({"token": forged}), 4401),
        (json!({"token": old}), 4401),
        (json!({"token": "x"}), 4401),
        (json!({"type": "pong"}), 4401),
        (json!("hello"), 1008),
    ];
    for (message, code) in messages {
        let mut socket = server.connect(None).await.unwrap();
        say(&mut socket, message).await;
        assert_eq!(closed(&mut socket).await, code);
    }
}

#[tokio::test]
async fn a_token_is_renewed_for_the_same_user_only() {
    let server = Server::start().await;
    let (mut socket, _) = server.watch("ada").await;
    // The same agent again, promoted: a new snapshot, of everything.
    server.engine.command(sign_in("bob")).await.unwrap();
    let promoted = crate::auth::User { role: Role::Supervisor, ..user("ada") };
    let token = server.keys.issue(&promoted, server.engine.wall_unix_ms()).unwrap();
    say(&mut socket, json!({"token": token})).await;
    let snapshot = hear(&mut socket).await;
    assert_eq!(snapshot["type"], "snapshot");
    assert_eq!(snapshot["agents"].as_array().unwrap().len(), 1);
    say(&mut socket, json!({"token": server.token("bob")})).await;
    assert_eq!(closed(&mut socket).await, 4401);
}

#[tokio::test]
async fn pings_come_and_floods_are_cut() {
    let server = Server::start().await;
    let (mut socket, _) = server.watch("ada").await;
    let ping: Value = serde_json::from_str(socket.next().await.unwrap().unwrap().to_text().unwrap()).unwrap();
    assert_eq!(ping, json!({"type": "ping", "n": 1}));
    for n in 0..30 {
        // The server may have cut it already.
        let _ = socket.send(Message::text(json!({"type": "pong", "n": n}).to_string())).await;
    }
    assert_eq!(closed(&mut socket).await, 1008);
}

#[tokio::test]
async fn sockets_are_told_that_the_server_stops() {
    let server = Server::start().await;
    let (mut socket, _) = server.watch("ada").await;
    server.stop.send(()).unwrap();
    assert_eq!(closed(&mut socket).await, 1001);
    server.serving.finished().await;
    assert!(TcpStream::connect(server.addr).await.is_err());
}
