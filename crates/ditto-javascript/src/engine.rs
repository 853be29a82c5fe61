//! A scope of scripts, with its limits.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use ditto_mapping::MappingError;
use rquickjs::context::EvalOptions;
use rquickjs::{CatchResultExt, CaughtError, Context, Ctx, Function, Runtime, Value};

use crate::limits::ScriptLimits;

const PRELUDE: &str = include_str!("prelude.js");

/// A scope in which the scripts of one mapper have been evaluated. It keeps what they keep.
pub(crate) struct Engine {
    context: Context,
    clock: Arc<Clock>,
    limits: ScriptLimits,
}

/// When the call that runs has to end.
#[derive(Debug)]
struct Clock {
    start: Instant,
    /// Milliseconds after `start`.
    deadline: AtomicU64,
    is_over: AtomicBool,
}

impl Clock {
    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn is_over(&self) -> bool {
        let is_over = self.now() > self.deadline.load(Ordering::Relaxed);
        if is_over {
            self.is_over.store(true, Ordering::Relaxed);
        }
        is_over
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl Engine {
    /// Evaluates the scripts in one scope, each with its name.
    ///
    /// # Errors
    /// The name of the first one that is none or throws, and why, with its place.
    pub(crate) fn new<'s>(
        scripts: &[(&'s str, &str)],
        limits: ScriptLimits,
    ) -> Result<Self, (&'s str, String)> {
        let mut engine = Self::empty(limits).map_err(|why| ("", why))?;
        for (name, script) in [("prelude", PRELUDE)].iter().chain(scripts) {
            engine.evaluate(name, script).map_err(|why| (*name, why))?;
        }
        Ok(engine)
    }

    fn empty(limits: ScriptLimits) -> Result<Self, String> {
        let runtime = Runtime::new().map_err(|error| format!("there is no room for a script: {error}"))?;
        runtime.set_memory_limit(limits.max_memory);
        runtime.set_max_stack_size(limits.max_stack);
        let clock = Arc::new(Clock {
            start: Instant::now(),
            deadline: AtomicU64::new(u64::MAX),
            is_over: AtomicBool::new(false),
        });
        let watched = clock.clone();
        runtime.set_interrupt_handler(Some(Box::new(move || watched.is_over())));
        // All of it: without promises a script that uses them would end the process (dependencies.md of the study, §4).
        let context =
            Context::full(&runtime).map_err(|error| format!("there is no room for a script: {error}"))?;
        Ok(Self { context, clock, limits })
    }

    fn evaluate(&mut self, name: &str, script: &str) -> Result<(), String> {
        self.run(|ctx| {
            let mut options = EvalOptions::default();
            // As scripts were written for the reference.
            options.strict = false;
            options.filename = Some(name.to_owned());
            ctx.eval_with_options::<Value<'_>, _>(script, options).map(drop)
        })
    }

    /// Calls a function of the scope, and takes what comes of it.
    ///
    /// # Errors
    /// What was thrown, with its place.
    pub(crate) fn call<R>(
        &mut self,
        function: &str,
        argument: impl for<'js> FnOnce(&Ctx<'js>) -> rquickjs::Result<Value<'js>>,
        take: impl for<'js> FnOnce(&Ctx<'js>, Value<'js>) -> rquickjs::Result<Result<R, MappingError>>,
    ) -> Result<Result<R, MappingError>, String> {
        self.run(|ctx| {
            let function: Function<'_> = ctx.globals().get(function)?;
            let result: Value<'_> = function.call((argument(ctx)?,))?;
            take(ctx, result)
        })
    }

    /// Whether the last call met a limit, so that nobody knows in which state it left the scope.
    pub(crate) fn is_spent(&self) -> bool {
        self.clock.is_over.load(Ordering::Relaxed)
    }

    fn run<R>(&mut self, what: impl for<'js> FnOnce(&Ctx<'js>) -> rquickjs::Result<R>) -> Result<R, String> {
        let time = u64::try_from(self.limits.max_time.as_millis()).unwrap_or(u64::MAX);
        self.clock.deadline.store(self.clock.now().saturating_add(time), Ordering::Relaxed);
        let result = self.context.with(|ctx| what(&ctx).catch(&ctx).map_err(|error| explain(&error)));
        self.clock.deadline.store(u64::MAX, Ordering::Relaxed);
        result.map_err(|thrown| {
            if self.is_spent() {
                return format!("it took longer than {} ms", self.limits.max_time.as_millis());
            }
            // Out of memory is thrown as null.
            let thrown = thrown.unwrap_or_else(|| {
                format!("it needs more than {} bytes, or it threw null", self.limits.max_memory)
            });
            shorten(&thrown)
        })
    }
}

/// What was thrown, with its place; `None` for null.
fn explain(error: &CaughtError<'_>) -> Option<String> {
    match error {
        CaughtError::Error(error) => Some(error.to_string()),
        CaughtError::Exception(exception) => {
            let message = exception.message().unwrap_or_default();
            let name: String = exception.as_object().get("name").unwrap_or_default();
            let stack = exception.stack().unwrap_or_default();
            let place = stack.lines().next().unwrap_or_default().trim();
            let place = if place.is_empty() { String::new() } else { format!(" {place}") };
            Some(format!("{name}: {message}{place}"))
        }
        CaughtError::Value(value) if value.is_null() => None,
        CaughtError::Value(value) => {
            let text = value.as_string().and_then(|text| text.to_string().ok());
            Some(format!("it threw {}", text.unwrap_or_else(|| format!("a {}", value.type_name()))))
        }
    }
}

/// One line, and no more of it than a message should have.
fn shorten(text: &str) -> String {
    const LONGEST: usize = 300;
    let line = text.replace(['\n', '\r'], " ");
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None => line,
    }
}
