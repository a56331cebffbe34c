//! What node-util says: its title and its help. The sentences that scripts look for are in `command`.

use rota_params::PROTOCOL_LATEST;
use rota_params::kind::{Kind, Section, Source};
use rota_params::table::TABLE;
use rota_params::value::range_text;

/// The title that each command prints first.
pub fn title() -> String {
    format!("\n{} (latest protocol {PROTOCOL_LATEST})\n\n", program())
}

fn program() -> String {
    let version = env!("CARGO_PKG_VERSION");
    let short = version.rsplit_once('.').map_or(version, |(short, _)| short);
    format!("Rota {short} Utilities")
}

/// The answer to `--version`.
pub fn version() -> String {
    format!("{} (version {}, latest protocol {PROTOCOL_LATEST})\n", program(), env!("CARGO_PKG_VERSION"))
}

const USAGE: &str = "\
Usage:
  node-util create NAME [PROTOCOL] [-PARAMETER=VALUE ...]   make the parameters of a new blockchain
  node-util clone OLD NEW                                   make a new blockchain with the rules of another
  node-util show NAME                                       print parameters, and which are fixed and why
  node-util rpcauth USER                                    make a password, and the lines that let USER call a node

Options, before or after the other words:
  -datadir=DIRECTORY   directory that holds a folder for each chain (default ~/.rota)
  -help                print this help
  -version             print the version

A first chain:
  node-util create chain1
  noded chain1 -daemon
  node-cli chain1 getinfo

create writes DIRECTORY/NAME/params.dat. Until noded runs for the first time the file may be edited; then the genesis
block binds its values for ever, and what should differ needs a new chain: node-util clone. An existing file is never
overwritten.

Who mines, three usual choices:
  one permitted miner                              -mining-diversity=0 -mining-requires-peers=false
  miners that trust each other, a steady rotation  -mining-diversity=0 -mining-turnover=0
  miners that guard against abuse                  -mining-diversity=0.75 -mining-turnover=1

Parameters of create, with default and what is allowed. Hyphens may be left out (-targetblocktime=5):
";

/// The answer to `--help`.
pub fn help() -> String {
    let mut text = title();
    text.push_str(USAGE);
    let mut section: Option<Section> = None;
    for row in TABLE.iter().filter(|row| row.source != Source::Calculated && row.removed == 0) {
        if matches!(row.name, "chain-name" | "protocol-version") {
            continue;
        }
        if section != Some(row.section) {
            section = Some(row.section);
            text.push_str(&format!("\n{}\n", row.section.title()));
        }
        let default = rota_params::set::default_value(row.parameter, "NAME", PROTOCOL_LATEST);
        let default = default.map_or_else(|| "random".to_owned(), |value| value.to_text());
        let range = match row.kind {
            Kind::Bool => String::new(),
            _ => format!(", {}", range_text(row.parameter)),
        };
        text.push_str(&format!("  -{} ({default}{range})\n      {}\n", row.name, row.meaning));
    }
    text
}
