import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { findProgram, runTool } from '../base/process.ts'
import { failsWith } from '../testing/fails-with.ts'
import { type IsoFile, makeIso9660 } from './iso9660.ts'

const directory = await mkdtemp(join(tmpdir(), 'ingot-iso-test-'))
after(() => rm(directory, { recursive: true, force: true }))
const missing = (name: string) => findProgram(name) === undefined && `needs ${name}`

const file = (name: string, content: string): IsoFile => ({ name, content: Buffer.from(content) })

/** Writes the image and lets xorriso take it apart. */
async function extract(label: string, files: readonly IsoFile[]): Promise<Record<string, string>> {
  const path = join(directory, `${label}.iso`)
  const tree = join(directory, `${label}.tree`)
  await writeFile(path, makeIso9660(label, files))
  await runTool(['xorriso', '-osirrox', 'on', '-indev', path, '-extract', '/', tree])
  const found: Record<string, string> = {}
  for (const name of await readdir(tree)) found[name] = await readFile(join(tree, name), 'utf8')
  return found
}

const byName = (files: readonly IsoFile[]): Record<string, string> =>
  Object.fromEntries(files.map(({ name, content }) => [name, content.toString()]))

test(
  'another program reads every file back, by its own name',
  { skip: missing('xorriso') },
  async () => {
    const files = [file('user-data', 'a'.repeat(5000)), file('meta-data', '{}'), file('empty', '')]
    assert.deepEqual(await extract('cidata', files), byName(files))
  },
)

test('a directory may need several blocks', { skip: missing('xorriso') }, async () => {
  const files = Array.from({ length: 200 }, (_, index) =>
    file(`a-file-with-a-long-name-number-${index}.txt`, `content ${index}`),
  )
  assert.deepEqual(await extract('many', files), byName(files))
})

test('the label is found by blkid', { skip: missing('blkid') }, async () => {
  const path = join(directory, 'label.iso')
  await writeFile(path, makeIso9660('cidata', [file('meta-data', '{}')]))
  const output = await runTool(['blkid', '-p', '-o', 'export', path])
  assert.match(output.toString(), /^LABEL=cidata$/m)
  assert.match(output.toString(), /^TYPE=iso9660$/m)
})

test('the same files give the same bytes, in whatever order', () => {
  const files = [file('b', '2'), file('a', '1')]
  assert.deepEqual(makeIso9660('x', files), makeIso9660('x', files.toReversed()))
})

test('refuses names and labels that not everybody could read back', () => {
  for (const name of ['', 'a/b', 'a;1', 'ü', 'a b', 'x'.repeat(65)])
    assert.throws(() => makeIso9660('x', [file(name, '')]), failsWith('USAGE'), name)
  for (const label of ['', 'x'.repeat(17), 'é'])
    assert.throws(() => makeIso9660(label, []), failsWith('USAGE'), label)
  const twice = [file('a', ''), file('a', '')]
  assert.throws(() => makeIso9660('x', twice), failsWith('USAGE'))
})
