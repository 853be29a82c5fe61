//! What holds for any script: it answers, and leaves the next message as it was. The target in `fuzz/` looks for one that breaks it,
//! `crashes/` has those that did.
#![expect(clippy::expect_used, reason = "what breaks a law ends the test")]

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use ditto_javascript::{JavaScriptFactory, ScriptLimits};
use ditto_mapping::{Engines, ExternalMessage, LaneMappers, MapperList, Mappings, Outcome, OutgoingSignal};
use ditto_placeholder::{Placeholder, Resolve};
use ditto_protocol::{Limits, Signal, Written};

/// Evaluates what the message says, in the function of either direction, unless it says nothing.
const INCOMING: &str = "function mapToDittoProtocolMsg(headers, textPayload, bytePayload, contentType) {
  if (textPayload !== 'well') return eval(textPayload);
  return Ditto.buildDittoProtocolMsg('a', 'b', 'things', 'twin', 'commands', 'modify', '/attributes/v', {}, [...'ab'].map(String).join());
}";
const OUTGOING: &str = "function mapFromDittoProtocolMsg(namespace, name, group, channel, criterion, action, path, dittoHeaders, value) {
  return eval(value);
}";

struct Nothing;

impl Resolve for Nothing {
    fn resolve(&self, _: &Placeholder, _: &mut String) -> Option<()> {
        None
    }
}

struct Scripted {
    list: MapperList,
    incoming: LaneMappers,
    outgoing: LaneMappers,
    factory: JavaScriptFactory,
}

impl Scripted {
    fn new() -> Self {
        let mut limits = ScriptLimits::default();
        limits.max_time = Duration::from_millis(20);
        limits.max_memory = 4 << 20;
        let factory = JavaScriptFactory::new(limits);
        let engines = Engines::default().with(Arc::new(factory.clone()));
        let options = serde_json::json!({ "incomingScript": INCOMING, "outgoingScript": OUTGOING });
        let definitions = serde_json::json!({ "js": { "mappingEngine": "JavaScript", "options": options } });
        let list = Mappings::read(Some(&definitions), &engines).list(&["js"], "").expect("it is defined");
        Self { list, incoming: LaneMappers::default(), outgoing: LaneMappers::default(), factory }
    }

    fn incoming(&mut self, text: &str) -> Vec<String> {
        let record = ExternalMessage::of_text(Vec::new(), text);
        let mut values = Vec::new();
        self.incoming.incoming(&self.list, &record, "c", |_, outcome| {
            if let Outcome::Mapped(signal) = outcome {
                values.push(signal.value().unwrap_or_default().to_owned());
            }
        });
        values
    }

    fn outgoing(&mut self, text: &str) {
        let event = serde_json::json!({ "topic": "a/b/things/twin/events/modified", "path": "/attributes/v", "value": text });
        let Ok(signal) = Signal::decode(event.to_string().into(), &Limits::default()) else { return };
        let signal = OutgoingSignal::new(&signal, Written::default(), &Nothing);
        self.outgoing.outgoing(&self.list, &signal, |_, _| {});
    }
}

/// Whatever is evaluated, it ends, and within its memory. The scope keeps what one has left for the next, but the language
/// stays as it is.
pub(crate) fn scripts(data: &[u8]) {
    thread_local! {
        static SCRIPTED: RefCell<Scripted> = RefCell::new(Scripted::new());
    }
    let text = String::from_utf8_lossy(data);
    SCRIPTED.with_borrow_mut(|scripted| {
        scripted.incoming(&text);
        scripted.outgoing(&text);
        let usage = scripted.factory.usage();
        assert!(usage.scopes <= 2 && usage.bytes <= 8 << 20, "{usage:?}");
        // A script may put something else in the place of the function, which is its state.
        let values = scripted.incoming("well");
        assert!(values.is_empty() || text.contains("map") || values == [r#""a,b""#], "{values:?}");
    });
}
