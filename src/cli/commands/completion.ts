import { Argument, type Command, type Option } from 'commander'
import type { CommandModule } from '../cli.ts'

interface Word {
  word: string
  summary: string
}

/** `ingot completion bash|zsh|fish`: made from the same definitions as the help. */
export const define: CommandModule['define'] = (command, _argv, openCli) => {
  command
    .addArgument(
      new Argument('<shell>', 'the shell to complete in').choices(['bash', 'zsh', 'fish']),
    )
    .addHelpText(
      'after',
      '\n  bash: ingot completion bash > /etc/bash_completion.d/ingot\n  zsh:  ingot completion zsh > "${fpath[1]}/_ingot"\n  fish: ingot completion fish > ~/.config/fish/completions/ingot.fish',
    )
    .action(async (shell: 'bash' | 'zsh' | 'fish') => {
      const cli = openCli(command)
      const { describeCommands } = await import('../_describe-commands.ts')
      const commands = await describeCommands()
      const scripts = { bash: toBash, zsh: toZsh, fish: toFish }
      cli.print(scripts[shell](commands))
    })
}

function wordsOf(command: Command): Word[] {
  const below = command.commands.map((one) => ({ word: one.name(), summary: one.description() }))
  const options = command.options.flatMap((option: Option) =>
    option.long ? [{ word: option.long, summary: option.description }] : [],
  )
  return [...below, ...options, { word: '--help', summary: 'show help' }]
}

function toBash(commands: readonly Command[]): string {
  const cases = commands.map(
    (command) =>
      `    ${command.name()}) words="${wordsOf(command)
        .map(({ word }) => word)
        .join(' ')}" ;;`,
  )
  return `# Completion of ingot for bash.
_ingot() {
  local current=\${COMP_WORDS[COMP_CWORD]} words
  case \${COMP_WORDS[1]} in
${cases.join('\n')}
    *) words="${commands.map((command) => command.name()).join(' ')} --help --version" ;;
  esac
  [ "$COMP_CWORD" = 1 ] && words="${commands.map((command) => command.name()).join(' ')} --help --version"
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -o bashdefault -F _ingot ingot
`
}

/** One word for zsh. */
function quoteForZsh(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`
}

/** One word for fish. */
function quoteForFish(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
}

/** `word:summary`, as zsh's _describe wants it. */
function describeForZsh({ word, summary }: Word): string {
  return quoteForZsh(`${word.replaceAll(':', '\\:')}:${summary.replaceAll(':', '\\:')}`)
}

function toZsh(commands: readonly Command[]): string {
  const cases = commands.map(
    (command) =>
      `    ${command.name()}) words=(${wordsOf(command).map(describeForZsh).join(' ')}) ;;`,
  )
  return `#compdef ingot
# Completion of ingot for zsh.
_ingot() {
  local -a words
  if (( CURRENT == 2 )); then
    words=(${commands.map((command) => describeForZsh({ word: command.name(), summary: command.description() })).join(' ')})
    _describe command words
    return
  fi
  case \${(Q)\${(z)BUFFER}[2]} in
${cases.join('\n')}
  esac
  _describe option words || _files
}
_ingot "$@"
`
}

function toFish(commands: readonly Command[]): string {
  const lines = commands.flatMap((command) => [
    `complete -c ingot -n __fish_use_subcommand -a ${command.name()} -d ${quoteForFish(command.description())}`,
    ...wordsOf(command).map(({ word, summary }) => {
      const what = word.startsWith('--') ? `-l ${word.slice(2)}` : `-a ${word}`
      return `complete -c ingot -n '__fish_seen_subcommand_from ${command.name()}' ${what} -d ${quoteForFish(summary)}`
    }),
  ])
  return `# Completion of ingot for fish.\n${lines.join('\n')}\n`
}
