//! Completions for bash, zsh and fish: the tools, their options, and every setting with the words that it takes.
//!
//! The scripts need nothing but the shell itself. Each begins with what the tables say, as data in the shell's own
//! form; the few lines of code behind it are the same whatever is in the tables.

use super::super::row::{Flags, Kind, Row};
use super::super::table::ROWS;
use super::{Item, TOOLS, Tool, Value};

/// Settings that the shell shows.
fn settings() -> impl Iterator<Item = &'static Row> {
    ROWS.iter().filter(|row| !row.flags.has(Flags::HIDDEN))
}

/// What may be completed behind a setting's name: words, or one of these two.
fn behind(row: &Row) -> String {
    match row.kind {
        Kind::YesNo => "yes no".into(),
        Kind::OneOf(words) => words.join(" "),
        // Names of files, and text that somebody else makes up.
        Kind::Text { .. } => FILES.into(),
        Kind::Shape(_) if row.name == "dir" => FILES.into(),
        Kind::Integer { .. }
        | Kind::PowerOfTwo { .. }
        | Kind::Memory { .. }
        | Kind::Octal { .. }
        | Kind::Shape(_) => NOTHING.into(),
    }
}

const FILES: &str = "files";
const SERVER: &str = "server";
const NOTHING: &str = "none";

/// In single quotes, whatever is in it.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

fn names() -> Vec<&'static str> {
    TOOLS.iter().flat_map(|tool| [Some(tool.name), tool.alias]).flatten().collect()
}

/// The words that a tool's arguments may be: its options, and operands that can be listed.
fn words(tool: &Tool) -> String {
    let mut words: Vec<&str> = tool.options.iter().map(|option| option.name).collect();
    words.push("--help");
    for operand in tool.operands {
        if let Value::Words(known) = operand.value {
            words.extend(known);
        }
    }
    words.join(" ")
}

/// What else a tool's arguments may be: words, or one of these two.
fn operands(tool: &Tool) -> String {
    match tool.operands.first().map(|operand| operand.value) {
        Some(Value::File) => FILES.into(),
        Some(Value::OfServer) => SERVER.into(),
        Some(Value::Words(words)) => words.join(" "),
        Some(Value::Text(_) | Value::Nothing) | None => String::new(),
    }
}

const BASH: &str = r#"
_glasswing() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} first=${COMP_WORDS[1]}
    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ]; then
        _glasswing_words "$_glasswing_tools"
        if [[ $cur == -* ]]; then _glasswing_settings; else _glasswing_files; fi
        return
    fi
    if [ -n "${_glasswing_tool_words[$first]+is}" ]; then
        case " ${_glasswing_tool_values[$first]} " in *" $prev "*) return ;; esac
        _glasswing_words "${_glasswing_tool_words[$first]}"
        case ${_glasswing_tool_operands[$first]} in
            files) _glasswing_files; return ;;
            server) ;;
            *) return ;;
        esac
    fi
    if [[ $prev == --* && $cur != --* ]]; then
        case ${_glasswing_values[${prev#--}]-none} in
            files) _glasswing_files ;;
            none) ;;
            *) _glasswing_words "${_glasswing_values[${prev#--}]}" ;;
        esac
        return
    fi
    _glasswing_settings
}

_glasswing_words() { COMPREPLY+=($(compgen -W "$1" -- "$cur")); }

_glasswing_settings() {
    local bare=${cur#-}
    COMPREPLY+=($(compgen -P -- -W "${!_glasswing_values[*]}" -- "${bare#-}"))
}

_glasswing_files() {
    local IFS=$'\n'
    compopt -o filenames 2>/dev/null
    COMPREPLY+=($(compgen -f -- "$cur"))
}

complete -F _glasswing glasswing
"#;

/// For bash, 4.0 or later.
pub(super) fn bash() -> String {
    let mut script = String::from("# Made by: glasswing --generate bash\n\n");
    script += &format!("_glasswing_tools={}\n", quoted(&names().join(" ")));
    let mut table = |name: &str, entries: Vec<(&str, String)>| {
        script += &format!("declare -gA {name}=(\n");
        for (key, value) in entries {
            script += &format!("    [{key}]={}\n", quoted(&value));
        }
        script += ")\n";
    };
    table("_glasswing_tool_words", TOOLS.iter().map(|tool| (tool.name, words(tool))).collect());
    let values = |tool: &Tool| {
        let with_value = tool.options.iter().filter(|option| !matches!(option.value, Value::Nothing));
        with_value.map(|option| option.name).collect::<Vec<_>>().join(" ")
    };
    table("_glasswing_tool_values", TOOLS.iter().map(|tool| (tool.name, values(tool))).collect());
    table("_glasswing_tool_operands", TOOLS.iter().map(|tool| (tool.name, operands(tool))).collect());
    table("_glasswing_values", settings().map(|row| (row.name, behind(row))).collect());
    script += BASH;
    script
}

// The file is the body of `_glasswing`, run anew for each completion: what is in it may not take its name.
const ZSH: &str = r#"
_glasswing_arguments() {
    local first=${words[2]} previous=${words[CURRENT-1]#--}
    if (( CURRENT == 2 )); then
        _describe -t tools tool tools
        if [[ $PREFIX == -* ]]; then _describe -t settings setting settings; else _files; fi
        return
    fi
    if (( ${+tool_operands[$first]} )); then
        local -a options=(${(f)tool_options[$first]})
        (( $#options )) && _describe -t options option options
        case ${tool_operands[$first]} in
            files) _files; return ;;
            server) ;;
            *) compadd -- ${=tool_operands[$first]}; return ;;
        esac
    fi
    if [[ ${words[CURRENT-1]} == --* && $PREFIX != --* ]]; then
        case ${values[$previous]-none} in
            files) _files ;;
            none) _message 'a value' ;;
            *) compadd -- ${=values[$previous]} ;;
        esac
        return
    fi
    _describe -t settings setting settings
}

_glasswing_arguments
"#;

/// For zsh: a file `_glasswing` in a folder of `fpath`.
pub(super) fn zsh() -> String {
    let described = |name: &str, doc: &str| quoted(&format!("{}:{doc}", name.replace(':', "\\:")));
    let mut script = String::from("#compdef glasswing\n# Made by: glasswing --generate zsh\n\n");
    script += "local -a tools=(\n";
    for tool in TOOLS {
        for name in [Some(tool.name), tool.alias].into_iter().flatten() {
            script += &format!("    {}\n", described(name, tool.summary));
        }
    }
    script += ")\nlocal -A tool_options=(\n";
    let help = Item { name: "--help", doc: "Say how it is called.", ..Item::BASE };
    for tool in TOOLS {
        let options = tool.options.iter().chain([&help]);
        let options: Vec<String> = options.map(|option| format!("{}:{}", option.name, option.doc)).collect();
        script += &format!("    {} {}\n", tool.name, quoted(&options.join("\n")));
    }
    script += ")\nlocal -A tool_operands=(\n";
    for tool in TOOLS {
        script += &format!("    {} {}\n", tool.name, quoted(&operands(tool)));
    }
    script += ")\nlocal -a settings=(\n";
    for row in settings() {
        script += &format!("    {}\n", described(&format!("--{}", row.name), row.doc));
    }
    script += ")\nlocal -A values=(\n";
    for row in settings() {
        script += &format!("    {} {}\n", row.name, quoted(&behind(row)));
    }
    script += ")\n";
    script += ZSH;
    script
}

/// For fish.
pub(super) fn fish() -> String {
    let quoted = |text: &str| format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"));
    let mut script = String::from("# Made by: glasswing --generate fish\n\n");
    let alone = TOOLS.iter().filter(|tool| operands(tool) != SERVER);
    let alone: Vec<&str> = alone.flat_map(|tool| [Some(tool.name), tool.alias]).flatten().collect();
    let serves = quoted(&format!("not __fish_seen_subcommand_from {}", alone.join(" ")));
    for tool in TOOLS {
        for name in [Some(tool.name), tool.alias].into_iter().flatten() {
            let is_first = quoted("test (count (commandline -opc)) -eq 1");
            script += &format!("complete -c glasswing -n {is_first} -a {name} -d {}\n", quoted(tool.summary));
        }
        let chosen = quoted(&format!("__fish_seen_subcommand_from {}", tool.name));
        for option in tool.options {
            let value = if matches!(option.value, Value::Nothing) { "" } else { " -x" };
            let (name, doc) = (option.name.trim_start_matches('-'), quoted(option.doc));
            script += &format!("complete -c glasswing -n {chosen} -l {name}{value} -d {doc}\n");
        }
        for operand in tool.operands {
            if let Value::Words(words) = operand.value {
                script += &format!("complete -c glasswing -n {chosen} -f -a {}\n", quoted(&words.join(" ")));
            }
        }
    }
    for row in settings() {
        let value = match behind(row) {
            value if value == FILES => " -r".to_owned(),
            value if value == NOTHING => " -x".to_owned(),
            words => format!(" -x -a {}", quoted(&words)),
        };
        script +=
            &format!("complete -c glasswing -n {serves} -l {}{value} -d {}\n", row.name, quoted(row.doc));
    }
    script
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    /// What bash offers for the last of these words.
    fn offered(words: &[&str]) -> Vec<String> {
        let script = format!(
            "{}\nCOMP_WORDS=({})\nCOMP_CWORD={}\n_glasswing\nprintf '%s\\n' \"${{COMPREPLY[@]}}\"\n",
            bash(),
            words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" "),
            words.len() - 1
        );
        let ran = Command::new("bash").args(["-c", &script]).current_dir(env!("CARGO_MANIFEST_DIR")).output();
        let ran = ran.expect("bash");
        assert!(ran.status.success() && ran.stderr.is_empty(), "{}", String::from_utf8_lossy(&ran.stderr));
        let text = String::from_utf8_lossy(&ran.stdout).into_owned();
        let mut words: Vec<String> =
            text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect();
        words.sort();
        words
    }

    #[test]
    fn bash_completes_what_the_tables_say() {
        assert_eq!(offered(&["glasswing", "conv"]), ["convert"]);
        assert_eq!(offered(&["glasswing", "Cargo.t"]), ["Cargo.toml"]);
        assert_eq!(offered(&["glasswing", "--check"]), ["--check-config"]);
        assert_eq!(offered(&["glasswing", "--appendf"]), ["--appendfilename", "--appendfsync"]);
        assert_eq!(offered(&["glasswing", "--appendfsync", ""]), ["always", "everysec", "no"]);
        assert_eq!(offered(&["glasswing", "x.conf", "--loglevel", "v"]), ["verbose"]);
        assert_eq!(offered(&["glasswing", "--logfile", "Cargo.l"]), ["Cargo.lock"]);
        assert!(offered(&["glasswing", "--port", ""]).is_empty());
        assert_eq!(offered(&["glasswing", "check", "--f"]), ["--fix"]);
        assert_eq!(offered(&["glasswing", "check", "Cargo.t"]), ["Cargo.toml"]);
        assert_eq!(offered(&["glasswing", "healthcheck", "--admin-p"]), ["--admin-port"]);
        assert!(offered(&["glasswing", "healthcheck", "--url", ""]).is_empty());
        assert_eq!(offered(&["glasswing", "--generate", ""]), ["--help", "bash", "fish", "man", "zsh"]);
        let all = offered(&["glasswing", "x.conf", "--"]);
        assert_eq!(all.len(), settings().count());
    }

    #[test]
    fn every_shell_knows_every_tool_and_setting() {
        for (script, dashes) in [(bash(), "["), (zsh(), "'--"), (fish(), "-l ")] {
            for name in names() {
                assert!(script.contains(name), "{name}");
            }
            for row in settings() {
                assert!(script.contains(&format!("{dashes}{}", row.name)), "{}", row.name);
            }
        }
    }
}
