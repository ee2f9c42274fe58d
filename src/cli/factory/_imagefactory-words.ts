/**
 * Image Factory's command line, read as its own parser reads it: flags anywhere, `--parameter` with two words behind it.
 * Source: its `ApplicationConfiguration`; docs/imagefactory.md lists what differs.
 */
import { Failure } from '../../base/failure.ts'

export const SUBCOMMANDS = [
  'base_image',
  'target_image',
  'provider_image',
  'import_base_image',
  'images',
  'delete',
  'plugins',
] as const
export type Subcommand = (typeof SUBCOMMANDS)[number]

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

/** How many words stand behind a flag. */
const FLAGS: ReadonlyMap<string, 0 | 1 | 2> = new Map([
  ...(['debug', 'nodebug', 'verbose', 'raw', 'json', 'quiet', 'snapshot'] as const).map(
    (name) => [name, 0] as const,
  ),
  ...(
    [
      'config',
      'imgdir',
      'timeout',
      'tmpdir',
      'plugins',
      'ec2-32bit-util',
      'ec2-64bit-util',
      'output',
      'parameters',
      'id',
      'template',
      'provider',
      'credentials',
      'target',
      'data-dir',
      'endpoint',
      'token-file',
    ] as const
  ).map((name) => [name, 1] as const),
  ['parameter', 2],
  ['file-parameter', 2],
])
const SHORT: Readonly<Record<string, string>> = { '-v': '--verbose', '-q': '--quiet' }

/** What has to stand behind each subcommand, and how many words. */
const OPERANDS: Readonly<Record<Subcommand, string>> = {
  base_image: 'TEMPLATE',
  target_image: 'TARGET',
  provider_image: 'TARGET PROVIDER CREDENTIALS_FILE',
  import_base_image: 'IMAGE_FILE',
  images: 'FETCH_SPEC',
  delete: 'ID',
  plugins: '',
}

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
    const count = FLAGS.get(name)
    if (count === undefined) throw usage(`--${name}: there is no such flag`)
    const behind = joined === undefined ? argv.slice(at + 1, at + 1 + count) : [joined]
    if (behind.length !== count) throw usage(`--${name} wants ${count} words behind it`)
    if (joined === undefined) at += count
    const [first = '', second = ''] = behind
    if (count === 0) switches.add(name)
    else if (name === 'parameter') parameters.push([first, second])
    else if (name === 'file-parameter') fileParameters.push([first, second])
    else values.set(name, first)
  }
  const [given = '', ...rest] = operands
  const subcommand = SUBCOMMANDS.find((one) => one === given)
  if (subcommand === undefined)
    throw usage(`wanted one of ${SUBCOMMANDS.join(', ')}, found '${given}'`)
  checkOperands(subcommand, rest)
  return { subcommand, operands: rest, parameters, fileParameters, values, switches }
}

function checkOperands(subcommand: Subcommand, operands: readonly string[]): void {
  const wanted = OPERANDS[subcommand].split(' ').filter(Boolean)
  if (operands.length !== wanted.length)
    throw usage(`${subcommand} wants ${wanted.join(' ') || 'nothing'} behind it`)
}

function usage(message: string): Failure {
  return new Failure('USAGE', message, { fix: 'See `ingot imagefactory --help`.' })
}
