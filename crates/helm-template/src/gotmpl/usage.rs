//! What a render may use up, and what it has used.
//!
//! One render has one [`Usage`], shared by all its templates, whatever executes them. It counts four things:
//!
//! | budget | default | counts |
//! |---|---|---|
//! | work | 400 million units | nodes, loop passes and calls, each function by its [`Price`](super::Price); a unit is about 10 ns of a build without optimisation, 1 ns of one with it |
//! | bytes | 192 MiB | whatever functions, literals and actions make, kept or not |
//! | output | 64 MiB | what templates write; what a nested execution returns counts again when it is printed |
//! | time | none | what has passed since the render began; without this budget no clock is read |
//!
//! A large chart (some 50 objects, 250 KiB of manifests) uses 2 million units, 1 MiB and 0.25 MiB of the first three; a
//! test renders 2500 objects of 5 MiB with room to spare. With what a render holds besides (the chart's files, its syntax
//! trees, the manifests) these budgets keep a process below 512 MiB and end a render within seconds.
//!
//! Guarantee: a budget that ran out stays so; whoever goes on after the error gets it again.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// What an execution may use up.
///
/// The stack is the caller's: see [`stack`](Self::stack). The default asks for a thread with 64 MiB (256 MiB without
/// optimisation), and lets 1001 nested inclusions pass, each with a dozen blocks and pipelines around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budgets {
    /// Nested executions of templates; Go has 100000 for `template` alone.
    pub depth: usize,
    /// Nested blocks, pipelines, calls and templates altogether.
    pub nesting: usize,
    /// Passes through loops and executions of templates, all together.
    pub iterations: u64,
    /// Bytes written by all templates together; what a nested execution returns counts again when it is printed.
    pub output: u64,
    /// Bytes made by functions, literals and actions, kept or not.
    pub bytes: u64,
    /// Units of work, see the prices of functions.
    pub work: u64,
    /// Time since the render began. Without it no clock is read, and the same render always ends in the same way.
    pub time: Option<Duration>,
}

impl Budgets {
    /// The default budgets, and 8 seconds of time: for who renders with the clock of the system anyway.
    #[must_use]
    pub fn timed() -> Self {
        Self { time: Some(Duration::from_secs(8)), ..Self::default() }
    }

    /// The stack, in bytes, that a thread needs to execute templates within these budgets.
    #[must_use]
    pub const fn stack(&self) -> usize {
        let per_level = if cfg!(debug_assertions) { 8 << 10 } else { 2 << 10 };
        self.nesting * per_level + (1 << 20)
    }
}

impl Default for Budgets {
    fn default() -> Self {
        Self {
            depth: 100_000,
            nesting: 30_000,
            iterations: 10_000_000,
            output: 64 << 20,
            bytes: 192 << 20,
            work: 400_000_000,
            time: None,
        }
    }
}

/// A budget that ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Exhausted {
    /// Template calls inside template calls; Go's own text.
    #[error("exceeded maximum template depth ({0})")]
    Depth(usize),
    /// Nested blocks, pipelines and calls altogether.
    #[error("evaluation is nested more than {0} deep; call fewer templates from within each other")]
    Nesting(usize),
    /// Passes through loops and template calls.
    #[error("more than {0} loop passes and template calls; make the template do less")]
    Iterations(u64),
    /// Bytes written by all templates of the execution together.
    #[error("more than {0} bytes of output; make the template write less")]
    Output(u64),
    /// Bytes made.
    #[error(
        "this would make more than {0} bytes of texts, lists and maps in one render; build less, or in smaller charts"
    )]
    Bytes(u64),
    /// Work done.
    #[error(
        "this would take more than {0} units of work in one render; loop less, or over less costly functions (keys, \
         passwords, patterns, sorting and YAML cost most)"
    )]
    Work(u64),
    /// Time passed.
    #[error("the render takes longer than {} seconds; make the templates do less", .0.as_secs())]
    Time(Duration),
}

impl Exhausted {
    /// Whether the same render may succeed if it is tried again: time depends on the machine, all else on the templates
    /// and values alone.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        matches!(self, Self::Time(_))
    }
}

/// What something costs: work at once, and the bytes it may take while it is done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Units of work.
    pub work: u64,
    /// Bytes at most.
    pub bytes: u64,
}

/// After this much work the clock is looked at again.
const LOOK: u64 = 500_000;

/// What a render has used; clones count together.
#[derive(Clone, Debug)]
pub struct Usage {
    budgets: Budgets,
    /// When time is up.
    deadline: Option<Deadline>,
    counts: Rc<Counts>,
}

#[derive(Clone, Copy, Debug)]
struct Deadline {
    at: Instant,
    budget: Duration,
}

#[derive(Debug, Default)]
struct Counts {
    iterations: Cell<u64>,
    output: Cell<u64>,
    bytes: Cell<u64>,
    work: Cell<u64>,
    /// The work at which the clock is looked at.
    look: Cell<u64>,
    /// The budget that ran out first.
    ran_out: Cell<Option<Exhausted>>,
}

impl Default for Usage {
    fn default() -> Self {
        Self::new(Budgets::default())
    }
}

impl Usage {
    /// Nothing is used; time begins to run.
    #[must_use]
    pub fn new(budgets: Budgets) -> Self {
        let deadline =
            budgets.time.and_then(|budget| Some(Deadline { at: Instant::now().checked_add(budget)?, budget }));
        let look = Cell::new(LOOK.min(budgets.work));
        Self { budgets, deadline, counts: Rc::new(Counts { look, ..Counts::default() }) }
    }

    /// The limits.
    #[must_use]
    pub fn budgets(&self) -> &Budgets {
        &self.budgets
    }

    /// Work and bytes used so far.
    #[must_use]
    pub fn spent(&self) -> Cost {
        Cost { work: self.counts.work.get(), bytes: self.counts.bytes.get() }
    }

    /// The budget that ran out first. It tells what a text no longer does: functions report errors as texts.
    #[must_use]
    pub fn ran_out(&self) -> Option<Exhausted> {
        self.counts.ran_out.get()
    }

    #[cold]
    fn end(&self, exhausted: Exhausted) -> Result<(), Exhausted> {
        self.counts.ran_out.set(self.counts.ran_out.get().or(Some(exhausted)));
        Err(exhausted)
    }

    /// Counts work about to be done.
    ///
    /// # Errors
    /// The work or the time is used up.
    #[inline]
    pub fn work(&self, units: u64) -> Result<(), Exhausted> {
        let work = self.counts.work.get().saturating_add(units);
        self.counts.work.set(work);
        if work >= self.counts.look.get() { self.look_up() } else { Ok(()) }
    }

    #[cold]
    fn look_up(&self) -> Result<(), Exhausted> {
        if self.counts.work.get() > self.budgets.work {
            return self.end(Exhausted::Work(self.budgets.work));
        }
        self.tick()?;
        self.counts.look.set(self.counts.work.get().saturating_add(LOOK).min(self.budgets.work));
        Ok(())
    }

    /// Looks at the clock now: after something whose work was not known before.
    ///
    /// # Errors
    /// The time is used up.
    pub fn tick(&self) -> Result<(), Exhausted> {
        match self.deadline {
            Some(deadline) if Instant::now() > deadline.at => self.end(Exhausted::Time(deadline.budget)),
            _ => Ok(()),
        }
    }

    /// Counts bytes that were made.
    ///
    /// # Errors
    /// They are too many.
    #[inline]
    pub fn make(&self, bytes: usize) -> Result<(), Exhausted> {
        let bytes = self.counts.bytes.get().saturating_add(bytes as u64);
        self.counts.bytes.set(bytes);
        if bytes > self.budgets.bytes { self.end(Exhausted::Bytes(self.budgets.bytes)) } else { Ok(()) }
    }

    /// Counts the work of something that is about to be done, if there is room for the bytes that it may take.
    ///
    /// # Errors
    /// There is not, or the work is used up: it must not be done.
    #[inline]
    pub fn afford(&self, cost: Cost) -> Result<(), Exhausted> {
        if self.counts.bytes.get().saturating_add(cost.bytes) > self.budgets.bytes {
            return self.end(Exhausted::Bytes(self.budgets.bytes));
        }
        self.work(cost.work)
    }

    /// Counts a pass through a loop or the execution of a template.
    ///
    /// # Errors
    /// They are too many.
    #[inline]
    pub fn iterate(&self) -> Result<(), Exhausted> {
        let count = self.counts.iterations.get() + 1;
        self.counts.iterations.set(count);
        if count > self.budgets.iterations {
            return self.end(Exhausted::Iterations(self.budgets.iterations));
        }
        self.work(PASS)
    }

    /// Counts bytes of output.
    ///
    /// # Errors
    /// They are too many.
    #[inline]
    pub fn write(&self, bytes: usize) -> Result<(), Exhausted> {
        let output = self.counts.output.get().saturating_add(bytes as u64);
        self.counts.output.set(output);
        if output > self.budgets.output {
            return self.end(Exhausted::Output(self.budgets.output));
        }
        self.make(bytes)
    }
}

/// The work of a loop's pass, besides that of its body.
const PASS: u64 = 40;
/// The work of a pipeline or a call, besides what is in it.
pub(super) const LEVEL: u64 = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_that_ran_out_stays_so() {
        let usage = Usage::new(Budgets { work: 100, bytes: 100, output: 50, ..Budgets::default() });
        assert_eq!(usage.afford(Cost { work: 10, bytes: 101 }), Err(Exhausted::Bytes(100)));
        assert_eq!(usage.spent(), Cost::default());
        assert_eq!(usage.write(51), Err(Exhausted::Output(50)));
        assert_eq!(usage.write(0), Err(Exhausted::Output(50)));
        assert_eq!(usage.make(101), Err(Exhausted::Bytes(100)));
        assert_eq!(usage.make(0), Err(Exhausted::Bytes(100)));
        assert_eq!(usage.work(LOOK), Err(Exhausted::Work(100)));
        assert_eq!(usage.work(0), Err(Exhausted::Work(100)));
        assert_eq!(usage.ran_out(), Some(Exhausted::Bytes(100)));
    }
}
