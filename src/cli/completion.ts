/** keyladder completion: a script for the shell, made from the commands themselves. */

import type { Command } from "commander";
import { usageError } from "./exit-codes.js";
import type { Session } from "./session.js";

const SHELLS: Readonly<Record<string, (program: Command) => string>> = { bash, zsh, fish };

export function registerCompletion(program: Command, session: Session): void {
  program
    .command("completion")
    .summary("print a completion script")
    .description("Print a completion script for bash, zsh or fish.")
    .argument("<SHELL>", Object.keys(SHELLS).join(", "))
    .addHelpText(
      "after",
      "\nExample:\n  keyladder completion bash > ~/.local/share/bash-completion/completions/keyladder",
    )
    .action((shell: string) => {
      const script = SHELLS[shell];
      if (script === undefined) throw usageError(`no completion for "${shell}"`, Object.keys(SHELLS).join(", "));
      session.out.stdout.write(script(program));
    });
}

interface Words {
  /** The commands that lead here: "" or "key". */
  readonly path: string;
  readonly words: readonly string[];
}

function flagsOf(command: Command): string[] {
  return command.options.filter(({ hidden }) => !hidden).flatMap(({ long }) => (long == null ? [] : [long]));
}

/** For each command the words that may follow it: its subcommands, its flags and the global ones. */
function wordsOf(program: Command): Words[] {
  const global = [...flagsOf(program), "--help"];
  const visit = (command: Command, path: string): Words[] => [
    {
      path,
      words: [...command.commands.map((sub) => sub.name()), ...(path === "" ? [] : flagsOf(command)), ...global],
    },
    ...command.commands.flatMap((sub) => visit(sub, path === "" ? sub.name() : `${path} ${sub.name()}`)),
  ];
  return visit(program, "");
}

function bash(program: Command): string {
  const cases = wordsOf(program)
    .map(({ path, words }) => `    "${path}") words="${words.join(" ")}" ;;`)
    .join("\n");
  const names = [...new Set(wordsOf(program).flatMap(({ path }) => path.split(" ")))].filter((name) => name !== "");
  return `# keyladder completion for bash
_keyladder() {
  local path="" word words=""
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$word" in
      ${names.join("|")}) path="\${path:+$path }$word" ;;
    esac
  done
  case "$path" in
${cases}
  esac
  COMPREPLY=($(compgen -W "$words" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _keyladder keyladder
`;
}

function zsh(program: Command): string {
  return `#compdef keyladder\nautoload -U +X bashcompinit && bashcompinit\n${bash(program)}`;
}

function fish(program: Command): string {
  const lines = program.commands.flatMap((command) => {
    const subs = command.commands.map((sub) => sub.name());
    const top = `complete -c keyladder -n __fish_use_subcommand -a ${command.name()} -d "${command.summary()}"`;
    const seen = `-n "__fish_seen_subcommand_from ${command.name()}"`;
    const flags = [...flagsOf(command), ...command.commands.flatMap(flagsOf)].map((flag) => flag.slice(2));
    return [
      top,
      ...subs.map((sub) => `complete -c keyladder ${seen} -a ${sub}`),
      ...[...new Set(flags)].map((flag) => `complete -c keyladder ${seen} -l ${flag}`),
    ];
  });
  return `# keyladder completion for fish\n${lines.join("\n")}\n`;
}
