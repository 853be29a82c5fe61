//! Eight bytes at a time: what a scan of short texts costs is decided here.

use std::ops::BitOr;

/// Eight bytes of a text; or, as an answer, which of them: the high bit of each that is meant, exact up to the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Word(u64);

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

const fn each(byte: u8) -> u64 {
    ONES * byte as u64
}

impl Word {
    /// The bytes that equal `byte`, which is ASCII.
    #[inline]
    pub(crate) fn equal(self, byte: u8) -> Self {
        // Where they are equal a zero is left, and one less than that borrows into the high bit.
        Self((self.0 ^ each(byte)).wrapping_sub(ONES) & !self.0 & HIGH)
    }

    /// The bytes that cannot stand for themselves in a JSON string: a quote, a backslash, a control character.
    #[inline]
    pub(crate) fn json_special(self) -> Self {
        let quote = (self.0 ^ each(b'"')).wrapping_sub(ONES);
        let backslash = (self.0 ^ each(b'\\')).wrapping_sub(ONES);
        let control = self.0.wrapping_sub(each(0x20));
        Self((quote | backslash | control) & !self.0 & HIGH)
    }

    /// The bytes that are DEL or no ASCII.
    #[inline]
    pub(crate) fn not_printable(self) -> Self {
        Self((self.0 | self.0.wrapping_add(ONES)) & HIGH)
    }
}

impl BitOr for Word {
    type Output = Self;

    #[inline]
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// Offset of the first byte from `at` on that is meant by `which`; the length of the text if none is.
#[inline]
pub(crate) fn find(bytes: &[u8], mut at: usize, which: impl Fn(Word) -> Word) -> usize {
    while let Some(word) = bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        let found = which(Word(u64::from_le_bytes(*word))).0;
        if found != 0 {
            return at + (found.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    find_in_tail(bytes, at, which)
}

/// The same for less than eight bytes that are left.
fn find_in_tail(bytes: &[u8], at: usize, which: impl Fn(Word) -> Word) -> usize {
    let mut tail = [0_u8; 8];
    let rest = bytes.get(at..).unwrap_or_default();
    tail.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
    let found = which(Word(u64::from_le_bytes(tail))).0;
    // Zeros after the end may be meant, too.
    (at + (found.trailing_zeros() / 8) as usize).min(bytes.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn finds_what_a_loop_over_bytes_finds(
            bytes in prop::collection::vec(
                prop::sample::select(&b"ax\"\\/\x00\x1f\x20\x21\x23\x5b\x5d\x7e\x7f\x80\x9f\xa2\xc3\xdc\xff"[..]), 0..40
            ),
            from in 0_usize..10,
        ) {
            let rest = || bytes.iter().enumerate().skip(from);
            let expected = |meant: &dyn Fn(u8) -> bool| {
                rest().find(|(_, byte)| meant(**byte)).map_or(bytes.len(), |(at, _)| at)
            };
            let special = |byte: u8| byte == b'"' || byte == b'\\' || byte < 0x20;
            prop_assert_eq!(find(&bytes, from, |word| word.equal(b'"')), expected(&|byte| byte == b'"'));
            prop_assert_eq!(find(&bytes, from, Word::json_special), expected(&special));
            prop_assert_eq!(find(&bytes, from, Word::not_printable), expected(&|byte| byte >= 0x7f));
            prop_assert_eq!(
                find(&bytes, from, |word| word.json_special() | word.equal(b'/') | word.not_printable()),
                expected(&|byte| special(byte) || byte == b'/' || byte >= 0x7f)
            );
        }
    }
}
