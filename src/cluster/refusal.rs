//! Whether a request that failed may succeed another time.

use kube::Error;
use kube::core::Status;

/// What can be expected of the same request another time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The object itself is wrong: the API server will never take it as it is.
    Never,
    /// A policy, or something else in the cluster, stands against it: it may pass when that changes.
    Denied,
    /// It may pass at any time: the API server, a webhook, a namespace, a CRD or a permission was not there.
    Passing,
}

/// A kind of answer: its HTTP status (0 is any), a part of its message (which may be empty), and what it means. The first
/// that fits counts. Messages are looked at where the status says too little: what is wrong with the manifest itself is a 500
/// to server-side apply, and a policy answers with any status.
const ANSWERS: &[(u16, &str, Refusal)] = &[
    // A webhook that was asked and said no, and one that could not be asked.
    (0, "denied the request", Refusal::Denied),
    (0, "denied request", Refusal::Denied),
    (0, "failed calling webhook", Refusal::Passing),
    (0, "conversion webhook for", Refusal::Passing),
    // It is asked for real, and may well agree.
    (0, "does not support dry run", Refusal::Passing),
    // A port or an address that another Service has.
    (422, "already allocated", Refusal::Denied),
    // A JSON patch of something that has changed meanwhile.
    (422, "the server rejected our request due to an error in our request", Refusal::Passing),
    (400, "", Refusal::Never),
    (405, "", Refusal::Never),
    (413, "", Refusal::Never),
    (422, "", Refusal::Never),
    (500, "failed to create typed patch object", Refusal::Never),
    (500, "failed to create typed new object", Refusal::Never),
    (500, "failed to convert new object", Refusal::Never),
    (500, "failed to convert patch object", Refusal::Never),
    (500, "unable to convert unstructured object", Refusal::Never),
    (500, "duplicate entries for key", Refusal::Never),
    (500, "field not declared in schema", Refusal::Never),
    // Too large for the storage, by its own limit or by that of the connection to it.
    (500, "etcdserver: request is too large", Refusal::Never),
    (500, "trying to send message larger than max", Refusal::Never),
];

pub(super) fn of(error: &Error) -> Refusal {
    match error {
        Error::Api(status) => of_status(status),
        _ => Refusal::Passing,
    }
}

fn of_status(status: &Status) -> Refusal {
    let fits = |(code, part, _): &&(u16, &str, Refusal)| {
        (*code == 0 || *code == status.code) && status.message.contains(*part)
    };
    ANSWERS.iter().find(fits).map_or(Refusal::Passing, |(_, _, refusal)| *refusal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_without_a_telling_status_is_known_by_its_message() {
        let answered = |code: u16, message: &str| of_status(&Status::failure(message, "").with_code(code));
        for (code, message, refusal) in [
            (500, "failed to create typed patch object (a/b): .spec.foo: field not declared in schema", Refusal::Never),
            (500, "failed calling webhook \"a\": Post: connection refused", Refusal::Passing),
            (500, "etcdserver: request timed out", Refusal::Passing),
            (400, "admission webhook \"a\" denied the request: no", Refusal::Denied),
            (400, "admission webhook \"a\" does not support dry run", Refusal::Passing),
            (
                422,
                "configmaps \"a\" is forbidden: ValidatingAdmissionPolicy 'a' with binding 'b' denied request: no",
                Refusal::Denied,
            ),
            (422, "spec.selector: field is immutable", Refusal::Never),
            (422, "spec.ports[0].nodePort: Invalid value: 1: provided port is already allocated", Refusal::Denied),
            (500, "conversion webhook for a, Kind=B failed: Post: connection refused", Refusal::Passing),
            (403, "configmaps is forbidden", Refusal::Passing),
            (404, "namespaces \"a\" not found", Refusal::Passing),
            (409, "the object has been modified", Refusal::Passing),
            (429, "too many requests", Refusal::Passing),
        ] {
            assert_eq!(answered(code, message), refusal, "{code} {message}");
        }
        assert_eq!(of(&Error::Service("connection reset".into())), Refusal::Passing);
    }
}
