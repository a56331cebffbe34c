//! Every option that the three programs know, in one table: name, form, default and one line of help. Options of
//! other nodes of this kind that have no meaning here are accepted, so that existing start scripts run, and told of.

use crate::nearest::nearest;

/// What an option's value looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// 0 or 1; the bare name is 1, the name after "no" is 0.
    Flag,
    /// A whole number.
    Number,
    /// A number with or without a fraction.
    Decimal,
    /// Text; the last one on the command line counts, the first one in a file.
    Text,
    /// Text that may be given several times; all count.
    List,
}

/// Where an option belongs in the help; the order is that of the help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic {
    /// Files and start.
    General,
    /// JSON-RPC server, and how node-cli reaches it.
    Rpc,
    /// Peers.
    Peer,
    /// Blocks, transactions, storage.
    Chain,
    /// Mining.
    Mining,
    /// Keys and subscriptions.
    Wallet,
    /// Programs that the node runs.
    Notification,
    /// What answers of the API hold.
    Answer,
    /// Log file.
    Log,
    /// node-cli alone.
    Client,
    /// Accepted without effect.
    Accepted,
}

impl Topic {
    /// All topics, in the order of the help.
    pub const ALL: [Self; 11] = [
        Self::General,
        Self::Rpc,
        Self::Peer,
        Self::Chain,
        Self::Mining,
        Self::Wallet,
        Self::Notification,
        Self::Answer,
        Self::Log,
        Self::Client,
        Self::Accepted,
    ];

    /// Heading of the topic in the help.
    pub const fn title(self) -> &'static str {
        match self {
            Self::General => "Files and start",
            Self::Rpc => "JSON-RPC",
            Self::Peer => "Peers",
            Self::Chain => "Blocks and transactions",
            Self::Mining => "Mining",
            Self::Wallet => "Wallet and subscriptions",
            Self::Notification => "Notifications",
            Self::Answer => "Answers of the API",
            Self::Log => "Log",
            Self::Client => "node-cli",
            Self::Accepted => "Accepted from other nodes' configurations, without effect",
        }
    }
}

/// One option.
#[derive(Debug, Clone, Copy)]
pub struct Known {
    /// Name in compact form.
    pub name: &'static str,
    /// Topic.
    pub topic: Topic,
    /// Form of the value.
    pub form: Form,
    /// Default as the help shows it; empty if there is none.
    pub default: &'static str,
    /// What it does, in one line; empty for options without effect.
    pub help: &'static str,
}

macro_rules! options {
    ($($topic:ident { $($name:ident $form:ident $default:literal $help:literal;)* })*) => {
        /// All options.
        pub const OPTIONS: &[Known] = &[$($(Known {
            name: stringify!($name), topic: Topic::$topic, form: Form::$form, default: $default, help: $help,
        },)*)*];
    };
}

options! {
    General {
        help Flag "0" "Print this help and exit";
        version Flag "0" "Print the version and exit";
        datadir Text "~/.rota" "Directory that holds a folder for each chain";
        conf Text "node.conf" "Configuration file, within the chain's folder unless absolute";
        pid Text "noded.pid" "File for the process id, within the chain's folder unless absolute";
        daemon Flag "0" "Run in the background; the start is shown until the node is ready";
        shortoutput Flag "0" "Print nothing but the node's address, or the address that needs connect";
        offline Flag "0" "Run without peers and mining, with the calls that need neither";
        retryinittime Number "0" "Seconds to keep trying to join a chain; 0 to give up at once";
        initprivkey Text "" "Private key of the first address of a new wallet, so that it can be granted beforehand";
        expectparamshash Text "" "Join only a chain with this chain-params-hash";
        storeruntimeparams Flag "0" "Keep what setruntimeparam changes in setruntimeparam.conf";
    }
    Rpc {
        rpcuser Text "rotarpc" "User name of JSON-RPC";
        rpcpassword Text "random, in node.conf" "Password of JSON-RPC";
        rpcport Number "default-rpc-port" "TCP port of JSON-RPC";
        rpcallowip List "" "Address or subnet that may call besides this host; repeatable";
        rpcbind List "" "host[:port] to listen on, only together with rpcallowip; repeatable";
        rpcallowmethod Text "" "Comma-separated methods and groups that may be called, by whichever user; all if empty";
        rpcauth List "" "NAME:SALT$HASH of a further user, made by node-util rpcauth; repeatable";
        rpcwhitelist List "" "USER:METHODS, what a user may call: names, @read @write @grant @keys @control @all; repeatable";
        rpcallowplain Flag "0" "Let rpcallowip name half of the internet or more, though passwords travel unencrypted";
        rpcssl Flag "0" "Speak TLS on the port of JSON-RPC, and in node-cli";
        rpcsslcertificatechainfile Text "server.cert" "Certificates (PEM) that the node shows and node-cli trusts, within the chain's folder";
        rpcsslprivatekeyfile Text "server.pem" "Private key (PEM) of the certificate, within the chain's folder; read again on SIGHUP";
        rpcthreads Number "64" "Calls that are answered at a time";
        rpcworkqueue Number "256" "Calls that wait for an answer at a time; more get HTTP status 503";
        rpcservertimeout Number "30" "Seconds before an idle or slow connection is closed";
    }
    Peer {
        port Number "default-network-port" "TCP port for peers";
        bind List "" "Address to listen on for peers; repeatable";
        listen Flag "1" "Let peers connect to this node; 0 if connect is given";
        addnode List "" "host:port of a peer to stay connected to; repeatable";
        seednode List "" "host:port of a peer to ask first; repeatable";
        connect List "" "Connect to these peers alone; repeatable";
        maxconnections Number "125" "Most peers at a time";
        maxoutconnections Number "8" "Peers up to which this node dials those it knows; those of addnode and connect are dialled beyond";
        externalip List "" "Address under which others reach this node; repeatable";
        handshakelocal Text "auto" "Wallet address that this node shows to peers";
        p2pkey Text "" "File with the private key of that address, outside the wallet's encryption";
    }
    Chain {
        reindex Flag "0" "Rebuild state and indexes from the block files";
        txsync Flag "0" "Sync each acknowledged transaction to disk, against power loss";
        flushsourcechunks Flag "1" "Sync own off-chain data to disk before its transaction is sent";
        maxmempool Number "256" "Megabytes of unconfirmed transactions, at most";
        maxmempoolauthor Number "64" "Megabytes of unconfirmed transactions of one author, at most; never more than is left of maxmempool";
        mindiskspace Number "64" "Megabytes of disk to stay free: with less, no transaction or block is taken";
        dbcache Number "48" "Megabytes of memory that the databases of the process keep blocks of";
        bantx Text "" "Comma-separated transaction ids that this node never accepts";
        lockblock Text "" "Hash of a block that the active chain must hold";
        lockadminminerounds Number "lock-admin-mine-rounds" "Mining rounds after which admin and mine changes are not undone";
        acceptfiltertimeout Number "100" "Milliseconds that a filter may take for others' transactions";
        sendfiltertimeout Number "20" "Milliseconds that a filter may take for own transactions";
        chunkquerytimeout Number "25" "Seconds that peers may take to say who has off-chain data";
        chunkrequesttimeout Number "10" "Seconds that a peer may take to send off-chain data";
    }
    Mining {
        gen Flag "1" "Mine while permitted";
        miningrequirespeers Flag "mining-requires-peers" "Mine only while a peer is connected";
        mineemptyrounds Decimal "mine-empty-rounds" "Rounds of empty blocks before mining rests; -1 for never";
        miningturnover Decimal "mining-turnover" "0 for a steady rotation of few miners, 1 for all at random";
    }
    Wallet {
        autosubscribe Text "" "Subscribe to new ones at once: streams, assets, or both with a comma";
        explorersupport Number "0" "2: answer the calls of explorers, from an index of all addresses; every stream and asset is followed";
    }
    Notification {
        walletnotify Text "" "Command for each wallet transaction, when first seen and when confirmed";
        walletnotifynew Text "" "Command for each wallet transaction, when first seen";
        blocknotify Text "" "Command for each new best block";
    }
    Answer {
        maxshowndata Number "16384" "Bytes of data shown in an answer; larger data is shown by reference";
        autocombineminconf Number "1" "Confirmations of a coin before it is combined with others";
        autocombinemininputs Number "50" "Coins of an address from which on they are combined; 0 never";
        autocombinemaxinputs Number "100" "Most coins that one combining transaction spends";
        autocombinedelay Number "1" "Seconds between looks for coins to combine";
        autocombinesuspend Number "15" "Seconds without combining after listunspent";
        autocombinemaxtxs Number "4294967295" "Most combining transactions at a look; 0 none";
        maxqueryscanitems Number "5000" "Items that one liststreamqueryitems may look at";
        v1apicompatible Flag "0" "Add the members that answers had in API version 1";
    }
    Log {
        logdir Text "" "Directory of debug.log; the chain's folder if empty";
        loglevel Text "info" "error, warn, info, debug or trace";
        debug List "" "Part of the node that logs in detail, 1 for all; repeatable";
        printtoconsole Flag "0" "Write the log to the console as well";
        maxlogsize Number "64" "Megabytes after which debug.log is rotated";
        maxlogfiles Number "5" "Rotated log files that are kept";
    }
    Client {
        rpcconnect Text "127.0.0.1" "Host of the node to call";
        rpcclienttimeout Number "900" "Seconds to wait for an answer";
        requestout Text "stderr" "Where a call is shown: stderr, stdout or null";
        pretty Flag "0" "Whether results are coloured and indented for reading; colours on a terminal alone";
        completion Text "" "Print the completion script of a shell, bash or zsh, and end";
    }
    Accepted {
        healthcheckport Number "" "";
        timeout Number "" "";
        bantime Number "" "";
        banscore Number "" "";
        whitelist List "" "";
        hideknownopdrops Flag "" "";
        rescan Flag "" "";
        verifyparamsethash Flag "" "";
        rest Flag "" "";
        rpcsslciphers Text "" "";
        proxy Text "" "";
        onlynet List "" "";
        upnp Flag "" "";
        discover Flag "" "";
        dns Flag "" "";
        dnsseed Flag "" "";
        addrmanversion Number "" "";
        relaymanversion Number "" "";
        msghandlerversion Number "" "";
        onlyencrypted Flag "" "";
        allowunencrypted Text "" "";
        txindex Flag "" "";
        loadblock List "" "";
        checkblocks Number "" "";
        checklevel Number "" "";
        par Number "" "";
        maxorphantx Number "" "";
        maxorphansize Number "" "";
        mempoolthrottle Number "" "";
        wallet Text "" "";
        walletdbversion Number "" "";
        keypool Number "" "";
        alertnotify Text "" "";
        genproclimit Number "" "";
        lockinlinemetadata Flag "" "";
        purgemethod Text "" "";
        shrinkdebugfilesize Number "" "";
    }
}

/// An option name without the hyphens and underscores that do not count.
pub fn compact(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, '-' | '_')).collect()
}

/// The option of a compact name.
pub fn find(name: &str) -> Option<&'static Known> {
    OPTIONS.iter().find(|known| known.name == name)
}

/// The option that a mistyped name probably meant.
pub fn suggest(name: &str) -> Option<String> {
    nearest(name, OPTIONS.iter().map(|known| known.name)).map(|known| format!("-{known}"))
}

/// The help of the topics, one line an option, a heading above each topic.
pub fn help(topics: &[Topic]) -> String {
    let mut text = String::new();
    for topic in topics {
        text.push_str(&format!("\n{}\n", topic.title()));
        let mut bare = Vec::new();
        for known in OPTIONS.iter().filter(|known| known.topic == *topic) {
            if known.help.is_empty() {
                bare.push(format!("-{}", known.name));
                continue;
            }
            let form = match known.form {
                Form::Flag => "",
                Form::Number | Form::Decimal => "=N",
                Form::Text | Form::List => "=TEXT",
            };
            let default = match (known.form, known.default) {
                (_, "") | (Form::Flag, "0") => String::new(),
                (_, default) => format!(" (default {default})"),
            };
            text.push_str(&format!("  {:<28} {}{default}\n", format!("-{}{form}", known.name), known.help));
        }
        if !bare.is_empty() {
            text.push_str(&format!("  {}\n", bare.join(" ")));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn option_names_are_compact_unique_and_no_name_hides_behind_no() {
        for (index, known) in OPTIONS.iter().enumerate() {
            assert_eq!(compact(known.name), known.name);
            assert!(OPTIONS[..index].iter().all(|other| other.name != known.name), "{}", known.name);
            if let Some(rest) = known.name.strip_prefix("no") {
                assert!(find(rest).is_none(), "-{} could mean two things", known.name);
            }
        }
    }

    #[test]
    fn the_help_names_each_option_once() {
        let text = help(&Topic::ALL);
        for known in OPTIONS {
            let shown = format!("-{}", known.name);
            let words = text.split([' ', '\n', '=']).filter(|word| *word == shown).count();
            assert_eq!(words, 1, "{shown}");
        }
    }
}
