//! Eight bytes at a time: what a scan of short texts costs is decided here.

use std::ops::BitOr;

/// Eight bytes of a text; or, as an answer, which of them: the high bit of each that is meant, exact up to the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Word(u64);

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

impl Word {
    /// The bytes that equal `byte`.
    pub(crate) fn equal(self, byte: u8) -> Self {
        let zero_where_equal = self.0 ^ (ONES * u64::from(byte));
        Self(zero_where_equal.wrapping_sub(ONES) & !zero_where_equal & HIGH)
    }

    /// The bytes below `bound`, which is at most 128.
    pub(crate) fn below(self, bound: u8) -> Self {
        Self(self.0.wrapping_sub(ONES * u64::from(bound)) & !self.0 & HIGH)
    }

    /// The bytes that are no ASCII.
    pub(crate) fn not_ascii(self) -> Self {
        Self(self.0 & HIGH)
    }

    fn of_tail(tail: &[u8], filler: u8) -> Self {
        let mut bytes = [filler; 8];
        bytes.iter_mut().zip(tail).for_each(|(to, from)| *to = *from);
        Self(u64::from_le_bytes(bytes))
    }
}

impl BitOr for Word {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// Offset of the first byte from `at` on that is meant by `which`; the length of the text if none is.
pub(crate) fn find(bytes: &[u8], mut at: usize, which: impl Fn(Word) -> Word) -> usize {
    while let Some(rest) = bytes.get(at..) {
        let (word, step) = match rest.first_chunk::<8>() {
            Some(word) => (Word(u64::from_le_bytes(*word)), 8),
            None => (Word::of_tail(rest, b'x'), rest.len().max(1)),
        };
        let found = which(word).0;
        if found != 0 {
            let first = (found.trailing_zeros() / 8) as usize;
            return (at + first).min(bytes.len());
        }
        at += step;
    }
    bytes.len()
}

/// Whether a byte is meant by `which`, for which `x` must not be.
pub(crate) fn any(bytes: &[u8], which: impl Fn(Word) -> Word) -> bool {
    find(bytes, 0, which) < bytes.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn finds_what_a_loop_over_bytes_finds(
            bytes in prop::collection::vec(prop::sample::select(&b"ax\"\\/\x00\x1f\x20\x7e\x7f\x80\xc3\xff"[..]), 0..40),
            from in 0_usize..10,
        ) {
            let rest = || bytes.iter().enumerate().skip(from);
            let expected = |meant: &dyn Fn(u8) -> bool| {
                rest().find(|(_, byte)| meant(**byte)).map_or(bytes.len(), |(at, _)| at)
            };
            prop_assert_eq!(find(&bytes, from, |word| word.equal(b'"')), expected(&|byte| byte == b'"'));
            prop_assert_eq!(find(&bytes, from, |word| word.below(0x20)), expected(&|byte| byte < 0x20));
            prop_assert_eq!(find(&bytes, from, Word::not_ascii), expected(&|byte| byte >= 0x80));
            prop_assert_eq!(
                find(&bytes, from, |word| word.equal(b'\\') | word.below(0x20) | word.equal(0x7f)),
                expected(&|byte| byte == b'\\' || byte < 0x20 || byte == 0x7f)
            );
        }
    }
}
