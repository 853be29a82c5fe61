#![doc = include_str!("../README.md")]

mod acknowledge;
mod address;
mod ask;
mod asked;
mod authorize;
mod control;
mod counters;
mod dead_letter;
mod directory;
mod driver;
mod explain;
mod extra;
mod feed;
mod fields;
mod filter;
mod headers;
mod hold;
mod intake;
mod journal;
mod lane;
mod leaf;
mod map;
mod mappers;
#[cfg(any(test, feature = "test-util"))]
mod memory;
mod outcome;
#[cfg(any(test, feature = "test-util"))]
mod recording;
mod resolve;
mod router;
mod settle;
mod signal;
mod stack;
mod stage;
mod target;
mod topics;
mod waiting;

#[cfg(any(test, feature = "test-util"))]
pub use self::memory::MemoryDirectory;
#[cfg(any(test, feature = "test-util"))]
pub use self::recording::{Answer, ListFeed, RecordingLeaf, RecordingSink, ReplayFeed, Sent, VecFeed};
pub use self::{
    acknowledge::{AcknowledgementSink, NoAcknowledgements},
    control::{LaneControl, LaneEnded},
    counters::{FeedDrop, LaneCounters, LaneCounts, TargetCounters, TargetCounts},
    dead_letter::Letter,
    directory::{Answer as DirectoryAnswer, Directory},
    explain::{Explainer, TargetExplanation, Verdict},
    extra::{resolve_fields, select_fields},
    feed::{Feed, FeedPlace, FeedRecord, Origin, Payload, Redriven},
    fields::SignalFields,
    hold::{Held, OnHold, Settling},
    intake::{FeedPolicy, Intake, InternalHeaders},
    journal::{About, Entry, EntryCategory, EntryLevel, Journal, Step},
    lane::Lane,
    leaf::{
        Completing, Completion, Delivered, Destination, Destined, Enqueued, HeaderName, Leaf, RecordHeaders,
        Token, Topic, Undelivered, Written,
    },
    mappers::check_mapper,
    outcome::{DeliverError, DeliverErrorKind, DropReason, Outcome, PassedOver, Refusal},
    resolve::SignalValues,
    signal::RoutedSignal,
    stage::{Halt, Immediate, Stage, StageLayer, Staged, StagedFuture},
    target::{CompiledConnection, CompiledTarget, RunOptions},
};
