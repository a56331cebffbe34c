//! Fixed texts: title, help, version.

/// The name and version that the texts begin with.
fn program() -> String {
    let version = env!("CARGO_PKG_VERSION");
    let short = version.rsplit_once('.').map_or(version, |(short, _)| short);
    format!("Rota {short} RPC client")
}

/// The answer to `-version`.
pub fn version() -> String {
    format!("{} (version {})\n", program(), env!("CARGO_PKG_VERSION"))
}

/// What stands above the first prompt.
pub fn interactive_title() -> String {
    format!("\n{}\n\nInteractive mode: type help for the methods, bye to leave.\n\n", program())
}

/// The answer to `-help`.
pub fn help() -> String {
    format!("\n{}\n\n{HELP}", program())
}

const HELP: &str = "\
Usage:
  node-cli [CHAIN] [OPTIONS] METHOD [PARAMETERS]   call a method of the chain's node
  node-cli [OPTIONS] CHAIN                         interactive mode: a prompt for one call after the other
  node-cli help [METHOD]                           list all methods, or explain one

With a single chain in the data directory its name may be left out. Parameters are plain words; JSON values go into
quotes, so that the shell leaves them alone. Results go to stdout, the request and errors to stderr; the exit status
is 0, or the error code without its sign modulo 256, or 1 if the node could not be asked.

Options, before or after the chain's name:
  -datadir=DIRECTORY    directory that holds a folder for each chain (default ~/.rota)
  -rpcconnect=HOST      host of the node (default 127.0.0.1)
  -rpcport=PORT         its port (default: rpcport in node.conf, or default-rpc-port in params.dat)
  -rpcuser=NAME         user (default: rpcuser in the chain's node.conf)
  -rpcpassword=WORD     password (default: rpcpassword in the chain's node.conf)
  -requestout=WHERE     where the request is shown: stderr, stdout or null (default stderr)
  -help                 print this help
  -version              print the version

First calls:
  node-cli chain1 getinfo
  node-cli chain1 create stream stream1 false
  node-cli chain1 publish stream1 key1 '{\"json\":{\"a\":1}}'
  node-cli chain1 subscribe stream1
  node-cli chain1 liststreamitems stream1
";
