/** The architecture diagram that cannot go stale: which room stands on which floor. */
import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { dirname, join, normalize, relative } from 'node:path'
import { test } from 'node:test'

/** From the ground up. A file imports from its own room or a lower floor; never sideways, never up. */
const FLOORS: readonly (readonly string[])[] = [
  ['base'],
  ['bytes'],
  ['schema'],
  ['database', 'clouds'],
  ['formats', 'stores', 'tasks'],
  ['remotes'],
  ['guests', 'machines', 'access'],
  ['recipes', 'images', 'metadefs'],
  ['api', 'factory', 'imports'],
  ['app'],
  ['http', 'nbd'],
  ['cli'],
]

/** What only one file or room may use. */
const GUARDED: readonly { what: string; pattern: RegExp; allowed: (file: string) => boolean }[] = [
  {
    what: 'starts processes',
    pattern: /^import (?!type)[^;]*?['"](node:)?child_process['"]/m,
    allowed: (file) => file === 'base/process.ts',
  },
  {
    what: 'reads the environment',
    pattern: /\bprocess\.env\b/,
    // A child process is given the environment of its parent, a program is looked for on PATH, and colours are the terminal's matter.
    allowed: (file) => ['app/config.ts', 'base/process.ts', 'cli/_open-cli.ts'].includes(file),
  },
  {
    what: 'writes to the terminal',
    pattern: /\bprocess\.(stdout|stderr)\b|\bconsole\.(log|error|warn|info)\b/,
    allowed: (file) => file.startsWith('cli/'),
  },
  {
    what: 'ends the process',
    pattern: /\bprocess\.(exit\(|exitCode\s*=)/,
    allowed: (file) => file.startsWith('cli/') || file === 'remotes/_child-calls.ts',
  },
]

const src = join(import.meta.dirname, '../src')
const sources = globSync('**/*.ts', { cwd: src }).filter(
  (file) => !file.endsWith('.test.ts') && !file.startsWith('testing/'),
)
const roomOf = (file: string) => (file.includes('/') ? (file.split('/')[0] ?? '') : '')
const floorOf = (room: string) => FLOORS.findIndex((rooms) => rooms.includes(room))

function importsOf(file: string): string[] {
  const text = readFileSync(join(src, file), 'utf8')
  const found = [
    ...text.matchAll(/(?:from|import)\s*\(?\s*['"](\.{1,2}\/[^'"]+)['"]/g),
    ...text.matchAll(/new URL\(['"](\.{1,2}\/[^'"]+\.ts)['"]/g),
  ]
  return found.map((match) => normalize(join(dirname(file), match[1] ?? '')))
}

test('every room stands on a floor', () => {
  const rooms = new Set(sources.filter((file) => file.includes('/')).map(roomOf))
  for (const room of rooms) assert.notEqual(floorOf(room), -1, `src/${room} stands on no floor`)
})

test('a file imports from its own room or a lower floor', () => {
  const wrong = sources.flatMap((file) =>
    importsOf(file)
      .filter(
        (imported) =>
          roomOf(imported) !== roomOf(file) &&
          roomOf(file) !== '' &&
          floorOf(roomOf(imported)) >= floorOf(roomOf(file)),
      )
      .map((imported) => `${file} imports ${imported}`),
  )
  assert.deepEqual(wrong, [])
})

test('nothing imports the testing room', () => {
  assert.deepEqual(
    sources.filter((file) => importsOf(file).some((imported) => roomOf(imported) === 'testing')),
    [],
  )
})

test('a file whose name begins with _ is private to its room', () => {
  const wrong = sources.flatMap((file) =>
    importsOf(file)
      .filter((imported) => /(^|\/)_[^/]+$/.test(imported) && roomOf(imported) !== roomOf(file))
      .map((imported) => `${file} imports ${imported}`),
  )
  assert.deepEqual(wrong, [])
})

for (const { what, pattern, allowed } of GUARDED)
  test(`only the files meant for it ${what.replace(/s /, ' ')}`, () => {
    const wrong = sources.filter(
      (file) =>
        !allowed(file) && pattern.test(withoutComments(readFileSync(join(src, file), 'utf8'))),
    )
    assert.deepEqual(wrong, [])
  })

test('docs/architecture.md draws the same floors', () => {
  const page = readFileSync(join(src, '../docs/architecture.md'), 'utf8')
  const drawn = [...page.matchAll(/^\s*(\d+)\s{2,}(.+)$/gm)].map(
    (match) => [Number(match[1]), (match[2] ?? '').trim().split(/\s+/)] as const,
  )
  const expected = FLOORS.map((rooms, floor) => [floor, rooms] as const).toReversed()
  assert.deepEqual(drawn, expected)
})

test('every file says where its imports lie with a relative path', () => {
  const wrong = sources.filter((file) =>
    /from ['"](\/|src\/)/.test(readFileSync(join(src, file), 'utf8')),
  )
  assert.deepEqual(wrong, [], relative(process.cwd(), src))
})

function withoutComments(text: string): string {
  return text.replaceAll(/\/\*[\s\S]*?\*\//g, '').replaceAll(/\/\/.*$/gm, '')
}
