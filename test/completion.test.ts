/** Completions, asked for in the shells themselves, as a person would press Tab. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { findProgram, runProcess } from '../src/base/process.ts'
import { tempDir } from '../src/testing/temp-dir.ts'

const INGOT = join(import.meta.dirname, '../ingot')
const temp = await tempDir()

/** What each shell runs, with the script of completions and lines behind it: prints the answers, each after `== LINE`. */
const ASKING = {
  bash: `
    source "$1"; shift
    for line; do
      IFS=' ' read -ra COMP_WORDS <<< "\${line//=/ = }"
      [[ $line == *' ' ]] && COMP_WORDS+=('')
      COMP_CWORD=$((\${#COMP_WORDS[@]} - 1)) COMPREPLY=()
      _ingot
      printf '%s\\n' "== $line" "\${COMPREPLY[@]}"
    done`,
  // A terminal of its own, in which what would be offered is printed.
  zsh: `
    zmodload zsh/zpty
    zpty inner zsh -f -i
    zpty -w inner "PS1= PS2=; autoload -Uz compinit && compinit -u -D && source \${(q)1}"
    zpty -w inner 'compadd() {
      [[ " $* " == *" -"[OAD]" "* ]] && { builtin compadd "$@"; return }
      local -a offered; builtin compadd -A offered "$@"
      (( $#offered )) && print -rl -- "@@"$^offered
    }
    asked() { print @@EN""D }
    zle -N asked; bindkey "^I" complete-word; bindkey "^X" asked; print @@REA""DY'
    shift
    zpty -r -m inner output '*@@READY*'
    for line; do
      zpty -w -n inner "$line"$'\\t\\C-x'
      zpty -r -m inner output '*@@END*'
      print -r -- "== $line"
      print -r -- "$output" | tr -d '\\r' | sed -n '/@@END/d; s/^.*@@//p'
      zpty -w -n inner $'\\C-u'
    done`,
  fish: `
    source $argv[1]
    for line in $argv[2..-1]
      echo "== $line"
      complete -C "$line" | string replace -r '\\t.*' '' | string replace -r '^--.*=' ''
    end
    true`,
} as const
type Shell = keyof typeof ASKING

/** What is offered for each line. */
async function ask(shell: Shell, lines: readonly string[]): Promise<Map<string, string[]>> {
  const script = await runProcess([INGOT, 'completion', shell])
  assert.equal(script.code, 0, script.stderr.toString())
  const [completions, asking] = [temp(`completions.${shell}`), temp(`asking.${shell}`)]
  writeFileSync(completions, script.stdout)
  writeFileSync(asking, ASKING[shell])
  const plain = { bash: ['--norc'], zsh: ['-f'], fish: ['--no-config'] }[shell]
  const argv = [shell, ...plain, asking, completions, ...lines]
  const { code, stdout, stderr } = await runProcess(argv, { cwd: temp('') })
  assert.equal(code, 0, stderr.toString())
  const answers = stdout.toString().split(/^== /m).slice(1)
  return new Map(
    answers.map((answer) => {
      const [line = '', ...words] = answer.split('\n')
      return [line, words.filter(Boolean)]
    }),
  )
}

/** What has to be offered, whatever the shell offers beside it, and what must not be. */
const RULES: readonly [line: string, offered: string, notOffered: string][] = [
  ['ingot fac', 'factory', 'build'],
  ['ingot factory ', 'base target provider reap', 'build check --json'],
  ['ingot factory base --', '--builder --parameter --endpoint --json --help', '--template --id'],
  ['ingot factory --json target --t', '--template --token-file', '--id'],
  ['ingot factory --data-dir list ', 'base', 'check'],
  ['ingot image s', 'save set share show', 'list'],
  ['ingot image save -o file --f', '--format --force', '--output'],
  ['ingot tdl check --', '--strict --require-root-password', '--show-secrets'],
  ['ingot tdl show --', '--show-secrets', '--strict'],
  ['ingot recipe ', 'check show schema', 'build'],
  ['ingot config ', 'show', 'check'],
  ['ingot imagefactory ', 'base_image provider_image plugins', 'base'],
  [
    'ingot imagefactory base_image --p',
    '--parameter --parameters --provider',
    '--plugins --file-parameter',
  ],
  ['ingot imagefactory --output ', 'json log', 'base_image'],
  ['ingot pack --via ', 'read appliance sandbox', '--json'],
  ['ingot pack --via=r', 'read', 'sandbox'],
  ['ingot convert --compress=', 'zlib zstd', '--json'],
  ['ingot convert --compress=z', 'zlib zstd', '--json'],
  ['ingot image list --status a', 'active', 'queued'],
  ['ingot completion ', 'bash zsh fish', '--json'],
]

describe('completions', () => {
  for (const shell of ['bash', 'zsh', 'fish'] as const)
    it(`know every subcommand, its flags, and what they take, in ${shell}`, async (test) => {
      if (findProgram(shell) === undefined) return test.skip(`${shell} is not installed`)
      const answers = await ask(
        shell,
        RULES.map(([line]) => line),
      )
      for (const [line, offered, notOffered] of RULES) {
        const words = answers.get(line) ?? []
        for (const word of offered.split(' '))
          assert.ok(words.includes(word), `${line}: ${word}, among ${words.join(' ')}`)
        for (const word of notOffered.split(' '))
          assert.ok(!words.includes(word), `${line}: no ${word}, among ${words.join(' ')}`)
      }
    })
})
