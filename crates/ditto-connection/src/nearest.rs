//! "Did you mean".

/// Longer texts are nobody's misspelling, and comparing takes memory.
const MAX_MISSPELT: usize = 64;

/// The candidate that is most like `text`, if any is: for "did you mean".
pub fn nearest<'c>(text: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    if text.len() > MAX_MISSPELT {
        return None;
    }
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(text, candidate), candidate))
        .min()
        .filter(|(distance, candidate)| *distance * 3 <= candidate.len())
        .map(|(_, candidate)| candidate)
}
