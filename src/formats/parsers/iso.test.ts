import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { it } from 'node:test'
import * as fc from 'fast-check'
import { runTool } from '../../base/process.ts'
import { memorySource } from '../../bytes/source.ts'
import { damaged } from '../../testing/mutations.ts'
import { tempDir } from '../../testing/temp-dir.ts'
import { parseSource } from '../_parse-source.ts'
import { isoParser } from './iso.ts'

const at = await tempDir()
await writeFile(at('file'), 'a file')

/** What xorriso writes; with `-isohybrid` also a partition table. */
async function disc(...options: string[]): Promise<Buffer> {
  const argv = ['xorriso', '-as', 'mkisofs', '-quiet', ...options, '-o', at('disc'), at('file')]
  await runTool(argv)
  return await readFile(at('disc'))
}

async function codesOf(bytes: Uint8Array): Promise<string[]> {
  const { findings } = await parseSource(isoParser, memorySource(bytes))
  return findings.map(({ code }) => code)
}

/** Pure UDF: the descriptors that say so, and the anchor in block 256. */
function udf(block: number): Buffer {
  const bytes = Buffer.alloc(300 * block + 256 * block)
  for (const [index, magic] of ['BEA01', 'NSR02', 'TEA01'].entries())
    bytes.write(magic, 32768 + index * 2048 + 1, 'latin1')
  const anchor = 256 * block
  bytes.writeUInt16LE(2, anchor)
  bytes.writeUInt32LE(16 * block, anchor + 16)
  bytes.writeUInt32LE(257, anchor + 20)
  let sum = 0
  for (let byte = 0; byte < 16; byte++) sum += byte === 4 ? 0 : (bytes[anchor + byte] ?? 0)
  bytes.writeUInt8(sum % 256, anchor + 4)
  return bytes
}

it('finds nothing wrong with discs as xorriso writes them', async () => {
  assert.deepEqual(await codesOf(await disc()), [])
  assert.deepEqual(await codesOf(await disc('-J', '-R')), [])
  const parsed = await parseSource(isoParser, memorySource(await disc()))
  assert.equal(parsed.disk?.virtualSize, (await readFile(at('disc'))).length)
})

it('refuses a disc that is cut', async () => {
  const whole = await disc()
  assert.deepEqual(await codesOf(whole.subarray(0, whole.length / 2)), ['TRUNCATED'])
  assert.deepEqual(await codesOf(whole.subarray(0, 33 * 1024)), ['TRUNCATED'])
})

it('refuses numbers that differ in the two orders, and a root directory behind the end', async () => {
  const volume = await disc()
  volume.writeUInt32BE(1, 32768 + 84)
  assert.deepEqual(await codesOf(volume), ['COPIES_DIFFER'])
  const root = await disc()
  root.writeUInt32LE(0xfffff0, 32768 + 158)
  root.writeUInt32BE(0xfffff0, 32768 + 162)
  assert.deepEqual(await codesOf(root), ['OUT_OF_RANGE'])
  const version = await disc()
  version.writeUInt8(9, 32768 + 6)
  assert.deepEqual(await codesOf(version), ['FORMAT_VERSION'])
})

it('reads a pure UDF by its anchor, whatever the size of a block', async () => {
  for (const block of [512, 1024, 2048, 4096]) {
    assert.deepEqual(await codesOf(udf(block)), [], `${block}`)
    const cut = udf(block).subarray(0, 260 * block)
    assert.deepEqual(await codesOf(cut), ['TRUNCATED'])
  }
  const none = udf(2048)
  none.fill(0, 256 * 2048, 257 * 2048)
  assert.deepEqual(await codesOf(none), ['HEADER_INVALID'])
})

it('no damage makes it fail', async () => {
  const bytes = await disc('-J')
  await fc.assert(
    fc.asyncProperty(damaged(bytes, [[32768, 32768 + 8192]]), async (file) => {
      await codesOf(file)
    }),
    { numRuns: 100 },
  )
})
