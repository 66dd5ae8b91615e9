//! Sizes: functions, files, arguments, lines. And that each file says what it is for.

use crate::source::Source;
use crate::{finds, nothing_found};

const FUNCTION_LINES: usize = 70;
const FILE_LINES: usize = 500;
const ARGUMENTS: usize = 5;
const WIDTH: usize = 100;

fn long_functions(source: &Source) -> Vec<String> {
    let long = source.functions.iter().filter(|function| function.lines() > FUNCTION_LINES);
    let own = long.filter(|function| !source.is_test_line(function.first));
    own.map(|function| {
        let (path, line, name) = (&source.path, function.first, &function.name);
        format!("{path}:{line}: {name} has {} lines", function.lines())
    })
    .collect()
}

fn many_arguments(source: &Source) -> Vec<String> {
    let many = source.functions.iter().filter(|function| function.arguments > ARGUMENTS);
    many.map(|function| {
        let (path, line, name) = (&source.path, function.first, &function.name);
        format!("{path}:{line}: {name} takes {} arguments", function.arguments)
    })
    .collect()
}

fn long_file(source: &Source) -> Vec<String> {
    let lines = source.own_lines();
    let long = source.is_rust && lines > FILE_LINES;
    if long { vec![format!("{}: {lines} lines", source.path)] } else { Vec::new() }
}

fn wide_lines(source: &Source) -> Vec<String> {
    // Prose, tables and lists of features may be as wide as they need.
    if !source.is_rust {
        return Vec::new();
    }
    let lines = source.text.lines().enumerate();
    let wide = lines.filter(|(_, line)| line.chars().count() > WIDTH);
    wide.map(|(index, _)| format!("{}:{}: over {WIDTH} letters", source.path, index + 1)).collect()
}

fn no_module_doc(source: &Source) -> Vec<String> {
    let missing = source.is_rust && !source.has_module_doc;
    if missing { vec![format!("{}: no module documentation", source.path)] } else { Vec::new() }
}

fn mod_rs(source: &Source) -> Vec<String> {
    let is_one = source.path.rsplit('/').next() == Some("mod.rs");
    if is_one { vec![format!("{}: name.rs stands beside name/", source.path)] } else { Vec::new() }
}

#[test]
fn functions_are_short() {
    nothing_found(long_functions);
    let of = |lines: usize| format!("fn f() {{\n{}}}\n", "    g();\n".repeat(lines - 2));
    let in_tests = format!("#[cfg(test)]\nmod tests {{\n{}}}", of(71));
    finds(
        long_functions,
        &[("a/src/b.rs", &of(71)), ("a/src/b.rs", &format!("impl A {{\n{}}}", of(71)))],
        &[("a/src/b.rs", &of(70)), ("a/src/b.rs", &in_tests)],
    );
}

#[test]
fn functions_take_few_arguments() {
    nothing_found(many_arguments);
    let six = "fn f(a: u8, b: u8, c: u8, d: u8, e: u8, f: u8) {}";
    let five = "impl A { fn f(&self, a: u8, b: u8, c: u8, d: u8, e: u8) {} }";
    finds(many_arguments, &[("a/src/b.rs", six)], &[("a/src/b.rs", five)]);
}

#[test]
fn files_are_short() {
    nothing_found(long_file);
    let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}", "// t\n".repeat(600));
    finds(
        long_file,
        &[("a/src/b.rs", &"// line\n".repeat(501))],
        &[("a/src/b.rs", &"// line\n".repeat(500)), ("a/src/b.rs", &tests)],
    );
}

#[test]
fn lines_fit_a_screen() {
    nothing_found(wide_lines);
    finds(
        wide_lines,
        &[("a/src/b.rs", &format!("//{}", "x".repeat(99)))],
        &[("a/src/b.rs", &format!("//{}", "x".repeat(98))), ("a.md", &"x".repeat(500))],
    );
}

#[test]
fn every_file_says_what_it_is_for() {
    nothing_found(no_module_doc);
    finds(no_module_doc, &[("a/src/b.rs", "fn f() {}")], &[("a/src/b.rs", "//! Why.\nfn f() {}")]);
}

#[test]
fn every_file_has_a_name_of_its_own() {
    nothing_found(mod_rs);
    finds(mod_rs, &[("a/src/b/mod.rs", "")], &[("a/src/b.rs", "")]);
}
