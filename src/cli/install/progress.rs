//! How far an installation is, on a [`Screen`]: a tick for what is ready, and what the rest waits for.

use super::super::screen::Screen;
use super::known::waits_of;
use crate::api::component::Component;
use crate::install::{Actor, ComponentOutcome, Outcome, cut};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// What is ready sooner needs no explanation.
const SLOW: Duration = Duration::from_secs(1);
/// The longest reason that is told; a line of a log has no room for more.
const LONGEST: usize = 400;

/// See the module.
pub struct Progress<'s, 'o> {
    screen: &'s mut Screen<'o>,
    ready: BTreeSet<Component>,
    /// What is not ready, since when, and what was last told of it.
    waiting: BTreeMap<Component, (Instant, String)>,
    /// What the components last waited for.
    reasons: BTreeMap<Component, String>,
}

impl<'s, 'o> Progress<'s, 'o> {
    pub fn new(screen: &'s mut Screen<'o>) -> Self {
        Self { screen, ready: BTreeSet::new(), waiting: BTreeMap::new(), reasons: BTreeMap::new() }
    }

    /// Whether something takes so long that its reason is told.
    pub(super) fn is_slow(&self) -> bool {
        self.waiting.values().any(|(since, _)| since.elapsed() >= SLOW)
    }

    /// Tells what a run came to.
    pub(super) fn tell(&mut self, outcome: &Outcome) {
        for (component, of) in &outcome.components {
            let title = component.info().title;
            if matches!(of, ComponentOutcome::Ready) {
                self.waiting.remove(component);
                self.reasons.remove(component);
                if self.ready.insert(*component) {
                    self.screen.tick(&format!("{title} installed"));
                }
                continue;
            }
            self.reasons.insert(*component, cut(&of.told(Actor::User), LONGEST));
            if waits_of(of).is_empty() && !matches!(of, ComponentOutcome::Failed(_)) {
                continue;
            }
            self.waiting.entry(*component).or_insert_with(|| (Instant::now(), String::new()));
        }
        self.tell_waits();
    }

    fn tell_waits(&mut self) {
        let reason = |component: &Component| self.reasons.get(component).map_or("", String::as_str);
        if self.screen.is_terminal() {
            let told = |component: &Component| format!("{}: {}", component.info().title, reason(component));
            let line: Vec<String> = self.waiting.keys().map(told).collect();
            if !line.is_empty() {
                self.screen.draw(&format!("  {}", line.join("; ").replace('\n', " ")));
            }
            return;
        }
        for (component, (since, told)) in &mut self.waiting {
            let now = self.reasons.get(component).map_or("", String::as_str);
            if since.elapsed() >= SLOW && told != now {
                now.clone_into(told);
                self.screen.note(&format!("- {} waits: {now}", component.info().title));
            }
        }
    }

    /// What is installed of these, and what is not, with its reason, for the end of a command that was told to stop.
    pub(super) fn so_far(&self, all: &[Component]) -> (Vec<&'static str>, Vec<String>) {
        let titles = all.iter().filter(|component| self.ready.contains(component)).map(|c| c.info().title).collect();
        let rest = all.iter().filter(|component| !self.ready.contains(component)).map(|component| {
            let title = component.info().title;
            self.reasons.get(component).map_or_else(|| title.to_owned(), |reason| format!("{title} ({reason})"))
        });
        (titles, rest.collect())
    }
}
