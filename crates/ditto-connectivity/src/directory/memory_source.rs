//! A source in memory: it says what it was told.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::source::{Finding, Key, Kind, LookUp, Source};

/// Things and policies in memory, as JSON text by their ids. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Memory(Arc<Mutex<[HashMap<String, String>; 2]>>);

impl Memory {
    /// There is this thing from now on, or none of that id.
    pub fn set_thing(&self, id: &str, thing: Option<String>) {
        self.set(0, id, thing);
    }

    /// There is this policy from now on, or none of that id.
    pub fn set_policy(&self, id: &str, policy: Option<String>) {
        self.set(1, id, policy);
    }

    fn set(&self, at: usize, id: &str, text: Option<String>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(known) = known.get_mut(at) else { return };
        match text {
            Some(text) => known.insert(id.to_owned(), text),
            None => known.remove(id),
        };
    }
}

impl Source for Memory {
    fn look_up<'s>(&'s self, key: &'s Key, _: Option<&'s str>) -> LookUp<'s> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let [things, policies] = &*known;
        let text = match key.kind {
            Kind::PolicyOf | Kind::Thing => things.get(&*key.id),
            Kind::Policy => policies.get(&*key.id),
        };
        let finding = match text {
            Some(text) => Finding::Found { value: text.clone(), validator: None },
            None => Finding::Absent,
        };
        Box::pin(std::future::ready(finding))
    }

    fn sees_everything(&self) -> bool {
        true
    }
}
