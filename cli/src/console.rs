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
quotes, so that the shell leaves them alone. @FILE stands for the text of a file, @- for standard input, and a word
that begins with @ itself is written @@... Results go to stdout, the request and errors to stderr.

Exit status: 0 when the call succeeded, otherwise the error code without its sign modulo 256, or 1 without a code:
    1  misuse, not reached, not let in, wrong number of parameters (-1)    190  not possible this way (-702)
    8  a parameter is malformed (-8)       5  no such address (-5)         191  not subscribed (-703)
    6  not enough funds (-6)              26  refused by the rules (-26)   192  a permission is missing (-704)
   89  no such method (-32601)           189  not allowed here (-701)      193  the name is taken (-705)
  196  no such entity (-708)             197  key not in the wallet (-709) 198  no such transaction (-710)
  199  no such block (-711)              200  no such output or data (-712)

Options, before or after the chain's name:
  -datadir=DIRECTORY    directory that holds a folder for each chain (default ~/.rota)
  -rpcconnect=HOST      host of the node (default 127.0.0.1)
  -rpcport=PORT         its port (default: rpcport in node.conf, or default-rpc-port in params.dat)
  -rpcuser=NAME         user (default: rpcuser in the chain's node.conf)
  -rpcpassword=WORD     password (default: rpcpassword in the chain's node.conf)
  -rpcssl               speak TLS (default: rpcssl in the chain's node.conf)
  -rpcsslcertificatechainfile=FILE
                        certificate of the node, or of who issued it, in PEM form; relative to the chain's folder
                        (default: as in the chain's node.conf, or server.cert)
  -requestout=WHERE     where the request is shown: stderr, stdout or null (default stderr)
  -pretty               results indented for reading, coloured on a terminal (NO_COLOR=1: never coloured)
  -completion=SHELL     print a completion script, bash or zsh: source <(node-cli --completion bash)
  -help                 print this help
  -version              print the version

First calls:
  node-cli chain1 getinfo
  node-cli chain1 create stream stream1 false
  node-cli chain1 publish stream1 key1 '{\"json\":{\"a\":1}}'
  node-cli chain1 subscribe stream1
  node-cli chain1 liststreamitems stream1
";
