//! How settings are declared: one macro makes, from one declaration, the field with its
//! documentation, its default, and the row that the parser and the printer use.
//!
//! So a setting cannot be printed and not read, or documented in one place and not in the other.

use super::{Config, kind::Kind};
use toml::Value;

/// A setting as the parser and the printer see it.
pub(crate) struct Setting {
    /// Its dotted name.
    pub(crate) key: &'static str,
    /// Its documentation, a line each.
    pub(crate) about: &'static [&'static str],
    /// Reads a value into the configuration; false where it is not allowed.
    pub(crate) set: fn(&mut Config, &Value) -> bool,
    /// The value in force as TOML, and whether it stands in a comment.
    pub(crate) print: fn(&Config) -> (String, bool),
    /// What is allowed.
    pub(crate) allowed: fn() -> String,
    /// A refused value as it may be shown, and what is allowed instead.
    pub(crate) explain: fn(&Value) -> (String, String),
}

/// Reads `value` into `place` as `kind` allows.
pub(crate) fn assign<T>(kind: &impl Kind<T>, value: &Value, place: &mut T) -> bool {
    kind.read(value).map(|read| *place = read).is_some()
}

/// Writes `value` as `kind` does, and says whether it belongs into a comment.
pub(crate) fn print<T>(kind: &impl Kind<T>, value: &T) -> (String, bool) {
    (kind.print(value), kind.commented())
}

/// What `kind` allows, for a setting of the type of `_place`.
pub(crate) fn allowed<T>(kind: &impl Kind<T>, _place: fn(&Config) -> &T) -> String {
    kind.allowed()
}

/// Why `kind` refuses `value`, for a setting of the type of `_place`.
pub(crate) fn explain<T>(
    kind: &impl Kind<T>,
    value: &Value,
    _place: fn(&Config) -> &T,
) -> (String, String) {
    kind.explain(value)
}

/// Declares a section: `ROWS: Type, "prefix", [path] { field: type = default, kind; … }`.
///
/// `path` is the way from [`Config`] to the section; it is empty for the top, which then lists its
/// sections after `sections`.
macro_rules! settings {
    (
        $(#[$section_doc:meta])*
        $rows:ident: $section:ident, $prefix:literal, [$($path:ident)?] {
            $(
                $(#[doc = $doc:literal])+
                $field:ident: $type:ty = $default:expr, $kind:expr;
            )*
        }
        $(sections { $($(#[$part_doc:meta])* $part:ident: $part_type:ty,)* })?
    ) => {
        $(#[$section_doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $section {
            $($(#[doc = $doc])+ pub $field: $type,)*
            $($($(#[$part_doc])* pub $part: $part_type,)*)?
        }

        impl Default for $section {
            fn default() -> Self {
                Self { $($field: $default,)* $($($part: Default::default(),)*)? }
            }
        }

        impl $section {
            fn of(config: &Config) -> &Self {
                &(*config)$(.$path)?
            }

            fn of_mut(config: &mut Config) -> &mut Self {
                &mut (*config)$(.$path)?
            }
        }

        /// The rows of this section, in the order in which they are printed.
        pub(super) const $rows: &[$crate::config::schema::Setting] = &[
            $($crate::config::schema::Setting {
                key: concat!($prefix, stringify!($field)),
                about: &[$($doc,)+],
                set: |config, value| {
                    let place = &mut $section::of_mut(config).$field;
                    $crate::config::schema::assign(&$kind, value, place)
                },
                print: |config| $crate::config::schema::print(&$kind, &$section::of(config).$field),
                allowed: || {
                    let place: fn(&Config) -> &$type = |config| &$section::of(config).$field;
                    $crate::config::schema::allowed(&$kind, place)
                },
                explain: |value| {
                    let place: fn(&Config) -> &$type = |config| &$section::of(config).$field;
                    $crate::config::schema::explain(&$kind, value, place)
                },
            },)*
        ];
    };
}
pub(crate) use settings;
