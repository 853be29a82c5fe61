//! Whole pipelines without a broker.

#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test: a panic is its answer")]

mod pipeline {
    mod corpus;
    mod mapped;
    mod replay;
}
