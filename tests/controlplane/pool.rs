//! Control planes that tests use one after the other: each finds one as the first found it (see [`snapshot`]).
//!
//! To start one takes four seconds of a core, to bring one back half of one.

use super::snapshot::{self, Snapshot};
use super::{ControlPlane, Options, turn};
use anyhow::Result;
use std::ffi::OsString;
use std::ops::Deref;
use std::sync::{Mutex, PoisonError};

/// How a control plane is prepared for tests; control planes of one name are as good as each other.
pub struct Preparation {
    pub name: &'static str,
    pub prepare: fn(&ControlPlane) -> Result<()>,
}

/// Those that nobody uses, with the name of their preparation and what they stored in the beginning.
static IDLE: Mutex<Vec<(&'static str, ControlPlane, Snapshot)>> = Mutex::new(vec![]);

/// A control plane for one test. It is given back when it is dropped, unless the test failed, or broke it.
pub struct Lent {
    plane: ControlPlane,
    /// None of a control plane that is not given back.
    beginning: Option<(&'static str, Snapshot)>,
}

/// Waits for a turn and takes a control plane: one that was used before, or a new one that is then prepared. They all have
/// the same options.
pub fn take(options: &Options, preparation: &Preparation) -> Result<Lent> {
    let Preparation { name, prepare } = *preparation;
    let turn = turn();
    loop {
        let idle = {
            let mut idle = IDLE.lock().unwrap_or_else(PoisonError::into_inner);
            idle.iter().rposition(|(of, ..)| *of == name).map(|at| idle.remove(at))
        };
        let Some((_, mut plane, mut beginning)) = idle else { break };
        match plane.begin_again(&mut beginning) {
            Ok(()) => {
                plane.turn = Some(turn);
                return Ok(Lent { plane, beginning: Some((name, beginning)) });
            }
            Err(e) => {
                eprintln!("another control plane is started, for that of an earlier test is no more as it was: {e:#}");
            }
        }
    }
    let plane = ControlPlane::start_in(turn, options)?;
    prepare(&plane)?;
    let beginning = plane.store.as_ref().map(snapshot::Store::snapshot).transpose()?;
    Ok(Lent { plane, beginning: beginning.map(|beginning| (name, beginning)) })
}

/// A new control plane that nobody uses later.
pub fn alone(options: &Options) -> Result<Lent> {
    Ok(Lent { plane: ControlPlane::start_with(options)?, beginning: None })
}

impl Deref for Lent {
    type Target = ControlPlane;

    fn deref(&self) -> &ControlPlane {
        &self.plane
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let Some((name, beginning)) = self.beginning.take() else { return };
        if std::thread::panicking() || self.plane.is_broken.get() {
            return;
        }
        let mut plane = std::mem::replace(&mut self.plane, ControlPlane::existing(OsString::new()));
        // Whoever has the turn next is to find it.
        let turn = plane.turn.take();
        IDLE.lock().unwrap_or_else(PoisonError::into_inner).push((name, plane, beginning));
        drop(turn);
    }
}
