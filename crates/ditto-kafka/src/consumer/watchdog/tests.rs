use super::*;

/// One look: where the only partition stands, whether it is paused, which assignment it is, and where it ends.
struct Step {
    next: Option<i64>,
    is_paused: bool,
    assignment: u64,
    end: Option<i64>,
}

fn at(next: i64, end: i64) -> Step {
    Step { next: Some(next), is_paused: false, assignment: 1, end: Some(end) }
}

/// For each look: was the cluster asked, and was the partition fetched anew?
#[track_caller]
fn check(steps: &[Step], expected: &[(bool, bool)]) {
    let mut seen = Seen::default();
    let answers: Vec<_> = steps
        .iter()
        .map(|step| {
            let positions = [Position {
                topic: "in".into(),
                partition: 0,
                assignment: step.assignment,
                next: step.next,
                is_paused: step.is_paused,
            }];
            let quiet = seen.quiet(&positions);
            // Only who asks gets an answer.
            let ends = quiet
                .iter()
                .filter_map(|(topic, partition)| Some((Arc::clone(topic), *partition, step.end?)));
            let ends: Vec<_> = ends.collect();
            (!quiet.is_empty(), !seen.look(&positions, &ends).is_empty())
        })
        .collect();
    assert_eq!(answers, expected);
}

const GOES_ON: (bool, bool) = (false, false);
const ASKED: (bool, bool) = (true, false);
const ANEW: (bool, bool) = (true, true);

#[test]
fn one_that_moves_is_never_asked_about() {
    check(&[at(1, 9), at(2, 9), at(3, 9)], &[GOES_ON, GOES_ON, GOES_ON]);
}

#[test]
fn one_that_is_read_to_its_end_is_left_alone() {
    check(&[at(9, 9), at(9, 9), at(9, 9)], &[GOES_ON, ASKED, ASKED]);
}

#[test]
fn one_that_stands_still_twice_before_its_end_is_fetched_anew() {
    check(&[at(5, 9), at(5, 9), at(5, 9)], &[GOES_ON, ASKED, ANEW]);
}

#[test]
fn a_record_between_the_looks_clears_it() {
    check(&[at(5, 9), at(5, 9), at(6, 9), at(6, 9), at(9, 9)], &[GOES_ON, ASKED, GOES_ON, ASKED, GOES_ON]);
}

#[test]
fn a_record_that_came_just_now_is_waited_for() {
    check(&[at(9, 9), at(9, 9), at(9, 10), at(10, 10)], &[GOES_ON, ASKED, ASKED, GOES_ON]);
}

#[test]
fn a_pause_and_a_new_assignment_begin_anew() {
    let paused = || Step { is_paused: true, ..at(5, 9) };
    let other = || Step { assignment: 2, ..at(5, 9) };
    check(
        &[at(5, 9), at(5, 9), paused(), at(5, 9), at(5, 9), other(), other(), other()],
        &[GOES_ON, ASKED, GOES_ON, GOES_ON, ASKED, GOES_ON, ASKED, ANEW],
    );
}

#[test]
fn without_an_answer_or_a_position_nothing_is_decided() {
    let silent = || Step { end: None, ..at(5, 9) };
    let unknown = || Step { next: None, ..at(5, 9) };
    check(&[at(5, 9), silent(), silent(), at(5, 9)], &[GOES_ON, ASKED, ASKED, ASKED]);
    check(&[unknown(), unknown(), unknown()], &[GOES_ON, GOES_ON, GOES_ON]);
}

/// The last offset of a transaction is a marker, which no consumer is given.
#[test]
fn what_is_no_record_is_looked_for_once() {
    check(
        &[at(5, 6), at(5, 6), at(5, 6), at(5, 6), at(5, 6), at(5, 8), at(5, 8)],
        &[GOES_ON, ASKED, ANEW, ASKED, ASKED, ASKED, ANEW],
    );
}
