//! Completion scripts for bash and zsh, made from the table of methods.

use rota_api::method::methods;

/// Options that node-cli itself takes.
const OPTIONS: &str = "-datadir= -rpcconnect= -rpcport= -rpcuser= -rpcpassword= -rpcclienttimeout= -rpcssl -rpcsslcertificatechainfile= -requestout= -pretty -completion= -help -version";

/// The script for a shell; `None` when there is none for it.
pub fn script(shell: &str) -> Option<String> {
    let template = match shell {
        "bash" => BASH,
        "zsh" => ZSH,
        _ => return None,
    };
    let mut names: Vec<&str> = methods().map(|(_, method)| method.name).collect();
    names.sort_unstable();
    names.dedup();
    Some(template.replace("METHODS", &names.join(" ")).replace("OPTIONS", OPTIONS))
}

/// Chains are folders with params.dat. The word after help is a method too, and a method is completed once.
const BASH: &str = r#"_node_cli() {
    local word=${COMP_WORDS[COMP_CWORD]} data=$HOME/.rota methods="METHODS" chains= earlier= given folder
    for given in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        case " $methods " in *" $given "*) [ "$given" = help ] || earlier=$given ;; esac
    done
    COMPREPLY=()
    if [ -n "$earlier" ]; then
        case $word in @*) COMPREPLY=($(compgen -P @ -f -- "${word#@}")) ;; esac
        return
    fi
    case $word in
        -*) COMPREPLY=($(compgen -W "OPTIONS" -- "$word")) ;;
        *)
            for folder in "$data"/*/; do
                [ -f "$folder/params.dat" ] && folder=${folder%/} && chains="$chains ${folder##*/}"
            done
            COMPREPLY=($(compgen -W "$methods$chains" -- "$word"))
            ;;
    esac
}
complete -o nosort -F _node_cli node-cli 2>/dev/null || complete -F _node_cli node-cli
"#;

const ZSH: &str = r#"#compdef node-cli
_node_cli() {
    local -a methods chains given
    methods=(METHODS)
    chains=($HOME/.rota/*/params.dat(N:h:t))
    given=(${words[2,CURRENT-1]})
    given=(${given:#help})
    if (( ${#${given:*methods}} )); then
        compset -P @ && _files
    elif [[ $PREFIX == -* ]]; then
        compadd -S '' -- OPTIONS
    else
        compadd -- $methods $chains
    fi
}
compdef _node_cli node-cli
"#;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::script;
    use std::process::Command;

    #[test]
    fn every_method_is_completed_and_an_unknown_shell_has_no_script() {
        for shell in ["bash", "zsh"] {
            let script = script(shell).unwrap();
            assert!(rota_api::method::methods().all(|(_, method)| script.contains(method.name)), "{shell}");
            assert!(!script.contains("METHODS") && !script.contains("OPTIONS"), "{shell}");
        }
        assert_eq!(script("fish"), None);
    }

    #[test]
    fn bash_completes_a_method_once_and_then_files() {
        let completed = |words: &str| {
            let script = format!(
                "{}\nCOMP_WORDS=({words})\nCOMP_CWORD=$((${{#COMP_WORDS[@]}}-1))\n_node_cli\necho \"${{COMPREPLY[*]}}\"",
                script("bash").unwrap()
            );
            let output = Command::new("bash").args(["--norc", "-c", &script]).env("HOME", "/nowhere").output().unwrap();
            assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8(output.stdout).unwrap().trim().to_owned()
        };
        assert_eq!(completed("node-cli c liststreamkeyi"), "liststreamkeyitems");
        assert_eq!(completed("node-cli help getblockh"), "getblockhash");
        assert_eq!(completed("node-cli -prett"), "-pretty");
        assert_eq!(completed("node-cli c publish getinf"), "");
        assert!(completed("node-cli c getinfo @/et").contains("@/etc"));
    }
}
