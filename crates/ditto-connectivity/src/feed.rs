//! Where signals come from.

mod kafka;
mod lines;
mod ndjson;

pub(crate) use self::{
    kafka::KafkaFeed,
    ndjson::{NdjsonFeed, open_input},
};
