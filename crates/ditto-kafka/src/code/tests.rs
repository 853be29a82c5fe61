use super::*;

/// What the reference answers, generated from its client (outbound.md §6.4).
#[test]
fn every_broker_code_is_retriable_as_in_java_s_client() {
    let table = include_str!("../../tests/vectors/kafka-error-status.json");
    let mut checked = 0;
    let mut number = None;
    let value = |line: &str| line.split(':').nth(1).unwrap().trim().trim_end_matches(',').to_owned();
    for line in table.lines().skip_while(|line| !line.contains("byProtocolError")) {
        if line.starts_with("\"code\"") {
            number = Some(value(line).parse::<i32>().unwrap());
        } else if line.starts_with("\"ackStatus\"") {
            let code = ErrorCode::from_number(number.take().unwrap());
            let status = if code.is_retriable() { 500 } else { 400 };
            // 0 is no error.
            assert!(code.number() == 0 || value(line) == status.to_string(), "{code}: {line}");
            checked += 1;
        }
    }
    assert!(checked > 100, "{checked} codes");
}

#[test]
fn codes_of_the_client_have_the_scope_of_their_cause() {
    let check = |number, scope, retriable| {
        let code = ErrorCode::from_number(number);
        assert_eq!((code.scope(), code.is_retriable()), (scope, retriable), "{code}");
    };
    check(ErrorCode::UNKNOWN_PARTITION.number(), Record, false);
    check(ErrorCode::FATAL.number(), Producer, false);
    check(ErrorCode::MSG_TIMED_OUT.number(), Connection, true);
    check(29, Target, false);
    check(10, Record, false);
    check(-169, Connection, false);
}

#[test]
fn each_code_has_a_name_and_words_of_its_own() {
    let mut names: Vec<_> = ErrorCode::all().map(ErrorCode::name).collect();
    assert!(ErrorCode::all().all(|code| !code.description().is_empty()));
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all);
}
