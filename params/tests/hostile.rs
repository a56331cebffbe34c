//! Bytes and texts from strangers: whatever they are, reading ends with a value or an error.
#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use proptest::prelude::*;
use rota_params::options::CommandLine;
use rota_params::table::TABLE;
use rota_params::{Parameter, ParameterSet, State, Value, conf, file};

/// The parameters of a made chain, as a file.
const RECORDED: &str = include_str!("../src/hash/recorded.dat");

fn any_parameter() -> impl Strategy<Value = Parameter> {
    (0..TABLE.len()).prop_map(|index| TABLE[index].parameter)
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = ParameterSet::from_wire(&bytes);
        let mut framed = vec![1, 0];
        framed.extend(bytes);
        if let Ok(set) = ParameterSet::from_wire(&framed) {
            prop_assert_eq!(set.to_wire(true), framed);
        }
    }

    #[test]
    fn a_changed_message_is_refused_or_reads_as_the_same_bytes(at in 0usize..600, byte: u8) {
        let (set, _) = file::parse(RECORDED, "chain1").unwrap();
        let mut bytes = set.to_wire(false);
        let at = at % bytes.len();
        bytes[at] = byte;
        if let Ok(read) = ParameterSet::from_wire(&bytes) {
            prop_assert_eq!(read.state(), State::Valid);
            prop_assert_eq!(read.to_wire(false), bytes);
        }
    }

    #[test]
    fn any_text_is_a_value_or_an_error(parameter in any_parameter(), text in "\\PC{0,40}|[-+.0-9eE%]{0,30}") {
        if let Ok(value) = Value::parse(parameter, &text) {
            prop_assert_eq!(Value::parse(parameter, &value.to_text()).unwrap(), value.clone());
            prop_assert_eq!(Value::from_raw(parameter, &value.raw()).unwrap(), value);
        }
    }

    #[test]
    fn any_file_is_read_or_refused(lines in "([a-z-]{0,20} ?=? ?[ -~]{0,20}\n){0,8}", cut in 0usize..4_000) {
        let _ = file::parse(&lines, "chain1");
        let _ = conf::parse(&lines);
        let recorded: String = RECORDED.chars().take(cut).collect();
        let _ = file::parse(&(recorded + &lines), "chain1");
    }

    #[test]
    fn any_command_line_is_split(arguments in proptest::collection::vec("\\PC{0,20}", 0..8)) {
        let line = CommandLine::parse(&arguments, |_| false).unwrap();
        prop_assert_eq!(line.words.len() + line.options.len(), arguments.len());
    }
}
