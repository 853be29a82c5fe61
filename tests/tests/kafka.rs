//! The service against the real broker that `cargo xtask test` starts. What it wrote is read by Kafka's own console consumer.

#![expect(clippy::indexing_slicing, reason = "a test: a panic is its answer")]

mod kafka {
    mod addresses;
    mod bad_input;
    mod canaries;
    mod closing;
    mod corpus;
    mod dead_letters;
    mod framing;
    mod group_protocol;
    mod hostile;
    mod lanes;
    mod lost;
    mod management;
    mod outages;
    mod security;
    mod stamp;
    mod truncation;
    mod vectors;
    mod web_ui;
}
