//! The form of a case file.
//!
//! A case begins with `=== title`. Without further text the title is the template; otherwise the template follows.
//! Sections begin with `--- name`: `values` (the chart's values.yaml), `file PATH` (a further file of the chart), `args`
//! (one argument per line; makes it a case about the whole command), and the answer: `output`, `error`, or `stdout`
//! and `stderr`. Values before the first case are those of all cases without their own. The newline before a marker
//! belongs to the marker. Text that is not plain is written with escapes, and its marker says ` escaped`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// What a case gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// What the template writes.
    Output(Vec<u8>),
    /// The error of parsing or execution.
    Error(String),
    /// What the command prints.
    Command { stdout: Vec<u8>, stderr: Vec<u8> },
}

/// A case.
#[derive(Clone, Debug)]
pub struct Case {
    /// Its title, unique over all files.
    pub title: String,
    /// The template, for a case about a template.
    pub template: String,
    /// The chart's default values.
    pub values: String,
    own_values: bool,
    /// Further files of the chart.
    pub files: Vec<(String, String)>,
    /// Arguments, for a case about the command.
    pub args: Option<Vec<String>>,
    /// What the real Helm gives.
    pub answer: Option<Answer>,
}

/// A file of cases.
pub struct CaseFile {
    path: PathBuf,
    head: String,
    /// The cases in order.
    pub cases: Vec<Case>,
}

impl CaseFile {
    /// Reads a file.
    pub fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).expect("a case file can be read");
        let text = text.strip_suffix('\n').unwrap_or(&text);
        let mut pieces = format!("\n{text}").split("\n=== ").map(str::to_owned).collect::<Vec<_>>().into_iter();
        let head = pieces.next().unwrap_or_default();
        let shared = sections(&head).into_iter().find(|(name, _)| name == "values").map(|(_, text)| text);
        let cases = pieces.map(|piece| Case::parse(&piece, shared.as_deref().unwrap_or_default())).collect();
        Self { path: path.to_owned(), head: head.strip_prefix('\n').unwrap_or(&head).to_owned(), cases }
    }

    /// The file's name.
    pub fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Writes the file anew.
    pub fn write(&self) {
        let cases = self.cases.iter().fold(String::new(), |text, case| text + "\n" + &case.to_text());
        std::fs::write(&self.path, format!("{}{cases}\n", self.head)).expect("a case file can be written");
    }
}

/// Splits a text at its section markers; what stands before the first has the name "".
fn sections(text: &str) -> Vec<(String, String)> {
    let mut all: Vec<(String, Vec<&str>)> = vec![(String::new(), Vec::new())];
    for line in text.split('\n') {
        let name = line.strip_prefix("--- ").filter(|name| {
            let first = name.split(' ').next().unwrap_or_default();
            ["values", "file", "args", "output", "error", "stdout", "stderr"].contains(&first)
        });
        match (name, all.last_mut()) {
            (Some(name), _) => all.push((name.to_owned(), Vec::new())),
            (None, Some((_, lines))) => lines.push(line),
            (None, None) => {}
        }
    }
    all.into_iter().map(|(name, lines)| (name, lines.join("\n"))).collect()
}

impl Case {
    fn parse(text: &str, shared_values: &str) -> Self {
        let (title, body) = text.split_once('\n').unwrap_or((text, ""));
        let mut case = Self {
            title: title.to_owned(),
            template: title.to_owned(),
            values: shared_values.to_owned(),
            own_values: false,
            files: Vec::new(),
            args: None,
            answer: None,
        };
        for (at, (name, content)) in sections(body).into_iter().enumerate() {
            let (kind, rest) = name.split_once(' ').unwrap_or((&name, ""));
            let bytes = if rest == "escaped" { unescape(&content) } else { content.clone().into_bytes() };
            match kind {
                "" if at == 0 && !content.is_empty() => case.template = content,
                "values" => (case.values, case.own_values) = (content, true),
                "file" => {
                    let text = String::from_utf8(if rest.ends_with(" escaped") { unescape(&content) } else { bytes });
                    let path = rest.strip_suffix(" escaped").unwrap_or(rest);
                    case.files.push((path.to_owned(), text.expect("files are text")));
                }
                "args" => case.args = Some(content.lines().map(str::to_owned).collect()),
                "output" => case.answer = Some(Answer::Output(bytes)),
                "error" => case.answer = Some(Answer::Error(String::from_utf8(bytes).expect("errors are text"))),
                "stdout" => case.answer = Some(Answer::Command { stdout: bytes, stderr: Vec::new() }),
                "stderr" => {
                    if let Some(Answer::Command { stderr, .. }) = &mut case.answer {
                        *stderr = bytes;
                    }
                }
                _ => {}
            }
        }
        case
    }

    fn to_text(&self) -> String {
        let mut text = format!("=== {}", self.title);
        if self.args.is_none() && self.template != self.title {
            let _ = write!(text, "\n{}", self.template);
        }
        if self.own_values {
            let _ = write!(text, "\n--- values\n{}", self.values);
        }
        for (path, content) in &self.files {
            text.push_str(&section(&format!("file {path}"), content.as_bytes()));
        }
        if let Some(args) = &self.args {
            let _ = write!(text, "\n--- args");
            for arg in args {
                text.push('\n');
                text.push_str(arg);
            }
        }
        match &self.answer {
            None => {}
            Some(Answer::Output(bytes)) => text.push_str(&section("output", bytes)),
            Some(Answer::Error(error)) => text.push_str(&section("error", error.as_bytes())),
            Some(Answer::Command { stdout, stderr }) => {
                text.push_str(&section("stdout", stdout));
                if !stderr.is_empty() {
                    text.push_str(&section("stderr", stderr));
                }
            }
        }
        text
    }
}

impl Answer {
    /// The answer as a case file holds it.
    pub fn to_text(&self) -> String {
        let text = match self {
            Self::Output(bytes) => section("output", bytes),
            Self::Error(error) => section("error", error.as_bytes()),
            Self::Command { stdout, stderr } => section("stdout", stdout) + &section("stderr", stderr),
        };
        text.trim_start().to_owned()
    }
}

/// A section with its marker; escaped if it is not plain text or would be mistaken for a marker.
fn section(name: &str, bytes: &[u8]) -> String {
    let plain = std::str::from_utf8(bytes).ok().filter(|text| {
        let control = text.chars().any(|c| c.is_control() && c != '\n' && c != '\t');
        let marker = sections(text).len() > 1 || format!("\n{text}").contains("\n=== ");
        let trailing = text.lines().any(|line| line.ends_with([' ', '\t']));
        !(control || marker || trailing)
    });
    match plain {
        Some(text) => format!("\n--- {name}\n{text}"),
        None => format!("\n--- {name} escaped\n{}", escape(bytes)),
    }
}

fn escape(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string().replace("\\n", "\\n\n")
}

fn unescape(text: &str) -> Vec<u8> {
    let text = text.replace('\n', "");
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        let (byte, used) = match (first, tail) {
            (b'\\', [b'x', high, low, ..]) => {
                let digits = [*high, *low];
                let hex = std::str::from_utf8(&digits).expect("hex digits");
                (u8::from_str_radix(hex, 16).expect("hex digits"), 3)
            }
            (b'\\', [b'n', ..]) => (b'\n', 1),
            (b'\\', [b't', ..]) => (b'\t', 1),
            (b'\\', [b'r', ..]) => (b'\r', 1),
            (b'\\', [other, ..]) => (*other, 1),
            (plain, _) => (*plain, 0),
        };
        bytes.push(byte);
        rest = &rest[used..];
    }
    bytes
}

/// The chart of a case about a template: the template is a partial, and one file prints what it writes in base 64, so
/// that every byte is seen. (Inside `include`, what Go prints for nil is not deleted yet: answers show `<no value>`.)
pub const WRAPPER: &str = "a: {{ include \"t/templates/_case\" . | b64enc | quote }}";

/// All files of the chart of a case.
pub fn chart_files(case: &Case) -> Vec<(String, String)> {
    let mut files = vec![("values.yaml".to_owned(), case.values.clone())];
    let given = |name: &str| case.files.iter().any(|(path, _)| path == name);
    if case.args.is_none() {
        files.push(("templates/_case".to_owned(), case.template.clone()));
        files.push(("templates/wrapper.yaml".to_owned(), WRAPPER.to_owned()));
    } else if case.values.is_empty() {
        files.clear();
    }
    if !given("Chart.yaml") {
        let metadata = "apiVersion: v2\nname: t\nversion: 1.2.3\nappVersion: \"4.5\"\n";
        files.push(("Chart.yaml".to_owned(), metadata.to_owned()));
    }
    files.extend(case.files.iter().cloned());
    files
}

/// What the wrapper printed, or the error without what the wrapper adds.
pub fn unwrap(result: Result<&str, &str>) -> Answer {
    use base64::Engine as _;
    const OUTER: &str = "template: t/templates/wrapper.yaml:1:6: executing \"t/templates/wrapper.yaml\" at <include \"t/templates/_case\" .>: error calling include: ";
    match result {
        Ok(text) => {
            let line = text.lines().find_map(|l| l.strip_prefix("a: \"")).expect("the wrapper prints a line");
            let encoded = line.strip_suffix('"').expect("the line ends in a quote");
            Answer::Output(base64::engine::general_purpose::STANDARD.decode(encoded).expect("base 64"))
        }
        Err(text) => Answer::Error(text.strip_prefix(OUTER).unwrap_or(text).to_owned()),
    }
}
