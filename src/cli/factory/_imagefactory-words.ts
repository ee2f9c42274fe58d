/**
 * Image Factory's command line, read as its own parser reads it: flags anywhere, `--parameter` with two words behind it.
 * Source: its `ApplicationConfiguration`; docs/imagefactory.md lists what differs.
 */
import { Failure } from '../../base/failure.ts'
import { didYouMean } from '../../schema/find-faults.ts'

/** What each subcommand is for, and what has to stand behind it. */
export const SUBCOMMANDS = {
  base_image: { operands: ['TEMPLATE'], summary: 'build a base image' },
  target_image: {
    operands: ['TARGET'],
    summary: 'make an image fit for a kind of cloud: that of --id, or one built by --template',
  },
  provider_image: {
    operands: ['TARGET', 'PROVIDER', 'CREDENTIALS_FILE'],
    summary: 'push an image, chosen likewise; PROVIDER is a file, or a name after @',
  },
  import_base_image: { operands: ['IMAGE_FILE'], summary: 'make a base image of an image file' },
  images: {
    operands: ['FETCH_SPEC'],
    summary: 'show the images that have the fields of a JSON object',
  },
  delete: { operands: ['ID'], summary: 'delete an image, and what was pushed of it' },
  plugins: { operands: [], summary: 'list OS builders and cloud targets' },
} as const satisfies Record<string, { operands: readonly string[]; summary: string }>
export type Subcommand = keyof typeof SUBCOMMANDS

type Pair = readonly [name: string, value: string]

export interface ImageFactoryWords {
  readonly subcommand: Subcommand
  readonly operands: readonly string[]
  readonly parameters: readonly Pair[]
  readonly fileParameters: readonly Pair[]
  /** Flags with one word behind them, by name; of one that was said again the last counts. */
  readonly values: ReadonlyMap<string, string>
  readonly switches: ReadonlySet<string>
}

/** A flag: the words behind it, and what it is for; without a summary it is accepted, and of no effect. */
interface Flag {
  readonly words?: readonly string[]
  readonly summary?: string
  readonly choices?: readonly string[]
}

export const FLAGS: Readonly<Record<string, Flag>> = {
  id: { words: ['image'], summary: 'what to make it of; of `plugins`, the one to show' },
  template: { words: ['file'], summary: 'or the template; what it is made of is built first' },
  parameters: { words: ['file'], summary: 'a JSON object of parameters' },
  parameter: { words: ['name', 'value'], summary: 'one of them; may be repeated' },
  'file-parameter': {
    words: ['name', 'file'],
    summary: 'one whose value is the text of a file; may be repeated',
  },
  timeout: { words: ['seconds'], summary: 'how long a stage may take' },
  snapshot: { summary: 'let the provider make the image by a snapshot' },
  output: {
    words: ['format'],
    summary: 'how the image is printed when it has ended',
    choices: ['log', 'json'],
  },
  provider: { words: ['provider'], summary: 'of `delete`: where it was pushed to' },
  credentials: { words: ['file'], summary: 'of `delete`: of the account there' },
  'data-dir': { words: ['directory'], summary: 'the embedded service’s directory' },
  endpoint: { words: ['url'], summary: 'an Ingot elsewhere, instead of the embedded service' },
  'token-file': { words: ['file'], summary: 'what it wants for a token' },
  debug: {},
  nodebug: {},
  raw: {},
  target: { words: ['target'] },
  imgdir: { words: ['directory'] },
  tmpdir: { words: ['directory'] },
  plugins: { words: ['directory'] },
  'ec2-32bit-util': { words: ['program'] },
  'ec2-64bit-util': { words: ['program'] },
}

/** How many words stand behind each flag, those that every command has among them. */
const WORDS_BEHIND: ReadonlyMap<string, number> = new Map([
  ...['verbose', 'json', 'quiet'].map((name) => [name, 0] as const),
  ['config', 1],
  ...Object.entries(FLAGS).map(([name, { words = [] }]) => [name, words.length] as const),
])
const SHORT: Readonly<Record<string, string>> = { '-v': '--verbose', '-q': '--quiet' }

/** Fails with USAGE. */
export function parseImageFactoryWords(argv: readonly string[]): ImageFactoryWords {
  const operands: string[] = []
  const parameters: Pair[] = []
  const fileParameters: Pair[] = []
  const values = new Map<string, string>()
  const switches = new Set<string>()
  for (let at = 0; at < argv.length; at++) {
    const word = SHORT[argv[at] ?? ''] ?? argv[at] ?? ''
    if (!word.startsWith('--')) {
      operands.push(word)
      continue
    }
    const [, name = '', joined] = /^--([^=]*)(?:=(.*))?$/s.exec(word) ?? []
    const count = WORDS_BEHIND.get(name)
    if (count === undefined)
      throw usage(`there is no flag '--${name}'${didYouMean(name, [...WORDS_BEHIND.keys()])}`)
    const behind = joined === undefined ? argv.slice(at + 1, at + 1 + count) : [joined]
    if (behind.length !== count)
      throw usage(`--${name} wants ${count === 1 ? 'one word' : `${count} words`} behind it`)
    if (joined === undefined) at += count
    const [first = '', second = ''] = behind
    if (count === 0) switches.add(name)
    else if (name === 'parameter') parameters.push([first, second])
    else if (name === 'file-parameter') fileParameters.push([first, second])
    else values.set(name, first)
  }
  const [given, ...rest] = operands
  const subcommand = subcommandOf(given)
  const wanted: readonly string[] = SUBCOMMANDS[subcommand].operands
  if (rest.length !== wanted.length)
    throw usage(`${subcommand} wants ${wanted.join(' ') || 'nothing'} behind it`)
  return { subcommand, operands: rest, parameters, fileParameters, values, switches }
}

function subcommandOf(given: string | undefined): Subcommand {
  const names = Object.keys(SUBCOMMANDS) as Subcommand[] // the table's own keys
  const found = names.find((one) => one === given)
  if (found !== undefined) return found
  throw usage(
    `wanted one of ${names.join(', ')}, found ${given === undefined ? 'none' : `'${given}'`}`,
  )
}

function usage(message: string): Failure {
  return new Failure('USAGE', message, { fix: 'See `ingot imagefactory --help`.' })
}
