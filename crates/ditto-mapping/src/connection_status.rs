//! The ConnectionStatus mapper: how long a device can be reached, by what Eclipse Hono says of it (mapping.md §7).

use std::sync::Arc;

use ditto_placeholder::UtcTime;
use ditto_protocol::{Headers, ThingId};

use crate::adaptable::{Adaptable, Parts, topic_of};
use crate::error::MappingError;
use crate::external::ExternalMessage;
use crate::mapper::{CompiledMapper, Mapper, MapperFactory};
use crate::options::Options;
use crate::outgoing::{OutgoingMessage, OutgoingSignal};
use crate::template::{OptionTemplate, of_headers};

const THING_ID: &str = "thingId";
const FEATURE_ID: &str = "featureId";

#[derive(Debug)]
pub(crate) struct ConnectionStatusFactory;

impl MapperFactory for ConnectionStatusFactory {
    fn engine(&self) -> &'static str {
        "ConnectionStatus"
    }

    fn class(&self) -> &'static str {
        "org.eclipse.ditto.connectivity.service.mapping.ConnectionStatusMessageMapper"
    }

    fn needs_options(&self) -> bool {
        true
    }

    fn option_names(&self) -> &'static [&'static str] {
        &[THING_ID, FEATURE_ID]
    }

    fn compile(&self, options: &mut Options<'_>) -> Option<Arc<dyn CompiledMapper>> {
        let thing_id = thing_id(options);
        let feature_id = options.text(FEATURE_ID).map(|text| text.into_owned());
        let feature_id = feature_id.as_deref().unwrap_or("ConnectionStatus");
        let feature_id = OptionTemplate::read(feature_id, options, FEATURE_ID, of_headers);
        Some(Arc::new(ConnectionStatus { thing_id: thing_id?, feature_id }))
    }
}

fn thing_id(options: &mut Options<'_>) -> Option<OptionTemplate> {
    let Some(text) = options.text(THING_ID).map(|text| text.into_owned()) else {
        options.refuse(THING_ID, "it is missing", r#"write "thingId": "{{ header:device_id }}""#);
        return None;
    };
    let template = OptionTemplate::read(&text, options, THING_ID, of_headers);
    if let Some(Err(error)) = template.as_constant().map(str::parse::<ThingId>) {
        options.refuse(THING_ID, error.message(), "write namespace:name, or {{ header:device_id }}");
        return None;
    }
    Some(template)
}

#[derive(Debug, Clone)]
struct ConnectionStatus {
    thing_id: OptionTemplate,
    feature_id: OptionTemplate,
}

impl CompiledMapper for ConnectionStatus {
    fn instance(&self) -> Result<Box<dyn Mapper>, MappingError> {
        Ok(Box::new(self.clone()))
    }
}

impl Mapper for ConnectionStatus {
    /// Whatever is wrong with a message, it is dropped: most messages of such a source are none of a connection.
    fn incoming(&mut self, message: &ExternalMessage) -> Result<Vec<Adaptable>, MappingError> {
        Ok(self.command(message).into_iter().collect())
    }

    fn outgoing(&mut self, _: &OutgoingSignal<'_>, _: &mut Vec<OutgoingMessage>) -> Result<(), MappingError> {
        Ok(())
    }
}

/// The last second of the year 9999, for what has no end.
const NEVER: i64 = 253_402_300_799_000;

impl ConnectionStatus {
    fn command(&self, message: &ExternalMessage) -> Option<Adaptable> {
        let text = |template: &OptionTemplate| template.resolve(&message.values()).ok().flatten();
        let thing_id: ThingId = text(&self.thing_id)?.parse().ok()?;
        let feature_id = text(&self.feature_id)?;
        let number = |name: &str| message.header(name)?.parse::<i64>().ok();
        let created = number("creation-time").filter(|created| *created >= 0)?;
        let path = format!("/features/{feature_id}");
        let command = |path: &str, value: &str| {
            let headers = [
                ("response-required", "false"),
                ("requested-acks", "[]"),
                ("content-type", "application/json"),
            ];
            Some(Adaptable::new(&Parts {
                topic: &topic_of(&thing_id, "twin/commands/modify"),
                headers: &Headers::of_text(headers).ok()?,
                path,
                value: Some(value),
                status: None,
            }))
        };
        let until = match number("ttd")? {
            0 => {
                let path = format!("{path}/properties/status/readyUntil");
                return command(&path, &format!("\"{}\"", instant(created)));
            }
            -1 => NEVER,
            // The reference overflows into the past.
            seconds @ 1.. => {
                seconds.checked_mul(1_000).and_then(|ms| ms.checked_add(created)).unwrap_or(NEVER)
            }
            _ => return None,
        };
        let value = format!(
            r#"{{"definition":["org.eclipse.ditto:ConnectionStatus:1.0.0"],"properties":{{"status":{{"readySince":"{}","readyUntil":"{}"}}}}}}"#,
            instant(created),
            instant(until),
        );
        command(&path, &value)
    }
}

fn instant(millis: i64) -> UtcTime {
    let nanos = u32::try_from(millis.rem_euclid(1_000) * 1_000_000).unwrap_or_default();
    UtcTime::new(millis.div_euclid(1_000), nanos)
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use serde_json::json;

    use crate::tests::incoming;

    #[track_caller]
    fn check(headers: &[(&str, &str)], expected: Expect) {
        let options =
            json!({ "thingId": "{{ header:id }}", "featureId": "f-{{ header:f | fn:default('x') }}" });
        let definition = json!({ "mappingEngine": "ConnectionStatus", "options": options });
        expected.assert_eq(&incoming(definition, headers, ""));
    }

    fn of<'h>(created: &'h str, ttd: &'h str) -> [(&'h str, &'h str); 3] {
        [("id", "a:b"), ("creation-time", created), ("ttd", ttd)]
    }

    #[test]
    fn how_long_a_device_can_be_reached() {
        check(
            &of("1700000000001", "30"),
            expect![[r#"
            a/b/things/twin/commands/modify /features/f-x content-type=application/json,requested-acks=[],response-required=false {"definition":["org.eclipse.ditto:ConnectionStatus:1.0.0"],"properties":{"status":{"readySince":"2023-11-14T22:13:20.001Z","readyUntil":"2023-11-14T22:13:50.001Z"}}}
        "#]],
        );
        check(
            &of("1700000000000", "-1"),
            expect![[r#"
            a/b/things/twin/commands/modify /features/f-x content-type=application/json,requested-acks=[],response-required=false {"definition":["org.eclipse.ditto:ConnectionStatus:1.0.0"],"properties":{"status":{"readySince":"2023-11-14T22:13:20Z","readyUntil":"9999-12-31T23:59:59Z"}}}
        "#]],
        );
        check(
            &of("0", "0"),
            expect![[r#"
            a/b/things/twin/commands/modify /features/f-x/properties/status/readyUntil content-type=application/json,requested-acks=[],response-required=false "1970-01-01T00:00:00Z"
        "#]],
        );
        check(
            &of("+1000", "300000000000"),
            expect![[r#"
            a/b/things/twin/commands/modify /features/f-x content-type=application/json,requested-acks=[],response-required=false {"definition":["org.eclipse.ditto:ConnectionStatus:1.0.0"],"properties":{"status":{"readySince":"1970-01-01T00:00:01Z","readyUntil":"+11476-08-15T05:20:01Z"}}}
        "#]],
        );
        check(
            &of("1", "9223372036854775"),
            expect![[r#"
            a/b/things/twin/commands/modify /features/f-x content-type=application/json,requested-acks=[],response-required=false {"definition":["org.eclipse.ditto:ConnectionStatus:1.0.0"],"properties":{"status":{"readySince":"1970-01-01T00:00:00.001Z","readyUntil":"+292278994-08-17T07:12:55.001Z"}}}
        "#]],
        );
        check(
            &of("9223372036854775807", "9223372036854775807"),
            expect![[r#"
            a/b/things/twin/commands/modify /features/f-x content-type=application/json,requested-acks=[],response-required=false {"definition":["org.eclipse.ditto:ConnectionStatus:1.0.0"],"properties":{"status":{"readySince":"+292278994-08-17T07:12:55.807Z","readyUntil":"9999-12-31T23:59:59Z"}}}
        "#]],
        );
    }

    #[test]
    fn whatever_is_wrong_drops_the_message() {
        for headers in [
            of("-1", "1"),
            of("1", "-2"),
            of("1.5", "1"),
            of(" 1", "1"),
            of("", "1"),
            of("1", "9223372036854775808"),
        ] {
            check(&headers, expect![["dropped\n"]]);
        }
        for missing in 0..3 {
            let mut headers = of("1", "1").to_vec();
            headers.remove(missing);
            check(&headers, expect![["dropped\n"]]);
        }
        check(&[("id", "no id"), ("creation-time", "1"), ("ttd", "1")], expect![["dropped\n"]]);
        // Names are exact.
        check(&[("Id", "a:b"), ("creation-time", "1"), ("ttd", "1")], expect![["dropped\n"]]);
    }
}
