//! The functions and what each takes: one table (placeholders.md §5).

/// What a function takes, for the parser and for messages.
#[derive(Debug)]
pub(crate) struct Signature {
    pub(crate) required: usize,
    pub(crate) optional: usize,
    /// Whether an argument may be a placeholder; otherwise it is a quoted text.
    pub(crate) placeholders: bool,
    /// Shown when the arguments do not fit.
    pub(crate) usage: &'static str,
}

macro_rules! functions {
    ($($variant:ident = $name:literal, $required:literal, $optional:literal, $placeholders:literal, $usage:literal;)*) => {
        /// The name of a function.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub(crate) enum FunctionName {
            $($variant,)*
        }

        impl FunctionName {
            /// All of them, as they are called.
            pub(crate) const KNOWN: &'static [&'static str] = &[$(concat!("fn:", $name, "()"),)*];

            pub(crate) fn find(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$variant),)*
                    _ => None,
                }
            }

            pub(crate) fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// For messages: `fn:name`.
            pub(crate) fn as_call(self) -> &'static str {
                match self {
                    $(Self::$variant => concat!("fn:", $name),)*
                }
            }

            pub(crate) fn signature(self) -> Signature {
                match self {
                    $(Self::$variant => Signature {
                        required: $required,
                        optional: $optional,
                        placeholders: $placeholders,
                        usage: $usage,
                    },)*
                }
            }
        }
    };
}

functions! {
    Default = "default", 1, 0, true, "fn:default('text') or fn:default(thing:id)";
    Delete = "delete", 0, 0, false, "fn:delete()";
    Lower = "lower", 0, 0, false, "fn:lower()";
    Upper = "upper", 0, 0, false, "fn:upper()";
    Trim = "trim", 0, 0, false, "fn:trim()";
    SubstringBefore = "substring-before", 1, 0, false, "fn:substring-before('text')";
    SubstringAfter = "substring-after", 1, 0, false, "fn:substring-after('text')";
    Replace = "replace", 2, 1, true, "fn:replace('from', 'to'), or placeholders instead";
    Split = "split", 1, 0, false, "fn:split('separator')";
    Join = "join", 1, 0, false, "fn:join('separator')";
    UrlEncode = "url-encode", 0, 0, false, "fn:url-encode()";
    UrlDecode = "url-decode", 0, 0, false, "fn:url-decode()";
    Base64Encode = "base64-encode", 0, 0, false, "fn:base64-encode()";
    Base64Decode = "base64-decode", 0, 0, false, "fn:base64-decode()";
    Filter = "filter", 2, 1, true, "fn:filter('eq', 'text'), fn:filter(thing:id, 'exists') or fn:filter(thing:id, 'like', 'a*')";
    Format = "format", 1, 0, false, "fn:format('{member}')";
}
