//! A scope of scripts, with its limits.

use std::fmt;
use std::sync::Arc;

use ditto_mapping::MappingError;
use rquickjs::context::EvalOptions;
use rquickjs::{CatchResultExt, CaughtError, Context, Ctx, Function, Runtime, Value};

use crate::allocator::Guarded;
use crate::guard::{Guard, Met};
use crate::limits::ScriptLimits;
use crate::watchdog::{Watchdog, task};

const PRELUDE: &str = include_str!("../js/prelude.js");

/// A script of a definition, or of a library.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Script<'s> {
    /// The option that it comes from.
    pub(crate) name: &'static str,
    pub(crate) text: &'s str,
}

/// A scope in which the scripts of one mapper have been evaluated. It keeps what they keep.
pub(crate) struct Engine {
    context: Context,
    guard: Arc<Guard>,
    watchdog: Arc<Watchdog>,
    /// Which bound the last call has met.
    met: Option<Met>,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("guard", &self.guard).finish_non_exhaustive()
    }
}

impl Engine {
    /// Evaluates the scripts in one scope, and closes it: what the language itself has stays as it is then.
    ///
    /// # Errors
    /// The name of the first one that is none or throws, and why, with its place.
    pub(crate) fn new(
        name: &str,
        scripts: &[Script<'_>],
        limits: ScriptLimits,
        watchdog: &Arc<Watchdog>,
    ) -> Result<Self, (&'static str, String)> {
        let guard = Arc::new(Guard::new(name, limits));
        watchdog.add(&guard);
        let context =
            context(&guard).map_err(|error| ("", format!("there is no room for a script: {error}")))?;
        let mut engine = Self { context, guard, watchdog: watchdog.clone(), met: None };
        engine.evaluate(scripts)?;
        Ok(engine)
    }

    fn evaluate(&mut self, scripts: &[Script<'_>]) -> Result<(), (&'static str, String)> {
        let Self { context, guard, watchdog, .. } = self;
        context.with(|ctx| {
            let evaluate = |name, text| {
                let (value, _) = timed(guard, watchdog, &ctx, || evaluate(&ctx, name, text));
                value.map_err(|why| (name, why))
            };
            let close = evaluate("prelude", PRELUDE)?;
            for script in scripts.iter().filter(|script| !script.text.is_empty()) {
                evaluate(script.name, script.text)?;
            }
            let Some(close) = close.into_function() else { return Ok(()) };
            timed(guard, watchdog, &ctx, || close.call::<_, ()>(())).0.map_err(|why| ("prelude", why))
        })
    }

    /// Calls a function of the scope, and takes what comes of it.
    ///
    /// # Errors
    /// What was thrown, with its place.
    pub(crate) fn call<R>(
        &mut self,
        function: &str,
        call: impl for<'js> FnOnce(&Ctx<'js>, Function<'js>) -> rquickjs::Result<Value<'js>>,
        take: impl for<'js> FnOnce(&Ctx<'js>, Value<'js>) -> rquickjs::Result<Result<R, MappingError>>,
    ) -> Result<Result<R, MappingError>, String> {
        let Self { context, guard, watchdog, .. } = self;
        let (result, met) = context.with(|ctx| {
            timed(guard, watchdog, &ctx, || {
                let callee: Value<'_> = ctx.globals().get(function)?;
                let Some(callee) = callee.into_function() else {
                    let text =
                        format!("the script has put something else in the place of the function {function}");
                    return Ok(Err(MappingError::failed(text, "mend the script")));
                };
                let result = call(&ctx, callee)?;
                // What it has left to do is done before anybody looks at what it has returned, as in the reference.
                do_jobs(&ctx, guard);
                take(&ctx, result)
            })
        });
        self.met = met;
        result
    }

    /// Which bound the last call has met, so that nobody knows in which state it left the scope.
    pub(crate) fn met(&self) -> Option<Met> {
        self.met
    }

    /// Bytes that the scope has.
    pub(crate) fn used(&self) -> usize {
        self.guard.used()
    }
}

fn context(guard: &Arc<Guard>) -> rquickjs::Result<Context> {
    let runtime = Runtime::new_with_alloc(Guarded::new(guard.clone()))?;
    runtime.set_max_stack_size(guard.limits().max_stack);
    let watched = guard.clone();
    runtime.set_interrupt_handler(Some(Box::new(move || watched.is_interrupted())));
    // All of it: without promises a script that uses them would end the process (dependencies.md of the study, §4).
    Context::full(&runtime)
}

fn evaluate<'js>(ctx: &Ctx<'js>, name: &str, script: &str) -> rquickjs::Result<Value<'js>> {
    let mut options = EvalOptions::default();
    // As scripts were written for the reference.
    options.strict = false;
    options.filename = Some(name.to_owned());
    ctx.eval_with_options(script, options)
}

/// Jobs of promises. They may make others without end, and none of them may be left for the next message.
fn do_jobs(ctx: &Ctx<'_>, guard: &Guard) {
    while guard.met().is_none() && ctx.execute_pending_job() {}
}

/// Does something within the bounds of a call; which of them it has met.
fn timed<'js, R>(
    guard: &Guard,
    watchdog: &Watchdog,
    ctx: &Ctx<'js>,
    what: impl FnOnce() -> rquickjs::Result<R>,
) -> (Result<R, String>, Option<Met>) {
    guard.begin(task());
    watchdog.wake();
    let result = what().catch(ctx).map_err(|error| match guard.met() {
        // What it threw cannot be asked: that is a script as well.
        Some(_) => String::new(),
        None => explain(&error),
    });
    // Asking what it threw, or what it returned, may have left something to do.
    do_jobs(ctx, guard);
    ctx.catch();
    let met = guard.end();
    let limits = guard.limits();
    let result = match met {
        Some(Met::Time) => Err(format!("it took longer than {} ms", limits.max_time.as_millis())),
        // Even if the script has caught it: what it returned may lack something.
        Some(Met::Memory) => Err(format!("it needs more than {} bytes", limits.max_memory)),
        None => result,
    };
    (result.map_err(|why| shorten(&why)), met)
}

/// What was thrown, with its place.
fn explain(error: &CaughtError<'_>) -> String {
    match error {
        CaughtError::Error(rquickjs::Error::Utf8(_)) => {
            "a text of it has half of a surrogate pair".to_owned()
        }
        CaughtError::Error(error) => error.to_string(),
        CaughtError::Exception(exception) => {
            let message = exception.message().unwrap_or_default();
            let name: String = exception.as_object().get("name").unwrap_or_default();
            let stack = exception.stack().unwrap_or_default();
            let place = stack.lines().next().unwrap_or_default().trim();
            let place = if place.is_empty() { String::new() } else { format!(" {place}") };
            match (name.as_str(), message.as_str()) {
                ("", "") => format!("it threw an error that says nothing{place}"),
                _ => format!("{name}: {message}{place}"),
            }
        }
        CaughtError::Value(value) => {
            let text = value.as_string().and_then(|text| text.to_string().ok());
            format!("it threw {}", text.unwrap_or_else(|| value.type_name().to_owned()))
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
