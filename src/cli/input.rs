//! What commands read, and what they end with.

/// What a command ends with: an exit code, or an error to print.
pub(super) type Outcome = anyhow::Result<u8>;

/// A file's text; `-` is stdin.
pub(super) fn read_input(name: &str) -> anyhow::Result<(String, String)> {
    use anyhow::Context;
    let text = if name == "-" {
        std::io::read_to_string(std::io::stdin()).context("read stdin")?
    } else {
        std::fs::read_to_string(name).with_context(|| format!("read {name}"))?
    };
    Ok((if name == "-" { "stdin".into() } else { name.into() }, text))
}
