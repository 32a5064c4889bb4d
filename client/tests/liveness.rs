//! Guarantee: a dead edge is noticed, a living one is answered, and a client ends when it is told to.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod common;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{EPOCH, Edge, config, within};
use futures_util::StreamExt as _;
use liveevents_client::{Client, ConfigError, Link, Observer, Timing, Tls};
use tokio_tungstenite::tungstenite::protocol::Message;

#[tokio::test]
async fn pings_are_answered() {
    let edge = Edge::start().await;
    let _client = Client::connect(config(&[&edge])).unwrap();
    let mut peer = edge.welcome().await;
    for payload in [b"one".as_slice(), b"two", b"three"] {
        peer.message(Message::Ping(payload.to_vec().into())).await;
        match within("a pong", peer.socket.next()).await {
            Some(Ok(Message::Pong(answer))) => assert_eq!(&answer[..], payload),
            other => panic!("instead of a pong: {other:?}"),
        }
    }
}

#[tokio::test]
async fn an_edge_that_answers_pings_is_kept_and_one_that_does_not_is_left() {
    let edge = Edge::start().await;
    let mut config = config(&[&edge]);
    config.timing.ping_after = Duration::from_millis(50);
    config.timing.dead_after = Duration::from_millis(400);
    let client = Client::connect(config).unwrap();
    let mut peer = edge.welcome().await;
    // Reading answers pings: ten of them, more than the patience for silence is long.
    for _ in 0..10 {
        assert!(matches!(
            within("a ping", peer.socket.next()).await,
            Some(Ok(Message::Ping(_)))
        ));
    }
    // Not reading answers none.
    let second = edge.welcome().await;
    drop((peer, second, client));
}

#[tokio::test]
async fn an_edge_that_never_says_anything_is_left() {
    let edge = Edge::start().await;
    let mut config = config(&[&edge]);
    config.timing.connect = Duration::from_millis(100);
    config.timing.welcome = Duration::from_millis(100);
    let _client = Client::connect(config).unwrap();
    // No upgrade,
    let mute = edge.tcp().await;
    // no welcome,
    let cold = edge.accept().await;
    // and then one that works.
    let mut peer = edge.welcome().await;
    peer.snapshot(EPOCH, 1, &["sale"]).await;
    peer.acked(EPOCH, 1).await;
    drop((mute, cold));
}

#[tokio::test]
async fn closing_says_goodbye() {
    let edge = Edge::start().await;
    let client = Client::connect(config(&[&edge])).unwrap();
    let mut peer = edge.welcome().await;
    peer.snapshot(EPOCH, 1, &["sale"]).await;
    peer.acked(EPOCH, 1).await;
    let (_, last) = tokio::join!(
        within("the client's end", client.close()),
        peer.socket.next()
    );
    assert!(
        matches!(last, Some(Ok(Message::Close(Some(_))))),
        "{last:?}"
    );
}

#[tokio::test]
async fn closing_does_not_wait_for_an_edge_that_is_away() {
    let edge = Edge::start().await;
    let mut config = config(&[&edge]);
    config.timing = Timing {
        close: Duration::from_millis(50),
        ..Timing::default()
    };
    let client = Client::connect(config.clone()).unwrap();
    // In the middle of an upgrade that never ends,
    let mute = edge.tcp().await;
    within("the client's end", client.close()).await;
    // with an edge that does not answer the goodbye,
    let client = Client::connect(config.clone()).unwrap();
    let peer = edge.welcome().await;
    within("the client's end", client.close()).await;
    // and between two tries.
    let client = Client::connect(config).unwrap();
    edge.refuse(401, "").await;
    let mut link = client.link();
    let away = link.wait_for(|link| matches!(link, Link::Away { .. }));
    drop(within("being away", away).await.unwrap());
    within("the client's end", client.close()).await;
    drop((mute, peer));
}

#[tokio::test]
async fn dropping_the_handle_ends_the_task() {
    let edge = Edge::start().await;
    let client = Client::connect(config(&[&edge])).unwrap();
    let mut peer = edge.welcome().await;
    let mut link = client.link();
    drop(client);
    assert!(!matches!(
        within("the end", peer.socket.next()).await,
        Some(Ok(Message::Text(_)))
    ));
    // Nobody is left to change it.
    let gone = async { while link.changed().await.is_ok() {} };
    within("the task's end", gone).await;
}

#[tokio::test]
async fn an_observer_sees_every_update_after_readers_can() {
    let edge = Edge::start().await;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let mut config = config(&[&edge]);
    let log = Arc::clone(&seen);
    config.observer = Some(Observer::new(move |update| {
        let from = update.from.map(|from| from.0);
        let changed = update.from.and_then(|from| update.state.since(from));
        let changed = changed.map(|delta| delta.entries.len());
        log.lock().unwrap().push((from, update.version.0, changed));
    }));
    let client = Client::connect(config).unwrap();
    let mut changed = client.changed();
    let mut peer = edge.welcome().await;
    peer.snapshot(EPOCH, 7, &["sale"]).await;
    // Who is woken finds that it has been observed.
    within("a wake", changed.changed()).await.unwrap();
    assert_eq!(seen.lock().unwrap()[..], [(None, 7, None)]);
    peer.delta(EPOCH, 7, 8, &["cup"]).await;
    peer.delta(EPOCH, 6, 8, &["cup"]).await;
    peer.delta(EPOCH, 6, 10, &["fest", "quest"]).await;
    for version in [7, 8, 8, 10] {
        peer.acked(EPOCH, version).await;
    }
    let expected = [(None, 7, None), (Some(7), 8, Some(2)), (Some(6), 10, None)];
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 3);
    assert_eq!(seen[..2], expected[..2]);
    assert_eq!((seen[2].0, seen[2].1), (expected[2].0, expected[2].1));
}

#[tokio::test]
async fn a_configuration_that_cannot_work_is_refused() {
    let edge = Edge::start().await;
    assert!(matches!(
        Client::connect(config(&[])),
        Err(ConfigError::NoAddress)
    ));
    let mut secure = config(&[&edge]);
    secure.addresses.push("wss://edge".parse().unwrap());
    assert!(matches!(
        Client::connect(secure),
        Err(ConfigError::NoTls { .. })
    ));
}

#[tokio::test]
async fn speaks_tls_with_an_edge_that_it_trusts_and_with_no_other() {
    use liveevents_client::{ClientConfig, Disconnected, Token};
    use tokio_rustls::TlsAcceptor;
    use tokio_rustls::rustls::pki_types::PrivateKeyDer;
    use tokio_rustls::rustls::{ServerConfig, crypto::ring};

    let edge = Edge::start().await;
    let names = vec!["localhost".to_owned()];
    let issued = rcgen::generate_simple_self_signed(names.clone()).unwrap();
    let other = rcgen::generate_simple_self_signed(names).unwrap();
    let key = PrivateKeyDer::try_from(issued.signing_key.serialize_der()).unwrap();
    let server = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![issued.cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(server));

    let address = format!("wss://localhost:{}", edge.address.port());
    let address: liveevents_client::Address = address.parse().unwrap();
    let config = |pem: String| {
        let region = "us-east".parse().unwrap();
        let mut config = ClientConfig::new(region, vec![address.clone()], Token::fixed("t"));
        config.tls = Some(Tls::trusting(pem.as_bytes()).unwrap());
        config
    };

    let trusting = Client::connect(config(issued.cert.pem())).unwrap();
    let stream = edge.tcp().await;
    let stream = within("a TLS handshake", acceptor.accept(stream))
        .await
        .unwrap();
    let upgraded = common::upgrade(stream, |_| {});
    let mut socket = within("an upgrade", upgraded).await.unwrap();
    assert!(matches!(
        within("a hello", socket.next()).await,
        Some(Ok(Message::Text(hello))) if hello.contains(r#""type":"hello""#)
    ));
    drop(trusting);

    let wary = Client::connect(config(other.cert.pem())).unwrap();
    let stream = edge.tcp().await;
    assert!(
        within("a TLS handshake", acceptor.accept(stream))
            .await
            .is_err()
    );
    let mut link = wary.link();
    let away = link.wait_for(|link| matches!(link, Link::Away { .. }));
    match &*within("being away", away).await.unwrap() {
        Link::Away {
            because: Disconnected::Io(_),
            ..
        } => {}
        other => panic!("{other:?}"),
    };
}
