use super::*;
use crate::connection::ConnectionLog;

#[test]
fn a_time_out_takes_the_cause_from_the_connection() {
    let log = ConnectionLog::default();
    let of_report =
        |log: &ConnectionLog| PublishError::of_report(ErrorCode::MSG_TIMED_OUT, log.snapshot().last_error());
    assert!(of_report(&log).is_retriable());
    log.failed(ErrorCode::from_number(-195), "refused");
    assert!(of_report(&log).is_retriable());
    log.failed(ErrorCode::from_number(-169), "wrong password");
    let error = of_report(&log);
    assert!(!error.is_retriable(), "authentication is final: 400");
    assert!(error.reason().contains("wrong password"), "{error}");
    // Others have a cause of their own.
    let error = PublishError::of_report(ErrorCode::from_number(10), log.snapshot().last_error());
    assert!(!error.reason().contains("password"), "{error}");
}
