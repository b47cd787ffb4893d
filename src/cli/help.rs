//! Help: `-h` and `--help` are one screen of what many need, and `help COMMAND` explains every flag.

use clap::{Arg, ArgAction, Command};

/// What the help of the program ends with.
pub(super) const EXAMPLES: &str = "\
Examples:
  istio-operator install --set profile=demo   # or -f spec.yaml; --dry-run says what would change
  istio-operator operator init                # the operator, which does the same for resources
  istio-operator help install                 # every flag of a command";

/// What the help of `run` ends with.
pub(super) const RUN: &str = "\
Examples:
  istio-operator run --watch-namespace istio-system,mesh --log-level debug";

/// What the help of `manifest` ends with.
pub(super) const MANIFEST: &str = "\
Examples:
  istio-operator manifest generate -f spec.yaml
  istio-operator manifest diff -f a.yaml --to-filename b.yaml
  istio-operator manifest translate -f spec.yaml";

/// What the help of `profile` ends with.
pub(super) const PROFILE: &str = "\
Examples:
  istio-operator profile list
  istio-operator profile dump demo
  istio-operator profile diff default demo";

/// What the help of `crd` ends with.
pub(super) const CRD: &str = "\
Examples:
  istio-operator crd | kubectl apply --server-side -f -";

/// What the help of `role` ends with.
pub(super) const ROLE: &str = "\
Examples:
  istio-operator role                                   # what the operator itself needs
  istio-operator role -d 1.30.3 | kubectl apply -f -    # what a release needs besides";

/// What the help of `package` ends with.
pub(super) const PACKAGE: &str = "\
Examples:
  istio-operator package my-istio    # then change it, and: manifest generate -d ./my-istio";

/// What the help of `release` ends with.
pub(super) const RELEASE: &str = "\
Examples:
  istio-operator release list
  istio-operator release fetch 1.30.3";

/// What the help of `addons` ends with.
pub(super) const ADDONS: &str = "\
Examples:
  istio-operator addons list
  istio-operator addons install prometheus kiali
  istio-operator addons remove kiali";

/// What the help of `chart` and of `chart template` ends with.
pub(super) const CHART: &str = "\
Examples:
  istio-operator chart template istiod charts/istiod -n istio-system --set global.hub=example.com";

/// What the help of `tag` ends with.
pub(super) const TAG: &str = "\
Examples:
  istio-operator tag set prod --revision 1-30-3
  istio-operator tag list
  istio-operator tag remove prod";

/// What the help of `operator` ends with.
pub(super) const OPERATOR: &str = "\
Examples:
  istio-operator operator init --dry-run
  istio-operator operator status
  istio-operator operator adopt -f iop.yaml --dry-run";

/// What the help of `experimental` ends with.
pub(super) const EXPERIMENTAL: &str = "\
Examples:
  istio-operator x precheck -d 1.30.3
  istio-operator x revision list";

/// A command whose `--help` is the same as its `-h`, as those below it have it.
pub(super) fn with_flag(command: Command) -> Command {
    let help = Arg::new("help").short('h').long("help").action(ArgAction::HelpShort).help("Print help");
    command.disable_help_flag(true).arg(help.global(true))
}

/// A command whose short help leaves nothing out, as those below it.
pub(super) fn in_full(command: Command) -> Command {
    command.mut_args(|arg| arg.hide_short_help(false)).mut_subcommands(in_full)
}

/// A command whose help says where the flags are that it leaves out, as those below it; `path` is what leads to them.
pub(super) fn with_rest(command: Command, path: &str) -> Command {
    let leaves_out = command.get_arguments().any(|arg| arg.is_hide_short_help_set() && !arg.is_hide_set());
    let command = if leaves_out {
        let examples = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let rest = format!("Every flag: istio-operator help {path}");
        command.after_help(format!("{examples}\n\n{rest}").trim_start().to_owned())
    } else {
        command
    };
    command.mut_subcommands(|below| {
        let path = format!("{path} {}", below.get_name());
        with_rest(below, path.trim_start())
    })
}
