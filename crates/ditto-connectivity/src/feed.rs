//! Where signals come from.

mod kafka;
mod lines;
mod ndjson;

pub(crate) use self::{
    kafka::{KafkaFeed, payload},
    lines::{Line, read_line},
    ndjson::{Input, NdjsonFeed, open_input, record},
};
