//! Flags of `istioctl` that mean nothing here: scripts that have them go on working, and are told so. Those that would do something
//! quite different if they were ignored are refused.

use super::input::wrong_use;
use super::named;
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command};

/// What becomes of a flag that is given.
#[derive(Clone, Copy)]
enum Effect {
    /// It is ignored, and that is told; with what to do instead, if there is something.
    None(&'static str),
    /// It is refused, for this reason.
    Refused(&'static str),
}
use Effect::{None as Nothing, Refused};

/// A flag.
struct Flag {
    /// Its name within the parser, which no flag of our own has.
    id: &'static str,
    long: &'static str,
    short: Option<char>,
    alias: Option<&'static str>,
    takes_value: bool,
    effect: Effect,
}

/// A flag of a name: one that is set or not, or with `=` one that takes a value.
macro_rules! flag {
    ($long:literal $(-$short:literal)? $(or $alias:literal)? , $takes:ident, $effect:expr) => {
        Flag {
            id: concat!("istioctl ", $long),
            long: $long,
            short: flag!(@one $($short)?),
            alias: flag!(@one $($alias)?),
            takes_value: flag!(@$takes),
            effect: $effect,
        }
    };
    (@one) => { None };
    (@one $it:literal) => { Some($it) };
    (@value) => { true };
    (@switch) => { false };
}

/// The flag of every command.
const VERBOSITY: Flag = flag!("vklog", value, Nothing(""));

/// The flags by the commands that take them.
const ROWS: &[(&[&str], &[Flag])] = &[
    (
        &[
            "tag list",
            "tag remove",
            "experimental revision list",
            "experimental revision describe",
            "experimental precheck",
            "bug-report",
        ],
        &[
            flag!("namespace" - 'n', value, Nothing("")),
            flag!("istioNamespace" - 'i' or "istio-namespace", value, Nothing("the whole cluster is looked at")),
        ],
    ),
    (
        &["manifest generate", "manifest diff"],
        &[
            flag!("namespace" - 'n', value, Nothing("")),
            flag!("istioNamespace" - 'i' or "istio-namespace", value,
                Nothing("the spec says it, such as --set values.global.istioNamespace=NAME")),
        ],
    ),
    (
        &["operator init", "operator dump"],
        &[
            flag!("namespace" - 'n', value, Nothing("see --operatorNamespace and --watchedNamespaces")),
            flag!("istioNamespace" - 'i' or "istio-namespace", value, Nothing("see --watchedNamespaces")),
            flag!("manifests" - 'd' or "charts", value, Nothing("the manifests of the operator are built in")),
        ],
    ),
    (
        &["operator remove"],
        &[
            flag!("namespace" - 'n', value, Refused("the operator's namespace is named with --operatorNamespace")),
            flag!("istioNamespace" - 'i' or "istio-namespace", value, Nothing("")),
        ],
    ),
    (&["manifest generate"], &[flag!("filter", value, Refused("what is printed is chosen with --component"))]),
    (
        &[
            "manifest generate",
            "manifest diff",
            "profile list",
            "profile dump",
            "profile diff",
            "verify-install",
            "version",
            "operator dump",
        ],
        &[flag!("dry-run", switch, Nothing("nothing is changed anyway"))],
    ),
    (
        &["bug-report"],
        &[
            flag!(
                "dry-run",
                switch,
                Refused("nothing is changed in the cluster anyway, and an archive would be written")
            ),
            flag!("full-secrets", switch, Nothing("what is secret stays redacted")),
            flag!("filename" - 'f', value, Refused("a file of settings is not read; give them as flags")),
        ],
    ),
    (&["uninstall"], &[flag!("verbose" - 'v', switch, Nothing(""))]),
    (
        &["kube-inject"],
        &[
            flag!("webhookConfig", value, Nothing("see --revision")),
            flag!("xds-address", value, Nothing(NO_XDS)),
            flag!("xds-port", value, Nothing(NO_XDS)),
            flag!("xds-label", value, Nothing(NO_XDS)),
            flag!("authority", value, Nothing(NO_XDS)),
            flag!("cert-dir", value, Nothing(NO_XDS)),
            flag!("insecure", switch, Nothing(NO_XDS)),
            flag!("plaintext", switch, Nothing(NO_XDS)),
            flag!("timeout", value, Nothing(NO_XDS)),
        ],
    ),
    (&["tag generate"], &[flag!("skip-confirmation" - 'y', switch, Nothing("nothing is asked"))]),
    (&["experimental precheck"], &[flag!("skip-controlplane", switch, Nothing("everything is checked"))]),
    (
        &["experimental revision list", "experimental revision describe"],
        &[flag!("verbose" - 'v', switch, Nothing("see -o json")), flag!("manifests" - 'd', value, Nothing(""))],
    ),
];

const NO_XDS: &str = "istiod is not asked over xDS; its configuration is read from the cluster";

impl Flag {
    fn arg(&self) -> Arg {
        let arg = Arg::new(self.id).long(self.long).short(self.short).aliases(self.alias).hide(true);
        if self.takes_value {
            return arg.value_name("VALUE").allow_hyphen_values(true);
        }
        arg.value_parser(["true", "false"]).num_args(0..=1).require_equals(true).default_missing_value("true")
    }

    /// Whether it is given, other than to say that it does not count.
    fn is_given(&self, matches: &ArgMatches) -> bool {
        let by_whom = matches.try_contains_id(self.id).is_ok_and(|is_known| is_known);
        let is_off = || !self.takes_value && matches.get_one::<String>(self.id).is_some_and(|said| said == "false");
        by_whom && matches.value_source(self.id) == Some(ValueSource::CommandLine) && !is_off()
    }
}

/// The flags of a command.
fn flags_of(path: &str) -> impl Iterator<Item = &'static Flag> {
    // The same commands under another name.
    let path = path.strip_prefix("experimental revision ").filter(|path| path.starts_with("tag ")).unwrap_or(path);
    ROWS.iter().filter(move |(commands, _)| commands.contains(&path)).flat_map(|(_, flags)| *flags)
}

/// A program that takes these flags, too.
pub(super) fn with_flags(command: Command) -> Command {
    fn below(command: Command, path: &str) -> Command {
        command.args(flags_of(path).map(Flag::arg)).mut_subcommands(|sub| {
            let path = format!("{path} {}", sub.get_name());
            below(sub, &path)
        })
    }
    let command = command.arg(VERBOSITY.arg().global(true));
    command.mut_subcommands(|sub| {
        let path = sub.get_name().to_owned();
        if named::is_meant(&sub) { below(sub, &path) } else { sub }
    })
}

/// Tells what becomes of those that are given; the exit code is for one that is refused.
pub(super) fn tell(matches: &ArgMatches) -> Option<u8> {
    let (mut path, mut last) = (vec![], matches);
    while let Some((name, below)) = last.subcommand() {
        path.push(name);
        last = below;
    }
    let path = path.join(" ");
    let given =
        flags_of(&path).filter(|flag| flag.is_given(last)).chain(VERBOSITY.is_given(matches).then_some(&VERBOSITY));
    for Flag { long, effect, .. } in given {
        match effect {
            Nothing("") => eprintln!("Warning: --{long} has no effect here"),
            Nothing(instead) => eprintln!("Warning: --{long} has no effect here: {instead}"),
            Refused(why) => return Some(wrong_use(&format!("--{long} is not taken here: {why}"))),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program() -> Command {
        with_flags(super::super::command())
    }

    #[test]
    fn every_flag_of_the_table_is_taken_by_its_commands() {
        for (commands, flags) in ROWS {
            for (path, flag) in commands.iter().flat_map(|path| flags.iter().map(move |flag| (path, flag))) {
                let mut command = &program();
                for name in path.split(' ') {
                    command = command.find_subcommand(name).unwrap_or_else(|| panic!("{path}"));
                }
                let found = command.get_arguments().find(|arg| arg.get_long() == Some(flag.long)).unwrap();
                assert!(found.is_hide_set() && found.get_id() == flag.id, "{path} --{}", flag.long);
            }
        }
        program().debug_assert();
    }

    #[test]
    fn lines_of_scripts_for_istioctl_are_parsed() {
        for line in [
            "version --vklog=9 --dry-run",
            "tag list -i mesh -n shop",
            "x revision tag remove prod -i mesh",
            "x revision tag list",
            "x revision list -v -d charts",
            "x revision describe canary --verbose --manifests charts",
            "x precheck --skip-controlplane -n shop --istioNamespace mesh",
            "operator init -i mesh -d charts",
            "operator dump --charts charts --dry-run",
            "operator remove -n shop --dry-run",
            "manifest generate --cluster-specific -c file --context there --dry-run --filter a,b",
            "manifest diff a.yaml b.yaml -n shop --dry-run",
            "uninstall --purge -v",
            "kube-inject -f a.yaml -n shop --xds-address a:1 --xds-port 15012 --xds-label a=b --authority a --cert-dir b \
             --insecure --plaintext=true --timeout 15s --webhookConfig c",
            "tag generate prod -r canary -y",
            "profile list --dry-run",
            "profile diff default demo --dry-run=false",
            "verify-install --dry-run",
            "bug-report --full-secrets --dir folder --duration 1h",
            "bug-report -f settings.yaml --dry-run",
            "dash kiali",
            "d kiali",
        ] {
            let words = ["istio-operator"].into_iter().chain(line.split_whitespace());
            let parsed = program().try_get_matches_from(words);
            assert!(parsed.is_ok(), "{line}: {}", parsed.unwrap_err());
        }
    }

    #[test]
    fn what_would_do_harm_if_it_were_ignored_is_refused() {
        let told = |line: &str| {
            let words = ["istio-operator"].into_iter().chain(line.split(' '));
            tell(&program().try_get_matches_from(words).unwrap())
        };
        for line in ["operator remove -n a", "bug-report --dry-run", "bug-report -f a", "manifest generate --filter a"]
        {
            assert_eq!(told(line), Some(2), "{line}");
        }
        for line in ["bug-report --full-secrets", "bug-report --dry-run=false", "tag list -i a", "version --vklog 9"] {
            assert_eq!(told(line), None, "{line}");
        }
    }
}
