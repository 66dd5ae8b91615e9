//! What a package has beside the programs, drawn from the programs' own command lines: a man page
//! for each command, and completions for shells.
//!
//! Each program has the commands of [`Drawn`], so its pages are of the version that is installed.
//! What else a package has (units, profiles, dashboards) lies in this folder as files.

pub mod page;
#[cfg(feature = "testing")]
pub mod testing;

pub use page::Page;

use clap::{Command, Subcommand};
use clap_complete::Shell;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{fs, iter};

/// The commands that draw.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Drawn {
    /// Print what completes this program's commands and options in a shell
    #[command(after_help = HOW)]
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Write the man pages
    #[command(hide = true)]
    Man {
        /// The folder for them; made if it is not there
        folder: PathBuf,
        /// The day that they bear, YYYY-MM-DD
        #[arg(long, default_value = "")]
        date: String,
    },
}

const HOW: &str = "\
The Debian package installs them. By hand, for PROGRAM:
  bash  PROGRAM completions bash > ~/.local/share/bash-completion/completions/PROGRAM
  zsh   PROGRAM completions zsh > FOLDER/_PROGRAM, in a folder of $fpath
  fish  PROGRAM completions fish > ~/.config/fish/completions/PROGRAM.fish";

impl Drawn {
    /// Draws for this command line; `further` are pages that are no command's, drawn for a day.
    pub fn run(&self, command: Command, further: &[fn(&str) -> Page]) -> ExitCode {
        let drawn = match self {
            Self::Completions { shell } => io::stdout().write_all(&completions(command, *shell)),
            Self::Man { folder, date } => {
                let pages = page::all(command, date).into_iter();
                write(folder, pages.chain(further.iter().map(|page| page(date))))
            }
        };
        match drawn {
            Ok(()) => ExitCode::SUCCESS,
            // A reader that has gone away (`| head`) is no error.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
            Err(error) => {
                // Nobody is left to be told where that fails.
                let _ = writeln!(io::stderr(), "error: {error}");
                ExitCode::FAILURE
            }
        }
    }
}

/// What completes this command line in a shell.
pub fn completions(mut command: Command, shell: Shell) -> Vec<u8> {
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, name, &mut script);
    script
}

fn write(folder: &Path, pages: impl Iterator<Item = Page>) -> io::Result<()> {
    let told = |path: &Path, error: io::Error| {
        io::Error::new(error.kind(), format!("{}: {error}", path.display()))
    };
    fs::create_dir_all(folder).map_err(|error| told(folder, error))?;
    for page in pages {
        let path = folder.join(page.file());
        fs::write(&path, page.text()).map_err(|error| told(&path, error))?;
    }
    Ok(())
}

/// The visible commands below one, each with the words that are typed for it.
pub(crate) fn below(command: &Command) -> Box<dyn Iterator<Item = &Command> + '_> {
    let visible = command.get_subcommands().filter(|one| !one.is_hide_set());
    Box::new(visible.flat_map(|one| iter::once(one).chain(below(one))))
}
