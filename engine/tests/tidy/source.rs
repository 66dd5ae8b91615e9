//! The files of the repository, as text and as tokens that know their line.

use std::fs;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::OnceLock;

use proc_macro2::{TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

/// Folders that hold nothing of ours, or nothing that is read.
const SKIPPED: [&str; 5] = ["target", ".git", "corpus", "artifacts", "node_modules"];
/// Endings of files that are text of ours.
const ENDINGS: [&str; 7] = ["rs", "md", "toml", "sh", "py", "json", "yml"];

/// One file.
#[derive(Debug)]
pub(crate) struct Source {
    /// From the root of the repository.
    pub(crate) path: String,
    pub(crate) text: String,
    pub(crate) is_rust: bool,
    pub(crate) is_document: bool,
    /// Whether it opens with what it is for.
    pub(crate) has_module_doc: bool,
    /// Every function, of Rust files.
    pub(crate) functions: Vec<Function>,
    /// Every token with its line, of Rust files.
    pub(crate) tokens: Vec<(String, usize)>,
    tests: Vec<RangeInclusive<usize>>,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let ending = Path::new(path).extension().unwrap_or_default();
        let is_rust = ending == "rs";
        let mut source = Self {
            path: path.to_owned(),
            text: text.to_owned(),
            is_rust,
            is_document: ending == "md",
            has_module_doc: false,
            functions: Vec::new(),
            tokens: Vec::new(),
            tests: Vec::new(),
        };
        if is_rust {
            let file = syn::parse_file(text).unwrap_or_else(|why| panic!("{path}: {why}"));
            source.has_module_doc = file.attrs.iter().any(|given| given.path().is_ident("doc"));
            source.tests = file.items.iter().filter_map(test_lines).collect();
            source.visit_file(&file);
            let stream = text.parse().unwrap_or_else(|why| panic!("{path}: {why}"));
            flatten(stream, &mut source.tokens);
        }
        source
    }

    /// Whether the whole file is of tests, benchmarks or fuzz targets.
    pub(crate) fn is_test(&self) -> bool {
        ["/tests/", "/tests.rs", "/benches/", "/fuzz/"].iter().any(|part| self.path.contains(part))
    }

    /// Whether this line is of tests.
    pub(crate) fn is_test_line(&self, line: usize) -> bool {
        self.is_test() || self.tests.iter().any(|lines| lines.contains(&line))
    }

    /// Lines outside tests.
    pub(crate) fn own_lines(&self) -> usize {
        let of_tests: usize = self.tests.iter().map(|lines| lines.end() - lines.start() + 1).sum();
        self.text.lines().count() - of_tests
    }

    /// Where these tokens follow one another, outside tests.
    pub(crate) fn places(&self, wanted: &[&str]) -> Vec<usize> {
        let windows = self.tokens.windows(wanted.len());
        let matching = windows.filter(|window| window.iter().map(|(token, _)| token).eq(wanted));
        matching.map(|window| window[0].1).filter(|line| !self.is_test_line(*line)).collect()
    }
}

/// One function of a file.
#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) name: String,
    /// The line of its signature.
    pub(crate) first: usize,
    last: usize,
    /// How many it takes besides itself.
    pub(crate) arguments: usize,
}

impl Function {
    pub(crate) const fn lines(&self) -> usize {
        self.last - self.first + 1
    }

    fn new(signature: &syn::Signature, whole: &impl Spanned) -> Self {
        Self {
            name: signature.ident.to_string(),
            first: signature.span().start().line,
            last: whole.span().end().line,
            arguments: signature.inputs.len() - usize::from(signature.receiver().is_some()),
        }
    }
}

impl<'ast> Visit<'ast> for Source {
    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        self.functions.push(Function::new(&function.sig, function));
        visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        self.functions.push(Function::new(&function.sig, function));
        visit::visit_impl_item_fn(self, function);
    }

    fn visit_trait_item_fn(&mut self, function: &'ast syn::TraitItemFn) {
        self.functions.push(Function::new(&function.sig, function));
        visit::visit_trait_item_fn(self, function);
    }
}

/// The lines of an item under `#[cfg(test)]`.
fn test_lines(item: &syn::Item) -> Option<RangeInclusive<usize>> {
    let syn::Item::Mod(module) = item else { return None };
    let marked = module.attrs.iter().any(|attribute| {
        let meta = attribute.meta.require_list();
        meta.is_ok_and(|list| list.path.is_ident("cfg") && list.tokens.to_string() == "test")
    });
    let span = module.span();
    (marked && module.content.is_some()).then(|| span.start().line..=span.end().line)
}

fn flatten(stream: TokenStream, tokens: &mut Vec<(String, usize)>) {
    for tree in stream {
        let line = tree.span().start().line;
        match tree {
            TokenTree::Group(group) => {
                tokens.push((format!("{:?}", group.delimiter()), line));
                flatten(group.stream(), tokens);
            }
            other => tokens.push((other.to_string(), line)),
        }
    }
}

/// The repository's root.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// Every file, read once.
pub(crate) fn all() -> &'static [Source] {
    static ALL: OnceLock<Vec<Source>> = OnceLock::new();
    ALL.get_or_init(|| {
        let mut files = Vec::new();
        walk(root(), &mut files);
        files
    })
}

fn walk(folder: &Path, files: &mut Vec<Source>) {
    let mut entries: Vec<_> = fs::read_dir(folder).unwrap().flatten().collect();
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let (path, name) = (entry.path(), entry.file_name().into_string().unwrap());
        if SKIPPED.contains(&name.as_str()) {
            continue;
        }
        if path.is_dir() {
            walk(&path, files);
        } else if has_our_ending(&path) || folder.file_name().is_some_and(|name| name == ".ci") {
            let relative = path.strip_prefix(root()).unwrap().to_str().unwrap();
            files.push(Source::new(relative, &fs::read_to_string(&path).unwrap()));
        }
    }
}

fn has_our_ending(path: &Path) -> bool {
    path.extension()
        .and_then(|ending| ending.to_str())
        .is_some_and(|ending| ENDINGS.contains(&ending))
}

#[test]
fn tests_are_told_from_code() {
    let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\n";
    let source = Source::new("x/src/lib.rs", text);
    assert_eq!([1, 2, 4, 5].map(|line| source.is_test_line(line)), [false, true, true, true]);
    assert_eq!(source.own_lines(), 1);
    assert!(Source::new("x/tests/a.rs", "").is_test());
}
