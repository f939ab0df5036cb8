//! Who believes whom.

use super::*;

#[tokio::test]
async fn another_name_or_another_authority_is_not_believed() {
    let authority = Authority::new();
    let mut us = authority.end(Times::default());
    let other_name =
        authority.end_with(Times::default(), authority.files("other.example.com").load().unwrap());
    let other_authority = Authority::new();
    let stranger = other_authority.end(Times::default());
    for (place, them) in [&other_name, &stranger].into_iter().enumerate() {
        let to = destination(them.address(), Transport::Tls);
        assert_eq!(fails(&mut us, to).await, Failure::Unreachable);
        assert_eq!(us.stats().connections_made.get(), 0);
        let failed = us.sip.failed_connections();
        assert!(failed[place].error.contains("certificate"), "{failed:?}");
    }
    // Without a name it has to be the address, which is in none of these certificates; nor is the root the system's.
    let them = authority.end(Times::default());
    let to = Destination::new(them.address(), Transport::Tls);
    assert_eq!(fails(&mut us, to).await, Failure::Unreachable);
    us.quiet().await;
}

#[tokio::test]
async fn an_address_in_the_certificate_will_do() {
    let authority = Authority::new();
    let mut files = authority.files("127.0.0.1");
    files.clients[0].server = "127.0.0.1".into();
    let mut us = authority.end_with(Times::default(), files.load().unwrap());
    let mut them = authority.end_with(Times::default(), files.load().unwrap());
    let to = Destination::new(them.address(), Transport::Tls);
    call(&mut us, &mut them, to, "a", false).await;
}

#[tokio::test]
async fn a_peer_without_a_certificate_is_turned_away_where_one_is_asked() {
    let authority = Authority::new();
    let strict = TlsFiles { client_ca: Some(authority.root()), ..authority.files(NAME) };
    let mut them = authority.end_with(Times::default(), strict.load().unwrap());
    let to = destination(them.address(), Transport::Tls);
    let mut us = authority.end(Times::default());
    assert_eq!(fails(&mut us, to.clone()).await, Failure::Unreachable);
    let mut files = authority.files(NAME);
    files.clients[0].certificate = Some(authority.sign("us.example.com"));
    let mut us = authority.end_with(Times::default(), files.load().unwrap());
    call(&mut us, &mut them, to, "a", false).await;
}

#[tokio::test]
async fn certificates_are_replaced_while_calls_go_on() {
    let authority = Authority::new();
    let mut us = authority.end(Times::default());
    let mut them = authority.end(Times::default());
    let to = destination(them.address(), Transport::Tls);
    call(&mut us, &mut them, to.clone(), "a", false).await;
    them.sip.set_tls(authority.files("other.example.com").load().unwrap());
    // The connection that is there goes on.
    call(&mut us, &mut them, to.clone(), "b", false).await;
    let mut late = authority.end(Times::default());
    assert_eq!(fails(&mut late, to).await, Failure::Unreachable);
}

#[test]
fn errors_name_the_file_and_say_what_to_do() {
    let authority = Authority::new();
    let good = authority.files(NAME);
    let other_key = authority.sign("other.example.com").1;
    let junk = authority.directory.join("junk.pem");
    std::fs::write(&junk, "junk").unwrap();
    let absent = authority.directory.join("absent.pem");
    let client = |ca| vec![ClientFiles { server: NAME.into(), ca: Some(ca), certificate: None }];
    for (files, named, says) in [
        (TlsFiles { certificate: absent.clone(), ..good.clone() }, &absent, "may read"),
        (TlsFiles { certificate: junk.clone(), ..good.clone() }, &junk, "no certificate"),
        (TlsFiles { key: junk.clone(), ..good.clone() }, &junk, "no private key"),
        (TlsFiles { key: other_key.clone(), ..good.clone() }, &other_key, "Give the key"),
        (TlsFiles { client_ca: Some(junk.clone()), ..good.clone() }, &junk, "no certificate"),
        (TlsFiles { clients: client(absent.clone()), ..good.clone() }, &absent, "may read"),
    ] {
        let error = files.load().unwrap_err().to_string();
        assert!(error.contains(&named.display().to_string()) && error.contains(says), "{error}");
    }
    let bind: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let net = NetConfig { listen: vec![Listen::new(Transport::Wss, bind)], ..NetConfig::default() };
    let error = super::super::start(net, EndpointConfig::default(), Clock::start(), [0; 32]).unwrap_err();
    assert!(matches!(error, StartError::NeedsCertificate(at) if at == bind));
}
