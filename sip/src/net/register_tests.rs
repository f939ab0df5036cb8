//! Registering and calling back over real sockets.

use std::sync::Arc;

use super::*;
use crate::auth::{Credentials, User};
use crate::error::ApiMisuse;
use crate::event::{AcceptFrom, Failure, InviteRequest};
use crate::register::{RegistrarConfig, Registration, RegistrationState};

fn start_local(registrar: Option<RegistrarConfig>) -> (SipHandle, EventReceiver) {
    let bind = "127.0.0.1:0".parse().unwrap();
    let net = NetConfig { listen: vec![Listen::udp(bind)], ..NetConfig::default() };
    // A phone takes calls; the registrar hears only who registers.
    let accept_from = if registrar.is_some() { AcceptFrom::Nobody } else { AcceptFrom::Any };
    let config = EndpointConfig { accept_from, registrar, ..EndpointConfig::default() };
    start(net, config, Clock::start(), [1; 32]).unwrap()
}

#[test]
fn a_phone_registers_and_is_called() {
    let (office, mut office_events) = start_local(Some(RegistrarConfig::new("pbx.example")));
    let (phone, mut phone_events) = start_local(None);
    let there = office.local_addresses()[0];
    let request = |id| InviteRequest::new(there, "sip:alice@pbx.example", id);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();

    let early = office.invite_user("alice", request("early")).unwrap();
    let Some((_, Event::Failed { call, failure, .. })) = office_events.blocking_recv() else { panic!() };
    assert_eq!((call, failure), (early, Failure::Refused(ApiMisuse::NotRegistered)));
    assert!(runtime.block_on(office.lookup("alice")).is_empty());

    office.set_users(vec![User::new("alice", "pbx.example", "a")]).unwrap();
    let credentials = Arc::new(Credentials { username: "alice".into(), password: "a".into() });
    let registration = Registration {
        credentials: Some(credentials),
        ..Registration::new(there, "sip:alice@pbx.example", "alice")
    };
    let key = phone.register(registration).unwrap();
    let Some((_, Event::Bound { user, .. })) = office_events.blocking_recv() else { panic!() };
    assert_eq!(user, "alice");
    assert_eq!(runtime.block_on(office.lookup("alice"))[0].peer, phone.local_addresses()[0]);

    office.invite_user("alice", request("call")).unwrap();
    let incoming = std::iter::from_fn(|| phone_events.blocking_recv()).find_map(|(_, event)| {
        if let Event::Incoming { request, .. } = event { Some(request) } else { None }
    });
    assert!(incoming.unwrap().uri().starts_with(b"sip:alice@127.0.0.1:"));

    phone.unregister(key).unwrap();
    let left = std::iter::from_fn(|| phone_events.blocking_recv()).any(|(_, event)| {
        matches!(event, Event::Registration { state: RegistrationState::Unregistered, key: k } if k == key)
    });
    assert!(left);
    let bad = phone.register(Registration::new(there, "nonsense", "alice")).unwrap();
    let Some((_, Event::Registration { key, state })) = phone_events.blocking_recv() else { panic!() };
    assert_eq!((key, state), (bad, RegistrationState::Failed { status: None, retry_after_s: None }));
}
