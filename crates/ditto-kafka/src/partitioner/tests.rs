use std::cell::Cell;

use super::*;

#[test]
fn a_partition_is_skipped_when_it_is_away_for_long() {
    let start = Instant::now();
    let clock = Cell::new(start);
    let mut turns = Turns::default();
    let mut take = |away: &[i32]| turns.next(3, |at| !away.contains(&at), || clock.get());
    // A new topic: no partition seems to have a leader, and the turns are exact all the same.
    assert_eq!([take(&[0, 1, 2]), take(&[1, 2]), take(&[]), take(&[])], [0, 1, 2, 0]);
    assert_eq!([take(&[1]), take(&[1]), take(&[1]), take(&[1])], [1, 2, 0, 1]);
    clock.set(start + PATIENCE);
    assert_eq!([take(&[1]), take(&[1]), take(&[1]), take(&[1])], [2, 0, 2, 0]);
    // It is back, and its patience starts anew.
    assert_eq!([take(&[]), take(&[1]), take(&[])], [1, 2, 0]);
    assert_eq!(take(&[1]), 1);
    clock.set(start + 3 * PATIENCE);
    let taken = [take(&[0, 1, 2]), take(&[0, 1, 2])];
    assert_eq!(taken, [2, 0], "the next one at all where all are away");
}

/// Computed by Java's client: tests/vectors/Murmur2Partitions.java.
#[test]
fn keys_go_where_java_s_client_sends_them() {
    let table = include_str!("../../tests/vectors/murmur2-partitions.tsv");
    let rows = table.lines().filter(|line| !line.starts_with('#'));
    let mut checked = 0;
    for row in rows {
        let mut columns = row.split('\t');
        let key = unhex(columns.next().unwrap());
        for partitions in [1, 3, 7, 50] {
            let expected: i32 = columns.next().unwrap().parse().unwrap();
            assert_eq!(partition_of_key(&key, partitions), expected, "{row}");
        }
        checked += 1;
    }
    assert!(checked >= 40, "{checked} rows");
}

fn unhex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
    digits.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}
