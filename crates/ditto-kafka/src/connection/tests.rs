use super::*;

#[test]
fn tells_the_last_error_until_the_cluster_answers() {
    let log = ConnectionLog::default();
    assert_eq!(log.snapshot().status(), ConnectionStatus::Unknown);
    log.failed(ErrorCode::from_number(-195), "connection refused");
    log.failed(ErrorCode::ALL_BROKERS_DOWN, "1/1 brokers are down");
    let state = log.snapshot();
    assert_eq!(state.status(), ConnectionStatus::Failed);
    // Why is in the error before it.
    assert_eq!(state.last_error().map(ConnectionError::reason), Some("connection refused"));
    assert!(state.all_brokers_down());

    log.failed(ErrorCode::from_number(-169), "SASL authentication failed");
    let refused = log.snapshot();
    assert_eq!(refused.status(), ConnectionStatus::Misconfigured);
    assert!(refused.since() > state.since());
    log.failed(ErrorCode::from_number(-169), "SASL authentication failed again");
    assert_eq!(log.snapshot().since(), refused.since(), "since the first one");
    log.succeeded();
    let state = log.snapshot();
    assert_eq!((state.status(), state.last_error()), (ConnectionStatus::Connected, None));
    assert!(state.last_success().is_some() && !state.all_brokers_down());
}

#[test]
fn an_event_that_is_called_back_twice_is_one() {
    let log = ConnectionLog::default();
    log.failed(ErrorCode::from_number(-195), "refused");
    let first = log.snapshot();
    log.failed(ErrorCode::from_number(-195), "refused");
    assert_eq!(log.snapshot(), first);
}

/// With TLS 1.3 a client is through with the handshake before the broker has looked at its certificate.
#[test]
fn a_refused_certificate_is_no_broken_transport() {
    let log = ConnectionLog::default();
    let alert = |number: u8| {
        format!(
            "ssl://b:1/bootstrap: Receive failed: error:0A000412:SSL routines::alert: SSL alert number {number} (after 8ms)"
        )
    };
    for (number, status) in [
        (42, ConnectionStatus::Misconfigured),
        (116, ConnectionStatus::Misconfigured),
        (80, ConnectionStatus::Failed),
        (4, ConnectionStatus::Failed),
    ] {
        log.failed(ErrorCode::TRANSPORT, &alert(number));
        let state = log.snapshot();
        assert_eq!(state.status(), status, "{number}");
        assert!(state.last_error().unwrap().reason().contains(&alert(number)));
    }
}
