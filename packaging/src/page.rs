//! A man page, and those of a command line.

use crate::below;
use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Inline, Roff, bold, roman};
use std::{io, mem};

/// The manual that every page is of.
const MANUAL: &str = "Holdfast";

/// A man page as it grows.
#[derive(Debug)]
pub struct Page {
    name: String,
    section: char,
    roff: Roff,
    /// What was drawn by others, before the rest.
    head: Vec<u8>,
    /// A part begins, and with it a paragraph.
    begins: bool,
}

impl Page {
    /// An empty page: its name, its section of the manual, the program's version, and its day.
    pub fn new(name: &str, section: char, version: &str, date: &str) -> Self {
        let mut roff = Roff::new();
        let source = format!("{MANUAL} {version}");
        roff.control("TH", [name, &section.to_string(), date, &source, MANUAL]);
        Self { name: name.to_owned(), section, roff, head: Vec::new(), begins: false }
    }

    /// The name of its file.
    pub fn file(&self) -> String {
        format!("{}.{}", self.name, self.section)
    }

    /// The whole page.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.head).into_owned() + &self.roff.to_roff()
    }

    /// Begins a part, such as `NAME`.
    pub fn part(&mut self, title: &str) {
        self.roff.control("SH", [title]);
        self.begins = true;
    }

    /// Ends the paragraph before, if there is one.
    fn again(&mut self) {
        if !mem::replace(&mut self.begins, false) {
            self.roff.control("PP", []);
        }
    }

    /// A paragraph; what stands in backticks is bold.
    pub fn paragraph(&mut self, text: &str) {
        self.again();
        self.roff.text(marked(text));
    }

    /// An entry: its word, what stands beside that, and paragraphs of text.
    pub fn entry(&mut self, word: &str, beside: &str, paragraphs: &[String]) {
        self.begins = false;
        self.roff.control("TP", []);
        self.roff.text([bold(word), roman(beside)]);
        for (index, text) in paragraphs.iter().enumerate() {
            if index > 0 {
                self.roff.control("IP", []);
            }
            self.roff.text(marked(text));
        }
    }

    /// Lines that stay as they are.
    pub fn lines(&mut self, text: &str) {
        self.again();
        self.roff.control("nf", []);
        for line in text.lines() {
            self.roff.text([roman(line)]);
        }
        self.roff.control("fi", []);
    }

    /// The line without an end that names other pages.
    pub fn see_also(&mut self, pages: &[String]) {
        self.part("SEE ALSO");
        let mut words = Vec::new();
        for (index, page) in pages.iter().enumerate() {
            let (name, section) = page.rsplit_once('.').unwrap_or((page, "1"));
            let comma = if index + 1 < pages.len() { ", " } else { "" };
            words.extend([bold(name), roman(format!("({section}){comma}"))]);
        }
        self.roff.text(words);
    }
}

/// Text in which what stands in backticks is bold.
fn marked(text: &str) -> Vec<Inline> {
    let parts = text.split('`').enumerate();
    parts.map(|(at, part)| if at % 2 == 1 { bold(part) } else { roman(part) }).collect()
}

/// The pages of a command line: its own, then one for each command that can be seen.
pub fn all(command: Command, date: &str) -> Vec<Page> {
    let version = command.get_version().unwrap_or_default().to_owned();
    let mut command = command.disable_help_subcommand(true);
    command.build();
    let mut pages = vec![of(&command, &version, date)];
    pages.extend(below(&command).map(|one| of(one, &version, date)));
    let names: Vec<String> = pages.iter().map(Page::file).collect();
    // A page names those below it among its commands.
    for page in pages.iter_mut().skip(1) {
        let above = |name: &&String| {
            let name = name.trim_end_matches(".1");
            page.name.strip_prefix(name).is_some_and(|rest| rest.starts_with('-'))
        };
        let above: Vec<String> = names.iter().filter(above).cloned().collect();
        page.see_also(&above);
    }
    pages
}

fn of(command: &Command, version: &str, date: &str) -> Page {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned();
    let man = Man::new(command.clone())
        .title(name.clone())
        .date(date)
        .source(format!("{MANUAL} {version}"))
        .manual(MANUAL);
    let mut page = Page { name, section: '1', roff: Roff::new(), head: Vec::new(), begins: false };
    // Writing into memory cannot fail.
    let _ = draw(&man, command, &mut page.head);
    let notes = command.get_after_long_help().or(command.get_after_help());
    let notes = notes.map(ToString::to_string).unwrap_or_default();
    let (codes, notes) = match notes.strip_prefix("Exit codes:\n") {
        Some(codes) => codes.split_once("\n\n").unwrap_or((codes, "")),
        None => ("", notes.as_str()),
    };
    for (title, text) in [("EXIT STATUS", codes), ("NOTES", notes)] {
        if !text.is_empty() {
            page.part(title);
            page.lines(text);
        }
    }
    page
}

/// All that clap knows, but for the notes at the end of its help: those are tables, which would be
/// drawn as one paragraph.
fn draw(man: &Man, command: &Command, out: &mut Vec<u8>) -> io::Result<()> {
    man.render_title(out)?;
    man.render_name_section(out)?;
    man.render_synopsis_section(out)?;
    man.render_description_section(out)?;
    if command.get_arguments().any(|argument| !argument.is_hide_set()) {
        man.render_options_section(out)?;
    }
    if below(command).next().is_some() {
        man.render_subcommands_section(out)?;
    }
    Ok(())
}
