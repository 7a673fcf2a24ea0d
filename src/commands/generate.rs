//! `glanced generate`: manual pages and completions, out of the command line itself.

use std::fs;
use std::path::Path;

use anyhow::Context;
use clap::CommandFactory;
use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::{Inline, Roff, bold, roman};

use super::Failure;
use crate::cli::{Cli, Generate};

const NAME: &str = "glanced";

/// Where Debian's shells look below /usr/share.
const COMPLETIONS: [(Shell, &str); 3] = [
    (Shell::Bash, "bash-completion/completions/glanced"),
    (Shell::Zsh, "zsh/vendor-completions/_glanced"),
    (Shell::Fish, "fish/vendor_completions.d/glanced.fish"),
];

/// What the manual says beside the command line: headings, and under each what is explained, with its explanation.
const SECTIONS: [(&str, &[(&str, &str)]); 3] = [
    (
        "FILES",
        &[
            (
                "/etc/glanced/config.toml",
                "The configuration: what differs from the defaults. `glanced config` prints every key with its unit, range and \
                 default, `glanced config --effective` what is in force and where each value comes from.",
            ),
            (
                "/etc/glanced/mqtt-password, /etc/glanced/mqtt-key, /etc/glanced/http-token",
                "Secrets, if there are any; root alone need be able to read them. The systemd unit hands them to the daemon \
                 as credentials, which stand for mqtt.password_file, mqtt.key_file and http.token_file.",
            ),
            ("/usr/share/glanced/models", "Models that came with the program."),
            (
                "/var/cache/glanced",
                "What can be made anew: networks that were made ready for this processor, and what was measured here.",
            ),
            ("/var/lib/glanced", "What people said about frames, and the models that were learnt from it."),
        ],
    ),
    (
        "ENVIRONMENT",
        &[
            (
                "GLANCED__SECTION__KEY",
                "Stands for a key of the configuration, as GLANCED__MQTT__URL does for mqtt.url. It wins over the file, and \
                 the command line wins over it.",
            ),
            ("CREDENTIALS_DIRECTORY", "The folder of systemd's credentials. They win over the file too."),
        ],
    ),
    (
        "EXIT STATUS",
        &[
            ("0", "Done."),
            ("1", "It failed."),
            ("2", "The command line is wrong."),
            ("69", "Something that is needed is missing: the model, ONNX Runtime, the broker."),
            ("78", "The configuration is wrong."),
        ],
    ),
];

pub(super) fn generate(args: &Generate) -> Result<(), Failure> {
    // Without `help`, which would have a page for each command once more.
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    pages(&command, &args.dir.join("man/man1"))?;
    for (shell, name) in COMPLETIONS {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut visible(Cli::command()), NAME, &mut script);
        write(&args.dir.join(name), &script)?;
    }
    Ok(())
}

/// Without the commands that are hidden, which the completions would offer.
fn visible(command: clap::Command) -> clap::Command {
    let names: Vec<_> = command.get_subcommands().filter(|sub| !sub.is_hide_set()).cloned().collect();
    let mut shown = clap::Command::new(NAME).version(env!("CARGO_PKG_VERSION")).args(command.get_arguments());
    if let Some(about) = command.get_about() {
        shown = shown.about(about.clone());
    }
    shown.subcommands(names)
}

/// A page for `command`, and for each below it.
fn pages(command: &clap::Command, dir: &Path) -> Result<(), Failure> {
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        pages(below, dir)?;
    }
    let page = Man::new(command.clone()).manual("glanced");
    let mut text = Vec::new();
    page.render(&mut text).context("a manual page")?;
    let mut more = Roff::new();
    if command.get_name() == NAME {
        for (heading, entries) in SECTIONS {
            more.control("SH", [heading]);
            for (term, meaning) in entries {
                more.control("TP", []);
                more.text([bold(*term)]);
                more.text([roman(*meaning)]);
            }
        }
        more.control("SH", ["SEE ALSO"]);
        more.text(see_also(&["mosquitto_pub", "mosquitto_sub", "systemctl"]));
    }
    more.to_writer(&mut text).context("a manual page")?;
    write(&dir.join(page.get_filename()), &text)
}

/// References to other pages of section 1.
fn see_also(pages: &[&str]) -> Vec<Inline> {
    let references = pages.iter().enumerate().flat_map(|(index, page)| {
        let between = if index == 0 { "" } else { ", " };
        [roman(between), bold(*page), roman("(1)")]
    });
    references.collect()
}

fn write(path: &Path, content: &[u8]) -> Result<(), Failure> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).with_context(|| parent.display().to_string())?;
    }
    Ok(fs::write(path, content).with_context(|| path.display().to_string())?)
}
