//! What a row's filter asks, read without the code under test: one operator about one property, maybe negated.

use serde_json::Value;

/// The only operator of a filter, below any `not`.
#[derive(Debug)]
pub(super) struct Asked {
    is_negated: bool,
    operator: String,
    property: String,
    /// As they were written; a comma in a text cuts it, which no row needs.
    literals: Vec<String>,
    /// The segments of each place that the enrichment brings.
    extra_fields: Vec<Vec<String>>,
}

impl Asked {
    /// `None` for a filter with `and` or `or`, or of another form.
    pub(super) fn of(row: &Value) -> Option<Self> {
        let mut filter = row.get("filter")?.as_str()?;
        let mut is_negated = false;
        while let Some(inner) = filter.strip_prefix("not(").and_then(|rest| rest.strip_suffix(')')) {
            (filter, is_negated) = (inner, !is_negated);
        }
        let (operator, rest) = filter.strip_suffix(')')?.split_once('(')?;
        if ["and", "or"].contains(&operator) {
            return None;
        }
        let mut arguments = rest.split(',').map(ToOwned::to_owned);
        let extra_fields = row.get("extraFields").and_then(Value::as_str).unwrap_or_default();
        let segments =
            |place: &str| place.split('/').filter(|it| !it.is_empty()).map(ToOwned::to_owned).collect();
        Some(Self {
            is_negated,
            operator: operator.to_owned(),
            property: arguments.next()?,
            literals: arguments.collect(),
            extra_fields: extra_fields.split(',').filter(|place| !place.is_empty()).map(segments).collect(),
        })
    }

    /// Whether it is `in`, and nothing is compared after a null.
    pub(super) fn ends_with_null(&self) -> bool {
        self.operator == "in" && self.literals.last().is_some_and(|literal| literal == "null")
    }

    /// Whether the enrichment brings the property, something in it, or something around it.
    pub(super) fn is_brought(&self) -> bool {
        let property: Vec<_> = self.property.split('/').filter(|it| !it.is_empty()).collect();
        self.extra_fields.iter().any(|place| {
            place.iter().zip(&property).enumerate().all(|(at, (brought, asked))| {
                brought == asked || (at == 1 && brought == "*" && property.first() == Some(&"features"))
            })
        })
    }

    /// Whether the reference sees that: it compares texts, in which properties of features lack their third segment, and
    /// members of the thing begin with an escaped slash.
    pub(super) fn is_seen_to_be_brought(&self) -> bool {
        let property: Vec<_> = self.property.split('/').filter(|it| !it.is_empty()).collect();
        let theirs = match property.as_slice() {
            ["features", id, "properties" | "desiredProperties", below @ ..] if !below.is_empty() => {
                format!("/features/{id}/{}", below.join("/"))
            }
            [member] => format!("/~1{member}"),
            all => format!("/{}", all.join("/")),
        };
        self.extra_fields.iter().any(|place| theirs.starts_with(&format!("/{}", place.join("/"))))
    }

    /// Whether it holds of an event that says `value` of the definition of feature `id`; `None` where that is not known
    /// here.
    pub(super) fn holds_of_definition(&self, channel: &str, id: &str, value: Option<&Value>) -> Option<bool> {
        if !self.extra_fields.is_empty() {
            return None;
        }
        let is_definition = self.property == format!("features/{id}/definition");
        let holds = match (self.operator.as_str(), self.property.as_str(), self.literals.as_slice()) {
            ("exists", "thingId", []) => true,
            ("exists", _, []) if is_definition => value.is_some(),
            ("eq", property, [literal]) => {
                let literal = Value::from(literal.strip_prefix('"')?.strip_suffix('"')?);
                match property {
                    "topic:channel" => literal == channel,
                    "feature:id" => literal == id,
                    _ if is_definition => {
                        value.and_then(Value::as_array).is_some_and(|names| names.contains(&literal))
                    }
                    _ => return None,
                }
            }
            _ => return None,
        };
        Some(holds != self.is_negated)
    }
}
