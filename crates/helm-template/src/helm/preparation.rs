//! What preparing a render (subcharts, values, schemas) logs, and what it uses of the render's budgets.

use crate::gotmpl::{Cost, Exhausted, Usage};
use std::cell::RefCell;

/// What is logged while a render is prepared, and what that uses of the budgets of the render.
#[derive(Debug, Default)]
pub struct Preparation {
    warnings: RefCell<Vec<String>>,
    usage: Usage,
}

impl Preparation {
    /// The beginning of it; everything is counted in the usage of the render.
    #[must_use]
    pub fn new(usage: &Usage) -> Self {
        Self { warnings: RefCell::default(), usage: usage.clone() }
    }

    /// Logs a line, unless there are more than anybody reads.
    pub fn warn(&self, line: impl Into<String>) {
        const MOST: usize = 1000;
        let mut warnings = self.warnings.borrow_mut();
        if warnings.len() < MOST {
            warnings.push(bounded(line.into()));
        } else if warnings.len() == MOST {
            warnings.push("there are more warnings, which are left out".to_owned());
        }
    }

    /// Counts work that is about to be done on values or subcharts, and the bytes that it takes.
    ///
    /// # Errors
    /// The budgets of the render do not allow it.
    pub fn pay(&self, work: u64, bytes: u64) -> Result<(), String> {
        self.pay_for("putting the values of the chart and its subcharts together", work, bytes)
    }

    /// As [`pay`](Self::pay), for something else.
    ///
    /// # Errors
    /// The budgets of the render do not allow it.
    pub fn pay_for(&self, what: &str, work: u64, bytes: u64) -> Result<(), String> {
        let told = |e: Exhausted| format!("{what}: {e}");
        self.usage.afford(Cost { work, bytes }).map_err(told)?;
        self.usage.make(usize::try_from(bytes).unwrap_or(usize::MAX)).map_err(told)
    }

    /// What was logged so far.
    #[must_use]
    pub fn take_warnings(&self) -> Vec<String> {
        self.warnings.take()
    }
}

/// As much of a line as is read.
fn bounded(mut line: String) -> String {
    const LONGEST: usize = 16 << 10;
    if line.len() > LONGEST {
        let end = (0..=LONGEST).rev().find(|at| line.is_char_boundary(*at)).unwrap_or(0);
        line.truncate(end);
        line.push('…');
    }
    line
}
