//! The values inside the vectors: hex with repeats, numbers that may be strings.

use serde_json::Value;

/// The bytes of `hex`, in which `{XX*N}` stands for XX repeated N times; spaces are passed over.
pub(crate) fn unhex(hex: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = hex.trim_start();
    while !rest.is_empty() {
        if let Some(run) = rest.strip_prefix('{') {
            let (run, left) = run.split_once('}').expect("a closed run");
            let (byte, times) = run.split_once('*').expect("a run with a count");
            let byte = u8::from_str_radix(byte, 16).expect("a byte");
            bytes.resize(bytes.len() + times.parse::<usize>().expect("a count"), byte);
            rest = left;
        } else {
            bytes.push(u8::from_str_radix(&rest[..2], 16).expect("a byte"));
            rest = &rest[2..];
        }
        rest = rest.trim_start();
    }
    bytes
}

/// The hex of `bytes`, written as the vector files write it.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    for run in bytes.chunk_by(|a, b| a == b) {
        if run.len() > 24 {
            write!(text, "{{{:02x}*{}}}", run[0], run.len()).expect("memory");
        } else {
            for byte in run {
                write!(text, "{byte:02x}").expect("memory");
            }
        }
    }
    text
}

/// A number as the vector files write it: a string when other languages would round it.
pub(crate) fn number(value: u64) -> Value {
    if value < 1 << 53 { value.into() } else { value.to_string().into() }
}

/// The number under `key`.
pub(crate) fn get<T: TryFrom<u64>>(value: &Value, key: &str) -> T {
    let value = &value[key];
    let number = value.as_u64().or_else(|| value.as_str()?.parse().ok());
    let number = number.unwrap_or_else(|| panic!("{key} is no number: {value}"));
    T::try_from(number).unwrap_or_else(|_| panic!("{key} is too large: {number}"))
}

/// The text under `key`.
pub(crate) fn get_str<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("{key} is no text: {value}"))
}

/// The bytes under `key`.
pub(crate) fn get_bytes(value: &Value, key: &str) -> Vec<u8> {
    unhex(get_str(value, key))
}

/// The flag under `key`.
pub(crate) fn get_bool(value: &Value, key: &str) -> bool {
    value[key].as_bool().unwrap_or_else(|| panic!("{key} is no flag: {value}"))
}

/// The list under `key`.
pub(crate) fn get_list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().unwrap_or_else(|| panic!("{key} is no list: {value}"))
}

/// The list of texts under `key`.
pub(crate) fn get_strs<'a>(value: &'a Value, key: &str) -> Vec<&'a str> {
    get_list(value, key).iter().map(|text| text.as_str().expect("a text")).collect()
}
