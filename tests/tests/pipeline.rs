//! Whole pipelines without a broker.

mod pipeline {
    mod corpus;
    mod outbound;
}
