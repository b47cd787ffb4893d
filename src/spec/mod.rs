//! From what a person writes to a resolved spec.
//!
//! | module | in → out |
//! |---|---|
//! | [`request`] | files and `--set`, or a resource → one [`request::Request`], with where each field was written |
//! | [`resolve`] | a request and the profiles → [`resolve::Resolved`]: every component with its values, or all problems at once |

pub mod request;
pub mod resolve;
